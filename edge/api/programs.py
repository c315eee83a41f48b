# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs: the list, the upload with its check, the check for a machine as it stands, the controller's own check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field, model_validator

from edge.api import program_views
from edge.api.access import Services, require_operator
from edge.api.machines import Body, body_of, machine_of, wished
from edge.domain.errors import NotFound
from edge.domain.machine import Capability
from edge.http.errors import body
from edge.http.wanted import while_wanted
from edge.services.bus import CheckProgress
from edge.services.lab import Lab
from edge.services.preparing import Prepared, Wish
from edge.services.progress import Tell

router = APIRouter(dependencies=[Depends(require_operator)])

MachineId = Annotated[str, Query(min_length=1, max_length=32)]
CheckId = Annotated[str, Query(min_length=1, max_length=64)]


UPLOADS = 2
"""Uploads at a time: each may have 50 MB in memory."""


class Opinion(Body):
    """A program, or a job with what its visitor wishes, for the controller's own check; check names it for the page."""

    program: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    job: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    check: Annotated[str | None, Field(min_length=1, max_length=64)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.program is None) is (self.job is None):
            raise ValueError("either a program or a job is read")
        return self

    def named(self, lab: Lab, machine_id: str) -> tuple[str, Wish | None]:
        """Return which program is meant, and with which wish. Raises as `wished`."""
        if self.job is None:
            return self.program or "", None
        job, wish = wished(lab, self.job)
        if job.machine_id != machine_id:
            raise NotFound(what="job", key=self.job)
        return job.program_id, wish


def teller(lab: Lab, check: str) -> Tell:
    """Return what tells every screen how far the check with that name is."""
    return lambda stage, done: lab.bus.publish(CheckProgress(check, stage, done))


def told(lab: Lab, prepared: Prepared) -> dict[str, Any]:
    """Return a check as it is shown, with the digest by which an approval names it."""
    return {**program_views.check(prepared), "digest": lab.jobs.shown(prepared)}


@router.get("/api/programs")
async def programs(lab: Services) -> list[dict[str, Any]]:
    """List the programs."""
    return [program_views.program(entry) for entry in lab.programs.entries()]


@contextmanager
def one_of_few(request: Request) -> Iterator[None]:
    """Count an upload from its first byte to its answer; raises 429 where there are enough."""
    state = request.app.state
    under_way: int = getattr(state, "uploads", 0)
    if under_way >= UPLOADS:
        why = f"{UPLOADS} uploads are under way."
        raise HTTPException(429, body("busy", "That was not taken.", why, "Wait for their end.", retry_after_s=5.0))
    state.uploads = under_way + 1
    try:
        yield
    finally:
        state.uploads -= 1


@router.post("/api/programs", status_code=201)
async def upload(
    request: Request,
    lab: Services,
    name: Annotated[str, Query(min_length=1, max_length=120)],
    machine: MachineId,
    check: CheckId | None = None,
) -> Any:
    """Check an uploaded program for a machine and keep it where it is free of errors."""
    supervisor = machine_of(lab, machine)
    tell = None if check is None else teller(lab, check)
    with one_of_few(request):
        data = await body_of(request)
        entry, prepared = await lab.programs.upload(name, data, supervisor.info, supervisor.state.work_offset, tell)
    result = told(lab, prepared)
    if entry is None:
        errors = sum(item["severity"] == "error" for item in result["diagnostics"])
        refusal = body(
            "program",
            f"{name} is not taken.",
            f"The check found {errors} error{'s' if errors != 1 else ''}.",
            "Correct the lines that are listed and upload it again.",
        )
        return JSONResponse({**refusal, "check": result}, 422)
    return {"program": program_views.program(entry), "check": result}


@router.get("/api/programs/{program_id}/check")
async def check(program_id: str, machine: MachineId, lab: Services) -> dict[str, Any]:
    """Check a program of the list for a machine as it stands now."""
    supervisor = machine_of(lab, machine)
    return told(lab, await lab.programs.prepare(program_id, supervisor.info, supervisor.state.work_offset))


@router.get("/api/jobs/{job_id}/check")
async def job_check(job_id: str, lab: Services) -> dict[str, Any]:
    """Check what is cut for a job, with its visitor's own text, for its machine as it stands now."""
    job, wish = wished(lab, job_id)
    machine = machine_of(lab, job.machine_id)
    return told(lab, await lab.programs.prepare(job.program_id, machine.info, machine.state.work_offset, wish))


@router.post("/api/machines/{machine_id}/second-opinion")
async def second_opinion(machine_id: str, wanted: Opinion, request: Request, lab: Services) -> dict[str, Any]:
    """Let the controller itself read a program, in its check mode; answers when it has read every line.

    It ends when the page that asked has gone.
    """
    machine_of(lab, machine_id)
    program, wish = wanted.named(lab, machine_id)
    asked = lab.second_opinion.ask(machine_id, program, teller(lab, wanted.check or wanted.job or program), wish)
    return program_views.opinion(await while_wanted(request, asked))


@router.get("/api/programs/{program_id}/path")
async def program_path(program_id: str, lab: Services) -> dict[str, Any]:
    """Return the path of a program, with the planned second at each point."""
    entry = lab.programs.entry(program_id)
    machine = next((m for m in lab.machines.values() if Capability.RUN_PROGRAM in m.info.capabilities), None)
    prepared = await lab.programs.prepare(program_id, machine.info, machine.state.work_offset) if machine else None
    piece = lab.programs.pieces.get(entry.program_id)
    stock = list(piece.stock) if piece else [0.0, 0.0, 0.0]
    return program_views.path(await lab.programs.preview(program_id), prepared, stock)
