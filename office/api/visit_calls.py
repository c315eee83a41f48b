# SPDX-License-Identifier: GPL-3.0-or-later
"""One visit with everything that was counted for it, and the office's corrections."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import FastAPI, Path
from pydantic import BaseModel, ConfigDict, Field

from office.api.access import AsOffice
from office.api.errors import Refused
from office.ledger import Ledger, reading
from office.ledger.corrections import MOST, Correction, CorrectionRefused, Entry, VisitUnknown, correct, entries
from office.ledger.database import Database
from office.ledger.reading import VisitRow
from wire.events import RoleName

LabName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
VisitId = Annotated[str, Path(min_length=1, max_length=64)]

ROLES: tuple[RoleName, ...] = ("pupil", "teacher", "vet_trainer", "trainee")


class IntervalAnswer(BaseModel):
    """The earliest and the latest UTC at which it can have happened; raw is what the van's own clock said."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[str | None, Field(alias="from")]
    to: str | None
    raw: str | None
    quality: str


class EntryAnswer(BaseModel):
    """One count or correction. (epoch, seq) names the fact; who is the account of one that the office made."""

    epoch: str
    seq: int
    group: str
    role: RoleName
    count: int
    reason: str
    by: Literal["operator", "office"]
    who: str | None
    at: IntervalAnswer


class VisitAnswer(BaseModel):
    """A visit with its sums per role, and the entries that they are made of."""

    lab: str
    visit: str
    school: str
    municipality: str
    date: str
    group: str
    expected: int
    people: dict[RoleName, int]
    total: int
    sessions: int
    open: bool
    entries: list[EntryAnswer]


class CorrectionBody(BaseModel):
    """count is the difference to what was counted, either way; id is made by the page, so that it counts once."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")]
    group: Annotated[str, Field(min_length=1, max_length=200)]
    role: RoleName
    count: Annotated[int, Field(ge=-MOST, le=MOST, strict=True)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


def add_visit_calls(app: FastAPI, ledger: Ledger) -> None:
    """Add the calls to `app`."""

    @app.get("/api/visits/{lab}/{visit}", summary="A visit and all that was counted for it", tags=["visits"])
    async def visit_detail(lab: LabName, visit: VisitId) -> VisitAnswer:
        return await ledger.read(lambda database: _detail(database, lab, visit))

    @app.post("/api/visits/{lab}/{visit}/corrections", status_code=201, summary="Correct a count", tags=["visits"])
    async def correction(lab: LabName, visit: VisitId, body: CorrectionBody, office: AsOffice) -> VisitAnswer:
        wanted = Correction(lab, visit, body.id.lower(), body.group, body.role, body.count, body.reason)

        def enter(database: Database) -> VisitAnswer:
            correct(database, wanted, str(office.name), time.time_ns())
            return _detail(database, lab, visit)

        try:
            return await ledger.change(enter)
        except VisitUnknown as error:
            raise _unknown(lab, visit) from error
        except CorrectionRefused as error:
            what = "The correction is not entered."
            remedy = "Look at what was counted, and enter the difference to it."
            raise Refused(409, "correction", what, str(error), remedy) from error


def _detail(database: Database, lab: str, visit: str) -> VisitAnswer:
    row = reading.visit(database, lab, visit)
    if row is None:
        raise _unknown(lab, visit)
    return _answer(row, entries(database, lab, visit))


def _answer(row: VisitRow, found: list[Entry]) -> VisitAnswer:
    return VisitAnswer(
        lab=row.lab,
        visit=row.visit,
        school=row.school,
        municipality=row.municipality,
        date=row.date,
        group=row.group,
        expected=row.expected,
        people={role: row.people.get(role, 0) for role in ROLES},
        total=sum(row.people.values()),
        sessions=row.sessions,
        open=row.open,
        entries=[_entry(entry) for entry in found],
    )


def _entry(entry: Entry) -> EntryAnswer:
    return EntryAnswer.model_validate(
        {
            "epoch": entry.epoch,
            "seq": entry.seq,
            "group": entry.group,
            "role": entry.role,
            "count": entry.count,
            "reason": entry.reason,
            "by": entry.by,
            "who": entry.who,
            "at": entry.at.as_json(),
        }
    )


def _unknown(lab: str, visit: str) -> Refused:
    why = f"The lab {lab} has told of no visit {visit}."
    return Refused(404, "unknown", "There is no such visit.", why, "Look at the list of visits again.")
