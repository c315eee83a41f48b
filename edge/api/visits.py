# SPDX-License-Identifier: GPL-3.0-or-later
"""Today's visit: opened, counted, closed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from edge.api import views
from edge.api.access import Services, require_operator
from edge.domain.visit import Language, Role
from edge.services.visits import SchoolType

router = APIRouter(dependencies=[Depends(require_operator)])

Name = Annotated[str, Field(min_length=1, max_length=120)]


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class NewVisit(Body):
    """A visit to open."""

    school: Name
    municipality: Name
    date: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
    group: Name
    expected: Annotated[int, Field(ge=0, le=10_000, strict=True)]
    language: Language
    school_type: SchoolType | None = None


class NewHeadcount(Body):
    """People counted. entry makes a repeated tap count once."""

    entry: Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{8,64}$")]
    group: Name
    role: Role
    count: Annotated[int, Field(ge=-10_000, le=10_000, strict=True)]
    reason: Annotated[str, Field(max_length=200)] = ""


class NewCorrection(NewHeadcount):
    """The difference to what was counted, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class Bell(Body):
    """When the bell rings, in minutes from now; null takes it away."""

    in_minutes: Annotated[float, Field(ge=0, le=600)] | None


@router.post("/api/visits", status_code=201)
async def open_visit(new: NewVisit, lab: Services) -> Any:
    """Open a visit."""
    await lab.visits.open(
        school=new.school,
        municipality=new.municipality,
        date=new.date,
        group=new.group,
        expected=new.expected,
        language=new.language,
        school_type=new.school_type,
    )
    return views.visit(lab.visits)


@router.post("/api/visits/{visit_id}/headcounts", status_code=201)
async def count(visit_id: str, new: NewHeadcount, lab: Services) -> Any:
    """Count people."""
    record = await lab.visits.count(
        visit_id, entry_id=new.entry, group=new.group, role=new.role, count=new.count, reason=new.reason
    )
    return views.visit(lab.visits, record)


@router.get("/api/visits/recent")
async def recent(lab: Services) -> Any:
    """Return the closed visits whose counts can still be corrected here, newest first."""
    return [views.visit(lab.visits, record) for record in lab.visits.recent()]


@router.post("/api/visits/{visit_id}/corrections", status_code=201)
async def correct(visit_id: str, new: NewCorrection, lab: Services) -> Any:
    """Correct a count of the open visit or of a closed one of late."""
    record = await lab.visits.correct(
        visit_id, entry_id=new.entry, group=new.group, role=new.role, count=new.count, reason=new.reason
    )
    return views.visit(lab.visits, record)


@router.post("/api/visits/{visit_id}/bell")
async def bell(visit_id: str, new: Bell, lab: Services) -> Any:
    """Set the bell."""
    await lab.visits.ring(visit_id, new.in_minutes)
    return views.visit(lab.visits)


@router.post("/api/visits/{visit_id}/close")
async def close(visit_id: str, lab: Services) -> Any:
    """Close the visit."""
    return views.visit(lab.visits, await lab.visits.close(visit_id))
