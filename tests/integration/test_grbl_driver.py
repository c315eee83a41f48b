# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver against a simulated controller behind a real pty: what it does when all goes well."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, ProgramFailed, ProgramRejected, StopNotDelivered
from edge.domain.inputs import InputSample
from edge.domain.machine import Capability, ControllerMode, DoorState, Execution, Fault, Position, SpindleCommand
from edge.drivers.grbl import GrblPinInputs
from edge.drivers.grbl.opening import LinkError
from edge.services.clock import SystemClock
from tests.support.grbl import LONG, eventually, program, running, simulator


async def test_connect_reads_all_and_waits_for_homing(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        state = await machine.available()
        info = machine.driver.info()
        assert info.controller.startswith("Grbl 1.1h")
        assert info.travel is not None
        assert info.travel.low == Position(-300, -200, -80)
        assert info.motion is not None
        assert Capability.HOME in info.capabilities
        assert state.execution is Execution.STOPPED
        assert [alarm.code for alarm in state.alarms] == ["LOCKED"]
        assert not state.homed
        with pytest.raises(DriverRefused, match="position is not known"):
            await machine.driver.unlock()
        with pytest.raises(DriverRefused, match="Alarm"):
            await machine.driver.run_program(program("G0X-1"))
        received = sim.received()
        assert [query for query in ("$I\n", "$$\n", "$#\n", "$G\n") if query not in received] == []
        assert "\x18" not in received


async def test_home_then_run_a_program_to_its_end(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        state = await machine.homed()
        assert state.homed
        assert state.execution is Execution.READY
        assert any(s.execution is Execution.ACTIVE and s.mode is ControllerMode.MANUAL for s in machine.states)
        lines = ["G21G90", "M3S500", "G4P0.2", *(f"G53G0X-{x}Y-{x}" for x in range(10, 60)), "M5", "M30"]
        await machine.driver.run_program(program(*lines))
        assert (await sim.truth())["mpos_steps_mm"] == [-59.0, -59.0, -2.0]
        assert "".join(f"{line}\n" for line in lines) + "G4 P0.01\n" in sim.received().replace("?", "")
        active = [s for s in machine.states if s.execution is Execution.ACTIVE and s.mode is ControllerMode.AUTOMATIC]
        assert active
        assert {s.program for s in active} == {"test"}
        assert {s.total_lines for s in active} == {11 + len(lines) - 1}
        progress = [s.progress for s in active if s.progress is not None]
        assert progress == sorted(progress)
        completed = [s for s in machine.states if s.execution is Execution.PROGRAM_COMPLETED]
        assert {s.progress for s in completed} == {1.0}
        await machine.until(lambda s: s.execution is Execution.READY)
        assert machine.state.program is None
        assert machine.state.fault is Fault.NONE


async def test_hold_is_written_at_once_and_resume_goes_on(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.spindle is SpindleCommand.CLOCKWISE)
        machine.driver.hold()
        state = await machine.until(lambda s: s.execution is Execution.FEED_HOLD and s.feed == 0)
        assert state.mode is ControllerMode.AUTOMATIC
        assert not job.done()
        await machine.driver.resume()
        await machine.until(lambda s: s.execution is Execution.ACTIVE)
        await machine.driver.resume()
        await job
        assert (await sim.truth())["mpos_steps_mm"] == [-10.0, -10.0, -5.0]


async def test_stop_keeps_the_position(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.line and s.line > 13)
        await asyncio.gather(machine.driver.stop(), machine.driver.stop())
        with pytest.raises(ProgramFailed, match="it was stopped"):
            await job
        state = machine.state
        assert (state.execution, state.homed, state.alarms) == (Execution.READY, True, ())
        truth = await sim.truth()
        assert truth["spindle"] == "off"
        assert truth["lost_steps"] == 0
        wire = sim.received()
        assert wire.index("!") < wire.index("\x18")
        # Nothing of the old program is left anywhere.
        await machine.driver.run_program(program("G53G0X-5Y-5"))
        assert (await sim.truth())["mpos_steps_mm"][:2] == [-5.0, -5.0]  # type: ignore[index]


async def test_a_program_that_was_stopped_while_it_was_checked_never_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        checked = asyncio.Event()

        async def slow_check(_program: object, _window: int) -> None:
            await checked.wait()

        monkeypatch.setattr("edge.drivers.grbl.driver.screen", slow_check)
        job = asyncio.create_task(machine.driver.run_program(program("G53G0X-50")))
        await asyncio.sleep(0)
        await machine.driver.stop()
        await machine.until(lambda s: s.execution is Execution.READY)
        checked.set()
        with pytest.raises(DriverRefused, match="stopped or started again before the first line"):
            await job
        assert "G53G0X-50" not in sim.received()


async def test_a_stop_that_the_port_does_not_take_still_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.line and s.line > 13)
        with monkeypatch.context() as clogged:

            def full(_: object) -> None:
                raise LinkError("the port takes no more bytes")

            link = machine.driver._controller._link
            clogged.setattr(link, "now", full)
            with pytest.raises(StopNotDelivered):
                await machine.driver.stop()
        with pytest.raises(ProgramFailed, match="it was stopped"):
            await job
        assert machine.state.execution is Execution.READY


async def test_cancelling_a_program_stops_the_machine(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert machine.state.execution is Execution.READY
        assert machine.state.homed


async def test_stop_while_nothing_runs_leaves_nothing_held(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        machine.driver.hold()
        await machine.until(lambda s: s.execution is Execution.FEED_HOLD)
        with pytest.raises(DriverRefused, match="Hold"):
            await machine.driver.home()
        await machine.driver.stop()
        assert machine.state.execution is Execution.READY
        assert machine.state.homed


async def test_program_stop_m0_waits_for_a_person(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(program("G53G0X-20", "M0", "G53G0X-30")))
        await machine.until(lambda s: s.execution is Execution.INTERRUPTED)
        assert not job.done()
        await machine.driver.resume()
        await job
        assert (await sim.truth())["mpos_steps_mm"][0] == -30.0  # type: ignore[index]


async def test_what_is_refused_before_the_wire(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--set", "$22=0") as sim, running(sim.port) as machine:
        with pytest.raises(DriverUnavailable):
            await machine.driver.run_program(program("G0X-1"))
        with pytest.raises(StopNotDelivered):
            machine.driver.hold()
        await machine.available()
        assert Capability.HOME not in machine.driver.info().capabilities
        with pytest.raises(DriverRefused, match="homing is switched off"):
            await machine.driver.home()
        before = sim.received().replace("?", "")
        for line in ("G10L20P1X0", "G1X1(watch out!)", "$H", "X" * 80):
            with pytest.raises(ProgramRejected, match="line 12"):
                await machine.driver.run_program(program("G21", line))
        assert sim.received().replace("?", "") == before
        await machine.driver.unlock()
        await machine.driver.resume()
        assert sim.received().replace("?", "") == before


async def test_one_command_at_a_time(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE)
        for command in (machine.driver.home(), machine.driver.unlock(), machine.driver.run_program(LONG)):
            with pytest.raises(DriverRefused, match="busy"):
                await command
        await job


async def test_door_interrupts_and_closing_does_not_resume(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--build", "door", speed=10) as sim, running(sim.port, door_pin=True) as machine:
        await machine.homed()
        assert machine.state.door is DoorState.CLOSED
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
        sim.ctl("door open")
        await machine.until(lambda s: s.execution is Execution.INTERRUPTED and s.door is DoorState.OPEN)
        with pytest.raises(DriverRefused, match="door"):
            await machine.driver.resume()
        await machine.until(lambda s: s.feed == 0)
        sim.ctl("door closed")
        await machine.until(lambda s: s.door is DoorState.CLOSED)
        assert machine.state.execution is Execution.INTERRUPTED
        await machine.driver.resume()
        await machine.until(lambda s: s.execution is Execution.ACTIVE)
        await machine.driver.stop()
        with pytest.raises(ProgramFailed):
            await job


async def test_home_behind_an_open_door_is_refused_and_not_left_to_start(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--build", "door", speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        sim.ctl("door open")
        await machine.until(lambda s: s.door is DoorState.OPEN)
        with pytest.raises(DriverRefused, match="Door"):
            await machine.driver.home()
        sim.ctl("door closed")
        await machine.until(lambda s: s.door is DoorState.CLOSED)
        await machine.driver.resume()
        await machine.until(lambda s: s.execution is Execution.READY)
        assert sim.received().count("$H") == 1


async def test_pins_are_reported_as_inputs(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--build", "door", speed=10) as sim:
        async with running(sim.port, door_pin=True, stop_pin=True) as machine:
            samples: list[InputSample] = []
            inputs = GrblPinInputs(machine.driver, "controller", SystemClock())
            task = asyncio.create_task(inputs.run(samples.append))

            def newest(name: str) -> bool | None:
                return [sample.healthy for sample in samples if sample.name == name][-1]

            await eventually(lambda: samples)
            assert newest("door") is None
            await machine.available()
            await eventually(lambda: newest("door") is True and newest("stop-circuit") is True)
            homing = asyncio.create_task(machine.driver.home())
            await machine.until(lambda s: s.execution is Execution.ACTIVE)
            count = len(samples)
            await eventually(lambda: homing.done() or len(samples) > count + 4)
            assert newest("door") is True
            gaps = [b.taken_ns - a.taken_ns for a, b in zip(samples[count:], samples[count + 2 :], strict=False)]
            assert max(gaps, default=0) < 1_000_000_000
            await homing
            sim.ctl("door open")
            await eventually(lambda: newest("door") is False)
            sim.ctl("unplug")
            await eventually(lambda: newest("door") is None)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
