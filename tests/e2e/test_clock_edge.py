# SPDX-License-Identifier: GPL-3.0-or-later
"""A service, a broker and an office: the office knows the order of starts and when a pupil was counted."""

from __future__ import annotations

import asyncio
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.school import school_of, small_lab
from tests.e2e.test_exact_count import require_recount
from tests.hardware_sim.lab.laboratory import LAB_ID
from tests.hardware_sim.lab.people import Json, Office, until
from tests.hardware_sim.lab.processes import find

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


async def test_the_office_knows_when_somebody_was_counted_and_how_often_the_service_began(tmp_path: Path) -> None:
    async with small_lab(tmp_path, broker=True) as lab:
        async with school_of(lab) as school:
            await school.people(visitors=2, pupils=5)
            await lab.edge.kill()
            await lab.edge.start()
            before = time.time()
            await school.people(visitors=1, pupils=3)
            after = time.time()
            await school.require_exact()
            async with Office(lab.office_url) as office:

                async def known() -> Json | None:
                    (row,) = [row for row in await office.get("/api/labs") if row["lab"] == LAB_ID]
                    return row if row["ordinal"] == 2 and row["clock"]["uncertainty_s"] is not None else None

                row: Json = await until("the office knows the lab's clock", known)
                assert row["clock"]["uncertainty_s"] < 30
                assert row["clock"]["quality"] in ("free", "unset", "synchronised")
                assert (row["doubts"], row["gaps"], row["alarms"]) == ([], [], [])
                detail: Json = await office.get(f"/api/visits/{LAB_ID}/{school.visit}")
                newest = detail["entries"][-1]
                assert newest["count"] == 3
                assert newest["at"]["quality"] == "anchored"
                # Both clocks are this computer's, so the interval holds the moment that the test saw.
                assert seconds(newest["at"]["from"]) <= after
                assert seconds(newest["at"]["to"]) >= before
        await require_recount(lab)


async def test_an_old_card_put_back_is_seen_and_nobody_is_counted_twice(tmp_path: Path) -> None:
    async with small_lab(tmp_path, broker=True) as lab:
        async with school_of(lab) as school:
            await school.people(visitors=2, pupils=5)
            await school.require_exact()
            await lab.edge.stop()
            await asyncio.to_thread(shutil.copytree, lab.data_dir, tmp_path / "copy")
            await lab.edge.start()
            await school.people(visitors=1, pupils=3)
            await school.require_exact()
            await lab.edge.stop()
            await asyncio.to_thread(shutil.rmtree, lab.data_dir)
            await asyncio.to_thread(shutil.move, tmp_path / "copy", lab.data_dir)
            await lab.edge.start()
            await school.people(visitors=1, pupils=2)
            async with Office(lab.office_url) as office:

                async def doubted() -> Json | None:
                    (row,) = [row for row in await office.get("/api/labs") if row["lab"] == LAB_ID]
                    return row if row["doubts"] else None

                row: Json = await until("the office doubts the card", doubted)
                (doubt,) = row["doubts"]
                assert doubt["kind"] in ("clone", "rollback")
                assert row["alarms"] == [doubt["text"]]

                async def arrived() -> bool:
                    return bool((await office.progress())["ledger"] == school.tally.reached())

                await until("everybody is counted", arrived)
                audit: Json = await office.get("/api/audit")
                assert doubt["text"] in [entry["text"] for entry in audit["rows"]]
        await require_recount(lab)
