# SPDX-License-Identifier: GPL-3.0-or-later
"""What was set aside, for a person to look at."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from office.api.access import AsOffice
from office.api.errors import Refused
from office.errors import QuarantineUnknown
from office.facts import clean
from office.ledger import Ledger, quarantine
from office.ledger.database import Database
from office.ledger.quarantine import SetAside
from office.reports.times import iso

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


class SeenAnswer(BaseModel):
    """Who looked at it, when, and what they found."""

    who: str
    at: str | None
    note: str


class QuarantineRow(BaseModel):
    """A payload: head is its first kilobyte in hex, text the same as far as it can be read, size that of all of it."""

    id: int
    topic: str
    lab: str
    stream: str
    reason: str
    size: int
    head: str
    text: str
    received: str | None
    seen: SeenAnswer | None


class QuarantinePage(BaseModel):
    """A page, newest first; total counts what the question matches of the newest thousand that are kept."""

    total: int
    rows: list[QuarantineRow]


class Note(BaseModel):
    """What somebody found who looked."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=500)] = ""


def readable(head: bytes) -> str:
    """Return bytes as text, a middle dot for each character that no screen shows."""
    text = head.decode("utf-8", errors="replace")
    return "".join(char if (char.isprintable() and char != "\ufffd") or char == "\n" else "·" for char in text)


def _answer(row: SetAside) -> QuarantineRow:
    seen = None if row.seen is None else SeenAnswer(who=row.seen.who, at=iso(row.seen.at_ns), note=row.seen.note)
    return QuarantineRow(
        id=row.id,
        topic=row.topic,
        lab=row.lab,
        stream=row.stream,
        reason=row.reason,
        size=row.size,
        head=row.head.hex(),
        text=readable(row.head),
        received=iso(row.received_ns),
        seen=seen,
    )


def add_quarantine_calls(app: FastAPI, ledger: Ledger) -> None:
    """Add the calls to `app`."""

    @app.get("/api/quarantine", summary="What was set aside", tags=["quality"])
    async def rows(*, limit: Limit = 100, offset: Offset = 0, seen: bool | None = None) -> QuarantinePage:
        def ask(database: Database) -> QuarantinePage:
            found = [_answer(row) for row in quarantine.page(database, limit, offset, seen=seen)]
            return QuarantinePage(total=quarantine.count(database, seen=seen), rows=found)

        return await ledger.read(ask)

    @app.post("/api/quarantine/{number}/seen", summary="Note that somebody looked at it", tags=["quality"])
    async def mark_seen(number: Annotated[int, Path(ge=1, le=2**53)], body: Note, visitor: AsOffice) -> QuarantineRow:
        note = clean(body.note).strip()
        try:
            row = await ledger.change(
                lambda database: quarantine.mark_seen(database, str(visitor.name), number, note, time.time_ns())
            )
        except QuarantineUnknown as error:
            raise Refused(404, "unknown", "Nothing was noted.", str(error), "Look at the list.") from error
        return _answer(row)
