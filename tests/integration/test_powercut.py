# SPDX-License-Identifier: GPL-3.0-or-later
"""The record after power cuts: whatever the disk kept of a real run, what was confirmed is there and whole."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge.store.database import Database
from edge.store.settings import StoreSettings
from tests.support.powercut import SECTOR, Disk, Op, environment, note, read, shim

pytestmark = pytest.mark.skipif(shim() is None, reason="no C compiler")

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0.1)

RUN = """
import asyncio, random, sys
from pathlib import Path
from edge.domain.events import Stream
from edge.domain.ports import Cut
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.retention import thin_out_metrics
from edge.store.rows import Moment
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.facts import headcount, metric, session
from tests.support.powercut import note

async def life(folder, record, rng, first):
    database = Database.open(folder / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0.1), "boot")
    await database.writer.read(lambda c: c.execute("PRAGMA wal_autocheckpoint = 40").fetchone())
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    sent = 0
    for number in range(first, first + 70):
        match rng.randrange(8):
            case 0:
                await store.append([metric(number * 100 + n) for n in range(100)])
            case 1:
                moment = Moment(database.epoch_id, number, number)
                await database.writer.write(lambda c: thin_out_metrics(c, moment), durable=True)
            case 2:
                mine = [head for head in await outbox.heads() if head.epoch == store.epoch]
                for head in mine:
                    if head.stream is Stream.VISITS and (n := head.last_seq - sent):
                        await outbox.keep_cut(Stream.VISITS, store.epoch, Cut(sent + 1, n, None, bytes(32)))
                        sent += n
                        note(record, f"acknowledged {store.epoch} {sent}")
                        await outbox.acknowledge(Stream.VISITS, store.epoch, sent)
            case _:
                together = [store.append([headcount(1)]) for _ in range(rng.choice([1, 1, 8]))]
                together += [store.append([session(number), metric(number)], {"visit": str(number)})]
                for stored in await asyncio.gather(*together):
                    note(record, f"confirmed {store.epoch} {stored[0].seq}")
                note(record, f"saved - {number}")
    database.close()

folder, record, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for start in range(3):
    asyncio.run(life(folder, record, random.Random(seed * 10 + start), start * 70))
"""


def recorded(tmp_path: Path, seed: int) -> list[Op]:
    """Return what a service that starts three times did to its disk."""
    folder, record = tmp_path / "disk", tmp_path / "record"
    folder.mkdir()
    command = [sys.executable, "-c", RUN, str(folder), str(record), str(seed)]
    subprocess.run(command, env=environment(folder, record), check=True, timeout=50)
    return read(record, folder)


def require_kept(folder: Path, notes: list[str]) -> None:
    """Open what a cut left and require what was confirmed before it."""
    database = Database.open(folder / "lab.db", SETTINGS, "boot-after")
    epoch, aside = database.epoch, database.set_aside
    database.close()
    assert aside is None
    told = [line.split() for line in notes]
    connection = sqlite3.connect(folder / "lab.db")
    names = dict(connection.execute("SELECT id, name FROM epoch"))
    rows = connection.execute("SELECT epoch, stream, last_seq, watermark FROM head").fetchall()
    heads = {(names[identity], stream): rest for identity, stream, *rest in rows}
    facts: dict[tuple[str, str], list[int]] = {}
    for identity, stream, seq in connection.execute("SELECT epoch, stream, seq FROM fact"):
        facts.setdefault((names[identity], stream), []).append(seq)
    for identity, stream, first, last in connection.execute("SELECT epoch, stream, first, last FROM gap"):
        facts.setdefault((names[identity], stream), []).extend(range(first, last + 1))
    saved = dict(connection.execute("SELECT key, value FROM working_state")).get("visit", "-1")
    people = dict(connection.execute("SELECT name, people + sessions FROM epoch"))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert epoch not in {words[1] for words in told}
    for place, (last, watermark) in heads.items():
        assert sorted(facts.get(place, [])) == list(range(watermark + 1, last + 1))
    acknowledged = {words[1]: int(words[2]) for words in told if words[0] == "acknowledged"}
    for kind, name, number in told:
        if kind == "confirmed":
            assert (name, "visits") in heads
            last, watermark = heads[name, "visits"]
            assert int(number) <= last == people[name]
            assert watermark <= acknowledged.get(name, 0)
    numbers = [int(number) for kind, _, number in told if kind == "saved"]
    assert not numbers or int(saved) >= numbers[-1]


@pytest.mark.parametrize("seed", range(3))
def test_what_was_confirmed_survives_every_power_cut(tmp_path: Path, seed: int) -> None:
    ops = recorded(tmp_path, seed)
    assert {op.kind for op in ops} >= {"C", "W", "T", "S", "U", "N"}
    rng = random.Random(seed)
    moments = sorted({rng.randrange(len(ops) + 1) for _ in range(70)} | set(range(0, 40, 4)))
    disk, played = Disk(), 0
    for moment in moments:
        disk.play(ops[played:moment])
        played = moment
        disk.lay_out(tmp_path / "after", rng)
        require_kept(tmp_path / "after", disk.notes)


def test_without_fsync_the_tester_finds_what_is_lost(tmp_path: Path) -> None:
    """The tester must be able to fail: a run that never syncs loses what it confirmed."""
    ops = [op for op in recorded(tmp_path, 7) if op.kind != "S"]
    rng, lost = random.Random(1), 0
    for moment in (len(ops) // 3, len(ops) // 2, len(ops)):
        for _ in range(4):
            disk = Disk()
            disk.play(ops[:moment])
            disk.lay_out(tmp_path / "after", rng)
            try:
                require_kept(tmp_path / "after", disk.notes)
            except AssertionError:
                lost += 1
    assert lost >= 6


SCRIPT = """
import os, sys
os.chdir(sys.argv[1])
fd = os.open("a", os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x" * 1000)
os.fsync(fd)
os.write(fd, b"y" * 2000)
os.close(fd)
with open("b.new", "wb") as file:
    file.write(b"new")
    file.flush()
    os.fsync(file.fileno())
os.rename("b.new", "b")
folder = os.open(".", os.O_RDONLY)
os.fsync(folder)
os.unlink("a")
with open("b", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 4096)
    os.pwrite(file.fileno(), b"z", 4095)
    os.ftruncate(file.fileno(), 10)
with open("../outside", "wb") as file:
    file.write(b"not ours")
"""


@pytest.fixture
def script(tmp_path: Path) -> list[Op]:
    folder, record = tmp_path / "disk", tmp_path / "record"
    folder.mkdir()
    command = [sys.executable, "-I", "-c", SCRIPT, str(folder)]
    subprocess.run(command, env=environment(folder, record), check=True)
    note(record, "done")
    with record.open("ab") as file:
        file.write(b"W\0\0\0")  # the process was killed in the middle of an entry
    return read(record, folder)


def test_the_record_is_what_happened(script: list[Op]) -> None:
    told = [(op.kind, op.path, op.offset, len(op.data)) for op in script]
    assert told == [
        ("C", "a", 0, 0),
        ("W", "a", 0, 1000),
        ("S", "a", 0, 0),
        ("W", "a", 1000, 2000),
        ("C", "b.new", 0, 0),
        ("W", "b.new", 0, 3),
        ("S", "b.new", 0, 0),
        ("R", "b.new", 0, 1),
        ("S", "", 0, 0),
        ("U", "a", 0, 0),
        ("T", "b", 0, 0),
        ("T", "b", 4096, 0),
        ("W", "b", 4095, 1),
        ("T", "b", 10, 0),
        ("N", "", 0, 4),
    ]


def test_what_was_synced_is_there_and_what_was_not_may_be_torn(script: list[Op]) -> None:
    rng = random.Random(3)
    found: set[bytes | None] = set()
    disk = Disk()
    disk.play(script[:4])
    for _ in range(200):
        content = disk.after_cut(rng)["a"]
        assert content[:1000] == b"x" * 1000
        found.add(content[1000:])
    assert {b"", b"y" * 2000} <= found
    assert any(bytes(SECTOR) in content and b"y" in content for content in found if content)
    assert len(found) > 4


def test_names_become_durable_in_order(script: list[Op]) -> None:
    rng = random.Random(4)
    disk = Disk()
    disk.play(script[:1])
    assert {tuple(disk.after_cut(rng)) for _ in range(50)} == {(), ("a",)}
    disk.play(script[1:8])
    assert {tuple(sorted(disk.after_cut(rng))) for _ in range(50)} == {("a", "b.new"), ("a", "b")}
    disk.play(script[8:10])
    assert {tuple(sorted(disk.after_cut(rng))) for _ in range(50)} == {("a", "b"), ("b",)}
    disk.play(script[10:])
    assert disk.notes == ["done"]
    assert b"new" in {disk.after_cut(rng)["b"] for _ in range(50)}


def test_a_folder_that_was_there_before_is_durable(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "kept").write_bytes(b"old")
    disk = Disk(tmp_path / "before")
    disk.play([Op("W", "kept", 0, b"new")])
    rng = random.Random(5)
    assert {disk.after_cut(rng)["kept"] for _ in range(50)} >= {b"old", b"new"}
    disk.lay_out(tmp_path / "after", rng)
    assert os.listdir(tmp_path / "after") == ["kept"]
