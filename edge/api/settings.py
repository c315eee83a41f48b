# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a machine's controller, beside the profile that is kept of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from edge.api.access import Services, require_operator
from edge.api.machines import Body
from edge.domain.errors import NotFound, Refused
from edge.services.lab import Lab
from edge.services.profile import Comparison, SettingsProfile

router = APIRouter(dependencies=[Depends(require_operator)])


class Restore(Body):
    """Which settings are written back, and a person's word that they shall be."""

    numbers: Annotated[list[Annotated[int, Field(ge=0, le=999)]], Field(min_length=1, max_length=200)]
    confirm: bool


def _profile_of(lab: Lab, machine_id: str) -> SettingsProfile:
    try:
        return lab.profiles[machine_id]
    except KeyError:
        raise NotFound(what="machine", key=machine_id) from None


def _shown(compared: Comparison) -> dict[str, Any]:
    return {
        "profile": compared.kept,
        "settings": [
            {"number": item.number, "name": item.name, "unit": item.unit, "value": item.value}
            for item in compared.settings
        ],
        "differences": [
            {
                "number": item.number,
                "name": item.name,
                "unit": item.unit,
                "wanted": item.wanted,
                "found": item.found,
            }
            for item in compared.differences
        ],
    }


@router.get("/api/machines/{machine_id}/settings")
async def settings(machine_id: str, lab: Services) -> dict[str, Any]:
    """Read the controller's settings and compare them with the profile."""
    return _shown(await _profile_of(lab, machine_id).compare())


@router.post("/api/machines/{machine_id}/settings/keep")
async def keep(machine_id: str, lab: Services) -> dict[str, Any]:
    """Make what the controller has now the profile."""
    return _shown(await _profile_of(lab, machine_id).keep())


@router.post("/api/machines/{machine_id}/settings/restore")
async def restore(machine_id: str, wanted: Restore, lab: Services) -> dict[str, Any]:
    """Write settings of the profile back to the controller."""
    profile = _profile_of(lab, machine_id)
    if not wanted.confirm:
        raise Refused(
            what="The settings are not restored.",
            why="Nobody has confirmed it.",
            remedy="Look at the list of differences, then confirm.",
        )
    return _shown(await profile.restore(wanted.numbers))
