# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the reports: what was pledged and reached, by what it breaks down, and the evidence."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query

from office import reports
from office.ledger import Ledger, seals
from office.ledger.figures import By, Period
from office.reports.plan import PlanFile


def _period(
    first: Annotated[date | None, Query(alias="from", description="The first day of visits.")] = None,
    last: Annotated[date | None, Query(alias="to", description="The last day of visits.")] = None,
    lab: Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="Of one lab only.")] = None,
) -> Period:
    return Period(first.isoformat() if first else None, last.isoformat() if last else None, lab)


Asked = Annotated[Period, Depends(_period)]


def add_report_calls(app: FastAPI, ledger: Ledger, pledged: PlanFile) -> None:
    """Let `app` answer what the reports ask of `ledger`, with what was `pledged`."""
    plan = pledged.plan

    @app.get("/api/progress", summary="How far the pledge has come")
    async def progress() -> dict[str, Any]:
        now = datetime.now(UTC)
        return await ledger.read(lambda database: reports.progress(database, plan, now))

    @app.get("/api/indicators", summary="Each figure of the pledge with milestones, history and forecast")
    async def indicators() -> list[dict[str, Any]]:
        today = datetime.now(UTC).date()
        return await ledger.read(lambda database: reports.indicators(database, plan, today))

    @app.get("/api/breakdown", summary="People, visits and sessions by one property of the visits")
    async def breakdown(by: By, asked: Asked) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.breakdown(database, by, asked))

    @app.get("/api/hours", summary="Jobs and machine hours of each machine")
    async def hours(asked: Asked) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.hours(database, asked))

    @app.get("/api/map", summary="Every municipality of Lithuania with its tile")
    async def tiles() -> list[dict[str, Any]]:
        return await ledger.read(reports.tiles)

    @app.get("/api/interest", summary="Answers before and after in pairs; small groups are hidden")
    async def interest(asked: Asked) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.interest(database, asked))

    @app.get("/api/digest", summary="One number that the ledger can be checked by later")
    async def digest() -> dict[str, Any]:
        return reports.sealed(await seal(ledger))


async def seal(ledger: Ledger) -> seals.Seal:
    """Return the seal of the ledger as it is, which is kept from then on."""
    made = await ledger.read(lambda database: seals.make(database, time.time_ns()))
    await ledger.change(lambda database: seals.keep(database, made))
    return made
