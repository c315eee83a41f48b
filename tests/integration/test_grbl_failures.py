# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver against a simulated controller that misbehaves as controllers and cables do."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import serial

from edge.domain.errors import DriverRefused, ProgramFailed, ProgramInterrupted, StopNotDelivered
from edge.domain.machine import Availability, Execution, Fault, MachineState
from tests.support.grbl import LONG, Simulator, Stranger, Watched, eventually, program, running, simulator


async def cutting(machine: Watched) -> asyncio.Task[None]:
    """Start a long program and wait until it moves."""
    job = asyncio.create_task(machine.driver.run_program(LONG))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed and s.line and s.line > 13)
    return job


async def locked(machine: Watched) -> None:
    """Wait for a report that says Alarm: the controller answers again."""
    count = len(machine.states)
    await eventually(lambda: any(s.execution is Execution.STOPPED for s in machine.states[count + 1 :]))


def ready(state: MachineState) -> bool:
    return state.availability is Availability.AVAILABLE and state.execution in (Execution.READY, Execution.STOPPED)


async def test_error_holds_resets_and_names_the_line(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim, running(sim.port) as machine:
        await machine.homed()
        bad = program("G21G90", "G53G0X-10", "G1X-100F500", "G1Y-", "G1X-200")
        with pytest.raises(ProgramFailed, match="line 14 'G1Y-'") as failed:
            await machine.driver.run_program(bad)
        assert failed.value.source_line == 14
        received = sim.received().replace("?", "")
        assert received.index("!") < received.index("\x18")
        assert machine.state.execution is Execution.READY
        assert machine.state.homed
        assert machine.state.fault is Fault.NONE
        truth = await sim.truth()
        assert truth["mpos_steps_mm"][0] > -100  # type: ignore[index]
        said = [entry for entry in sim.wire() if "!" in entry["data"] or "error" in entry["data"]]
        assert [entry["dir"] for entry in said][:2] == ["tx", "rx"]


async def test_soft_limit_alarm_keeps_the_position_and_can_be_unlocked(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--set", "$20=1") as sim, running(sim.port) as machine:
        await machine.homed()
        with pytest.raises(ProgramFailed, match="ALARM:2"):
            await machine.driver.run_program(program("G53G0X-20", "G53G0X-2000"))
        state = await machine.until(lambda s: s.execution is Execution.STOPPED and s.pins == frozenset() and s.alarms)
        assert state.alarms[0].position_kept
        await eventually(lambda: str(sim.wire()).count("to unlock") == 2)
        await locked(machine)
        await machine.driver.unlock()
        assert machine.state.execution is Execution.READY
        assert machine.state.homed
        await machine.driver.unlock()


async def test_hard_limit_alarm_loses_the_position(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--set", "$21=1", speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = await cutting(machine)
        sim.ctl("limit x on")
        with pytest.raises(ProgramInterrupted, match="ALARM:1"):
            await job
        assert not machine.state.homed
        # The first lock is that of the boot, the second that after the driver's reset.
        await eventually(lambda: str(sim.wire()).count("to unlock") == 2)
        sim.ctl("limit x off")
        await locked(machine)
        with pytest.raises(DriverRefused, match="limit switch"):
            await machine.driver.unlock()
        await machine.driver.home()
        assert machine.state.homed


async def test_unplug_fails_the_program_and_needs_a_person(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = await cutting(machine)
        sim.ctl("unplug")
        with pytest.raises(ProgramInterrupted, match="gone"):
            await job
        assert machine.state.availability is Availability.UNAVAILABLE
        assert machine.state.fault is Fault.FAULT
        assert machine.guardian.watched == {}
        with pytest.raises(StopNotDelivered):
            machine.driver.hold()
        with pytest.raises(StopNotDelivered):
            await machine.driver.stop()
        sim.ctl("plug")
        await machine.until(ready)
        assert "router" in machine.guardian.watched
        assert machine.state.fault is Fault.FAULT
        assert "connection was lost" in machine.state.fault_reason
        assert not machine.state.homed
        with pytest.raises(DriverRefused, match="fault"):
            await machine.driver.home()
        machine.driver.clear_fault()
        assert machine.state.fault is Fault.NONE
        await machine.driver.home()
        assert machine.state.homed


async def test_a_driver_that_is_cancelled_while_its_connection_ends_does_end() -> None:
    """A task group of CPython 3.11 drops the cancellation that comes while it ends by itself."""
    with Stranger(Forgetful(0)) as stranger:
        async with running(stranger.port, welcome_s=0.1) as machine:
            await machine.available()
            machine.driver._controller.close("the port is gone")
            for _ in range(2):
                await asyncio.sleep(0)


@pytest.mark.parametrize("event", ["powercycle", "button reset press"])
async def test_a_restart_in_mid_program(tmp_path: Path, event: str) -> None:
    async with simulator(tmp_path, "--set", "$22=0", speed=10) as sim, running(sim.port) as machine:
        await machine.available()
        job = asyncio.create_task(machine.driver.run_program(program("G1X-200F600", "G1Y-150")))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
        sim.ctl(event)
        with pytest.raises(ProgramInterrupted, match=r"restarted by itself|ALARM:3"):
            await job
        await machine.until(ready)
        assert not machine.state.homed
        assert "!" not in sim.received()
        if event == "powercycle":
            assert machine.state.fault is Fault.FAULT
            machine.driver.clear_fault()
        await machine.until(lambda s: s.fault is Fault.NONE)


async def test_restart_while_idle_is_a_fault_and_settings_are_read_again(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port) as machine:
        await machine.homed()
        sim.ctl("powercycle")
        await machine.until(lambda s: s.fault is Fault.FAULT and ready(s))
        assert not machine.state.homed
        await eventually(lambda: sim.received().count("$$\n") == 2)


async def test_controller_held_in_reset_is_unknown_until_it_starts(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        job = await cutting(machine)
        sim.ctl("estop on")
        with pytest.raises(ProgramInterrupted, match="stopped answering"):
            await job
        await machine.until(lambda s: s.availability is Availability.UNAVAILABLE)
        assert machine.state.fault is Fault.FAULT
        sim.ctl("estop off")
        await machine.until(ready)
        assert not machine.state.homed


async def test_lost_acknowledgements_never_freeze_a_program(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=20) as sim, running(sim.port, stall_s=1.0) as machine:
        await machine.homed()
        lines = [f"G53G1X-{10 + number % 40}F3000" for number in range(400)]
        sim.ctl("noise 0.003")
        with pytest.raises((ProgramFailed, ProgramInterrupted)) as failed:
            await machine.driver.run_program(program(*lines))
        sim.ctl("noise 0")
        assert failed.value.reason
        await machine.until(ready)


class Forgetful:
    """A controller that stands still and loses one acknowledgement; `instead` is what comes in its place."""

    def __init__(self, lost: int, instead: bytes = b"") -> None:
        self._lost = lost
        self._instead = instead
        self._lines = 0
        self._held = False

    def __call__(self, data: bytes) -> bytes:
        answer = b""
        for line in data.replace(b"?", b"?\n").replace(b"!", b"!\n").replace(b"\x18", b"\x18\n").splitlines():
            match line:
                case b"?":
                    answer += b"<Hold:0|MPos:0,0,0>\r\n" if self._held else b"<Idle|MPos:0,0,0|FS:0,0>\r\n"
                case b"!":
                    self._held = True
                case b"\x18":
                    self._held = False
                    answer += b"\r\nGrbl 1.1h ['$' for help]\r\n"
                case b"$I":
                    answer += b"[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\nok\r\n"
                case b"$$":
                    numbers = (1, 11, 12, 13, 22, 30, 100, 101, 102, 110, 111, 112, 120, 121, 122, 130, 131, 132)
                    answer += b"".join(b"$%d=0\r\n" % number for number in numbers) + b"ok\r\n"
                case b"$#":
                    answer += b"[TLO:0.000]\r\nok\r\n"
                case b"$G":
                    answer += b"ok\r\n"
                case _:
                    self._lines += 1
                    answer += self._instead if self._lines == self._lost else b"ok\r\n"
        return answer


@pytest.mark.parametrize("lost", [1, 7, 20])
async def test_one_lost_ok_ends_in_a_reason_instead_of_silence(lost: int) -> None:
    with Stranger(Forgetful(lost)) as stranger:
        async with running(stranger.port, welcome_s=0.1, stall_s=1.0) as machine:
            await machine.available()
            with pytest.raises(ProgramInterrupted, match="none of 1 lines was acknowledged"):
                await machine.driver.run_program(program(*("G1X1" for _ in range(20))))
            assert machine.state.execution is Execution.READY
            heard = stranger.heard.replace(b"?", b"")
            assert heard.endswith(b"!\x18")


@pytest.mark.parametrize("instead", [b"o\r\n", b"k\r\n", b"gk\r\n", b"errr:9\r\n", b"\xefk\r\n"])
async def test_a_damaged_ok_ends_the_program_at_once(instead: bytes) -> None:
    with Stranger(Forgetful(7, instead)) as stranger:
        async with running(stranger.port, welcome_s=0.1, stall_s=60) as machine:
            await machine.available()
            with pytest.raises(ProgramInterrupted, match=r"a damaged reply came in, .*bad cable"):
                await machine.driver.run_program(program(*("G1X1" for _ in range(20))))
            assert machine.state.execution is Execution.READY
            assert machine.state.link is not None
            assert machine.state.link.damaged == 1
            heard = stranger.heard.replace(b"?", b"")
            assert heard.endswith(b"!\x18")


async def test_an_axis_that_leaves_its_travel_is_stopped(tmp_path: Path) -> None:
    """As after a lost byte that joined two numbers (trace stream_overflow_220); soft limits are off here."""
    async with simulator(tmp_path, speed=10) as sim, running(sim.port) as machine:
        await machine.homed()
        with pytest.raises(ProgramInterrupted, match="an axis left its travel"):
            await machine.driver.run_program(program("G53G1X-90000F3000"))
        assert machine.state.fault is Fault.FAULT
        assert not machine.state.homed
        truth = await sim.truth()
        assert truth["mpos_steps_mm"][0] > -600  # type: ignore[index]


class Deaf(Forgetful):
    """A controller to which the first hold and the first reset never get through."""

    def __init__(self) -> None:
        super().__init__(0)
        self._deaf_to = [b"!", b"\x18"]

    def __call__(self, data: bytes) -> bytes:
        for byte in tuple(self._deaf_to):
            if byte in data:
                data = data.replace(byte, b"", 1)
                self._deaf_to.remove(byte)
        return super().__call__(data)


async def test_stop_bytes_that_get_lost_are_sent_again() -> None:
    with Stranger(Deaf()) as stranger:
        async with running(stranger.port) as machine:
            await asyncio.sleep(0.05)
            stranger.say(b"Grbl 1.1h ['$' for help]\r\n")
            await machine.available()
            await machine.driver.stop()
            assert machine.state.execution is Execution.READY
            heard = stranger.heard.replace(b"?", b"")
            assert heard.endswith(b"!!\x18\x18")


async def test_a_stalled_link_is_stale_and_holds(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim, running(sim.port) as machine:
        await machine.homed()
        job = await cutting(machine)
        sim.ctl("stall 2500")
        await machine.until(lambda s: s.availability is Availability.UNAVAILABLE)
        assert machine.state.machine_position is None
        with pytest.raises(ProgramInterrupted, match="stopped answering"):
            await job
        received = sim.received().replace("?", "")
        assert received.index("!") < received.index("\x18")
        await machine.until(ready)
        assert machine.state.fault is Fault.FAULT


async def test_a_stalled_loop_judges_nobody(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port, stale_s=0.3) as machine:
        await machine.homed()
        count = len(machine.states)
        os.kill(sim.process.pid, signal.SIGCONT)
        blocked = asyncio.get_running_loop().time() + 0.8
        while asyncio.get_running_loop().time() < blocked:
            pass
        await eventually(lambda: len(machine.states) > count + 3)
        assert {s.availability for s in machine.states[count:]} == {Availability.AVAILABLE}


async def test_homing_failure_says_why(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--physical=-900,-900,-900") as sim, running(sim.port) as machine:
        await machine.available()
        with pytest.raises(DriverRefused, match="no limit switch was found"):
            await machine.driver.home()
        await machine.until(ready)
        assert not machine.state.homed
        assert machine.state.execution is Execution.STOPPED


@pytest.mark.parametrize("how", ["hold", "cancel"])
async def test_homing_is_ended_by_a_reset_for_a_hold_would_be_ignored(tmp_path: Path, how: str) -> None:
    async with simulator(tmp_path, speed=2) as sim, running(sim.port) as machine:
        await machine.available()
        homing = asyncio.create_task(machine.driver.home())
        await machine.until(lambda s: s.execution is Execution.ACTIVE)
        await eventually(lambda: "$H" in sim.received())
        if how == "hold":
            machine.driver.hold()
            with pytest.raises(DriverRefused, match="home"):
                await homing
        else:
            homing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await homing
        await eventually(lambda: "!\x18" in sim.received().replace("?", ""))
        await machine.until(lambda s: s.execution is Execution.STOPPED)
        assert not machine.state.homed


async def test_door_while_homing(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--build", "door", speed=4) as sim, running(sim.port) as machine:
        await machine.available()
        homing = asyncio.create_task(machine.driver.home())
        await eventually(lambda: "$H" in sim.received())
        await asyncio.sleep(0.2)
        sim.ctl("door open")
        with pytest.raises(DriverRefused, match="door was opened while homing"):
            await homing
        assert not machine.state.homed


async def test_settings_lost_need_a_person() -> None:
    """As in trace boot_first_empty_eeprom."""
    with Stranger(Forgetful(0)) as stranger:
        async with running(stranger.port) as machine:
            await asyncio.sleep(0.05)
            stranger.say(b"error:7\r\n$0=10\r\n\r\nGrbl 1.1h ['$' for help]\r\n>:error:7\r\n>:error:7\r\n")
            await machine.available()
            assert machine.state.fault is Fault.FAULT
            assert "lost its settings" in machine.state.fault_reason
            with pytest.raises(DriverRefused, match="fault"):
                await machine.driver.run_program(program("G0X-1"))


async def test_port_missing_then_plugged(tmp_path: Path) -> None:
    async with running(tmp_path / "port") as machine:
        state = await machine.until(lambda s: "there is no port" in s.fault_reason)
        assert (state.availability, state.fault) == (Availability.UNAVAILABLE, Fault.NONE)
        async with simulator(tmp_path):
            await machine.available()
            assert machine.state.fault is Fault.NONE


async def test_port_busy(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim:
        with serial.Serial(str(sim.port), 115200, exclusive=True):
            async with running(sim.port) as machine:
                await machine.until(lambda s: "in use by another program" in s.fault_reason)


@pytest.mark.parametrize("path", ["/dev/null", "/"])
async def test_no_serial_port(path: str) -> None:
    async with running(Path(path)) as machine:
        await machine.until(lambda s: "is not a serial port" in s.fault_reason)


async def test_another_device_is_named_by_what_it_answers() -> None:
    with Stranger(lambda _: b"echo:Unknown command: $I\r\nok\r\n") as stranger:
        async with running(stranger.port, welcome_s=0.2, reply_s=0.3) as machine:
            state = await machine.until(lambda s: s.fault_reason)
            assert "has no GRBL controller: it answers 'echo:Unknown command: $I'" in state.fault_reason
            assert b"\x18" not in stranger.heard


async def test_a_silent_device_is_asked_and_reset_once() -> None:
    with Stranger(lambda _: b"") as stranger:
        async with running(stranger.port, welcome_s=0.2, reply_s=0.2, retry_s=60) as machine:
            state = await machine.until(lambda s: s.fault_reason)
            assert "nothing answers there" in state.fault_reason
            assert stranger.heard.rstrip(b"?") == b"?$I\n\x18"


async def test_an_old_grbl_is_refused() -> None:
    def answer(data: bytes) -> bytes:
        return b"ok\r\n" * data.count(b"\n")

    with Stranger(answer) as stranger:
        async with running(stranger.port) as machine:
            await asyncio.sleep(0.05)
            stranger.say(b"\r\nGrbl 0.9j ['$' for help]\r\n")
            await machine.until(lambda s: "GRBL 1.1 is needed" in s.fault_reason)


async def adopted(sim: Simulator, before: str) -> MachineState:
    """Let a first life of the driver end as `before` says, and return what a second one finds."""
    async with running(sim.port, welcome_s=0.3) as machine:
        await machine.homed()
        if before == "running":
            await cutting(machine)
            # A process that is killed says nothing more: keep the hold of an orderly end from the wire.
            controller = machine.driver._controller
            assert controller.job is not None
            controller.job.fail("killed")
    async with running(sim.port, welcome_s=0.3) as machine:
        return await machine.until(ready)


async def test_a_controller_in_mid_life_is_adopted_without_reset_of_the_board(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim:
        state = await adopted(sim, "idle")
        assert state.fault is Fault.NONE
        assert not state.homed
        assert state.machine_position is not None
        assert state.machine_position.x == -2.0
        truth = await sim.truth()
        assert truth["mcu_restarts"] == 1
        received = sim.received().replace("?", "")
        assert received.index("!") < received.index("\x18")


async def test_a_controller_found_moving_is_stopped_and_needs_a_person(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=10) as sim:
        state = await adopted(sim, "running")
        assert state.fault is Fault.FAULT
        assert "found in Run" in state.fault_reason
        assert state.execution is Execution.READY
        truth = await sim.truth()
        assert truth["mcu_restarts"] == 1
        assert truth["lost_steps"] == 0
