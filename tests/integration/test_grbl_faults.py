# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault on the line and at the machine, and its defined end.

In each of them: motion is asked to stop where there is a wire, the program ends with a reason in plain words, the
position is trusted only where it is true, nothing but questions is sent until a person acts, and no line of the
program is ever sent twice. docs/how-to/recover.md says the same to the operator.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, ProgramFailed, ProgramInterrupted, ProgramRejected
from edge.domain.machine import Availability, DoorState, Execution, Fault, LinkGrade, MachineState
from edge.domain.ports import ProgramText
from edge.drivers.grbl.identity import QUERIES
from tests.support.grbl import Simulator, Watched, eventually, program, running, simulator
from tests.support.meddler import Meddler, Swallow, untouched, wrong_baud

REALTIME = str.maketrans("", "", "?!~\x18\x85")


def cut(lines: int = 1500) -> ProgramText:
    """Return a program of short moves, no two lines alike, which stays in X -10..-60 and Y -10..-160."""
    text = [f"G1X{-10 - (number % 100) / 2:.1f}Y{-10 - number / 10:.1f}F1500" for number in range(lines)]
    return program("G21G90", "M3S800", "G53G0X-10Y-10Z-5", *text, "M5")


async def cutting(machine: Watched, text: ProgramText) -> asyncio.Task[None]:
    """Start `text` and wait until it cuts."""
    job = asyncio.create_task(machine.driver.run_program(text))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed and s.line and s.line > 20)
    return job


def ready(state: MachineState) -> bool:
    return state.availability is Availability.AVAILABLE and state.execution in (Execution.READY, Execution.STOPPED)


@dataclass
class Case:
    """What is done to the machine in a cut, and what has to come of it."""

    inject: Callable[[Simulator], None]
    error: type[Exception]
    reason: str
    homed: bool
    stops: str
    """The bytes that stop motion, in their order on the wire; "" where the controller stopped by itself."""
    arguments: tuple[str, ...] = ()
    fault: str = ""
    after: Callable[[Simulator], None] = lambda _sim: None
    speed: float = 5.0
    settings: dict[str, object] = field(default_factory=dict)


def control(*lines: str) -> Callable[[Simulator], None]:
    def do(sim: Simulator) -> None:
        for line in lines:
            sim.ctl(line)

    return do


def asked_for(received: str) -> str:
    """Return what stopped motion: the first of each stop byte, in order."""
    return "".join(dict.fromkeys(byte for byte in received if byte in "!\x18"))


def assert_nothing_twice(sim: Simulator, text: ProgramText) -> None:
    """No line of the program reached the wire twice, and none out of order."""
    sent = [line for line in sim.received().translate(REALTIME).split("\n") if line in set(text.lines)]
    assert sent == list(text.lines[: len(sent)])


def assert_only_questions(sim: Simulator, since: float) -> None:
    """Nothing but queries went out since `since` (monotonic): the controller was given nothing to do."""
    received = "".join(entry["data"] for entry in sim.wire() if entry["dir"] == "rx" and float(entry["t"]) > since)
    rest = [line for line in received.translate(REALTIME).split("\n") if line and line not in QUERIES]
    assert rest == []
    assert "~" not in received


async def assert_position_is_true(sim: Simulator, machine: Watched, offset: list[float]) -> None:
    """Where the position is trusted, the controller's count still is where the axes are."""
    if machine.state.homed:
        assert await offset_of(sim) == pytest.approx(offset, abs=0.01)


async def offset_of(sim: Simulator) -> list[float]:
    """Return where the axes are beside where the controller believes them."""
    truth = await sim.truth()
    physical, counted = truth["physical_mm"], truth["mpos_steps_mm"]
    assert isinstance(physical, list)
    assert isinstance(counted, list)
    return [place - count for place, count in zip(physical, counted, strict=True)]


FAULTS = {
    "unplugged": Case(control("unplug"), ProgramInterrupted, "the port is gone", homed=False, stops="",
                        fault="connection was lost", after=control("plug")),
    "brown-out": Case(control("powercycle"), ProgramInterrupted, "restarted by itself", homed=False, stops="",
                        fault="restarted by itself"),
    "reset button": Case(control("button reset press"), ProgramInterrupted, "ALARM:3", homed=False, stops="",
                           after=control("button reset release")),
    "stall": Case(control("stall 5000"), ProgramInterrupted, "stopped answering", homed=False, stops="!\x18",
                    fault="stopped answering"),
    "hard limit": Case(control("limit x on"), ProgramInterrupted, "ALARM:1", homed=False, stops="\x18",
                         arguments=("--set", "$21=1"), after=control("limit x off")),
    "stop circuit": Case(control("estop on"), ProgramInterrupted, "stopped answering", homed=False, stops="",
                           fault="stopped answering", after=control("estop off")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_a_cut_has_its_defined_end(tmp_path: Path, name: str) -> None:
    fault, text = FAULTS[name], cut()
    async with simulator(tmp_path, *fault.arguments, speed=fault.speed) as sim, running(sim.port) as machine:
        await machine.homed()
        offset = await offset_of(sim)
        begun = len(sim.received())
        job = await cutting(machine, text)
        fault.inject(sim)
        with pytest.raises(fault.error, match=fault.reason):
            await job
        ended = time.monotonic()
        assert machine.state.homed is fault.homed
        if fault.fault:
            assert machine.state.fault is Fault.FAULT
            assert fault.fault in machine.state.fault_reason
        await asyncio.sleep(0.2)
        fault.after(sim)
        await machine.until(ready)
        assert machine.state.homed is fault.homed
        await assert_position_is_true(sim, machine, offset)
        if fault.stops:
            await eventually(lambda: asked_for(sim.received()[begun:]) == fault.stops, f"the stop {fault.stops!r}")
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


@pytest.mark.parametrize("bad", ["G1X", "G2X-20R0.1", "G1X-20Q7", "G38.2"])
async def test_an_error_of_the_program_names_its_line_and_keeps_the_position(tmp_path: Path, bad: str) -> None:
    lines = list(cut(200).lines)
    lines.insert(60, bad)
    text = program(*lines)
    async with simulator(tmp_path, speed=5) as sim, running(sim.port) as machine:
        await machine.homed()
        offset = await offset_of(sim)
        begun = len(sim.received())
        with pytest.raises(ProgramFailed, match=r"line 71 .*error:\d") as failed:
            await machine.driver.run_program(text)
        ended = time.monotonic()
        assert failed.value.source_line == 71
        assert machine.state.homed
        await assert_position_is_true(sim, machine, offset)
        assert asked_for(sim.received()[begun:]) == "!\x18"
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


async def test_a_soft_limit_is_the_programs_and_keeps_the_position(tmp_path: Path) -> None:
    lines = list(cut(100).lines)
    lines[40] = "G53G0X-2000"
    text = program(*lines)
    async with simulator(tmp_path, "--set", "$20=1", speed=5) as sim, running(sim.port) as machine:
        await machine.homed()
        offset = await offset_of(sim)
        with pytest.raises(ProgramFailed, match="ALARM:2"):
            await machine.driver.run_program(text)
        ended = time.monotonic()
        await machine.until(lambda s: s.execution is Execution.STOPPED and s.alarms)
        assert machine.state.homed
        await assert_position_is_true(sim, machine, offset)
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


async def test_unplugged_and_plugged_in_again_under_another_name(tmp_path: Path) -> None:
    by_id, text = tmp_path / "usb-router", cut()
    async with simulator(tmp_path, speed=5) as sim:
        by_id.symlink_to(sim.port)
        async with running(by_id) as machine:
            await machine.homed()
            job = await cutting(machine, text)
            sim.ctl("unplug")
            with pytest.raises(ProgramInterrupted, match="the port is gone"):
                await job
            ended = time.monotonic()
            await machine.until(lambda s: "connection was lost" in s.fault_reason)
            other = tmp_path / "port7"
            sim.ctl(f"plug {other}")
            await eventually(other.exists)
            by_id.unlink()
            by_id.symlink_to(other)
            await machine.until(ready)
            assert machine.state.fault is Fault.FAULT
            assert not machine.state.homed
            with pytest.raises(DriverRefused, match="fault"):
                await machine.driver.run_program(text)
            assert_only_questions(sim, ended)
            assert_nothing_twice(sim, text)


async def test_a_brown_out_without_homing_is_not_taken_for_idle_at_zero(tmp_path: Path) -> None:
    text = cut()
    async with simulator(tmp_path, "--set", "$22=0", speed=5) as sim, running(sim.port) as machine:
        await machine.available()
        job = await cutting(machine, text)
        sim.ctl("powercycle")
        with pytest.raises(ProgramInterrupted, match="restarted by itself"):
            await job
        ended = time.monotonic()
        state = await machine.until(lambda s: s.execution is Execution.READY)
        assert not state.homed
        assert state.fault is Fault.FAULT
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("probability", [0.001, 0.01])
async def test_noise_on_the_line(tmp_path: Path, probability: float, seed: int) -> None:
    text = cut()
    async with simulator(tmp_path, "--seed", str(seed), speed=5) as sim, running(sim.port, stall_s=1.0) as machine:
        await machine.homed()
        offset = await offset_of(sim)
        job = await cutting(machine, text)
        sim.ctl(f"noise {probability}")
        with pytest.raises((ProgramFailed, ProgramInterrupted)) as failed:
            await job
        ended = time.monotonic()
        assert failed.value.reason
        sim.ctl("noise 0")
        await machine.until(ready)
        await assert_position_is_true(sim, machine, offset)
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


@asynccontextmanager
async def meddled(
    folder: Path, speed: float = 5.0, **settings: object
) -> AsyncIterator[tuple[Simulator, Meddler, Watched]]:
    """Run a simulator, a driver, and a cable between them that does what the test says."""
    async with simulator(folder, speed=speed) as sim:
        with Meddler(sim.port) as cable:
            async with running(cable.port, welcome_s=0.3, stall_s=1.0, **settings) as machine:
                await machine.homed()
                yield sim, cable, machine


async def test_a_lost_acknowledgement(tmp_path: Path) -> None:
    text = cut(60)
    async with meddled(tmp_path) as (sim, cable, machine):
        offset = await offset_of(sim)
        cable.inward = Swallow(b"ok", skip=10)
        with pytest.raises(ProgramInterrupted, match="nothing moved and none of 1 lines was acknowledged"):
            await machine.driver.run_program(text)
        ended = time.monotonic()
        assert machine.state.homed
        await assert_position_is_true(sim, machine, offset)
        assert sim.received().translate(str.maketrans("", "", "?")).endswith("!\x18")
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


async def test_the_doctor_names_interference_and_holds_before_it_stalls(tmp_path: Path) -> None:
    text = cut()
    async with meddled(tmp_path) as (sim, cable, machine):
        await machine.until(lambda s: s.link and s.link.grade is LinkGrade.GOOD)
        offset = await offset_of(sim)
        job = await cutting(machine, text)
        await machine.until(lambda s: s.link and s.link.latency_spindle_ms is not None)
        broken = time.monotonic()
        cable.inward = lambda line: line.replace(b"ok", b"o")
        with pytest.raises(ProgramInterrupted, match="a damaged reply came in, 'o'"):
            await job
        ended = time.monotonic()
        cable.inward = untouched
        hold = next(float(entry["t"]) for entry in sim.wire() if "!" in entry["data"] and float(entry["t"]) > broken)
        assert hold - broken < 1.0
        health = (await machine.until(ready)).link
        assert health is not None
        assert health.damaged >= 1
        assert health.grade in (LinkGrade.DAMAGED, LinkGrade.BAD)
        assert "interference" in health.cause
        assert health.latency_ms is not None
        assert machine.state.homed
        await assert_position_is_true(sim, machine, offset)
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


async def test_a_damaged_answer_to_homing_is_not_waited_for(tmp_path: Path) -> None:
    async with meddled(tmp_path, speed=20) as (sim, cable, machine):
        cable.inward = lambda line: line.replace(b"ok", b"gk")
        with pytest.raises(DriverRefused, match="came in damaged"):
            await machine.driver.home()
        ended = time.monotonic()
        assert not machine.state.homed
        cable.inward = untouched
        await machine.until(ready)
        assert_only_questions(sim, ended)
        await machine.driver.home()
        assert machine.state.homed


async def test_a_lost_status_report_harms_nothing(tmp_path: Path) -> None:
    text = cut(60)
    async with meddled(tmp_path) as (sim, cable, machine):
        swallow = Swallow(b"<", skip=1, count=3)
        cable.inward = swallow
        await machine.driver.run_program(text)
        assert swallow.lost == 3
        assert machine.state.homed
        assert machine.state.fault is Fault.NONE
        assert_nothing_twice(sim, text)


async def test_status_reports_that_stay_away_hold_the_program(tmp_path: Path) -> None:
    text = cut()
    async with meddled(tmp_path) as (sim, cable, machine):
        job = await cutting(machine, text)
        cable.inward = Swallow(b"<", count=10_000)
        with pytest.raises(ProgramInterrupted, match="stopped answering"):
            await job
        ended = time.monotonic()
        received = sim.received()
        assert received.index("!") < received.rindex("\x18")
        assert machine.state.fault is Fault.FAULT
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


def fill(port: Path) -> None:
    """Write blanks until the port takes no more."""
    descriptor = os.open(port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while os.write(descriptor, b" "):
                pass
    finally:
        os.close(descriptor)


async def test_a_port_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """Its buffer is full: it is emptied for the hold, so that no motion waits in it until it flows again."""
    text = cut()
    async with meddled(tmp_path) as (sim, cable, machine):
        job = await cutting(machine, text)
        cable.deaf(True)
        fill(cable.port)
        with pytest.raises(ProgramInterrupted, match="stopped answering"):
            await job
        ended = time.monotonic()
        assert machine.state.fault is Fault.FAULT
        cable.outward = lambda data: data.replace(b" ", b"")
        cable.deaf(False)
        await machine.until(lambda s: s.availability is Availability.AVAILABLE)
        assert_only_questions(sim, ended)
        assert_nothing_twice(sim, text)


async def test_partial_writes_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """The port has room for a few bytes only, again and again."""
    text = cut(80)
    async with meddled(tmp_path) as (sim, cable, machine):
        job = asyncio.create_task(machine.driver.run_program(text))
        while not job.done():
            cable.deaf(True)
            await asyncio.sleep(0.03)
            cable.deaf(False)
            await asyncio.sleep(0.03)
        await job
        assert_nothing_twice(sim, text)
        assert text.lines[-1] in sim.received()


async def test_a_wrong_baud_rate_is_named(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim:
        with Meddler(sim.port) as cable:
            cable.inward = wrong_baud
            async with running(cable.port, welcome_s=0.3, reply_s=0.3) as machine:
                state = await machine.until(lambda s: "baud" in s.fault_reason)
                assert "115200 baud" in state.fault_reason
                assert state.link is not None
                assert state.link.grade is LinkGrade.BAD
                with pytest.raises(DriverUnavailable):
                    await machine.driver.run_program(cut())
                assert set(sim.received().translate(REALTIME).split("\n")) <= {*QUERIES, ""}


async def test_settings_lost_at_boot(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--empty-eeprom") as sim, running(sim.port) as machine:
        await machine.available()
        await machine.until(lambda s: s.fault is Fault.FAULT)
        assert "lost its settings" in machine.state.fault_reason
        with pytest.raises(DriverRefused, match="lost its settings"):
            await machine.driver.run_program(cut())
        assert_only_questions(sim, 0)


async def test_door_in_idle(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--build", "door") as sim, running(sim.port) as machine:
        await machine.homed()
        sim.ctl("door open")
        await machine.until(lambda s: s.door is DoorState.OPEN)
        opened = time.monotonic()
        for command in (machine.driver.home, lambda: machine.driver.run_program(cut()), machine.driver.resume):
            with pytest.raises(DriverRefused):
                await command()
        sim.ctl("door closed")
        await machine.until(lambda s: s.door is DoorState.CLOSED)
        assert machine.state.homed
        assert machine.state.execution is Execution.INTERRUPTED
        assert_only_questions(sim, opened)


async def test_door_in_a_cut_stops_it_until_a_person_resumes_or_stops(tmp_path: Path) -> None:
    text = cut()
    async with simulator(tmp_path, "--build", "door", speed=5) as sim, running(sim.port) as machine:
        await machine.homed()
        offset = await offset_of(sim)
        job = await cutting(machine, text)
        sim.ctl("door open")
        state = await machine.until(lambda s: s.door is DoorState.OPEN and not s.feed)
        assert state.execution is Execution.INTERRUPTED
        sim.ctl("door closed")
        await machine.until(lambda s: s.door is DoorState.CLOSED)
        place = machine.state.machine_position
        await asyncio.sleep(0.3)
        assert machine.state.machine_position == place
        assert "~" not in sim.received()
        stopped = time.monotonic()
        await machine.driver.stop()
        with pytest.raises(ProgramFailed, match="it was stopped"):
            await job
        assert machine.state.homed
        await assert_position_is_true(sim, machine, offset)
        assert_only_questions(sim, stopped)
        assert_nothing_twice(sim, text)


async def test_a_stock_build_knows_no_door(tmp_path: Path) -> None:
    """Its door is known by the laboratory's own input only; the controller claims nothing about it."""
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        sim.ctl("door open")
        seen = len(machine.states)
        await eventually(lambda: len(machine.states) > seen + 3)
        assert {state.door for state in machine.states} == {DoorState.UNAVAILABLE}


async def test_a_program_is_looked_at_before_its_first_line_goes_out(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        before = time.monotonic()
        with pytest.raises(ProgramRejected):
            await machine.driver.run_program(program("G0X-1", "G0X-2 (watch out!)"))
        assert_only_questions(sim, before)
