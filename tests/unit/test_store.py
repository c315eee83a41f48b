# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts, counters and working state on disk: identities without gaps, groups that commit whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge.domain.errors import FactDamaged, StoreUnavailable
from edge.domain.events import Event, EventType, Stream
from edge.domain.ports import Cut, EventStore, Outbox
from edge.store import outbox as outbox_module
from edge.store.ballast import Ballast
from edge.store.database import REMEMBERED_EPOCHS, Database
from edge.store.outbox import ANNOUNCED_EPOCHS, SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import MAX_BODY, REACHED, SqliteStore
from tests.support.facts import headcount, metric, session
from wire.events import REACHED_ROLES

SETTINGS = StoreSettings(reserve_mb=0, busy_timeout_ms=50)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> EventStore:
    return SqliteStore(database)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return SqliteOutbox(database)


def test_settings_refuse_unknown_keys_and_place_the_file_in_the_data_directory(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        StoreSettings.model_validate({"qouta_mb": 1})
    assert StoreSettings().database(tmp_path) == tmp_path / "infomobil.db"
    assert StoreSettings(path=tmp_path / "x.db").database(Path("/data")) == tmp_path / "x.db"


def test_the_roles_that_count_are_those_of_the_wire() -> None:
    assert set(REACHED_ROLES) == REACHED


async def test_each_stream_has_its_own_gapless_sequence(store: EventStore, outbox: Outbox) -> None:
    stored = await store.append([session(1), metric(1), headcount(25), metric(2)])
    assert [(item.event.stream, item.seq) for item in stored] == [
        (Stream.VISITS, 1),
        (Stream.METRICS, 1),
        (Stream.VISITS, 2),
        (Stream.METRICS, 2),
    ]
    assert {item.epoch for item in stored} == {store.epoch}
    assert (await store.append([session(2)]))[0].seq == 3
    read = await outbox.read(Stream.VISITS, store.epoch, 0, 10)
    assert [(item.seq, item.type, item.body, item.boot_ns, item.wall_ns) for item in read] == [
        (seq, event.type.value, event.body, event.boot_ns, event.wall_ns)
        for seq, event in enumerate((session(1), headcount(25), session(2)), start=1)
    ]
    assert await outbox.read(Stream.VISITS, store.epoch, 1, 1) == [read[1]]


async def test_many_writers_at_once_get_distinct_numbers(store: EventStore) -> None:
    answers = await asyncio.gather(*(store.append([session(i), session(i)]) for i in range(200)))
    numbers = sorted(item.seq for answer in answers for item in answer)
    assert numbers == list(range(1, 401))
    assert all(answer[1].seq == answer[0].seq + 1 for answer in answers)


async def test_totals_count_pupils_and_teachers_and_take_corrections_apart(store: EventStore, outbox: Outbox) -> None:
    await store.append([headcount(25), headcount(2, "teacher"), headcount(3, "vet_trainer"), session(1)])
    await store.append([headcount(-4, reason="two left"), headcount(-1, "trainee"), headcount(0)])
    assert await outbox.totals() == {store.epoch: {"people": 27, "corrected": 4, "sessions": 1}}


async def test_working_state_is_saved_removed_and_found_by_prefix(store: EventStore) -> None:
    assert await store.append([], {"visit": "{}", "session:a": "1", "session:b": "2"}) == []
    assert await store.load("session:") == {"session:a": "1", "session:b": "2"}
    await store.append([session(1)], {"session:a": None, "visit": '{"x":1}'})
    assert await store.load("") == {"session:b": "2", "visit": '{"x":1}'}
    assert await store.append([]) == []


async def test_state_and_totals_survive_and_the_epoch_does_not(tmp_path: Path) -> None:
    first = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    await SqliteStore(first).append([headcount(25), session(1)], {"visit": "1"})
    first.close()
    second = Database.open(tmp_path / "lab.db", SETTINGS, "boot-2")
    store, outbox = SqliteStore(second), SqliteOutbox(second)
    assert second.epoch != first.epoch
    assert await store.load("visit") == {"visit": "1"}
    assert (await store.append([session(2)]))[0].seq == 1
    assert await outbox.closed_epochs() == {first.epoch: {"visits": 2}}
    assert await outbox.totals() == {
        first.epoch: {"people": 25, "corrected": 0, "sessions": 1},
        second.epoch: {"people": 0, "corrected": 0, "sessions": 1},
    }
    assert [(head.epoch, head.boot, head.waiting) for head in await outbox.heads()] == [
        (first.epoch, "boot-1", 2),
        (second.epoch, "boot-2", 1),
    ]
    second.close()


def test_a_file_keeps_its_name_and_numbers_its_epochs(tmp_path: Path) -> None:
    opened = []
    for boot in ("boot-1", "boot-2"):
        database = Database.open(tmp_path / "lab.db", SETTINGS, boot)
        database.close()
        opened.append(database)
    first, second = opened
    other = Database.open(tmp_path / "other.db", SETTINGS, "boot-2")
    other.close()
    assert (first.ordinal, first.previous_epoch) == (1, None)
    assert (second.ordinal, second.previous_epoch) == (2, first.epoch)
    assert first.install == second.install != other.install
    assert len(first.install) == 32


@pytest.mark.parametrize(
    "event",
    [
        Event(EventType.MACHINE_STATE, {"x": float("nan")}, 1, 1),
        Event(EventType.MACHINE_STATE, {"x": "\ud800"}, 1, 1),
        Event(EventType.MACHINE_STATE, {"x": "a" * MAX_BODY}, 1, 1),
        Event(EventType.MACHINE_STATE, {}, 2**63, 1),
        Event(EventType.HEADCOUNT, {"role": "pupil", "count": 2.5}, 1, 1),
    ],
)
async def test_a_fact_that_could_never_be_sent_is_refused_at_once(
    store: EventStore, outbox: Outbox, event: Event
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await store.append([session(1), event])
    assert await outbox.heads() == []
    assert (await store.append([session(1)]))[0].seq == 1


async def test_a_value_that_sqlite_cannot_hold_harms_its_own_caller_only(store: EventStore, outbox: Outbox) -> None:
    good, bad, read = await asyncio.gather(
        store.append([session(1)]),
        outbox.acknowledge(Stream.VISITS, "\ud800", 1),
        outbox.read(Stream.VISITS, "\ud800", 0, 1),
        return_exceptions=True,
    )
    assert isinstance(bad, UnicodeEncodeError)
    assert isinstance(read, UnicodeEncodeError)
    assert isinstance(good, list)
    assert (await store.append([session(2)]))[0].seq == 2


async def cut(outbox: Outbox, epoch: str, s0: int, n: int, stream: Stream = Stream.VISITS) -> Cut:
    kept = Cut(s0, n, bytes([s0]) * 32 if s0 > 1 else None, bytes([s0 + n]) * 32)
    await outbox.keep_cut(stream, epoch, kept)
    return kept


async def test_acknowledgements_prune_whole_batches_and_never_more_than_was_sent(
    store: EventStore, outbox: Outbox
) -> None:
    await store.append([session(i) for i in range(10)])
    first = await cut(outbox, store.epoch, 1, 4)
    second = await cut(outbox, store.epoch, 5, 3)
    assert await outbox.cuts(Stream.VISITS, store.epoch) == [first, second]
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 3) == 0
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 5) == 4
    assert [item.seq for item in await outbox.read(Stream.VISITS, store.epoch, 0, 99)] == list(range(5, 11))
    assert await outbox.cuts(Stream.VISITS, store.epoch) == [first, second]
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 2) == 4
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 1_000_000) == 7
    assert await outbox.cuts(Stream.VISITS, store.epoch) == [second]
    assert [item.seq for item in await outbox.read(Stream.VISITS, store.epoch, 0, 99)] == [8, 9, 10]
    assert await outbox.acknowledge(Stream.VISITS, "unknown", 5) is None
    assert (await store.append([session(11)]))[0].seq == 11


async def test_a_cut_is_never_moved(store: EventStore, outbox: Outbox) -> None:
    await store.append([session(i) for i in range(10)])
    await cut(outbox, store.epoch, 1, 4)
    with pytest.raises(StoreUnavailable):
        await cut(outbox, store.epoch, 1, 5)


async def test_heads_stand_by_priority_and_age(tmp_path: Path) -> None:
    epochs = []
    for number in range(2):
        database = Database.open(tmp_path / "lab.db", SETTINGS, "boot")
        await SqliteStore(database).append([metric(number), session(number)])
        epochs.append(database.epoch)
        outbox = SqliteOutbox(database)
        if number == 1:
            assert [(head.stream, head.epoch) for head in await outbox.heads()] == [
                (Stream.VISITS, epochs[0]),
                (Stream.VISITS, epochs[1]),
                (Stream.METRICS, epochs[0]),
                (Stream.METRICS, epochs[1]),
            ]
        database.close()


async def test_metrics_over_their_quota_are_refused_where_all_others_are_on_their_way(tmp_path: Path) -> None:
    settings = StoreSettings(metrics_quota_mb=0.001, reserve_mb=0)
    database = Database.open(tmp_path / "lab.db", settings, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    stored = await store.append([metric(i) for i in range(10)])
    assert len(stored) == 10
    await cut(outbox, store.epoch, 1, 10, Stream.METRICS)
    mixed = await store.append([metric(20), session(1), metric(21)])
    assert [item.event for item in mixed] == [session(1)]
    assert await store.metrics_refused() == (await store.room()).metrics_dropped == 2
    await outbox.acknowledge(Stream.METRICS, store.epoch, 10)
    assert (await store.room()).bytes[Stream.METRICS] == 0
    assert (await store.append([metric(22)]))[0].seq == 11
    database.close()


async def test_metrics_leave_the_reserve_of_the_disk_alone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", StoreSettings(reserve_mb=100_000), "boot-1")
    store = SqliteStore(database)
    assert [item.event for item in await store.append([metric(1), session(1)])] == [session(1)]
    assert await store.metrics_refused() == 1
    database.close()


async def test_presence_stays_small_after_many_starts(tmp_path: Path) -> None:
    epochs = []
    for number in range(REMEMBERED_EPOCHS + 20):
        database = Database.open(tmp_path / "lab.db", SETTINGS, "boot")
        store, outbox = SqliteStore(database), SqliteOutbox(database)
        await store.append([session(number)])
        if number != 3:
            await cut(outbox, store.epoch, 1, 1)
            await outbox.acknowledge(Stream.VISITS, store.epoch, 1)
        epochs.append(store.epoch)
        closed, totals = await outbox.closed_epochs(), await outbox.totals()
        database.close()
    assert set(closed) == {epochs[3], *epochs[-ANNOUNCED_EPOCHS - 1 : -1]}
    assert set(totals) == {*closed, epochs[-1]}
    with sqlite3.connect(tmp_path / "lab.db") as connection:
        known = connection.execute("SELECT count(*) FROM epoch").fetchone()[0]
    connection.close()
    assert known == REMEMBERED_EPOCHS + 2


async def test_after_closing_nothing_is_taken_and_nothing_hangs(database: Database, store: EventStore) -> None:
    waiting = asyncio.create_task(store.append([session(1)]))
    await asyncio.sleep(0)
    database.close()
    assert (await waiting)[0].seq == 1
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.append([session(2)])


async def test_a_cancelled_caller_neither_stops_the_writer_nor_takes_its_fact_back(
    store: EventStore, outbox: Outbox
) -> None:
    caller = asyncio.create_task(store.append([session(1)]))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (await store.append([session(2)]))[0].seq == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_of_our_own_in_the_writer_is_heard_by_everybody_who_waits(database: Database) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        raise LookupError

    first, second = await asyncio.gather(
        database.writer.write(broken, durable=True),
        database.writer.read(lambda connection: 1),
        return_exceptions=True,
    )
    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, StoreUnavailable | int)
    with pytest.raises(StoreUnavailable):
        await database.writer.read(lambda connection: 1)


async def test_a_fact_of_a_later_version_waits_as_it_is(database: Database, store: EventStore, outbox: Outbox) -> None:
    await store.append([session(1)])
    await database.writer.write(lambda c: c.execute("UPDATE fact SET type = 'tour.started'"), durable=True)
    (fact,) = await outbox.read(Stream.VISITS, store.epoch, 0, 10)
    assert (fact.type, fact.body) == ("tour.started", session(1).body)


@pytest.mark.parametrize(
    "spoilt",
    [
        """body = '{"cut'""",
        "body = '5'",
        """body = '{"x":NaN}'""",
        """body = CAST(x'7b2261223a22ff227d' AS TEXT)""",
        "type = CAST(x'ff' AS TEXT)",
    ],
)
async def test_a_damaged_fact_is_named_and_the_others_are_read(
    database: Database, store: EventStore, outbox: Outbox, spoilt: str
) -> None:
    await store.append([session(1), session(2), session(3), metric(1)])
    await database.writer.write(lambda c: c.execute(f"UPDATE fact SET {spoilt} WHERE seq = 2"), durable=True)
    with pytest.raises(FactDamaged) as caught:
        await outbox.read(Stream.VISITS, store.epoch, 0, 10)
    assert caught.value.facts == {"seq": 2, "stream": Stream.VISITS, "epoch": store.epoch}
    assert [fact.seq for fact in await outbox.read(Stream.VISITS, store.epoch, 2, 10)] == [3]
    assert len(await outbox.read(Stream.METRICS, store.epoch, 0, 10)) == 1


async def test_what_another_copy_of_the_card_has_lost_is_kept_where_it_is_not(
    store: EventStore, outbox: Outbox
) -> None:
    await store.append([session(i) for i in range(1, 16)])
    for s0 in (1, 6, 11):
        await cut(outbox, store.epoch, s0, 5)
    # The office holds none of 7 to 9 and of 12: it says so, and passes them.
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 15, [(7, 9), (12, 12)]) == 5
    assert [fact.seq for fact in await outbox.read(Stream.VISITS, store.epoch, 0, 99)] == list(range(6, 16))
    # It holds them by now; those below the watermark are gone here, too, and explain nothing.
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 10, [(1, 3)]) == 10
    assert await outbox.acknowledge(Stream.VISITS, store.epoch, 15, [(1, 3), (16, 20)]) == 15
    assert await outbox.read(Stream.VISITS, store.epoch, 0, 99) == []


async def test_heads_can_be_asked_of_one_epoch(tmp_path: Path) -> None:
    epochs = []
    for number in range(3):
        database = Database.open(tmp_path / "lab.db", SETTINGS, "boot")
        store, outbox = SqliteStore(database), SqliteOutbox(database)
        await store.append([session(number), metric(number)])
        epochs.append(store.epoch)
        everything = await outbox.heads()
        for epoch in epochs:
            assert await outbox.heads(epoch) == [head for head in everything if head.epoch == epoch] != []
        assert await outbox.heads("unknown") == []
        await cut(outbox, store.epoch, 1, 1)
        await outbox.acknowledge(Stream.VISITS, store.epoch, 1)
        database.close()


async def test_of_many_waiting_epochs_presence_names_the_oldest_and_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "MOST_ANNOUNCED", 4)
    epochs = []
    for number in range(20):
        database = Database.open(tmp_path / "lab.db", SETTINGS, "boot")
        store, outbox = SqliteStore(database), SqliteOutbox(database)
        await store.append([session(number)])
        epochs.append(store.epoch)
        if number < 19:
            database.close()
    try:
        assert set(await outbox.closed_epochs()) == {*epochs[:4], *epochs[-ANNOUNCED_EPOCHS - 1 : -1]}
        await cut(outbox, epochs[0], 1, 1)
        await outbox.acknowledge(Stream.VISITS, epochs[0], 1)
        assert set(await outbox.totals()) == {*epochs[1:5], *epochs[-ANNOUNCED_EPOCHS - 1 :]}
    finally:
        database.close()


async def test_an_acknowledgement_costs_the_same_however_many_batches_wait(
    database: Database, store: EventStore, outbox: Outbox
) -> None:
    steps: dict[int, int] = {}
    done = 0
    for batches in (40, 4_000):
        await store.append([session(number) for number in range(batches - done)])
        await database.writer.write(partial(_cut_singly, store.epoch, done, batches), durable=False)
        done, steps[batches] = batches, 0

        def count(batches: int = batches) -> int:
            steps[batches] += 1
            return 0

        await database.writer.read(lambda c, count=count: c.set_progress_handler(count, 10))
        assert await outbox.acknowledge(Stream.VISITS, store.epoch, len(steps)) == len(steps)
        await database.writer.read(lambda c: c.set_progress_handler(None, 0))
    assert steps[4_000] <= 2 * steps[40]


def _cut_singly(epoch: str, first: int, last: int, connection: sqlite3.Connection) -> None:
    rows = [(seq, epoch) for seq in range(first + 1, last + 1)]
    connection.executemany("INSERT INTO cut SELECT id, 'visits', ?, 1, NULL, x'00' FROM epoch WHERE name = ?", rows)


async def test_a_disk_that_does_not_answer_refuses_metrics_and_the_writer_lives(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr("shutil.disk_usage", broken)
    assert await store.append([metric(1)]) == []
    monkeypatch.undo()
    assert len(await store.append([metric(1)])) == 1


def test_ballast_is_taken_where_there_is_room_and_let_go(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "lab.db", 100_000)
    assert ballast.restore()
    assert ballast.in_place
    assert ballast.restore()
    assert (tmp_path / "lab.db.ballast").stat().st_size == 100_000
    ballast.release()
    ballast.release()
    assert not ballast.in_place
    assert not Ballast(tmp_path / "lab.db", 0).restore()
    assert not Ballast(tmp_path / "none" / "lab.db", 100_000).restore()
    assert not Ballast(tmp_path / "lab.db", 2**60).restore()
    assert list(tmp_path.iterdir()) == []
