# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on bad disks: full, read-only, held by another program, damaged, and cut off by kill -9."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Event, EventType, Stream
from edge.domain.ports import Cut
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.facts import metric, session

SETTINGS = StoreSettings(reserve_mb=0, busy_timeout_ms=50, ballast_mb=8)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    # Lazy, so that a test that failed with files open leaves no mount behind.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill(store: SqliteStore) -> int:
    """Append until the disk refuses; return how many were acknowledged."""
    done = 0
    for start in range(0, 100_000, 50):
        try:
            done += len(await store.append([session(start + index) for index in range(50)]))
        except StoreUnavailable:
            return done
    raise AssertionError("the disk never filled up")


def rows(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT seq FROM fact WHERE stream = 'visits' ORDER BY epoch, seq")]
    connection.close()
    return found


async def test_a_full_database_refuses_whole_calls_and_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    await store.append([session(0)])
    limit = await database.writer.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await database.writer.read(lambda c: c.execute(f"PRAGMA max_page_count = {limit + 20}").fetchone())
    done = 1 + await fill(store)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.append([session(0)] * 50)
    refused = await asyncio.gather(*(store.append([session(i)] * 100) for i in range(5)), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in refused)
    await database.writer.read(lambda c: c.execute(f"PRAGMA max_page_count = {limit + 200}").fetchone())
    assert (await store.append([session(1)]))[0].seq == done + 1
    database.close()
    assert rows(tmp_path / "lab.db") == list(range(1, done + 2))
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("edge.store")]
    assert messages == [
        "The record could not be written to disk: the disk is full.",
        "The record is written again.",
    ]


async def test_a_small_fact_still_fits_where_a_large_call_does_not(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    await store.append([session(0)])
    limit = await database.writer.read(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await database.writer.read(lambda c: c.execute(f"PRAGMA max_page_count = {limit + 2}").fetchone())
    large, small = await asyncio.gather(
        store.append([metric(i) for i in range(2_000)]), store.append([session(1)]), return_exceptions=True
    )
    assert isinstance(large, StoreUnavailable)
    assert not isinstance(small, BaseException)
    assert small[0].seq == 2
    database.close()


def stuff(folder: Path) -> None:
    """Let another program take the last byte of the disk."""
    with (folder / "stuffing").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4_096)


@pytest.mark.parametrize("restart", [False, True])
async def test_a_full_disk_can_be_drained_without_new_room(small_disk: Path, restart: bool) -> None:
    database = Database.open(small_disk / "lab.db", SETTINGS, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    epoch, done = store.epoch, await fill(store)
    assert done > 10_000
    stuff(small_disk)
    if restart:
        database.close()
        database = Database.open(small_disk / "lab.db", SETTINGS, "boot-1")
        outbox = SqliteOutbox(database)
    sent = 0
    while sent < done:
        n = min(500, done - sent)
        await outbox.keep_cut(Stream.VISITS, epoch, Cut(sent + 1, n, None, b"h" * 32))
        sent = await outbox.acknowledge(Stream.VISITS, epoch, sent + n) or 0
    assert len(await SqliteStore(database).append([session(1)])) == 1
    database.close()
    assert len(rows(small_disk / "lab.db")) == 1
    # Opening on a full disk may have used the ballast up; it comes back at a start that finds room.
    (small_disk / "stuffing").unlink()
    Database.open(small_disk / "lab.db", SETTINGS, "boot-1").close()
    assert (small_disk / "lab.db.ballast").exists()


async def test_on_a_full_disk_visits_take_the_room_of_metrics_then_of_jobs(small_disk: Path) -> None:
    settings = SETTINGS.model_copy(update={"ballast_mb": 6})
    database = Database.open(small_disk / "lab.db", settings, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    body = {"job": "j", "state": "RUNNING", "reason": "x" * 150}
    await store.append([Event(EventType.JOB_CHANGED, body, number, number) for number in range(5_000)])
    await store.append([metric(number) for number in range(5_000)])
    stuff(small_disk)
    done = 0
    while not await outbox.gaps(Stream.JOBS, store.epoch):
        done += len(await store.append([session(number) for number in range(20)]))
        assert done < 20_000
    assert done > 1_000
    (first, last), *_ = await outbox.gaps(Stream.METRICS, store.epoch)
    assert first == 1
    assert last > 5_000
    done += await fill(store)
    assert len(await outbox.gaps(Stream.JOBS, store.epoch)) == 1
    (head,) = (head for head in await outbox.heads() if head.stream is Stream.VISITS)
    assert head.waiting == done
    database.close()
    assert len(rows(small_disk / "lab.db")) == done
    connection = sqlite3.connect(small_disk / "lab.db")
    assert connection.execute("SELECT count(*) FROM fact WHERE stream IN ('jobs', 'metrics')").fetchone() == (0,)
    connection.close()


async def test_another_program_that_holds_the_database_is_named_and_waited_out(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    await store.append([session(1)])
    other = sqlite3.connect(tmp_path / "lab.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another program"):
        await store.append([session(2)])
    assert len(await outbox.read(Stream.VISITS, store.epoch, 0, 10)) == 1
    with pytest.raises(StoreUnavailable, match="another program"):
        Database.open(tmp_path / "lab.db", SETTINGS, "boot-2")
    other.execute("ROLLBACK")
    other.close()
    assert (await store.append([session(2)]))[0].seq == 2
    assert database.set_aside is None
    database.close()


async def test_a_read_only_database_says_so(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", SETTINGS, "boot-1")
    store = SqliteStore(database)
    await database.writer.read(lambda c: c.execute("PRAGMA query_only = 1").fetchone())
    with pytest.raises(StoreUnavailable, match="read-only"):
        await store.append([session(1)])
    await database.writer.read(lambda c: c.execute("PRAGMA query_only = 0").fetchone())
    assert (await store.append([session(1)]))[0].seq == 1
    database.close()


def test_a_folder_that_cannot_be_made_and_a_file_that_cannot_be_opened_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"exists|directory"):
        Database.open(tmp_path / "file" / "lab.db", SETTINGS, "boot-1")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        Database.open(tmp_path / "folder.db", SETTINGS, "boot-1")


async def test_a_damaged_database_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lab.db"
    for number, damage in enumerate((b"this is no database " * 300, None), start=1):
        if damage is None:
            database = Database.open(path, SETTINGS, "boot-1")
            await SqliteStore(database).append([session(i) for i in range(2_000)])
            database.close()
            content = bytearray(path.read_bytes())
            content[8_192 : len(content) - 4_096] = os.urandom(len(content) - 12_288)
            damage = bytes(content)
        path.write_bytes(damage)
        caplog.clear()
        database = Database.open(path, SETTINGS, "boot-1")
        aside = tmp_path / f"lab.db.corrupt-{number}"
        assert database.set_aside == aside
        assert aside.read_bytes() == damage
        assert (await SqliteStore(database).append([session(1)]))[0].seq == 1
        database.close()
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert aside.name in caplog.text
    database = Database.open(path, SETTINGS, "boot-1")
    assert database.set_aside is None
    database.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Database.open(path, SETTINGS, "boot-1").close()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('edge', 'm999_later', '')"
        )
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer version"):
        Database.open(path, SETTINGS, "boot-1")
    assert not list(tmp_path.glob("*.corrupt-*"))


CHILD = """
import asyncio, sys
from pathlib import Path
from edge.store.database import Database
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.facts import headcount

async def main():
    database = Database.open(Path(sys.argv[1]), StoreSettings(reserve_mb=0), "boot")
    store = SqliteStore(database)
    async def kiosk():
        while True:
            stored = await store.append([headcount(1)])
            sys.stdout.write(f"{store.epoch} {stored[0].seq}\\n")
            sys.stdout.flush()
    async with asyncio.TaskGroup() as kiosks:
        for _ in range(8):
            kiosks.create_task(kiosk())

asyncio.run(main())
"""


def test_what_was_acknowledged_before_kill_9_is_there_and_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    acknowledged: dict[str, set[int]] = {}
    for round_number in range(5):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(50 + 37 * round_number)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
        child.stdout.close()
        child.wait()
        for line in lines:
            if line.endswith("\n"):
                epoch, seq = line.split()
                acknowledged.setdefault(epoch, set()).add(int(seq))
    database = Database.open(path, SETTINGS, "boot-1")
    database.close()
    connection = sqlite3.connect(path)
    stored: dict[str, list[int]] = {}
    for epoch, seq in connection.execute("SELECT name, seq FROM fact JOIN epoch ON id = epoch ORDER BY epoch, seq"):
        stored.setdefault(epoch, []).append(seq)
    people = dict(connection.execute("SELECT name, people FROM epoch"))
    heads = dict(connection.execute("SELECT name, last_seq FROM head JOIN epoch ON id = epoch"))
    connection.close()
    assert len(acknowledged) == 5
    for epoch, numbers in acknowledged.items():
        assert numbers <= set(stored[epoch])
        assert stored[epoch] == list(range(1, len(stored[epoch]) + 1))
        assert people[epoch] == heads[epoch] == len(stored[epoch])
