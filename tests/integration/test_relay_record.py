# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay beside a record that is renewed, damaged and put right under it, and beside one of very many epochs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge.domain.air import Outgoing
from edge.domain.events import Event, Stream
from edge.domain.ports import Cut, StreamHead, WaitingFact
from edge.store import outbox as outbox_module
from edge.store.database import Database
from edge.store.keeper import RecordKeeper
from edge.store.outbox import SqliteOutbox
from edge.store.rows import Moment, Span, drop
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.presence import word_of
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity
from tests.support.air import OFFICE_NS, eventually
from tests.support.facts import FixedClock, headcount, metric, session
from wire import topics
from wire.batch import Ack, Batch, Presence
from wire.codec import decode_batch, decode_presence, encode_ack, encode_presence

LAB = "lab-1"
SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)


@dataclass
class Line:
    """Stands for a connected publisher with an office at its end. `lost` swallows batches."""

    lost: Callable[[Batch], bool] = lambda batch: False
    connected: bool = True
    window: int = 20
    last_error: str = ""
    batches: list[Batch] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    facts: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    given_up: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def listen(self, on_link: Callable[[bool], None], on_message: Callable[[str, bytes], None]) -> None:
        self._say, self._on_link = on_message, on_link

    def come_up(self) -> None:
        """Be connected from now on."""
        self.connected = True
        self._on_link(True)

    def fits(self, message: Outgoing) -> bool:
        return True

    def publish(self, message: Outgoing) -> None:
        topic = topics.parse(message.topic)
        assert topic is not None
        if topic.channel == "presence":
            self.presences.append(decode_presence(LAB, message.payload))
            return
        batch, _ = decode_batch(LAB, topic.name, message.payload)
        self.batches.append(batch)
        if self.lost(batch):
            return
        self.facts.setdefault((batch.stream, batch.epoch), set()).update(range(batch.s0, batch.last + 1))
        for event in batch.events:
            if event.type == "stream.gap":
                told = range(int(event.body["first"] or 0), int(event.body["last"] or 0) + 1)
                feed = (str(event.body["stream"]), str(event.body["epoch"]))
                self.given_up.setdefault(feed, set()).update(told)
                self.acknowledge(*feed)
        self.acknowledge(batch.stream, batch.epoch)

    def acknowledge(self, stream: str, epoch: str) -> None:
        """Say what the office has, and what it passes without having it."""
        have, gone = self.facts.get((stream, epoch), set()), self.given_up.get((stream, epoch), set())
        watermark = 0
        while watermark + 1 in have | gone:
            watermark += 1
        explained = tuple((seq, seq) for seq in sorted(gone - have) if seq <= watermark)
        ack = Ack(stream, epoch, watermark, (), OFFICE_NS, explained)
        asyncio.get_running_loop().call_soon(self._say, topics.ack(LAB, stream), encode_ack(ack))


class Keeper(RecordKeeper):
    """Counts how often it has looked."""

    looks = 0

    async def look(self) -> None:
        await super().look()
        self.looks += 1


@dataclass
class Card:
    """A database with a relay on it."""

    database: Database
    line: Line
    outbox: SqliteOutbox
    relay: OutboxRelay
    keeper: Keeper

    async def count(self, *events: Event) -> None:
        await SqliteStore(self.database).append(events)
        self.relay.notify()

    @property
    def waiting(self) -> int:
        return sum(self.relay.status().waiting.values())

    @property
    def drained(self) -> bool:
        """Return whether nothing waits; known once the relay has greeted the office."""
        return bool(self.line.presences) and self.waiting == 0


def identity(database: Database) -> LabIdentity:
    return LabIdentity(LAB, "boot-1", database.epoch, "0.1.0", "c0ffee")


@asynccontextmanager
async def card(
    path: Path, line: Line, outbox: Callable[[Database], SqliteOutbox] = SqliteOutbox, **changes: object
) -> AsyncIterator[Card]:
    """Run a relay on the database at `path`, with a keeper that it reports to."""
    settings = {"host": "x", "resend_min_s": 0.1, "metrics_linger_s": 0.0, "batches_per_s": 10_000.0, **changes}
    database = Database.open(path, SETTINGS, "boot-1")
    clock, box = FixedClock(), outbox(database)
    relay = OutboxRelay(box, line, clock, identity(database), SyncSettings.model_validate(settings))

    async def renewed() -> None:
        raise AssertionError("nothing of the file itself is damaged")

    keeper = Keeper(database, clock, on_renewed=renewed, changed=relay.review)
    relay.report(keeper.look_soon)
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(keeper.run())]
    try:
        await eventually(lambda: keeper.looks == 1)
        yield Card(database, line, box, relay, keeper)
    finally:
        for task in tasks:
            task.cancel()
        outcome = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(database.close)
        assert all(isinstance(error, asyncio.CancelledError) for error in outcome), outcome


async def begin(path: Path, *events: Event) -> str:
    """Write one epoch and end it; return its name."""
    database = Database.open(path, SETTINGS, "boot-1")
    await SqliteStore(database).append(events)
    await asyncio.to_thread(database.close)
    return database.epoch


async def change(database: Database, statement: str) -> None:
    await database.writer.write(lambda connection: connection.execute(statement), durable=True)


@pytest.mark.parametrize("moment", range(12))
async def test_a_record_renewed_in_the_midst_of_a_step_is_taken_up_at_the_next(tmp_path: Path, moment: int) -> None:
    for number in range(3):
        await begin(tmp_path / "lab.db", session(number), metric(number))
    calls = -1_000

    class Renewing(SqliteOutbox):
        """Renews the relay at a certain call."""

        async def _tick(self) -> None:
            nonlocal calls
            await asyncio.sleep(0)
            if calls == moment:
                lab.relay.renew(replace(identity(lab.database), epoch="the next one"))
            calls += 1
            await asyncio.sleep(0)

        async def heads(self, epoch: str | None = None) -> list[StreamHead]:
            await self._tick()
            found = await super().heads(epoch)
            await self._tick()
            return found

        async def cuts(self, stream: Stream, epoch: str) -> list[Cut]:
            await self._tick()
            return await super().cuts(stream, epoch)

        async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[WaitingFact]:
            await self._tick()
            return await super().read(stream, epoch, after_seq, limit)

        async def totals(self) -> dict[str, dict[str, int]]:
            await self._tick()
            return await super().totals()

    line = Line(connected=False)
    async with card(tmp_path / "lab.db", line, Renewing) as lab:
        calls = 0
        await lab.count(headcount(25), metric(9))
        line.come_up()
        await eventually(lambda: lab.drained and line.presences[-1].epoch == "the next one")


async def test_a_damaged_fact_stops_its_own_stream_until_the_keeper_has_told_of_it(tmp_path: Path) -> None:
    old = await begin(tmp_path / "lab.db", *(session(number) for number in range(1, 8)), metric(1))
    line = Line(connected=False)
    async with card(tmp_path / "lab.db", line) as lab:
        await change(lab.database, """UPDATE fact SET body = '{"cut' WHERE stream = 'visits' AND seq = 4""")
        await lab.count(headcount(25))
        line.come_up()
        await eventually(lambda: lab.drained)
        assert lab.keeper.looks == 2
        assert line.facts["visits", lab.database.epoch] == {1}
        assert line.facts["metrics", old] == {1}
        assert line.facts["visits", old] == {1, 2, 3, 5, 6, 7}
        assert line.given_up == {("visits", old): {4}}


async def test_facts_that_vanish_are_told_and_passed_on_the_same_connection(tmp_path: Path) -> None:
    line = Line(connected=False)
    old = await begin(tmp_path / "lab.db", *(session(number) for number in range(1, 11)))
    async with card(tmp_path / "lab.db", line) as lab:
        await change(lab.database, "DELETE FROM fact WHERE stream = 'visits' AND seq IN (1, 6)")
        line.come_up()
        await eventually(lambda: lab.drained)
        assert line.facts["visits", old] == {2, 3, 4, 5, 7, 8, 9, 10}
        # Once told of, all of it is whole: nobody is asked to look again.
        assert lab.keeper.looks <= 3


async def test_a_batch_whose_facts_vanish_while_it_is_under_way_is_cut_anew(tmp_path: Path) -> None:
    line = Line(lost=lambda batch: batch.stream == "visits" and len(line.batches) < 3)
    async with card(tmp_path / "lab.db", line, resend_min_s=600.0) as lab:
        await lab.count(*(session(number) for number in range(1, 11)))
        await eventually(lambda: [batch.n for batch in line.batches] == [10])
        await change(lab.database, "DELETE FROM fact WHERE stream = 'visits' AND seq = 6")
        line.lost = lambda batch: False
        lab.keeper.look_soon()
        await eventually(lambda: lab.drained)
        assert line.facts["visits", lab.database.epoch] == {1, 2, 3, 4, 5, 7, 8, 9, 10}


async def test_a_fact_of_a_later_version_goes_out_as_it_is(tmp_path: Path) -> None:
    await begin(tmp_path / "lab.db", session(1))
    line = Line(connected=False)
    async with card(tmp_path / "lab.db", line) as lab:
        await change(lab.database, "UPDATE fact SET type = 'tour.started'")
        line.come_up()
        await eventually(lambda: lab.drained)
    (event,) = [event for batch in line.batches for event in batch.events]
    assert (event.type, event.body) == ("tour.started", session(1).body)


async def test_what_the_other_copy_of_the_card_lost_is_kept_and_sent_again(tmp_path: Path) -> None:
    line = Line(lost=lambda batch: True)
    async with card(tmp_path / "lab.db", line, resend_min_s=600.0) as lab:
        await lab.count(*(headcount(10) for _ in range(3)))
        await eventually(lambda: len(line.batches) == 1)
        # The other copy says that it lost them, and the office passes them.
        line.given_up["visits", lab.database.epoch] = {1, 2, 3}
        line.lost = lambda batch: False
        line.acknowledge("visits", lab.database.epoch)
        await eventually(lambda: lab.drained)
        assert line.facts["visits", lab.database.epoch] == {1, 2, 3}
        assert len(line.batches) == 2


async def test_a_gap_of_an_ended_epoch_is_passed_when_its_record_is_acknowledged(tmp_path: Path) -> None:
    old = await begin(tmp_path / "lab.db", *(metric(number) for number in range(1, 11)))

    class Silent(Line):
        """Does not say of the other stream that its watermark has passed the gap."""

        def acknowledge(self, stream: str, epoch: str) -> None:
            if (stream, epoch) not in self.given_up:
                super().acknowledge(stream, epoch)

    line = Silent(connected=False, lost=lambda batch: batch.stream == "safety")
    async with card(tmp_path / "lab.db", line) as lab:
        database = lab.database
        (identity_of_old,) = await database.writer.read(
            lambda connection: connection.execute("SELECT id FROM epoch WHERE name = ?", (old,)).fetchone()
        )
        span = Span(identity_of_old, old, Stream.METRICS, 6, 10)
        now = Moment(database.epoch_id, 1, 1)
        await database.writer.write(lambda connection: drop(connection, span, "quota", now), durable=True)
        lab.relay.notify()
        line.come_up()
        await eventually(lambda: line.facts.get(("metrics", old)) == {1, 2, 3, 4, 5} and lab.waiting == 6)
        line.lost = lambda batch: False
        await eventually(lambda: lab.drained)


async def test_readings_of_ended_epochs_do_not_wait_for_more(tmp_path: Path) -> None:
    ended = [await begin(tmp_path / "lab.db", metric(number)) for number in range(3)]
    line = Line(connected=False)
    async with card(tmp_path / "lab.db", line, metrics_linger_s=600.0) as lab:
        line.come_up()
        await eventually(lambda: lab.drained)
    assert [batch.epoch for batch in line.batches] == ended


async def test_a_second_answer_for_an_epoch_that_is_done_is_not_counted_as_strange(tmp_path: Path) -> None:
    old = await begin(tmp_path / "lab.db", session(1))
    line = Line()
    async with card(tmp_path / "lab.db", line) as lab:
        await eventually(lambda: lab.drained)
        line.acknowledge("visits", old)
        line.acknowledge("visits", "never heard of")
        await eventually(lambda: lab.relay.status().acks_ignored == 1)
        await lab.count(session(2))
        await eventually(lambda: len(line.batches) == 2 and lab.drained)
        assert lab.relay.status().acks_ignored == 1


def many_epochs(path: Path, number: int) -> None:
    """Add ended epochs with one fact in each stream."""
    with closing(sqlite3.connect(path)) as connection:
        for index in range(number):
            name = f"ended-{index:05}"
            (key,) = connection.execute(
                "INSERT INTO epoch (name, boot) VALUES (?, 'boot-0') RETURNING id", (name,)
            ).fetchone()
            for stream in Stream:
                connection.execute("INSERT INTO head (epoch, stream, last_seq) VALUES (?, ?, 1)", (key, stream.value))
                body = '{"visit":"v"}'
                connection.execute(
                    "INSERT INTO fact VALUES (?, ?, 1, 'visit.closed', ?, 1, 1)", (key, stream.value, body)
                )
        connection.commit()


async def test_with_many_epochs_each_acknowledgement_costs_its_own_epoch_only(tmp_path: Path) -> None:
    await begin(tmp_path / "lab.db")
    await asyncio.to_thread(many_epochs, tmp_path / "lab.db", 60)
    read: list[tuple[str | None, int]] = []

    class Counting(SqliteOutbox):
        async def heads(self, epoch: str | None = None) -> list[StreamHead]:
            found: Sequence[StreamHead] = await super().heads(epoch)
            read.append((epoch, len(found)))
            return list(found)

    line = Line()
    async with card(tmp_path / "lab.db", line, Counting) as lab:
        await eventually(lambda: lab.drained)
    assert len(line.batches) == 240
    # At the start, and no more than once for each acknowledgement.
    assert [found for epoch, found in read if epoch is None] == [240]
    assert sum(found for _, found in read) <= 240 + 240 * len(Stream)


async def test_presence_of_thousands_of_waiting_epochs_stays_small(tmp_path: Path) -> None:
    await begin(tmp_path / "lab.db")
    await asyncio.to_thread(many_epochs, tmp_path / "lab.db", 3_000)
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    try:
        outbox = SqliteOutbox(database)
        word = await word_of(identity(database), outbox, await outbox.heads(), {})
    finally:
        await asyncio.to_thread(database.close)
    assert word.waiting == 12_000
    assert len(word.closed) <= outbox_module.MOST_ANNOUNCED + outbox_module.ANNOUNCED_EPOCHS + 1
    assert len(encode_presence(word)) < 64 << 10
