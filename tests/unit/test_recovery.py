# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs after an interruption and at a tool change, with a driver whose wire is a list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from edge.domain.errors import (
    JobTransitionRefused,
    MotionRefused,
    ProgramInterrupted,
    ProgramRejected,
    Refused,
    StoreUnavailable,
)
from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import Job, JobState
from edge.domain.machine import Capability, Execution, Position
from edge.services.bus import EventBus
from edge.services.jobs import RESTARTED, WISH_LOST, JobService
from edge.services.programs import ProgramCatalog, Wish
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.store.library import PieceLibrary
from edge.store.shelf import ProgramShelf
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryJournal, MemoryStore

P = ParamSpec("P")
T = TypeVar("T")
RULE = InputRule("door", "Door", "controller", 10**12, "Close the door.")
PIECES = Path(__file__).parents[2] / "content" / "programs"
SQUARE = b"""G21 G90
G0 X0 Y0 Z5
M3 S8000
G1 Z-0.5 F300
G1 X20 F800
Y20
X0
Y0
G0 Z5
M5
M30
"""
TOOLS = b"""G21 G90
T1 M6 (6 mm end mill)
M3 S8000
G0 X0 Y0 Z5
G1 Z-1 F300
X20 F800
M6 T2 (v-bit)
G0 X5 Y5
G1 Z-1
X10
M0 (turn the piece)
X5
G0 Z5
M30
"""


async def here(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return function(*args, **kwargs)


@dataclass
class Shop:
    clock: FakeClock
    store: MemoryStore
    journal: MemoryJournal
    driver: FakeDriver
    supervisor: MachineSupervisor
    catalog: ProgramCatalog
    jobs: JobService
    bus: EventBus

    def service(self) -> JobService:
        return JobService(
            {"router": self.supervisor},
            self.catalog,
            store=self.store,
            journal=self.journal,
            recorder=Recorder(self.store, self.clock, lambda: None),
            bus=self.bus,
            clock=self.clock,
            visit_id=lambda: "visit",
        )

    async def added(self, program: bytes) -> Job:
        info, offset = self.driver.info(), self.driver.state().work_offset
        entry, prepared = await self.catalog.upload("a.nc", program, info, offset)
        assert entry is not None, prepared.diagnostics
        job = await self.jobs.add(entry.program_id, "router")
        await self.jobs.approve(job.job_id)
        return job

    async def started(self, program: bytes = SQUARE) -> Job:
        job = await self.added(program)
        await self.jobs.start(job.job_id, area_clear=True)
        await self.runs(1)
        return job

    async def runs(self, number: int) -> list[str]:
        """Wait until the driver runs its `number`th program; return the lines."""
        while len(self.driver.ran) < number:
            await asyncio.sleep(0)
        return list(self.driver.ran[number - 1].lines)

    async def ends(self) -> None:
        """Let the program that runs end by itself."""
        assert self.driver.end is not None
        self.driver.end.set_result(None)
        await asyncio.sleep(0)

    async def comes_to(self, job: Job, state: JobState) -> Job:
        while self.jobs.job(job.job_id).state is not state:
            await asyncio.sleep(0)
        return self.jobs.job(job.job_id)

    async def waits(self, job: Job) -> Job:
        while self.jobs.job(job.job_id).waits is None:
            await asyncio.sleep(0)
        return self.jobs.job(job.job_id)

    def cut(self, line: int, sent: int, x: float, y: float) -> None:
        """Let the machine report that it cuts at a place of the work coordinates."""
        place = Position(x - 150, y - 150, -40.5)
        self.driver.show(line=line, sent_line=sent, machine_position=place)

    def trip(self) -> None:
        self.supervisor.on_input(InputSample("door", False, self.clock.boot_ns(), "controller"))

    async def clear(self) -> None:
        self.supervisor.on_input(InputSample("door", True, self.clock.boot_ns(), "controller"))
        await self.supervisor.reset()

    async def interrupted(self) -> Job:
        """Return a job whose square was left in its sixth line by a tripped interlock, which is reset."""
        job = await self.started()
        self.cut(8, 8, 20, 12)
        self.trip()
        ended = await self.comes_to(job, JobState.INTERRUPTED)
        await self.clear()
        return ended


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock, store, bus, journal = FakeClock(), MemoryStore(), EventBus(), MemoryJournal()
    driver = FakeDriver(clock)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=FakeGuardian())
    catalog = ProgramCatalog(PieceLibrary(PIECES, ()).pieces, ProgramShelf(tmp_path), here, bus)
    shop = Shop(clock, store, journal, driver, supervisor, catalog, None, bus)  # type: ignore[arg-type]
    shop.jobs = shop.service()
    task = asyncio.create_task(shop.jobs.run())
    driver.ready()
    await shop.clear()
    await asyncio.sleep(0)
    yield shop
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_plan_names_the_line_that_was_being_cut_and_how_it_goes_on(shop: Shop) -> None:
    job = await shop.interrupted()
    assert job.line == 8
    assert 0 < job.progress < 1
    assert shop.jobs.progress(job).remaining_s < job.estimate_s
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert (plan.line, plan.total_lines, plan.position, plan.refusals) == (6, 11, "kept", ())
    assert plan.plan == (
        "Raise the tool to machine Z-5, then go above X20 Y0.",
        "Turn on the spindle (S8000M3), wait 4 s.",
        "Go down to Z-0.5 at F400, then go on with line 6 of 11: G1Y20.",
    )
    assert [(move.line, move.to) for move in plan.moves[:4]] == [
        (6, plan.moves[0].to),
        (6, Position(20.0, 0.0, 35.0)),
        (6, Position(20.0, 0.0, -0.5)),
        (6, Position(20.0, 20.0, -0.5)),
    ]
    assert [choice.line for choice in plan.choices] == [2, 6]
    words = " ".join(plan.evidence)
    assert "the interlock tripped: Door" in words
    assert "had taken line 8; line 8 had been sent" in words
    assert "0.00 mm from the path of line 6" in words
    assert "has kept its position" in words


async def test_a_recovered_job_runs_from_its_line_and_finishes_as_the_same_job(shop: Shop) -> None:
    job = await shop.interrupted()
    running = await shop.jobs.recover(job.job_id, 6, area_clear=True, approved=True)
    assert (running.state, running.claim, running.turn) == (JobState.RUNNING, job.claim, 1)
    lines = await shop.runs(2)
    mark = await shop.journal.last(job.job_id)
    assert mark is not None
    assert (mark.begun, mark.line) == (6, None)
    assert lines[:6] == ["G17G21G54G90G94M5M9", "G53G0Z-5", "G0X20Y0", "S8000M3", "G4P4", "G1Z-0.5F400"]
    assert lines[-6:] == ["G1Y20", "X0", "Y0", "G0Z5", "M5", "M30"]
    assert set(shop.driver.ran[1].source_lines) == set(range(6, 12))
    await shop.ends()
    ended = await shop.comes_to(job, JobState.FINISHED)
    assert (ended.progress, ended.line) == (1.0, 11)
    states = [event.body["state"] for event in shop.store.events if event.type.value == "job.changed"]
    assert states[-4:] == ["RUNNING", "INTERRUPTED", "RUNNING", "FINISHED"]


async def test_a_recovery_needs_approval_a_clear_area_and_permission(shop: Shop) -> None:
    job = await shop.interrupted()
    with pytest.raises(Refused, match="approved the plan"):
        await shop.jobs.recover(job.job_id, 6, area_clear=True, approved=False)
    with pytest.raises(Refused, match="area is clear"):
        await shop.jobs.recover(job.job_id, 6, area_clear=False, approved=True)
    shop.trip()
    with pytest.raises(MotionRefused, match="Door"):
        await shop.jobs.recover(job.job_id, 6, area_clear=True, approved=True)
    await shop.clear()
    with pytest.raises(MotionRefused, match="no line to begin with"):
        await shop.jobs.recover(job.job_id, 12, area_clear=True, approved=True)
    assert len(shop.driver.ran) == 1


async def test_an_unhomed_machine_recovers_nothing_and_its_position_is_lost_for_good(shop: Shop) -> None:
    job = await shop.interrupted()
    shop.driver.show(homed=False, machine_position=Position(0, 0, 0))
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert plan.position == "home again"
    assert [refusal.permissive for refusal in plan.refusals] == ["homed"]
    assert plan.line == 6
    with pytest.raises(MotionRefused, match="not trusted"):
        await shop.jobs.recover(job.job_id, 6, area_clear=True, approved=True)
    await shop.supervisor.home()
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert (plan.position, plan.refusals) == ("home again", ())
    assert "homed since" in plan.evidence[-1]
    await shop.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)


async def test_a_driver_that_was_interrupted_interrupts_the_job(shop: Shop) -> None:
    job = await shop.started()
    shop.driver.show(homed=False, execution=Execution.READY)
    assert shop.driver.end is not None
    shop.driver.end.set_exception(ProgramInterrupted(program_id="a", reason="the controller restarted"))
    ended = await shop.comes_to(job, JobState.INTERRUPTED)
    assert "the controller restarted" in ended.reason
    assert (await shop.jobs.recovery_plan(job.job_id)).position == "home again"


async def test_a_stop_by_the_guardian_leaves_no_position_to_trust(shop: Shop) -> None:
    job = await shop.started()
    shop.supervisor.guardian_acted()
    if shop.driver.end is not None and not shop.driver.end.done():
        shop.driver.end.set_exception(ProgramInterrupted(program_id="a", reason="the controller restarted"))
    await shop.comes_to(job, JobState.INTERRUPTED)
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert plan.position == "home again"
    assert "homed" in [refusal.permissive for refusal in plan.refusals]


async def test_a_persons_stop_still_aborts(shop: Shop) -> None:
    job = await shop.started()
    await shop.supervisor.stop("console")
    ended = await shop.comes_to(job, JobState.ABORTED)
    assert ended.reason == "stopped by console"
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.recovery_plan(job.job_id)
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.recover(job.job_id, 1, area_clear=True, approved=True)


async def test_others_start_while_a_job_is_interrupted_and_it_can_be_given_up(shop: Shop) -> None:
    job = await shop.interrupted()
    other = await shop.jobs.request("bolt", Wish(), guess_s=90)
    assert shop.jobs.waiting_before(other) == []
    await shop.jobs.approve(other.job_id)
    await shop.jobs.start(other.job_id, area_clear=True)
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert "busy" in [refusal.permissive for refusal in plan.refusals]
    gone = await shop.jobs.abandon(job.job_id)
    assert gone.state is JobState.ABORTED
    assert "the interlock tripped" in gone.reason
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.abandon(job.job_id)


async def test_the_evidence_outlives_the_service(shop: Shop) -> None:
    job = await shop.started()
    shop.cut(8, 8, 20, 12)
    shop.trip()
    await shop.comes_to(job, JobState.INTERRUPTED)
    again = shop.service()
    await again.load()
    plan = await again.recovery_plan(job.job_id)
    assert (plan.line, plan.position) == (6, "home again")


async def test_a_restart_in_mid_job_interrupts_it_and_a_lost_text_fails_it(shop: Shop) -> None:
    job = await shop.started()
    again = shop.service()
    await again.load()
    assert (again.job(job.job_id).state, again.job(job.job_id).reason) == (JobState.INTERRUPTED, RESTARTED)
    shop.driver.end = shop.driver.end or asyncio.get_running_loop().create_future()
    await shop.ends()
    await shop.comes_to(job, JobState.FINISHED)
    wish = await shop.jobs.request("name-tag", Wish("Rugilė"), guess_s=40)
    await shop.jobs.approve(wish.job_id)
    await shop.jobs.start(wish.job_id, area_clear=True)
    await shop.runs(2)
    again = shop.service()
    await again.load()
    assert (again.job(wish.job_id).state, again.job(wish.job_id).reason) == (JobState.FAILED, WISH_LOST)


async def test_a_changed_file_is_not_taken_up_again(shop: Shop, tmp_path: Path) -> None:
    job = await shop.interrupted()
    (tmp_path / f"{job.program_id}.nc").write_bytes(SQUARE.replace(b"X20", b"X21"))
    with pytest.raises(ProgramRejected, match="changed after"):
        await shop.jobs.recovery_plan(job.job_id)


async def test_a_zero_that_no_longer_fits_is_refused_by_the_check(shop: Shop) -> None:
    job = await shop.interrupted()
    shop.driver.show(work_offset=Position(-10, -10, -40))
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert "zero has been moved" in " ".join(plan.evidence)
    assert ["restart"] == [refusal.permissive for refusal in plan.refusals]
    assert "beyond the travel" in plan.refusals[0].why


async def test_a_job_waits_for_its_tools_and_goes_on_from_there(shop: Shop) -> None:
    job = await shop.started(TOOLS)
    assert await shop.runs(1) == ["G21G90", "M5M9"]
    await shop.ends()
    held = await shop.waits(job)
    assert held.state is JobState.HELD
    assert held.waits is not None
    assert (held.waits.kind, held.waits.tool, held.waits.line, held.waits.text) == ("tool", 1, 2, "6 mm end mill")
    with pytest.raises(Refused, match="length of the new tool"):
        await shop.jobs.continue_(job.job_id, area_clear=True)
    with pytest.raises(Refused, match="area is clear"):
        await shop.jobs.continue_(job.job_id, area_clear=False, same_length=True)
    running = await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    assert (running.state, running.waits) == (JobState.RUNNING, None)
    lines = await shop.runs(2)
    assert lines[:2] == ["G17G21G54G90G94M5M9", "G53G0Z0"]
    assert lines[2:] == ["T1", "M3S8000", "G0X0Y0Z5", "G1Z-1F300", "X20F800", "M5M9"]
    await shop.ends()
    held = await shop.waits(job)
    assert held.waits is not None
    assert (held.waits.tool, held.waits.line, held.waits.text) == (2, 7, "v-bit")
    assert shop.jobs.progress(held).done > 0
    shop.driver.show(work_offset=Position(-150, -150, -38))
    await shop.jobs.continue_(job.job_id, area_clear=True)
    lines = await shop.runs(3)
    assert lines[2:6] == ["G0X20Y0", "S8000M3", "G4P4", "G1Z-1F400"]
    assert lines[6:] == ["T1F800", "T2", "G0X5Y5", "G1Z-1", "X10", "M5M9"]
    await shop.ends()
    held = await shop.waits(job)
    assert held.waits is not None
    assert (held.waits.kind, held.waits.text) == ("stop", "turn the piece")
    await shop.jobs.continue_(job.job_id, area_clear=True)
    lines = await shop.runs(4)
    assert lines[-3:] == ["G1X5", "G0Z5", "M30"]
    await shop.ends()
    assert (await shop.comes_to(job, JobState.FINISHED)).progress == 1.0
    assert not any("M6" in line or "M0" in line for text in shop.driver.ran for line in text.lines)


async def test_a_waiting_job_outlives_a_trip_and_motion_by_hand(shop: Shop) -> None:
    job = await shop.started(TOOLS)
    await shop.ends()
    await shop.waits(job)
    shop.trip()
    shop.driver.show(execution=Execution.ACTIVE)
    await asyncio.sleep(0)
    shop.driver.show(execution=Execution.READY)
    with pytest.raises(MotionRefused):
        await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    assert shop.jobs.job(job.job_id).state is JobState.HELD
    await shop.clear()
    await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    await shop.runs(2)


async def test_a_waiting_job_can_be_given_up(shop: Shop) -> None:
    job = await shop.started(TOOLS)
    await shop.ends()
    await shop.waits(job)
    gone = await shop.jobs.abandon(job.job_id)
    assert (gone.state, gone.reason, gone.waits) == (JobState.ABORTED, "Given up by the operator.", None)
    assert len(shop.driver.ran) == 1


async def test_a_restart_at_a_tool_change_is_recovered_after_it(shop: Shop) -> None:
    job = await shop.started(TOOLS)
    await shop.ends()
    await shop.waits(job)
    again = shop.service()
    await again.load()
    kept = again.job(job.job_id)
    assert kept.state is JobState.INTERRUPTED
    assert kept.waits is not None
    plan = await again.recovery_plan(job.job_id)
    assert plan.line == 2
    assert "for the tool T1" in " ".join(plan.evidence)


async def test_a_full_disk_at_a_tool_change_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.running.RETRY_S", 0.0)
    job = await shop.started(TOOLS)
    shop.store.failing = "the disk is full"
    await shop.ends()
    for _ in range(20):
        await asyncio.sleep(0)
    assert shop.jobs.job(job.job_id).waits is None
    shop.store.failing = ""
    await shop.waits(job)
    shop.store.failing = "the disk is full"
    with pytest.raises(StoreUnavailable):
        await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    shop.store.failing = ""
    await shop.jobs.continue_(job.job_id, area_clear=True, same_length=True)
    await shop.runs(2)


async def test_a_tool_change_needs_a_machine_whose_zero_can_be_set(shop: Shop) -> None:
    shop.driver._info = type(shop.driver._info)(
        "router", "Router", "router", "fake", capabilities=frozenset({Capability.RUN_PROGRAM}),
        travel=shop.driver.info().travel,
    )  # fmt: skip
    entry, prepared = await shop.catalog.upload("a.nc", TOOLS, shop.driver.info(), shop.driver.state().work_offset)
    assert entry is None
    assert {item.line for item in prepared.diagnostics if item.severity == "error"} >= {2, 7}


async def test_the_end_of_the_service_interrupts_a_job_that_waits(shop: Shop) -> None:
    job = await shop.started(TOOLS)
    await shop.ends()
    await shop.waits(job)
    assert shop.jobs._runner._group is not None
    for task in tuple(shop.jobs._runner._tasks.values()):
        task.cancel()
    ended = await shop.comes_to(job, JobState.INTERRUPTED)
    assert ended.reason == "the service ended"
    assert ended.waits is not None
