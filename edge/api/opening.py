# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist after a drive, at the console."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from edge.api import views
from edge.api.access import Services, require_operator
from edge.api.machines import Body
from edge.domain.errors import Refused

router = APIRouter(dependencies=[Depends(require_operator)])


class Confirmed(Body):
    """A person's word."""

    confirmed: bool


@router.post("/api/opening/relocate")
async def relocate(lab: Services) -> dict[str, Any]:
    """Pack the lab for the road."""
    await lab.opening.relocate()
    return views.opening(lab.opening)


@router.post("/api/opening/{machine_id}/{item}")
async def confirm(machine_id: str, item: str, word: Confirmed, lab: Services) -> dict[str, Any]:
    """Take a person's word for an item that no input shows."""
    if not word.confirmed:
        raise Refused(what="The item stays open.", why="Nobody has confirmed it.", remedy="Look at it, then confirm.")
    await lab.opening.confirm(machine_id, item)
    return views.opening(lab.opening)
