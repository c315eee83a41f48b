# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes messages.jsonl: what a lab and an office of IM-1 1.0 say to each other over a real Mosquitto.

To be run in a checkout of commit 1c235e6 whose folder is the first on PYTHONPATH, with the folder to write to as its
argument. Kept so that anyone can see where the frozen messages come from; it does not run with later code.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from edge.domain.events import Event, EventType, Scalar
from edge.domain.machine import Execution, MachineState, Position
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.live import LiveTopics
from edge.sync.publisher import MqttPublisher
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity
from office.config import BrokerSettings
from office.ingest import Ingest
from office.ledger import Ledger
from tests.support.air import eventually
from tests.support.broker import Mosquitto
from tests.support.facts import FixedClock

LAB = "lab-1"
ACTIVE: dict[str, Scalar] = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE"}
FACTS: list[tuple[str, dict[str, Scalar]]] = [
    (
        "visit.opened",
        {
            "visit": "v1",
            "school": "Žemaitijos gimnazija",
            "municipality": "Kretingos r.",
            "date": "2026-10-05",
            "group": "7a",
            "expected": 25,
            "language": "lt",
        },
    ),
    ("visit.headcount", {"visit": "v1", "group": "7a", "role": "pupil", "count": 25, "reason": ""}),
    ("visit.headcount", {"visit": "v1", "group": "7a", "role": "teacher", "count": 2, "reason": ""}),
    ("visit.headcount", {"visit": "v1", "group": "7a", "role": "vet_trainer", "count": 1, "reason": ""}),
    ("visit.headcount", {"visit": "v1", "group": "7a", "role": "pupil", "count": -1, "reason": "counted twice"}),
    ("kiosk.session", {"session": "s1", "kiosk": "kiosk-1", "language": "lt", "visit": "v1"}),
    ("kiosk.session", {"session": "s2", "kiosk": "kiosk-2", "language": "en", "visit": None}),
    ("visit.closed", {"visit": "v1"}),
    (
        "interlock.tripped",
        {
            "machine": "router",
            "input": "door",
            "source": "gpio",
            "status": "OPEN",
            "age_ms": 1.5,
            "in_motion": True,
        },
    ),
    ("interlock.reset", {"machine": "router"}),
    ("machine.fault", {"machine": "router", "fault": "FAULT", "reason": "ALARM:1"}),
    ("stop.commanded", {"machine": "router", "command": "stop", "origin": "console", "delivered": True}),
    ("opening.item", {"machine": "router", "item": "clamps", "by": "person"}),
    (
        "job.changed",
        {
            "job": "j1",
            "claim": 7,
            "machine": "router",
            "program": "name-tag",
            "origin": "kiosk",
            "state": "FINISHED",
            "reason": "",
            "visit": "v1",
            "estimate_s": 61.5,
            "guess_s": 90.0,
            "actual_s": 60.25,
            "lines": 240,
            "turn": 0,
        },
    ),
    ("machine.state", {**ACTIVE, "x": 1.5, "y": -2.0, "z": 0.25, "feed": 800.0, "spindle": 10000.0, "line": 12}),
    ("machine.state", {**ACTIVE, "execution": "READY", "part_count": 3, "link_grade": "good", "link_damaged": 0}),
]


def events(first: int) -> list[Event]:
    """Return the facts, `first` seconds after the boot, with a wall clock of 1970: the lab has none that runs."""
    return [
        Event(EventType(kind), body, (first + n) * 1_000_000_000, (first + n) * 1_000_000_000 + 7)
        for n, (kind, body) in enumerate(FACTS)
    ]


class Ear:
    """Keeps everything that passes the broker."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[dict[str, Any]] = []
        ready = threading.Event()
        self.client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        options = mqtt.SubscribeOptions(1, retainAsPublished=True)
        client.on_connect = lambda c, *_: c.subscribe([("im/v1/#", options)])
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _client, _data, message: self._hear(message)
        client.connect(broker.host, broker.port)
        client.loop_start()
        ready.wait(10)

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        said = vars(message.properties)
        self.heard.append(
            {
                "topic": message.topic,
                "qos": message.qos,
                "retain": message.retain,
                "content_type": said.get("ContentType"),
                "expiry_s": said.get("MessageExpiryInterval"),
                "user": [list(pair) for pair in said.get("UserProperty", [])],
                "payload": base64.b64encode(message.payload).decode(),
            }
        )


def opened(folder: Path) -> Database:
    """Open the lab's database: a new epoch each time."""
    return Database.open(folder / "lab.db", StoreSettings(reserve_mb=0, ballast_mb=0), "boot-1")


async def main(target: Path) -> None:
    """Let lab and office of this checkout talk, and write down what was said."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        former = opened(folder)
        await SqliteStore(former).append(events(1))
        former.close()
        with Mosquitto(folder) as broker:
            ear = Ear(broker)
            ledger = Ledger(f"sqlite:///{folder / 'office.sqlite3'}")
            ingest = Ingest(BrokerSettings(host=broker.host, port=broker.port), ledger)
            database = opened(folder)
            settings = SyncSettings(host=broker.host, port=broker.port, metrics_linger_s=0)
            publisher = MqttPublisher(settings, LAB)
            identity = LabIdentity(LAB, "boot-1", database.epoch, "0.1.0", "c0ffee")
            clock = FixedClock()
            relay = OutboxRelay(SqliteOutbox(database), publisher, clock, identity, settings)
            tasks = [asyncio.create_task(ingest.run())]
            await ingest.wait_connected()
            tasks += [asyncio.create_task(relay.run()), asyncio.create_task(publisher.run())]
            await eventually(lambda: relay.status().connected)
            live = LiveTopics(publisher, LAB)
            live.show("router", MachineState(execution=Execution.ACTIVE, work_position=Position(1, 2, 3)))
            await SqliteStore(database).append(events(100))
            relay.notify()
            await eventually(lambda: relay.status().acknowledged is not None)
            await eventually(lambda: not any(relay.status().waiting.values()))
            await eventually(lambda: sum("/up/" in item["topic"] for item in ear.heard) >= 8)
            await asyncio.sleep(2)
            live.close()
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await eventually(lambda: b'"offline"' in base64.b64decode(ear.heard[-1]["payload"]))
            database.close()
            await ledger.close()
            ear.client.disconnect()
            ear.client.loop_stop()
    lines = [json.dumps(item, sort_keys=True) for item in ear.heard]
    (target / "messages.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
