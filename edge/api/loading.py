# SPDX-License-Identifier: GPL-3.0-or-later
"""Program files for machines that keep them: the lab's shelf, the load, and the start of what was loaded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.api.machines import AreaClear, Body, body_of, machine_of, require_area
from edge.domain.errors import NotFound
from edge.services.lab import Lab
from edge.services.transfer import ProgramTransfer

router = APIRouter(dependencies=[Depends(require_operator)])


class Load(Body):
    """A file of the machine's shelf."""

    file: Annotated[str, Field(min_length=1, max_length=80)]


def _transfer_of(lab: Lab, machine_id: str) -> ProgramTransfer:
    try:
        return lab.transfers[machine_id]
    except KeyError:
        raise NotFound(what="machine", key=machine_id) from None


@router.get("/api/machines/{machine_id}/files")
async def files(machine_id: str, lab: Services) -> list[dict[str, Any]]:
    """List what the lab keeps for a machine, newest first."""
    machine_of(lab, machine_id)
    return [views.kept(file) for file in await lab.files.files(machine_id)]


@router.put("/api/machines/{machine_id}/files/{name}", status_code=201)
async def put(machine_id: str, name: str, request: Request, lab: Services) -> dict[str, Any]:
    """Keep a file for a machine; one of the same name is replaced. Nothing goes to the machine."""
    machine_of(lab, machine_id)
    return views.kept(await lab.files.put(machine_id, name, await body_of(request)))


@router.delete("/api/machines/{machine_id}/files/{name}")
async def remove(machine_id: str, name: str, lab: Services) -> dict[str, bool]:
    """Forget a file. What the machine has of it stays there."""
    machine_of(lab, machine_id)
    await lab.files.remove(machine_id, name)
    return {"done": True}


@router.post("/api/machines/{machine_id}/load", status_code=202)
async def load(machine_id: str, wanted: Load, lab: Services) -> dict[str, Any]:
    """Begin to load a file into a machine; answers once that is under way."""
    await _transfer_of(lab, machine_id).begin(wanted.file)
    return views.machine(machine_of(lab, machine_id), lab)


@router.post("/api/machines/{machine_id}/load/cancel")
async def cancel(machine_id: str, lab: Services) -> dict[str, Any]:
    """End the load that is under way."""
    await _transfer_of(lab, machine_id).cancel()
    return views.machine(machine_of(lab, machine_id), lab)


@router.post("/api/machines/{machine_id}/start-loaded")
async def start_loaded(machine_id: str, confirmed: AreaClear, lab: Services) -> dict[str, bool]:
    """Let the machine's own job control begin what was loaded."""
    transfer = _transfer_of(lab, machine_id)
    require_area(confirmed, "start")
    await transfer.start_loaded()
    return {"done": True}
