# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab and its office do while broker, disk or database are away, and while a stranger talks nonsense."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import zstandard
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from tests.e2e.crowd import QUICK_INGEST, QUICK_SYNC, Desk, Page, Tally
from tests.e2e.test_exact_count import facts_left, require_recount
from tests.hardware_sim.lab.laboratory import LAB_ID, Laboratory, Options
from tests.hardware_sim.lab.people import Json, Office, Operator, until
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

BUSY_MS = 400
SQUARE = b"G21 G90\nG0 Z5\nG0 X5 Y5\nM3 S8000\nG1 Z-0.5 F300\nG1 X85 F600\nG1 Y45\nG1 X5\nG1 Y5\nG0 Z5\nM5\nM30\n"


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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def school(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[School]:
    """A school in a lab that starts without a broker."""
    lab = Laboratory(options(tmp_path_factory.mktemp("lab")))
    assert lab.broker is not None
    try:
        await asyncio.gather(lab.router.start(), lab.office.start())
        await asyncio.to_thread(lab.prepare_router)
        await lab.edge.start()
        async with school_of(lab) as school:
            yield school
        await lab.edge.stop()
        for part in (lab.edge, lab.office):
            assert "Traceback" not in part.tail(100_000), part.tail(60)
    finally:
        for part in (lab.edge, lab.office, lab.router, lab.broker):
            await part.stop()


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


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 40 MB, empty."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    # Lazy, so that a test that failed with files open leaves no mount behind.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that a disk has left; return the file that holds it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    return filler


async def tap_until_refused(school: School) -> tuple[str, Json]:
    """Check in until the disk refuses; return the session that was refused, and why."""
    for _ in range(5_000):
        session = school.page.session()
        body = {"kiosk": "k1", "session": session, "language": "lt"}
        answer = await school.page.client.post("/api/kiosk/sessions", json=body)
        if answer.status_code == 503:
            refusal: Json = answer.json()["error"]
            return session, refusal
        assert answer.status_code == 201, answer.text
        school.tally.sessions[school.visit] += 1
    raise AssertionError("the disk never filled up")


async def test_a_full_disk_refuses_taps_in_words_and_machines_still_stop(
    tmp_path_factory: pytest.TempPathFactory, small_disk: Path
) -> None:
    lab = Laboratory(
        options(tmp_path_factory.mktemp("full"), data_dir=small_disk, store_extra="reserve_mb = 0\nballast_mb = 8")
    )
    assert lab.broker is not None
    async with lab, school_of(lab) as school:
        await school.people(visitors=5, pupils=9)
        await school.require_exact()
        await school.operator.ready_router()
        taken = await school.operator.upload("square.nc", SQUARE)
        wanted = {"program": taken.json()["program"]["id"], "machine": "router"}
        job = (await school.operator.post("/api/jobs", wanted))["id"]
        await school.operator.post(f"/api/jobs/{job}/approve")
        await school.operator.post(f"/api/jobs/{job}/start", {"area_clear": True})
        await school.operator.until_machine("router", "it cuts", lambda m: (m["progress"] or 0) > 0.05)
        await lab.broker.kill()
        filler = await asyncio.to_thread(fill, small_disk)
        await school.operator.post("/api/machines/router/hold")
        await school.operator.until_machine("router", "it holds", lambda m: m["execution"] == "FEED_HOLD")
        session, refusal = await tap_until_refused(school)
        assert refusal["code"] == "disk"
        assert "the disk is full" in refusal["why"]
        assert "Nothing was counted." in refusal["remedy"]
        upload = await school.operator.upload("big.nc", b"G21 G90\n" + b"G1 X1 Y1 F500\nG1 X2 Y2\n" * 20_000)
        assert upload.status_code == 503, upload.text
        assert "disk" in upload.json()["error"]["why"] or "space" in upload.json()["error"]["why"]
        await school.operator.post("/api/machines/router/stop")
        await school.operator.until_machine("router", "it stands", lambda m: m["execution"] == "READY")
        assert (await lab.router_truth())["moving"] is False
        # What waits can still be sent: the ballast is room for that alone.
        await lab.broker.start()
        await school.until_sync("the backlog goes out", "drained")
        await asyncio.to_thread(os.remove, filler)
        ended = await school.operator.watch_job(job)
        assert (ended["state"], ended["reason"]) == ("ABORTED", "stopped by console")
        assert await school.page.tap(session) == 201
        school.tally.sessions[school.visit] += 1
        await school.people(visitors=5, pupils=2)
        await school.require_exact()
        async with Office(lab.office_url) as office:

            async def told() -> bool:
                return (await office.jobs())[job]["state"] == "ABORTED"

            await until("the office knows how the job ended", told)
        again = (await school.operator.post("/api/jobs", wanted))["id"]
        await school.operator.post(f"/api/jobs/{again}/approve")
        ended = await school.operator.run_job(again)
        assert (ended["state"], ended["reason"]) == ("FINISHED", "")


async def test_an_edge_starts_on_a_full_disk_and_can_send_what_it_has(
    tmp_path_factory: pytest.TempPathFactory, small_disk: Path
) -> None:
    lab = Laboratory(
        options(tmp_path_factory.mktemp("again"), data_dir=small_disk, store_extra="reserve_mb = 0\nballast_mb = 8")
    )
    assert lab.broker is not None
    async with lab, school_of(lab) as school:
        await school.require_exact()
        await lab.broker.kill()
        filler = await asyncio.to_thread(fill, small_disk)
        await tap_until_refused(school)
        await lab.edge.kill()
        await lab.edge.start()
        assert (await school.desk.snapshot())["visit"]["kiosk_sessions"] == school.tally.confirmed
        await lab.broker.start()
        await school.until_sync("the backlog goes out", "drained")
        await asyncio.to_thread(os.remove, filler)
        await school.people(visitors=5, pupils=2)
        await school.require_exact()
