# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab and its office do while broker or database are away, and while a stranger talks nonsense."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import zstandard
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from tests.e2e.school import BUSY_MS, School, school_of, small_lab
from tests.e2e.test_exact_count import facts_left, require_recount
from tests.hardware_sim.lab.laboratory import LAB_ID, Laboratory
from tests.hardware_sim.lab.people import Json, Office, until
from tests.hardware_sim.lab.processes import find
from tests.support.office import Sender, headcount
from wire import topics
from wire.batch import MAX_PAYLOAD, Ack
from wire.codec import encode_ack

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def school(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[School]:
    """A school in a lab that starts without a broker."""
    async with small_lab(tmp_path_factory.mktemp("lab"), broker=False) as lab, school_of(lab) as school:
        yield school


async def test_a_broker_that_is_away_at_the_start_keeps_nobody_waiting(school: School) -> None:
    await school.people(visitors=12, pupils=20)

    async def backlog() -> Json | None:
        sync = await school.sync()
        # The opening of the visit, twelve visitors, one headcount.
        return sync if sync["waiting"]["visits"] == 14 else None

    sync = await until("the backlog is shown", backlog)
    assert not sync["connected"]
    assert sync["last_ack_age_s"] is None
    assert "refused" in sync["last_error"]
    async with Office(school.lab.office_url) as office:
        assert (await office.progress())["sessions"] == 0
    assert school.lab.broker is not None
    await school.lab.broker.start()
    await school.require_exact()
    assert (await school.sync())["last_ack_age_s"] is not None


async def test_a_broker_that_goes_away_in_the_middle_loses_and_doubles_nothing(school: School) -> None:
    assert school.lab.broker is not None
    await school.people(visitors=5, pupils=3)
    await school.lab.broker.kill()
    await school.until_sync("the console says so", "away")
    await school.people(visitors=10, pupils=7)
    await school.lab.broker.start()
    await school.people(visitors=5, pupils=1)
    await school.require_exact()


async def test_a_backlog_outlives_the_end_of_the_service(school: School) -> None:
    lab = school.lab
    assert lab.broker is not None
    await lab.broker.kill()
    await school.until_sync("the console says so", "away")
    await school.people(visitors=8, pupils=5)
    await lab.edge.stop()
    assert lab.edge.process is not None
    assert lab.edge.process.returncode == 0, lab.edge.tail(40)
    assert facts_left(lab)["visits"] == 9
    await lab.broker.start()
    async with Office(lab.office_url) as office:
        missing = (await office.progress())["ledger"]
    assert missing == school.tally.reached() - 5
    await lab.edge.start()
    await school.require_exact()


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Hold a database's write lock, as a backup or a curious person's tool does."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_a_tap_on_a_locked_database_is_refused_in_words_and_counts_once_later(school: School) -> None:
    session = school.page.session()
    body = {"kiosk": "k1", "session": session, "language": "lt"}
    with held(school.lab.data_dir / "infomobil.db"):
        answer = await school.page.client.post("/api/kiosk/sessions", json=body)
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
        assert error["code"] == "disk"
        assert "another program holds the database" in error["why"]
        assert error["remedy"].startswith("Nothing was counted.")
        entry = {"entry": str(uuid.uuid4()), "group": "8a", "role": "pupil", "count": 4, "reason": ""}
        counted = await school.operator.client.post(f"/api/visits/{school.visit}/headcounts", json=entry)
        assert counted.status_code == 503, counted.text
        visit = (await school.desk.snapshot())["visit"]
        assert visit["kiosk_sessions"] == school.tally.sessions[school.visit]
        assert visit["people"]["pupil"] == school.tally.people[school.visit]["pupil"]
        await school.operator.post("/api/machines/router/stop")
    for _ in range(2):
        assert await school.page.tap(session) == 201
        await school.operator.post(f"/api/visits/{school.visit}/headcounts", entry)
    school.tally.sessions[school.visit] += 1
    school.tally.people[school.visit]["pupil"] += 4
    await school.require_exact()


async def test_a_tap_during_a_short_lock_is_late_and_not_lost(school: School) -> None:
    with held(school.lab.data_dir / "infomobil.db"):
        taps = [asyncio.create_task(school.page.check_in(school.visit)) for _ in range(5)]
        done, _ = await asyncio.wait(taps, timeout=BUSY_MS / 4000)
        assert not done
    await asyncio.gather(*taps)
    await school.require_exact()


async def test_a_locked_ledger_holds_acknowledgements_back_and_nothing_else(school: School) -> None:
    with held(school.lab.folder / "office.sqlite3"):
        await school.people(visitors=10, pupils=6)
        async with Office(school.lab.office_url) as office:
            before = await office.progress()
        assert before["sessions"] < school.tally.confirmed
        await until("the office says what it waits for", lambda: "Nothing is acknowledged" in school.lab.office.tail())
        assert (await school.sync())["waiting"]["visits"] >= 11
        await school.people(visitors=5, pupils=2)
    await school.require_exact()
    assert "the ledger is back" in school.lab.office.tail(100)


def nonsense(lab: str) -> list[tuple[str, bytes]]:
    """Return messages that no office can take in, as (topic, payload)."""
    sender = Sender(lab=lab)
    sound = sender.payload([headcount("v1", 25)] * 40)
    swapped = Sender(lab="another").payload([headcount("v1", 25)])
    newer = zstandard.compress(zstandard.decompress(sound).replace(b'"v":1', b'"v":2'))
    assert newer != sound
    up = topics.up(lab, "visits")
    return [
        *((up, payload) for payload in (b"", b"\x00\xff garbage", b"{}", sound[:-7], sound[: len(sound) // 2], newer)),
        (up, zstandard.compress(b"not JSON")),
        (up, zstandard.compress(b"0" * (64 << 20))),
        (up, b"x" * (MAX_PAYLOAD + 1)),
        (up, b"x" * (3 * MAX_PAYLOAD)),
        (up, swapped),
        (topics.up(lab, "jobs"), sound),
        (f"im/v1/{lab}/up/secrets", sound),
        (topics.presence(lab), b"online"),
    ]


async def test_a_strangers_nonsense_is_set_aside_and_counted_while_the_lab_works(school: School) -> None:
    lab = school.lab
    async with Office(lab.office_url) as office:
        before = await office.get("/api/quality")
        (known,) = await office.get("/api/labs")
        bad = [*nonsense(LAB_ID), *nonsense("van-9")]
        stray = [
            (topics.ack(LAB_ID, "visits"), b"garbage"),
            (topics.ack(LAB_ID, "visits"), encode_ack(Ack("visits", known["epoch"], 2**40, (), 1))),
            (topics.ack(LAB_ID, "visits"), encode_ack(Ack("visits", "0" * 32, 5, (), 1))),
        ]

        async def talk() -> None:
            for topic, payload in (*bad, *stray):
                await asyncio.to_thread(
                    publish.single,
                    topic,
                    payload,
                    qos=1,
                    hostname="127.0.0.1",
                    port=lab.broker_port,
                    protocol=MQTTProtocolVersion.MQTTv5,
                )

        await asyncio.gather(talk(), school.people(visitors=40, pupils=11))

        async def counted() -> bool:
            quality = await office.get("/api/quality")
            return bool(quality["quarantined"] - before["quarantined"] >= len(bad))

        await until("all of it is set aside", counted)
        await school.require_exact()
        quality = await office.get("/api/quality")
        assert quality["quarantined"] - before["quarantined"] == len(bad)
        assert quality["last_quarantine"]["lab"] in (LAB_ID, "van-9")
        assert len(quality["last_quarantine"]["reason"]) > 5
        (seen,) = await office.get("/api/labs")
        assert (seen["state"], seen["epoch"], seen["gaps"]) == ("online", known["epoch"], [])
    await require_recount_of(lab)


async def require_recount_of(lab: Laboratory) -> None:
    """Stop the office, let it add up all facts again, and start it."""
    await lab.office.stop()
    await require_recount(lab)
    await lab.office.start()
