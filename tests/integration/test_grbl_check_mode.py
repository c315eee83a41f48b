# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller's own check of a program, against a simulated controller behind a real pty: nothing ever moves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, ProgramRejected
from edge.domain.hand import OverrideKind
from edge.domain.machine import Availability, Capability, Execution, Overrides, Position
from edge.domain.ports import ProgramText
from tests.support.grbl import Simulator, Watched, eventually, program, running, simulator

LONG = program("G21G90", "G1F800", *(f"G1X{-10 - number % 50}" for number in range(20_000)))


@asynccontextmanager
async def homed(
    folder: Path, *arguments: str, speed: float = 10.0, **settings: object
) -> AsyncIterator[tuple[Simulator, Watched]]:
    async with simulator(folder, *arguments, speed=speed) as sim, running(sim.port, **settings) as machine:
        await machine.homed()
        yield sim, machine


def quiet(_lines: int) -> None:
    pass


async def place(sim: Simulator) -> object:
    return (await sim.truth())["mpos_steps_mm"]


@asynccontextmanager
async def reading(machine: Watched, text: ProgramText = LONG) -> AsyncIterator[asyncio.Task[object]]:
    """Let the controller read a long program, and go on once it has read some lines."""
    read: list[int] = []
    task: asyncio.Task[object] = asyncio.create_task(machine.driver.check_program(text, read.append))
    await eventually(lambda: len(read) > 20 or task.done())
    assert not task.done()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_ready(machine: Watched) -> bool:
    state = machine.state
    return state.availability is Availability.AVAILABLE and state.execution is Execution.READY


async def test_a_good_program_is_read_and_nothing_moves(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        assert Capability.CHECK_MODE in machine.driver.info().capabilities
        before, told, states = await place(sim), list[int](), len(machine.states)
        text = program("G21G90", "M3S800", "G1X-50F500", "G4P2", "G91G2X-10I-5", "M5", "M30")
        assert await machine.driver.check_program(text, told.append) == ()
        assert told == [1, 2, 3, 4, 5, 6, 7]
        assert await place(sim) == before
        assert (await sim.truth())["spindle"] == "off"
        assert machine.state.homed
        assert is_ready(machine)
        wire = sim.received().replace("?", "")
        assert wire.count("$C\n") == 1
        assert "\x18" in wire[wire.index("$C\n") :]
        assert not any(state.in_motion for state in machine.states[states:])


async def test_what_it_refuses_is_told_with_line_and_error(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        before = await place(sim)
        refused = await machine.driver.check_program(program("G21G90", "G1X", "G99", "G1X-10", "G91X-1F100"), quiet)
        assert [(item.line, item.error) for item in refused] == [(12, 2), (13, 20), (14, 22)]
        assert all(item.text for item in refused)
        assert await place(sim) == before
        # The modes of the program are gone: the next one begins where it was checked to begin.
        await machine.driver.run_program(program("G1X-8F900"))
        assert await place(sim) == [-8.0, *(before[1:] if isinstance(before, list) else ())]


async def test_offsets_and_overrides_come_back_that_its_reset_forgets(tmp_path: Path) -> None:
    async with homed(tmp_path) as (_, machine):
        await machine.driver.run_program(program("G92X5Y6Z7", "G4P0.01"))
        await machine.driver.override(OverrideKind.FEED, 70)
        await machine.driver.override(OverrideKind.RAPID, 50)
        state = await machine.until(lambda state: state.work_offset and state.work_offset != Position(0, 0, 0))
        before = state.work_offset
        assert await machine.driver.check_program(program("G21G90", "G92X0", "G49", "G1X2F100"), quiet) == ()
        assert machine.state.overrides == Overrides(70, 50, 100)
        await machine.until(lambda state: state.work_offset == before, "the offset of before")
        assert is_ready(machine)


async def test_with_a_tool_length_left_it_is_not_asked(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        await machine.driver._gate.command("G43.1Z1.5")
        with pytest.raises(DriverRefused, match=r"a tool length of 1\.50 mm is left in it"):
            await machine.driver.check_program(program("G21G90", "G1X2F100"), quiet)
        assert "$C\n" not in sim.received()


async def test_a_check_that_is_given_up_brings_back_what_leaving_forgets(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        await machine.driver.run_program(program("G92X5Y6Z7", "G4P0.01"))
        await machine.driver.override(OverrideKind.FEED, 70)
        state = await machine.until(lambda state: state.work_offset and state.work_offset != Position(0, 0, 0))
        before, place_before = state.work_offset, await place(sim)
        async with reading(machine) as task:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await machine.until(lambda _: is_ready(machine), "ready")
        await machine.until(lambda state: state.work_offset == before, "the offset of before")
        assert machine.state.overrides == Overrides(70, 100, 100)
        assert await place(sim) == place_before


async def test_a_check_that_is_given_up_while_the_machine_is_stopped_sends_nothing_more(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        await machine.driver.run_program(program("G92X5Y6Z7", "G4P0.01"))
        async with reading(machine) as task:
            stopping = asyncio.create_task(machine.driver.stop())
            await eventually(lambda: machine.driver._gate.halting or task.done())
            task.cancel()
            with pytest.raises((asyncio.CancelledError, DriverRefused)):
                await task
            await stopping
        await machine.until(lambda _: is_ready(machine), "ready")
        wire = sim.received().replace("?", "")
        assert "G92" not in wire[wire.rindex("\x18") :]


@pytest.mark.parametrize("error", [DriverRefused, DriverUnavailable])
async def test_what_goes_wrong_at_the_end_of_a_check_that_is_given_up_is_said(
    tmp_path: Path, error: type[DriverRefused | DriverUnavailable], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise error(machine_id="router", command="check", reason="it does not come back")

    async with homed(tmp_path) as (_, machine):
        machine.driver._check_mode._restore_overrides = fail  # type: ignore[method-assign,assignment]
        async with reading(machine) as task:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert "it does not come back" in caplog.text
        # What did not reach the controller needs a person.
        assert bool(machine.state.fault_reason) == (error is DriverUnavailable)


async def test_a_zero_that_comes_back_a_tenth_off_is_refused_in_inches_too(tmp_path: Path) -> None:
    async with homed(tmp_path, "--set", "$13=1") as (_, machine):
        await machine.driver.run_program(program("G21", "G92X5Y6Z7", "G4P0.01"))
        state = await machine.until(lambda state: state.work_offset and state.work_offset != Position(0, 0, 0))
        offset = state.work_offset
        assert offset is not None
        assert await machine.driver.check_program(program("G21G90", "G1X2F100"), quiet) == ()
        check = machine.driver._check_mode
        reading = await check._gate.drained("a test")
        assert reading.work_offset is not None
        assert reading.work_offset.x == pytest.approx(offset.x, abs=0.01)
        shift = await check._shift()
        assert shift[0] == pytest.approx(offset.x, abs=0.01)
        assert reading.work_position is not None
        off = replace(reading, work_position=replace(reading.work_position, x=reading.work_position.x + 0.1))
        with pytest.raises(DriverRefused, match="set the zero again"):
            await check._restore_zero(off, shift)


@pytest.mark.parametrize("line", ["G10L20P1X0", "G28.1", "G30.1", "$100=250", "$C", "G1X!"])
async def test_what_acts_in_check_mode_too_never_reaches_the_wire(tmp_path: Path, line: str) -> None:
    async with homed(tmp_path) as (sim, machine):
        with pytest.raises(ProgramRejected):
            await machine.driver.check_program(program("G21", line), quiet)
        assert "$C\n" not in sim.received()


async def test_a_stop_meanwhile_stops(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        before = await place(sim)
        async with reading(machine) as task:
            await machine.driver.stop()
            with pytest.raises(DriverRefused, match="stopped or started again"):
                await task
        assert await place(sim) == before
        await machine.until(lambda _: is_ready(machine), "ready")
        assert machine.state.homed
        wire = sim.received().replace("?", "")
        assert "G1" not in wire[wire.rindex("\x18") :]


async def test_a_cancelled_check_leaves_its_mode(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        before = await place(sim)
        async with reading(machine) as task:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await machine.until(lambda _: is_ready(machine), "ready")
        assert await place(sim) == before


async def test_a_lost_link_ends_it_and_the_mode_is_left_at_the_next(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        async with reading(machine) as task:
            sim.ctl("unplug")
            with pytest.raises(DriverUnavailable):
                await task
        sim.ctl("plug")
        await machine.available()
        machine.driver.clear_fault()
        await machine.driver.stop()
        state = await machine.until(lambda state: state.taken_ns and state.execution is not Execution.UNAVAILABLE)
        assert not state.in_motion
        wire = sim.received().replace("?", "")
        assert "G1" not in wire[wire.rindex("\x18") :]


async def test_a_move_beyond_the_soft_limits_is_an_alarm_that_keeps_the_position(tmp_path: Path) -> None:
    async with homed(tmp_path, "--set", "$20=1") as (sim, machine):
        before = await place(sim)
        with pytest.raises(DriverRefused, match=r"line 13: .*ALARM:2"):
            await machine.driver.check_program(program("G21G90", "G1X-10F500", "G1X9000", "G1X-20"), quiet)
        await machine.until(lambda state: state.alarms and state.execution is Execution.STOPPED, "locked")
        assert machine.state.homed
        assert await place(sim) == before
        assert "G1X-20\n" not in sim.received().replace("?", "")
        await eventually(lambda: machine.driver._controller.condition.current is not None)
        await machine.driver.unlock()
        assert is_ready(machine)


async def test_a_controller_that_answers_nothing_ends_it(tmp_path: Path) -> None:
    async with homed(tmp_path, reply_s=0.5) as (sim, machine):
        async with reading(machine) as task:
            os.kill(sim.process.pid, signal.SIGSTOP)
            try:
                with pytest.raises((DriverUnavailable, DriverRefused)):
                    await asyncio.wait_for(asyncio.shield(task), 30)
            finally:
                os.kill(sim.process.pid, signal.SIGCONT)
        await machine.until(lambda _: is_ready(machine) or machine.state.alarms, "heard again")
        wire = sim.received().replace("?", "")
        assert wire.rstrip("?!").endswith("\x18") or "G1" not in wire[wire.rindex("\x18") :]


async def test_a_controller_that_starts_again_meanwhile_is_sent_nothing_more(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        before = await place(sim)
        async with reading(machine) as task:
            sim.ctl("powercycle")
            with pytest.raises(DriverRefused):
                await task
        await machine.available()
        assert (await sim.truth())["physical_mm"] is not None
        assert await place(sim) in ([0.0, 0.0, 0.0], before)


async def test_it_has_to_be_idle_and_alone(tmp_path: Path) -> None:
    async with homed(tmp_path) as (sim, machine):
        async with reading(machine):
            with pytest.raises(DriverRefused, match="busy: check a program"):
                await machine.driver.check_program(program("G21"), quiet)
            with pytest.raises(DriverRefused, match="busy: check a program"):
                await machine.driver.run_program(program("G21"))
        await machine.until(lambda _: is_ready(machine), "ready")
        machine.driver.hold()
        await machine.until(lambda state: state.execution is Execution.FEED_HOLD, "held")
        with pytest.raises(DriverRefused, match="it is in Hold"):
            await machine.driver.check_program(program("G21"), quiet)
        assert sim.received().count("$C\n") == 1
