# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a program and starting what was loaded: in which order, what refuses, what ends it, what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    MotionRefused,
    NotFound,
    ProgramAborted,
    Refused,
    StopNotDelivered,
    TransferFailed,
)
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Availability, Capability, Execution, Fault
from edge.domain.transfer import TransferStep
from edge.safety.interlock import LatchState
from edge.services.bus import EventBus, MachineChanged, Message, Notice
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.transfer import ProgramTransfer
from edge.store.machine_files import MachineFiles
from tests.support.fakes import FakeClock, FakeReceiver, MemoryStore

RULE = InputRule("door", "Door", "opcua:lathe/door", 500_000_000, "Close the door.")
CONTENT = b"N10 G0 X100\nN20 M30\n"


@dataclass
class Bench:
    clock: FakeClock
    driver: FakeReceiver
    store: MemoryStore
    recorder: Recorder
    supervisor: MachineSupervisor
    transfer: ProgramTransfer
    shelf: MachineFiles
    heard: list[Message]

    def door(self, healthy: bool | None) -> None:
        self.supervisor.on_input(InputSample("door", healthy, self.clock.boot_ns(), "opcua"))

    async def permit(self) -> None:
        self.driver.ready()
        self.door(True)
        await self.supervisor.reset()

    async def load(self, name: str = "SHAFT.MPF") -> None:
        await self.transfer.begin(name)
        await self.until(lambda: self.step in (TransferStep.LOADED, TransferStep.FAILED))

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not check():
                await asyncio.sleep(0.001)

    async def run_loaded(self) -> None:
        """Load, start, and let the machine say that it moves."""
        await self.permit()
        await self.load()
        started = asyncio.create_task(self.transfer.start_loaded())
        await self.until(lambda: "started" in self.driver.wire)
        self.driver.show(execution=Execution.ACTIVE)
        await started

    def store_stops(self) -> int:
        """Return how many stops were recorded."""
        stops = [event for event in self.store.events if event.type.value == "stop.commanded"]
        return sum(event.body["command"] == "stop" for event in stops)

    @property
    def step(self) -> TransferStep | None:
        return self.transfer.transfer.step if self.transfer.transfer else None

    @property
    def reason(self) -> str:
        return self.transfer.transfer.reason if self.transfer.transfer else ""

    async def facts(self, kind: str = "program.loaded") -> list[dict[str, object]]:
        assert await self.recorder.drain(5)
        return [dict(event.body) for event in self.store.events if event.type.value == kind]


def make(tmp_path: Path, *, job_control: bool = True) -> Bench:
    clock, store, bus = FakeClock(), MemoryStore(), EventBus()
    driver = FakeReceiver(clock, job_control=job_control)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=None)
    shelf = MachineFiles(tmp_path / "machine-files")
    heard: list[Message] = []
    bus.subscribe(heard.append)
    transfer = ProgramTransfer(supervisor, shelf, recorder, bus)
    return Bench(clock, driver, store, recorder, supervisor, transfer, shelf, heard)


@pytest.fixture(params=[True])
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = make(tmp_path, job_control=request.param)
    await bench.shelf.put("lathe", "SHAFT.MPF", CONTENT)
    tasks = [asyncio.create_task(part.run()) for part in (bench.recorder, bench.supervisor, bench.transfer)]
    await asyncio.sleep(0)
    yield bench
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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


async def test_what_was_loaded_is_started_once(bench: Bench) -> None:
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
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
    await bench.permit()
    await bench.load()
    started = asyncio.create_task(bench.transfer.start_loaded())
    await bench.until(lambda: "started" in bench.driver.wire)
    bench.driver.show(execution=Execution.ACTIVE)
    await started
    bench.door(False)
    assert bench.driver.wire[2] == "hold"
    await bench.until(lambda: bench.driver.wire[-1] == "reset")


class Resuming:
    """A person's word to go on, whose order is on its way."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.answer = asyncio.Event()
        self.refusal: Exception | None = None

    async def __call__(self) -> None:
        self.bench.driver.wire.append("resume")
        await self.answer.wait()
        if self.refusal is not None:
            raise self.refusal

    async def begin(self) -> asyncio.Task[None]:
        self.bench.driver.resume = self  # type: ignore[method-assign]
        await self.bench.permit()
        self.bench.driver.show(execution=Execution.FEED_HOLD)
        asked = asyncio.create_task(self.bench.supervisor.resume())
        await self.bench.until(lambda: "resume" in self.bench.driver.wire)
        return asked


REFUSED = DriverRefused(machine_id="lathe", command="resume", reason="a hold came in between")


@pytest.mark.parametrize("refusal", [None, REFUSED])
async def test_a_hold_that_comes_while_a_machine_is_asked_to_go_on_wins(
    bench: Bench, refusal: DriverRefused | None
) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    resuming.refusal = refusal
    resuming.answer.set()
    await asyncio.wait([asked])
    assert asked.exception() is refusal
    assert bench.driver.wire == ["resume", "hold"]
    # The machine took the hold before the order: it moves.
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold", "hold"]
    bench.driver.show(execution=Execution.FEED_HOLD)
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold", "hold"]


async def test_a_hold_of_an_earlier_time_holds_nobody_who_goes_on_at_the_machine(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    resuming.answer.set()
    await asked
    bench.clock.pass_s(6)
    bench.door(True)
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold"]


async def test_a_hold_that_cannot_be_repeated_is_a_fault(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    bench.driver.show(execution=Execution.ACTIVE)
    bench.driver.reachable = False
    resuming.answer.set()
    await asked
    assert "did not reach" in bench.supervisor.view().fault


@pytest.mark.parametrize("way", ["stop", "trip"])
async def test_a_stop_that_is_lost_while_a_machine_is_asked_to_go_on_is_sent_again(bench: Bench, way: str) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.driver.reachable = False
    if way == "stop":
        with pytest.raises(StopNotDelivered):
            await bench.supervisor.stop("console")
    else:
        bench.door(False)
        await bench.until(lambda: bench.store_stops() == 1)
    bench.driver.reachable = True
    resuming.answer.set()
    await asked
    assert bench.driver.wire == ["resume", "hold", "reset"]


async def test_a_stop_that_arrived_is_not_sent_again_after_a_resume(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    await bench.supervisor.stop("console")
    resuming.answer.set()
    await asked
    assert bench.driver.wire == ["resume", "hold", "reset"]


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
