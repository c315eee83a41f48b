# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist after a drive: until it is walked, no machine's position is trusted and no program starts.

What an input can show is seen, not asked: a switch has to be seen open and then closed, a machine has to home. Only
what no input shows is taken from a person's word.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from edge.domain.errors import NotFound, Refused, StoreUnavailable
from edge.domain.events import Event, EventType
from edge.domain.machine import Availability, Capability, Execution
from edge.domain.ports import EventStore
from edge.safety.interlock import InputStatus
from edge.services.bus import EventBus, MachineHomed, Message, OpeningChanged
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

OPENING_KEY = "opening"
TICK_S = 0.1
PACKED = "packed"


class Item(StrEnum):
    """What is looked at after a drive, in this order."""

    STOP_CIRCUIT = "stop_circuit"
    DOOR = "door"
    HOME = "home"
    CLAMPS = "clamps"


LABELS = {
    Item.STOP_CIRCUIT: "the stop circuit",
    Item.DOOR: "the door",
    Item.HOME: "homing",
    Item.CLAMPS: "the clamps",
}
ASKED = {
    Item.STOP_CIRCUIT: "Press the stop button at the machine and release it.",
    Item.DOOR: "Open the door and close it.",
    Item.HOME: "Press Home.",
    Item.CLAMPS: "Check that everything is clamped as before the drive.",
}
SEEN_OPEN = {
    Item.STOP_CIRCUIT: "It was seen pressed: release it.",
    Item.DOOR: "It was seen open: close it.",
}


class By(StrEnum):
    """Who says that an item is in order."""

    INPUT = "input"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Line:
    """One item of one machine; text says what is to be done."""

    item: Item
    done: bool
    by: By
    text: str


class Opening:
    """The checklist of all machines that are commanded from here.

    inputs names, per machine, the inputs of its interlock that show the stop circuit and the door; working tells
    whether a job is under way on a machine, also one that waits for a person.
    """

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        inputs: Mapping[str, Mapping[Item, Sequence[str]]],
        *,
        store: EventStore,
        recorder: Recorder,
        bus: EventBus,
        working: Callable[[str], bool],
    ) -> None:
        self._machines = {key: machines[key] for key in inputs}
        self._inputs = inputs
        self._store = store
        self._recorder = recorder
        self._bus = bus
        self._working = working
        self._done: dict[str, dict[Item, By]] | None = None
        self._seen_open: set[tuple[str, str]] = set()
        self._homed: set[str] = set()
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        for key, machine in self._machines.items():
            machine.heed_opening(partial(self.pending, key))

    @property
    def needed(self) -> bool:
        """Return whether the lab was packed and the checklist is not walked yet."""
        return self._done is not None

    def pending(self, machine_id: str) -> tuple[str, ...]:
        """Return what is left for a machine, in words."""
        if self._done is None:
            return ()
        done = self._done.get(machine_id, {})
        return tuple(LABELS[item] for item in Item if item not in done)

    def lines(self) -> dict[str, list[Line]]:
        """Return the checklist per machine; all done where none is needed."""
        return {key: [self._line(key, item) for item in Item] for key in self._machines}

    def _line(self, machine_id: str, item: Item) -> Line:
        done = {} if self._done is None else self._done.get(machine_id, {})
        if self._done is None or item in done:
            return Line(item, done=True, by=done.get(item, self._by(machine_id, item)), text="")
        names = self._inputs[machine_id].get(item, ())
        seen = bool(names) and all((machine_id, name) in self._seen_open for name in names)
        return Line(item, done=False, by=self._by(machine_id, item), text=SEEN_OPEN[item] if seen else ASKED[item])

    def _by(self, machine_id: str, item: Item) -> By:
        """Return who can say that `item` is in order; of a machine that is away nobody knows that it cannot home."""
        machine = self._machines[machine_id]
        if item is Item.HOME:
            away = machine.state.availability is not Availability.AVAILABLE
            return By.INPUT if away or Capability.HOME in machine.info.capabilities else By.PERSON
        return By.INPUT if self._inputs[machine_id].get(item) else By.PERSON

    async def load(self) -> None:
        """Take up the state of the time before: who was on the road still is."""
        kept = (await self._store.load(OPENING_KEY)).get(OPENING_KEY)
        if kept is None:
            return
        raw: dict[str, dict[str, str]] = json.loads(kept)
        self._done = {
            key: {Item(item): By(by) for item, by in done.items()} for key, done in raw.items() if key in self._machines
        }
        for key, machine in self._machines.items():
            if Item.HOME not in self._done.get(key, {}):
                machine.doubt_position()
        self._wake.set()

    async def relocate(self) -> None:
        """Take a person's word that the lab is packed for the road. Raises Refused, StoreUnavailable."""
        held = (Execution.FEED_HOLD, Execution.INTERRUPTED)
        for key, machine in self._machines.items():
            if self._working(key) or machine.moving or machine.state.execution in held:
                raise Refused(
                    what="The lab is not packed.",
                    why=f"{machine.info.name} is at work.",
                    remedy="Wait for its end, give the job up, or use Stop machine.",
                )
        async with self._lock:
            facts = [self._fact(key, PACKED, By.PERSON) for key in self._machines]
            await self._recorder.commit(facts, {OPENING_KEY: json.dumps({})})
            self._done = {}
            self._seen_open.clear()
            self._homed.clear()
        for machine in self._machines.values():
            machine.doubt_position()
        self._wake.set()
        self._bus.publish(OpeningChanged())

    def _fact(self, machine_id: str, item: str, by: By) -> Event:
        return self._recorder.event(EventType.OPENING_ITEM, {"machine": machine_id, "item": item, "by": by.value})

    async def confirm(self, machine_id: str, item_name: str) -> None:
        """Take a person's word for an item that no input shows. May be repeated.

        Raises NotFound, Refused, StoreUnavailable.
        """
        if machine_id not in self._machines:
            raise NotFound(what="machine", key=machine_id)
        if item_name not in set(Item):
            raise NotFound(what="item of the checklist", key=item_name)
        line = self._line(machine_id, Item(item_name))
        if line.done:
            return
        if line.by is By.INPUT:
            raise Refused(
                code="seen-not-told",
                what="The checklist does not take that.",
                why="An input shows it: it has to be seen, not told.",
                remedy=line.text,
            )
        await self._mark(machine_id, line.item, By.PERSON)
        if line.item is Item.HOME:
            self._machines[machine_id].believe_position()

    async def _mark(self, machine_id: str, item: Item, by: By) -> None:
        """Write an item down; with the last one of all machines the checklist is over."""
        async with self._lock:
            if self._done is None or item in self._done.get(machine_id, {}):
                return
            done = {key: dict(items) for key, items in self._done.items()}
            done.setdefault(machine_id, {})[item] = by
            over = all(len(done.get(key, {})) == len(Item) for key in self._machines)
            saved = (
                None if over else json.dumps({key: {i.value: b.value for i, b in d.items()} for key, d in done.items()})
            )
            await self._recorder.commit([self._fact(machine_id, item.value, by)], {OPENING_KEY: saved})
            self._done = None if over else done
        self._machines[machine_id].changed()
        self._bus.publish(OpeningChanged())

    def _listen(self, message: Message) -> None:
        if isinstance(message, MachineHomed) and self.needed:
            self._homed.add(message.machine_id)

    async def run(self) -> None:
        """Watch inputs and homing while the checklist is open, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        failing = False
        try:
            while True:
                if not self.needed:
                    self._wake.clear()
                    await self._wake.wait()
                try:
                    for key, machine in self._machines.items():
                        await self._look(key, machine)
                    failing = False
                except StoreUnavailable as error:
                    if not failing:
                        log.error("the opening checklist waits for the disk: %s", error)  # noqa: TRY400
                    failing = True
                await asyncio.sleep(TICK_S)
        finally:
            unsubscribe()

    async def _look(self, machine_id: str, machine: MachineSupervisor) -> None:
        status = {reading.rule.name: reading.status for reading in machine.facts().readings}
        for item, names in self._inputs[machine_id].items():
            for name in names:
                if status.get(name) is InputStatus.OPEN and (machine_id, name) not in self._seen_open:
                    self._seen_open.add((machine_id, name))
                    self._bus.publish(OpeningChanged())
            closed = all(
                status.get(name) is InputStatus.HEALTHY and (machine_id, name) in self._seen_open for name in names
            )
            if names and closed:
                await self._mark(machine_id, item, By.INPUT)
        if machine_id in self._homed:
            await self._mark(machine_id, Item.HOME, By.INPUT)
