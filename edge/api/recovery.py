# SPDX-License-Identifier: GPL-3.0-or-later
"""How jobs go on after an interruption, a tool change or a stop of the program, and how they are given up."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.api.machines import AreaClear
from edge.http.errors import refusal_json
from edge.services.recovery import RecoveryPlan

router = APIRouter(dependencies=[Depends(require_operator)])

LineNumber = Annotated[int, Field(ge=1, le=10_000_000)]
Changes = Annotated[list[Annotated[str, Field(max_length=400)]], Field(max_length=400)]
"""Sentences about what has changed since a job was approved, as a person has read them."""


class Recover(AreaClear):
    """A person has seen the plan that begins at a line, and approves it."""

    line: LineNumber
    approved: bool
    changes: Changes = Field(default_factory=list)


class Continue(AreaClear):
    """A person lets a job go on; same_length says that the new tool is as long as the one before."""

    same_length: bool = False
    changes: Changes = Field(default_factory=list)


def _shown(plan: RecoveryPlan) -> dict[str, Any]:
    return {
        "job": plan.job_id,
        "line": plan.line,
        "total_lines": plan.total_lines,
        "position": plan.position,
        "evidence": list(plan.evidence),
        "plan": list(plan.plan),
        "moves": [{"line": move.line, "text": move.text, "to": views.position(move.to)} for move in plan.moves],
        "choices": [{"line": choice.line, "text": choice.text} for choice in plan.choices],
        "refusals": [refusal_json(refusal) for refusal in plan.refusals],
        "changes": list(plan.changes),
    }


@router.get("/api/jobs/{job_id}/recovery")
async def recovery(
    job_id: str, lab: Services, line: Annotated[int | None, Query(ge=1, le=10_000_000)] = None
) -> dict[str, Any]:
    """Show how an interrupted job would go on."""
    return _shown(await lab.jobs.recovery_plan(job_id, line))


@router.post("/api/jobs/{job_id}/recover")
async def recover(job_id: str, wanted: Recover, lab: Services) -> dict[str, Any]:
    """Let an interrupted job go on from a line."""
    job = await lab.jobs.recover(
        job_id, wanted.line, area_clear=wanted.area_clear, approved=wanted.approved, changes=wanted.changes
    )
    return views.job(job, lab)


@router.post("/api/jobs/{job_id}/abandon")
async def abandon(job_id: str, lab: Services) -> dict[str, Any]:
    """Give a job up. Starts and stops nothing."""
    return views.job(await lab.jobs.abandon(job_id), lab)


@router.post("/api/jobs/{job_id}/continue")
async def go_on(job_id: str, wanted: Continue, lab: Services) -> dict[str, Any]:
    """Let a job go on that waits at a tool change or a stop."""
    job = await lab.jobs.continue_(
        job_id, area_clear=wanted.area_clear, same_length=wanted.same_length, changes=wanted.changes
    )
    return views.job(job, lab)
