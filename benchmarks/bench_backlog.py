# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a lab's backlog from its disk through Mosquitto into the office's ledger, until the outbox is empty.

Outbox, relay and publisher are the edge's own, in this process; broker and office run in theirs, the office on SQLite
with its commits on disk. The reference is the same way with one event in each message, under the widest window that
the settings permit. Every event is looked for in the ledger afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from benchmarks.school_day import main_job
from benchmarks.stats import Row, row
from edge.domain.events import Event, EventType
from edge.services.clock import SystemClock
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.publisher import MqttPublisher
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT

REFERENCE = "the same with one event a message, window 16"
UNPACED = 10_000.0
PATIENCE_S = 120.0


async def fill(store: SqliteStore, count: int) -> None:
    """Keep `count` facts of a school day."""
    facts = (main_job(number) for number in range(1, count + 1))
    events = [Event(EventType(fact.type), fact.body, fact.boot_ns, fact.wall_ns) for fact in facts]
    for first in range(0, count, 500):
        await store.append(events[first : first + 500])


async def events_per_s(
    folder: Path, lab: str, count: int, settings: SyncSettings, *, batch: int | None = None
) -> float:
    """Return the events per second from the connection to the last acknowledgement, with batches of up to `batch`."""
    clock = SystemClock()
    path = folder / f"{lab}.db"
    database = Database.open(path, StoreSettings(reserve_mb=0, ballast_mb=0), clock.boot_id())
    try:
        await fill(SqliteStore(database), count)
        publisher = MqttPublisher(settings, lab)
        identity = LabIdentity(lab, clock.boot_id(), database.epoch, "0", "0")
        relay = OutboxRelay(SqliteOutbox(database), publisher, clock, identity, settings)
        with contextlib.ExitStack() as stack:
            if batch is not None:
                stack.enter_context(patch("edge.sync.track.MAX_EVENTS", batch))
            begin = time.perf_counter()
            tasks = [asyncio.create_task(relay.run()), asyncio.create_task(publisher.run())]
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while relay.status().acknowledged is None or any(relay.status().waiting.values()):  # noqa: ASYNC110
                        await asyncio.sleep(0.002)
                seconds = time.perf_counter() - begin
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        database.close()
    return count / seconds


def in_ledger(path: Path) -> int:
    """Return the number of facts that the office has."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("select count(*) from event").fetchone()
    return int(count)


async def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    many, few = (10_000, 400) if quick else (40_000, 2_000)
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        lab = Laboratory(Options(folder))
        if lab.broker is None:
            print("No Mosquitto here: nothing to measure.", file=sys.stderr)
            return []
        base = SyncSettings(host="127.0.0.1", port=lab.broker_port, metrics_linger_s=0)
        await lab.broker.start()
        try:
            await lab.office.start()
            usual = await events_per_s(folder, "usual", many, base)
            unpaced = base.model_copy(update={"batches_per_s": UNPACED})
            fast = await events_per_s(folder, "unpaced", many, unpaced)
            widest = unpaced.model_copy(update={"in_flight": 16})
            singly = await events_per_s(folder, "singly", few, widest, batch=1)
            found, sent = in_ledger(folder / "office.sqlite3"), 2 * many + few
            if found != sent:
                raise OSError(f"the office has {found} events of {sent}")
        finally:
            await lab.office.stop()
            await lab.broker.stop()
    return [
        row("backlog to the office's ledger, as configured", usual, "events/s", REFERENCE, singly),
        row("backlog to the office's ledger, without pacing", fast, "events/s", REFERENCE, singly),
    ]
