# SPDX-License-Identifier: GPL-3.0-or-later
"""The live twin beside its machines: who has one, when it begins, and what of a reading it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from gzip import decompress
from typing import Any

import pytest

from edge.domain.job import Job, JobState, Waits
from edge.domain.machine import Execution, MachineInfo, MachineState, Overrides, Position, SpindleCommand
from edge.domain.tool import Tool, ToolShape
from edge.gcode.scene import Scene
from edge.services.bus import EventBus, JobsChanged, MachineChanged, TwinChanged
from edge.services.cutting import Cut
from edge.services.programs import Wish
from edge.services.twin import Twins, TwinStatus, report_of
from tests.support.grbl import eventually
from tests.support.scene import unpack
from tests.unit.test_gcode_scene import scene

END_MILL = Tool(0, "End mill 2 mm", ToolShape.FLAT, diameter=2.0, flute_length=8.0)
TEXT = "G21 G90\nG0 Z5\nG0 X5 Y5\nG1 Z-1 F100\nG1 X35\nG0 Z5\nM30\n"
ZERO = Position(-100.0, -100.0, -20.0)


def at(x: float, y: float, z: float, line: int, taken_ns: int, **changes: Any) -> MachineState:
    place = Position(ZERO.x + x, ZERO.y + y, ZERO.z + z)
    state = MachineState(execution=Execution.ACTIVE, machine_position=place, work_offset=ZERO, line=line)
    return replace(state, taken_ns=taken_ns, spindle=SpindleCommand.CLOCKWISE, **changes)


@dataclass
class Machine:
    info: MachineInfo
    state: MachineState = field(default_factory=MachineState)


@dataclass
class Jobs:
    """The jobs of a laboratory, as far as a twin looks at them."""

    known: dict[str, Job] = field(default_factory=dict)

    def running_on(self, machine_id: str) -> Job | None:
        working = (JobState.RUNNING, JobState.HELD)
        return next((job for job in self.known.values() if job.machine_id == machine_id and job.state in working), None)

    def jobs(self) -> list[Job]:
        return list(self.known.values())

    def wish(self, job_id: str) -> Wish | None:
        return Wish("Rasa") if self.known[job_id].personal else None


@dataclass
class Paths:
    """Gives the same path for every program, once it may."""

    made: Scene
    asked: list[Wish | None] = field(default_factory=list)
    may: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def path(self, _program: str, wish: Wish | None, _info: MachineInfo, _zero: Position | None) -> Scene:
        self.asked.append(wish)
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return self.made


@dataclass
class Bench:
    machine: Machine
    jobs: Jobs
    paths: Paths
    bus: EventBus
    twins: Twins
    told: list[str]
    task: asyncio.Task[None]

    def work(self, job_id: str = "a", **changes: Any) -> None:
        job = self.jobs.known.get(job_id) or Job(job_id, 1, "router", "gear", "operator", JobState.RUNNING)
        self.jobs.known[job_id] = replace(job, **changes)
        self.bus.publish(JobsChanged())

    def say(self, state: MachineState) -> None:
        self.machine.state = state
        self.bus.publish(MachineChanged("router"))

    @property
    def status(self) -> TwinStatus:
        status = self.twins.status("router")
        assert status is not None
        return status

    async def removed(self, least: float) -> None:
        await eventually(lambda: (now := self.twins.status("router")) and now.removed_mm3 > least, f"{least} mm3", 20)


@asynccontextmanager
async def bench(kind: str = "router", text: str = TEXT) -> AsyncIterator[Bench]:
    machine = Machine(MachineInfo("router", "Router", kind, "grbl", controller="Grbl 1.1h"))
    jobs, paths, bus, told = Jobs(), Paths(scene(text, table={0: END_MILL})), EventBus(), list[str]()
    paths.may.set()
    machines: Any = {"router": machine}
    book: Any = jobs
    scenes: Any = paths
    twins = Twins(machines, book, scenes, bus)
    bus.subscribe(lambda message: told.append(message.machine_id) if isinstance(message, TwinChanged) else None)
    task = asyncio.create_task(twins.run())
    await asyncio.sleep(0)
    try:
        yield Bench(machine, jobs, paths, bus, twins, told, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("kind", ["laser", "lathe", "printer"])
async def test_what_does_not_mill_has_no_twin(kind: str) -> None:
    async with bench(kind) as lab:
        lab.work()
        lab.say(at(5, 5, -1, 5, 1))
        await asyncio.sleep(0)
        assert lab.twins.status("router") is None
        assert await lab.twins.relief("router") is None
        assert lab.paths.asked == []


async def test_a_laboratory_without_machines_goes_on() -> None:
    nothing: Any = None
    task = asyncio.create_task(Twins({}, nothing, nothing, EventBus()).run())
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_twin_shows_the_very_path_that_it_follows_with_its_job() -> None:
    async with bench() as lab:
        assert not lab.twins.coming("router")
        lab.paths.may.clear()
        lab.work("b", personal=True)
        assert lab.twins.coming("router")
        assert await lab.twins.scene("router") is None
        lab.paths.may.set()
        await eventually(lambda: lab.told, "the path", 20)
        assert not lab.twins.coming("router")
        first, second = await asyncio.gather(lab.twins.scene("router"), lab.twins.scene("router"))
        assert first is not None
        assert first is second
        read = unpack(decompress(first.gzipped))
        assert read.header["job"] == "b"
        assert read.arrays["points"].tolist() == lab.paths.made.points.reshape(-1).tolist()
        relief = await lab.twins.relief("router")
        assert relief is not None
        assert unpack(decompress(relief.gzipped)).header["job"] == "b"


async def test_what_is_reported_while_the_path_is_made_is_cut_then() -> None:
    async with bench() as lab:
        lab.paths.may.clear()
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work(personal=True)
        lab.say(at(5, 5, -1, 5, 2))
        lab.say(at(20, 5, -1, 5, 3))
        await asyncio.sleep(0)
        assert lab.twins.status("router") is None
        lab.paths.may.set()
        await lab.removed(25)
        assert lab.status.removed_mm3 < 50
        assert lab.paths.asked == [Wish("Rasa")]
        assert lab.status.job_id == "a"
        assert all(twin.wish is None for twin in lab.twins._twins.values())
        await eventually(lambda: lab.status.planned_mm3, "the plan", 20)
        lab.work(state=JobState.FINISHED)
        await lab.removed(55)
        assert lab.status.removed_mm3 == pytest.approx(lab.status.planned_mm3)
        assert lab.told


async def test_the_answer_names_the_time_of_the_place_that_was_reached() -> None:
    async with bench() as lab:
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work()
        lab.say(at(5, 5, -1, 5, 2))
        lab.say(at(20, 5, -1, 5, 3))
        await lab.removed(25)
        await eventually(lambda: lab.status.planned_mm3, "the plan", 20)
        packed = await lab.twins.relief("router")
        assert packed is not None
        header = unpack(decompress(packed.gzipped)).header
        begin, end = lab.paths.made.seconds[2:4]
        assert begin < header["seconds"] < end
        assert header["planned_mm3"] == pytest.approx(lab.status.planned_mm3, abs=0.001)


async def test_the_same_reading_counts_once_and_one_without_a_place_not_at_all() -> None:
    async with bench() as lab:
        lab.paths.may.clear()
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work()
        for state in (
            at(0, 0, 5, 1, 1),
            at(5, 5, 5, 4, 2),
            at(5, 5, 5, 5, 2),
            replace(at(5, 5, 5, 5, 3), machine_position=None),
        ):
            lab.say(state)
        assert len(lab.twins._twins["router"].reports) == 1


async def test_a_zero_that_is_told_late_is_waited_for() -> None:
    async with bench() as lab:
        lab.work()
        lab.say(replace(at(5, 5, -1, 5, 1), work_offset=None))
        assert not lab.twins._twins["router"].reports
        lab.say(at(5, 5, -1, 5, 2))
        lab.say(at(35, 5, -1, 5, 3))
        await lab.removed(50)


async def test_a_zero_that_is_set_at_a_stop_holds_from_there_on() -> None:
    async with bench() as lab:
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work()
        lab.say(at(5, 5, -1, 5, 2))
        lab.say(at(10, 5, -1, 5, 3))
        lab.work(state=JobState.HELD, waits=Waits("tool", 1, 5, ""))
        lab.say(at(90, 90, -4, 5, 4))
        await lab.removed(8)
        assert lab.status.removed_mm3 < 30
        # The new tool is 2 mm longer: the machine stands 2 mm higher at the same place of the piece.
        moved = Position(ZERO.x, ZERO.y, ZERO.z + 2.0)
        lab.say(replace(at(90, 90, 7, 5, 5), work_offset=moved))
        lab.work(state=JobState.RUNNING, waits=None)
        lab.say(replace(at(10, 5, 1, 5, 6), work_offset=moved))
        lab.say(replace(at(35, 5, 1, 5, 7), work_offset=moved))
        await lab.removed(50)
        assert lab.status.removed_mm3 < 66


async def test_the_job_after_it_begins_with_a_whole_block() -> None:
    async with bench() as lab:
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work("a")
        lab.work("a", state=JobState.FINISHED)
        await lab.removed(50)
        before = lab.status
        lab.work("b")
        await eventually(lambda: (now := lab.twins.status("router")) and now.removed_mm3 == 0, "a whole block", 20)
        assert (before.job_id, lab.status.job_id, lab.status.version) == ("a", "b", 0)
        assert before.version > 0


async def test_a_job_that_was_stopped_has_cut_no_more_than_it_did() -> None:
    async with bench() as lab:
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work()
        lab.say(at(5, 5, -1, 5, 2))
        lab.say(at(10, 5, -1, 5, 3))
        lab.work(state=JobState.ABORTED)
        lab.say(at(35, 5, -1, 5, 4))
        await lab.removed(8)
        assert lab.status.removed_mm3 < 30


ANYTHING = [
    MemoryError("Unable to allocate"),
    RuntimeError("can't start new thread"),
    ValueError("unforeseen"),
    OSError("disk"),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("error", ANYTHING, ids=repr)
async def test_whatever_the_path_fails_with_the_twins_go_on(error: Exception) -> None:
    async with bench() as lab:
        lab.paths.error = error
        lab.machine.state = at(0, 0, 5, 1, 1)
        lab.work()
        lab.say(at(5, 5, -1, 5, 2))
        await eventually(lambda: lab.twins._twins["router"].refused, "refused", 20)
        assert lab.twins.status("router") is None
        assert await lab.twins.scene("router") is None
        assert not lab.twins.coming("router")
        lab.paths.error = None
        lab.work(state=JobState.FINISHED)
        lab.work("b")
        lab.say(at(5, 5, -1, 5, 3))
        lab.say(at(20, 5, -1, 5, 4))
        await lab.removed(25)
        assert not lab.task.done()


@pytest.mark.parametrize("error", ANYTHING, ids=repr)
async def test_whatever_the_cut_fails_with_it_is_not_shown_and_the_twins_go_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    async with bench() as lab:
        lab.machine.state = at(0, 0, 5, 1, 1)
        with monkeypatch.context() as harmed:
            harmed.setattr(Cut, "take", fail)
            lab.work()
            lab.say(at(5, 5, -1, 5, 2))
            await eventually(lambda: lab.twins._twins["router"].refused, "refused", 20)
        assert lab.twins.status("router") is None
        assert await lab.twins.relief("router") is None
        assert lab.told
        with monkeypatch.context() as harmed:
            harmed.setattr(Cut, "planned_mm3", fail)
            lab.work("a", state=JobState.FINISHED)
            lab.work("b")
            lab.say(at(5, 5, -1, 5, 3))
            lab.say(at(20, 5, -1, 5, 4))
            await lab.removed(25)
        assert lab.status.planned_mm3 is None
        assert not lab.task.done()


async def test_the_plan_of_a_job_that_has_ended_does_not_go_on_beside_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, given_up = [], []

    async def without_end(cut: Cut) -> float:
        begun.append(cut)
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(cut)
        return 0.0

    monkeypatch.setattr(Cut, "planned_mm3", without_end)
    async with bench() as lab:
        lab.work()
        await eventually(lambda: len(begun) == 1, "the plan", 20)
        lab.work("a", state=JobState.FINISHED)
        assert given_up == []
        lab.work("b")
        await eventually(lambda: len(begun) == 2, "the next plan", 20)
        assert given_up == begun[:1]
    assert given_up == begun


def test_a_reading_tells_the_pace_and_whether_the_tool_turns() -> None:
    state = at(1, 2, 3, 7, 5_000_000_000, overrides=Overrides(feed=150))
    assert state.machine_position is not None
    told = report_of(state, state.machine_position, ZERO)
    assert (told.place, told.line, told.seconds, told.pace, told.cutting) == ((1, 2, 3), 7, 5.0, 1.5, True)
    held = replace(state, execution=Execution.FEED_HOLD, spindle=SpindleCommand.OFF, overrides=None)
    told = report_of(held, state.machine_position, ZERO)
    assert (told.pace, told.cutting) == (0.0, False)
