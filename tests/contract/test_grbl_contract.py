# SPDX-License-Identifier: GPL-3.0-or-later
"""The GRBL driver keeps the contract of machine drivers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.domain.ports import Clock, MachineDriver
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.services.clock import SystemClock
from tests.contract.driver_suite import DriverSuite
from tests.support.grbl import QuietGuardian, Simulator, eventually, simulator


def open_terminals() -> set[str]:
    """Return the terminals that this process holds open."""
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return {target for link in links if link.is_symlink() and (target := os.readlink(link)).startswith("/dev/pts/")}


class RouterCase:
    """The driver beside the simulated controller, whose plug is pulled."""

    def __init__(self, sim: Simulator) -> None:
        self.clock: Clock = SystemClock()
        self._sim = sim
        self._guardian = QuietGuardian()
        self._terminals = open_terminals()
        settings = GrblSettings(port=str(sim.port), welcome_s=0.5, retry_s=0.3)
        self.driver: MachineDriver = GrblDriver("router-1", "Router", "router", settings, self.clock, self._guardian)

    async def lose_link(self) -> None:
        self._sim.ctl("unplug")
        await eventually(lambda: not os.path.lexists(self._sim.port))

    async def restore_link(self) -> None:
        self._sim.ctl("plug")
        await eventually(lambda: os.path.lexists(self._sim.port))

    async def leftovers(self) -> str:
        """Return the ports that this process still holds open, by its own word and by the kernel's."""
        return str(self._guardian.watched or open_terminals() - self._terminals or "")


class TestGrblDriver(DriverSuite):
    """The contract, with the router."""

    @pytest.fixture
    async def driver_case(self, tmp_path: Path) -> AsyncIterator[RouterCase]:
        async with simulator(tmp_path) as sim:
            yield RouterCase(sim)
