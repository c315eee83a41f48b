# SPDX-License-Identifier: GPL-3.0-or-later
"""The laser's driver keeps the contract of machine drivers, and is as small as the how-to says."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.domain.ports import Clock, MachineDriver
from edge.services.clock import SystemClock
from tests.contract.driver_suite import DriverSuite
from tests.hardware_sim.lab.ports import free_port
from tests.support.grbl import ROOT, QuietGuardian, Simulator, eventually
from tests.support.laser import engraver, laser

ROOM = ROOT / "edge" / "drivers" / "laser_hal"
MOST_LINES = 99


def connections() -> set[str]:
    """Return the sockets that this process holds open."""
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return {os.readlink(link) for link in links if link.exists() and stat.S_ISSOCK(link.stat().st_mode)}


class LaserCase:
    """The driver beside the simulated engraver, which leaves the network."""

    def __init__(self, sim: Simulator, number: int) -> None:
        self.clock: Clock = SystemClock()
        self._sim = sim
        self._guardian = QuietGuardian()
        self._connections = connections()
        self.driver: MachineDriver = laser(number, self._guardian)

    async def lose_link(self) -> None:
        self._sim.ctl("unplug")
        await eventually(lambda: not os.path.lexists(self._sim.port))

    async def restore_link(self) -> None:
        self._sim.ctl("plug")
        await eventually(lambda: os.path.lexists(self._sim.port))

    async def leftovers(self) -> str:
        return str(self._guardian.watched or connections() - self._connections or "")


class TestLaserDriver(DriverSuite):
    """The contract, with the laser."""

    @pytest.fixture
    async def driver_case(self, tmp_path: Path) -> AsyncIterator[LaserCase]:
        number = free_port()
        async with engraver(tmp_path, number) as sim:
            yield LaserCase(sim, number)


def test_one_file_of_settings_and_under_100_lines() -> None:
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in ROOM.glob("*.py"))
    assert lines <= MOST_LINES
    assert {file.name for file in ROOM.glob("*.py")} == {"__init__.py", "driver.py", "settings.py"}
