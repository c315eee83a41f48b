# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand with a driver whose wire is a list: what is permitted, what ends it, and in which order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, MotionRefused, Refused, StopNotDelivered
from edge.domain.hand import Axis, Displacement, JogEnd, OverrideKind
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Capability, Execution, MachineInfo, Position
from edge.services.bus import EventBus
from edge.services.hand import HandLease, MachineHand, MotionStopped
from edge.services.hand_settings import HandSettings
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from tests.support.fakes import FakeClock, FakeGuardian, MemoryStore
from tests.support.hand import FakeHandDriver

RULE = InputRule("door", "Door", "controller", 500_000_000, "Close the door.")
UP = Displacement(z=1.0)


@dataclass
class Bench:
    clock: FakeClock = field(default_factory=FakeClock)
    guardian: FakeGuardian = field(default_factory=FakeGuardian)
    store: MemoryStore = field(default_factory=MemoryStore)
    bus: EventBus = field(default_factory=EventBus)

    def __post_init__(self) -> None:
        self.driver = FakeHandDriver(self.clock)
        self.recorder = Recorder(self.store, self.clock, lambda: None)
        self.supervisor = MachineSupervisor(
            self.driver, [RULE], clock=self.clock, bus=self.bus, recorder=self.recorder, guardian=self.guardian
        )
        self.hand = MachineHand(self.supervisor, HandSettings(park=(-5, -5, -1)))

    def door(self, healthy: bool) -> None:
        self.supervisor.on_input(InputSample("door", healthy, self.clock.boot_ns(), "controller"))

    async def leased(self, held: HandLease) -> asyncio.Task[JogEnd]:
        task = asyncio.create_task(self.hand.jog_while(held, UP, 500))
        await held.begun.wait()
        return task


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    bench.driver.ready()
    bench.door(True)
    await bench.supervisor.reset()
    return bench


async def test_a_step_is_guarded_and_disarmed_afterwards(bench: Bench) -> None:
    bench.driver.gate = asyncio.Event()
    task = asyncio.create_task(bench.hand.jog(UP, 500))
    while not bench.driver.wire:
        await asyncio.sleep(0)
    assert bench.guardian.armed == ["router"]
    assert bench.supervisor.view().busy
    bench.driver.gate.set()
    await task
    assert (bench.driver.wire, bench.guardian.armed) == (["jog"], [])


@pytest.mark.parametrize(
    ("by", "feed"), [(UP, 1_001), (UP, 0), (UP, -5), (Displacement(x=51), 100), (Displacement(), 100)]
)
async def test_a_step_beyond_its_bounds_is_refused(bench: Bench, by: Displacement, feed: float) -> None:
    with pytest.raises(Refused):
        await bench.hand.jog(by, feed)
    assert bench.driver.wire == []


async def test_an_unhomed_machine_moves_by_short_steps_only(bench: Bench) -> None:
    bench.driver.show(homed=False)
    await bench.hand.jog(Displacement(x=10), 500)
    for far in (
        bench.hand.jog(Displacement(x=10.1), 500),
        bench.hand.jog_while(HandLease(), UP, 500),
        bench.hand.park(),
    ):
        with pytest.raises(MotionRefused, match="not been homed"):
            await far
    assert bench.driver.wire == ["jog"]


async def test_a_machine_that_cannot_jog_refuses(bench: Bench) -> None:
    bench.driver._info = MachineInfo("router", "Router", "router", "fake", capabilities=frozenset({Capability.HOLD}))
    for command in (bench.hand.jog(UP, 100), bench.hand.park(), bench.hand.set_zero({Axis.X: 0.0})):
        with pytest.raises(DriverRefused, match="cannot do that"):
            await command


async def test_without_guardian_nothing_moves_by_hand(bench: Bench) -> None:
    bench.guardian.alive = False
    with pytest.raises(MotionRefused, match="guardian"):
        await bench.hand.jog(UP, 500)
    assert bench.driver.wire == []


async def test_a_trip_ends_a_jog_before_the_input_returns(bench: Bench) -> None:
    task = await bench.leased(HandLease())
    bench.door(False)
    assert bench.driver.wire == ["lease", "hold"]
    with pytest.raises(MotionStopped, match="the interlock tripped: Door"):
        await task
    assert bench.driver.wire == ["lease", "hold", "hold", "reset"]
    assert bench.guardian.armed == []


@pytest.mark.parametrize("command", ["hold", "stop"])
async def test_hold_and_stop_end_a_jog_for_good(bench: Bench, command: str) -> None:
    task = await bench.leased(HandLease())
    if command == "hold":
        bench.supervisor.hold("console")
    else:
        await bench.supervisor.stop("console")
    with pytest.raises(MotionStopped, match="by console"):
        await task
    assert bench.driver.wire[-1] == "reset"
    assert not bench.supervisor.view().fault


async def test_a_stopped_step_raises_although_the_driver_returned(bench: Bench) -> None:
    bench.driver.gate = asyncio.Event()
    task = asyncio.create_task(bench.hand.jog(UP, 500))
    while not bench.driver.wire:
        await asyncio.sleep(0)
    await bench.supervisor.stop("console")
    with pytest.raises(MotionStopped):
        await task


async def test_letting_go_writes_the_cancel_before_it_returns(bench: Bench) -> None:
    held = HandLease()
    task = await bench.leased(held)
    held.renew()
    held.release()
    assert bench.driver.wire == ["lease", "cancel"]
    assert await task is JogEnd.RELEASED
    held.release()
    held.renew()
    assert bench.driver.lease is not None
    assert bench.driver.lease.renewed == 1


async def test_a_key_let_go_before_the_guardian_was_armed_moves_nothing(bench: Bench) -> None:
    held = HandLease()

    async def slow(machine_id: str) -> None:
        held.release()

    bench.guardian.arm = slow  # type: ignore[method-assign]
    assert await bench.hand.jog_while(held, UP, 500) is JogEnd.RELEASED
    assert bench.driver.wire == []


async def test_a_key_that_fell_silent_while_the_guardian_was_armed_moves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HandLease()
    monkeypatch.setattr("edge.services.hand.LEASE_S", -1.0)
    assert await bench.hand.jog_while(held, UP, 500) is JogEnd.RELEASED
    assert bench.driver.wire == []


async def test_nothing_begins_once_the_service_ends(bench: Bench) -> None:
    await bench.supervisor.shut_down()
    with pytest.raises(MotionStopped, match="the service ended"):
        await bench.hand.jog(UP, 500)
    assert bench.driver.wire == []


async def test_a_second_hand_ends_the_motion_and_begins_none(bench: Bench) -> None:
    task = await bench.leased(HandLease())
    with pytest.raises(MotionRefused, match="busy"):
        await bench.hand.jog_while(HandLease(), UP, 500)
    assert await task is JogEnd.RELEASED
    assert bench.driver.wire == ["lease", "cancel"]


async def test_a_cancelled_waiter_lets_go(bench: Bench) -> None:
    task = await bench.leased(HandLease())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.driver.wire == ["lease", "cancel"]
    assert bench.guardian.armed == []


async def test_a_lost_connection_leaves_a_fault(bench: Bench) -> None:
    task = await bench.leased(HandLease())
    assert bench.driver.lease is not None
    bench.driver.lease.finish(JogEnd.LOST)
    with pytest.raises(DriverUnavailable):
        await task
    assert "lost while it moved by hand" in bench.supervisor.view().fault


async def test_a_cancel_that_cannot_be_written_raises_and_leaves_a_fault(bench: Bench) -> None:
    held = HandLease()
    task = await bench.leased(held)
    bench.driver.reachable = False
    with pytest.raises(StopNotDelivered):
        held.release()
    assert bench.driver.lease is not None
    bench.driver.lease.finish(JogEnd.LOST)
    with pytest.raises(DriverUnavailable):
        await task
    assert bench.supervisor.view().fault


async def test_a_missed_renewal_is_told_as_such(bench: Bench) -> None:
    task = await bench.leased(HandLease())
    assert bench.driver.lease is not None
    bench.driver.lease.finish(JogEnd.NOT_RENEWED)
    assert await task is JogEnd.NOT_RENEWED


async def test_parking_goes_up_before_it_goes_sideways(bench: Bench) -> None:
    bench.driver.show(machine_position=Position(-100, -100, -30))
    await bench.hand.park()
    assert [to for _, to in bench.driver.moves] == [
        {Axis.Z: -1},
        {Axis.X: -5, Axis.Y: -5},
        {Axis.Z: -1},
    ]
    bench.driver.moves.clear()
    bench.driver.show(machine_position=Position(-100, -100, 0))
    await bench.hand.park()
    assert bench.driver.moves[0] == ("to", {Axis.Z: 0})


async def test_a_stop_between_two_moves_ends_parking(bench: Bench) -> None:
    moved = bench.driver.jog_to

    async def then_stop(machine: dict[Axis, float], feed: float) -> None:
        await moved(machine, feed)
        await bench.supervisor.stop("console")

    bench.driver.jog_to = then_stop  # type: ignore[method-assign, assignment]
    with pytest.raises(MotionStopped):
        await bench.hand.park()
    assert len(bench.driver.moves) == 1


async def test_parking_needs_a_place(bench: Bench) -> None:
    bench.hand.settings = HandSettings()
    with pytest.raises(Refused, match="parking position"):
        await bench.hand.park()


async def test_a_zero_moves_nothing_and_needs_no_latch(bench: Bench) -> None:
    bench.door(False)
    await bench.hand.set_zero({Axis.X: 0.0, Axis.Z: 15.0})
    assert bench.driver.wire == ["zero X0 Z15"]
    with pytest.raises(Refused):
        await bench.hand.set_zero({})


async def test_a_trip_while_a_zero_is_written_resets_nothing(bench: Bench) -> None:
    written = bench.driver.set_work_zero

    async def slowly(reads: dict[Axis, float]) -> None:
        bench.door(False)
        await written(reads)

    bench.driver.set_work_zero = slowly  # type: ignore[method-assign, assignment]
    await bench.hand.set_zero({Axis.X: 0.0})
    assert bench.driver.wire == ["zero X0"]


async def test_an_override_works_while_a_program_runs(bench: Bench) -> None:
    bench.driver.show(execution=Execution.ACTIVE)
    assert await bench.hand.override(OverrideKind.FEED, 80) == 80
    assert bench.driver.wire == ["override feed 80"]
    bench.clock.pass_s(2)
    with pytest.raises(MotionRefused, match="stale"):
        await bench.hand.override(OverrideKind.FEED, 80)


async def test_written_settings_put_the_position_in_doubt_until_the_machine_homes(bench: Bench) -> None:
    await bench.hand.write_settings({100: "80.000"})
    assert not bench.supervisor.state.homed
    with pytest.raises(MotionRefused, match="not been homed"):
        await bench.hand.park()
    await bench.supervisor.home()
    assert bench.supervisor.state.homed
    assert {item.number: item.value for item in await bench.hand.read_settings()}[100] == "80.000"
