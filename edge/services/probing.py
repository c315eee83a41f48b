# SPDX-License-Identifier: GPL-3.0-or-later
"""The work zero of one machine: set by hand, or by a probing cycle that ends with the axes standing, whatever comes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge.domain.errors import DriverRefused, ProbeFailed
from edge.domain.hand import Axis
from edge.domain.machine import Capability, Execution, Position
from edge.domain.ports import EventStore
from edge.safety.permissives import Command
from edge.services import probe_cycles
from edge.services.hand import MachineHand, MotionStopped, Steps
from edge.services.probe_cycles import Bench, Cycle, Found, Go, NoRoom, Touch
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor

TOOL_KEY = "tool:"
ALREADY_UP_MM = 0.01


class ProbeCycle(StrEnum):
    """What is probed."""

    PLATE = "plate"
    CORNER = "corner"
    BORE = "bore"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Probed:
    """Contacts in machine coordinates, what the axes read where the machine stands now, and both in a sentence."""

    contacts: tuple[Position, ...]
    reads: Mapping[Axis, float]
    text: str


class WorkZero:
    """Sets the work zero of one machine.

    How far the zero in Z lies above the tool setter's contact is the same for every tool, and kept over restarts: so a
    measurement that was interrupted anywhere can be repeated. A zero in Z that is set otherwise has another such
    distance, which is measured with the tool to which it belongs.
    """

    def __init__(self, supervisor: MachineSupervisor, hand: MachineHand, store: EventStore, recorder: Recorder) -> None:
        self._supervisor = supervisor
        self._hand = hand
        self._store = store
        self._recorder = recorder
        self._kept: float | None = None

    @property
    def _key(self) -> str:
        return TOOL_KEY + self._supervisor.machine_id

    async def load(self) -> None:
        """Take up the distance of the time before."""
        kept = (await self._store.load(self._key)).get(self._key)
        self._kept = None if kept is None else float(json.loads(kept))

    async def _keep(self, distance: float | None) -> None:
        if distance == self._kept:
            return
        await self._recorder.commit([], {self._key: None if distance is None else json.dumps(distance)})
        self._kept = distance

    async def set_here(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads` mm. Raises as MachineHand.set_zero."""
        if Axis.Z in reads:
            await self._keep(None)
        await self._hand.set_zero(reads)

    async def probe(self, what: ProbeCycle, tool_diameter: float | None = None) -> Probed:
        """Run a cycle and set the zero that it found.

        Raises Refused, MotionRefused, MotionStopped, ProbeFailed, DriverRefused, DriverUnavailable, StoreUnavailable.
        """
        driver = self._hand.driver(Capability.PROBE)
        on_setter = what is ProbeCycle.TOOL and self._hand.settings.tool_setter is not None
        self._require_settings(what, tool_diameter)
        self._supervisor.require(Command.PROBE)
        stops = self._supervisor.stops
        if what is not ProbeCycle.BORE and not on_setter:
            # Before anything moves: a zero that is found must not be taken for that of a tool measured long ago.
            await self._keep(None)
            self._supervisor.require(Command.PROBE)
            if self._supervisor.stops != stops:
                raise MotionStopped(reason="stopped before it began")
        steps, settings = self._hand.steps(driver), self._hand.settings
        bench = Bench(settings.probe, settings.max_feed, self._supervisor.info.travel, steps.where())
        found, reads = await self._hand.move(
            "probe", self._measure(steps, bench, self._cycle(what, bench, tool_diameter))
        )
        if on_setter and not reads:
            await self._keep(self._offset_z() - found.contacts[-1].z)
        return Probed(found.contacts, reads, found.text)

    def _offset_z(self) -> float:
        offset = self._supervisor.state.work_offset
        if offset is None:
            reason = "it has not reported its work offset yet"
            raise DriverRefused(machine_id=self._supervisor.machine_id, command="probe", reason=reason)
        return offset.z

    def _require_settings(self, what: ProbeCycle, tool_diameter: float | None) -> None:
        settings = self._hand.settings
        needs_plate = what is ProbeCycle.PLATE or (what is ProbeCycle.TOOL and settings.tool_setter is None)
        if needs_plate and settings.plate is None:
            raise self._hand.refused("probe", "No touch plate is configured.", "Set plate in [machine.hand].")
        if what is ProbeCycle.CORNER and settings.corner is None:
            raise self._hand.refused("probe", "No corner plate is configured.", "Set [machine.hand.corner].")
        if what is ProbeCycle.CORNER and tool_diameter is None:
            why = "The diameter of the tool is not known, and its flank touches the plate."
            raise self._hand.refused("probe", why, "Enter the tool's diameter.")

    def _cycle(self, what: ProbeCycle, bench: Bench, tool_diameter: float | None) -> Cycle:
        settings = self._hand.settings
        match what:
            case ProbeCycle.CORNER if settings.corner is not None and tool_diameter is not None:
                return probe_cycles.corner(bench, settings.corner, tool_diameter)
            case ProbeCycle.BORE:
                return probe_cycles.bore(bench)
            case ProbeCycle.TOOL if settings.tool_setter is not None and settings.park is not None:
                high = settings.park[2]
                return probe_cycles.setter(bench, settings.tool_setter, high, self._kept, self._offset_z())
            case _:
                return probe_cycles.plate(bench, settings.plate or 0.0)

    async def _measure(self, steps: Steps, bench: Bench, cycle: Cycle) -> tuple[Found, dict[Axis, float]]:
        try:
            found = await self._walk(steps, cycle)
        except (ProbeFailed, NoRoom) as error:
            reason = str(error.facts["reason"]) if isinstance(error, ProbeFailed) else "there is no room to look for it"
            left = await self._raise_tool(steps, bench.start.z)
            raise ProbeFailed(machine_id=self._supervisor.machine_id, reason=f"{reason}. {left}") from error
        finally:
            cycle.close()
        reads = probe_cycles.reads(found, steps.where())
        if reads:
            await steps.zero(reads)
        return found, reads

    @staticmethod
    async def _walk(steps: Steps, cycle: Cycle) -> Found:
        step = next(cycle)
        try:
            while True:
                match step:
                    case Go(to, feed):
                        await steps.go(to, feed)
                        step = next(cycle)
                    case Touch(by, feed):
                        step = cycle.send(await steps.touch(by, feed))
        except StopIteration as end:
            found: Found = end.value
            return found

    async def _raise_tool(self, steps: Steps, height: float) -> str:
        """Bring the tool back to where it began, where that is possible; return what a person should know."""
        if self._supervisor.state.execution is Execution.STOPPED:
            return "The axes stand where the search ended. Press Unlock, then raise the tool by hand"
        try:
            if steps.where().z < height - ALREADY_UP_MM:
                await steps.go({Axis.Z: height}, self._hand.settings.max_feed)
        except DriverRefused:
            return "The axes stand where the search ended. Raise the tool by hand"
        return "The axes stand, and the tool is up again"
