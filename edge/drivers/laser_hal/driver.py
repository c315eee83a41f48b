# SPDX-License-Identifier: GPL-3.0-or-later
"""The MachineDriver of a laser engraver: GRBL's, without a probe, and with programs in laser mode only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.domain.errors import DriverRefused
from edge.domain.hand import Displacement
from edge.domain.machine import Capability, MachineInfo, Position
from edge.domain.ports import Clock, Guardian, ProgramText, RefusedLine
from edge.drivers.grbl import GrblDriver
from edge.drivers.laser_hal.settings import LaserSettings

_LASER_MODE = 32
_NOT_HERE = {Capability.PROBE, Capability.CHECK_MODE}
"""A controller's check mode was tried on routers only: what a laser's build does there nobody has recorded."""


class LaserDriver(GrblDriver):
    """One laser engraver. Its lid is the controller's door input: GrblPinInputs reports it."""

    def __init__(
        self,
        machine_id: str,
        name: str,
        kind: str,
        settings: LaserSettings,
        clock: Clock,
        guardian: Guardian,
        recordings: Path | None = None,
    ) -> None:
        super().__init__(machine_id, name, kind, settings.grbl, clock, guardian, recordings)

    def info(self) -> MachineInfo:
        """Return who the machine is; complete once it was available."""
        known = super().info()
        return replace(known, driver="grblhal-laser", capabilities=known.capabilities - _NOT_HERE)

    async def probe(self, by: Displacement, feed: float) -> Position:
        """Refuse: a laser has no probe."""
        raise self._refuses("probe", "a laser has no probe")

    async def run_program(self, program: ProgramText) -> None:
        """Run `program`; refused unless laser mode ($32) is on. Out of it the beam burns on where the head stands."""
        mode = next((setting.value for setting in await self.settings() if setting.number == _LASER_MODE), None)
        if mode != "1":
            raise self._refuses("run a program", "laser mode is off in its settings ($32): have it switched on")
        await super().run_program(program)

    async def check_program(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        """Refuse: the beam is nothing to try a check mode with."""
        raise self._refuses("check a program", "a laser is not put into check mode from here")

    def _refuses(self, command: str, reason: str) -> DriverRefused:
        return DriverRefused(machine_id=self.info().machine_id, command=command, reason=reason)
