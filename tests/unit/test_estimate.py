# SPDX-License-Identifier: GPL-3.0-or-later
"""The live estimate: by the reported place, at the overrides that are set, against plans of the whole program."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.job import Job, JobState, Waits
from edge.domain.machine import Execution, Motion, Overrides, Position
from edge.gcode import MotionSettings, interpret, plan
from edge.services.bus import EventBus, JobsChanged, MachineChanged
from edge.services.estimate import Estimates, Left
from edge.services.preparing import Prepared, Wish, motion_settings
from edge.services.programs import ProgramCatalog
from edge.services.recorder import Recorder
from edge.services.scenes import Scenes
from edge.services.supervisor import MachineSupervisor
from edge.store.shelf import ProgramShelf
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryStore

P = ParamSpec("P")
T = TypeVar("T")

ZERO = Position(-150, -150, -40)
LONG = b"G21 G90 F600\nG0 Z5\nG1 Z-1 F200\nG1 X100 F600\nG1 Y50\nG1 X0\nG1 Y0\nG0 Z5\nM30\n"
FULL = StoreUnavailable(reason="the disk is full")
MOTION = Motion(Position(3000, 3000, 1500), Position(200, 200, 200))


class Large:
    """Stands for a long program, and can be waited for to be gone."""


class Queue:
    """What the estimate asks of the queue: one job."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.known: dict[str, Job] = {}

    def running_on(self, machine_id: str) -> Job | None:
        return self.job if self.job is not None and self.job.machine_id == machine_id else None

    def jobs(self) -> list[Job]:
        return list(self.known.values())

    def wish(self, job_id: str) -> Wish | None:
        return None


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock, self.bus, self.queue = FakeClock(), EventBus(), Queue()
        self.driver = FakeDriver(self.clock)
        self.driver._info = replace(self.driver._info, motion=MOTION, controller="Grbl 1.1h")
        recorder = Recorder(MemoryStore(), self.clock, lambda: None)
        self.machine = MachineSupervisor(
            self.driver, [], clock=self.clock, bus=self.bus, recorder=recorder, guardian=FakeGuardian()
        )
        self.failing: Exception | None = None
        self.offloaded: list[str] = []
        self.catalog = ProgramCatalog({}, ProgramShelf(folder), self.here, self.bus)
        scenes = Scenes(self.catalog, self.here)
        self.estimates = Estimates({"router": self.machine}, self.queue, self.catalog, scenes, self.here, self.bus)
        self.prepared: Prepared | None = None

    async def here(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self.failing is not None:
            raise self.failing
        self.offloaded.append(getattr(function, "__name__", ""))
        return function(*args, **kwargs)

    async def begin(self, text: bytes = LONG) -> Job:
        self.driver.ready()
        self.driver.show(work_offset=ZERO, overrides=Overrides())
        entry, self.prepared = await self.catalog.upload("a.nc", text, self.machine.info, ZERO)
        assert entry is not None
        self.queue.job = Job(
            job_id="j",
            claim=1,
            machine_id="router",
            program_id=entry.program_id,
            origin="operator",
            state=JobState.RUNNING,
        )
        self.bus.publish(JobsChanged())
        return self.queue.job

    def show(self, x: float, y: float, z: float, line: int, **changes: object) -> None:
        place = Position(x + ZERO.x, y + ZERO.y, z + ZERO.z)
        changes.setdefault("execution", Execution.ACTIVE)
        self.clock.pass_s(0.2)
        self.driver.show(machine_position=place, line=line, **changes)
        self.bus.publish(MachineChanged("router"))

    def left(self) -> Left | None:
        assert self.queue.job is not None
        assert self.prepared is not None
        return self.estimates.left(self.queue.job, self.prepared)

    async def known(self, is_known: Callable[[Left], bool] = lambda left: True) -> Left:
        async with asyncio.timeout(10):
            while (left := self.left()) is None or not is_known(left):
                await asyncio.sleep(0.01)
        return left

    def seconds(self, overrides: Overrides | None = None, text: bytes = LONG) -> list[float]:
        """Return the seconds of each line."""
        planned = plan(interpret(text), motion_settings(MOTION), ZERO, overrides=overrides)
        return [float(one) for one in planned.line_seconds]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    task = asyncio.create_task(made.estimates.run())
    await asyncio.sleep(0)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_goes_by_the_place_and_not_by_the_receipt(bench: Bench) -> None:
    await bench.begin()
    # All lines are taken: their receipts say that the job is done, and the tool is in the middle of the first long cut.
    bench.show(50, 0, -1, line=9)
    left = await bench.known()
    seconds = bench.seconds()
    assert left.done_s == pytest.approx(sum(seconds[:3]) + seconds[3] / 2, rel=0.02)
    assert left.done_s + left.remaining_s == pytest.approx(sum(seconds), rel=0.001)
    bench.show(100, 50, -1, line=9)
    further = bench.left()
    assert further is not None
    assert further.done_s == pytest.approx(sum(seconds[:5]), rel=0.02)


async def test_what_is_left_stays_while_the_machine_is_held(bench: Bench) -> None:
    await bench.begin()
    bench.show(50, 0, -1, line=9)
    before = await bench.known()
    for _ in range(20):
        bench.show(50, 0, -1, line=9, execution=Execution.FEED_HOLD)
        assert bench.left() == before


@pytest.mark.parametrize("overrides", [Overrides(50, 100), Overrides(200, 100), Overrides(100, 25), Overrides(200, 50)])
async def test_what_is_left_is_planned_for_the_overrides(bench: Bench, overrides: Overrides) -> None:
    await bench.begin()
    bench.show(0, 0, -1, line=9)
    await bench.known()
    at_once = bench.seconds(overrides)
    expected = sum(at_once[3:])
    bench.show(0, 0, -1, line=9, overrides=overrides)
    left = await bench.known(lambda left: left.remaining_s == pytest.approx(expected, rel=0.01))
    assert left.done_s == pytest.approx(sum(bench.seconds()[:3]), rel=0.02)
    # Back at 100 % the plan of the check counts again.
    bench.show(0, 0, -1, line=9, overrides=Overrides())
    await bench.known(lambda left: left.remaining_s == pytest.approx(sum(bench.seconds()[3:]), rel=0.01))


async def test_until_there_is_a_plan_the_feed_scales_what_is_left(bench: Bench) -> None:
    await bench.begin()
    bench.show(0, 0, -1, line=9)
    before = await bench.known()
    bench.failing = FULL
    bench.show(0, 0, -1, line=9, overrides=Overrides(feed=50))
    now = bench.left()
    assert now is not None
    assert now.remaining_s == pytest.approx(2 * before.remaining_s)


async def test_the_spindle_override_takes_no_time(bench: Bench) -> None:
    await bench.begin()
    bench.show(0, 0, -1, line=9)
    before = await bench.known()
    bench.show(0, 0, -1, line=9, overrides=Overrides(spindle=150))
    assert bench.left() == before


async def test_without_a_path_or_a_place_it_says_nothing(bench: Bench) -> None:
    job = await bench.begin()
    assert bench.left() is None
    bench.driver.show(machine_position=None)
    async with asyncio.timeout(10):
        while "draw" not in bench.offloaded:
            await asyncio.sleep(0.01)
    assert bench.left() is None
    bench.show(50, 0, -1, line=4)
    await bench.known()
    assert bench.estimates.left(replace(job, job_id="another"), bench.prepared) is None  # type: ignore[arg-type]


async def test_a_path_that_cannot_be_made_leaves_the_receipts(bench: Bench) -> None:
    job = await bench.begin()
    bench.failing = FULL
    bench.show(50, 0, -1, line=4)
    await asyncio.sleep(0.05)
    assert bench.left() is None
    # The next job is followed again.
    bench.failing = None
    bench.queue.job = replace(job, job_id="k")
    bench.bus.publish(JobsChanged())
    bench.show(50, 0, -1, line=4)
    await bench.known()


async def test_a_person_who_moves_the_machine_at_a_stop_is_not_followed(bench: Bench) -> None:
    job = await bench.begin()
    bench.show(0, 0, -1, line=4)
    before = await bench.known()
    waiting = replace(job, state=JobState.HELD, waits=Waits("tool", 2, 4, "", 0))
    bench.queue.job = waiting
    bench.bus.publish(JobsChanged())
    bench.show(100, 50, -1, line=4)
    assert bench.left() is None
    bench.queue.job = job
    bench.bus.publish(JobsChanged())
    bench.show(0, 0, -1, line=4)
    after = await bench.known()
    assert after.done_s == pytest.approx(before.done_s, abs=0.05)


async def test_a_job_that_goes_on_from_an_earlier_line_is_found_there(bench: Bench) -> None:
    job = await bench.begin()
    bench.show(100, 50, -1, line=9)
    far = await bench.known()
    bench.queue.job, bench.queue.known = None, {"j": replace(job, state=JobState.INTERRUPTED)}
    bench.bus.publish(JobsChanged())
    bench.queue.job = replace(job, turn=job.turn + 1)
    bench.bus.publish(JobsChanged())
    bench.show(10, 0, -1, line=4)
    again = await bench.known()
    assert again.done_s < far.done_s


async def test_a_job_that_has_ended_is_forgotten(bench: Bench) -> None:
    job = await bench.begin()
    bench.show(50, 0, -1, line=4)
    await bench.known()
    bench.queue.job, bench.queue.known = None, {"j": replace(job, state=JobState.FINISHED)}
    bench.bus.publish(JobsChanged())
    assert bench.estimates._runs == {}
    bench.show(50, 0, -1, line=4, overrides=Overrides(feed=120))
    assert not bench.estimates._wake["router"].is_set()


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate"), RuntimeError("can't start new thread"), ValueError("unforeseen"), FULL],
    ids=repr,
)
async def test_whatever_it_fails_with_it_goes_on_and_asks_once(bench: Bench, error: Exception) -> None:
    await bench.begin()
    bench.show(50, 0, -1, line=9)
    before = await bench.known()
    bench.failing = error
    asked, data = 0, bench.catalog.data

    async def counted(program_id: str, wish: Wish | None) -> bytes:
        nonlocal asked
        asked += 1
        return await data(program_id, wish)

    bench.catalog.data = counted  # type: ignore[method-assign]
    run = bench.estimates._runs["router"]
    for _ in range(3):
        bench.show(50, 0, -1, line=9, overrides=Overrides(feed=50))
        async with asyncio.timeout(10):
            while asked == 0 or bench.estimates._wake["router"].is_set():
                await asyncio.sleep(0.01)
    assert (asked, run.overrides, run.curve) == (1, Overrides(feed=50), None)
    now = bench.left()
    assert now is not None
    assert now.remaining_s == pytest.approx(2 * before.remaining_s)
    # Other overrides are asked for anew.
    bench.failing = None
    bench.show(50, 0, -1, line=9, overrides=Overrides(feed=200))
    async with asyncio.timeout(10):
        while run.curve is None:
            await asyncio.sleep(0.01)
    assert asked == 2


async def test_a_path_that_cannot_be_made_is_asked_for_once(bench: Bench) -> None:
    await bench.begin()
    bench.failing = MemoryError()
    run = bench.estimates._runs["router"]
    async with asyncio.timeout(10):
        while not run.sought:
            await asyncio.sleep(0.01)
    for feed in (50, 60, 70):
        bench.show(50, 0, -1, line=4, overrides=Overrides(feed=feed))
        assert not bench.estimates._wake["router"].is_set()
    assert bench.left() is None


async def test_the_bytes_of_a_program_go_free_while_its_plan_is_made(bench: Bench) -> None:
    await bench.begin()
    bench.show(50, 0, -1, line=9)
    await bench.known()
    gone: list[weakref.ref[Large]] = []

    async def data(_program: str, _wish: Wish | None) -> Large:
        large = Large()
        gone.append(weakref.ref(large))
        return large

    going_free = asyncio.Event()

    def away(_function: object, large: Large, *_: object) -> Coroutine[object, object, object]:
        del large
        return waits()

    async def waits() -> object:
        while gone[0]() is not None:
            await asyncio.sleep(0.01)
        going_free.set()
        return None

    bench.catalog.data = data  # type: ignore[method-assign,assignment]
    bench.estimates._offload = away  # type: ignore[assignment]
    bench.show(50, 0, -1, line=9, overrides=Overrides(feed=50))
    async with asyncio.timeout(10):
        await going_free.wait()


def test_no_override_takes_an_axis_over_its_rate() -> None:
    settings = MotionSettings(max_rate=(600, 600, 600), acceleration=(500, 500, 500))
    program = interpret(b"G1 X100 F600\n")
    usual = plan(program, settings).seconds
    assert plan(program, settings, overrides=Overrides(feed=200)).seconds == pytest.approx(usual)
    assert plan(program, settings, overrides=Overrides(feed=50)).seconds == pytest.approx(2 * usual, rel=0.01)
    rapid = interpret(b"G0 X100\n")
    assert plan(rapid, settings, overrides=Overrides(feed=10)).seconds == pytest.approx(usual)
    assert plan(rapid, settings, overrides=Overrides(rapid=25)).seconds == pytest.approx(4 * usual, rel=0.02)
