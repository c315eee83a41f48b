# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces for the visitor's eye: the path, and what comes out of the material. Uploads are unknown here.

What a visitor's own words become is shown to who holds the id of that wish, and only while the machine has its path.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from edge.http.binary import answer
from edge.http.errors import body
from edge.http.wanted import while_wanted
from edge.services.lab import Lab

router = APIRouter(prefix="/api/kiosk")

SIZES = (64, 128, 256, 512)
"""Cells that a kiosk is given; who asks for others gets the next of these, so that what is made is soon remembered."""


@router.get("/pieces/{piece_id}/scene")
async def scene(piece_id: str, request: Request) -> Response:
    """Return the path of a piece."""
    lab: Lab = request.app.state.lab
    piece = lab.programs.piece(piece_id)
    wanted = lab.scenes.scene(piece.piece_id, *lab.standing(kinds=piece.machines))
    return await answer(request, await while_wanted(request, wanted))


@router.get("/pieces/{piece_id}/stock")
async def stock(piece_id: str, request: Request, cells: Annotated[int, Query(ge=64, le=1024)] = 512) -> Response:
    """Return what a piece looks like."""
    lab: Lab = request.app.state.lab
    piece = lab.programs.piece(piece_id)
    size = next((size for size in SIZES if size >= cells), SIZES[-1])
    wanted = lab.scenes.stock(piece.piece_id, *lab.standing(kinds=piece.machines), size)
    return await answer(request, await while_wanted(request, wanted))


@router.get("/jobs/{job_id}/scene")
async def own_scene(job_id: str, request: Request) -> Response:
    """Return the path of a wish, from the time that its machine is at it until another job has begun there."""
    lab: Lab = request.app.state.lab
    job = lab.jobs.job(job_id)
    lab.programs.piece(job.program_id)
    status = lab.twins.status(job.machine_id)
    packed = await lab.twins.scene(job.machine_id) if status is not None and status.job_id == job_id else None
    if packed is None:
        why = "The machine is not at it, or its path is still being made."
        raise HTTPException(404, body("no-twin", "There is nothing to show.", why, "Ask again when it is cut."))
    return await answer(request, packed)
