# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a program: in which order, what refuses, what ends it, what is recorded, how long its start is offered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    MotionRefused,
    NotFound,
    Refused,
    TransferFailed,
)
from edge.domain.machine import Execution, Fault
from edge.domain.transfer import TransferStep
from edge.safety.interlock import LatchState
from edge.services.bus import MachineChanged, Notice
from tests.support.loading import CONTENT, Bench

pytest_plugins = ["tests.support.loading_fixtures"]

only_loaded = pytest.mark.parametrize("bench", [False], indirect=True)


async def test_a_file_is_loaded_with_its_steps_and_recorded_once(bench: Bench) -> None:
    bench.driver.ready()
    await bench.load()
    transfer = bench.transfer.transfer
    assert transfer is not None
    assert (transfer.step, transfer.selected, transfer.startable, transfer.done) == ("LOADED", True, True, 20)
    assert [file.content for file in bench.driver.loaded] == [CONTENT]
    assert transfer.sha256 == bench.driver.loaded[0].sha256
    assert await bench.facts() == [
        {
            "machine": "lathe",
            "file": "SHAFT.MPF",
            "bytes": 20,
            "sha256": transfer.sha256,
            "selected": True,
            "step": "LOADED",
            "reason": "",
        }
    ]


async def test_a_machine_that_cannot_select_is_loaded_and_not_startable(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.selects = False
    await bench.load()
    transfer = bench.transfer.transfer
    assert transfer is not None
    assert (transfer.step, transfer.selected, transfer.startable) == ("LOADED", False, False)


async def test_a_load_makes_the_machine_busy_and_no_second_begins(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.gate.clear()
    await bench.transfer.begin("SHAFT.MPF")
    await bench.driver.begun.wait()
    assert not bench.supervisor.moving
    with pytest.raises(MotionRefused, match="busy"):
        await bench.transfer.begin("SHAFT.MPF")
    with pytest.raises(MotionRefused, match="busy"):
        await bench.transfer.start_loaded()
    bench.driver.gate.set()
    await bench.until(lambda: bench.step is TransferStep.LOADED)
    assert len(await bench.facts()) == 1


async def test_of_two_loads_at_once_one_begins(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.gate.clear()
    results = await asyncio.gather(*(bench.transfer.begin("SHAFT.MPF") for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), MotionRefused, Refused}
    assert sum(result is None for result in results) == 1
    bench.driver.gate.set()
    await bench.until(lambda: bench.step is TransferStep.LOADED)
    assert len(bench.driver.loaded) == 1


async def test_progress_is_told_at_most_five_times_a_second(bench: Bench) -> None:
    bench.driver.ready()

    async def load(_file: object, tell: Callable[[TransferStep, int], None]) -> bool:
        before = sum(isinstance(message, MachineChanged) for message in bench.heard)
        for done in range(1000):
            tell(TransferStep.UPLOADING, done)
        assert sum(isinstance(message, MachineChanged) for message in bench.heard) - before <= 2
        return True

    bench.driver.load = load  # type: ignore[method-assign, assignment]
    await bench.load()
    assert bench.step is TransferStep.LOADED


@pytest.mark.parametrize("execution", [Execution.ACTIVE, Execution.INTERRUPTED, Execution.FEED_HOLD])
async def test_nothing_is_loaded_into_a_machine_that_works(bench: Bench, execution: Execution) -> None:
    bench.driver.ready()
    bench.driver.show(execution=execution)
    with pytest.raises(MotionRefused):
        await bench.transfer.begin("SHAFT.MPF")
    assert bench.transfer.transfer is None
    assert await bench.facts() == []


async def test_a_machine_that_begins_something_while_the_file_is_read_is_left_alone(bench: Bench) -> None:
    bench.driver.ready()
    begun = asyncio.create_task(bench.transfer.begin("SHAFT.MPF"))
    await asyncio.sleep(0)
    bench.driver.show(execution=Execution.ACTIVE)
    with pytest.raises(MotionRefused):
        await begun
    assert bench.driver.loaded == []


async def test_what_is_not_on_the_shelf_is_not_loaded(bench: Bench) -> None:
    bench.driver.ready()
    with pytest.raises(NotFound):
        await bench.transfer.begin("OTHER.MPF")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (TransferFailed(name="SHAFT.MPF", machine_id="lathe", reason="it reads back differently"), "reads back"),
        (DriverUnavailable(machine_id="lathe", reason="the link was lost"), "the link was lost"),
        (DriverRefused(machine_id="lathe", command="write", reason="it is read-only"), "it is read-only"),
        (ZeroDivisionError("a defect"), "its driver failed: a defect"),
    ],
)
async def test_a_load_that_fails_says_why_and_leaves_no_fault(bench: Bench, failure: Exception, reason: str) -> None:
    bench.driver.ready()
    bench.driver.failing = failure
    await bench.load()
    assert bench.transfer.transfer is not None
    assert (bench.transfer.transfer.step, bench.transfer.transfer.selected) == (TransferStep.FAILED, False)
    assert reason in bench.reason
    assert bench.supervisor.view().fault == ""
    assert not bench.supervisor.view().busy
    assert [fact["step"] for fact in await bench.facts()] == ["FAILED"]
    notices = [message for message in bench.heard if isinstance(message, Notice)]
    assert [notice.code for notice in notices] == ["load"]
    bench.driver.failing = None
    await bench.load()
    assert bench.step is TransferStep.LOADED


async def test_a_load_is_cancelled(bench: Bench) -> None:
    bench.driver.ready()
    with pytest.raises(Refused, match="Nothing is being loaded"):
        await bench.transfer.cancel()
    bench.driver.gate.clear()
    await bench.transfer.begin("SHAFT.MPF")
    await bench.driver.begun.wait()
    await bench.transfer.cancel()
    assert (bench.step, bench.reason) == (TransferStep.FAILED, "it was cancelled")
    assert [fact["reason"] for fact in await bench.facts()] == ["it was cancelled"]
    assert bench.supervisor.view().refusals["load"] == ()  # type: ignore[index]


async def test_a_cancel_that_comes_too_late_tells_that_the_program_is_selected(bench: Bench) -> None:
    bench.driver.ready()
    facts = {"name": "SHAFT.MPF", "machine_id": "lathe", "reason": "cancelled too late", "selected": True}
    bench.driver.failing = TransferFailed(**facts)
    await bench.load()
    transfer = bench.transfer.transfer
    assert transfer is not None
    assert (transfer.step, transfer.selected, transfer.startable) == (TransferStep.FAILED, True, False)
    assert [(fact["step"], fact["selected"]) for fact in await bench.facts()] == [("FAILED", True)]


async def test_neither_a_trip_nor_a_stop_ends_a_load(bench: Bench) -> None:
    await bench.permit()
    bench.driver.gate.clear()
    await bench.transfer.begin("SHAFT.MPF")
    await bench.driver.begun.wait()
    bench.door(False)
    assert bench.supervisor.interlock.state is LatchState.TRIPPED
    assert bench.driver.wire == []
    await bench.supervisor.stop("console")
    bench.driver.gate.set()
    await bench.until(lambda: bench.step is TransferStep.LOADED)


async def test_the_service_ends_a_load_and_begins_none(bench: Bench) -> None:
    bench.driver.ready()
    bench.driver.gate.clear()
    await bench.transfer.begin("SHAFT.MPF")
    await bench.driver.begun.wait()
    await bench.transfer.shut_down()
    assert (bench.step, bench.reason) == (TransferStep.FAILED, "the service ended")
    assert [fact["reason"] for fact in await bench.facts()] == ["the service ended"]
    with pytest.raises(Refused, match="service is ending"):
        await bench.transfer.begin("SHAFT.MPF")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        ({"execution": Execution.ACTIVE}, "has moved since"),
        ({"execution": Execution.FEED_HOLD}, "has moved since"),
        ({"fault": Fault.FAULT, "fault_reason": "tool broken"}, "in fault"),
        ({"program": "OTHER.MPF"}, "another program"),
        ({"program": "/disk/SHAFT.MPF.BAK"}, "another program"),
    ],
)
async def test_what_happens_at_the_machine_after_the_load_ends_the_offer_to_start_it(
    bench: Bench, happens: dict[str, object], reason: str
) -> None:
    await bench.permit()
    bench.driver.show(program="BEFORE.MPF")
    await bench.load()
    before = {name: getattr(bench.driver.state(), name) for name in happens}
    bench.driver.show(**happens)
    bench.driver.show(**before)
    assert bench.transfer.transfer is not None
    assert not bench.transfer.transfer.startable
    assert reason in bench.reason
    with pytest.raises(Refused, match="waits to be started"):
        await bench.transfer.start_loaded()
    assert bench.driver.wire == []


async def test_a_fault_of_ours_ends_the_offer_too(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    bench.supervisor.guardian_gone()
    await bench.supervisor.reset()
    assert bench.transfer.transfer is not None
    assert (bench.transfer.transfer.startable, bench.reason) == (False, "the machine was in fault after the load")


@pytest.mark.parametrize("shown", ["shaft.mpf", "SHAFT", "/disk/parts/SHAFT.MPF", "C:\\nc\\Shaft.mpf", "", None])
async def test_the_loaded_program_may_become_the_active_one(bench: Bench, shown: str | None) -> None:
    await bench.permit()
    bench.driver.show(program="BEFORE.MPF")
    await bench.load()
    for name in (None, "BEFORE.MPF", shown, None, shown):
        bench.driver.show(program=name)
    assert bench.transfer.transfer is not None
    assert bench.transfer.transfer.startable


async def test_a_door_that_is_opened_after_the_load_asks_for_a_reset_and_no_new_load(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    bench.door(False)
    bench.door(True)
    with pytest.raises(MotionRefused, match="tripped"):
        await bench.transfer.start_loaded()
    await bench.supervisor.reset()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
    bench.driver.show(execution=Execution.ACTIVE)
    await started


async def test_what_moves_as_the_load_ends_is_not_offered(bench: Bench) -> None:
    await bench.permit()
    bench.driver.gate.clear()
    await bench.transfer.begin("SHAFT.MPF")
    await bench.driver.begun.wait()
    bench.driver.show(execution=Execution.ACTIVE)
    bench.driver.gate.set()
    await bench.until(lambda: bench.step is TransferStep.LOADED)
    assert bench.transfer.transfer is not None
    assert (bench.transfer.transfer.startable, bench.reason) == (False, "the machine has moved since the load")
