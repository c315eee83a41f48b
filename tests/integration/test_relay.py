# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay against a real Mosquitto: whatever the link does, each fact arrives once in effect and nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.domain.events import Event, EventType
from edge.domain.machine import Execution, MachineState, Position
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.live import LiveTopics
from edge.sync.publisher import MqttPublisher
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import AckHeard, Acknowledged, LabIdentity
from tests.hardware_sim.lab.ports import free_port
from tests.support.air import OFFICE_NS, SmallOffice, eventually
from tests.support.broker import Mosquitto
from tests.support.facts import FixedClock, headcount, metric, session
from tests.support.slow_link import slow_link
from wire import topics
from wire.batch import CONTENT_TYPE, Ack

LAB = "lab-1"


pytest_plugins = ["tests.support.air_fixtures"]


@dataclass
class Van:
    """A lab without machines: store, relay and publisher as the service has them."""

    database: Database
    settings: SyncSettings
    clock: FixedClock = field(default_factory=FixedClock)
    software: str = "0.1.0"

    def __post_init__(self) -> None:
        self.store = SqliteStore(self.database)
        self.outbox = SqliteOutbox(self.database)
        self.publisher = MqttPublisher(self.settings, LAB)
        identity = LabIdentity(LAB, self.clock.boot_id(), self.database.epoch, self.software, "c0ffee")
        self.relay = OutboxRelay(self.outbox, self.publisher, self.clock, identity, self.settings)

    async def count(self, *events: Event) -> None:
        await self.store.append(events)
        self.relay.notify()

    @property
    def waiting(self) -> int:
        return sum(self.relay.status().waiting.values())


@asynccontextmanager
async def van(folder: Path, broker: Mosquitto, *, software: str = "0.1.0", **changes: object) -> AsyncIterator[Van]:
    """Run a lab on the database in `folder`; leaving the context is a clean shutdown."""
    settings = SyncSettings.model_validate(
        {"host": broker.host, "port": broker.port, "retry_min_s": 0.05, "retry_max_s": 0.2, "resend_min_s": 0.3}
        | {"metrics_linger_s": 0.0, **changes}
    )
    database = Database.open(folder / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")
    lab = Van(database, settings, software=software)
    tasks = [asyncio.create_task(lab.publisher.run()), asyncio.create_task(lab.relay.run())]
    try:
        yield lab
    finally:
        for task in tasks:
            task.cancel()
        outcome = await asyncio.gather(*tasks, return_exceptions=True)
        database.close()
        assert all(isinstance(error, asyncio.CancelledError) for error in outcome), outcome


async def ended_epoch(folder: Path, *facts: Event) -> str:
    """Let an epoch of the database in `folder` begin, hold facts and end unsent; return its name."""
    database = Database.open(folder / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")
    await SqliteStore(database).append(facts)
    await asyncio.to_thread(database.close)
    return database.epoch


async def drained(lab: Van) -> None:
    await eventually(lambda: lab.relay.status().acknowledged is not None and lab.waiting == 0)


async def test_presence_comes_before_the_backlog_and_the_backlog_by_priority(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        await lab.count(*(metric(i) for i in range(700)), *(session(i) for i in range(1_200)), headcount(25))
        await drained(lab)
        totals = {lab.store.epoch: {"people": 25, "corrected": 0, "sessions": 1_200}}
        await eventually(lambda: office.presences[-1].totals == totals)
        first = office.presences[0]
        assert (first.state, first.boot, first.epoch, first.software) == ("online", "boot-1", lab.store.epoch, "0.1.0")
    assert office.order[0] == "presence"
    assert [name for name in office.order if name != "presence"] == ["visits"] * 3 + ["metrics"] * 2
    assert [arrival.batch.n for arrival in office.arrivals] == [500, 500, 201, 500, 200]
    assert office.broken == []
    arrival = office.arrivals[1]
    assert arrival.content_type == CONTENT_TYPE
    assert arrival.user == {"enc": "zstd", "ep": arrival.batch.epoch, "s0": "501", "n": "500"}
    assert arrival.batch.boot == "boot-1"


async def test_how_an_epoch_began_goes_before_what_was_counted_in_it(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    fault = Event(EventType.MACHINE_FAULT, {"machine": "router", "fault": "FAULT", "reason": ""}, 1, 1)
    began = [
        await ended_epoch(tmp_path, fault, *(session(number * 1_000 + i) for i in range(600))) for number in range(3)
    ]
    async with van(tmp_path, broker, in_flight=1) as lab:
        await drained(lab)
    order = list(dict.fromkeys((arrival.batch.epoch, arrival.batch.stream) for arrival in office.arrivals))
    assert order == [(epoch, stream) for epoch in began for stream in ("safety", "visits")]
    assert office.broken == []


async def test_a_fact_goes_out_at_once_and_its_count_within_a_second(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        await eventually(lambda: len(office.presences) == 1)
        for number in range(1, 4):
            await lab.count(session(number))
            await eventually(lambda: len(office.bodies("visits")) == number)  # noqa: B023 - awaited in the turn
        epoch = lab.store.epoch
        await eventually(lambda: office.presences[-1].totals[epoch]["sessions"] == 3)
        assert len(office.presences) <= 4
        await drained(lab)
        status = lab.relay.status()
        assert status.connected
        assert status.waiting == {"visits": 0, "safety": 0, "jobs": 0, "metrics": 0}
        assert status.acknowledged == Acknowledged(1_000_000_000, OFFICE_NS + 3)
        assert (status.oldest_waiting_s, status.last_error, status.batches_resent) == (None, "", 0)


async def test_a_relay_that_starts_on_an_open_connection_greets_too(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        await eventually(lambda: len(office.presences) == 1)
        identity = LabIdentity(LAB, "boot-1", lab.store.epoch, "0.2.0", "c0ffee")
        late = OutboxRelay(lab.outbox, lab.publisher, lab.clock, identity, lab.settings)
        task = asyncio.create_task(late.run())
        await eventually(lambda: office.presences[-1].software == "0.2.0")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_farewell_is_retained(tmp_path: Path, broker: Mosquitto) -> None:
    async with van(tmp_path, broker) as lab:
        await eventually(lambda: lab.publisher.connected)
    with SmallOffice(broker.host, broker.port) as office:
        await eventually(lambda: bool(office.presences))
        assert [presence.state for presence in office.presences] == ["offline"]


async def test_the_will_is_the_farewell_after_thirty_seconds(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        await eventually(lambda: len(office.presences) == 1)
        connection = lab.publisher._connection
        assert connection is not None
        will = connection._client
        assert (will.will_topic, b"offline" in (will.will_payload or b"")) == (topics.presence(LAB), True)
        assert will._will_properties.WillDelayInterval == 30
        assert will._will_retain


async def test_facts_wait_for_a_broker_that_comes_late_and_the_wait_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broker = Mosquitto(tmp_path)
    async with van(tmp_path, broker) as lab:
        await lab.count(*(session(i) for i in range(10)))
        await eventually(lambda: lab.waiting == 10)
        await eventually(lambda: "refused" in lab.relay.status().last_error)
        assert not lab.relay.status().connected
        assert lab.relay.status().oldest_waiting_s == pytest.approx(1.0, abs=0.02)
        with broker, SmallOffice(broker.host, broker.port) as office:
            await drained(lab)
            assert len(office.bodies("visits")) == 10
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("edge.sync")]
    assert len(lines) == 2 + lines[2:].count(lines[0])
    assert "facts wait" in lines[0]
    assert "there again" in lines[1]


async def test_a_broker_that_is_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    stop = asyncio.Event()
    counted = 0

    async def people(lab: Van) -> None:
        nonlocal counted
        while not stop.is_set():
            await lab.count(session(counted), metric(counted))
            counted += 1
            await asyncio.sleep(0.002)

    with SmallOffice(broker.host, broker.port) as office:
        async with van(tmp_path, broker) as lab:
            kiosk = asyncio.create_task(people(lab))
            for _ in range(5):
                seen = len(office.arrivals)
                await eventually(lambda: len(office.arrivals) > seen + 2)  # noqa: B023 - awaited in the turn
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
            stop.set()
            await kiosk
            await drained(lab)
    assert [body["session"] for body in office.bodies("visits")] == [f"s{i}" for i in range(counted)]
    assert len(office.bodies("metrics")) == counted
    assert office.broken == []


async def test_without_acknowledgements_the_same_bytes_come_again(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    silent = True
    office.mute = lambda batch: silent
    async with van(tmp_path, broker) as lab:
        await lab.count(*(session(i) for i in range(1_100)))
        await eventually(lambda: len(office.arrivals) >= 7)
        assert lab.waiting == 1_100
        silent = False
        await drained(lab)
        assert lab.relay.status().batches_resent >= 4
    by_start: dict[int, set[bytes]] = {}
    for arrival in office.arrivals:
        by_start.setdefault(arrival.batch.s0, set()).add(arrival.payload)
    assert {s0: len(payloads) for s0, payloads in by_start.items()} == {1: 1, 501: 1, 1_001: 1}
    assert office.broken == []


async def test_a_restart_of_the_lab_sends_the_cut_batches_again_and_the_chain_holds(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.mute = lambda batch: True
    epochs = []
    for number in range(2):
        async with van(tmp_path, broker) as lab:
            epochs.append(lab.store.epoch)
            await lab.count(*(session(1_000 * number + i) for i in range(3)))
            await eventually(lambda: office.watermark("visits", epochs[-1]) == 3)
            if number == 0:
                # Stored, and not cut into batches before the next start.
                await lab.store.append([session(3 + i) for i in range(700)])
    assert office.watermark("visits", epochs[0]) == 503
    sent_before = len(office.arrivals)
    office.mute = lambda batch: False
    async with van(tmp_path, broker) as lab:
        await lab.count(session(9_999))
        epochs.append(lab.store.epoch)
        await drained(lab)
        again = [arrival.batch.epoch for arrival in office.arrivals[sent_before:]]
        assert list(dict.fromkeys(again)) == epochs
        assert office.presences[-1].closed == {epochs[0]: {"visits": 703}, epochs[1]: {"visits": 3}}
    assert office.broken == []
    assert len(office.bodies("visits")) == 703 + 3 + 1


async def test_a_missing_range_comes_again_before_its_time_out(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    dropped: list[int] = []

    def lose_the_second_batch_once(batch: object) -> bool:
        s0 = getattr(batch, "s0", 0)
        if s0 == 501 and not dropped:
            dropped.append(s0)
            return True
        return False

    office.deaf = lose_the_second_batch_once
    async with van(tmp_path, broker, resend_min_s=600.0) as lab:
        await lab.count(*(session(i) for i in range(2_000)))
        await drained(lab)
        assert lab.relay.status().batches_resent >= 1
    assert dropped == [501]
    assert [body["session"] for body in office.bodies("visits")] == [f"s{i}" for i in range(2_000)]


async def test_garbage_and_impossible_acknowledgements_are_ignored_and_counted(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.mute = lambda batch: True
    async with van(tmp_path, broker, resend_min_s=600.0) as lab:
        await lab.count(*(session(i) for i in range(5)))
        await eventually(lambda: len(office.arrivals) == 1)
        epoch = lab.store.epoch
        bad = [b"", b"\xff\x00", b"[]", b'{"v":1,"epoch":"\\ud800","w":1,"missing":[],"time":0}', b"{" * 100_000]
        for payload in bad:
            office.say(topics.ack(LAB, "visits"), payload)
        office.say(f"im/v1/{LAB}/ack/unknown", b"{}")
        office.acknowledge(Ack("visits", "another epoch", 5))
        office.acknowledge(Ack("safety", epoch, 1))
        office.acknowledge(Ack("visits", epoch, 6))
        office.acknowledge(Ack("visits", epoch, 2**53))
        await eventually(lambda: lab.relay.status().acks_ignored == len(bad) + 5)
        assert lab.waiting == 5
        office.acknowledge(Ack("visits", epoch, 3))
        office.acknowledge(Ack("visits", epoch, 0))
        office.acknowledge(Ack("visits", epoch, 5, ((2, 2**40), (1, 1))))
        office.acknowledge(Ack("visits", epoch, 5))
        await drained(lab)
        assert (await lab.outbox.heads())[0].watermark == 5


async def test_a_stream_that_the_office_never_takes_does_not_hold_up_the_visits(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.deaf = lambda batch: batch.stream in ("metrics", "jobs", "safety")
    async with van(tmp_path, broker, resend_min_s=600.0, in_flight=4) as lab:
        fault = Event(EventType.MACHINE_FAULT, {"machine": "router", "fault": "FAULT", "reason": ""}, 1, 1)
        await lab.count(*(metric(i) for i in range(2_000)), *([fault] * 1_600))
        await eventually(lambda: len(office.arrivals) == 3)
        await lab.count(session(1))
        await eventually(lambda: len(office.bodies("visits")) == 1)
        await eventually(lambda: lab.relay.status().waiting["visits"] == 0)
        assert lab.relay.status().waiting == {"visits": 0, "safety": 1_600, "jobs": 0, "metrics": 2_000}


async def test_metrics_gather_before_they_go(tmp_path: Path, broker: Mosquitto, office: SmallOffice) -> None:
    async with van(tmp_path, broker, metrics_linger_s=600.0) as lab:
        await lab.count(metric(0))
        await drained(lab)
        for number in range(1, 60):
            await lab.count(metric(number))
        await lab.count(session(1))
        await eventually(lambda: len(office.bodies("visits")) == 1)
        await lab.count(*(metric(number) for number in range(60, 510)))
        await eventually(lambda: len(office.bodies("metrics")) == 501)
        await eventually(lambda: lab.relay.status().waiting["metrics"] == 9)
    assert [arrival.batch.n for arrival in office.arrivals if arrival.batch.stream == "metrics"] == [1, 500]


async def test_a_disk_that_refuses_is_said_and_waited_out(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        await lab.store.append([session(1)])
        await lab.database.writer.read(lambda c: c.execute("PRAGMA query_only = 1").fetchone())
        lab.relay.notify()
        await eventually(lambda: "read-only" in lab.relay.status().last_error)
        assert office.arrivals == []
        await lab.database.writer.read(lambda c: c.execute("PRAGMA query_only = 0").fetchone())
        await drained(lab)
        assert lab.relay.status().last_error == ""
    assert office.broken == []


async def test_facts_missing_on_the_disk_stop_their_epoch_only(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice, caplog: pytest.LogCaptureFixture
) -> None:
    async with van(tmp_path, Mosquitto(tmp_path)) as away:
        await away.count(*(session(i) for i in range(5)))
        await away.database.writer.write(lambda c: c.execute("DELETE FROM fact WHERE seq = 3"), durable=True)
        old = away.store.epoch
    async with van(tmp_path, broker) as lab:
        await lab.count(session(99))
        await eventually(lambda: office.watermark("visits", lab.store.epoch) == 1)
        await eventually(lambda: lab.waiting == 3)
        assert office.watermark("visits", old) == 2
    assert "cannot go on: the facts 3 to 3 are missing" in caplog.text


async def test_a_batch_that_changed_on_the_disk_is_sent_all_the_same(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice, caplog: pytest.LogCaptureFixture
) -> None:
    office.deaf = lambda batch: True
    async with van(tmp_path, broker) as lab:
        await lab.count(session(1))
        await eventually(lambda: len(office.arrivals) == 1)
        await lab.database.writer.write(
            lambda c: c.execute("""UPDATE fact SET body = '{"session":"x"}' WHERE seq = 1"""), durable=True
        )
    office.deaf = lambda batch: False
    async with van(tmp_path, broker) as lab:
        await drained(lab)
    assert "not as it was sent first" in caplog.text
    assert office.bodies("visits") == [{"session": "x"}]


async def test_large_bodies_make_smaller_batches(tmp_path: Path, broker: Mosquitto, office: SmallOffice) -> None:
    def large(number: int) -> Event:
        # Text that does not compress: 1.7 MB in 220 facts is more than a message may hold.
        text = "".join(chr(0x4E00 + (number * 7_919 + i * i * 104_729) % 20_000) for i in range(2_600))
        return Event(EventType.JOB_CHANGED, {"reason": text}, 1, 1)

    async with van(tmp_path, broker) as lab:
        await lab.count(*(large(number) for number in range(220)))
        await drained(lab)
    assert len(office.arrivals) > 1
    assert len(office.bodies("jobs")) == 220
    assert office.broken == []


async def test_live_states_are_sparse_expire_and_are_dropped_while_away(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with van(tmp_path, broker) as lab:
        live = LiveTopics(lab.publisher, LAB)
        state = MachineState(execution=Execution.ACTIVE, work_position=Position(1, 2, 3), pins=frozenset("XP"))
        await eventually(lambda: lab.publisher.connected)
        for line in range(100):
            live.show("router", MachineState(line=line))
        live.show("lathe", state)
        live.show("bad", MachineState(feed=float("nan")))
        await eventually(lambda: len(office.live) == 3)
        shown = [(name, json.loads(payload), expiry) for name, payload, expiry in office.live]
        assert [(name, body["line"], expiry) for name, body, expiry in shown] == [
            ("router", 0, 30),
            ("lathe", None, 30),
            ("router", 99, 30),
        ]
        assert (shown[1][1]["execution"], shown[1][1]["pins"]) == ("ACTIVE", ["P", "X"])
        assert shown[1][1]["work_position"] == {"x": 1, "y": 2, "z": 3}
        assert live.dropped == 1
        await asyncio.to_thread(broker.kill)
        await eventually(lambda: not lab.publisher.connected)
        live.show("mill", state)
        assert live.dropped == 2
        live.close()


async def test_a_clean_end_with_the_broker_away_is_quick(tmp_path: Path, broker: Mosquitto) -> None:
    async with van(tmp_path, broker) as lab:
        await eventually(lambda: lab.publisher.connected)
        await asyncio.to_thread(broker.freeze)
        await lab.count(session(1))
        async with asyncio.timeout(10):
            await eventually(lambda: lab.waiting == 1)
    await asyncio.to_thread(broker.thaw)


async def drop(lab: Van, stream: str, first: int, last: int, *, recorded: bool = True) -> None:
    """Take facts of the present epoch from the disk, with their gap beside the head unless nobody knows of it."""
    identity = lab.database.epoch_id

    def work(connection: sqlite3.Connection) -> None:
        place = (identity, stream, first, last)
        connection.execute("DELETE FROM fact WHERE epoch = ? AND stream = ? AND seq BETWEEN ? AND ?", place)
        if recorded:
            connection.execute("INSERT INTO gap (epoch, stream, first, last) VALUES (?, ?, ?, ?)", place)

    await lab.database.writer.write(work, durable=True)


async def test_ranges_dropped_with_a_gap_record_are_passed_and_the_chain_goes_on(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    gaps = [(1, 40), (141, 200), (201, 300), (951, 1_000)]
    office.explained = {seq for first, last in gaps for seq in range(first, last + 1)}
    async with van(tmp_path, Mosquitto(tmp_path)) as away:
        await away.count(*(metric(i) for i in range(1_000)))
        for first, last in gaps:
            await drop(away, "metrics", first, last)
        old = away.store.epoch
    async with van(tmp_path, broker):
        await eventually(lambda: len(office.facts.get(("metrics", old), {})) == 750)
    sent = [(arrival.batch.s0, arrival.batch.last) for arrival in office.arrivals if arrival.batch.epoch == old]
    assert list(dict.fromkeys(sent)) == [(41, 140), (301, 800), (801, 950)]
    firsts = {arrival.batch.s0: arrival.batch.prev for arrival in office.arrivals if arrival.batch.epoch == old}
    assert firsts[41] is None
    assert all(firsts[s0] is not None for s0 in (301, 801))
    assert office.watermark("metrics", old) == 1_000


async def test_a_batch_that_lost_facts_to_a_gap_after_it_was_sent_comes_again_as_what_is_left(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice, caplog: pytest.LogCaptureFixture
) -> None:
    office.deaf = lambda batch: True
    async with van(tmp_path, broker, resend_min_s=600.0) as lab:
        await lab.count(*(metric(i) for i in range(600)))
        await eventually(lambda: len(office.arrivals) == 2)
        old = lab.store.epoch
        await drop(lab, "metrics", 1, 100)
        await drop(lab, "metrics", 201, 300)
        await drop(lab, "metrics", 501, 600)
    office.deaf = lambda batch: False
    office.explained = {*range(1, 101), *range(201, 301), *range(501, 601)}
    async with van(tmp_path, broker):
        await eventually(lambda: len(office.facts.get(("metrics", old), {})) == 300)
    again = [(arrival.batch.s0, arrival.batch.last) for arrival in office.arrivals[2:] if arrival.batch.epoch == old]
    assert list(dict.fromkeys(again)) == [(101, 200), (301, 500)]
    assert "not as it was sent first" not in caplog.text


async def test_an_acknowledgement_beyond_what_was_sent_counts_where_a_gap_record_explains_it(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.mute = lambda batch: True
    async with van(tmp_path, broker, resend_min_s=600.0, metrics_linger_s=600.0) as lab:
        await lab.count(*(metric(i) for i in range(500)))
        await eventually(lambda: len(office.arrivals) == 1)
        await lab.count(*(metric(i) for i in range(500, 600)))
        await drop(lab, "metrics", 501, 560)
        epoch = lab.store.epoch
        office.acknowledge(Ack("metrics", epoch, 561))
        await eventually(lambda: lab.relay.status().acks_ignored == 1)
        office.acknowledge(Ack("metrics", epoch, 560))
        await eventually(lambda: lab.relay.status().acknowledged is not None)
        assert lab.relay.status().acks_ignored == 1


async def test_a_clone_sends_what_the_other_card_has_sent_and_cut_in_another_way(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    office.mute = lambda batch: True
    async with van(tmp_path / "card", broker, resend_min_s=600.0) as lab:
        await lab.count(session(1))
        await eventually(lambda: len(office.arrivals) == 1)
        # These wait uncut for the answer to the first.
        await lab.count(*(session(number) for number in range(2, 5)))
        old = lab.store.epoch
    shutil.copytree(tmp_path / "card", tmp_path / "clone")
    office.mute = lambda batch: False
    for card in ("card", "clone"):
        async with van(tmp_path / card, broker) as lab:
            await drained(lab)
    assert sorted(office.facts["visits", old]) == [1, 2, 3, 4]


async def test_only_the_answer_to_a_first_sending_tells_of_the_clock(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    heard: list[AckHeard] = []
    office.mute = lambda batch: True
    async with van(tmp_path, broker, resend_min_s=600.0) as lab:
        await lab.count(session(1))
        await eventually(lambda: len(office.arrivals) == 1)
    office.mute = lambda batch: False
    async with van(tmp_path, broker) as lab:
        lab.relay.hear(heard.append)
        await drained(lab)
        # Cut and perhaps sent in an earlier life: its answer may be as old as that.
        assert heard == []
        lab.clock.now_ns = 5_000_000_000
        await lab.count(session(2))
        await eventually(lambda: bool(heard))
    assert heard == [AckHeard(5_000_000_000, 5_000_000_000, OFFICE_NS + len(office.arrivals))]


def noise(number: int) -> str:
    """Return text that does not compress below half of its length."""
    return hashlib.blake2b(number.to_bytes(4, "big"), digest_size=8).hexdigest()


def visitor(number: int) -> Event:
    """Return a kiosk session as random as true ones are."""
    return Event(EventType.KIOSK_SESSION, {**session(number).body, "session": noise(number)}, number, 1)


def reading(number: int) -> Event:
    """Return a reading of a machine as random as true ones are."""
    return Event(EventType.MACHINE_STATE, {**metric(number).body, "x": int(noise(number)[:12], 16) / 1e9}, number, 1)


async def test_batches_are_cut_to_the_packets_that_the_broker_takes(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, extra="max_packet_size 3000") as broker,
        SmallOffice(broker.host, broker.port) as office,
    ):
        async with van(tmp_path, broker) as lab:
            await lab.count(*(visitor(number) for number in range(2_000)))
            await drained(lab)
            assert lab.relay.status().last_error == ""
    assert len(office.bodies("visits")) == 2_000
    assert len(office.arrivals) > 4
    assert max(len(arrival.payload) for arrival in office.arrivals) < 3_000
    assert office.broken == []


async def test_what_no_packet_of_the_broker_holds_waits_for_one_that_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "".join(chr(0x4E00 + (i * i * 104_729) % 20_000) for i in range(2_000))
    large = Event(EventType.JOB_CHANGED, {"reason": text}, 1, 1)
    port = free_port()
    with Mosquitto(tmp_path, port) as broker:
        # Cut while the broker took it, and never acknowledged.
        async with van(tmp_path, broker) as lab:
            await lab.count(*(visitor(number) for number in range(500)))
            await eventually(lambda: lab.relay.status().batches_sent == 1)
    with (
        Mosquitto(tmp_path, port, extra="max_packet_size 3000") as broker,
        SmallOffice(broker.host, broker.port) as office,
    ):
        async with van(tmp_path, broker) as lab:
            await lab.count(large, session(1_000))
            await eventually(lambda: len(office.bodies("visits")) == 1)
            await eventually(lambda: caplog.text.count("cannot go on") == 2)
            await eventually(lambda: lab.waiting == 501)
    assert "the broker takes no message as large as the batch 1 to 500" in caplog.text
    assert "the fact 1 is larger than a message may be" in caplog.text
    with Mosquitto(tmp_path, port) as broker, SmallOffice(broker.host, broker.port) as office:
        async with van(tmp_path, broker) as lab:
            await drained(lab)
    assert (len(office.bodies("visits")), len(office.bodies("jobs"))) == (500, 1)


async def test_a_presence_larger_than_the_broker_takes_does_not_hold_up_the_facts(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, extra="max_packet_size 440") as broker,
        SmallOffice(broker.host, broker.port) as office,
    ):
        async with van(tmp_path, broker, software="0.1.0" + "x" * 200) as lab:
            await lab.count(session(1))
            await eventually(lambda: len(office.bodies("visits")) == 1)
            assert office.presences == []
            assert "the broker takes 440" in lab.relay.status().last_error


async def test_one_message_at_a_time_is_enough_for_everything(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, extra="max_inflight_messages 1") as broker,
        SmallOffice(broker.host, broker.port) as office,
    ):
        async with van(tmp_path, broker) as lab:
            await lab.count(*(session(i) for i in range(1_200)), *(metric(i) for i in range(600)))
            await drained(lab)
            assert lab.publisher.window == 1
            totals = {lab.store.epoch: {"people": 0, "corrected": 0, "sessions": 1_200}}
            await eventually(lambda: bool(office.presences) and office.presences[-1].totals == totals)
    assert (len(office.bodies("visits")), len(office.bodies("metrics"))) == (1_200, 600)
    assert office.broken == []


async def test_a_visitor_is_counted_at_the_office_long_before_the_backlog_is_there(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    async with slow_link(broker.port, delay_s=0.02, bytes_per_s=60_000) as port:
        async with van(tmp_path, broker, port=port, resend_min_s=5.0) as lab:
            await lab.count(*(reading(number) for number in range(15_000)))
            await eventually(lambda: len(office.bodies("metrics")) >= 2_000)
            await lab.count(headcount(25))
            await eventually(lambda: office.presences[-1].totals[lab.store.epoch]["people"] == 25)
            await eventually(lambda: len(office.bodies("visits")) == 1)
            assert lab.relay.status().waiting["metrics"] > 3_000
            await drained(lab)
    assert len(office.bodies("metrics")) == 15_000
    assert office.broken == []


async def test_many_epochs_drain_by_priority_and_the_oldest_first(
    tmp_path: Path, broker: Mosquitto, office: SmallOffice
) -> None:
    epochs = [await ended_epoch(tmp_path, metric(number), session(number)) for number in range(40)]
    async with van(tmp_path, broker, in_flight=1) as lab:
        await drained(lab)
    first = dict.fromkeys((arrival.batch.stream, arrival.batch.epoch) for arrival in office.arrivals)
    assert list(first) == [(stream, epoch) for stream in ("visits", "metrics") for epoch in epochs]
    assert office.broken == []
