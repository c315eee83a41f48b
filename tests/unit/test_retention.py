# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on the disk: what is given up, in which order, with which record, and that the office's watermark passes it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event, EventType, Stream
from edge.domain.ports import Cut, StreamHead
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.retention import relieve, thin_out_metrics
from edge.store.rows import ROW_OVERHEAD, Moment
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.facts import WALL_NS, session
from wire.events import BODIES

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)
S = 1_000_000_000


def reading(number: int, every_s: float = 10.0) -> Event:
    """Return one of many readings of a machine that runs."""
    at = round(number * every_s * S)
    body = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE", "feed": 600.0}
    return Event(EventType.MACHINE_STATE, body, at, WALL_NS + at)


def job(number: int) -> Event:
    """Return a job's change."""
    body = {"job": f"job-{number}", "state": "RUNNING"}
    return Event(EventType.JOB_CHANGED, body, number * S, WALL_NS)


class Record:
    """A database with its store, its outbox and what a test asks of them."""

    def __init__(self, path: Path, settings: StoreSettings = SETTINGS, boot: str = "boot-1") -> None:
        self.database = Database.open(path, settings, boot)
        self.store, self.outbox = SqliteStore(self.database), SqliteOutbox(self.database)

    @property
    def now(self) -> Moment:
        return Moment(self.database.epoch_id, 77_000_000_000, WALL_NS)

    async def thin_out(self) -> bool:
        return await self.database.writer.write(lambda c: thin_out_metrics(c, self.now), durable=True)

    async def relieve(self) -> bool:
        return await self.database.writer.write(lambda c: relieve(c, self.now), durable=True)

    async def facts(self, stream: Stream, kind: EventType) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for head in await self.outbox.heads():
            if head.stream is stream:
                read = await self.outbox.read(stream, head.epoch, 0, 100_000)
                found += [dict(item.body) for item in read if item.type == kind.value]
        for body in found:
            BODIES[kind.value].model_validate(body)
        return found

    async def head(self, stream: Stream, epoch: str = "") -> StreamHead | None:
        heads = await self.outbox.heads()
        return next((h for h in heads if h.stream is stream and h.epoch == (epoch or self.store.epoch)), None)

    async def send(self, stream: Stream, epoch: str, s0: int, n: int) -> None:
        await self.outbox.keep_cut(stream, epoch, Cut(s0, n, None, bytes(32)))

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    opened = Record(tmp_path / "lab.db")
    yield opened
    opened.close()


async def test_readings_become_minutes_and_the_record_says_which(record: Record) -> None:
    await record.store.append([reading(n) for n in range(120)])
    assert await record.thin_out()
    assert await record.facts(Stream.SAFETY, EventType.STREAM_GAP) == [
        {
            "stream": "metrics",
            "epoch": record.store.epoch,
            "first": 1,
            "last": 120,
            "reason": "rolled_up",
            "began_boot_us": 0,
            "ended_boot_us": 1_190_000_000,
        }
    ]
    minutes = await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP)
    assert [body["began_boot_us"] for body in minutes] == [n * 60_000_000 for n in range(20)]
    assert sum(body["samples"] for body in minutes) == 120
    assert {body["boot"] for body in minutes} == {"boot-1"}
    assert await record.outbox.gaps(Stream.METRICS, record.store.epoch) == [(1, 120)]
    head = await record.head(Stream.METRICS)
    assert head is not None
    assert (head.watermark, head.last_seq) == (0, 140)


async def test_minutes_become_hours_and_hours_are_dropped_and_counted(record: Record) -> None:
    await record.store.append([reading(n) for n in range(1080)])
    assert await record.thin_out()
    assert await record.thin_out()
    hours = await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP)
    assert [(body["period_s"], body["samples"], body["active_s"]) for body in hours] == [
        (3600, 360, 3600.0),
        (3600, 360, 3600.0),
        (3600, 360, 3590.0),
    ]
    assert await record.thin_out()
    assert await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP) == []
    assert (await record.store.room()).metrics_dropped == 3
    assert not await record.thin_out()
    reasons = [body["reason"] for body in await record.facts(Stream.SAFETY, EventType.STREAM_GAP)]
    assert reasons == ["rolled_up", "rolled_up", "quota"]
    assert await record.outbox.gaps(Stream.METRICS, record.store.epoch) == [(1, 1080 + 180 + 3)]


async def test_rare_readings_become_hours_at_once_and_rarer_ones_are_dropped(record: Record) -> None:
    await record.store.append([reading(n, every_s=300) for n in range(24)])
    await record.thin_out()
    assert [body["period_s"] for body in await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP)] == [3600] * 2
    await record.thin_out()
    await record.store.append([reading(n, every_s=7_200) for n in range(4)])
    await record.thin_out()
    assert await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP) == []
    assert (await record.store.room()).metrics_dropped == 6


async def test_what_was_cut_is_left_alone_and_a_cut_over_a_gap_is_refused(record: Record) -> None:
    epoch = record.store.epoch
    await record.store.append([reading(n) for n in range(100)])
    await record.send(Stream.METRICS, epoch, 1, 40)
    assert await record.thin_out()
    assert await record.outbox.gaps(Stream.METRICS, epoch) == [(41, 100)]
    assert len(await record.outbox.read(Stream.METRICS, epoch, 0, 40)) == 40
    with pytest.raises(StoreUnavailable, match="dropped meanwhile"):
        await record.send(Stream.METRICS, epoch, 41, 10)
    with pytest.raises(StoreUnavailable, match="not known"):
        await record.send(Stream.METRICS, "another", 1, 1)
    await record.send(Stream.METRICS, epoch, 101, 11)
    assert not await record.thin_out()
    # The office has the first batch, and knows of the gap: all goes, but the hash of the newest batch stays.
    assert await record.outbox.acknowledge(Stream.METRICS, epoch, 39) == 0
    assert await record.outbox.acknowledge(Stream.METRICS, epoch, 40) == 40
    assert await record.outbox.acknowledge(Stream.METRICS, epoch, 70) == 70
    assert await record.outbox.gaps(Stream.METRICS, epoch) == [(71, 100)]
    assert await record.outbox.acknowledge(Stream.METRICS, epoch, 105) == 100
    assert [cut.s0 for cut in await record.outbox.cuts(Stream.METRICS, epoch)] == [1, 101]
    assert await record.outbox.acknowledge(Stream.METRICS, epoch, 111) == 111
    assert [cut.s0 for cut in await record.outbox.cuts(Stream.METRICS, epoch)] == [101]
    assert await record.outbox.gaps(Stream.METRICS, epoch) == []


async def test_a_gap_at_the_end_of_a_closed_epoch_is_passed_when_its_record_has_arrived(tmp_path: Path) -> None:
    first = Record(tmp_path / "lab.db")
    await first.store.append([reading(n) for n in range(100)])
    old = first.store.epoch
    first.close()
    record = Record(tmp_path / "lab.db", boot="boot-2")
    await record.send(Stream.METRICS, old, 1, 20)
    assert await record.thin_out()
    assert {body["boot"] for body in await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP)} == {"boot-1"}
    await record.send(Stream.SAFETY, record.store.epoch, 1, 1)
    assert await record.outbox.acknowledge(Stream.SAFETY, record.store.epoch, 1) == 1
    waiting = await record.head(Stream.METRICS, old)
    assert waiting is not None
    assert waiting.watermark == 0
    assert await record.outbox.acknowledge(Stream.METRICS, old, 20) == 100
    assert await record.head(Stream.METRICS, old) is None
    # The other way round: first what came before the gap, then the record.
    await record.thin_out()
    await record.outbox.acknowledge(Stream.METRICS, record.store.epoch, 0)
    head = await record.head(Stream.METRICS)
    assert head is not None
    assert (head.watermark, head.waiting) == (0, 15)
    await record.send(Stream.SAFETY, record.store.epoch, 2, 1)
    await record.outbox.acknowledge(Stream.SAFETY, record.store.epoch, 2)
    head = await record.head(Stream.METRICS)
    assert head is not None
    assert (head.watermark, head.waiting) == (14, 1)
    record.close()


async def test_jobs_go_where_there_are_no_metrics_left_and_visits_never(record: Record) -> None:
    await record.store.append([session(1), job(1), job(2), *(reading(n) for n in range(12))])
    await record.send(Stream.JOBS, record.store.epoch, 1, 1)
    while await record.thin_out():
        pass
    assert await record.relieve()
    assert not await record.relieve()
    assert await record.outbox.gaps(Stream.JOBS, record.store.epoch) == [(2, 2)]
    assert (await record.facts(Stream.SAFETY, EventType.STREAM_GAP))[-1]["reason"] == "quota"
    assert len(await record.outbox.read(Stream.VISITS, record.store.epoch, 0, 10)) == 1


async def test_jobs_over_their_quota_push_the_oldest_out_with_a_record(tmp_path: Path) -> None:
    settings = StoreSettings(jobs_quota_mb=1, reserve_mb=0, ballast_mb=0)
    record = Record(tmp_path / "lab.db", settings)
    long = {"job": "j", "state": "RUNNING", "reason": "x" * 900}
    changes = [Event(EventType.JOB_CHANGED, long, number, WALL_NS) for number in range(500)]
    for _ in range(6):
        assert len(await record.store.append([session(1), *changes])) == 501
    room = (await record.store.room()).bytes
    assert 0 < room[Stream.JOBS] < 1_600_000
    gaps = await record.outbox.gaps(Stream.JOBS, record.store.epoch)
    assert (gaps[0][0], gaps[-1][1]) == (1, 2_000)
    told = await record.facts(Stream.SAFETY, EventType.STREAM_GAP)
    assert {(body["stream"], body["reason"]) for body in told} == {("jobs", "quota")}
    head = await record.head(Stream.JOBS)
    assert head is not None
    assert head.last_seq == 3_000
    await record.send(Stream.JOBS, record.store.epoch, 2_001, 1_000)
    for _ in range(2):
        assert len(await record.store.append(changes)) == 500
    assert await record.outbox.gaps(Stream.JOBS, record.store.epoch) != gaps
    assert [item.seq for item in await record.outbox.read(Stream.JOBS, record.store.epoch, 2_000, 1)] == [2_001]
    assert len(await record.outbox.read(Stream.VISITS, record.store.epoch, 0, 100)) == 6
    record.close()


async def test_a_damaged_body_does_not_stop_the_thinning_out(record: Record) -> None:
    await record.store.append([*(job(n) for n in range(3)), *(reading(n) for n in range(3))])
    for stream, text in (("jobs", "{"), ("metrics", "[1]")):
        change = "UPDATE fact SET body = ? WHERE stream = ? AND seq = 2"
        await record.database.writer.write(lambda c, v=(text, stream), q=change: c.execute(q, v), durable=True)
    while await record.relieve():
        pass
    assert await record.outbox.gaps(Stream.JOBS, record.store.epoch) == [(1, 3)]
    assert await record.outbox.read(Stream.METRICS, record.store.epoch, 0, 10) == []


async def test_a_metric_of_a_later_version_is_dropped_and_not_rolled_up(record: Record) -> None:
    await record.store.append([reading(n) for n in range(20)])
    change = "UPDATE fact SET type = 'machine.mood' WHERE stream = 'metrics' AND seq BETWEEN 11 AND 15"
    await record.database.writer.write(lambda c: c.execute(change), durable=True)
    while await record.thin_out():
        pass
    told = [
        (body["first"], body["last"], body["reason"])
        for body in await record.facts(Stream.SAFETY, EventType.STREAM_GAP)
    ]
    assert told[:3] == [(1, 10, "rolled_up"), (11, 15, "quota"), (16, 22, "rolled_up")]


async def test_a_small_quota_keeps_taking_metrics_and_the_samples_add_up(tmp_path: Path) -> None:
    record = Record(tmp_path / "lab.db", StoreSettings(metrics_quota_mb=0.2, reserve_mb=0, ballast_mb=0))
    for start in range(0, 3_000, 10):
        assert len(await record.store.append([reading(n) for n in range(start, start + 10)])) == 10
    room = await record.store.room()
    assert room.bytes[Stream.METRICS] < 200_000 + 10 * 300
    rolled = await record.facts(Stream.METRICS, EventType.MACHINE_ROLLUP)
    raw = await record.facts(Stream.METRICS, EventType.MACHINE_STATE)
    assert room.metrics_dropped == 0
    assert sum(body["samples"] for body in rolled) + len(raw) == 3_000
    record.close()


def consistent(path: Path) -> None:
    """Require that each seq above a watermark is a fact or in a gap, that cuts are whole, and that room is right."""
    connection = sqlite3.connect(path)
    for epoch, stream, last, watermark, size in connection.execute(
        "SELECT epoch, stream, last_seq, watermark, bytes FROM head"
    ).fetchall():
        place = (epoch, stream)
        facts = connection.execute("SELECT seq, body FROM fact WHERE epoch = ? AND stream = ?", place).fetchall()
        numbers = [seq for seq, _ in facts]
        for first, end in connection.execute("SELECT first, last FROM gap WHERE epoch = ? AND stream = ?", place):
            numbers += range(first, end + 1)
        assert sorted(numbers) == list(range(watermark + 1, last + 1))
        present = {seq for seq, _ in facts}
        for s0, n in connection.execute("SELECT s0, n FROM cut WHERE epoch = ? AND stream = ?", place):
            assert s0 + n - 1 <= watermark or set(range(s0, s0 + n)) <= present
        assert size == sum(len(body.encode()) + ROW_OVERHEAD for _, body in facts)
    connection.close()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_cut_acknowledged_and_given_up_every_fact_is_accounted_for(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "lab.db"
    record, clock = Record(path), 0
    for step in range(150):
        match rng.randrange(7):
            case 0 | 1:
                count = rng.choice([1, 7, 60])
                await record.store.append([reading(clock + n) for n in range(count)])
                clock += count
            case 2:
                await record.store.append([session(clock), job(clock)])
            case 3 | 4:
                await next_batch(record, rng)
            case 5:
                await record.relieve()
            case 6 if rng.random() < 0.2:
                record.close()
                record = Record(path, boot=f"boot-{step}")
    consistent(path)
    while any(head.waiting for head in await record.outbox.heads()):
        await next_batch(record, rng, everything=True)
    consistent(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM fact").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM gap").fetchone() == (0,)
    connection.close()
    assert all(size == 0 for size in (await record.store.room()).bytes.values())
    record.close()


async def next_batch(record: Record, rng: random.Random, *, everything: bool = False) -> None:
    """Cut the next facts of each stream as a relay would, and acknowledge all or some of it, as an office would."""
    for head in await record.outbox.heads():
        cuts = await record.outbox.cuts(head.stream, head.epoch)
        after = max([head.watermark, *(cut.last for cut in cuts)])
        facts = await record.outbox.read(head.stream, head.epoch, after, rng.choice([5, 50]))
        run = [fact.seq for index, fact in enumerate(facts) if fact.seq == facts[0].seq + index]
        if run:
            await record.send(head.stream, head.epoch, run[0], len(run))
        if everything or rng.random() < 0.5:
            reached = run[-1] if run else after
            await record.outbox.acknowledge(head.stream, head.epoch, reached)


async def test_an_older_database_is_brought_up_to_date_with_the_room_that_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    record = Record(path)
    await record.store.append([session(1), reading(1), reading(2)])
    record.close()
    with sqlite3.connect(path) as connection:
        for column, table in (
            ("bytes", "head"),
            ("metrics_dropped", "epoch"),
            ("record_epoch", "gap"),
            ("record_seq", "gap"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        for table in ("install", "salvage"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("CREATE TABLE metrics_room (id INTEGER PRIMARY KEY, bytes INTEGER)")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm004_install'")
        sizes = [
            len(body) + ROW_OVERHEAD for (body,) in connection.execute("SELECT body FROM fact WHERE stream = 'metrics'")
        ]
    connection.close()
    record = Record(path)
    assert (await record.store.room()).bytes[Stream.METRICS] == sum(sizes)
    assert len(record.database.install) == 32
    record.close()
