# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure work in a process of its own, so that the loop that stops machines never waits for it.

Arguments and result go through files in memory instead of the pool's pipe: through a pipe a program of 20 MB is there
three times on its way, in pieces that the loop's process copies together. So it is read straight into its place, by
a thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, BinaryIO, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

PR_SET_PDEATHSIG = 1
NICE = 10
MEMORY_FILE = "infomobil-work"
_LIBC = ctypes.CDLL(None)


def _begin() -> None:
    """Leave Ctrl-C to the service, make way for it, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A van's service runs in real time; a check of a long program must not.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(NICE)


def _work(place: str) -> None:
    """Do the work that lies in the file at `place`, and leave the result there. Runs in the worker."""
    if not os.readlink(place).startswith(f"/memfd:{MEMORY_FILE}"):
        raise FileNotFoundError(place)
    with open(place, "rb") as file:
        work = pickle.load(file)
    result = work()
    del work
    with open(place, "wb") as file:
        pickle.dump(result, file, pickle.HIGHEST_PROTOCOL)
    del result
    # What a long program took goes back to the computer, not only to this process.
    _LIBC.malloc_trim(0)


def _put(file: BinaryIO, work: Callable[[], object]) -> None:
    with file:
        pickle.dump(work, file, pickle.HIGHEST_PROTOCOL)


def _take(file: BinaryIO) -> Any:
    with file:
        file.seek(0)
        return pickle.load(file)


class Workers:
    """A pool of one process, started at its first use; a process that died is replaced once per call."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
        return self._pool

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns; raises what it raises."""
        work = partial(function, *args, **kwargs)
        try:
            return await self._once(work)
        except BrokenProcessPool:
            self.close()
            return await self._once(work)

    async def _once(self, work: Callable[[], T]) -> T:
        memory = os.memfd_create(MEMORY_FILE, os.MFD_CLOEXEC)
        future: Future[None] | None = None
        try:
            # Each thread has the file under a number of its own: a caller that is cancelled leaves it to its end.
            await asyncio.to_thread(_put, os.fdopen(os.dup(memory), "wb"), work)
            future = self._started().submit(_work, f"/proc/{os.getpid()}/fd/{memory}")
            await asyncio.wrap_future(future)
            result: T = await asyncio.to_thread(_take, os.fdopen(os.dup(memory), "rb"))
            return result
        finally:
            # The worker opens the file by its number: that must not become another file's before it is done.
            if future is None:
                os.close(memory)
            else:
                future.add_done_callback(lambda _: os.close(memory))

    def close(self) -> None:
        """End the process, without waiting for work that nobody awaits any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
