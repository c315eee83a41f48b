# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the way to the office: bytes per fact, and a backlog through a real Mosquitto, near and far.

The reference sends each fact as a CloudEvents JSON message of its own at QoS 1 with paho's usual window of 20, and is
done when the last one was confirmed. The relay is done when the office has acknowledged everything and the outbox is
empty: it reads from disk, writes each cut with fsync, and prunes. Far is a link with 75 ms each way, a phone has
5 Mbit/s beside that: there the settings are those that a lab has by default, and visitors check in all the while: the
age of presence is the time from a commit at the lab until the office knows the count that holds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt

from benchmarks.bench_store import row, tap
from edge.domain.events import Event, EventType, Scalar
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.publisher import MqttPublisher
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity
from tests.support.broker import Mosquitto
from tests.support.facts import FixedClock
from tests.support.slow_link import slow_link
from wire import topics
from wire.batch import MAX_EVENTS, Ack, Batch, WireEvent
from wire.codec import decode_presence, encode_ack, encode_batch

LAB = "bench"
BACKLOG, BACKLOG_FAR, BACKLOG_PHONE = 50_000, 20_000, 100_000
SINGLE, SINGLE_FAR = 5_000, 300
ONE_WAY_S = 0.075
PHONE_BYTES_PER_S = 625_000
CHECK_IN_S = 0.05
UNPACED = 10_000


def typical(number: int) -> Event:
    """Return one of a mix as on a school day: mostly readings of machines, some sessions, a few headcounts."""
    session = tap(number)
    match number % 20:
        case 0:
            body: dict[str, Scalar] = {
                "visit": f"{7:032x}",
                "group": f"{number % 9}a",
                "role": "pupil",
                "count": number % 30,
            }
            return Event(EventType.HEADCOUNT, body, session.boot_ns, session.wall_ns)
        case 1 | 2 | 3:
            return session
        case _:
            noise = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=8).digest()
            x, y, z, line = (int.from_bytes(noise[i : i + 2], "big") for i in (0, 2, 4, 6))
            body = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE", "part_count": None}
            body |= {"x": x % 300_000 / 1e3, "y": y % 180_000 / 1e3, "z": -(z % 3_000) / 1e3}
            body |= {"feed": 800.0, "spindle": 10_000.0, "line": line % 2_400}
            return Event(EventType.MACHINE_STATE, body, session.boot_ns, session.wall_ns)


def cloud_event(number: int, event: Event) -> bytes:
    """Return the fact as one CloudEvents JSON message."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{7:032x}/{event.stream.value}/{number}",
            "source": f"/labs/{LAB}",
            "type": event.type.value,
            "time": "2026-11-23T08:00:00.000000000Z",
            "datacontenttype": "application/json",
            "boottime": event.boot_ns,
            "data": dict(event.body),
        },
        separators=(",", ":"),
    ).encode()


def bytes_per_fact() -> dict[str, object]:
    """Return the size of full batches of typical facts, per fact; one batch per stream as on the air."""
    facts = [typical(number) for number in range(20 * MAX_EVENTS)]
    packed = count = 0
    for stream in {fact.stream for fact in facts}:
        own = [fact for fact in facts if fact.stream is stream]
        for s0 in range(0, len(own) - MAX_EVENTS + 1, MAX_EVENTS):
            events = tuple(
                WireEvent(fact.type.value, dict(fact.body), fact.boot_ns, fact.wall_ns)
                for fact in own[s0 : s0 + MAX_EVENTS]
            )
            packed += len(encode_batch(Batch(LAB, stream.value, f"{7:032x}", "b" * 36, s0 + 1, b"h" * 32, events))[0])
            count += MAX_EVENTS
    single = sum(len(cloud_event(number, fact)) for number, fact in enumerate(facts)) / len(facts)
    return row("bytes per fact, 500 a batch", packed / count, "B", "one CloudEvents JSON a message", single)


class _Office:
    """Acknowledges everything by its properties alone, so that the office's own work is not measured.

    counted holds what the lab counted and when; ages is how old each of these counts was when presence told it, s.
    """

    def __init__(self, broker: Mosquitto) -> None:
        self.counted: deque[tuple[int, float]] = deque()
        self.ages: list[float] = []
        self._ready = threading.Event()
        self.client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_connect = lambda c, *_: c.subscribe(
            [(f"{topics.ROOT}/{LAB}/up/+", mqtt.SubscribeOptions(1)), (topics.presence(LAB), mqtt.SubscribeOptions(1))]
        )
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._take
        client.connect(broker.host, broker.port)
        client.loop_start()
        self._ready.wait(10)

    def _take(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == topics.presence(LAB):
            totals = decode_presence(LAB, message.payload).totals.values()
            sessions = max((counters["sessions"] for counters in totals), default=0)
            while self.counted and self.counted[0][0] <= sessions:
                self.ages.append(time.monotonic() - self.counted.popleft()[1])
            return
        stream = message.topic.rpartition("/")[2]
        user = dict(message.properties.UserProperty)
        ack = Ack(stream, user["ep"], int(user["s0"]) + int(user["n"]) - 1, (), time.time_ns())
        client.publish(topics.ack(LAB, stream), encode_ack(ack), qos=1)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


async def relayed(
    folder: Path, settings: SyncSettings, facts: Callable[[int], Event], number: int, office: _Office | None = None
) -> float:
    """Return the seconds from connecting until the office has the `number` facts of a backlog.

    With `office` visitors check in meanwhile, and the commits of their sessions are noted there.
    """
    database = Database.open(folder / f"relay-{settings.port}.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot")
    store = SqliteStore(database)
    for start in range(0, number, MAX_EVENTS):
        await store.append([facts(start + index) for index in range(MAX_EVENTS)])
    publisher = MqttPublisher(settings, LAB)
    identity = LabIdentity(LAB, "boot", database.epoch, "0", "0")
    relay = OutboxRelay(SqliteOutbox(database), publisher, FixedClock(), identity, settings)
    visitors = asyncio.create_task(_check_in(database, relay, office)) if office is not None else None
    begin = time.perf_counter()
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(publisher.run())]
    while relay.status().acknowledged is None or _backlog(relay, office):  # noqa: ASYNC110 - a status
        await asyncio.sleep(0.002)
    taken = time.perf_counter() - begin
    for task in (*tasks, visitors) if visitors is not None else tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    database.close()
    return taken


def _backlog(relay: OutboxRelay, office: _Office | None) -> int:
    """Return the facts that wait; of those that come in meanwhile, which are visits, none: metrics go last."""
    waiting = relay.status().waiting
    return sum(waiting.values()) if office is None else waiting["metrics"]


async def _check_in(database: Database, relay: OutboxRelay, office: _Office) -> None:
    """Count a visitor every CHECK_IN_S, as long as it runs, and note when the commit was."""
    store = SqliteStore(database)
    sessions = (await SqliteOutbox(database).totals())[database.epoch]["sessions"]
    number = 10_000_000
    while True:
        number += 1
        await store.append([tap(number)])
        sessions += 1
        office.counted.append((sessions, time.monotonic()))
        relay.notify()
        await asyncio.sleep(CHECK_IN_S)


def singly(port: int, number: int) -> float:
    """Return messages per second, one fact each, from the first until the last is confirmed by the broker."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    begin = time.perf_counter()
    sent = [client.publish(f"{topics.ROOT}/{LAB}/one", cloud_event(n, tap(n)), qos=1) for n in range(number)]
    for info in sent:
        info.wait_for_publish(120)
    taken = time.perf_counter() - begin
    client.disconnect()
    client.loop_stop()
    return number / taken


async def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    rows = [bytes_per_fact()]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        with Mosquitto(folder) as broker:
            office = _Office(broker)
            near = BACKLOG / await relayed(folder, _settings(broker.port, UNPACED), tap, BACKLOG)
            near_singly = await asyncio.to_thread(singly, broker.port, SINGLE)
            async with slow_link(broker.port, delay_s=ONE_WAY_S) as port:
                far = BACKLOG_FAR / await relayed(folder, _settings(port, UNPACED), tap, BACKLOG_FAR)
                far_singly = await asyncio.to_thread(singly, port, SINGLE_FAR)
            async with slow_link(broker.port, delay_s=ONE_WAY_S, bytes_per_s=PHONE_BYTES_PER_S) as port:
                phone = await relayed(folder, _settings(port), typical, BACKLOG_PHONE, office)
                ages = office.ages
                phone_singly = await asyncio.to_thread(singly, port, SINGLE_FAR)
            office.close()
    reference = "one fact a message, QoS 1, window 20"
    phone_name = f"{BACKLOG_PHONE:,} facts over 150 ms and 5 Mbit/s"
    return [
        *rows,
        row("backlog through Mosquitto, loopback", near, "1/s", reference, near_singly),
        row("backlog through Mosquitto, 150 ms round trip", far, "1/s", reference, far_singly),
        row(phone_name, phone, "s", f"{reference}, from {SINGLE_FAR:,}", BACKLOG_PHONE / phone_singly),
        row(f"{phone_name}: presence age meanwhile, longest", max(ages), "s", "the way to the office", ONE_WAY_S),
    ]


def _settings(port: int, batches_per_s: float | None = None) -> SyncSettings:
    settings = SyncSettings(host="127.0.0.1", port=port)
    return settings if batches_per_s is None else settings.model_copy(update={"batches_per_s": batches_per_s})
