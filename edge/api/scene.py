# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for the console's eye: the path, what it leaves of the material, and what the machine has cut so far."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from edge.api.access import Services, require_operator
from edge.api.machines import machine_of, wished
from edge.http.binary import answer
from edge.http.errors import body
from edge.http.wanted import while_wanted
from edge.services.lab import Lab
from edge.services.scenes import Packed

router = APIRouter(dependencies=[Depends(require_operator)])

MachineName = Annotated[str | None, Query(min_length=1, max_length=32)]
Cells = Annotated[int, Query(ge=64, le=1024)]


@router.get("/api/programs/{program_id}/scene")
async def scene(program_id: str, request: Request, lab: Services, machine: MachineName = None) -> Response:
    """Return the path of a program."""
    return await answer(request, await while_wanted(request, lab.scenes.scene(program_id, *lab.standing(machine))))


@router.get("/api/programs/{program_id}/stock")
async def stock(
    program_id: str, request: Request, lab: Services, machine: MachineName = None, cells: Cells = 512
) -> Response:
    """Return what a program leaves of the material."""
    wanted = lab.scenes.stock(program_id, *lab.standing(machine), cells)
    return await answer(request, await while_wanted(request, wanted))


@router.get("/api/jobs/{job_id}/scene")
async def job_scene(job_id: str, request: Request, lab: Services) -> Response:
    """Return the path that is cut for a job, with its visitor's own text."""
    job, wish = wished(lab, job_id)
    wanted = lab.scenes.scene(job.program_id, *lab.standing(job.machine_id), wish)
    return await answer(request, await while_wanted(request, wanted))


@router.get("/api/jobs/{job_id}/stock")
async def job_stock(job_id: str, request: Request, lab: Services, cells: Cells = 512) -> Response:
    """Return what a job leaves of the material."""
    job, wish = wished(lab, job_id)
    wanted = lab.scenes.stock(job.program_id, *lab.standing(job.machine_id), cells, wish)
    return await answer(request, await while_wanted(request, wanted))


@router.get("/api/machines/{machine_id}/twin")
async def twin(machine_id: str, request: Request, lab: Services) -> Response:
    """Return the material as the machine's reported positions have cut it."""
    machine_of(lab, machine_id)
    return await answer(request, _shown(lab, machine_id, await lab.twins.relief(machine_id)))


@router.get("/api/machines/{machine_id}/scene")
async def twin_scene(machine_id: str, request: Request, lab: Services) -> Response:
    """Return the path that the machine's twin follows, also where a visitor's own words made it."""
    machine_of(lab, machine_id)
    return await answer(request, _shown(lab, machine_id, await lab.twins.scene(machine_id)))


def _shown(lab: Lab, machine_id: str, packed: Packed | None) -> Packed:
    """Return `packed`. Raises HTTPException where a machine has no twin, or not yet."""
    if packed is not None:
        return packed
    what = "There is nothing to show."
    if lab.twins.coming(machine_id):
        why, remedy = "The path of the job is still being made.", "It is shown as soon as it is ready."
        raise HTTPException(404, body("twin-not-ready", what, why, remedy))
    why = "No job whose cut can be shown has begun on this machine since the service was started."
    raise HTTPException(404, body("no-twin", what, why, "Start a job."))


def twin_messages(lab: Lab, machine_id: str) -> list[dict[str, Any]]:
    """Return what the live view says of a machine's twin: one message, of nulls where it is not shown any more."""
    status = lab.twins.status(machine_id)
    if status is None:
        nothing = dict.fromkeys(("job", "removed_mm3", "planned_mm3", "version"))
        return [{"type": "twin", "machine": machine_id, **nothing}]
    planned = status.planned_mm3
    return [
        {
            "type": "twin",
            "machine": machine_id,
            "job": status.job_id,
            "removed_mm3": round(status.removed_mm3, 3),
            "planned_mm3": None if planned is None else round(planned, 3),
            "version": status.version,
        }
    ]
