# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's number is exact, whatever is killed: broker, edge and office, at seeded random moments of a school day.

With INFOMOBIL_LONG=1: 500 visitors, ten kills of the broker and five of the edge. INFOMOBIL_SEED sets the seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.crowd import QUICK_INGEST, QUICK_SYNC, Desk, Page, Tally, strike
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Json, Office, Operator, Wrong, until
from tests.hardware_sim.lab.processes import ROOT, find, python
from tests.support.office import Postgres

pytest_plugins = ["tests.support.office_fixtures"]
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]

LONG = os.environ.get("INFOMOBIL_LONG") == "1"
SEED = os.environ.get("INFOMOBIL_SEED", "1")
SCHOOLS = ("Kretingos technologijos ir verslo mokykla", "Salantų gimnazija", "Šilutės žemės ūkio mokykla")
KIOSKS = ("k1", "k2", "k3")


@dataclass(frozen=True)
class Day:
    """How many visitors come, and how often which process is killed meanwhile."""

    visitors: int
    broker: int
    edge: int
    office: int


async def live_through(lab: Laboratory, day: Day, tally: Tally, seed: str) -> None:
    """Let three schools visit, with taps between the visits, while processes are killed; all of them run at the end."""
    assert lab.broker is not None
    chance = random.Random(seed)

    def moments(kills: int) -> list[int]:
        return chance.sample(range(day.visitors * 19 // 20), kills)

    def confirmed() -> int:
        return tally.confirmed

    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(Page(lab.kiosk_url, kiosk, tally, seed)) for kiosk in KIOSKS]
        operator = await stack.enter_async_context(Operator(lab.console_url))
        desk = Desk(operator, lab.pin, tally, seed)
        async with asyncio.timeout(300), asyncio.TaskGroup() as group:
            group.create_task(strike(lab.broker, moments(day.broker), confirmed, seed, (0.1, 1.5)))
            group.create_task(strike(lab.edge, moments(day.edge), confirmed, seed, (0.0, 0.5)))
            group.create_task(strike(lab.office, moments(day.office), confirmed, seed, (0.0, 1.0)))
            left = day.visitors
            for school in SCHOOLS:
                visit = await desk.open_visit(school, 50)
                share = left if school is SCHOOLS[-1] else day.visitors // len(SCHOOLS) - len(KIOSKS)
                await asyncio.gather(
                    *(page.serve(share // 3 + (index < share % 3), visit) for index, page in enumerate(pages)),
                    desk.count_heads(visit, entries=12),
                )
                await desk.close_visit(visit)
                left -= share
                if left:
                    await asyncio.gather(*(page.serve(1, "") for page in pages))
                    left -= len(KIOSKS)


async def until_drained(lab: Laboratory) -> None:
    """Wait until the lab has nothing left to send."""
    async with Operator(lab.console_url) as operator:
        await operator.login(lab.pin)

        async def drained() -> bool:
            sync = (await operator.get("/api/snapshot"))["sync"]
            return bool(sync["connected"] and sync["waiting_total"] == 0)

        await until("the outbox is empty", drained, seconds=60)


async def require_exact(lab: Laboratory, day: Day, tally: Tally) -> None:
    """Compare everything that the office shows with what happened."""
    assert tally.confirmed == day.visitors
    async with Office(lab.office_url) as office:
        shown: Json = {}

        async def arrived() -> bool:
            progress = await office.progress()
            (seen,) = await office.get("/api/labs")
            shown.update({key: progress[key] for key in ("reached", "ledger", "sessions")})
            # The lab's own word for its count follows the facts within a second or two.
            shown["said"] = seen["presence_people"]
            waits = (progress["not_yet_received"], seen["waiting"])
            return seen["state"] == "online" and waits == (0, 0) and shown == wanted

        reached = tally.reached()
        wanted = {"reached": reached, "ledger": reached, "sessions": day.visitors, "said": reached}
        try:
            await until("the office has everything", arrived, seconds=60)
        except Wrong:
            assert shown == wanted
            raise
        await until_drained(lab)
        progress = await office.progress()
        assert (progress["reached"], progress["ledger"], progress["sessions"]) == (reached, reached, day.visitors)
        indicators = {item["id"]: item["value"] for item in progress["indicators"]}
        assert indicators["people"] == reached
        assert indicators["vet_trainers"] == sum(people["vet_trainer"] for people in tally.people.values())
        assert indicators["trainees"] == sum(people["trainee"] for people in tally.people.values())
        assert indicators["schools"] == len(SCHOOLS)
        rows = {row["visit"]: row for row in (await office.get("/api/visits", limit=50))["rows"]}
        assert {visit: row["sessions"] for visit, row in rows.items()} == {
            visit: count for visit, count in tally.sessions.items() if visit
        }
        for visit, people in tally.people.items():
            row = rows[visit]
            assert row["people"] == {role: people[role] for role in row["people"]}, visit
            assert (row["total"], row["open"], row["expected"]) == (people.total(), False, 50)
        (seen,) = await office.get("/api/labs")
        assert (seen["gaps"], seen["alarms"]) == ([], [])
        assert (seen["ledger_people"], seen["presence_people"]) == (reached, reached)
        quality = await office.get("/api/quality")
        assert (quality["quarantined"], quality["invalid"], quality["chain_alarms"]) == (0, 0, 0)


def facts_left(lab: Laboratory) -> dict[str, int]:
    """Return how many facts of each stream the stopped lab still has to send, on disk."""
    with closing(sqlite3.connect(lab.data_dir / "infomobil.db")) as database:
        return dict(database.execute("SELECT stream, count(*) FROM fact GROUP BY stream").fetchall())


async def require_recount(lab: Laboratory) -> None:
    """Let the office add up all facts again: its figures agree with them."""
    recount = await asyncio.create_subprocess_exec(
        *python("office", "recount", "--config", lab.office_config),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await recount.communicate()
    assert recount.returncode == 0, output.decode()


async def prove(folder: Path, day: Day, seed: str, database: str = "") -> Tally:
    """Live through the day and compare; return what happened."""
    tally = Tally()
    options = Options(
        folder, speed=10, with_lathe=False, database=database, sync_extra=QUICK_SYNC, ingest_extra=QUICK_INGEST
    )
    async with Laboratory(options) as lab:
        await live_through(lab, day, tally, seed)
        await require_exact(lab, day, tally)
        await lab.edge.stop()
        left = facts_left(lab)
        assert {stream for stream in left if stream != "metrics"} == set(), left
        await require_recount(lab)
        for part in (lab.edge, lab.office):
            assert "Traceback" not in part.tail(100_000), part.tail(60)
    return tally


async def test_the_office_is_exact_after_kills_of_broker_edge_and_office(tmp_path: Path) -> None:
    day = Day(visitors=500, broker=10, edge=5, office=3) if LONG else Day(visitors=150, broker=3, edge=2, office=1)
    tally = await prove(tmp_path, day, SEED)
    assert tally.unanswered > 0, "nobody noticed the kills: they proved nothing"
    sys.stdout.write(f"seed {SEED}: {day}, {tally.posts} posts, {tally.unanswered} of them unanswered\n")


async def test_the_office_is_exact_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    day = Day(visitors=60, broker=1, edge=1, office=2)
    await prove(tmp_path, day, SEED, postgres.new_database())
