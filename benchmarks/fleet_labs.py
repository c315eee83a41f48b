# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated labs: batches cut beforehand, sent as real labs do, and the time until the office has acknowledged each.

A lab here has no disk, and one stream in place of four: what it puts on the wire is of the same form and size.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.fleet_mqtt import Client, connect
from benchmarks.fleet_world import World
from benchmarks.school_day import visit_fact
from wire import topics
from wire.batch import Batch, Presence
from wire.codec import decode_ack, encode_batch, encode_presence

EVENTS_A_DAY = 9_400
BATCHES_A_DAY = 2_160
DAY_S = 6 * 3_600
"""A lab on a school day of six hours: a batch each ten seconds (docs/how-to/scale.md)."""
SIZES = (4, 4, 5)
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
STREAM = "visits"


@dataclass(frozen=True, slots=True)
class Cut:
    """A batch as it goes over the air, the seqs before it and of its last fact, and the hash it was chained to."""

    payload: bytes
    before: int
    last: int
    prev: bytes | None


@dataclass
class Lab:
    """One lab: what it still has to send, what is under way with the time of sending, and how long each took, s."""

    name: str
    waiting: deque[Cut] = field(default_factory=deque)
    client: Client | None = None
    sent: dict[int, float] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    acknowledged: int = 0
    greeted: asyncio.Event = field(default_factory=asyncio.Event)
    _cut_to: int = 0
    _prev: bytes | None = None

    def cut(self, sizes: Iterable[int]) -> None:
        """Cut batches of so many facts each, chained to those before."""
        for size in sizes:
            first, prev = self._cut_to + 1, self._prev
            facts = tuple(visit_fact(first + number) for number in range(size))
            payload, self._prev = encode_batch(Batch(self.name, STREAM, "e1", "b1", first, prev, facts))
            self._cut_to += size
            self.waiting.append(Cut(payload, first - 1, self._cut_to, prev))

    def take_back(self) -> None:
        """Let what was cut and not sent not have been."""
        if self.waiting:
            self._cut_to, self._prev = self.waiting[0].before, self.waiting[0].prev
            self.waiting.clear()

    def send(self) -> bool:
        """Send the next batch; return whether there was one."""
        if not self.waiting or self.client is None:
            return False
        cut = self.waiting.popleft()
        self.sent[cut.last] = time.perf_counter()
        self.client.publish(topics.up(self.name, STREAM), cut.payload)
        return True

    def heard(self, watermark: int) -> int:
        """Take an acknowledgement; return how many batches it covers."""
        now = time.perf_counter()
        arrived = [last for last in self.sent if last <= watermark]
        for last in arrived:
            self.took.append(now - self.sent.pop(last))
        self.acknowledged = max(self.acknowledged, watermark)
        return len(arrived)


@dataclass
class Fleet:
    """Labs over connections: each its own, or so many labs on one.

    With keep_going each answer lets the same lab send its next; with labs in turn, it lets the next of those.
    """

    world: World
    labs: dict[str, Lab]
    keep_going: bool = False
    turn: deque[Lab] = field(default_factory=deque)
    attempts: int = 0

    def message(self, topic: str, payload: bytes) -> None:
        """Take what the office says."""
        parsed = topics.parse(topic)
        if parsed is None or parsed.channel != "ack" or (lab := self.labs.get(parsed.lab)) is None:
            return
        arrived = lab.heard(decode_ack(parsed.name, payload).watermark)
        lab.greeted.set()
        for _ in range(arrived):
            if self.turn:
                self.next_turn()
            elif self.keep_going:
                lab.send()

    def next_turn(self) -> None:
        """Let the lab whose turn it is send, unless it has something under way or nothing left."""
        for _ in range(len(self.turn)):
            lab = self.turn.popleft()
            self.turn.append(lab)
            if not lab.sent and lab.send():
                return

    async def come(self, lab: Lab, *, spread_s: float | None = None) -> float:
        """Connect as a real lab does after an outage, with its retries; return after how many s it was greeted.

        Greeted: its presence is retained, and the office has acknowledged a first batch.
        """
        begin, delay = time.perf_counter(), FIRST_RETRY_S
        wait = spread_s if spread_s is not None else delay
        while True:
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            self.attempts += 1
            with suppress(OSError):
                will = (topics.presence(lab.name), encode_presence(Presence(lab.name, "offline")))
                tls = self.world.contexts[lab.name]
                lab.client = await connect(self.world.port, lab.name, self.message, will, tls)
                await lab.client.subscribe(topics.ack_filter(lab.name))
                lab.client.publish(topics.presence(lab.name), presence(lab), retain=True)
                lab.greeted.clear()
                lab.send()
                await lab.greeted.wait()
                return time.perf_counter() - begin
            delay = min(2 * delay, LONGEST_RETRY_S)
            wait = delay

    async def share(self, connections: int) -> None:
        """Connect all labs over so few connections, and say presence of each. Raises OSError."""
        groups: list[list[Lab]] = [[] for _ in range(connections)]
        for lab, group in zip(self.labs.values(), itertools.cycle(groups), strict=False):
            group.append(lab)
        for number, group in enumerate(groups):
            client = await connect(self.world.port, f"fleet-{number}", self.message)
            for lab in group:
                lab.client = client
                await client.subscribe(topics.ack_filter(lab.name))

    def leave(self) -> None:
        """Break all connections."""
        for client in {lab.client for lab in self.labs.values() if lab.client is not None}:
            client.close()

    async def drained(self, labs: Sequence[Lab], patience_s: float) -> None:
        """Let labs that keep going send all they have, and wait for it. Raises TimeoutError."""
        for lab in labs:
            if lab.waiting and not lab.sent:
                lab.send()
        async with asyncio.timeout(patience_s):
            while any(lab.sent or lab.waiting for lab in labs):  # noqa: ASYNC110 - many labs, and one glance at all
                await asyncio.sleep(0.01)

    async def all_acknowledged(self, labs: Sequence[Lab], patience_s: float) -> None:
        """Wait until nothing is under way. Raises TimeoutError."""
        async with asyncio.timeout(patience_s):
            while any(lab.sent for lab in labs):  # noqa: ASYNC110 - many labs, and one glance at all
                await asyncio.sleep(0.01)


def presence(lab: Lab) -> bytes:
    """Return a lab's presence as it is when it comes back."""
    totals = {"e1": {"people": 25, "corrected": 0, "sessions": 20}}
    return encode_presence(
        Presence(lab.name, "online", "b1", "e1", "1.1.0", "c0ffee", {STREAM: lab.acknowledged}, {}, totals, 0)
    )
