# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the lab's record when it is large and when it is damaged: memory with a backlog, and the way to a new epoch.

Memory is the peak of a process that opens the record, checks its facts as the service does at start, sends from it and
takes new facts; the reference is the same process on an empty record. The way to a new epoch goes from the opening of a
damaged file to the first fact that is committed, beside the opening of the same file when it was sound.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.bench_store import tap
from benchmarks.stats import Row, row
from edge.domain.events import Stream
from edge.domain.ports import Cut
from edge.services.clock import SystemClock
from edge.store.carving import PAGE
from edge.store.database import Database
from edge.store.keeper import RecordKeeper
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.hardware_sim.lab.processes import ROOT

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)
SENT = 20_000
BATCH = 500

_FILL = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :count)
INSERT INTO fact (epoch, stream, seq, type, body, boot_ns, wall_ns)
SELECT 1, 'jobs', n, 'job.changed',
'{"job":"' || printf('%032x', n) || '","state":"RUNNING","machine":"router","reason":"","line":' || n || '}', n, n
FROM number
"""


async def _nobody() -> None:
    """Hear of a new epoch."""


def fill(path: Path, count: int) -> None:
    """Make a record with `count` facts that wait."""
    Database.open(path, SETTINGS, "boot-1").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute(_FILL, {"count": count})
        connection.execute("INSERT INTO head (epoch, stream, last_seq) VALUES (1, 'jobs', ?)", (count,))
        connection.execute("COMMIT")


async def live(path: Path) -> None:
    """Open, check, send some of what waits, take new facts, close."""
    database = Database.open(path, SETTINGS, "boot-2")
    store, outbox = SqliteStore(database), SqliteOutbox(database)
    checking = asyncio.create_task(RecordKeeper(database, SystemClock(), on_renewed=_nobody, changed=int).look())
    for head in await outbox.heads():
        for s0 in range(1, min(SENT, head.last_seq), BATCH) if head.stream is Stream.JOBS else ():
            facts = await outbox.read(head.stream, head.epoch, s0 - 1, BATCH)
            await outbox.keep_cut(head.stream, head.epoch, Cut(s0, len(facts), None, bytes(32)))
            await outbox.acknowledge(head.stream, head.epoch, facts[-1].seq)
            await store.append([tap(s0)])
    await outbox.totals()
    await checking
    database.close()


def peak_mb(path: Path) -> float:
    """Return the peak memory in MB of a process of its own that lives with a record."""
    command = [sys.executable, "-m", "benchmarks.bench_record", str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


async def first_fact_s(path: Path) -> float:
    """Return the seconds from opening a record to its first fact."""
    begin = time.perf_counter()
    database = await asyncio.to_thread(Database.open, path, SETTINGS, "boot-3")
    await SqliteStore(database).append([tap(1)])
    taken = time.perf_counter() - begin
    await asyncio.to_thread(database.close)
    return taken


async def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    many, some = (300_000, 100_000) if quick else (10_000_000, 1_000_000)
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        fill(folder / "none.db", 0)
        fill(folder / "many.db", many)
        none, backlog = peak_mb(folder / "none.db"), peak_mb(folder / "many.db")
        (folder / "many.db").unlink()
        path = folder / "some.db"
        fill(path, some)
        sound = await first_fact_s(path)
        with path.open("r+b") as file:
            file.write(bytes(PAGE))
        damaged = await first_fact_s(path)
    size = f"{some:,} facts"
    return [
        row(f"memory of the record, {many:,} facts waiting", backlog, "MB", "the same, none waiting", none),
        row(f"damaged record of {size} to the first fact", damaged, "s", "a sound one of the same size", sound),
    ]


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
