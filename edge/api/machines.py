# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and jobs. Hold and stop answer to anyone who can reach the console: nothing stands before a stop."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.domain.errors import NotFound, Refused
from edge.domain.job import Job
from edge.http.errors import body
from edge.services.lab import Lab
from edge.services.preparing import Wish
from edge.services.supervisor import MachineSupervisor

public = APIRouter()
router = APIRouter(dependencies=[Depends(require_operator)])


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AreaClear(Body):
    """A person at the machine says that the area is clear."""

    area_clear: bool


class Approve(Body):
    """The digest of the check that the person has seen; without it whatever is checked now is approved."""

    check_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Decline(Body):
    """Why a wish is declined."""

    reason: Annotated[str, Field(min_length=1, max_length=120)]


class NewJob(Body):
    """A program for a machine."""

    program: Annotated[str, Field(min_length=1, max_length=64)]
    machine: Annotated[str, Field(min_length=1, max_length=32)]


def machine_of(lab: Lab, machine_id: str) -> MachineSupervisor:
    """Return a machine's supervisor; raises NotFound."""
    try:
        return lab.machines[machine_id]
    except KeyError:
        raise NotFound(what="machine", key=machine_id) from None


def wished(lab: Lab, job_id: str) -> tuple[Job, Wish | None]:
    """Return a job and its visitor's wish: what is cut for it.

    Raises NotFound, and HTTPException where the text is not remembered any more that made the job's program.
    """
    job, wish = lab.jobs.job(job_id), lab.jobs.wish(job_id)
    if job.personal and wish is None:
        why = "The visitor's text was kept only until the job had ended."
        raise HTTPException(404, body("wish-forgotten", "There is nothing to show.", why, "Look at another job."))
    return job, wish


def require_area(confirmed: AreaClear, command: str) -> None:
    """Raise Refused where nobody has confirmed that the area is clear."""
    if not confirmed.area_clear:
        raise Refused(
            what=f"The machine does not {command}.",
            why="Nobody has confirmed that the area is clear.",
            remedy="Look at the machine, then confirm.",
        )


@public.post("/api/machines/{machine_id}/hold")
async def hold(machine_id: str, lab: Services) -> dict[str, bool]:
    """Hold a machine."""
    machine_of(lab, machine_id).hold("console")
    return {"delivered": True}


@public.post("/api/machines/{machine_id}/stop")
async def stop(machine_id: str, lab: Services) -> dict[str, bool]:
    """Stop a machine and keep its position."""
    await machine_of(lab, machine_id).stop("console")
    return {"delivered": True}


@router.post("/api/machines/{machine_id}/resume")
async def resume(machine_id: str, confirmed: AreaClear, lab: Services) -> dict[str, bool]:
    """Go on after a hold."""
    require_area(confirmed, "resume")
    await machine_of(lab, machine_id).resume()
    return {"done": True}


@router.post("/api/machines/{machine_id}/home")
async def home(machine_id: str, confirmed: AreaClear, lab: Services) -> dict[str, bool]:
    """Home a machine; answers when it is done."""
    require_area(confirmed, "home")
    await machine_of(lab, machine_id).home()
    return {"done": True}


@router.post("/api/machines/{machine_id}/unlock")
async def unlock(machine_id: str, lab: Services) -> dict[str, bool]:
    """Leave an alarm that kept the position."""
    await machine_of(lab, machine_id).unlock()
    return {"done": True}


@router.post("/api/machines/{machine_id}/reset")
async def reset(machine_id: str, lab: Services) -> dict[str, bool]:
    """Reset interlock and fault. Starts nothing."""
    await machine_of(lab, machine_id).reset()
    return {"done": True}


@router.post("/api/jobs", status_code=201)
async def add_job(wanted: NewJob, lab: Services) -> dict[str, Any]:
    """Queue a program of the operator's choice."""
    return views.job(await lab.jobs.add(wanted.program, wanted.machine), lab)


@router.post("/api/jobs/{job_id}/approve")
async def approve(job_id: str, lab: Services, seen: Approve | None = None) -> dict[str, Any]:
    """Approve a job."""
    return views.job(await lab.jobs.approve(job_id, seen.check_digest if seen else None), lab)


@router.post("/api/jobs/{job_id}/recheck")
async def recheck(job_id: str, lab: Services) -> dict[str, Any]:
    """Check the program of a job again, for the machine as it stands. Starts nothing; it has to be approved anew."""
    return views.job(await lab.jobs.recheck(job_id), lab)


@router.post("/api/jobs/{job_id}/decline")
async def decline(job_id: str, reason: Decline, lab: Services) -> dict[str, Any]:
    """Decline a job."""
    return views.job(await lab.jobs.decline(job_id, reason.reason), lab)


@router.post("/api/jobs/{job_id}/start")
async def start(job_id: str, confirmed: AreaClear, lab: Services) -> dict[str, Any]:
    """Start an approved job."""
    return views.job(await lab.jobs.start(job_id, area_clear=confirmed.area_clear), lab)


async def body_of(request: Request) -> bytes:
    """Return the body: it may be 50 MB, and is in memory once, not in pieces beside the whole."""
    text = BytesIO()
    async for chunk in request.stream():
        text.write(chunk)
    return text.getvalue()
