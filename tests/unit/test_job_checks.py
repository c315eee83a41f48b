# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program was checked for, and that a job does not start for anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    JobTransitionRefused,
    MotionRefused,
    NotFound,
    ProgramAborted,
    ProgramRejected,
    Refused,
)
from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import Job, JobState
from edge.domain.machine import Capability, Execution, MachineInfo, Motion, Position, Travel
from edge.domain.ports import ProgramText, RefusedLine
from edge.domain.tool import Tool, ToolShape
from edge.safety.permissives import Refusal
from edge.services import second_opinion
from edge.services.bus import CheckProgress, EventBus, LiveView
from edge.services.checking import OTHER_PROGRAM, PERMISSIVE, UNKNOWN, Basis, Checked, changes, outdated
from edge.services.jobs import JobService
from edge.services.programs import ProgramCatalog, Wish
from edge.services.progress import NOTE_FILE, Note, watched
from edge.services.recorder import Recorder
from edge.services.second_opinion import Opinion, SecondOpinion
from edge.services.supervisor import MachineSupervisor
from edge.store.library import PieceLibrary
from edge.store.shelf import ProgramShelf
from tests.support.fakes import TRAVEL, FakeClock, FakeDriver, FakeGuardian, MemoryJournal, MemoryStore
from tests.support.job_bench import here

P = ParamSpec("P")
T = TypeVar("T")
RULE = InputRule("door", "Door", "controller", 10**12, "Close the door.")
SQUARE = b"G21 G90\nG0 Z5\nM3 S8000\nG1 Z-0.5 F300\nG1 X20 F800\nG1 Y20\nM5\nM30\n"
MOTION = Motion(Position(3000, 3000, 1500), Position(200, 200, 200))
MILL = Tool(1, "End mill 3 mm", ToolShape.FLAT, diameter=3.0, flute_length=6.0)
BASIS = Basis(
    "Grbl 1.1h", TRAVEL, MOTION, Position(0, 0, 0), (MILL,), None, banned=frozenset({"G10"}), tool_change=True
)


@pytest.mark.parametrize(
    ("other", "sentences"),
    [
        ({}, ()),
        ({"offset": Position(0.0004, 0, 0)}, ()),
        ({"offset": Position(12.5, 0, 0)}, ("The zero of X was 0.000 and is 12.500 mm.",)),
        ({"offset": None}, ("The zero of the work coordinates is not known any more.",)),
        ({"controller": "Grbl 1.1f"}, ("The controller was Grbl 1.1h and is Grbl 1.1f.",)),
        (
            {"travel": replace(TRAVEL, low=Position(-300, -200, -60), max_feed=500.0)},
            (
                "The travel of X was -200.000 to 0.000 and is -300.000 to 0.000 mm.",
                "The highest feed was 3000 and is 500 mm/min.",
            ),
        ),
        (
            {"motion": replace(MOTION, acceleration=Position(200, 50, 200), junction_deviation=0.02)},
            ("The acceleration of Y was 200 and is 50 mm/s².", "The junction deviation was 0.01 and is 0.02 mm."),
        ),
        ({"tools": ()}, ("Tool 1 was in the table, and is not any more.",)),
        ({"tools": (MILL, replace(MILL, number=2))}, ("Tool 2 was not in the table, and is now.",)),
        ({"tools": (replace(MILL, diameter=2.0),)}, ("Tool 1 has changed: diameter.",)),
        ({"banned": frozenset()}, ("Other words are allowed in the program than at the check.",)),
    ],
)
def test_each_change_is_named(other: dict[str, Any], sentences: tuple[str, ...]) -> None:
    assert changes(BASIS, replace(BASIS, **other)) == sentences


def test_what_was_not_known_at_the_check_has_changed() -> None:
    unknown = replace(BASIS, travel=None, motion=None, offset=None)
    assert len(changes(unknown, BASIS)) == 3
    assert [item.why for item in outdated(None, BASIS)] == [UNKNOWN]
    assert [item.why for item in outdated(Checked("a", BASIS), BASIS, "b")] == [OTHER_PROGRAM]
    assert outdated(Checked("a", BASIS), BASIS, "a") == ()


class Reader(FakeDriver):
    """A machine whose controller reads programs: `refused` of them, once `gate` is open, or it fails."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.refused: tuple[RefusedLine, ...] = ()
        self.failing: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.texts: list[ProgramText] = []

    def learn(self, **changes: Any) -> None:
        self._info: MachineInfo = replace(self._info, **changes)

    async def check_program(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        self.texts.append(program)
        self.wire.append("check")
        self.end = asyncio.get_running_loop().create_future()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(self.gate.wait())
        ends: list[asyncio.Future[Any]] = [waiting, self.end]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.end.done():
            self.end.exception()
            raise DriverRefused(machine_id="router", command="check", reason="it was stopped")
        if self.failing is not None:
            raise self.failing
        for number in range(len(program.lines)):
            tell(number + 1)
        return self.refused


@dataclass
class Shop:
    driver: Reader
    supervisor: MachineSupervisor
    guardian: FakeGuardian
    catalog: ProgramCatalog
    jobs: JobService
    opinions: SecondOpinion
    clock: FakeClock

    async def approved(self) -> Job:
        job = await self.jobs.add(await self.uploaded(), "router")
        return await self.jobs.approve(job.job_id)

    async def uploaded(self, data: bytes = SQUARE) -> str:
        state = self.driver.state()
        entry, _ = await self.catalog.upload("a.nc", data, self.driver.info(), state.work_offset)
        assert entry is not None
        return entry.program_id

    async def refused(self, job: Job) -> list[str]:
        """Start the job, which is refused, and return why its check does not count."""
        with pytest.raises(MotionRefused) as refused:
            await self.jobs.start(job.job_id, area_clear=True)
        reasons = refused.value.refusals
        assert isinstance(reasons, tuple)
        assert self.jobs.job(job.job_id).state is JobState.APPROVED
        assert "start" not in self.driver.wire
        return [item.why for item in reasons if isinstance(item, Refusal) and item.permissive == PERMISSIVE]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock, bus, store = FakeClock(), EventBus(), MemoryStore()
    driver, guardian = Reader(clock), FakeGuardian()
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=guardian)
    machines = {"router": supervisor}
    catalog = ProgramCatalog({}, ProgramShelf(tmp_path), here, bus)
    jobs = JobService(
        machines,
        catalog,
        store=store,
        journal=MemoryJournal(),
        recorder=recorder,
        bus=bus,
        clock=clock,
        visit_id=lambda: None,
    )
    task = asyncio.create_task(jobs.run())
    driver.ready()
    supervisor.on_input(InputSample("door", True, clock.boot_ns(), "controller"))
    await supervisor.reset()
    await asyncio.sleep(0)
    yield Shop(driver, supervisor, guardian, catalog, jobs, SecondOpinion(machines, catalog), clock)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_was_approved_starts(shop: Shop) -> None:
    job = await shop.approved()
    assert (await shop.jobs.start(job.job_id, area_clear=True)).state is JobState.RUNNING


async def test_a_moved_zero_is_named_checked_again_and_approved(shop: Shop) -> None:
    job = await shop.approved()
    shop.driver.show(work_offset=Position(-137.5, -150, -40))
    assert await shop.refused(job) == ["The zero of X was -150.000 and is -137.500 mm."]
    again = await shop.jobs.recheck(job.job_id)
    assert again.state is JobState.REQUESTED
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.start(job.job_id, area_clear=True)
    await shop.jobs.approve(job.job_id)
    assert (await shop.jobs.start(job.job_id, area_clear=True)).state is JobState.RUNNING


async def test_changed_settings_are_named_and_the_estimate_is_made_anew(shop: Shop) -> None:
    shop.driver.learn(motion=MOTION)
    job = await shop.approved()
    shop.driver.learn(motion=replace(MOTION, max_rate=Position(300, 300, 300)))
    assert await shop.refused(job) == [
        "The fastest motion of X was 3000 and is 300 mm/min.",
        "The fastest motion of Y was 3000 and is 300 mm/min.",
        "The fastest motion of Z was 1500 and is 300 mm/min.",
    ]
    assert (await shop.jobs.recheck(job.job_id)).estimate_s > job.estimate_s


async def test_all_reasons_are_named_together(shop: Shop) -> None:
    job = await shop.approved()
    shop.driver.show(work_offset=Position(-140, -150, -40), homed=False)
    with pytest.raises(MotionRefused, match="homed") as refused:
        await shop.jobs.start(job.job_id, area_clear=True)
    reasons = refused.value.refusals
    assert isinstance(reasons, tuple)
    assert [item.permissive for item in reasons] == ["homed", PERMISSIVE]


async def test_a_check_that_nobody_remembers_counts_as_changed(shop: Shop) -> None:
    job = await shop.approved()
    shop.jobs._book.checked.clear()
    assert await shop.refused(job) == [UNKNOWN]


async def test_an_approval_before_the_machine_told_its_zero_is_no_approval_for_it(shop: Shop) -> None:
    job = await shop.jobs.add(await shop.uploaded(), "router")
    offset = shop.driver.state().work_offset
    shop.driver.show(work_offset=None)
    await shop.jobs.approve(job.job_id)
    with pytest.raises(ProgramRejected, match="work offset"):
        await shop.jobs.recheck(job.job_id)
    shop.driver.show(work_offset=offset)
    assert await shop.refused(job) == ["The zero of the work coordinates was not known at the check, and is now."]


async def test_a_program_that_does_not_fit_any_more_is_not_approved(shop: Shop) -> None:
    job = await shop.jobs.add(await shop.uploaded(), "router")
    shop.driver.show(work_offset=Position(-1, -1, -1))
    with pytest.raises(ProgramRejected, match="beyond the travel"):
        await shop.jobs.approve(job.job_id)
    assert shop.jobs.job(job.job_id).state is JobState.REQUESTED


async def test_a_job_that_runs_or_has_ended_is_not_checked_again(shop: Shop) -> None:
    job = await shop.approved()
    await shop.jobs.start(job.job_id, area_clear=True)
    with pytest.raises(JobTransitionRefused):
        await shop.jobs.recheck(job.job_id)
    with pytest.raises(NotFound):
        await shop.jobs.recheck("nobody")


# The controller's own check


def nobody(_stage: str, _done: float) -> None:
    pass


async def test_the_controller_reads_the_whole_program_without_its_stops(shop: Shop) -> None:
    data = b"G21 G90\nG0 X1\nT2 M6\nG0 X2\nM0\nG0 X3\nM30\n"
    told: list[tuple[str, float]] = []
    answer = await shop.opinions.ask("router", await shop.uploaded(data), lambda *words: told.append(words))
    assert answer == Opinion(7, (), agrees=True)
    assert [line for line in shop.driver.texts[0].lines if "X" in line] == ["G0X1", "G0X2", "G0X3"]
    assert told[-1] == ("controller", 1.0)
    assert shop.guardian.armed == []


async def test_the_controller_reads_a_visitor_s_own_text(shop: Shop, tmp_path: Path) -> None:
    pieces = PieceLibrary(Path(__file__).parents[2] / "content" / "programs", ()).pieces
    catalog = ProgramCatalog(pieces, ProgramShelf(tmp_path), here, EventBus())
    opinions = SecondOpinion({"router": shop.supervisor}, catalog)
    shop.driver.show(work_offset=Position(-150, -150, -30))
    plain, own = [await opinions.ask("router", "name-tag", nobody, wish) for wish in (None, Wish("ONA"))]
    assert plain.agrees
    assert own.agrees
    named, asked = shop.driver.texts
    assert tuple(named.lines) != tuple(asked.lines)
    shop.driver.show(work_offset=Position(0, 0, 0))
    with pytest.raises(ProgramRejected, match="beyond the travel"):
        await opinions.ask("router", "name-tag", nobody, Wish("ONA"))


async def test_what_the_controller_refuses_is_told(shop: Shop) -> None:
    shop.driver.refused = (RefusedLine(3, 20, "not known"),)
    answer = await shop.opinions.ask("router", await shop.uploaded(), nobody)
    assert (answer.refused, answer.agrees) == (shop.driver.refused, False)


async def test_the_controller_is_asked_only_of_what_our_check_takes(shop: Shop) -> None:
    program_id = await shop.uploaded()
    shop.driver.show(work_offset=Position(-1, -1, -1))
    with pytest.raises(ProgramRejected, match="beyond the travel"):
        await shop.opinions.ask("router", program_id, nobody)
    shop.driver.show(work_offset=None)
    with pytest.raises(ProgramRejected, match="work offset"):
        await shop.opinions.ask("router", program_id, nobody)
    assert shop.driver.texts == []


async def test_a_machine_that_cannot_or_may_not_is_not_asked(shop: Shop) -> None:
    program_id = await shop.uploaded()
    with pytest.raises(NotFound):
        await shop.opinions.ask("lathe", program_id, nobody)
    shop.driver.show(execution=Execution.ACTIVE)
    with pytest.raises(MotionRefused, match="second_opinion"):
        await shop.opinions.ask("router", program_id, nobody)
    shop.driver.show(execution=Execution.READY)
    shop.driver.learn(capabilities=frozenset(Capability) - {Capability.CHECK_MODE})
    with pytest.raises(DriverRefused, match="no check mode"):
        await shop.opinions.ask("router", program_id, nobody)
    assert shop.driver.texts == []


@pytest.mark.parametrize("end", ["stop", "hold", "door"])
async def test_a_stop_a_hold_and_a_trip_end_it(shop: Shop, end: str) -> None:
    shop.driver.gate.clear()
    asked = asyncio.create_task(shop.opinions.ask("router", await shop.uploaded(), nobody))
    while not shop.driver.texts:
        await asyncio.sleep(0)
    assert shop.guardian.armed == ["router"]
    if end == "stop":
        await shop.supervisor.stop("operator")
    elif end == "hold":
        shop.supervisor.hold("operator")
    else:
        shop.supervisor.on_input(InputSample("door", False, shop.clock.boot_ns(), "controller"))
    with pytest.raises(ProgramAborted):
        await asked
    assert shop.driver.wire[-2:] == ["hold", "reset"]
    assert shop.guardian.armed == []


async def test_more_lines_than_a_controller_reads_in_some_minutes_are_not_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_id = await shop.uploaded()
    monkeypatch.setattr(second_opinion, "MOST_LINES", 7)
    with pytest.raises(Refused, match="It has 8 lines"):
        await shop.opinions.ask("router", program_id, nobody)
    assert shop.driver.texts == []
    monkeypatch.setattr(second_opinion, "MOST_LINES", 8)
    assert (await shop.opinions.ask("router", program_id, nobody)).agrees


async def test_it_ends_when_its_caller_gives_it_up(shop: Shop) -> None:
    shop.driver.gate.clear()
    asked = asyncio.create_task(shop.opinions.ask("router", await shop.uploaded(), nobody))
    while not shop.driver.texts:
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert shop.guardian.armed == []
    shop.driver.gate.set()
    assert (await shop.opinions.ask("router", await shop.uploaded(), nobody)).agrees


async def test_a_lost_link_leaves_a_fault_and_a_refusal_none(shop: Shop) -> None:
    program_id = await shop.uploaded()
    shop.driver.failing = DriverRefused(machine_id="router", command="check", reason="ALARM:2")
    with pytest.raises(DriverRefused, match="ALARM:2"):
        await shop.opinions.ask("router", program_id, nobody)
    assert not shop.supervisor.in_fault
    shop.driver.failing = DriverUnavailable(machine_id="router", reason="unplugged")
    with pytest.raises(DriverUnavailable):
        await shop.opinions.ask("router", program_id, nobody)
    assert shop.supervisor.in_fault


# How far a check is


async def test_the_stages_of_a_check_are_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float]] = []
    offset = shop.driver.state().work_offset
    await shop.catalog.upload("a.nc", SQUARE, shop.driver.info(), offset, lambda *words: told.append(words))
    assert told[-1] == ("planning", 1.0)

    async def slowly(place: str) -> str:
        note = Note(place)
        for stage in ("reading", "limits", "planning"):
            note(stage, 0.5)
            while not told or told[-1][0] != stage:
                await asyncio.sleep(0.005)
        return "done"

    monkeypatch.setattr("edge.services.progress.LOOK_S", 0.01)
    told.clear()
    assert await watched(slowly, lambda *words: told.append(words)) == "done"
    assert told == [("reading", 0.5), ("limits", 0.5), ("planning", 0.5)]


async def test_a_check_that_kills_its_process_is_a_refusal(tmp_path: Path) -> None:
    async def dies(function: Callable[P, T], /, *_args: P.args, **_kwargs: P.kwargs) -> T:
        raise BrokenProcessPool(function.__name__)

    catalog = ProgramCatalog({}, ProgramShelf(tmp_path), dies, EventBus())
    info = MachineInfo("router", "Router", "router", driver="fake")
    with pytest.raises(ProgramRejected, match="without a result"):
        await catalog.upload("a.nc", SQUARE, info, None)
    assert catalog.entries() == []


def test_a_note_is_never_written_into_another_file(tmp_path: Path) -> None:
    """Whoever waited is gone, and the number of the note belongs to something else by now."""
    other = tmp_path / f"{NOTE_FILE}.db"
    other.write_bytes(b"precious data")
    with other.open("r+b") as file:
        Note(f"/proc/self/fd/{file.fileno()}")("reading", 0.5)
    Note("/proc/self/fd/9999")("reading", 0.5)
    assert other.read_bytes() == b"precious data"


async def test_a_slow_screen_hears_only_how_far_a_check_is_now() -> None:
    bus = EventBus()
    view = LiveView(bus)
    for done in (0.1, 0.2, 0.3):
        bus.publish(CheckProgress("a", "reading", done))
        bus.publish(CheckProgress("b", "reading", done))
    assert await view.take(0.1) == [CheckProgress("a", "reading", 0.3), CheckProgress("b", "reading", 0.3)]
    view.close()


def test_the_travel_of_an_axis_that_grew_is_one_sentence() -> None:
    grown = Travel(TRAVEL.low, Position(0, 0, 10), TRAVEL.max_feed, TRAVEL.max_spindle)
    assert changes(BASIS, replace(BASIS, travel=grown)) == (
        "The travel of Z was -60.000 to 0.000 and is -60.000 to 10.000 mm.",
    )
