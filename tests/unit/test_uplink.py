# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab says of its health, and the way to the office where there is none."""

from __future__ import annotations

import asyncio
from collections import namedtuple
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge import uplink as uplink_module
from edge.domain.errors import StoreUnavailable
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import Room, SqliteStore
from edge.sync.status import LabIdentity, no_health
from edge.uplink import NOT_CONFIGURED, LabHealth, Uplink
from office.broker import Authority
from office.broker.mosquitto import Listening
from tests.support.air import eventually
from tests.support.facts import FixedClock, session

Usage = namedtuple("Usage", "total used free")


async def room() -> Room:
    return Room({}, 3)


@pytest.mark.parametrize(
    ("free", "state", "told_mb"),
    [(500, "full", 0), (63_900_000, "low", 0), (64_000_001, "ok", 0), (31_499_000_000, "ok", 31_400)],
)
async def test_the_disk_is_ok_low_or_full_by_the_reserve_that_readings_give_way_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str, told_mb: int
) -> None:
    monkeypatch.setattr(uplink_module.shutil, "disk_usage", lambda folder: Usage(64_000_000_000, 0, free))
    words = await LabHealth(tmp_path, 64, room, lambda: "free").words()
    assert words == {"clock": "free", "metrics_dropped": 3, "disk_free_mb": told_mb, "disk_state": state}


async def test_a_disk_that_does_not_tell_is_said_to_be_so(tmp_path: Path) -> None:
    words = await LabHealth(tmp_path / "gone", 64, room, lambda: "unset").words()
    assert words == {"clock": "unset", "metrics_dropped": 3, "disk_state": "unreadable"}


async def test_the_last_day_of_the_certificate_is_told_while_it_can_be_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "broker", lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))
    authority.init(("localhost",), Listening(tmp_path))
    certificate = authority.issue("van-1") / "van-1.pem"
    health = LabHealth(tmp_path, 64, room, lambda: "free", certificate)
    assert (await health.words())["certificate_ends"] == "2029-11-22"
    certificate.write_text("damaged")
    assert "certificate_ends" not in await health.words()
    certificate.unlink()
    assert "certificate_ends" not in await health.words()


async def test_a_store_that_does_not_answer_is_no_health(tmp_path: Path) -> None:
    async def away() -> Room:
        raise StoreUnavailable(reason="the disk is full")

    with pytest.raises(StoreUnavailable):
        await LabHealth(tmp_path, 64, away, lambda: "unset").words()


async def test_without_a_broker_facts_are_counted_and_nobody_is_heard(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")
    store, clock = SqliteStore(database), FixedClock()
    identity = LabIdentity("lab-1", clock.boot_id(), database.epoch, "0", "0")
    way = Uplink(None, SqliteOutbox(database), clock, identity, no_health)
    way.hear(pytest.fail)
    running = asyncio.create_task(way.run())
    try:
        await store.append([session(1), session(2)])
        way.notify()
        await eventually(lambda: way.status().waiting["visits"] == 2)
        assert (way.status().connected, way.status().last_error) == (False, NOT_CONFIGURED)
        await way.flush(5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(database.close)
