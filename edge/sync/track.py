# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one (stream, epoch) has got on the present connection: which batch comes next, which ones are under way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge.domain.air import Outgoing
from edge.domain.events import StoredEvent
from edge.domain.ports import Cut, Outbox, StreamHead
from wire import topics
from wire.batch import CONTENT_TYPE, ENCODING, MAX_EVENTS, MAX_PAYLOAD, Ack, Batch, WireEvent
from wire.codec import encode_batch

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Flight:
    """A batch that was sent and not yet acknowledged. Times are seconds of the loop's clock.

    again: an earlier connection, or an earlier start, may have sent it already.
    """

    cut: Cut
    message: Outgoing
    again: bool
    sent_at: float = 0.0
    due_at: float = 0.0
    tries: int = 0


class MissingFacts(Exception):
    """Facts that were given a seq are not on the disk. The argument says which."""


@dataclass(slots=True)
class Track:
    """One (stream, epoch). sent_to is the last seq that was cut and sent on this connection."""

    lab: str
    head: StreamHead
    sent_to: int
    last_hash: bytes | None
    kept: deque[Cut]
    flights: list[Flight] = field(default_factory=list)
    stuck: bool = False

    @classmethod
    async def begin(cls, lab: str, head: StreamHead, outbox: Outbox) -> Track:
        """Return the track of `head` at its watermark, with the cuts made earlier. Raises StoreUnavailable."""
        cuts = await outbox.cuts(head.stream, head.epoch)
        before = next((cut.sha256 for cut in cuts if cut.last == head.watermark), None)
        return cls(lab, head, head.watermark, before, deque(cut for cut in cuts if cut.s0 > head.watermark))

    @property
    def unsent(self) -> int:
        """Return the number of facts beyond those under way."""
        return 0 if self.stuck else self.head.last_seq - self.sent_to

    @property
    def full(self) -> bool:
        """Return whether the next batch was cut before or would be a full one."""
        return not self.stuck and (bool(self.kept) or self.unsent >= MAX_EVENTS)

    @property
    def ready(self) -> bool:
        """Return whether a batch is worth sending now: one cut before, a full one, or a part-full one on a quiet line.

        A part-full batch waits while another part-full one of its track is under way (Minshall's variant of Nagle's
        algorithm), so that a slow link gets fewer, fuller batches and a quiet one gets each fact at once.
        """
        return self.full or (self.unsent > 0 and all(flight.cut.n == MAX_EVENTS for flight in self.flights))

    async def next_flight(self, outbox: Outbox) -> Flight:
        """Return the next batch, remembered on disk before it is sent. Raises StoreUnavailable, MissingFacts."""
        if self.kept:
            cut = self.kept[0]
            flight = await self._build(outbox, cut.n, cut.prev)
            if flight.cut != cut:
                # Sent all the same: each fact counts once by its identity, and the office sees the broken chain.
                log.warning(
                    "The batch %s %s %d..%d is not as it was sent first.",
                    self.head.stream,
                    self.head.epoch,
                    cut.s0,
                    cut.last,
                )
            self.kept.popleft()
        else:
            n = min(MAX_EVENTS, self.unsent)
            flight = await self._build(outbox, n, self.last_hash)
            while len(flight.message.payload) > MAX_PAYLOAD:
                n //= 2
                flight = await self._build(outbox, n, self.last_hash)
            await outbox.keep_cut(self.head.stream, self.head.epoch, flight.cut)
        self.flights.append(flight)
        self.sent_to, self.last_hash = flight.cut.last, flight.cut.sha256
        return flight

    def acknowledged(self, watermark: int) -> list[Flight]:
        """Take note of a watermark in force; return the flights that have arrived."""
        arrived = [flight for flight in self.flights if flight.cut.last <= watermark]
        self.flights = [flight for flight in self.flights if flight.cut.last > watermark]
        self.head = replace(self.head, watermark=watermark)
        return arrived

    def missed(self, ack: Ack) -> list[Flight]:
        """Return the flights of which the office lacks facts that come before others which it has."""
        return [
            flight
            for flight in self.flights
            if any(first <= flight.cut.last and last >= flight.cut.s0 for first, last in ack.missing)
        ]

    async def _build(self, outbox: Outbox, n: int, prev: bytes | None) -> Flight:
        head, s0 = self.head, self.sent_to + 1
        facts = await outbox.read(head.stream, head.epoch, self.sent_to, n)
        if [fact.seq for fact in facts] != list(range(s0, s0 + n)):
            raise MissingFacts(f"of the facts {s0} to {s0 + n - 1} some are missing")
        batch = Batch(self.lab, head.stream.value, head.epoch, head.boot, s0, prev, _wire(facts))
        # Milliseconds of packing on a small computer: not on the loop that has to pass on a stop.
        payload, sha256 = await asyncio.to_thread(encode_batch, batch)
        message = Outgoing(
            topics.up(self.lab, head.stream.value),
            payload,
            qos=1,
            content_type=CONTENT_TYPE,
            properties=(("enc", ENCODING), ("ep", head.epoch), ("s0", str(s0)), ("n", str(n))),
        )
        return Flight(Cut(s0, n, prev, sha256), message, again=bool(self.kept))


def _wire(facts: Sequence[StoredEvent]) -> tuple[WireEvent, ...]:
    return tuple(
        WireEvent(fact.event.type.value, dict(fact.event.body), fact.event.boot_ns, fact.event.wall_ns)
        for fact in facts
    )
