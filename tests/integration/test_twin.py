# SPDX-License-Identifier: GPL-3.0-or-later
"""The live twin on the simulated controller: what is reported over a real pty has cut what was planned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from dataclasses import dataclass
from gzip import decompress
from pathlib import Path

import numpy as np
import pytest

from edge.domain.hand import Axis
from edge.domain.job import Job, JobState
from edge.domain.piece import Piece
from edge.domain.tool import Tool, ToolShape
from edge.services.bus import Message, TwinChanged
from edge.services.cutting import Cut
from edge.services.scenes import Scenes
from edge.services.twin import Twins, TwinStatus, report_of
from edge.store.pieces import load_piece
from tests.support.grbl import eventually
from tests.support.job_bench import Bench, bench, here
from tests.support.scene import Unpacked, unpack

CONTENT = Path(__file__).parents[2] / "content" / "programs"
PIECES = {name: load_piece(CONTENT / name) for name in ("gear", "name-tag")}
FAST = ("--set", "$30=24000")
END_MILL = Tool(1, "End mill 3 mm", ToolShape.FLAT, diameter=3.0, flute_length=12.0)
BALL = Tool(2, "Ball 6 mm", ToolShape.BALL, diameter=6.0, flute_length=12.0)
FLOOR = "G1 Z-2 F400\n" + "".join(
    f"G1 Y{y} F1200\nX{50 if step % 2 else 10}\n" for step, y in enumerate(range(10, 26, 2))
)
SURFACE = f"G21 G90\nT1\nM3 S700\nG0 Z5\nG0 X10 Y10\n{FLOOR}G0 Z5\nM5\nM30\n"
TWO_TOOLS = (
    "G21 G90\nT1 M6\nM3 S700\nG0 Z5\nG0 X10 Y10\nG1 Z-2 F400\nG1 X50 F900\nG0 Z5\nM5\n"
    "T2 M6 (ball)\nM3 S700\nG0 X10 Y25\nG1 Z-3 F400\nG1 X50 F900\nG0 Z5\nM5\nM30\n"
)


@dataclass
class Lab:
    """A machine with a work zero far from its ends, and its twin."""

    bench: Bench
    scenes: Scenes
    twins: Twins
    told: list[Message]

    async def shown(self) -> Unpacked:
        packed = await self.twins.relief("router")
        assert packed is not None
        return unpack(decompress(packed.gzipped))

    @property
    def status(self) -> TwinStatus:
        status = self.twins.status("router")
        assert status is not None
        return status

    async def planned(self) -> float:
        await eventually(lambda: (now := self.twins.status("router")) and now.planned_mm3 is not None, "the plan")
        return self.status.planned_mm3 or 0.0

    async def ended(self, job: Job) -> float:
        """Wait until a job has finished and its twin has cut the planned volume within 1 %; return the share."""
        await self.bench.comes_to(job, JobState.FINISHED)
        planned = await self.planned()
        await eventually(lambda: abs(self.status.removed_mm3 / planned - 1) < 0.01, f"{self.status} is all")
        return self.status.removed_mm3 / planned


@asynccontextmanager
async def laboratory(
    folder: Path,
    speed: float = 15.0,
    *,
    pieces: Mapping[str, Piece] | None = None,
    tools: Mapping[int, Tool] | None = None,
) -> AsyncIterator[Lab]:
    async with bench(folder, speed, pieces=pieces, tools=tools, arguments=FAST) as found:
        scenes = Scenes(found.catalog, here)
        twins = Twins({"router": found.supervisor}, found.jobs, scenes, found.bus)
        told: list[Message] = []
        found.bus.subscribe(lambda message: told.append(message) if isinstance(message, TwinChanged) else None)
        task = asyncio.create_task(twins.run())
        await found.ready()
        driver = found.machine.driver
        await driver.jog_to({Axis.X: -200.0, Axis.Y: -150.0, Axis.Z: -40.0}, 3000)
        await driver.set_work_zero({Axis.X: 0.0, Axis.Y: 0.0, Axis.Z: 0.0})
        await found.machine.until(lambda state: state.work_offset is not None and state.work_offset.z == -40.0)
        try:
            yield Lab(found, scenes, twins, told)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("name", "speed"), [("gear", 10.0), ("name-tag", 6.0)])
async def test_after_a_run_the_twin_has_cut_what_was_planned(tmp_path: Path, name: str, speed: float) -> None:
    async with laboratory(tmp_path, speed, pieces=PIECES) as lab:
        assert lab.twins.status("router") is None
        assert await lab.twins.relief("router") is None
        job = await lab.bench.begun(name)
        planned = await lab.planned()
        info, offset = lab.bench.supervisor.info, lab.bench.supervisor.state.work_offset
        stock = unpack(decompress((await lab.scenes.stock(name, info, offset, 512)).gzipped))
        assert planned == pytest.approx(stock.header["removed_mm3"], rel=1e-3)
        await eventually(lambda: lab.status.removed_mm3 > planned / 3, "a third is cut")
        half = await lab.shown()
        assert 0 < half.header["removed_mm3"] < planned
        assert half.header["planned_mm3"] == pytest.approx(planned, abs=0.001)
        assert await lab.ended(job) == pytest.approx(1.0, abs=0.01)
        whole = await lab.shown()
        assert whole.header["removed_mm3"] == pytest.approx(planned, rel=0.01)
        assert (whole.heights() <= half.heights() + 1e-3).all()
        assert np.abs(whole.heights() - stock.heights()).mean() < 0.002
        assert max(whole.header["nx"], whole.header["ny"]) == 512
        assert lab.told


async def test_reports_alone_cut_nearly_all_without_the_word_that_the_job_has_ended(tmp_path: Path) -> None:
    async with laboratory(tmp_path, speed=6.0, tools={1: END_MILL}) as lab:
        job = await lab.bench.started(SURFACE.encode())
        first = len(lab.bench.machine.states)
        assert await lab.ended(job) == pytest.approx(1.0, abs=0.01)
        zero = lab.bench.supervisor.state.work_offset
        assert zero is not None
        cut = Cut.whole(await lab.scenes.path(job.program_id, None, lab.bench.supervisor.info, zero), 21)
        said = [state for state in lab.bench.machine.states[first:] if state.line is not None]
        await cut.take([report_of(state, state.machine_position, zero) for state in said if state.machine_position])
        assert 0.8 < cut.removed_mm3 / await lab.planned() < 1.01


async def test_two_tools_cut_each_their_own_shape_and_nothing_is_cut_by_hand_between_them(tmp_path: Path) -> None:
    async with laboratory(tmp_path, tools={1: END_MILL, 2: BALL}) as lab:
        job = await lab.bench.started(TWO_TOOLS.encode())
        await lab.bench.comes_to(job, JobState.HELD)
        await lab.bench.jobs.continue_(job.job_id, area_clear=True, same_length=True)
        await eventually(lambda: (at := lab.bench.jobs.job(job.job_id).waits) is not None and at.tool == 2, "the ball")
        await eventually(lambda: lab.status.removed_mm3 > 245, "all of the first tool's slot is cut")
        half = lab.status.removed_mm3
        driver = lab.bench.machine.driver
        # Deep through the block: it is a person's motion, and the spindle stands.
        await driver.jog_to({Axis.X: -180.0, Axis.Y: -120.0}, 3000)
        await driver.jog_to({Axis.Z: -55.0}, 3000)
        await driver.jog_to({Axis.X: -160.0}, 3000)
        await driver.jog_to({Axis.Z: -30.0}, 3000)
        assert lab.status.removed_mm3 == pytest.approx(half, rel=1e-6)
        await lab.bench.jobs.continue_(job.job_id, area_clear=True, same_length=True)
        assert await lab.ended(job) == pytest.approx(1.0, abs=0.01)


async def test_a_job_that_was_stopped_and_goes_on_ends_with_the_planned_volume(tmp_path: Path) -> None:
    async with laboratory(tmp_path, 5.0, tools={1: END_MILL}) as lab:
        job = await lab.bench.started(SURFACE.encode())
        planned = await lab.planned()
        await eventually(lambda: lab.status.removed_mm3 > planned / 3, "a third is cut")
        lab.bench.door(closed=False)
        await lab.bench.comes_to(job, JobState.INTERRUPTED)
        lab.bench.door(closed=True)
        await lab.bench.supervisor.reset()
        assert lab.status.removed_mm3 < 0.9 * planned
        plan = await lab.bench.jobs.recovery_plan(job.job_id)
        await lab.bench.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)
        assert await lab.ended(job) == pytest.approx(1.0, abs=0.01)


async def test_the_next_job_begins_with_a_whole_block(tmp_path: Path) -> None:
    async with laboratory(tmp_path, tools={1: END_MILL}) as lab:
        first = await lab.bench.started(SURFACE.encode())
        await lab.ended(first)
        deep = lab.status.removed_mm3
        second = await lab.bench.begun(first.program_id)
        await eventually(lambda: (now := lab.twins.status("router")) and now.removed_mm3 < deep / 2, "a new block")
        assert await lab.ended(second) == pytest.approx(1.0, abs=0.01)


async def test_what_is_not_cut_further_is_not_packed_again(tmp_path: Path) -> None:
    async with laboratory(tmp_path, tools={1: END_MILL}) as lab:
        await lab.ended(await lab.bench.started(SURFACE.encode()))
        assert await lab.twins.relief("router") is await lab.twins.relief("router")


async def test_a_job_that_is_not_milled_runs_without_a_twin(tmp_path: Path) -> None:
    turning = Tool(1, "Turning tool", ToolShape.TURNING, diameter=0.8, flute_length=5.0, nose_radius=0.4)
    async with laboratory(tmp_path, tools={1: turning}) as lab:
        job = await lab.bench.started(SURFACE.encode())
        await lab.bench.comes_to(job, JobState.FINISHED)
        assert lab.twins.status("router") is None
        assert await lab.twins.relief("router") is None


async def test_a_worker_that_died_takes_the_picture_with_it_and_not_the_job(tmp_path: Path) -> None:
    async with laboratory(tmp_path, tools={1: END_MILL}) as lab:

        async def gone(function: object, *arguments: object) -> object:
            raise BrokenProcessPool("the worker died")

        lab.scenes._offload = gone  # type: ignore[assignment]
        job = await lab.bench.started(SURFACE.encode())
        await lab.bench.comes_to(job, JobState.FINISHED)
        assert lab.twins.status("router") is None
