# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the reports: what was pledged and reached, by what it breaks down, and the evidence."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from starlette.responses import Response

from office import reports
from office.api.errors import refusal
from office.ledger import Ledger, seals
from office.ledger.database import Database
from office.ledger.figures import By, Period
from office.reports.evidence import Evidence, gather
from office.reports.fonts import FontsMissing
from office.reports.plan import PlanFile
from office.reports.words import Language

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FRESH_NS = 600_000_000_000
"""For so long a digest is good enough for the page. A report makes its own."""


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
        return await ledger.read(lambda database: reports.tiles(database, Period()))

    @app.get("/api/interest", summary="Answers before and after in pairs; small groups are hidden")
    async def interest(asked: Asked) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.interest(database, asked))

    @app.get("/api/digest", summary="One number that the ledger can be checked by later; up to ten minutes old")
    async def digest() -> dict[str, Any]:
        # A page asks over and over, and each new seal stays for ever.
        known = await ledger.read(seals.newest)
        if known is None or not 0 <= time.time_ns() - known[1] < FRESH_NS:
            made = await ledger.read(lambda database: seals.make(database, time.time_ns()))
            await ledger.change(lambda database: seals.keep(database, made))
            known = (made.digest, made.at_ns, made.events)
        return reports.sealed(*known)

    @app.get("/api/report.xlsx", summary="The evidence report as a workbook")
    async def workbook(asked: Asked, lang: Language = "lt") -> Response:
        evidence = await _evidence(ledger, pledged, asked)
        return _file(await asyncio.to_thread(_workbook, evidence, lang), XLSX, "xlsx", evidence)

    @app.get("/api/report.pdf", summary="The evidence report on paper")
    async def paper(asked: Asked, lang: Language = "lt") -> Response:
        evidence = await _evidence(ledger, pledged, asked)
        try:
            return _file(await asyncio.to_thread(_paper, evidence, lang), "application/pdf", "pdf", evidence)
        except FontsMissing as error:
            remedy = "Build the pages (make web), or take the workbook."
            return refusal(503, "fonts", "The report cannot be printed.", str(error), remedy)


async def _evidence(ledger: Ledger, pledged: PlanFile, asked: Period) -> Evidence:
    """Return the evidence with the seal of the very moment that it is of, which is kept from then on."""

    def question(database: Database) -> Evidence:
        made = seals.make(database, time.time_ns())
        return gather(database, pledged, asked, made, datetime.now(UTC))

    found = await ledger.read(question)
    await ledger.change(lambda database: seals.keep(database, found.seal))
    return found


# Both libraries are loaded when they are first needed: most days nobody asks for a report.
def _workbook(evidence: Evidence, language: Language) -> bytes:
    from office.reports.sheets import workbook

    return workbook(evidence, language)


def _paper(evidence: Evidence, language: Language) -> bytes:
    from office.reports.paper_report import paper

    return paper(evidence, language)


def _file(content: bytes, kind: str, ending: str, evidence: Evidence) -> Response:
    name = f"infomobil-{evidence.made.date().isoformat()}.{ending}"
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
