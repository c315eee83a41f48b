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
from typing import Any, BinaryIO, NoReturn, ParamSpec, TypeVar

from edge.domain.errors import Refused

P = ParamSpec("P")
T = TypeVar("T")

PR_SET_PDEATHSIG = 1
NICE = 10
AGAIN_S = 1.0
MEMORY_FILE = "infomobil-work"
_LIBC = ctypes.CDLL(None)


class NoResult(Refused, BrokenProcessPool):
    """{what} {why} {remedy}"""  # noqa: D400, D415 - three sentences that bring their own full stops


class TookTooLong(Refused):
    """{what} {why} {remedy}"""  # noqa: D400, D415 - three sentences that bring their own full stops


def _no_result() -> NoResult:
    return NoResult(
        code="no-result",
        what="That was not done.",
        why="The work on the program ended without a result: it may be too large for this computer.",
        remedy="Try it again. If it stays so, use a program with fewer lines.",
    )


def _begin() -> None:
    """Leave Ctrl-C to the service, make way for it, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A van's service runs in real time; a check of a long program must not.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(NICE)


class _Limit:
    """Ends what is done within it after so many seconds, with TookTooLong; None for no limit. In the main thread."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if self._seconds is not None:
            signal.signal(signal.SIGALRM, self._end)
            # More than once: what is raised while something is being cleaned away is lost.
            signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN_S)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _end(self, *_: object) -> NoReturn:
        raise TookTooLong(
            code="took-too-long",
            what="That was not done.",
            why=f"It took over {self._seconds:g} s on this computer, and was given up so that others get their turn.",
            remedy="Use a program with fewer lines. A check does not depend on this.",
        )


def _work(given: str, answer: str, limit_s: float | None) -> None:
    """Do the work that lies in the file at `given`, and leave the result at `answer`. Runs in the worker."""
    for place in (given, answer):
        if not os.readlink(place).startswith(f"/memfd:{MEMORY_FILE}"):
            raise FileNotFoundError(place)
    with open(given, "rb") as file:
        work = pickle.load(file)
    with _Limit(limit_s):
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
    """A process that does one piece of work after the other, started at the first; one that died is replaced once.

    limit_s: how long a piece of work may take from its begin, None where that has no limit.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
        return self._pool

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """Return what `function` returns; raises what it raises, NoResult, and TookTooLong where there is a limit.

        A caller that keeps no argument itself has it in memory only until the worker has been given it.
        """
        return self._once([partial(function, *args, **kwargs)])

    async def _once(self, box: list[Callable[[], T]]) -> T:
        given, answer = (os.memfd_create(MEMORY_FILE, os.MFD_CLOEXEC) for _ in range(2))
        future: Future[None] | None = None
        try:
            # Each thread has the file under a number of its own: a caller that is cancelled leaves it to its end.
            await asyncio.to_thread(_put, os.fdopen(os.dup(given), "wb"), box)
            # One at a time is in the pool: a process that dies takes only the work with it that it died of.
            async with self._turn:
                for last in (False, True):
                    pool = self._started()
                    place = f"/proc/{os.getpid()}/fd"
                    try:
                        future = pool.submit(_work, f"{place}/{given}", f"{place}/{answer}", self._limit_s)
                        await asyncio.wrap_future(future)
                        break
                    except BrokenProcessPool as error:
                        self._end(pool)
                        if last:
                            raise _no_result() from error
            result: T = await asyncio.to_thread(_take, os.fdopen(os.dup(answer), "rb"))
            return result
        finally:
            # The worker opens the files by their numbers: those must not become other files' before it is done.
            if future is None:
                _close(given, answer)
            else:
                future.add_done_callback(lambda _: _close(given, answer))

    def _end(self, pool: ProcessPoolExecutor) -> None:
        """End a pool: the one of now, or one in whose place another has come already."""
        pool.shutdown(wait=False, cancel_futures=True)
        if self._pool is pool:
            self._pool = None

    def close(self) -> None:
        """End the process, without waiting for work that nobody awaits any more."""
        if self._pool is not None:
            self._end(self._pool)
