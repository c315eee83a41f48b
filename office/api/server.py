# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's calls: each asks the ledger once and hands the report on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query
from starlette.responses import StreamingResponse

from office import reports
from office.api.access import LOOPBACK, AccessGate, Door
from office.api.account_calls import add_account_calls
from office.api.audit_calls import add_audit_calls
from office.api.descriptions import describe
from office.api.errors import add_handlers
from office.api.import_calls import add_import_calls
from office.api.metrics import add_metrics
from office.api.pages import add_pages
from office.api.quarantine_calls import add_quarantine_calls
from office.api.report_calls import add_report_calls
from office.api.security import HostGate, SecurityHeaders
from office.api.visit_calls import add_visit_calls
from office.config import OfficeSettings
from office.facts import IngestFigures
from office.ledger import Ledger, reading
from office.ledger.database import Database
from office.reports.plan import load as load_plan

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
T = TypeVar("T")
Lab = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


def create_app(
    settings: OfficeSettings,
    ledger: Ledger,
    broker_connected: Callable[[], bool],
    pages: Path | None,
    ingest: Callable[[], IngestFigures] = IngestFigures,
) -> FastAPI:
    """Return the office's ASGI app. `pages` is the folder of the built pages, if there is one; ingest tells figures.

    Raises ConfigInvalid where the file of what was pledged is not good.
    """
    app = FastAPI(title="InfoMobil office", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    door = Door(settings.http, ledger)
    add_handlers(app)
    add_account_calls(app, ledger, door)
    add_quarantine_calls(app, ledger)
    add_visit_calls(app, ledger)
    add_audit_calls(app, ledger)
    add_import_calls(app, ledger)
    _add_reports(app, ledger, broker_connected)
    add_report_calls(app, ledger, load_plan(settings.indicators))
    _add_exports(app, ledger)
    add_metrics(app, ledger, broker_connected, ingest)
    describe(app)
    add_pages(app, pages)
    app.add_middleware(AccessGate, door=door)
    if settings.http.loopback or settings.http.hosts:
        own = {*LOOPBACK, settings.http.host, *settings.http.hosts}
        app.add_middleware(HostGate, hosts=frozenset(name.lower() for name in own))
    app.add_middleware(SecurityHeaders)
    return app


def _add_reports(app: FastAPI, ledger: Ledger, broker_connected: Callable[[], bool]) -> None:
    @app.get("/api/labs", summary="How each lab stands", tags=["labs"])
    async def labs() -> list[dict[str, Any]]:
        connected = broker_connected()
        return await ledger.read(lambda database: reports.labs(database, broker_connected=connected))

    @app.get("/api/machines", summary="What each machine made and how well it was seen", tags=["labs"])
    async def machines() -> list[dict[str, Any]]:
        return await ledger.read(reports.machines)

    @app.get("/api/visits", summary="Visits, newest day first", tags=["visits"])
    async def visits(limit: Limit = 100, offset: Offset = 0, lab: Lab = None) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.visits(database, limit, offset, lab))

    @app.get("/api/jobs", summary="Jobs, those heard of last first", tags=["labs"])
    async def jobs(limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
        return await ledger.read(lambda database: reports.jobs(database, limit, offset))

    @app.get("/api/quality", summary="What was odd about what came", tags=["quality"])
    async def quality() -> dict[str, Any]:
        return await ledger.read(reports.quality)


def _add_exports(app: FastAPI, ledger: Ledger) -> None:
    @app.get("/api/export/visits.csv", summary="All visits for a spreadsheet", tags=["visits"])
    async def visits_csv() -> StreamingResponse:
        first = await ledger.read(lambda database: reading.visits_after(database, ("", "")))
        return _download("visits.csv", _visit_lines(ledger, first))

    @app.get("/api/export/jobs.csv", summary="All jobs for a spreadsheet", tags=["labs"])
    async def jobs_csv() -> StreamingResponse:
        first = await ledger.read(lambda database: reading.jobs_after(database, ("", "")))
        return _download("jobs.csv", _job_lines(ledger, first))


async def _visit_lines(ledger: Ledger, rows: Sequence[reading.VisitRow]) -> AsyncIterator[str]:
    yield reports.csv_header(reports.VISIT_COLUMNS)
    while rows:
        yield reports.visits_csv(rows)
        rows = await ledger.read(_next(reading.visits_after, (rows[-1].lab, rows[-1].visit)))


async def _job_lines(ledger: Ledger, rows: Sequence[reading.JobRow]) -> AsyncIterator[str]:
    yield reports.csv_header(reports.JOB_COLUMNS)
    while rows:
        yield reports.jobs_csv(rows)
        rows = await ledger.read(_next(reading.jobs_after, (rows[-1].lab, rows[-1].job)))


def _next(page: Callable[[Database, tuple[str, str]], T], after: tuple[str, str]) -> Callable[[Database], T]:
    return lambda database: page(database, after)


def _download(name: str, lines: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
