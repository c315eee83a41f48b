# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand against a simulated controller behind a real pty."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.hand import Axis, Displacement, JogEnd
from edge.domain.machine import Capability, ControllerMode, Execution, Fault
from tests.support.grbl import LONG, Simulator, Watched, eventually, program, running, simulator

NEAR = ("--physical=-3,-3,-3",)
"""Near the switches, so that homing takes a second at real speed."""


@asynccontextmanager
async def homed(folder: Path, *arguments: str, speed: float = 1.0) -> AsyncIterator[tuple[Simulator, Watched]]:
    async with simulator(folder, *NEAR, *arguments, speed=speed) as sim, running(sim.port) as machine:
        await machine.homed()
        yield sim, machine


def jogs(sim: Simulator) -> list[str]:
    return re.findall(r"\$J=[^\n]*", sim.received().replace("?", ""))


async def place(sim: Simulator) -> list[float]:
    steps = (await sim.truth())["mpos_steps_mm"]
    assert isinstance(steps, list)
    return steps


async def test_steps_and_places(tmp_path: Path) -> None:
    async with homed(tmp_path, speed=10) as (sim, machine):
        assert Capability.JOG in machine.driver.info().capabilities
        await machine.driver.jog(Displacement(x=-1.5, z=-0.5), 1000)
        assert await place(sim) == [-3.5, -2.0, -2.5]
        await machine.driver.jog_to({Axis.X: -20, Axis.Y: -10.0}, 2000)
        assert await place(sim) == [-20.0, -10.0, -2.5]
        await machine.driver.jog_to({Axis.X: -20}, 2000)
        assert jogs(sim) == ["$J=G91G21X-1.5Z-0.5F1000", "$J=G53G21X-20Y-10F2000"]
        assert any(s.execution is Execution.ACTIVE and s.mode is ControllerMode.MANUAL for s in machine.states)
        assert machine.state.execution is Execution.READY


async def test_a_lease_moves_while_it_is_renewed_and_stands_soon_after_release(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        lease = machine.driver.lease_jog(Displacement(x=-7), 1000)
        with pytest.raises(DriverRefused, match="busy: jog"):
            await machine.driver.run_program(program("G0X-1"))
        for _ in range(10):
            await asyncio.sleep(0.1)
            lease.renew()
        at = (await place(sim))[0]
        lease.release()
        assert await lease.ended() is JogEnd.RELEASED
        lease.release()
        travelled = at - (await place(sim))[0]
        speed, segment = 1000 / 60, 1000 / 60 * 0.04
        assert travelled <= speed**2 / 400 + segment + speed * 0.03
        assert at < -15
        assert machine.state.execution is Execution.READY
        assert all(re.fullmatch(r"\$J=G91G21X-0\.66[67]F1000", line) for line in jogs(sim))
