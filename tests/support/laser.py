# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated laser engraver on grblHAL, reached over TCP, and its driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge.drivers.laser_hal.driver import LaserDriver
from edge.drivers.laser_hal.settings import LaserSettings
from edge.services.clock import SystemClock
from tests.support.grbl import QuietGuardian, Simulator, simulator


@asynccontextmanager
async def engraver(folder: Path, number: int, *arguments: str, speed: float = 20.0) -> AsyncIterator[Simulator]:
    """Run a simulated grblHAL controller with homing and a lid switch, its Z limits out of the way."""
    options = ("--tcp", str(number), "--build", "door", *arguments)
    async with simulator(folder, *options, speed=speed, module="tests.hardware_sim.grblhal") as sim:
        yield sim


def laser(number: int, guardian: QuietGuardian) -> LaserDriver:
    """Return a driver of the engraver at a port."""
    settings = LaserSettings(host="127.0.0.1", port=number, welcome_s=0.3, retry_s=0.3)
    return LaserDriver("laser", "Laser", "laser", settings, SystemClock(), guardian)
