# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the office: facts per second into the ledger, and what it takes of memory while it does so.

The reference is a bare executemany of the same rows into the same table with the same commits: what SQLite itself
can do on this disk. Batches hold 500 facts, of the kinds and in the proportions of a school day.
"""

from __future__ import annotations

import resource
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from office import intake
from office.facts import Item, Message, ReceivedBatch
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.reading import totals
from office.ledger.writer import record
from wire import topics
from wire.batch import MAX_EVENTS, Batch, Scalar, WireEvent
from wire.codec import encode_batch

BATCHES = 120
GROUP = 8
LABS = 4
WALL_NS = 1_780_000_000_000_000_000


def main_job(n: int) -> WireEvent:
    """Return one fact of a school day: mostly a machine's state, some taps, jobs and headcounts."""
    body: dict[str, Scalar]
    match n % 10:
        case 0:
            kind = "visit.headcount"
            body = {"visit": f"visit-{n // 500}", "group": "5a", "role": "pupil", "count": 1 + n % 25}
        case 1 | 2:
            kind = "kiosk.session"
            body = {"session": f"session-{n}", "kiosk": "k1", "language": "lt", "visit": f"visit-{n // 500}"}
        case 3:
            kind = "job.changed"
            body = {"job": f"job-{n // 40}", "claim": n % 100, "machine": "router", "program": "gear"}
            body |= {"origin": "kiosk", "state": "RUNNING", "visit": f"visit-{n // 500}", "guess_s": 60.0}
        case _:
            kind = "machine.state"
            body = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE"}
            body |= {"x": n * 0.1, "y": n * 0.2, "z": -1.5, "feed": 800.0, "spindle": 10_000.0, "line": n}
    return WireEvent(kind, body, n * 200_000_000, WALL_NS + n * 200_000_000)


def payloads() -> list[Message]:
    """Return batches of several labs, in turn."""
    found = []
    prev: dict[str, bytes | None] = {}
    for number in range(BATCHES):
        lab, first = f"van-{number % LABS}", (number // LABS) * MAX_EVENTS + 1
        events = tuple(main_job(first + i) for i in range(MAX_EVENTS))
        payload, prev[lab] = encode_batch(Batch(lab, "visits", "e1", "b1", first, prev.get(lab), events))
        found.append(Message(topics.up(lab, "visits"), payload, len(payload), WALL_NS * 2))
    return found


def groups(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[i : i + GROUP] for i in range(0, len(items), GROUP)]


def bare(folder: Path, items: Sequence[Item]) -> float:
    """Return the seconds of a bare executemany of the same rows."""
    database = connect(f"sqlite:///{folder / 'schema.sqlite3'}")
    migrate(database)
    with database.transaction(write=False):
        (ddl,) = database.query("select sql from sqlite_master where name = 'event'")[0]
    database.close()
    connection = sqlite3.connect(folder / "bare.sqlite3", isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute(ddl.replace("references feed (id)", ""))
    begin = time.perf_counter()
    for number, group in enumerate(groups(items)):
        connection.execute("begin immediate")
        for place, item in enumerate(group):
            assert isinstance(item, ReceivedBatch)
            feed = number * GROUP + place
            rows = [
                (feed, f.seq, f.type, f.standing.value, f.boot_ns, f.wall_ns, item.received_ns, f.body_json)
                for f in item.facts
            ]
            connection.executemany("insert into event values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("commit")
    seconds = time.perf_counter() - begin
    connection.close()
    return seconds


def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    messages = payloads()
    events = BATCHES * MAX_EVENTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = time.perf_counter()
        items = [intake.read(message) for message in messages]
        reading = time.perf_counter() - begin
        floor = bare(folder, items)
        database = connect(f"sqlite:///{folder / 'office.sqlite3'}")
        migrate(database)
        begin = time.perf_counter()
        for group in groups(items):
            record(database, group, WALL_NS)
        recording = time.perf_counter() - begin
        begin = time.perf_counter()
        for group in groups(items):
            record(database, group, WALL_NS)
        again = time.perf_counter() - begin
        with database.transaction(write=False):
            begin = time.perf_counter()
            totals(database)
            asking = time.perf_counter() - begin
        database.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reference = "bare executemany of the same rows"

    def row(title: str, seconds: float) -> dict[str, object]:
        return {
            "name": title,
            "value": round(events / seconds),
            "unit": "events/s",
            "reference": reference,
            "reference_value": round(events / floor),
            "ratio": round(floor / seconds, 3),
        }

    return [
        row("office ledger, unique events on SQLite", recording),
        row("office ledger, the same batches again", again),
        row("office, from payload to commit", reading + recording),
        {
            "name": "office, the number of 6,000",
            "value": round(asking * 1000, 3),
            "unit": "ms",
            "reference": None,
            "reference_value": None,
            "ratio": None,
        },
        {
            "name": "office bench, peak resident memory",
            "value": round(memory, 1),
            "unit": "MB",
            "reference": None,
            "reference_value": None,
            "ratio": None,
        },
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
