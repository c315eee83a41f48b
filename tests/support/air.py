# SPDX-License-Identifier: GPL-3.0-or-later
"""A small office for tests of the relay: takes batches over MQTT, checks the hash chain, acknowledges as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
import zstandard

from wire import topics
from wire.batch import Ack, Batch, Presence
from wire.codec import decode_batch, decode_presence, encode_ack

OFFICE_NS = 1_950_000_000_000_000_000


async def eventually(true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Return once `true` holds; raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it came: decoded, its bytes and its MQTT properties."""

    batch: Batch
    payload: bytes
    content_type: str
    user: dict[str, str]
    dup: bool


@dataclass
class SmallOffice:
    """Counts each identity once. `deaf` swallows batches, `mute` takes them and says nothing.

    explained holds seqs, of any stream, that a gap record has named.
    """

    host: str
    port: int
    lab: str = "lab-1"
    deaf: Callable[[Batch], bool] = lambda batch: False
    mute: Callable[[Batch], bool] = lambda batch: False
    arrivals: list[Arrival] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    live: list[tuple[str, bytes, int | None]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    explained: set[int] = field(default_factory=set)
    facts: dict[tuple[str, str], dict[int, Any]] = field(default_factory=dict)
    _hashes: dict[tuple[str, str, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "office", protocol=mqtt.MQTTv5)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda c, *_: c.subscribe([(f"{topics.ROOT}/{self.lab}/#", mqtt.SubscribeOptions(1))])
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = lambda _client, _data, message: self._take(message)

    def __enter__(self) -> Self:
        self._client.connect(self.host, self.port)
        self._client.loop_start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledge(self, ack: Ack) -> None:
        """Publish an acknowledgement."""
        self.say(topics.ack(self.lab, ack.stream), encode_ack(ack))

    def say(self, topic: str, payload: bytes) -> None:
        """Publish anything."""
        self._client.publish(topic, payload, qos=1)

    def watermark(self, stream: str, epoch: str) -> int:
        """Return the contiguous watermark of what was taken."""
        have = self.facts.get((stream, epoch), {})
        watermark = 0
        while watermark + 1 in have or watermark + 1 in self.explained:
            watermark += 1
        return watermark

    def missing(self, stream: str, epoch: str) -> tuple[tuple[int, int], ...]:
        """Return the ranges that lack before the newest fact taken."""
        have = sorted(self.facts.get((stream, epoch), {}))
        return tuple(
            (a + 1, b - 1) for a, b in zip([0, *have], have, strict=False) if b - a > 1 and a + 1 not in self.explained
        )

    def bodies(self, stream: str) -> list[Any]:
        """Return the bodies of a stream of all epochs, each identity once."""
        return [fact.body for key, facts in self.facts.items() if key[0] == stream for _, fact in sorted(facts.items())]

    def _take(self, message: mqtt.MQTTMessage) -> None:
        topic = topics.parse(message.topic)
        name = topic.name if topic is not None else ""
        match topic.channel if topic is not None else "":
            case "presence":
                self.presences.append(decode_presence(self.lab, message.payload))
                self.order.append("presence")
            case "live":
                expiry = getattr(message.properties, "MessageExpiryInterval", None)
                self.live.append((name, message.payload, expiry))
            case "up":
                self._take_batch(name, message)

    def _take_batch(self, stream: str, message: mqtt.MQTTMessage) -> None:
        batch, sha256 = decode_batch(self.lab, stream, message.payload)
        assert hashlib.sha256(zstandard.decompress(message.payload)).digest() == sha256
        properties = message.properties
        user = dict(properties.UserProperty)
        self.arrivals.append(Arrival(batch, message.payload, properties.ContentType, user, message.dup))
        self.order.append(stream)
        if self.deaf(batch):
            return
        key = (stream, batch.epoch)
        if batch.s0 > 1:
            before = self._hashes.get((*key, batch.s0 - 1))
            if before is not None and before != batch.prev:
                self.broken.append(f"{key} {batch.s0}")
        if batch.s0 == 1 and batch.prev is not None:
            self.broken.append(f"{key} {batch.s0}")
        if self._hashes.setdefault((*key, batch.last), sha256) != sha256:
            self.broken.append(f"{key} {batch.s0} differs")
        known = self.facts.setdefault(key, {})
        for seq, event in enumerate(batch.events, start=batch.s0):
            if known.setdefault(seq, event) != event:
                self.broken.append(f"{key} {seq} differs")
        if not self.mute(batch):
            self.acknowledge(
                Ack(stream, batch.epoch, self.watermark(*key), self.missing(*key), OFFICE_NS + len(self.arrivals))
            )
