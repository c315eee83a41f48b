# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences about GRBL that only show on the wire; tests/unit/test_grbl_md.py names them all."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, ProgramFailed, ProgramRejected
from edge.domain.hand import Displacement, JogEnd, OverrideKind
from edge.domain.machine import Execution, SpindleCommand
from tests.support.grbl import LONG, program, running, simulator


async def test_nothing_unlocks_by_itself(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.available()
        count = len(machine.states)
        await machine.until(lambda _: len(machine.states) > count + 8)
        assert machine.state.execution is Execution.STOPPED
        assert re.findall(r"\$[XH]", sim.received()) == []


async def test_a_hold_leaves_the_spindle_commanded_on_and_says_so(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=4) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed and s.line and s.line > 13)
        machine.driver.hold()
        state = await machine.until(lambda s: s.execution is Execution.FEED_HOLD and s.feed == 0)
        assert state.spindle is SpindleCommand.CLOCKWISE
        assert state.spindle_speed == 800
        assert (await sim.truth())["spindle"] == "cw"
        await machine.driver.stop()
        with pytest.raises(ProgramFailed):
            await job
        await machine.until(lambda s: s.spindle is SpindleCommand.OFF)


async def test_override_bytes_go_one_at_a_time_each_after_the_report_of_the_last(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=4) as sim, running(sim.port) as machine:
        await machine.homed()
        assert await machine.driver.override(OverrideKind.FEED, 157) == 157
        events: list[str] = []
        for entry in sim.wire():
            if entry["dir"] == "rx":
                events += [byte for byte in entry["data"] if "\x90" <= byte <= "\x9d"]
            else:
                events += re.findall(r"Ov:(\d+)", entry["data"])
        sent = [index for index, event in enumerate(events) if not event.isdecimal()]
        assert [events[index] for index in sent] == ["\x91"] * 5 + ["\x93"] * 7
        values = [110, 120, 130, 140, 150, 151, 152, 153, 154, 155, 156, 157]
        for index, following, value in zip(sent, [*sent[1:], len(events)], values, strict=True):
            assert events[index + 1 : following][-1] == str(value)


async def test_at_most_one_jog_line_is_unanswered(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=1) as sim, running(sim.port) as machine:
        await machine.homed()
        lease = machine.driver.lease_jog(Displacement(x=-1, y=-1), 1500)
        for _ in range(8):
            lease.renew()
            await asyncio.sleep(0.1)
        lease.release()
        assert await lease.ended() is JogEnd.RELEASED
        waiting = most = 0
        for entry in sim.wire():
            waiting += (
                entry["data"].count("$J=") if entry["dir"] == "rx" else -entry["data"].count("ok\r") * (waiting > 0)
            )
            most = max(most, waiting)
        assert (waiting, most) == (0, 1)
        received = sim.received()
        assert "\x85" in received
        assert "$J=" not in received[received.index("\x85") :]


async def test_a_reset_loses_g92_and_keeps_g54(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        await machine.driver.set_work_zero({"X": 10.0})  # type: ignore[dict-item]
        await machine.driver.run_program(program("G92X50"))
        await machine.until(lambda s: s.work_position and s.work_position.x == 50)
        await machine.driver.stop()
        await machine.until(lambda s: s.work_position and s.work_position.x == 10)
        assert machine.state.homed


async def test_sleep_ends_by_a_stop_and_in_a_lock(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        machine.driver._controller.send("$SLP")
        state = await machine.until(lambda s: s.execution is Execution.STOPPED)
        assert not state.homed
        with pytest.raises(DriverRefused, match="Sleep"):
            await machine.driver.jog(Displacement(x=-1), 500)
        await machine.driver.stop()
        await machine.until(lambda s: s.alarms)
        with pytest.raises(DriverRefused, match="position is not known"):
            await machine.driver.unlock()
        await machine.driver.home()
        assert machine.state.homed


async def test_a_line_that_fits_no_buffer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        machine.driver._controller.identity.rx_bytes = 40
        with pytest.raises(ProgramRejected, match="receive buffer"):
            await machine.driver.run_program(program("G0X-1", "G1X-10.000000000000000Y-10.00000000000F100"))
        await machine.driver.run_program(program("G1X-10.0000000Y-10.0000000F2000"))
        assert (await sim.truth())["max_rx_fill"] <= 40  # type: ignore[operator]
