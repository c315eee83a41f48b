# SPDX-License-Identifier: GPL-3.0-or-later
"""What was loaded is begun from here: what stops it, whatever the machine says and whenever it begins."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    MotionRefused,
    ProgramAborted,
    Refused,
    StopNotDelivered,
)
from edge.domain.machine import Availability, Capability, Execution
from edge.safety.interlock import LatchState
from edge.services.bus import Notice
from tests.support.loading import Bench

pytest_plugins = ["tests.support.loading_fixtures"]

only_loaded = pytest.mark.parametrize("bench", [False], indirect=True)


async def test_what_was_loaded_is_started_once(bench: Bench) -> None:
    started = await bench.order()
    assert bench.supervisor.moving
    bench.driver.show(execution=Execution.ACTIVE)
    await started
    assert bench.supervisor.moving
    assert not bench.supervisor.view().busy
    bench.driver.show(execution=Execution.READY)
    with pytest.raises(Refused, match="waits to be started"):
        await bench.transfer.start_loaded()
    assert bench.driver.wire == ["order", "started"]


@pytest.mark.parametrize("execution", [Execution.READY, Execution.STOPPED, Execution.UNAVAILABLE])
async def test_an_order_that_a_machine_does_not_begin_in_time_is_taken_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, execution: Execution
) -> None:
    monkeypatch.setattr("edge.services.transfer.BEGIN_S", 0.05)
    started = await bench.order()
    bench.driver.show(execution=execution)
    with pytest.raises(ProgramAborted, match="did not begin") as error:
        await started
    assert not error.value.facts["decided"]
    assert bench.driver.wire == ["order", "started", "hold", "reset"]
    assert bench.supervisor.view().fault == ""
    bench.driver.show(execution=Execution.READY)
    assert not bench.supervisor.may_move
    bench.door(False)
    assert bench.driver.wire[-1] == "reset"
    assert bench.supervisor.view().fault == ""


async def test_an_order_that_cannot_be_taken_back_stays_one_that_may_move_the_machine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.services.transfer.BEGIN_S", 0.05)
    started = await bench.order()
    bench.driver.reachable = False
    with pytest.raises(StopNotDelivered):
        await started
    assert "did not reach" in bench.supervisor.view().fault
    bench.driver.show(execution=Execution.READY)
    assert bench.supervisor.may_move
    bench.door(False)
    await bench.until(lambda: bench.store_stops() >= 2)
    # Now its own door is closed, and it begins behind a latch that has tripped.
    bench.driver.reachable = True
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire[-1] == "hold"
    await bench.until(lambda: bench.driver.wire[-1] == "reset")
    bench.driver.show(execution=Execution.READY)
    assert not bench.supervisor.may_move


@pytest.mark.parametrize("way", ["the link is lost", "its quality is bad"])
async def test_a_machine_that_begun_from_here_is_not_heard_counts_as_moving(bench: Bench, way: str) -> None:
    await bench.run_loaded()
    if way == "the link is lost":
        bench.driver.reachable = False
        bench.driver.show(availability=Availability.UNAVAILABLE, execution=Execution.UNAVAILABLE)
    else:
        bench.driver.show(execution=Execution.UNAVAILABLE)
    assert bench.supervisor.may_move
    bench.door(False)
    assert bench.supervisor.interlock.state is LatchState.TRIPPED
    assert [fact["in_motion"] for fact in await bench.facts("interlock.tripped")] == [True]
    if way == "its quality is bad":
        assert bench.driver.wire[2] == "hold"
        await bench.until(lambda: bench.driver.wire[-1] == "reset")
        assert bench.supervisor.view().fault == ""
        return
    assert "did not reach" in bench.supervisor.view().fault
    await bench.until(lambda: bench.store_stops() == 1)
    # The link is back, the machine goes on, the door is open still.
    bench.driver.reachable = True
    bench.driver.show(availability=Availability.AVAILABLE, execution=Execution.ACTIVE)
    assert bench.driver.wire[2:] == ["hold"]
    await bench.until(lambda: bench.driver.wire[-1] == "reset")
    for _ in range(3):
        bench.driver.show(execution=Execution.ACTIVE)
    await asyncio.sleep(0.02)
    assert bench.driver.wire[2:] == ["hold", "hold", "reset"]


async def test_what_ended_while_the_link_was_away_is_over(bench: Bench) -> None:
    await bench.run_loaded()
    bench.driver.show(availability=Availability.UNAVAILABLE, execution=Execution.UNAVAILABLE)
    assert bench.supervisor.may_move
    bench.driver.show(availability=Availability.AVAILABLE, execution=Execution.PROGRAM_COMPLETED)
    assert not bench.supervisor.may_move
    bench.door(False)
    bench.driver.show(execution=Execution.ACTIVE)
    await asyncio.sleep(0.02)
    assert bench.driver.wire == ["order", "started"]


async def test_a_stop_that_fails_on_what_slipped_is_tried_once_in_each_spell_of_motion(bench: Bench) -> None:
    await bench.run_loaded()
    bench.driver.reachable = False
    bench.door(False)
    await bench.until(lambda: bench.store_stops() == 1)
    for _ in range(5):
        bench.driver.show(execution=Execution.ACTIVE)
        await asyncio.sleep(0.002)
    await bench.until(lambda: bench.store_stops() == 2)
    bench.driver.show(execution=Execution.UNAVAILABLE)
    bench.driver.show(execution=Execution.ACTIVE)
    await bench.until(lambda: bench.store_stops() == 3)


async def test_a_link_that_is_lost_before_the_machine_moves_is_a_fault(bench: Bench) -> None:
    started = await bench.order()
    bench.driver.reachable = False
    bench.driver.show(availability=Availability.UNAVAILABLE, execution=Execution.UNAVAILABLE)
    with pytest.raises(DriverUnavailable, match="lost before it moved"):
        await started
    assert "lost before it moved" in bench.supervisor.view().fault
    # It waits for its door while the link is away, and begins when nobody can see it any more.
    bench.driver.reachable = True
    bench.driver.show(availability=Availability.AVAILABLE, execution=Execution.READY)
    bench.driver.reachable = False
    bench.door(False)
    await bench.until(lambda: bench.store_stops() == 1)
    bench.driver.reachable = True
    bench.driver.show(execution=Execution.ACTIVE)
    await bench.until(lambda: bench.driver.wire[-1] == "reset")


async def test_a_program_that_is_over_within_a_moment_was_begun(bench: Bench) -> None:
    started = await bench.order()
    bench.driver.show(execution=Execution.ACTIVE)
    bench.driver.show(execution=Execution.PROGRAM_COMPLETED)
    await started
    bench.driver.show(execution=Execution.PROGRAM_COMPLETED)
    assert not bench.supervisor.may_move


async def test_an_order_that_is_refused_moves_nothing(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    bench.driver.failing = DriverRefused(machine_id="lathe", command="start", reason="not in automatic")
    with pytest.raises(DriverRefused):
        await bench.transfer.start_loaded()
    assert not bench.supervisor.may_move
    assert bench.supervisor.view().fault == ""


async def test_what_cannot_be_stopped_from_here_is_not_started_from_here(bench: Bench) -> None:
    kept = bench.driver._info.capabilities - {Capability.STOP}
    bench.driver._info = replace(bench.driver._info, capabilities=kept)
    await bench.permit()
    await bench.load()
    assert bench.transfer.transfer is not None
    assert not bench.transfer.transfer.startable
    with pytest.raises(DriverRefused, match="cannot do that from here"):
        await bench.transfer.start_loaded()
    assert bench.driver.wire == []


@only_loaded
async def test_cycle_start_stays_at_a_machine_without_job_control(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    assert bench.transfer.transfer is not None
    assert not bench.transfer.transfer.startable
    with pytest.raises(DriverRefused, match="cannot do that from here"):
        await bench.transfer.start_loaded()


async def test_nothing_starts_that_was_not_loaded(bench: Bench) -> None:
    await bench.permit()
    with pytest.raises(Refused, match="Nothing that was loaded"):
        await bench.transfer.start_loaded()
    bench.door(False)
    with pytest.raises(MotionRefused, match="Door: open"):
        await bench.transfer.start_loaded()
    assert bench.driver.wire == []


async def test_after_a_lost_link_it_has_to_be_loaded_again(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    bench.driver.show(availability=Availability.UNAVAILABLE, execution=Execution.UNAVAILABLE)
    bench.driver.ready()
    assert bench.transfer.transfer is not None
    assert not bench.transfer.transfer.startable
    with pytest.raises(Refused, match="waits to be started"):
        await bench.transfer.start_loaded()


@pytest.mark.parametrize("way", ["stop", "trip", "hold"])
async def test_what_stops_while_the_order_is_on_the_wire_is_sent_again_after_it(bench: Bench, way: str) -> None:
    await bench.permit()
    await bench.load()
    bench.driver.order_gate.clear()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "order" in bench.driver.wire)
    if way == "stop":
        await bench.supervisor.stop("console")
    elif way == "trip":
        bench.door(False)
    else:
        bench.supervisor.hold("console")
    bench.driver.order_gate.set()
    with pytest.raises(ProgramAborted):
        await started
    assert bench.driver.wire[-1] == "reset"
    assert bench.driver.wire.index("started") < len(bench.driver.wire) - 2
    assert bench.supervisor.view().fault == ""


async def test_a_trip_before_the_machine_says_that_it_moves_stops_it(bench: Bench) -> None:
    started = await bench.order()
    bench.door(False)
    assert bench.driver.wire[-1] == "hold"
    with pytest.raises(ProgramAborted, match="the interlock tripped: Door"):
        await started


async def test_an_order_whose_answer_is_lost_is_a_fault(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    bench.driver.failing = DriverUnavailable(machine_id="lathe", reason="no answer")
    with pytest.raises(DriverUnavailable):
        await bench.transfer.start_loaded()
    assert "no answer" in bench.supervisor.view().fault


async def test_a_trip_stops_what_was_begun_from_here(bench: Bench) -> None:
    await bench.run_loaded()
    bench.door(False)
    assert bench.driver.wire[2] == "hold"
    await bench.until(lambda: bench.driver.wire[-1] == "reset")


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_trip_holds_what_can_only_be_held(bench: Bench, reachable: bool) -> None:
    kept = bench.driver._info.capabilities - {Capability.STOP}
    bench.driver._info = replace(bench.driver._info, capabilities=kept)
    await bench.permit()
    bench.driver.show(execution=Execution.ACTIVE)
    bench.driver.reachable = reachable
    bench.door(False)
    assert bench.driver.wire == (["hold"] if reachable else [])
    assert bool(bench.supervisor.view().fault) is not reachable
    # It is held and no more: a person has to use its own stop.
    assert "tripped-watched" in [message.code for message in bench.heard if isinstance(message, Notice)]
    stops = await bench.facts("stop.commanded")
    assert [(fact["command"], fact["delivered"]) for fact in stops] == [("hold", reachable)]


async def test_a_trip_stops_what_can_only_be_stopped(bench: Bench) -> None:
    kept = bench.driver._info.capabilities - {Capability.HOLD}
    bench.driver._info = replace(bench.driver._info, capabilities=kept)
    await bench.permit()
    bench.driver.show(execution=Execution.ACTIVE)
    bench.door(False)
    await bench.until(lambda: bench.driver.wire[-1:] == ["reset"])
    assert bench.supervisor.view().fault == ""


@only_loaded
async def test_a_trip_of_a_machine_that_is_only_watched_is_noted_with_what_to_do(bench: Bench) -> None:
    await bench.permit()
    bench.driver.reachable = False
    bench.driver.show(execution=Execution.ACTIVE)
    bench.door(False)
    assert bench.supervisor.interlock.state is LatchState.TRIPPED
    assert bench.supervisor.view().fault == ""
    notices = [message for message in bench.heard if isinstance(message, Notice)]
    assert [(notice.level, notice.code) for notice in notices] == [("fault", "tripped-watched")]
    assert notices[0].text.endswith("use its own stop.")
    assert [fact["in_motion"] for fact in await bench.facts("interlock.tripped")] == [True]
    with pytest.raises(StopNotDelivered):
        await bench.supervisor.stop("console")
    assert bench.supervisor.view().fault == ""


@only_loaded
async def test_the_latch_of_a_watched_machine_is_reset_while_its_panel_holds_it(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.reachable = False
    bench.driver.show(execution=Execution.INTERRUPTED)
    bench.door(True)
    await bench.supervisor.reset()
    assert bench.supervisor.interlock.state is LatchState.PERMITTED


@pytest.mark.parametrize("moving", [True, False])
async def test_a_stop_that_does_not_arrive_is_a_fault_of_a_machine_that_moves(bench: Bench, moving: bool) -> None:
    await bench.permit()
    bench.driver.show(execution=Execution.ACTIVE if moving else Execution.READY)
    bench.driver.reachable = False
    with pytest.raises(StopNotDelivered):
        await bench.supervisor.stop("console")
    assert bool(bench.supervisor.view().fault) is moving


@pytest.mark.parametrize("from_here", [True, False])
async def test_the_end_of_the_service_stops_only_what_it_began(bench: Bench, from_here: bool) -> None:
    await bench.permit()
    if from_here:
        await bench.load()
        started = asyncio.create_task(bench.transfer.start_loaded())
        await bench.until(lambda: "started" in bench.driver.wire)
        bench.driver.show(execution=Execution.ACTIVE)
        await started
    else:
        bench.driver.show(execution=Execution.ACTIVE)
    await bench.supervisor.shut_down()
    assert ("reset" in bench.driver.wire) is from_here
