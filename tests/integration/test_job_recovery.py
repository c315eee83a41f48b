# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted jobs and tool changes on the simulated controller, with the real driver, check and disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.domain.errors import MotionRefused, Refused
from edge.domain.hand import Axis
from edge.domain.job import JobState
from edge.domain.machine import Execution
from tests.support.job_bench import bench

RINGS = "G21 G90\nG0 X-120 Y-60 Z-20\nM3 S700\nG1 Z-30 F800\n" + "".join(
    f"G1 X{-120 + side} F900\nG1 Y{-60 - side}\nG1 X{-120 - side}\nG1 Y{-60 + side}\nG91\nX1\nG90\n"
    for side in range(10, 20, 2)
)
PROGRAM = (RINGS + "G0 Z-20\nM5\nG53 G0 X-150 Y-80\nM30\n").encode()
TOOLS = b"G21 G90\nG0 X-50 Y-50 Z-20\nM3 S700\nG1 Z-25 F800\nX-60\nM6 T2 (v-bit)\nG1 Y-60\nX-50\nG0 Z-20\nM5\nM30\n"


async def test_a_door_in_mid_cut_and_on_from_the_line_that_was_being_cut(tmp_path: Path) -> None:
    async with bench(tmp_path) as lab:
        job = await lab.started(PROGRAM)
        await lab.machine.until(lambda state: (state.line or 0) > 20)
        lab.door(closed=False)
        ended = await lab.comes_to(job, JobState.INTERRUPTED)
        assert ended.reason == "the interlock tripped: Door"
        truth = await lab.sim.truth()
        with pytest.raises(MotionRefused, match="Door"):
            await lab.jobs.recover(job.job_id, 8, area_clear=True, approved=True)
        lab.door(closed=True)
        await lab.supervisor.reset()
        plan = await lab.jobs.recovery_plan(job.job_id)
        assert plan.position == "kept"
        assert plan.refusals == ()
        assert len(plan.moves) == 10
        assert 1 < plan.line <= ended.line + 1
        assert truth["lost_steps"] == 0
        sent = len(lab.motions())
        await lab.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)
        await lab.comes_to(job, JobState.FINISHED)
        lines = lab.motions()[sent:]
        assert lines.index("G53G0Z-5") < lines.index("S700M3")
        assert lines.index("S700M3") < lines.index("G4P4")
        assert (await lab.sim.truth())["mpos_steps_mm"] == [-150.0, -80.0, -20.0]


@pytest.mark.parametrize("event", ["powercycle", "unplug"])
async def test_a_lost_position_is_found_again_before_the_job_goes_on(tmp_path: Path, event: str) -> None:
    async with bench(tmp_path) as lab:
        job = await lab.started(PROGRAM)
        await lab.machine.until(lambda state: (state.line or 0) > 20)
        lab.sim.ctl(event)
        ended = await lab.comes_to(job, JobState.INTERRUPTED)
        sent = len(lab.motions())
        if event == "unplug":
            lab.sim.ctl("plug")
        await lab.machine.available()
        plan = await lab.jobs.recovery_plan(job.job_id)
        assert plan.position == "home again"
        assert "homed" in [refusal.permissive for refusal in plan.refusals]
        assert 1 < plan.line <= ended.line + 1
        with pytest.raises(MotionRefused):
            await lab.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)
        lab.door(closed=True)
        await lab.supervisor.reset()
        assert len(lab.motions()) == sent
        await lab.supervisor.home()
        plan = await lab.jobs.recovery_plan(job.job_id)
        assert (plan.position, plan.refusals) == ("home again", ())
        await lab.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)
        await lab.comes_to(job, JobState.FINISHED)
        assert (await lab.sim.truth())["mpos_steps_mm"] == [-150.0, -80.0, -20.0]


async def test_a_tool_change_waits_for_a_person_and_the_new_length(tmp_path: Path) -> None:
    async with bench(tmp_path) as lab:
        job = await lab.started(TOOLS)
        await lab.comes_to(job, JobState.HELD)
        held = lab.jobs.job(job.job_id)
        assert held.waits is not None
        assert (held.waits.kind, held.waits.tool, held.waits.text) == ("tool", 2, "v-bit")
        assert lab.machine.state.execution in (Execution.READY, Execution.PROGRAM_COMPLETED)
        assert (await lab.sim.truth())["spindle"] == "off"
        await lab.machine.until(lambda state: state.execution is Execution.READY)
        with pytest.raises(Refused, match="length of the new tool"):
            await lab.jobs.continue_(job.job_id, area_clear=True)
        await lab.machine.driver.jog_to({Axis.Z: -10.0}, 500)
        await lab.machine.driver.set_work_zero({Axis.Z: -12.0})
        await lab.machine.until(lambda state: state.work_offset is not None and state.work_offset.z == 2.0)
        await lab.jobs.continue_(job.job_id, area_clear=True)
        await lab.comes_to(job, JobState.FINISHED)
        received = lab.sim.received()
        assert "M6" not in received
        assert received.count("Y-60") == 1
        assert (await lab.sim.truth())["mpos_steps_mm"] == [-50.0, -60.0, -18.0]
