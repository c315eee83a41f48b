# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces for the visitor's eye: the path, and what comes out of the material. Uploads are unknown here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from edge.http.binary import answer
from edge.services.lab import Lab

router = APIRouter(prefix="/api/kiosk/pieces")

SIZES = (64, 128, 256, 512)
"""Cells that a kiosk is given; who asks for others gets the next of these, so that what is made is soon remembered."""


@router.get("/{piece_id}/scene")
async def scene(piece_id: str, request: Request) -> Response:
    """Return the path of a piece."""
    lab: Lab = request.app.state.lab
    piece = lab.programs.piece(piece_id)
    return await answer(request, await lab.scenes.scene(piece.piece_id, *lab.standing(kinds=piece.machines)))


@router.get("/{piece_id}/stock")
async def stock(piece_id: str, request: Request, cells: Annotated[int, Query(ge=64, le=1024)] = 512) -> Response:
    """Return what a piece looks like."""
    lab: Lab = request.app.state.lab
    piece = lab.programs.piece(piece_id)
    size = next((size for size in SIZES if size >= cells), SIZES[-1])
    return await answer(request, await lab.scenes.stock(piece.piece_id, *lab.standing(kinds=piece.machines), size))
