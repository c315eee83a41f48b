# SPDX-License-Identifier: GPL-3.0-or-later
"""A record that is damaged at work, in front of a real broker: a new epoch, and the office gets what was readable."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from edge.services.lineage import Lineage, tell_start
from edge.services.recorder import Recorder
from edge.store.carving import PAGE
from edge.store.database import Database
from edge.store.keeper import RecordKeeper
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity, no_health
from edge.uplink import Uplink
from tests.support.air import SmallOffice, eventually
from tests.support.broker import Mosquitto
from tests.support.facts import FixedClock, headcount, session
from wire.batch import WireEvent


@pytest.fixture
def office(tmp_path: Path) -> Iterator[SmallOffice]:
    with Mosquitto(tmp_path) as broker, SmallOffice(broker.host, broker.port) as running:
        yield running


@pytest.fixture
async def lab() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def spoil_end(database: Database, connection: sqlite3.Connection) -> None:
    """Overwrite the last pages of the open file, where the next fact would go."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA shrink_memory")
    with database.path.open("r+b") as file:
        file.seek(-6 * PAGE, 2)
        file.write(b"\xff" * 6 * PAGE)


async def test_the_office_hears_of_the_new_epoch_and_gets_what_was_readable(
    tmp_path: Path, office: SmallOffice, lab: AsyncExitStack
) -> None:
    office.deaf = lambda batch: True
    database = Database.open(tmp_path / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")
    lab.callback(database.close)
    clock, store = FixedClock(), SqliteStore(database)
    sync = SyncSettings.model_validate(
        {"host": office.host, "port": office.port, "retry_min_s": 0.05, "retry_max_s": 0.2, "resend_min_s": 0.3}
    )
    identity = LabIdentity("lab-1", "boot-1", database.epoch, "0.1.0", "c0ffee", install=database.install, ordinal=1)
    uplink = Uplink(sync, SqliteOutbox(database), clock, identity, no_health)
    recorder = Recorder(store, clock, uplink.notify)

    async def renewed() -> None:
        uplink.renew(replace(identity, epoch=database.epoch, install=database.install, ordinal=database.ordinal))
        lineage = Lineage(database.install, database.ordinal, database.previous_epoch, database.set_aside is not None)
        await tell_start(recorder, lineage, "boot-1", "0.1.0")

    keeper = RecordKeeper(database, clock, on_renewed=renewed, changed=uplink.review)
    tasks = [asyncio.create_task(keeper.run()), asyncio.create_task(uplink.run())]
    lab.push_async_callback(ended, tasks)
    await recorder.commit([session(number) for number in range(3_000)])
    old, install = database.epoch, database.install
    await eventually(lambda: len(office.arrivals) > 2)

    await database.writer.read(lambda connection: spoil_end(database, connection))
    (thanked,) = await recorder.commit([headcount(25)])
    assert thanked.epoch == database.epoch != old
    office.deaf = lambda batch: False
    await eventually(lambda: office.presences[-1].epoch == database.epoch and old in office.presences[-1].totals)
    word = office.presences[-1]
    assert (word.ordinal, word.totals[database.epoch]["people"], word.totals[old]["sessions"]) == (1, 25, 3_000)
    assert word.install == database.install != install
    await eventually(lambda: office.watermark("visits", old) > 2_000)
    await eventually(lambda: bool(hear_gaps(office, old)) and not any(uplink.status().waiting.values()), 30)
    assert office.watermark("visits", database.epoch) == 1
    named, have = hear_gaps(office, old), set(office.facts["visits", old])
    assert named
    assert not named & have
    assert named | have == set(range(1, 3_001))
    (started,) = (fact.body for fact in safety(office) if fact.type == "lab.started")
    assert started["set_aside"] is True
    assert office.broken == []


def safety(office: SmallOffice) -> list[WireEvent]:
    batches = {(a.batch.epoch, a.batch.s0): a.batch for a in office.arrivals if a.batch.stream == "safety"}
    return [fact for batch in batches.values() for fact in batch.events]


def hear_gaps(office: SmallOffice, epoch: str) -> set[int]:
    """Let the office know what the gap records name, as a real one does; return the seqs of visits."""
    for fact in safety(office):
        if fact.type == "stream.gap":
            assert (fact.body["stream"], fact.body["epoch"], fact.body["reason"]) == ("visits", epoch, "lost")
            office.explained |= set(range(int(str(fact.body["first"])), int(str(fact.body["last"])) + 1))
    return office.explained


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_without_a_broker_a_new_epoch_is_counted_anew(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")
    identity = LabIdentity("lab-1", "boot-1", database.epoch, "0.1.0", "c0ffee")

    async def life() -> None:
        uplink = Uplink(None, SqliteOutbox(database), FixedClock(), identity, no_health)
        running = asyncio.create_task(uplink.run())
        await SqliteStore(database).append([session(1)])
        uplink.renew(replace(identity, epoch="another"))
        await eventually(lambda: uplink.status().waiting["visits"] == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(life())
    database.close()
