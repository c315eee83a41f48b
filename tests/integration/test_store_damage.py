# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged record: set aside, a new epoch at once, and every fact that can be read keeps its identity."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event, EventType, Stream
from edge.domain.ports import Cut
from edge.store import opening, writer
from edge.store.ballast import Ballast
from edge.store.carving import PAGE
from edge.store.database import Database
from edge.store.keeper import RecordKeeper
from edge.store.naming import KEPT, recall, remember
from edge.store.opening import set_aside
from edge.store.outbox import SqliteOutbox
from edge.store.retention import thin_out_metrics
from edge.store.rows import Moment
from edge.store.salvage import unfinished
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.air import eventually
from tests.support.facts import FixedClock, headcount, metric, session

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)
STATE = {"visit": '{"school":"Kretinga"}', "session:1": "{}"}

Identity = tuple[str, str, int]


def facts_of(path: Path) -> dict[Identity, tuple[str, str, int, int]]:
    """Return the facts of a sound database by identity."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, stream, seq, type, body, boot_ns, wall_ns FROM fact JOIN epoch ON id = epoch"
        )
        return {(name, stream, seq): tuple(rest) for name, stream, seq, *rest in rows}


def gaps_of(path: Path) -> dict[Identity, str]:
    """Return each seq that a stream.gap fact names, with its reason."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT body ->> 'epoch', body ->> 'stream', body ->> 'first', body ->> 'last', body ->> 'reason'"
            " FROM fact WHERE type = 'stream.gap'"
        ).fetchall()
    return {
        (epoch, stream, seq): reason for epoch, stream, first, last, reason in rows for seq in range(first, last + 1)
    }


@dataclass
class Before:
    """A database with history: two epochs, batches under way, metrics rolled up, an open visit."""

    path: Path
    facts: dict[Identity, tuple[str, str, int, int]] = field(default_factory=dict)
    epochs: list[str] = field(default_factory=list)


async def history(path: Path) -> Before:
    before = Before(path)
    for boot in ("boot-1", "boot-2"):
        database = Database.open(path, SETTINGS, boot)
        store, outbox = SqliteStore(database), SqliteOutbox(database)
        for start in range(0, 400, 50):
            await store.append([session(start + n) for n in range(50)] + [headcount(1)])
            await store.append([metric(start + n) for n in range(50)])
        long = {"machine": "router", "fault": "FAULT", "reason": "ž" * 1_500}
        await store.append([Event(EventType.MACHINE_FAULT, long, 5, 6)], STATE)
        for s0, n in ((1, 100), (101, 100), (201, 40)):
            await outbox.keep_cut(Stream.VISITS, store.epoch, Cut(s0, n, bytes([s0]) * 32, bytes([s0 + n]) * 32))
        await outbox.acknowledge(Stream.VISITS, store.epoch, 100)
        if boot == "boot-1":
            await database.writer.write(lambda c: thin_out_metrics(c, Moment(1, 7, 8)), durable=True)
        before.epochs.append(store.epoch)
        database.close()
    before.facts = facts_of(path)
    return before


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Before:
    return asyncio.run(history(tmp_path_factory.mktemp("sound") / "lab.db"))


@pytest.fixture
def before(sound: Before, tmp_path: Path) -> Before:
    for part in sound.path.parent.iterdir():
        shutil.copyfile(part, tmp_path / part.name)
    return Before(tmp_path / "lab.db", sound.facts, sound.epochs)


async def look(database: Database) -> None:
    async def renewed() -> None:
        raise AssertionError("the database was renewed")

    await RecordKeeper(database, FixedClock(), on_renewed=renewed, changed=lambda: None).look()


async def require_goes_on(before: Before) -> tuple[set[Identity], bool, dict[str, str]]:
    """Open what is there, write at once, salvage, and require that nothing is wrong, doubled or unexplained.

    Return the facts that are there again, whether the damage was seen, and the working state.
    """
    database = Database.open(before.path, SETTINGS, "boot-3")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    state = await store.load("")
    assert (await store.append([session(1)]))[0].seq == 1
    assert store.epoch not in before.epochs
    await look(database)
    assert await unfinished(database) == []
    await look(database)
    totals = await outbox.totals()
    seen = database.set_aside is not None
    database.close()
    after, gaps = facts_of(before.path), gaps_of(before.path)
    with closing(sqlite3.connect(before.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for name, identity, stream, last, watermark, size in connection.execute(
            "SELECT name, epoch, stream, last_seq, watermark, bytes FROM head JOIN epoch ON id = epoch"
        ).fetchall():
            for seq in range(watermark + 1, last + 1):
                assert ((name, stream, seq) in after) != ((name, stream, seq) in gaps), (name, stream, seq)
            mine = [row for key, row in after.items() if key[:2] == (name, stream)]
            assert size == sum(len(row[1].encode()) + 64 for row in mine)
            for s0, n in connection.execute("SELECT s0, n FROM cut WHERE epoch = ? AND stream = ?", (identity, stream)):
                assert s0 + n - 1 <= watermark or all((name, stream, seq) in after for seq in range(s0, s0 + n))
    kept = {key for key in after if key in before.facts}
    assert all(after[key][:2] == before.facts[key][:2] for key in kept)
    # SQLite's pages have no checksums: of the row in which a sector ends the clock values may be lost unseen.
    assert sum(after[key] != before.facts[key] for key in kept) <= 1
    assert {key[0] for key in after.keys() - kept} <= {store.epoch}
    assert all(totals[epoch]["people"] == 8 for epoch in before.epochs if epoch in totals and totals[epoch]["people"])
    return kept, seen, state


async def test_a_sound_database_is_left_as_it_is(before: Before) -> None:
    kept, seen, state = await require_goes_on(before)
    assert (kept, seen, state) == (set(before.facts), False, STATE)


@pytest.mark.parametrize("damage", ["zeroed", "noise", "torn"])
async def test_whatever_page_is_damaged_the_rest_is_brought_over(before: Before, tmp_path: Path, damage: str) -> None:
    content, rng = before.path.read_bytes(), random.Random(damage)
    pages = len(content) // PAGE
    noticed = most_lost = 0
    for page in sorted({0, *rng.sample(range(pages), 14)}):
        place = page * PAGE
        work = tmp_path / f"page-{page}"
        work.mkdir()
        shutil.copyfile(tmp_path / "lab.db.epochs", work / "lab.db.epochs")
        middle = place + 512 * rng.randrange(1, 8)
        mended = {
            "zeroed": bytes(PAGE),
            "noise": rng.randbytes(PAGE),
            "torn": content[place:middle] + bytes(place + PAGE - middle),
        }[damage]
        (work / "lab.db").write_bytes(content[:place] + mended + content[place + PAGE :])
        kept, seen, state = await require_goes_on(Before(work / "lab.db", before.facts, before.epochs))
        most_lost = max(most_lost, len(before.facts) - len(kept))
        noticed += seen
        if seen:
            assert (work / "lab.db.corrupt-1").read_bytes()[place : place + PAGE] == mended
        assert len(kept) > 0.8 * len(before.facts)
        assert state in ({}, STATE)
    assert noticed > 4
    assert most_lost > 0


@pytest.mark.parametrize("length", [16, 100, PAGE])
async def test_a_wrong_header_loses_nothing(before: Before, length: int) -> None:
    with before.path.open("r+b") as file:
        file.write(b"?" * length)
    kept, seen, state = await require_goes_on(before)
    assert seen
    assert kept == set(before.facts)
    assert state == (STATE if length < PAGE else {})


async def test_a_file_that_ends_too_early_keeps_what_is_there(before: Before) -> None:
    content = before.path.read_bytes()
    before.path.write_bytes(content[: len(content) // 2 // PAGE * PAGE + 700])
    kept, seen, _ = await require_goes_on(before)
    assert seen
    assert len(kept) > len(before.facts) // 10


async def test_noise_in_place_of_the_file_lets_the_lab_go_on(before: Before) -> None:
    before.path.write_bytes(random.Random(1).randbytes(50_000))
    kept, seen, state = await require_goes_on(before)
    assert (kept, seen, state) == (set(), True, {})


async def test_without_the_names_of_epochs_no_fact_gets_a_name_by_guess(
    before: Before, caplog: pytest.LogCaptureFixture
) -> None:
    with before.path.open("r+b") as file:
        file.write(bytes(PAGE))
    before.path.with_name("lab.db.epochs").unlink()
    kept, seen, _ = await require_goes_on(before)
    assert seen
    assert kept == set()
    assert "0 facts were brought over" in caplog.text


async def test_a_log_cut_off_anywhere_leaves_what_was_committed_before(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    for number in range(30):
        await store.append([session(number)])
    (tmp_path / "copy").mkdir()
    for name in ("lab.db", "lab.db-wal", "lab.db.epochs"):
        shutil.copyfile(tmp_path / name, tmp_path / "copy" / name)
    database.close()
    facts = facts_of(tmp_path / "lab.db")
    log = (tmp_path / "copy" / "lab.db-wal").read_bytes()
    rng, counts = random.Random(2), set()
    for size in (0, *sorted(rng.randrange(len(log)) for _ in range(12))):
        work = tmp_path / f"cut-{size}"
        shutil.copytree(tmp_path / "copy", work)
        (work / "lab.db-wal").write_bytes(log[:size])
        kept, seen, _ = await require_goes_on(Before(work / "lab.db", facts, [store.epoch]))
        assert not seen
        assert {key[2] for key in kept} == set(range(1, len(kept) + 1))
        counts.add(len(kept))
    assert len(counts) > 4


async def test_an_empty_file_beside_a_full_log_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    await SqliteStore(database).append([session(1)])
    (tmp_path / "copy").mkdir()
    shutil.copyfile(tmp_path / "lab.db-wal", tmp_path / "copy" / "lab.db-wal")
    shutil.copyfile(tmp_path / "lab.db.epochs", tmp_path / "copy" / "lab.db.epochs")
    (tmp_path / "copy" / "lab.db").touch()
    database.close()
    facts = facts_of(tmp_path / "lab.db")
    kept, seen, _ = await require_goes_on(Before(tmp_path / "copy" / "lab.db", facts, [database.epoch]))
    assert seen
    assert (tmp_path / "copy" / "lab.db.corrupt-1-wal").exists()
    assert kept <= set(facts)


async def spoil(database: Database, first: int = 1) -> None:
    """Overwrite the pages of an open database behind SQLite's back."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("PRAGMA shrink_memory")
        size = database.path.stat().st_size
        with database.path.open("r+b") as file:
            file.seek(first * PAGE)
            file.write(b"\xff" * (size - first * PAGE))

    await database.writer.read(work)


async def test_damage_at_work_is_answered_by_a_new_epoch_before_the_next_thanks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    for number in range(20):
        await store.append([session(number * 100 + n) for n in range(100)], STATE)
    old, told = store.epoch, asyncio.Event()

    async def renewed() -> None:
        told.set()

    changes: list[int] = []
    keeper = RecordKeeper(database, FixedClock(), on_renewed=renewed, changed=lambda: changes.append(1))
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    await spoil(database)
    answers = await asyncio.gather(*(store.append([headcount(1)], {"visit": "2"}) for _ in range(5)))
    assert {answer[0].epoch for answer in answers} == {store.epoch} != {old}
    assert sorted(answer[0].seq for answer in answers) == [1, 2, 3, 4, 5]
    assert database.set_aside == tmp_path / "lab.db.corrupt-1"
    assert (database.ordinal, database.previous_epoch, database.renewals) == (1, None, 1)
    assert await store.load("") == {**STATE, "visit": "2"}
    await asyncio.wait_for(told.wait(), 10)
    await eventually(lambda: bool(changes))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await outbox.totals())[store.epoch]["people"] == 5
    assert "is damaged" in caplog.text
    database.close()


async def test_a_read_that_meets_damage_is_answered_by_the_new_database(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    await store.append([session(n) for n in range(2_000)])
    old = store.epoch
    await spoil(database)
    assert await outbox.read(Stream.VISITS, old, 0, 2_000) == []
    assert database.renewals == 1
    assert (await store.append([session(1)]))[0].seq == 1
    database.close()


async def test_a_disk_that_damages_everything_is_not_filled_with_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RENEW_EVERY_S", 3_600.0)
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    for _ in range(2):
        await store.append([session(n) for n in range(500)])
        await spoil(database)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await store.append([session(1)])
    database.close()
    assert [name for name in os.listdir(tmp_path) if name.endswith("corrupt-1")] == ["lab.db.corrupt-1"]
    assert not (tmp_path / "lab.db.corrupt-2").exists()


async def test_where_no_new_database_can_be_begun_the_lab_says_so_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RENEW_EVERY_S", 0.0)
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    await store.append([session(n) for n in range(500)])
    await spoil(database)
    with monkeypatch.context() as refusing:

        def refuse(*_: object) -> None:
            raise OSError(5, "Input/output error")

        refusing.setattr("edge.store.database.remember", refuse)
        with pytest.raises(StoreUnavailable):
            await store.append([session(1)])
    assert len(await store.append([session(1)])) == 1
    database.close()


async def test_facts_that_the_disk_lost_without_a_word_are_told(
    before: Before, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(before.path)) as connection:
        connection.execute("DELETE FROM fact WHERE stream = 'visits' AND epoch = 2 AND seq IN (150, 151, 300)")
        connection.execute("UPDATE fact SET body = '{' WHERE stream = 'metrics' AND epoch = 2 AND seq = 400")
        connection.execute(
            "UPDATE head SET bytes = (SELECT sum(length(CAST(body AS BLOB)) + 64) FROM fact"
            " WHERE fact.epoch = head.epoch AND fact.stream = head.stream)"
        )
        connection.commit()
    database = Database.open(before.path, SETTINGS, "boot-2b")
    with pytest.raises(StoreUnavailable, match="is damaged"):
        await SqliteOutbox(database).read(Stream.METRICS, before.epochs[1], 0, 1_000)
    database.close()
    kept, seen, _ = await require_goes_on(before)
    assert not seen
    assert set(before.facts) - kept == {
        *((before.epochs[1], "visits", seq) for seq in (150, 151, 300)),
        (before.epochs[1], "metrics", 400),
    }
    assert "4 facts are missing" in caplog.text
    assert set(gaps_of(before.path).values()) == {"rolled_up", "lost"}


async def test_what_cannot_be_taken_over_at_once_is_brought_over_later(
    before: Before, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before.path.open("r+b") as file:
        file.write(bytes(100))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as refusing:
        refusing.setattr("edge.store.rescue.Wreck", refuse)
        database = Database.open(before.path, SETTINGS, "boot-3")
    assert await SqliteStore(database).load("") == {}
    assert await unfinished(database) == ["lab.db.corrupt-1"]
    assert "Nothing is taken over at once" in caplog.text
    with monkeypatch.context() as refusing:
        refusing.setattr("edge.store.wreck.Wreck.epochs", refuse)
        with pytest.raises(StoreUnavailable, match="Input/output"):
            await look(database)
    assert await unfinished(database) == ["lab.db.corrupt-1"]
    await look(database)
    database.close()
    assert {key: row for key, row in facts_of(before.path).items() if key[0] != database.epoch} == before.facts


async def test_without_room_for_a_copy_the_file_itself_is_read(
    before: Before, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = bytearray(before.path.read_bytes())
    damaged[30 * PAGE : 31 * PAGE] = bytes(PAGE)
    before.path.write_bytes(damaged)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", refuse)
    kept, seen, state = await require_goes_on(before)
    assert seen
    assert len(kept) > 0.9 * len(before.facts)
    assert state == STATE
    assert "There is no room to copy" in caplog.text
    assert before.path.with_name("lab.db.corrupt-1").read_bytes() == bytes(damaged)


async def test_a_salvage_that_was_interrupted_is_taken_up_again(before: Before) -> None:
    with before.path.open("r+b") as file:
        file.write(bytes(100))
    database = Database.open(before.path, SETTINGS, "boot-3")
    keeping = asyncio.create_task(look(database))
    await eventually(lambda: bool(facts_of(before.path)))
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert await unfinished(database) == ["lab.db.corrupt-1"]
    database.close()
    kept, _, _ = await require_goes_on(before)
    assert kept == set(before.facts)


async def test_a_file_that_went_away_is_said_and_not_waited_for(
    before: Before, caplog: pytest.LogCaptureFixture
) -> None:
    with before.path.open("r+b") as file:
        file.write(bytes(100))
    database = Database.open(before.path, SETTINGS, "boot-3")
    before.path.with_name("lab.db.corrupt-1").unlink()
    await look(database)
    assert await unfinished(database) == []
    assert "cannot be read" in caplog.text
    database.close()


def test_the_names_of_epochs_are_kept_beside_the_file_and_garbage_in_it_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    remember(path, [(0, "gone", "boot")])
    remember(path, [(number, f"epoch-{number}", "boot") for number in range(1, KEPT + 20)])
    remember(path, [(KEPT + 19, "again", "boot"), (-3, "rescued", "boot-0")])
    found = recall(path)
    assert len(found) == KEPT + 2
    assert 0 not in found
    assert (found[KEPT + 19], found[-3]) == (("again", "boot"), ("rescued", "boot-0"))
    with (tmp_path / "lab.db.epochs").open("ab") as file:
        file.write(b"\xff\xfe\tnoise\nx\ty\tz\n7\t\t\n")
    assert recall(path) == found
    assert recall(tmp_path / "other.db") == {}


async def test_a_missing_file_beside_a_full_log_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    await SqliteStore(database).append([session(1), headcount(8)], STATE)
    (tmp_path / "copy").mkdir()
    shutil.copyfile(tmp_path / "lab.db-wal", tmp_path / "copy" / "lab.db-wal")
    shutil.copyfile(tmp_path / "lab.db.epochs", tmp_path / "copy" / "lab.db.epochs")
    database.close()
    facts = facts_of(tmp_path / "lab.db")
    path = tmp_path / "copy" / "lab.db"
    kept, seen, state = await require_goes_on(Before(path, facts, [database.epoch]))
    assert seen
    assert (kept, state) == (set(facts), STATE)
    assert path.with_name("lab.db.corrupt-1-wal").exists()


async def salvaged(path: Path, boot: str = "boot-2") -> set[Identity]:
    """Set the database aside as damaged, begin a new one and bring everything over; return its facts but the new."""
    set_aside(path, "for a test")
    database = Database.open(path, SETTINGS, boot)
    await look(database)
    database.close()
    return {key for key in facts_of(path) if key[0] != database.epoch}


async def test_a_portion_that_is_damaged_whole_does_not_hide_what_is_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database.open(path, SETTINGS, "boot-1")
    await SqliteStore(database).append([session(n) for n in range(500)])
    await SqliteStore(database).append([headcount(1) for _ in range(100)])
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE fact SET body = '{\"cut' WHERE stream = 'visits' AND seq <= 500")
        connection.commit()
    assert await salvaged(path) == {(database.epoch, "visits", seq) for seq in range(501, 601)}
    assert gaps_of(path) == {(database.epoch, "visits", seq): "lost" for seq in range(1, 501)}


async def test_without_its_head_a_stream_tells_what_it_lost_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database.open(path, SETTINGS, "boot-1")
    await SqliteStore(database).append([headcount(1) for _ in range(30)])
    outbox = SqliteOutbox(database)
    await outbox.keep_cut(Stream.VISITS, database.epoch, Cut(1, 2, None, b"1" * 32))
    await outbox.keep_cut(Stream.VISITS, database.epoch, Cut(3, 10, b"1" * 32, b"2" * 32))
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM head")
        connection.execute("DELETE FROM fact WHERE stream = 'visits' AND seq <= 2")
        connection.commit()
    assert await salvaged(path) == {(database.epoch, "visits", seq) for seq in range(3, 31)}
    assert gaps_of(path) == {(database.epoch, "visits", seq): "lost" for seq in (1, 2)}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT last_seq, watermark FROM head WHERE epoch < 1").fetchall() == [(30, 0)]
        assert connection.execute("SELECT s0, n FROM cut").fetchall() == [(3, 10)]


async def test_facts_that_were_rescued_once_are_known_by_name_after_a_second_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.store.naming.KEPT", 5)
    path = tmp_path / "lab.db"
    epochs = []
    for boot in range(20):
        database = Database.open(path, SETTINGS, f"boot-{boot}")
        await SqliteStore(database).append([headcount(1)])
        database.close()
        epochs.append(database.epoch)
    facts = set(facts_of(path))
    assert await salvaged(path) >= facts
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM epoch")  # the page of the table is lost
        connection.commit()
    assert await salvaged(path, "boot-b") >= facts
    assert set(recall(path)) >= set(range(-len(epochs), 2)) - {0}
    assert {key for key in gaps_of(path) if key[0] in epochs} == set()


async def damaged(path: Path) -> tuple[str, set[Identity]]:
    """Make a database with a visit of which a page is damaged, and return its epoch and its facts."""
    database = Database.open(path, SETTINGS, "boot-1")
    await SqliteStore(database).append([headcount(25)], STATE)
    database.close()
    facts = set(facts_of(path))
    with path.open("r+b") as file:
        file.write(bytes(100))
    return database.epoch, facts


async def require_taken_over(path: Path, database: Database, epoch: str, facts: set[Identity]) -> None:
    assert database.working == STATE == await SqliteStore(database).load("")
    assert database.set_aside == path.with_name("lab.db.corrupt-1")
    await look(database)
    assert await unfinished(database) == []
    database.close()
    assert {key for key in facts_of(path) if key[0] == epoch} == facts
    assert not gaps_of(path)


async def test_a_power_cut_behind_the_renaming_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    epoch, facts = await damaged(path)
    set_aside(path, "for a test")
    await require_taken_over(path, Database.open(path, SETTINGS, "boot-2"), epoch, facts)
    again = Database.open(path, SETTINGS, "boot-3")
    assert again.set_aside is None
    assert await unfinished(again) == []
    again.close()


async def test_a_new_file_that_the_full_disk_left_half_made_takes_over_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    epoch, facts = await damaged(path)
    real, calls = opening._prepare, []

    def full(connection: sqlite3.Connection, *, whole: bool) -> None:
        calls.append(whole)
        if len(calls) == 2:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        real(connection, whole=whole)

    monkeypatch.setattr(opening, "_prepare", full)
    settings = StoreSettings(reserve_mb=0, ballast_mb=0.1)
    Ballast(path, 100_000).restore()
    await require_taken_over(path, Database.open(path, settings, "boot-2"), epoch, facts)
    assert len(calls) == 3


async def test_a_new_file_that_is_damaged_before_it_is_begun_gives_way_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    epoch, facts = await damaged(path)
    set_aside(path, "for a test")
    opening.open_database(path, 1_000).connection.close()
    set_aside(path, "for a test, too")
    database = Database.open(path, SETTINGS, "boot-2")
    assert await SqliteStore(database).load("") == STATE
    await look(database)
    assert await unfinished(database) == []
    database.close()
    assert {key for key in facts_of(path) if key[0] == epoch} == facts


async def test_what_was_salvaged_and_sent_is_not_brought_again_after_the_next_damage(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    epoch, facts = await damaged(path)
    database = Database.open(path, SETTINGS, "boot-2")
    await look(database)
    await SqliteOutbox(database).keep_cut(Stream.VISITS, epoch, Cut(1, 1, None, b"1" * 32))
    await SqliteOutbox(database).acknowledge(Stream.VISITS, epoch, 1)
    database.close()
    set_aside(path, "for a test")
    database = Database.open(path, SETTINGS, "boot-3")
    assert await unfinished(database) == ["lab.db.corrupt-2"]
    await look(database)
    database.close()
    assert facts
    assert not facts & set(facts_of(path))


async def test_at_work_a_second_try_keeps_what_the_first_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RENEW_EVERY_S", 0.0)
    path = tmp_path / "lab.db"
    database = Database.open(path, SETTINGS, "boot-1")
    store, epoch = SqliteStore(database), database.epoch
    await store.append([session(n) for n in range(500)], STATE)
    await spoil(database, 8)
    with monkeypatch.context() as refusing:

        def refuse(*_: object) -> None:
            raise StoreUnavailable(reason="the disk is full")

        refusing.setattr("edge.store.database.open_database", refuse)
        with pytest.raises(StoreUnavailable):
            await store.append([session(n) for n in range(500)])
    await store.append([session(1)])
    assert await store.load("") == STATE
    assert await unfinished(database) == ["lab.db.corrupt-1"]
    await look(database)
    database.close()
    assert any(key[0] == epoch for key in facts_of(path))
    assert not (tmp_path / "lab.db.corrupt-2").exists()


async def test_what_the_program_knows_is_newer_than_a_page_of_the_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    database = Database.open(path, SETTINGS, "boot-1")
    store = SqliteStore(database)
    await store.append([session(1)], {"visit": "one entry", "session:1": "", "bell": "5"})
    stale = await database.writer.read(lambda c: c.execute("SELECT key, value FROM working_state").fetchall())
    saving = asyncio.create_task(store.append([headcount(1)], {"visit": "two entries", "session:1": None}))
    await asyncio.sleep(0)
    saving.cancel()  # committed all the same

    def roll_back(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM working_state")
        connection.executemany("INSERT INTO working_state VALUES (?, ?)", stale)

    await database.writer.write(roll_back, durable=True)

    def fail(_: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        if not database.renewals:
            raise error

    await database.writer.write(fail, durable=True)
    assert database.renewals == 1
    assert await store.load("") == {"visit": "two entries", "bell": "5"}
    database.close()


async def test_the_log_of_a_file_that_was_removed_by_hand_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.with_name("lab.db.corrupt-9-wal").write_bytes(b"of another file")
    epoch, facts = await damaged(path)
    assert set_aside(path, "for a test") == path.with_name("lab.db.corrupt-10")
    assert set_aside(path, "there is none") == path.with_name("lab.db.corrupt-11")
    assert opening.aside_files(path) == [path.with_name(f"lab.db.corrupt-{number}") for number in (11, 10)]
    database = Database.open(path, SETTINGS, "boot-2")
    await look(database)
    database.close()
    assert {key for key in facts_of(path) if key[0] == epoch} == facts
