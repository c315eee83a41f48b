# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand at the console: steps, zero, parking, overrides. The jog key's WebSocket stands in jogging.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.api.machines import AreaClear, Body, machine_of, require_area
from edge.domain.errors import NotFound, Refused
from edge.domain.hand import Axis, Displacement, OverrideKind
from edge.services.hand import MachineHand
from edge.services.lab import Lab
from edge.services.probing import ProbeCycle, WorkZero

router = APIRouter(dependencies=[Depends(require_operator)])

Length = Annotated[float, Field(ge=-1_000, le=1_000, allow_inf_nan=False)]


class Step(AreaClear):
    """A step by hand: mm and mm/min."""

    by: Annotated[list[Length], Field(min_length=3, max_length=3)]
    feed: Annotated[float, Field(gt=0, le=2_000, allow_inf_nan=False)]


class Reads(Body):
    """What the axes shall read here, mm."""

    x: Length | None = None
    y: Length | None = None
    z: Length | None = None


class Zero(Body):
    """A work zero."""

    reads: Reads


class NewOverrides(Body):
    """Overrides in per cent, in the bounds of GRBL 1.1 (config.h: 10 to 200)."""

    feed: Annotated[int, Field(ge=10, le=200)] | None = None
    rapid: Literal[25, 50, 100] | None = None
    spindle: Annotated[int, Field(ge=10, le=200)] | None = None


class Probing(AreaClear):
    """A probing cycle; the tool's diameter in mm where its flank touches."""

    cycle: Annotated[ProbeCycle, Field(strict=False)]
    tool_diameter: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] | None = None


def hand_of(lab: Lab, machine_id: str) -> MachineHand:
    """Return the hand of a machine; raises NotFound."""
    try:
        return lab.hands[machine_id]
    except KeyError:
        raise NotFound(what="machine", key=machine_id) from None


def zero_of(lab: Lab, machine_id: str) -> WorkZero:
    """Return the work zero of a machine; raises NotFound."""
    try:
        return lab.zeros[machine_id]
    except KeyError:
        raise NotFound(what="machine", key=machine_id) from None


@router.post("/api/machines/{machine_id}/jog")
async def jog(machine_id: str, step: Step, lab: Services) -> dict[str, bool]:
    """Move by one step; answers once the axes stand."""
    hand = hand_of(lab, machine_id)
    require_area(step, "jog")
    await hand.jog(Displacement(*step.by), step.feed)
    return {"done": True}


@router.post("/api/machines/{machine_id}/park")
async def park(machine_id: str, confirmed: AreaClear, lab: Services) -> dict[str, bool]:
    """Go to the parking position; answers once the machine stands there."""
    hand = hand_of(lab, machine_id)
    require_area(confirmed, "park")
    await hand.park()
    return {"done": True}


@router.post("/api/machines/{machine_id}/zero")
async def zero(machine_id: str, wanted: Zero, lab: Services) -> dict[str, Any]:
    """Let the place where the machine stands read what is wanted."""
    given = wanted.reads.model_dump(exclude_none=True)
    await zero_of(lab, machine_id).set_here({Axis(name.upper()): value for name, value in given.items()})
    return views.machine(machine_of(lab, machine_id), lab)


@router.post("/api/machines/{machine_id}/probe")
async def probe(machine_id: str, wanted: Probing, lab: Services) -> dict[str, Any]:
    """Probe and set the zero that was found; answers once the axes stand."""
    work_zero = zero_of(lab, machine_id)
    require_area(wanted, "probe")
    probed = await work_zero.probe(wanted.cycle, wanted.tool_diameter)
    return {
        "contacts": [views.position(contact) for contact in probed.contacts],
        "set": {axis.value.lower(): value for axis, value in probed.reads.items()},
        "text": probed.text,
    }


@router.post("/api/machines/{machine_id}/overrides")
async def overrides(machine_id: str, wanted: NewOverrides, lab: Services) -> dict[str, int]:
    """Set overrides; answers what the controller confirms."""
    hand = hand_of(lab, machine_id)
    given = wanted.model_dump(exclude_none=True)
    if not given:
        raise Refused(what="No override was set.", why="None was named.", remedy="Name feed, rapid or spindle.")
    confirmed = {name: await hand.override(OverrideKind(name), percent) for name, percent in given.items()}
    now = machine_of(lab, machine_id).state.overrides
    return {**({"feed": now.feed, "rapid": now.rapid, "spindle": now.spindle} if now else {}), **confirmed}
