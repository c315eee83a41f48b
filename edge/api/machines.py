# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and jobs. Hold and stop answer to anyone who can reach the console: nothing stands before a stop."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.domain.errors import NotFound, Refused
from edge.domain.machine import Capability
from edge.http.errors import body
from edge.services.lab import Lab
from edge.services.supervisor import MachineSupervisor

public = APIRouter()
router = APIRouter(dependencies=[Depends(require_operator)])


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AreaClear(Body):
    """A person at the machine says that the area is clear."""

    area_clear: bool


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
async def approve(job_id: str, lab: Services) -> dict[str, Any]:
    """Approve a job."""
    return views.job(await lab.jobs.approve(job_id), lab)


@router.post("/api/jobs/{job_id}/decline")
async def decline(job_id: str, reason: Decline, lab: Services) -> dict[str, Any]:
    """Decline a job."""
    return views.job(await lab.jobs.decline(job_id, reason.reason), lab)


@router.post("/api/jobs/{job_id}/start")
async def start(job_id: str, confirmed: AreaClear, lab: Services) -> dict[str, Any]:
    """Start an approved job."""
    return views.job(await lab.jobs.start(job_id, area_clear=confirmed.area_clear), lab)


@router.get("/api/programs")
async def programs(lab: Services) -> list[dict[str, Any]]:
    """List the programs."""
    return [views.program(entry) for entry in lab.programs.entries()]


async def body_of(request: Request) -> bytes:
    """Return the body: it may be 50 MB, and is in memory once, not in pieces beside the whole."""
    text = BytesIO()
    async for chunk in request.stream():
        text.write(chunk)
    return text.getvalue()


@router.post("/api/programs", status_code=201)
async def upload(
    request: Request,
    lab: Services,
    name: Annotated[str, Query(min_length=1, max_length=120)],
    machine: Annotated[str, Query(min_length=1, max_length=32)],
) -> Any:
    """Check an uploaded program for a machine and keep it where it is free of errors."""
    supervisor = machine_of(lab, machine)
    entry, prepared = await lab.programs.upload(
        name, await body_of(request), supervisor.info, supervisor.state.work_offset
    )
    result = views.check(prepared)
    if entry is None:
        errors = sum(item["severity"] == "error" for item in result["diagnostics"])
        refusal = body(
            "program",
            f"{name} is not taken.",
            f"The check found {errors} error{'s' if errors != 1 else ''}.",
            "Correct the lines that are listed and upload it again.",
        )
        return JSONResponse({**refusal, "check": result}, 422)
    return {"program": views.program(entry), "check": result}


@router.get("/api/programs/{program_id}/path")
async def program_path(program_id: str, lab: Services) -> dict[str, Any]:
    """Return the path of a program, with the planned second at each point."""
    entry = lab.programs.entry(program_id)
    machine = next((m for m in lab.machines.values() if Capability.RUN_PROGRAM in m.info.capabilities), None)
    prepared = await lab.programs.prepare(program_id, machine.info, machine.state.work_offset) if machine else None
    piece = lab.programs.pieces.get(entry.program_id)
    return views.path(await lab.programs.preview(program_id), prepared, list(piece.stock) if piece else [0.0, 0.0, 0.0])
