# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows all machines: parts made and times when nobody saw one, each a fact written together with the last total.

So a service that ends between two of them, or loses a race with the power, derives the same difference again from the
total on the disk: nothing is lost, and nothing counts twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event
from edge.domain.machine import Availability
from edge.domain.ports import Clock, EventStore
from edge.services.bus import EventBus, MachineChanged, Message, Notice
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.watching import Found, Gap, Watch, look, merged

log = logging.getLogger(__name__)

WATCH_PREFIX = "watch:"
PACE_S = 0.5
RETRY_S = 1.0
SEEN_EVERY_S = 30.0
"""How often it is written down when a machine was last seen: what a power cut adds to a gap at most."""


class Observation:
    """The watches of all machines."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        *,
        store: EventStore,
        recorder: Recorder,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._machines = machines
        self._store = store
        self._recorder = recorder
        self._bus = bus
        self._clock = clock
        self._watches = {key: Watch() for key in machines}
        self._pending: list[tuple[str, Found, Event]] = []
        self._unsaved: set[str] = set()
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._source: dict[str, int] = {}
        self._off_s: dict[str, float] = {}

    def last_gap(self, machine_id: str) -> Gap | None:
        """Return the last time when nobody saw the machine."""
        return self._watches[machine_id].gap

    def clock_off_s(self, machine_id: str) -> float | None:
        """Return by how much the machine's own clock is ahead of the lab's, in seconds; None while not known."""
        return self._off_s.get(machine_id)

    async def load(self) -> None:
        """Take up what was known when the service ended."""
        for key, text in (await self._store.load(WATCH_PREFIX)).items():
            machine_id = key.removeprefix(WATCH_PREFIX)
            if machine_id in self._watches:
                self._watches[machine_id] = Watch.parse(text)

    def _listen(self, message: Message) -> None:
        if isinstance(message, MachineChanged) and message.machine_id in self._machines:
            self._look(message.machine_id)

    def _look(self, machine_id: str) -> None:
        before, machine = self._watches[machine_id], self._machines[machine_id]
        counter = machine.info.part_counter
        seen = look(
            before, machine.state, boot_id=self._clock.boot_id(), wall_ns=self._clock.wall_ns(), counter=counter
        )
        self._watches[machine_id] = seen.watch
        for found in seen.facts:
            self._take(machine_id, found)
        if seen.back is not None:
            before_back, after_back = map(str, seen.back)
            text = f"its part counter went back from {before_back} to {after_back}; it is counted on from there"
            self._tell(machine_id, "counter-back", text, before=before_back, after=after_back)
        if _worth_saving(before, seen.watch) or seen.facts:
            self._unsaved.add(machine_id)
            self._wake.set()
        self._compare_clocks(machine_id)

    def _take(self, machine_id: str, found: Found) -> None:
        if found.note:
            self._tell(machine_id, "counter-jump", found.note, count=str(found.body["count"]))
        if self._pending and self._pending[-1][0] == machine_id:
            both = merged(self._pending[-1][1], found)
            if both is not None:
                self._pending.pop()
                found = both
        event = self._recorder.event(found.kind, {"machine": machine_id, **found.body})
        self._pending.append((machine_id, found, event))

    def _tell(self, machine_id: str, code: str, text: str, **facts: str) -> None:
        name = self._machines[machine_id].info.name
        log.warning("%s: %s", machine_id, text)
        self._bus.publish(Notice("attention", f"{name}: {text}.", code, (("machine", name), *facts.items())))

    def _compare_clocks(self, machine_id: str) -> None:
        """Compare the clocks at a value that has just changed: one that was read at the begin may be hours old."""
        state = self._machines[machine_id].state
        if state.availability is not Availability.AVAILABLE or state.source_ns is None:
            self._source.pop(machine_id, None)
            self._off_s.pop(machine_id, None)
            return
        before = self._source.get(machine_id)
        self._source[machine_id] = state.source_ns
        if before is not None and before != state.source_ns:
            wall_then = self._clock.wall_ns() - (self._clock.boot_ns() - state.taken_ns)
            self._off_s[machine_id] = round((state.source_ns - wall_then) / 1e9, 1)

    async def _commit(self) -> None:
        """Write what was found, with what is known now. Raises StoreUnavailable, and then all of it waits on."""
        async with self._lock:
            batch, self._pending = self._pending, []
            unsaved, self._unsaved = self._unsaved, set()
            saves: dict[str, str | None] = {WATCH_PREFIX + key: self._watches[key].dump() for key in unsaved}
            if not saves:
                return
            try:
                await self._recorder.commit([event for _, _, event in batch], saves)
            except StoreUnavailable:
                self._pending = batch + self._pending
                self._unsaved |= unsaved
                raise

    def _note_seen(self) -> None:
        """Have it written down of each machine that is seen now, that it was."""
        self._unsaved |= {key for key, watch in self._watches.items() if watch.seen_ns is not None and not watch.away}

    async def run(self) -> None:
        """Follow the machines until cancelled; while the disk refuses, try again and lose nothing."""
        unsubscribe = self._bus.subscribe(self._listen)
        loop, failing = asyncio.get_running_loop(), False
        seen_at = loop.time() + SEEN_EVERY_S
        try:
            for key in self._machines:
                self._look(key)
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(seen_at):
                        await self._wake.wait()
                self._wake.clear()
                if loop.time() >= seen_at:
                    seen_at = loop.time() + SEEN_EVERY_S
                    self._note_seen()
                try:
                    await self._commit()
                    failing = False
                except StoreUnavailable as error:
                    if not failing:
                        log.error("parts and gaps wait for the disk: %s", error)  # noqa: TRY400
                    failing = True
                    self._wake.set()
                await asyncio.sleep(RETRY_S if failing else PACE_S)
        finally:
            unsubscribe()

    async def settle(self) -> None:
        """Write down what is known: the service ends."""
        self._note_seen()
        with suppress(StoreUnavailable):
            await self._commit()


_SAVED = ("away", "total", "unseen", "former", "counter")


def _worth_saving(before: Watch, after: Watch) -> bool:
    first = before.seen_ns is None and after.seen_ns is not None
    return first or any(getattr(before, name) != getattr(after, name) for name in _SAVED)
