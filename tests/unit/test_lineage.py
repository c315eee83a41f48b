# SPDX-License-Identifier: GPL-3.0-or-later
"""The first fact of an epoch, also on a disk that refuses."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from edge.domain.events import EventType, Stream
from edge.services.lineage import Lineage, tell_start
from edge.services.recorder import Recorder
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.fakes import FakeClock, MemoryStore
from wire.events import BODIES

SETTINGS = StoreSettings(ballast_mb=0.1)


async def begin(path: Path) -> tuple[str, dict[str, object]]:
    """Open a database as the service does; return its epoch and the body of the first fact of its safety stream."""
    database = Database.open(path, SETTINGS, "boot-1")
    try:
        recorder = Recorder(SqliteStore(database), FakeClock(), lambda: None)
        aside = database.set_aside is not None
        lineage = Lineage(database.install, database.ordinal, database.previous_epoch, aside)
        await tell_start(recorder, lineage, "boot-1", "1.2.3")
        (fact,) = await SqliteOutbox(database).read(Stream.SAFETY, database.epoch, 0, 10)
    finally:
        database.close()
    assert (fact.seq, fact.type) == (1, EventType.LAB_STARTED)
    BODIES["lab.started"].model_validate({key: value for key, value in fact.body.items() if value is not None})
    return database.epoch, dict(fact.body)


async def test_each_epoch_names_the_one_before_it_and_its_number(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite3"
    first_epoch, first = await begin(path)
    second_epoch, second = await begin(path)
    _, third = await begin(path)
    assert [body["ordinal"] for body in (first, second, third)] == [1, 2, 3]
    assert [body["previous"] for body in (first, second, third)] == [None, first_epoch, second_epoch]
    assert first["install"] == second["install"] == third["install"]
    assert (first["boot"], first["software"], first["set_aside"]) == ("boot-1", "1.2.3", False)


async def test_a_new_database_beside_a_damaged_one_says_so_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite3"
    _, first = await begin(path)
    path.write_bytes(b"not a database" * 1_000)
    _, second = await begin(path)
    assert (second["set_aside"], second["ordinal"], second["previous"]) == (True, 1, None)
    assert second["install"] != first["install"]


async def test_on_a_disk_that_refuses_the_start_waits_as_the_first_of_the_queue(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    store.failing = "the disk is full"
    recorder = Recorder(store, FakeClock(), lambda: None)
    await tell_start(recorder, Lineage("card", 3, "e2", set_aside=False), "boot-1", "1.2.3")
    assert "waits for the disk" in caplog.text
    recorder.note(EventType.STOP_COMMANDED, {"machine": "router", "command": "stop", "origin": "x", "delivered": True})
    store.failing = ""
    task = asyncio.create_task(recorder.run())
    assert await recorder.drain(10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert store.types() == ["lab.started", "stop.commanded"]
