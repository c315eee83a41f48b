# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the way to the office: bytes per fact, and a backlog through a real Mosquitto, near and far.

The reference sends each fact as a CloudEvents JSON message of its own at QoS 1 with paho's usual window of 20, and is
done when the last one was confirmed. The relay is done when the office has acknowledged everything and the outbox is
empty: it reads from disk, writes each cut with fsync, and prunes. Far is a link with 75 ms each way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from wire import topics
from wire.batch import MAX_EVENTS, Ack, Batch, WireEvent
from wire.codec import encode_ack, encode_batch

LAB = "bench"
BACKLOG, BACKLOG_FAR = 50_000, 20_000
SINGLE, SINGLE_FAR = 5_000, 300
ONE_WAY_S = 0.075


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
    """Acknowledges everything by its properties alone, so that the office's own work is not measured."""

    def __init__(self, broker: Mosquitto) -> None:
        self._ready = threading.Event()
        self.client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_connect = lambda c, *_: c.subscribe(f"{topics.ROOT}/{LAB}/up/+", qos=1)
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._acknowledge
        client.connect(broker.host, broker.port)
        client.loop_start()
        self._ready.wait(10)

    def _acknowledge(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        stream = message.topic.rpartition("/")[2]
        user = dict(message.properties.UserProperty)
        ack = Ack(stream, user["ep"], int(user["s0"]) + int(user["n"]) - 1, (), time.time_ns())
        client.publish(topics.ack(LAB, stream), encode_ack(ack), qos=1)

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()


@asynccontextmanager
async def far_away(port: int) -> AsyncIterator[int]:
    """Forward a port of loopback to `port` with ONE_WAY_S delay in each direction; any rate."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await reader.read(65_536):
            loop.call_later(ONE_WAY_S, writer.write, chunk)
        loop.call_later(ONE_WAY_S, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        for ends in ((reader, far_writer), (far_reader, writer)):
            tasks.add(asyncio.create_task(pump(*ends)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.sleep(3 * ONE_WAY_S)
        for task in tasks:
            task.cancel()


async def relayed(folder: Path, port: int, number: int) -> float:
    """Return facts per second from connecting until the outbox is empty."""
    database = Database.open(folder / f"relay-{port}.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot")
    store = SqliteStore(database)
    for start in range(0, number, MAX_EVENTS):
        await store.append([tap(start + index) for index in range(MAX_EVENTS)])
    settings = SyncSettings(host="127.0.0.1", port=port, batches_per_s=10_000)
    publisher = MqttPublisher(settings, LAB)
    identity = LabIdentity(LAB, "boot", database.epoch, "0", "0")
    relay = OutboxRelay(SqliteOutbox(database), publisher, FixedClock(), identity, settings)
    begin = time.perf_counter()
    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(publisher.run())]
    while relay.status().acknowledged is None or any(relay.status().waiting.values()):  # noqa: ASYNC110 - a status is read
        await asyncio.sleep(0.002)
    taken = time.perf_counter() - begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    database.close()
    return number / taken


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
            near = await relayed(folder, broker.port, BACKLOG)
            near_singly = await asyncio.to_thread(singly, broker.port, SINGLE)
            async with far_away(broker.port) as port:
                far = await relayed(folder, port, BACKLOG_FAR)
                far_singly = await asyncio.to_thread(singly, port, SINGLE_FAR)
            office.close()
    reference = "one fact a message, QoS 1, window 20"
    return [
        *rows,
        row("backlog through Mosquitto, loopback", near, "1/s", reference, near_singly),
        row("backlog through Mosquitto, 150 ms round trip", far, "1/s", reference, far_singly),
    ]
