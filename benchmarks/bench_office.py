# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the office: facts per second into the ledger of each kind, and what it takes of memory while it does so.

Batches hold 500 facts, of the kinds and in the proportions of a school day, and of all batches that come 30 % are
copies of what came before. The references are what the databases themselves can do on this disk: the unique rows alone
into a table of the same kind, with the same commits, by executemany and, on PostgreSQL, by COPY. Both databases sync
each commit to the disk.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import sqlite3
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg

from benchmarks.fleet_world import DurablePostgres
from benchmarks.school_day import WALL_NS, main_job
from benchmarks.stats import Row
from office import intake
from office.facts import Item, Message, ReceivedBatch
from office.ledger.database import Database
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.reading import totals
from office.ledger.writer import record
from tests.support.office import POSTGRES_BIN
from wire import topics
from wire.asyncapi import STREAM_OF
from wire.batch import MAX_EVENTS, Batch, WireEvent
from wire.codec import encode_batch

BATCHES = 120
GROUP = 8
LABS = 4
COPIES = 0.3
"""Of all batches that come."""
WORKERS = 2
WAIT_S = 60.0
_STREAM = {kind: stream for stream, kinds in STREAM_OF.items() for kind in kinds}


def payloads() -> list[Message]:
    """Return batches of several labs, in turn, each fact on the stream where such facts go."""
    found: list[Message] = []
    prev: dict[tuple[str, str], bytes | None] = {}
    sent: Counter[tuple[str, str]] = Counter()
    waiting: dict[tuple[str, str], list[WireEvent]] = defaultdict(list)
    for n in count(LABS):
        event = main_job(n // LABS)
        key = lab, stream = f"van-{n % LABS}", _STREAM[event.type]
        waiting[key].append(event)
        if len(waiting[key]) < MAX_EVENTS:
            continue
        batch = Batch(lab, stream, "e1", "b1", sent[key] + 1, prev.get(key), tuple(waiting.pop(key)))
        payload, prev[key] = encode_batch(batch)
        sent[key] += MAX_EVENTS
        found.append(Message(topics.up(lab, stream), payload, len(payload), WALL_NS * 2))
        if len(found) == BATCHES:
            break
    return found


def groups(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[i : i + GROUP] for i in range(0, len(items), GROUP)]


def with_copies(items: Sequence[Item]) -> list[Item]:
    """Return `items` in order with copies of earlier ones among them, COPIES of the whole."""
    chance = random.Random(5)
    sent: list[Item] = []
    copies = 0
    for number, item in enumerate(items, start=1):
        sent.append(item)
        while copies + 1 <= number * COPIES / (1 - COPIES):
            sent.append(items[chance.randrange(max(0, number - 4 * GROUP), number)])
            copies += 1
    return sent


def rows_of(group: Sequence[Item], first_feed: int) -> Iterator[tuple[object, ...]]:
    """Return the rows of the table of events; each batch is a feed of its own, so that no key comes twice."""
    for place, item in enumerate(group):
        assert isinstance(item, ReceivedBatch)
        for f in item.facts:
            values = (f.seq, f.type, f.standing.value, f.boot_ns, f.wall_ns, item.received_ns, f.body_json)
            yield (first_feed + place, *values)


def bare_sqlite(folder: Path, items: Sequence[Item]) -> float:
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
        connection.executemany("insert into event values (?, ?, ?, ?, ?, ?, ?, ?)", rows_of(group, number * GROUP))
        connection.execute("commit")
    seconds = time.perf_counter() - begin
    connection.close()
    return seconds


_BARE = """create table bare (feed bigint, seq bigint, type text, standing text, boot_ns bigint, wall_ns bigint,
    received_ns bigint, body text, primary key (feed, seq))"""


def bare_postgres(
    url: str, items: Sequence[Item], put: Callable[[psycopg.Cursor, list[tuple[object, ...]]], None]
) -> float:
    """Return the seconds of the same rows into a plain table by `put`, one commit a group."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_BARE)
        begin = time.perf_counter()
        for number, group in enumerate(groups(items)):
            with connection.transaction(), connection.cursor() as cursor:
                put(cursor, list(rows_of(group, number * GROUP)))
        return time.perf_counter() - begin


def by_copy(cursor: psycopg.Cursor, rows: list[tuple[object, ...]]) -> None:
    with cursor.copy("copy bare from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def by_executemany(cursor: psycopg.Cursor, rows: list[tuple[object, ...]]) -> None:
    cursor.executemany("insert into bare values (%s, %s, %s, %s, %s, %s, %s, %s)", rows)


def recorded(database: Database, items: Sequence[Item]) -> float:
    """Return the seconds until all is committed."""
    begin = time.perf_counter()
    for group in groups(items):
        record(database, group, WALL_NS)
    return time.perf_counter() - begin


def _work(url: str, messages: list[Message], ready: Barrier) -> None:
    database = connect(url)
    items = [intake.read(message) for message in messages]
    with database.transaction(write=False):
        totals(database)
    ready.wait(WAIT_S)
    recorded(database, items)
    database.close()


def by_workers(url: str, messages: Sequence[Message]) -> float:
    """Return the seconds until WORKERS processes have committed all, dealt out to them as a broker might."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(WORKERS + 1)
    chance = random.Random(6)
    dealt: list[list[Message]] = [[] for _ in range(WORKERS)]
    for message in messages:
        dealt[chance.randrange(WORKERS)].append(message)
    workers = [context.Process(target=_work, args=(url, mine, ready)) for mine in dealt]
    for worker in workers:
        worker.start()
    ready.wait(WAIT_S)
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begin
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a worker did not record what it was given")
    return seconds


def row(title: str, seconds: float, reference: str, floor: float) -> Row:
    events = BATCHES * MAX_EVENTS
    return {
        "name": title,
        "value": round(events / seconds),
        "unit": "events/s",
        "reference": reference,
        "reference_value": round(events / floor),
        "ratio": round(floor / seconds, 3),
    }


def plain(title: str, value: float, unit: str) -> Row:
    return {"name": title, "value": value, "unit": unit, "reference": None, "reference_value": None, "ratio": None}


def on_sqlite(folder: Path, items: Sequence[Item], reading: float) -> list[Row]:
    floor = bare_sqlite(folder, items)
    database = connect(f"sqlite:///{folder / 'office.sqlite3'}")
    migrate(database)
    recording = recorded(database, items)
    again = recorded(database, items)
    with database.transaction(write=False):
        begin = time.perf_counter()
        totals(database)
        asking = time.perf_counter() - begin
    database.close()
    mixed = connect(f"sqlite:///{folder / 'mixed.sqlite3'}")
    migrate(mixed)
    among_copies = recorded(mixed, with_copies(items))
    mixed.close()
    reference = "bare executemany of the same rows"
    return [
        row("office ledger, unique events on SQLite", recording, reference, floor),
        row("office ledger, unique events on SQLite, 30 % of batches copies", among_copies, reference, floor),
        row("office ledger, the same batches again", again, reference, floor),
        row("office, from payload to commit", reading + recording, reference, floor),
        plain("office, the number of 6,000", round(asking * 1000, 3), "ms"),
    ]


def on_postgres(messages: Sequence[Message], items: Sequence[Item]) -> list[Row]:
    server = DurablePostgres()
    try:
        copying = bare_postgres(server.new_database(), items, by_copy)
        executing = bare_postgres(server.new_database(), items, by_executemany)
        found = []
        for sent in (items, with_copies(items)):
            database = connect(server.new_database())
            migrate(database)
            found.append(recorded(database, sent))
            database.close()
        url = server.new_database()
        database = connect(url)
        migrate(database)
        database.close()
        shared = by_workers(url, messages)
    finally:
        server.remove()
    unique, among_copies = found
    mixed = "office ledger, unique events on PostgreSQL, 30 % of batches copies"
    return [
        row("office ledger, unique events on PostgreSQL", unique, "bare COPY of the same rows", copying),
        row(mixed, among_copies, "bare COPY of the same rows", copying),
        row(f"office ledger, {WORKERS} workers on PostgreSQL", shared, "bare COPY of the same rows", copying),
        row(f"{mixed}, beside executemany", among_copies, "bare executemany of the same rows", executing),
    ]


def run() -> list[Row]:
    """Return the rows of the table."""
    messages = payloads()
    with tempfile.TemporaryDirectory() as name:
        begin = time.perf_counter()
        items = [intake.read(message) for message in messages]
        found = on_sqlite(Path(name), items, time.perf_counter() - begin)
    if (POSTGRES_BIN / "initdb").exists():
        found += on_postgres(messages, items)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*found, plain("office bench, peak resident memory", round(memory, 1), "MB")]


if __name__ == "__main__":
    for line in run():
        print(line)
