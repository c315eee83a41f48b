# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory with one visit at work, its people, and what the office must show of them in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.crowd import QUICK_INGEST, QUICK_SYNC, Desk, Page, Tally
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Json, Office, Operator, until

BUSY_MS = 400


def options(folder: Path, **more: object) -> Options:
    return Options(
        folder,
        **{
            **{"speed": 10, "with_lathe": False, "realtime": True},
            **{"sync_extra": QUICK_SYNC, "ingest_extra": QUICK_INGEST, "store_extra": f"busy_timeout_ms = {BUSY_MS}"},
            **more,
        },  # type: ignore[arg-type]
    )


class School:
    """A laboratory with one visit, its people, and what they did. Every test leaves it as the office must show it."""

    def __init__(self, lab: Laboratory, page: Page, operator: Operator, tally: Tally) -> None:
        self.lab = lab
        self.page = page
        self.operator = operator
        self.tally = tally
        self.desk = Desk(operator, lab.pin, tally, "desk")
        self.visit = ""

    async def people(self, visitors: int, pupils: int) -> None:
        """Let visitors check in, and count pupils."""
        await self.page.serve(visitors, self.visit, gap_s=0.01)
        await self.desk.count(self.visit, "pupil", pupils)

    async def sync(self) -> Json:
        """Return what the console says about the way to the office."""
        found: Json = (await self.desk.snapshot())["sync"]
        return found

    async def until_sync(self, what: str, check: str) -> Json:
        """Wait until the way to the office is `away` or `drained`."""

        async def look() -> Json | None:
            sync = await self.sync()
            good = {
                "away": not sync["connected"],
                "drained": sync["connected"] and sync["waiting_total"] == 0,
            }[check]
            return sync if good else None

        found: Json = await until(what, look, seconds=60)
        return found

    async def require_exact(self) -> None:
        """Compare the office with what happened, once everything has arrived."""
        await self.until_sync("the outbox is empty", "drained")
        async with Office(self.lab.office_url) as office:

            async def arrived() -> bool:
                progress = await office.progress()
                figures = (progress["ledger"], progress["not_yet_received"], progress["sessions"])
                return figures == (self.tally.reached(), 0, self.tally.confirmed)

            await until(f"the office shows {self.tally.reached()} and {self.tally.confirmed}", arrived)
            (row,) = [row for row in (await office.get("/api/visits"))["rows"] if row["visit"] == self.visit]
            assert row["sessions"] == self.tally.sessions[self.visit]
            assert row["people"]["pupil"] == self.tally.people[self.visit]["pupil"]
            quality = await office.get("/api/quality")
            assert (quality["invalid"], quality["chain_alarms"]) == (0, 0)


@asynccontextmanager
async def school_of(lab: Laboratory) -> AsyncIterator[School]:
    """Open a visit in a lab whose edge runs."""
    tally = Tally()
    async with Page(lab.kiosk_url, "k1", tally, "page") as page, Operator(lab.console_url) as operator:
        school = School(lab, page, operator, tally)
        school.visit = await school.desk.open_visit("Salantų gimnazija", 30)
        yield school


@asynccontextmanager
async def small_lab(folder: Path, *, broker: bool) -> AsyncIterator[Laboratory]:
    """A laboratory with a router, whose broker is there or not yet; its services must end without a traceback."""
    lab = Laboratory(options(folder))
    assert lab.broker is not None
    parts = [lab.router, lab.office, *([lab.broker] if broker else [])]
    try:
        await asyncio.gather(*(part.start() for part in parts))
        await asyncio.to_thread(lab.prepare_router)
        await lab.edge.start()
        yield lab
        await lab.edge.stop()
        for part in (lab.edge, lab.office):
            assert "Traceback" not in part.tail(100_000), part.tail(60)
    finally:
        for part in (lab.edge, lab.office, lab.router, lab.broker):
            await part.stop()
