# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs from a wish to their end, with the real library and a driver whose wire is a list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from edge.domain.errors import (
    InfoMobilError,
    JobTransitionRefused,
    MotionRefused,
    NotFound,
    ProgramFailed,
    ProgramRejected,
    Refused,
)
from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import Job, JobAction, JobState, next_state
from edge.domain.machine import Execution, Position
from edge.domain.ports import JobMark
from edge.services.bus import EventBus
from edge.services.jobs import CLAIMS, JobService
from edge.services.programs import ProgramCatalog, Wish
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.store.library import PieceLibrary
from edge.store.shelf import ProgramShelf
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryJournal
from tests.support.late import LateStore, cancelled_behind_the_commit

P = ParamSpec("P")
T = TypeVar("T")
RULE = InputRule("door", "Door", "controller", 10**12, "Close the door.")
PIECES = Path(__file__).parents[2] / "content" / "programs"
SQUARE = b"G21 G90\nG0 Z5\nM3 S8000\nG1 Z-0.5 F300\nG1 X20 F800\nG1 Y20\nM5\nM30\n"


async def here(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return function(*args, **kwargs)


@dataclass
class Shop:
    clock: FakeClock
    store: LateStore
    driver: FakeDriver
    supervisor: MachineSupervisor
    catalog: ProgramCatalog
    jobs: JobService
    bus: EventBus
    journal: MemoryJournal

    async def another(self) -> JobService:
        """Return the job service after a restart."""
        recorder = Recorder(self.store, self.clock, lambda: None)
        jobs = JobService(
            {"router": self.supervisor},
            self.catalog,
            store=self.store,
            journal=self.journal,
            recorder=recorder,
            bus=self.bus,
            clock=self.clock,
            visit_id=lambda: "visit",
        )
        await jobs.load()
        return jobs

    async def ended(self, job: Job) -> Job:
        while self.jobs.job(job.job_id).state in (JobState.RUNNING, JobState.HELD):
            await asyncio.sleep(0)
        return self.jobs.job(job.job_id)

    async def cutting(self) -> Job:
        job = await self.jobs.request("gear", Wish(), guess_s=60)
        await self.jobs.approve(job.job_id)
        started = await self.jobs.start(job.job_id, area_clear=True)
        while "start" not in self.driver.wire:
            await asyncio.sleep(0)
        return started


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock, store, bus = FakeClock(), LateStore(), EventBus()
    driver, journal = FakeDriver(clock), MemoryJournal()
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=FakeGuardian())
    catalog = ProgramCatalog(PieceLibrary(PIECES, ()).pieces, ProgramShelf(tmp_path), here, bus)
    jobs = JobService(
        {"router": supervisor},
        catalog,
        store=store,
        journal=journal,
        recorder=recorder,
        bus=bus,
        clock=clock,
        visit_id=lambda: "visit",
    )
    task = asyncio.create_task(jobs.run())
    driver.ready()
    supervisor.on_input(InputSample("door", True, clock.boot_ns(), "controller"))
    await supervisor.reset()
    await asyncio.sleep(0)
    yield Shop(clock, store, driver, supervisor, catalog, jobs, bus, journal)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_wish_is_approved_started_and_finished(shop: Shop) -> None:
    job = await shop.cutting()
    assert job.state is JobState.RUNNING
    assert job.estimate_s > 10
    shop.clock.pass_s(70)
    assert shop.driver.end is not None
    shop.driver.end.set_result(None)
    ended = await shop.ended(job)
    assert (ended.state, ended.actual_s, ended.progress) == (JobState.FINISHED, 70.0, 1.0)
    states = [event.body["state"] for event in shop.store.events if event.type.value == "job.changed"]
    assert states == ["REQUESTED", "APPROVED", "RUNNING", "FINISHED"]


async def test_progress_goes_by_planned_time(shop: Shop) -> None:
    job = await shop.cutting()
    shop.driver.show(line=1)
    begun = shop.jobs.progress(job)
    shop.driver.show(line=job.total_lines // 2)
    half = shop.jobs.progress(job)
    assert begun.done < half.done < 1.0
    assert half.remaining_s == pytest.approx(job.estimate_s * (1 - half.done), rel=0.05)


async def test_a_start_needs_a_clear_area_and_an_approval(shop: Shop) -> None:
    job = await shop.jobs.request("gear", Wish(), guess_s=60)
    with pytest.raises(Refused, match="area is clear"):
        await shop.jobs.start(job.job_id, area_clear=False)
    with pytest.raises(JobTransitionRefused, match="REQUESTED"):
        await shop.jobs.start(job.job_id, area_clear=True)
    assert shop.driver.wire == []


async def test_a_start_is_refused_while_the_machine_works(shop: Shop) -> None:
    await shop.cutting()
    second = await shop.jobs.request("bolt", Wish(), guess_s=60)
    await shop.jobs.approve(second.job_id)
    with pytest.raises(MotionRefused):
        await shop.jobs.start(second.job_id, area_clear=True)
    assert shop.driver.wire == ["start"]


async def test_of_two_starts_at_once_one_is_refused_and_stays_approved(shop: Shop) -> None:
    jobs = [await shop.jobs.request("gear", Wish(), guess_s=60) for _ in range(2)]
    for job in jobs:
        await shop.jobs.approve(job.job_id)
    results = await asyncio.gather(
        *(shop.jobs.start(job.job_id, area_clear=True) for job in jobs), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Job", "MotionRefused"]
    states = sorted(shop.jobs.job(job.job_id).state for job in jobs)
    assert states == [JobState.APPROVED, JobState.RUNNING]


async def started_on_a_slow_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[Job, asyncio.Event]:
    """Start a job whose journal is not written, and nothing begun, before the event is set."""
    job = await shop.jobs.request("gear", Wish(), guess_s=60)
    await shop.jobs.approve(job.job_id)
    slow, write = asyncio.Event(), shop.journal.write

    async def slow_disk(marks: Sequence[JobMark]) -> None:
        await slow.wait()
        await write(marks)

    monkeypatch.setattr(shop.journal, "write", slow_disk)
    return await shop.jobs.start(job.job_id, area_clear=True), slow


async def test_a_stop_between_the_start_and_the_first_motion_is_not_forgotten(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, slow = await started_on_a_slow_disk(shop, monkeypatch)
    await shop.supervisor.stop("operator")
    slow.set()
    ended = await shop.ended(started)
    assert (ended.state, ended.reason) == (JobState.ABORTED, "stopped before it began")
    assert "start" not in shop.driver.wire


async def test_a_zero_that_is_moved_after_the_check_keeps_the_program_from_beginning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, slow = await started_on_a_slow_disk(shop, monkeypatch)
    shop.driver.show(work_offset=Position(-150, -150, -60))
    slow.set()
    while shop.jobs.job(started.job_id).state is JobState.RUNNING:
        await asyncio.sleep(0)
    ended = shop.jobs.job(started.job_id)
    assert ended.state is JobState.INTERRUPTED
    assert "the work zero was moved after the check" in ended.reason
    assert "start" not in shop.driver.wire


async def test_a_failed_program_fails_the_job_with_its_reason(shop: Shop) -> None:
    job = await shop.cutting()
    assert shop.driver.end is not None
    shop.driver.end.set_exception(ProgramFailed(program_id="gear", reason="error:20 in line 3"))
    ended = await shop.ended(job)
    assert ended.state is JobState.FAILED
    assert "error:20 in line 3" in ended.reason


async def test_a_trip_interrupts_the_job_with_its_reason(shop: Shop) -> None:
    job = await shop.cutting()
    shop.supervisor.on_input(InputSample("door", False, shop.clock.boot_ns(), "controller"))
    ended = await shop.ended(job)
    assert (ended.state, ended.reason) == (JobState.INTERRUPTED, "the interlock tripped: Door")


async def test_a_hold_at_the_machine_shows_in_the_job(shop: Shop) -> None:
    job = await shop.cutting()
    shop.driver.show(execution=Execution.FEED_HOLD)
    while shop.jobs.job(job.job_id).state is not JobState.HELD:
        await asyncio.sleep(0)
    shop.driver.show(execution=Execution.ACTIVE)
    while shop.jobs.job(job.job_id).state is not JobState.RUNNING:
        await asyncio.sleep(0)


async def test_the_end_of_a_job_waits_for_a_full_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.running.RETRY_S", 0.0)
    job = await shop.cutting()
    shop.store.failing = "the disk is full"
    assert shop.driver.end is not None
    shop.driver.end.set_result(None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert shop.jobs.job(job.job_id).state is JobState.RUNNING
    shop.store.failing = ""
    assert (await shop.ended(job)).state is JobState.FINISHED


async def test_a_restart_interrupts_what_ran_and_keeps_what_waited(shop: Shop) -> None:
    running = await shop.cutting()
    waiting = await shop.jobs.request("bolt", Wish(), guess_s=90)
    personal = await shop.jobs.request("name-tag", Wish("Ąžuolas"), guess_s=40)
    again = await shop.another()
    assert again.job(running.job_id).state is JobState.INTERRUPTED
    assert again.job(waiting.job_id).state is JobState.REQUESTED
    assert again.job(personal.job_id).state is JobState.DECLINED
    assert "ask again" in again.job(personal.job_id).reason
    assert (await again.request("bolt", Wish(), guess_s=90)).claim == personal.claim + 1


async def test_a_visitors_text_never_reaches_the_record(shop: Shop) -> None:
    job = await shop.jobs.request("name-tag", Wish("Ąžuolas"), guess_s=40)
    assert shop.jobs.wish(job.job_id) == Wish("Ąžuolas")
    written = repr(shop.store.events) + repr(shop.store.state)
    assert "uolas" not in written.lower()
    await shop.jobs.decline(job.job_id, "no time")
    assert shop.jobs.wish(job.job_id) is None


async def test_a_repeated_request_is_queued_once_also_after_a_restart(shop: Shop) -> None:
    first, second = await asyncio.gather(
        *(shop.jobs.request("gear", Wish(), guess_s=60, request_id="wish-1") for _ in range(2))
    )
    assert first.job_id == second.job_id
    again = await (await shop.another()).request("gear", Wish(), guess_s=60, request_id="wish-1")
    assert again.job_id == first.job_id
    assert shop.store.types().count("job.changed") == 1


async def test_a_request_that_is_cancelled_behind_its_commit_and_repeated_is_queued_once(shop: Shop) -> None:
    wish = Wish("Ąžuolas")
    asked = shop.jobs.request("gear", wish, guess_s=60, request_id="wish-1")
    await cancelled_behind_the_commit(shop.store, asked)
    job = await shop.jobs.request("gear", wish, guess_s=60, request_id="wish-1")
    assert shop.store.types().count("job.changed") == 1
    assert shop.jobs.wish(job.job_id) == wish
    assert (await shop.jobs.approve(job.job_id)).state is JobState.APPROVED


async def test_a_text_that_cannot_be_cut_is_refused(shop: Shop) -> None:
    with pytest.raises(InfoMobilError):
        await shop.jobs.request("name-tag", Wish("日本"), guess_s=40)
    assert shop.jobs.jobs() == []


async def test_a_moved_zero_has_to_be_checked_and_approved_before_the_start(shop: Shop) -> None:
    job = await shop.jobs.request("gear", Wish(), guess_s=60)
    await shop.jobs.approve(job.job_id)
    shop.driver.show(work_offset=Position(-10, -10, -1))
    with pytest.raises(MotionRefused, match=r"The zero of X was -150\.000 and is -10\.000 mm\."):
        await shop.jobs.start(job.job_id, area_clear=True)
    with pytest.raises(ProgramRejected):
        await shop.jobs.recheck(job.job_id)
    assert shop.jobs.job(job.job_id).state is JobState.APPROVED
    shop.driver.show(work_offset=None)
    with pytest.raises(ProgramRejected, match="work offset"):
        await shop.jobs.start(job.job_id, area_clear=True)
    assert shop.driver.wire == []


async def test_an_upload_is_kept_only_when_it_is_clean(shop: Shop) -> None:
    offset = shop.driver.state().work_offset
    entry, prepared = await shop.catalog.upload("bad.nc", b"G1 X10 F500\nG1 X9999\n", shop.driver.info(), offset)
    assert entry is None
    assert [item.line for item in prepared.diagnostics if item.severity == "error"] == [2]
    entry, prepared = await shop.catalog.upload("square.nc", SQUARE, shop.driver.info(), offset)
    assert entry is not None
    job = await shop.jobs.add(entry.program_id, "router")
    assert job.total_lines == prepared.total_lines == 8
    with pytest.raises(NotFound):
        await shop.jobs.add(entry.program_id, "lathe")


async def test_an_upload_that_was_changed_on_disk_is_refused(shop: Shop, tmp_path: Path) -> None:
    offset = shop.driver.state().work_offset
    entry, _ = await shop.catalog.upload("square.nc", SQUARE, shop.driver.info(), offset)
    assert entry is not None
    job = await shop.jobs.add(entry.program_id, "router")
    await shop.jobs.approve(job.job_id)
    (tmp_path / f"{entry.program_id}.nc").write_bytes(SQUARE.replace(b"X20", b"X21"))
    with pytest.raises(ProgramRejected, match="changed after"):
        await shop.jobs.start(job.job_id, area_clear=True)


async def test_claim_numbers_stay_small_and_are_never_doubled(shop: Shop) -> None:
    kept = await shop.jobs.request("bolt", Wish(), guess_s=90)
    claims = []
    for _ in range(CLAIMS + 5):
        job = await shop.jobs.request("bolt", Wish(), guess_s=90)
        claims.append(job.claim)
        await shop.jobs.decline(job.job_id, "a test")
    assert kept.claim not in claims
    assert max(claims) <= CLAIMS
    assert len(shop.jobs.jobs()) <= 52


async def test_a_full_queue_takes_no_more_wishes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.jobs.MAX_WAITING", 2)
    for _ in range(2):
        await shop.jobs.request("bolt", Wish(), guess_s=90)
    with pytest.raises(Refused, match="queue is full"):
        await shop.jobs.request("bolt", Wish(), guess_s=90)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("action", JobAction)
def test_nothing_happens_to_a_job_that_has_ended(state: JobState, action: JobAction) -> None:
    after = next_state(state, action)
    if state.ended:
        assert after is None
    if after is JobState.RUNNING:
        assert (state, action) in [
            (JobState.APPROVED, JobAction.START),
            (JobState.HELD, JobAction.RESUME),
            (JobState.INTERRUPTED, JobAction.RECOVER),
        ]
