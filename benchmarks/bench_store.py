# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the lab's record: a tap until its commit, and facts appended per second, beside bare sqlite3.

Each row names its reference, measured in the same run on the same disk: a bare commit of one row with the same
pragmas, and bare inserts in transactions of the same size.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from edge.domain.events import Event, EventType
from edge.store.database import Database
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore

TAPS = 2_048
CONCURRENT = 64
CROWD = 64_000
"""Taps of all 64 together: a thousand commits, so that p99 is not one slow answer of the disk."""
BACKLOG = 50_000
GROUP = 500


def tap(number: int) -> Event:
    """Return a typical kiosk session: its id and its time are as good as random, so that they do not compress."""
    noise = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
    boot_ns = number * 3_000_000_000 + int.from_bytes(noise[:4], "big")
    body = {"session": noise.hex(), "kiosk": f"kiosk-{number % 3}", "language": "lt", "visit": f"{7:032x}"}
    return Event(EventType.KIOSK_SESSION, body, boot_ns, 1_900_000_000_000_000_000 + boot_ns)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of `values` lie."""
    return statistics.quantiles(values, n=1_000, method="inclusive")[round(share * 1_000) - 1]


def row(name: str, value: float, unit: str, reference: str, reference_value: float) -> dict[str, object]:
    """Return one line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value,
    }


def _bare(folder: Path, name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / name, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE fact (seq INTEGER PRIMARY KEY, type TEXT, body TEXT, boot_ns INTEGER, wall_ns INTEGER) STRICT"
    )
    return connection


def _bare_row(number: int) -> tuple[int, str, str, int, int]:
    event = tap(number)
    return (number, event.type.value, json.dumps(dict(event.body)), event.boot_ns, event.wall_ns)


def bare_commits(folder: Path) -> list[float]:
    """Return the milliseconds of TAPS commits of one row each, one after the other."""
    connection = _bare(folder, "bare-commits.db")
    taken = []
    for number in range(TAPS):
        begin = time.perf_counter()
        connection.execute("INSERT INTO fact VALUES (?, ?, ?, ?, ?)", _bare_row(number))
        taken.append((time.perf_counter() - begin) * 1e3)
    connection.close()
    return taken


def bare_inserts(folder: Path) -> float:
    """Return rows per second of BACKLOG bare inserts in transactions of GROUP rows."""
    connection = _bare(folder, "bare-inserts.db")
    begin = time.perf_counter()
    for start in range(0, BACKLOG, GROUP):
        connection.execute("BEGIN IMMEDIATE")
        rows = [_bare_row(number) for number in range(start, start + GROUP)]
        connection.executemany("INSERT INTO fact VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    taken = time.perf_counter() - begin
    connection.close()
    return BACKLOG / taken


async def _taps(store: SqliteStore, concurrent: int, taps: int) -> list[float]:
    taken: list[float] = []

    async def kiosk(first: int) -> None:
        for number in range(first, taps, concurrent):
            begin = time.perf_counter()
            await store.append([tap(number)])
            taken.append((time.perf_counter() - begin) * 1e3)

    async with asyncio.TaskGroup() as kiosks:
        for first in range(concurrent):
            kiosks.create_task(kiosk(first))
    return taken


async def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        bare = await asyncio.to_thread(bare_commits, folder)
        inserts = await asyncio.to_thread(bare_inserts, folder)
        database = Database.open(folder / "lab.db", StoreSettings(reserve_mb=0), "boot")
        store = SqliteStore(database)
        try:
            alone = await _taps(store, 1, TAPS)
            begin = time.perf_counter()
            many = await _taps(store, CONCURRENT, CROWD)
            rate = CROWD / (time.perf_counter() - begin)
            begin = time.perf_counter()
            for start in range(0, BACKLOG, GROUP):
                await store.append([tap(number) for number in range(start, start + GROUP)])
            appended = BACKLOG / (time.perf_counter() - begin)
        finally:
            database.close()
    commit = "bare sqlite3 commit, WAL, synchronous=FULL"
    return [
        row("tap to committed, one kiosk, p50", percentile(alone, 0.5), "ms", commit, percentile(bare, 0.5)),
        row("tap to committed, one kiosk, p99", percentile(alone, 0.99), "ms", commit, percentile(bare, 0.99)),
        row("tap to committed, 64 at once, p50", percentile(many, 0.5), "ms", commit, percentile(bare, 0.5)),
        row("tap to committed, 64 at once, p99", percentile(many, 0.99), "ms", commit, percentile(bare, 0.99)),
        row("taps committed, 64 at once", rate, "1/s", commit, 1e3 / statistics.fmean(bare)),
        row("facts appended, 500 a call", appended, "1/s", "bare sqlite3 inserts, 500 a transaction", inserts),
    ]
