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
from collections.abc import Callable, Coroutine
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


def _work(given: str, answer: str) -> None:
    """Do the work that lies in the file at `given`, and leave the result at `answer`. Runs in the worker."""
    for place in (given, answer):
        if not os.readlink(place).startswith(f"/memfd:{MEMORY_FILE}"):
            raise FileNotFoundError(place)
    with open(given, "rb") as file:
        work = pickle.load(file)
    result = work()
    del work
    with open(answer, "wb") as file:
        pickle.dump(result, file, pickle.HIGHEST_PROTOCOL)
    del result
    # What a long program took goes back to the computer, not only to this process.
    _LIBC.malloc_trim(0)


def _put(file: BinaryIO, box: list[Callable[[], T]]) -> None:
    """Write the work that is in `box`, which is empty then: nothing of it stays in this process."""
    with file:
        pickle.dump(box.pop(), file, pickle.HIGHEST_PROTOCOL)


def _take(file: BinaryIO) -> Any:
    with file:
        file.seek(0)
        return pickle.load(file)


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


class Workers:
    """A pool of one process, started at its first use; a process that died is replaced once per call."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
        return self._pool

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Return what `function` returns; raises what it raises.

        A caller that keeps no argument itself has it in memory only until the worker has been given it.
        """
        return self._once([partial(function, *args, **kwargs)])

    async def _once(self, box: list[Callable[[], T]]) -> T:
        given, answer = (os.memfd_create(MEMORY_FILE, os.MFD_CLOEXEC) for _ in range(2))
        future: Future[None] | None = None
        try:
            # Each thread has the file under a number of its own: a caller that is cancelled leaves it to its end.
            await asyncio.to_thread(_put, os.fdopen(os.dup(given), "wb"), box)
            for last in (False, True):
                try:
                    future = self._started().submit(_work, *(f"/proc/{os.getpid()}/fd/{n}" for n in (given, answer)))
                    await asyncio.wrap_future(future)
                    break
                except BrokenProcessPool:
                    if last:
                        raise
                    self.close()
            result: T = await asyncio.to_thread(_take, os.fdopen(os.dup(answer), "rb"))
            return result
        finally:
            # The worker opens the files by their numbers: those must not become other files' before it is done.
            if future is None:
                _close(given, answer)
            else:
                future.add_done_callback(lambda _: _close(given, answer))

    def close(self) -> None:
        """End the process, without waiting for work that nobody awaits any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
