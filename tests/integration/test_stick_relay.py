# SPDX-License-Identifier: GPL-3.0-or-later
"""Stick and relay on one outbox, with a real Mosquitto: one cuts, the other sends the same; the office knows both."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.keys import lab_key
from edge.stick.export import Export, Exported
from edge.store.guest import GuestDatabase
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.sync.status import LabIdentity
from office.stick import read_stick
from tests.integration.test_relay import LAB, drained, van
from tests.support.air import SmallOffice, eventually
from tests.support.broker import Mosquitto
from tests.support.facts import headcount, metric, session
from wire.batch import Batch
from wire.codec import decode_batch

pytest_plugins = ["tests.support.air_fixtures"]


async def export(folder: Path) -> Exported:
    """Write a stick from the database in `folder`, as the command line does while the service runs."""
    guest = GuestDatabase.visit(folder / "lab.db", StoreSettings(ballast_mb=0))
    stick = folder / "stick"
    stick.mkdir(exist_ok=True)
    try:
        identity = LabIdentity(LAB, guest.boot, guest.epoch, "0.1.0", "c0ffee")
        return await Export(SqliteOutbox(guest), identity, lab_key(folder / "keys"), stick, LAB).run()
    finally:
        await asyncio.to_thread(guest.close)


def batches(done: Exported) -> dict[bytes, Batch]:
    """Return what is on the sticks, by payload."""
    found: dict[bytes, Batch] = {}
    for path in done.files:
        with path.open("rb") as file:
            for listed, content in read_stick(file).contents():
                if listed.stream is not None:
                    found[content] = decode_batch(LAB, listed.stream, content)[0]
    return found


def bring(office: SmallOffice, done: Exported) -> None:
    """Let the office have what is on the sticks."""
    for batch in batches(done).values():
        known = office.facts.setdefault((batch.stream, batch.epoch), {})
        known.update(enumerate(batch.events, start=batch.s0))


async def test_what_a_stick_has_brought_is_acknowledged_at_the_next_connection(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    """The office's watermark is far beyond what this connection has sent, and the window holds but a few of all."""
    async with van(tmp_path, broker) as lab:
        office.deaf = lambda batch: True
        await lab.count(*(session(number) for number in range(6_000)), headcount(25))
        done = await export(tmp_path)
        assert done.left == []
    office.deaf = lambda batch: False
    bring(office, done)
    before = len(office.arrivals)
    async with van(tmp_path, broker, in_flight=2) as lab:
        await drained(lab)
        assert lab.relay.status().acks_ignored == 0
    assert len(office.arrivals) - before <= 4, "most of it was not sent again"
    assert len(office.bodies("visits")) == 6_001
    assert office.broken == []


async def test_a_stick_that_is_written_and_brought_while_the_line_is_up_but_silent(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.deaf = lambda batch: True
    async with van(tmp_path, broker, in_flight=1) as lab:
        await lab.count(*(session(number) for number in range(3_000)))
        await eventually(lambda: len(office.arrivals) >= 1)
        done = await export(tmp_path)
        bring(office, done)
        office.deaf = lambda batch: False
        await drained(lab)
    sent = {arrival.payload for arrival in office.arrivals}
    assert sent <= set(batches(done)), "whoever cut it, it is the same batch"
    assert len(office.bodies("visits")) == 3_000
    assert office.broken == []


async def test_service_and_stick_cut_at_the_same_time_and_agree(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    payloads: dict[tuple[str, str, int], bytes] = {}
    async with van(tmp_path, broker, resend_min_s=0.05) as lab:
        sticks: list[Exported] = []
        for number in range(12):
            await lab.count(*(session(number * 100 + n) for n in range(100)), metric(number))
            sticks.append(await export(tmp_path))
            assert sticks[-1].left == []
        await drained(lab)
    for done in sticks:
        for payload, batch in batches(done).items():
            assert payloads.setdefault((batch.stream, batch.epoch, batch.s0), payload) == payload
    for arrival in office.arrivals:
        key = (arrival.batch.stream, arrival.batch.epoch, arrival.batch.s0)
        assert payloads.get(key, arrival.payload) == arrival.payload
    assert len(office.bodies("visits")) == 1_200
    assert office.broken == []
