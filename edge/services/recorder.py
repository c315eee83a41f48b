# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes facts to the store: some must be on disk before a person is thanked, the others follow on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event, EventType, Scalar, StoredEvent, Stream
from edge.domain.ports import Clock, EventStore

log = logging.getLogger(__name__)

METRICS_WAITING = 5_000
BATCH = 500
RETRY_S = 0.5


class Recorder:
    """Sole writer of facts. `note` queues and returns; `commit` returns after the disk has it.

    The queue of `note` is bounded for metrics only: the oldest metric is dropped and counted, a change of state,
    of a job or of an interlock never.
    """

    def __init__(self, store: EventStore, clock: Clock, stored: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._stored = stored
        self._queue: deque[Event] = deque()
        self._metrics = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped_metrics = 0
        self.dropped_unfit = 0

    def event(self, kind: EventType, body: Mapping[str, Scalar]) -> Event:
        """Return a fact of now."""
        return Event(kind, body, self._clock.boot_ns(), self._clock.wall_ns())

    def note(self, kind: EventType, body: Mapping[str, Scalar]) -> None:
        """Queue a fact; it is written soon, in order."""
        event = self.event(kind, body)
        if event.stream is Stream.METRICS:
            self._metrics += 1
            if self._metrics > METRICS_WAITING:
                oldest = next(item for item in self._queue if item.stream is Stream.METRICS)
                self._queue.remove(oldest)
                self._metrics -= 1
                self.dropped_metrics += 1
        self._queue.append(event)
        self._idle.clear()
        self._wake.set()

    async def commit(self, events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        """Write facts and working state now; raises StoreUnavailable."""
        stored = await self._store.append(events, saves)
        self._stored()
        return stored

    async def run(self) -> None:
        """Write what was noted, until cancelled; while the disk refuses, try again and keep the queue."""
        failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            size = BATCH
            while self._queue:
                chunk = [self._queue[i] for i in range(min(size, len(self._queue)))]
                try:
                    await self._store.append(chunk)
                except StoreUnavailable as error:
                    if not failing:
                        log.error("facts wait for the disk: %s", error)  # noqa: TRY400 - the reason is the sentence
                    failing = True
                    await asyncio.sleep(RETRY_S)
                    continue
                except ValueError as error:
                    # One fact that can never be written must not keep the others, or the service, from going on.
                    if size > 1:
                        size = 1
                        continue
                    log.error("a fact is dropped, because it cannot be written: %s", error)  # noqa: TRY400
                    self.dropped_unfit += 1
                if failing:
                    log.info("the disk takes facts again")
                failing = False
                self._forget(chunk)
                self._stored()
            self._idle.set()

    def _forget(self, chunk: Sequence[Event]) -> None:
        for event in chunk:
            if self._queue and self._queue[0] is event:
                self._queue.popleft()
                self._metrics -= event.stream is Stream.METRICS

    async def drain(self, timeout: float) -> bool:
        """Wait until everything noted is on disk, at most `timeout` seconds; return whether it is."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
