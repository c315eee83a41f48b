# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor with a driver whose wire is a list: what is sent, in which order, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from edge.domain.errors import (
    DriverUnavailable,
    MotionRefused,
    ProgramAborted,
    ProgramFailed,
    ProgramInterrupted,
    StopNotDelivered,
)
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Execution
from edge.domain.ports import ProgramText
from edge.safety.interlock import LatchState
from edge.services.bus import EventBus
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryStore

RULE = InputRule("door", "Door", "controller", 500_000_000, "Close the door.")
PROGRAM = ProgramText("p", ("G0X1",), (1,))


@dataclass
class Bench:
    clock: FakeClock
    driver: FakeDriver
    guardian: FakeGuardian
    store: MemoryStore
    recorder: Recorder
    supervisor: MachineSupervisor

    def door(self, healthy: bool | None) -> None:
        self.supervisor.on_input(InputSample("door", healthy, self.clock.boot_ns(), "controller"))

    async def permit(self) -> None:
        self.driver.ready()
        self.door(True)
        await self.supervisor.reset()

    async def recorded(self) -> list[str]:
        assert await self.recorder.drain(5)
        return self.store.types()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock, store, bus, guardian = FakeClock(), MemoryStore(), EventBus(), FakeGuardian()
    driver = FakeDriver(clock)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=guardian)
    writer = asyncio.create_task(recorder.run())
    watcher = asyncio.create_task(supervisor.run())
    yield Bench(clock, driver, guardian, store, recorder, supervisor)
    for task in (watcher, writer):
        task.cancel()
    await asyncio.gather(watcher, writer, return_exceptions=True)


async def started(bench: Bench) -> asyncio.Task[None]:
    task = asyncio.create_task(bench.supervisor.run_program(PROGRAM))
    while "start" not in bench.driver.wire:
        await asyncio.sleep(0)
    return task


async def test_nothing_moves_before_a_person_has_reset(bench: Bench) -> None:
    bench.driver.ready()
    bench.door(True)
    with pytest.raises(MotionRefused) as refused:
        await bench.supervisor.run_program(PROGRAM)
    assert "Nobody has reset the interlock" in str(refused.value)
    assert bench.driver.wire == []


async def test_a_trip_while_cutting_writes_the_hold_before_the_input_returns(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    bench.door(False)
    assert bench.driver.wire == ["start", "hold"]
    with pytest.raises(ProgramAborted, match="the interlock tripped: Door"):
        await task
    assert bench.driver.wire == ["start", "hold", "hold", "reset"]
    assert bench.guardian.armed == []
    kinds = await bench.recorded()
    assert "interlock.tripped" in kinds
    assert "stop.commanded" in kinds


async def test_a_trip_latches_and_a_reset_starts_nothing(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    bench.door(False)
    with pytest.raises(ProgramAborted):
        await task
    bench.door(True)
    assert bench.supervisor.interlock.state is LatchState.TRIPPED
    with pytest.raises(MotionRefused):
        await bench.supervisor.run_program(PROGRAM)
    before = list(bench.driver.wire)
    await bench.supervisor.reset()
    assert bench.supervisor.interlock.state is LatchState.PERMITTED
    assert bench.driver.wire == before


async def test_a_reset_is_refused_while_the_door_is_open(bench: Bench) -> None:
    bench.driver.ready()
    bench.door(False)
    with pytest.raises(MotionRefused, match="Door: open"):
        await bench.supervisor.reset()


async def test_an_idle_machine_is_not_held_by_a_trip(bench: Bench) -> None:
    await bench.permit()
    bench.door(False)
    assert bench.supervisor.interlock.state is LatchState.TRIPPED
    assert bench.driver.wire == []


async def test_an_input_that_falls_silent_trips(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    bench.clock.pass_s(0.6)
    with pytest.raises(ProgramAborted):
        await task
    assert bench.driver.wire[:2] == ["start", "hold"]
    assert bench.supervisor.view().readings[0].age_ns == 600_000_000


async def test_the_machines_own_motion_is_held_too(bench: Bench) -> None:
    await bench.permit()
    bench.driver.show(execution=Execution.ACTIVE)
    bench.door(None)
    assert bench.driver.wire[0] == "hold"


async def test_a_hold_that_does_not_reach_the_wire_leaves_a_fault(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    bench.driver.reachable = False
    bench.door(False)
    assert bench.driver.end is not None
    bench.driver.end.set_exception(ProgramFailed(program_id="p", reason="unplugged"))
    with pytest.raises(ProgramAborted):
        await task
    assert "hard-wired stop" in bench.supervisor.view().fault


@pytest.mark.parametrize(("healthy", "said"), [(None, "the port is gone"), (False, "the interlock tripped")])
async def test_the_driver_says_why_where_an_input_cannot_be_read_any_more(
    bench: Bench, healthy: bool | None, said: str
) -> None:
    await bench.permit()
    task = await started(bench)
    bench.door(healthy)
    assert bench.driver.end is not None
    bench.driver.end.set_exception(ProgramInterrupted(program_id="p", reason="the port is gone"))
    with pytest.raises((ProgramInterrupted, ProgramAborted), match=said):
        await task
    assert bench.supervisor.interlock.state is LatchState.TRIPPED


async def test_stop_and_hold_need_no_permission(bench: Bench) -> None:
    bench.supervisor.hold("console")
    await bench.supervisor.stop("console")
    assert bench.driver.wire == ["hold", "hold", "reset"]


async def test_a_stop_that_cannot_be_delivered_raises_and_is_recorded(bench: Bench) -> None:
    bench.driver.reachable = False
    with pytest.raises(StopNotDelivered):
        bench.supervisor.hold("console")
    with pytest.raises(StopNotDelivered):
        await bench.supervisor.stop("console")
    assert (await bench.recorded()).count("stop.commanded") == 2
    assert all(event.body["delivered"] is False for event in bench.store.events if event.type.value == "stop.commanded")


async def test_a_failed_program_leaves_the_machine_in_fault_until_a_person_resets(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    assert bench.driver.end is not None
    bench.driver.end.set_exception(ProgramFailed(program_id="p", reason="error:20 in line 3"))
    with pytest.raises(ProgramFailed):
        await task
    bench.driver.show(execution=Execution.READY)
    with pytest.raises(MotionRefused, match="error:20"):
        await bench.supervisor.run_program(PROGRAM)
    await bench.supervisor.reset()
    assert bench.driver.wire[-1] == "clear"
    again = await asyncio.wait_for(asyncio.shield(started(bench)), 5)
    assert bench.driver.end is not None
    bench.driver.end.set_result(None)
    await again


async def test_without_guardian_nothing_is_armed_and_nothing_moves(bench: Bench) -> None:
    await bench.permit()
    bench.guardian.alive = False
    with pytest.raises(MotionRefused, match="guardian"):
        await bench.supervisor.home()
    assert bench.driver.wire == []


async def test_a_guardian_that_dies_while_arming_stops_the_start(bench: Bench) -> None:
    await bench.permit()

    async def dying(machine_id: str) -> None:
        raise DriverUnavailable(machine_id=machine_id, reason="the guardian does not answer")

    bench.guardian.arm = dying  # type: ignore[method-assign]
    with pytest.raises(DriverUnavailable):
        await bench.supervisor.run_program(PROGRAM)
    assert bench.driver.wire == []


async def test_an_interlock_that_trips_while_the_guardian_is_armed_stops_the_start(bench: Bench) -> None:
    await bench.permit()

    async def slow(machine_id: str) -> None:
        bench.guardian.armed.append(machine_id)
        bench.door(False)

    bench.guardian.arm = slow  # type: ignore[method-assign]
    with pytest.raises(ProgramAborted):
        await bench.supervisor.run_program(PROGRAM)
    assert "start" not in bench.driver.wire
    assert bench.guardian.armed == []


async def test_what_the_guardian_stopped_waits_for_a_person(bench: Bench) -> None:
    await bench.permit()
    bench.supervisor.guardian_acted()
    with pytest.raises(MotionRefused, match="guardian stopped"):
        await bench.supervisor.home()


async def test_a_crashed_driver_holds_faults_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.driver_care.RESTART_S", 0.0)
    clock, store = FakeClock(), MemoryStore()
    driver = FakeDriver(clock)
    driver.crash = ZeroDivisionError("a defect")
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(
        driver, [RULE], clock=clock, bus=EventBus(), recorder=recorder, guardian=FakeGuardian()
    )
    task = asyncio.create_task(supervisor.run())
    while not supervisor.view().fault or driver.crash is not None:
        await asyncio.sleep(0)
    assert driver.wire == ["hold"]
    assert "a defect" in supervisor.view().fault
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_home_is_guarded_and_disarmed_afterwards(bench: Bench) -> None:
    await bench.permit()
    await bench.supervisor.home()
    assert bench.driver.wire == ["home"]
    assert bench.guardian.armed == []


@pytest.mark.parametrize("execution", [Execution.FEED_HOLD, Execution.INTERRUPTED])
async def test_a_reset_discards_what_a_later_resume_would_start(bench: Bench, execution: Execution) -> None:
    bench.driver.ready()
    bench.driver.show(execution=execution)
    bench.door(True)
    await bench.supervisor.reset()
    assert bench.driver.wire == ["hold", "reset"]
    assert bench.supervisor.interlock.state is LatchState.PERMITTED


async def test_a_reset_that_cannot_discard_permits_nothing(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.show(execution=Execution.FEED_HOLD)
    bench.door(True)
    bench.driver.reachable = False
    with pytest.raises(StopNotDelivered):
        await bench.supervisor.reset()
    assert bench.supervisor.interlock.state is LatchState.UNKNOWN


async def test_a_reset_leaves_a_held_program_alone(bench: Bench) -> None:
    await bench.permit()
    task = await started(bench)
    bench.driver.show(execution=Execution.FEED_HOLD)
    await bench.supervisor.reset()
    assert bench.driver.wire == ["start"]
    assert bench.driver.end is not None
    bench.driver.end.set_result(None)
    await task
