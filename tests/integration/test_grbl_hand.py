# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand against a simulated controller behind a real pty."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, ProbeFailed, ProgramFailed
from edge.domain.hand import Axis, Displacement, JogEnd, OverrideKind
from edge.domain.machine import (
    Capability,
    ControllerMode,
    DoorState,
    Execution,
    Fault,
    MachineState,
    Overrides,
    SpindleCommand,
)
from edge.drivers.grbl.jogging import Lease
from tests.support.grbl import LONG, Simulator, Watched, eventually, program, running, simulator

Pair = tuple[Simulator, Watched]


@asynccontextmanager
async def homed(folder: Path, *arguments: str, speed: float = 5.0) -> AsyncIterator[Pair]:
    # The longest lease that may be set: a busy computer is late, and most tests are not about the lease's time.
    async with simulator(folder, *arguments, speed=speed) as sim, running(sim.port, jog_lease_s=0.5) as machine:
        await machine.homed()
        yield sim, machine


@pytest.fixture
async def homed_machine(tmp_path: Path) -> AsyncIterator[Pair]:
    async with homed(tmp_path) as pair:
        yield pair


async def renewed(lease: Lease) -> None:
    """Hold on until the lease ends by itself."""
    while not lease._task.done():
        lease.renew()
        await asyncio.sleep(0.05)


async def moving(machine: Watched, lease: Lease) -> asyncio.Task[None]:
    """Hold on, and return once it has moved; the lease is held on to until it ends by itself."""
    holding = asyncio.create_task(renewed(lease))
    begin = machine.state.machine_position
    assert begin is not None

    def moved(state: MachineState) -> bool:
        at = state.machine_position
        return at is not None and math.dist((at.x, at.y, at.z), (begin.x, begin.y, begin.z)) > 0.5

    await machine.until(moved, "motion")
    return holding


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
    async with homed(tmp_path, speed=1) as (sim, machine):
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
        # GRBL's step generator has 50 ms of motion prepared that nothing takes back (trace jog_stream_cancel); and on a
        # busy computer the cancel reaches the controller some time after it told its place.
        wire = sim.wire()
        cancelled = next(number for number, chunk in enumerate(wire) if "\x85" in chunk["data"])
        told = next(chunk for chunk in wire[cancelled::-1] if chunk["data"].startswith("state"))
        late_s = float(wire[cancelled]["t"]) - float(told["t"])
        assert travelled <= speed**2 / 400 + segment + speed * (late_s + 0.07)
        assert at < -15
        assert machine.state.execution is Execution.READY
        assert all(re.fullmatch(r"\$J=G91G21X-0\.66[67]F1000", line) for line in jogs(sim))


async def test_probe_finds_the_plate_and_leaves_no_mode_behind(tmp_path: Path) -> None:
    async with homed(tmp_path, "--probe-plate=-15", speed=10) as (sim, machine):
        contact = await machine.driver.probe(Displacement(z=-30), 200)
        assert abs(contact.z + 15) < 0.01
        wire = sim.received().replace("?", "")
        assert "G91G21G38.2Z-30F200\n" in wire
        assert wire.index("G38.2") < wire.index("G0G21G90")
        with pytest.raises(ProbeFailed, match="in contact already"):
            await machine.driver.probe(Displacement(z=-5), 100)
        await machine.driver.jog(Displacement(z=5), 1000)
        await machine.driver.set_work_zero({Axis.X: 0.0, Axis.Z: 4.5})
        state = machine.state
        assert state.work_position is not None
        assert (state.work_position.x, state.work_position.z) == (0.0, 4.5)
        assert "G10L20P0X0Z4.5\n" in sim.received().replace("?", "")


@pytest.mark.parametrize("units", ["G20", "G21"])
async def test_a_probe_that_finds_nothing_locks_and_keeps_the_position(tmp_path: Path, units: str) -> None:
    async with homed(tmp_path, speed=10) as (sim, machine):
        await machine.driver.run_program(program(f"{units}G90"))
        await machine.until(lambda s: s.execution is Execution.READY)
        with pytest.raises(ProbeFailed, match="did not touch"):
            await machine.driver.probe(Displacement(z=-3), 200)
        state = await machine.until(lambda s: s.execution is Execution.STOPPED)
        assert [alarm.code for alarm in state.alarms] == ["ALARM:5"]
        assert state.homed
        with pytest.raises(DriverRefused, match="Alarm"):
            await machine.driver.jog(Displacement(z=1), 100)
        await machine.driver.unlock()
        assert sim.received().replace("?", "").endswith("$X\nG0G21G90F0\n")
        assert machine.state.homed


async def test_override_beside_a_program(tmp_path: Path) -> None:
    async with homed(tmp_path, speed=4) as (sim, machine):
        job = asyncio.create_task(machine.driver.run_program(LONG))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
        state = machine.state
        assert state.line is not None
        assert state.sent_line is not None
        assert state.sent_line >= state.line
        assert await machine.driver.override(OverrideKind.FEED, 132) == 132
        assert await machine.driver.override(OverrideKind.SPINDLE, 90) == 90
        assert await machine.driver.override(OverrideKind.RAPID, 25) == 25
        assert machine.state.overrides == Overrides(132, 25, 90)
        wire = sim.received()
        assert [wire.count(byte) for byte in ("\x91", "\x93", "\x9b", "\x97", "\x90", "\x99")] == [3, 2, 1, 1, 0, 0]
        await machine.driver.stop()
        with pytest.raises(ProgramFailed):
            await job
        assert await machine.driver.override(OverrideKind.FEED, 100) == 100
        assert machine.state.overrides == Overrides(100, 100, 100)
        assert sim.received().count("\x90") == 0
        for kind, percent in ((OverrideKind.FEED, 9), (OverrideKind.SPINDLE, 201), (OverrideKind.RAPID, 60)):
            with pytest.raises(DriverRefused, match="per cent"):
                await machine.driver.override(kind, percent)


async def test_settings_are_read_written_alone_and_verified(tmp_path: Path) -> None:
    async with homed(tmp_path, speed=10) as (sim, machine):
        settings = {setting.number: setting for setting in await machine.driver.settings()}
        assert (settings[110].value, settings[110].unit) == ("3000.000", "mm/min")
        await machine.driver.write_settings({110: "2500", 120: "150.5"})
        assert machine.state.homed
        info = machine.driver.info()
        assert info.motion is not None
        assert (info.motion.max_rate.x, info.motion.acceleration.x) == (2500, 150.5)
        await machine.driver.write_settings({130: "250"})
        state = await machine.until(lambda s: not s.homed)
        assert state.execution is Execution.READY
        truth = await sim.truth()
        assert (truth["eeprom_bytes_lost"], truth["rx_overflow_bytes_lost"]) == (0, 0)
        before = sim.received().replace("?", "")
        for values, why in (({110: "fast"}, "no value"), ({199: "1"}, "no setting"), ({110: "1\n$H"}, "no value")):
            with pytest.raises(DriverRefused, match=why):
                await machine.driver.write_settings(values)
        assert sim.received().replace("?", "") == before
        with pytest.raises(DriverRefused, match="3 microseconds"):
            await machine.driver.write_settings({0: "1"})


NOWHERE = float("nan")


@pytest.mark.parametrize(
    ("by", "feed", "why"),
    [
        (Displacement(), 500, "no axis"),
        (Displacement(x=0.0001), 500, "too short"),
        (Displacement(x=NOWHERE), 500, "no axis"),
        (Displacement(x=-1), 0, "no feed"),
        (Displacement(x=-1), -5, "no feed"),
        (Displacement(x=-1), math.inf, "no feed"),
        (Displacement(x=2.1), 500, "out of its travel"),
        (Displacement(x=-1, z=-79), 500, "out of its travel"),
    ],
)
async def test_what_no_hand_may_ask_for_never_reaches_the_wire(
    homed_machine: Pair, by: Displacement, feed: float, why: str
) -> None:
    sim, machine = homed_machine
    with pytest.raises(DriverRefused, match=why):
        await machine.driver.jog(by, feed)
    assert jogs(sim) == []
    assert await place(sim) == [-2.0, -2.0, -2.0]


async def test_places_and_leases_that_never_reach_the_wire(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    for target in ({}, {Axis.X: NOWHERE}):
        with pytest.raises(DriverRefused, match="no axis"):
            await machine.driver.jog_to(target, 500)
    with pytest.raises(DriverRefused, match="out of its travel"):
        await machine.driver.jog_to({Axis.Y: -201}, 500)
    with pytest.raises(DriverRefused, match="no feed"):
        machine.driver.lease_jog(Displacement(x=-1), 0)
    with pytest.raises(DriverRefused, match="no axis"):
        machine.driver.lease_jog(Displacement(), 500)
    machine.driver.hold()
    await machine.until(lambda s: s.execution is Execution.FEED_HOLD)
    with pytest.raises(DriverRefused, match="Hold"):
        machine.driver.lease_jog(Displacement(x=-1), 500)
    with pytest.raises(DriverRefused, match="Hold"):
        await machine.driver.jog(Displacement(x=-1), 500)
    await machine.driver.resume()
    await machine.until(lambda s: s.execution is Execution.READY)
    assert jogs(sim) == []


async def test_before_homing_a_hand_moves_a_short_way_only(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--set", "$22=0") as sim, running(sim.port) as machine:
        with pytest.raises(DriverUnavailable):
            await machine.driver.jog(Displacement(x=1), 500)
        await machine.available()
        await machine.driver.jog(Displacement(x=9), 500)
        with pytest.raises(DriverRefused, match="before homing"):
            await machine.driver.jog(Displacement(x=-10.5), 500)
        with pytest.raises(DriverRefused, match="not been homed"):
            await machine.driver.jog_to({Axis.X: 0}, 500)
        lease = machine.driver.lease_jog(Displacement(x=-1), 1500)
        await renewed(lease)
        assert await lease.ended() is JogEnd.TRAVEL
        assert await place(sim) == [-1.0, 0.0, 0.0]


async def test_feeds_are_bounded(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.jog(Displacement(x=-5), 9000)
    await machine.driver.jog(Displacement(z=-5), 9000)
    await machine.driver.jog(Displacement(x=3, z=-4), 9000)
    assert [line.rsplit("F")[1] for line in jogs(sim)] == ["2000", "1500", "1875"]


async def test_a_lease_that_nobody_renews_ends(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    lease = machine.driver.lease_jog(Displacement(y=-1), 1000)
    assert await lease.ended() is JogEnd.NOT_RENEWED
    lease.renew()
    lease.release()
    assert sim.received().count("\x85") >= 1
    assert (await place(sim))[1] < -2.1
    assert machine.state.execution is Execution.READY


async def test_a_lease_ends_at_the_end_of_the_travel(tmp_path: Path) -> None:
    async with homed(tmp_path, "--set", "$130=12") as (sim, machine):
        lease = machine.driver.lease_jog(Displacement(x=-1), 2000)
        await renewed(lease)
        assert await lease.ended() is JogEnd.TRAVEL
        assert (await place(sim))[0] == -12.0
        assert "\x85" not in sim.received()
        with pytest.raises(DriverRefused, match="end of its travel"):
            machine.driver.lease_jog(Displacement(x=-1), 2000)


@pytest.mark.parametrize("how", ["stop", "hold"])
async def test_a_stop_ends_a_lease_and_leaves_nothing_behind(homed_machine: Pair, how: str) -> None:
    sim, machine = homed_machine
    lease = machine.driver.lease_jog(Displacement(x=-1), 1500)
    holding = await moving(machine, lease)
    if how == "stop":
        await machine.driver.stop()
    else:
        machine.driver.hold()
    await holding
    assert await lease.ended() is JogEnd.STOPPED
    await machine.until(lambda s: s.execution in (Execution.READY, Execution.FEED_HOLD))
    wire = sim.received()
    assert wire.index("!") < wire.index("\x85")
    stands = await place(sim)
    await machine.driver.resume()
    await machine.until(lambda s: s.execution is Execution.READY)
    assert machine.state.homed
    count = len(jogs(sim))
    await machine.driver.jog(Displacement(y=-1), 1500)
    assert await place(sim) == [stands[0], stands[1] - 1, stands[2]]
    assert len(jogs(sim)) == count + 1


async def test_a_stop_ends_a_step(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    step = asyncio.create_task(machine.driver.jog(Displacement(x=-100), 1500))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
    machine.driver.hold()
    with pytest.raises(DriverRefused, match="stopped"):
        await step
    await machine.driver.stop()
    assert machine.state.homed
    assert (await place(sim))[0] > -50


async def test_cancelling_a_step_cancels_its_motion(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    step = asyncio.create_task(machine.driver.jog(Displacement(x=-100), 1500))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert "\x85" in sim.received()
    assert "\x18" not in sim.received()
    assert (machine.state.execution, machine.state.homed) == (Execution.READY, True)


async def test_a_door_ends_a_lease_and_nothing_moves_when_it_is_closed(tmp_path: Path) -> None:
    async with homed(tmp_path, "--build", "door") as (sim, machine):
        lease = machine.driver.lease_jog(Displacement(x=-1), 1500)
        holding = await moving(machine, lease)
        sim.ctl("door open")
        await holding
        assert await lease.ended() is JogEnd.STOPPED
        stands = await place(sim)
        with pytest.raises(DriverRefused, match="Door"):
            machine.driver.lease_jog(Displacement(x=-1), 500)
        sim.ctl("door closed")
        await machine.until(lambda s: s.door is DoorState.CLOSED)
        await machine.driver.resume()
        await machine.until(lambda s: s.execution is Execution.READY)
        assert await place(sim) == stands


async def test_a_limit_switch_ends_a_lease(tmp_path: Path) -> None:
    async with homed(tmp_path, "--set", "$21=1") as (sim, machine):
        lease = machine.driver.lease_jog(Displacement(x=-1), 1500)
        holding = await moving(machine, lease)
        sim.ctl("limit x on")
        await holding
        assert await lease.ended() is JogEnd.STOPPED
        state = await machine.until(lambda s: s.alarms)
        assert not state.homed
        count = len(jogs(sim))
        with pytest.raises((DriverRefused, DriverUnavailable)):
            machine.driver.lease_jog(Displacement(x=-1), 1500)
        assert len(jogs(sim)) == count


async def test_a_pulled_plug_ends_a_lease(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    lease = machine.driver.lease_jog(Displacement(x=-1), 1000)
    holding = await moving(machine, lease)
    sim.ctl("unplug")
    await holding
    assert await lease.ended() is JogEnd.LOST
    lease.release()
    assert machine.state.fault is Fault.FAULT
    with pytest.raises(DriverUnavailable):
        machine.driver.lease_jog(Displacement(x=-1), 1000)


async def test_a_controller_that_falls_silent_is_stopped(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    lease = machine.driver.lease_jog(Displacement(x=-1), 600)
    holding = await moving(machine, lease)
    sim.ctl("stall 1500")
    await holding
    assert await lease.ended() in (JogEnd.LOST, JogEnd.STOPPED)
    await machine.until(lambda s: s.execution is Execution.READY)
    stands = await place(sim)
    await asyncio.sleep(0.3)
    assert await place(sim) == stands


async def test_what_the_controller_refuses_is_said_in_words(tmp_path: Path) -> None:
    async with homed(tmp_path, "--set", "$20=1") as (sim, machine):
        machine.driver._controller.condition.homed = False
        with pytest.raises(DriverRefused, match="leave the machine's travel"):
            await machine.driver.jog(Displacement(x=5), 500)
        lease = machine.driver.lease_jog(Displacement(x=1), 500)
        with pytest.raises(DriverRefused, match="leave the machine's travel"):
            await lease.ended()
        assert (await place(sim))[0] <= 0
        assert machine.state.execution is Execution.READY


async def test_a_line_that_was_damaged_into_a_longer_one_is_stopped(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    controller = machine.driver._controller
    send = controller.send
    controller.send = lambda line: send(line.replace("X-1F", "X-91F"))  # type: ignore[method-assign]
    with pytest.raises(DriverRefused, match="stopped"):
        await machine.driver.jog(Displacement(x=-1), 1000)
    assert machine.state.fault is Fault.FAULT
    assert not machine.state.homed
    assert (await place(sim))[0] > -90


async def test_a_driver_that_is_shut_down_lets_nothing_move_on(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=1) as sim:
        async with running(sim.port) as machine:
            await machine.homed()
            lease = machine.driver.lease_jog(Displacement(x=-1), 1500)
            holding = await moving(machine, lease)
        await holding
        # The test renews from the same crowded computer: a late renewal ends the lease as well as the shutdown does.
        assert await lease.ended() in (JogEnd.STOPPED, JogEnd.NOT_RENEWED)
        assert "\x85" in sim.received()


async def test_the_hold_button_at_the_machine_ends_what_moves_by_hand(tmp_path: Path) -> None:
    async with homed(tmp_path, speed=1) as (sim, machine):
        step = asyncio.create_task(machine.driver.jog(Displacement(x=-100), 1500))
        await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
        sim.ctl("button hold press")
        sim.ctl("button hold release")
        with pytest.raises(DriverRefused, match="stopped"):
            await step
        assert -100 < (await place(sim))[0]
        # In continuous motion the next segment follows before anybody sees it stand.
        lease = machine.driver.lease_jog(Displacement(y=-1), 600)
        holding = await moving(machine, lease)
        # Pressed for no time at all, which a late host may not tell from its own lateness; a person presses again.
        while not holding.done():
            await asyncio.sleep(0.3)
            sim.ctl("button hold press")
            sim.ctl("button hold release")
        assert await lease.ended() is JogEnd.STOPPED
        assert (await place(sim))[1] > -100


async def test_a_lost_override_byte_is_sent_again(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.override(OverrideKind.FEED, 100)
    controller = machine.driver._controller
    write, lost = controller.write, []
    controller.write = lambda byte: write(byte) if lost else lost.append(byte)  # type: ignore[method-assign, func-returns-value]
    assert await machine.driver.override(OverrideKind.FEED, 110) == 110
    assert len(lost) == 1
    assert sim.received().count("\x91") == 1


async def test_an_override_that_does_not_come_is_refused_in_time(tmp_path: Path) -> None:
    async with simulator(tmp_path) as sim, running(sim.port, override_s=1) as machine:
        await machine.homed()
        machine.driver._controller.write = lambda byte: None  # type: ignore[method-assign]
        with pytest.raises(DriverRefused, match="it stays at 100 per cent"):
            await machine.driver.override(OverrideKind.SPINDLE, 110)


async def test_a_work_zero_in_inches_is_set_in_millimetres(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.run_program(program("G20G90"))
    await machine.until(lambda s: s.execution is Execution.READY)
    await machine.driver.set_work_zero({Axis.Y: 25.4})
    state = machine.state
    assert state.work_position is not None
    assert state.work_position.y == pytest.approx(25.4)
    assert sim.received().replace("?", "").endswith("$G\nG21\nG10L20P0Y25.4\nG20\n")
    for reads in ({}, {Axis.X: NOWHERE}):
        with pytest.raises(DriverRefused, match="no axis"):
            await machine.driver.set_work_zero(reads)


async def test_memory_is_written_alone(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await asyncio.gather(
        machine.driver.set_work_zero({Axis.X: 1.0, Axis.Y: 2.0, Axis.Z: 3.0}),
        machine.driver.override(OverrideKind.FEED, 150),
    )
    entries = sim.wire()
    texts = [entry["data"] for entry in entries if entry["dir"] == "rx"]
    written = next(index for index, text in enumerate(texts) if "G10" in text)
    assert texts[written] == "G10L20P0X1Y2Z3\n"
    following = [entry for entry in entries if entry["dir"] in ("rx", "tx")]
    after = following[[entry["data"] for entry in following].index(texts[written]) + 1]
    assert (after["dir"], after["data"].strip()) == ("tx", "ok")
    assert (await sim.truth())["eeprom_bytes_lost"] == 0


async def test_probing_is_bounded(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    for by, feed, why in (
        (Displacement(), 100.0, "no axis"),
        (Displacement(z=NOWHERE), 100.0, "no number"),
        (Displacement(z=-5), 0.0, "no number"),
        (Displacement(z=-51), 100.0, "50 mm at a time"),
        (Displacement(z=5), 100.0, "out of its travel"),
    ):
        with pytest.raises(DriverRefused, match=why):
            await machine.driver.probe(by, feed)
    assert "G38" not in sim.received()


async def test_a_spindle_that_is_commanded_on_is_not_probed_with(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.run_program(program("M3S500"))
    await machine.until(lambda s: s.execution is Execution.READY and s.spindle is SpindleCommand.CLOCKWISE)
    with pytest.raises(DriverRefused, match="spindle"):
        await machine.driver.probe(Displacement(z=-5), 100)
    assert "G38" not in sim.received()


async def test_a_probe_that_touches_as_it_starts_says_so(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    controller = machine.driver._controller
    send = controller.send

    def late(line: str) -> None:
        if "G38" in line:
            sim.ctl("probe on")
            time.sleep(0.1)
        send(line)

    controller.send = late  # type: ignore[method-assign]
    with pytest.raises(ProbeFailed, match="before the move began"):
        await machine.driver.probe(Displacement(z=-5), 100)
    assert [alarm.code for alarm in machine.state.alarms] == ["ALARM:4"]
    assert machine.state.homed


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_stop_ends_a_probing_move(homed_machine: Pair, how: str) -> None:
    sim, machine = homed_machine
    probing = asyncio.create_task(machine.driver.probe(Displacement(z=-40), 100))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
    if how == "stop":
        await machine.driver.stop()
        with pytest.raises(DriverRefused, match="interrupted"):
            await probing
    else:
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
    assert machine.state.homed
    assert (machine.state.execution, (await place(sim))[2] > -40) == (Execution.READY, True)
    await machine.driver.run_program(program("G0X-1"))
    assert (await place(sim))[0] == -1.0


async def test_a_program_never_starts_with_the_modes_of_a_probing_move(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    # As a hold leaves it that comes between the contact and the line that puts the modes back.
    await machine.driver.run_program(program("G91"))
    measure, controller = machine.driver._measure, machine.driver._controller
    measure._left = (controller.session.life, "G0G21G90F0")
    await machine.driver.run_program(program("X-10"))
    assert "G0G21G90F0\n$G\n$#\nX-10\n" in sim.received().replace("?", "")
    assert (await place(sim))[0] == -10.0


async def test_a_program_never_starts_with_the_modes_of_the_one_before(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.run_program(program("G20G91G18", "G1X-1F10", "M30"))
    assert (await place(sim))[0] == pytest.approx(-27.4, abs=0.01)
    await machine.driver.run_program(program("X-10"))
    assert (await place(sim))[0] == pytest.approx(-10.0, abs=0.01)


async def test_settings_that_read_back_wrong_are_refused(homed_machine: Pair) -> None:
    _, machine = homed_machine
    controller = machine.driver._controller
    send = controller.send
    controller.send = lambda line: send(line.replace("$110=2500", "$110=2600"))  # type: ignore[method-assign]
    with pytest.raises(DriverRefused, match=r"did not keep \$110"):
        await machine.driver.write_settings({110: "2500"})


async def test_homing_is_written_before_the_soft_limits_that_need_it(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--set", "$22=0") as sim, running(sim.port) as machine:
        await machine.available()
        await machine.driver.write_settings({20: "1", 22: "1"})
        settings = {setting.number: setting.value for setting in await machine.driver.settings()}
        assert (settings[20], settings[22]) == ("1", "1")
        assert Capability.HOME in machine.driver.info().capabilities


async def test_settings_are_left_alone_while_a_program_runs(homed_machine: Pair) -> None:
    _, machine = homed_machine
    job = asyncio.create_task(machine.driver.run_program(LONG))
    await machine.until(lambda s: s.execution is Execution.ACTIVE and s.feed)
    for command in (machine.driver.settings(), machine.driver.write_settings({110: "2500"})):
        with pytest.raises(DriverRefused, match="busy"):
            await command
    await machine.driver.stop()
    with pytest.raises(ProgramFailed):
        await job


async def test_startup_blocks_leave_no_mode_to_a_program(tmp_path: Path) -> None:
    async with homed(tmp_path, speed=10) as (sim, machine):
        await machine.driver.write_settings({10: "1"})
        machine.driver._controller.send("$N0=G20G91")
        await eventually(lambda: "$N0=G20G91" in sim.received())
        await machine.driver.stop()
        await machine.until(lambda state: state.execution is Execution.READY)
        await machine.driver.home()
        await machine.driver.run_program(program("X-10"))
        assert (await place(sim))[0] == pytest.approx(-10.0, abs=0.01)


async def test_a_program_begins_in_g54_only(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    await machine.driver.run_program(program("G55", "G0X-3"))
    before = await place(sim)
    with pytest.raises(DriverRefused, match="it works in G55 and not in G54"):
        await machine.driver.run_program(program("G0X-7"))
    assert await place(sim) == before
    await machine.driver.stop()
    await machine.until(lambda state: state.execution is Execution.READY)
    await machine.driver.run_program(program("G0X-7"))
    assert (await place(sim))[0] == pytest.approx(-7.0, abs=0.01)


@pytest.mark.parametrize("inches", [False, True])
async def test_a_program_begins_without_a_tool_length_that_another_has_left(homed_machine: Pair, inches: bool) -> None:
    sim, machine = homed_machine
    if inches:
        await machine.driver.write_settings({13: "1"})
    await machine.driver._gate.command("G43.1Z-2.5")
    before = await place(sim)
    with pytest.raises(DriverRefused, match=r"a tool length of -2\.50 mm is left in it"):
        await machine.driver.run_program(program("G49", "G0Z-7"))
    assert await place(sim) == before
    await machine.driver.stop()
    await machine.until(lambda state: state.execution is Execution.READY)
    await machine.driver.run_program(program("G49", "G0Z-7"))
    assert (await place(sim))[2] == pytest.approx(-7.0, abs=0.01)


async def test_a_program_takes_its_tool_length_with_it(homed_machine: Pair) -> None:
    sim, machine = homed_machine
    before = machine.state.work_offset
    for _ in range(2):
        await machine.driver.run_program(program("G0Z-1", "G43.1Z-2.5", "G0Z-3", "M30"))
        assert machine.state.work_offset == before
        assert (await place(sim))[2] == pytest.approx(-5.5, abs=0.01)
    assert sim.received().count("G49\n") == 2


async def test_a_tool_length_that_cannot_be_taken_back_is_in_the_way_of_the_next_program(homed_machine: Pair) -> None:
    _, machine = homed_machine
    command = machine.driver._gate.command

    async def unanswered(line: str, seconds: float | None = None) -> None:
        if line == "G49":
            raise DriverRefused(machine_id="router", command=line, reason="a door was opened")
        await command(line, seconds)

    with pytest.MonkeyPatch.context() as harmed:
        harmed.setattr(machine.driver._gate, "command", unanswered)
        await machine.driver.run_program(program("G43.1Z-2.5"))
    with pytest.raises(DriverRefused, match="a tool length of"):
        await machine.driver.run_program(program("G0X-1"))
