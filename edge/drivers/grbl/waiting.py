# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something to become true while lines come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Predicate = Callable[[], bool]


def heed_cancellation() -> None:
    """Raise CancelledError where the current task was cancelled and nobody has told it.

    A task group that ends by an error of its own drops a cancellation of its parent that comes while it waits for its
    children (CPython 3.11): a loop around it would go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Waiters:
    """Coroutines that wait for predicates; looked at after each handled line."""

    def __init__(self) -> None:
        self._entries: list[tuple[Predicate, asyncio.Future[None]]] = []

    async def until(self, predicate: Predicate, seconds: float | None) -> bool:
        """Return True once `predicate` holds, False after `seconds` (None: never). Raises what `fail` was given."""
        if predicate():
            return True
        waiting = asyncio.get_running_loop().create_future()
        entry = (predicate, waiting)
        self._entries.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await waiting
        except TimeoutError:
            return False
        finally:
            self._entries.remove(entry)
        return True

    def wake(self) -> None:
        """Wake whoever waits for what has become true."""
        for predicate, waiting in self._entries:
            if not waiting.done() and predicate():
                waiting.set_result(None)

    def fail(self, error: Exception) -> None:
        """Raise `error` in everybody who waits."""
        for _, waiting in self._entries:
            if not waiting.done():
                waiting.set_exception(error)
