# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one (stream, epoch) has got on the present connection: which batch comes next, which ones are under way.

Facts that were dropped with a gap record are passed over: the batch before a gap ends at it, the next begins behind
it and carries the hash of the batch that was sent before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge.domain.air import Outgoing
from edge.domain.errors import FactDamaged
from edge.domain.ports import Cut, Outbox, StreamHead, WaitingFact
from wire import topics
from wire.batch import CONTENT_TYPE, ENCODING, MAX_EVENTS, MAX_PAYLOAD, Ack, Batch, WireEvent
from wire.codec import encode_batch

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Flight:
    """A batch that was sent and not yet acknowledged. Times are seconds of the loop's clock.

    again: an earlier connection, or an earlier start, may have sent it already. first_ns is when it was sent first on
    this one, by the boot-time clock.
    """

    cut: Cut
    message: Outgoing
    again: bool
    sent_at: float = 0.0
    due_at: float = 0.0
    tries: int = 0
    first_ns: int = 0

    @property
    def size(self) -> int:
        """Return the bytes of the payload."""
        return len(self.message.payload)


class CannotGoOn(Exception):
    """The stream of an epoch stands still until the record is put right, or the next connection.

    The argument says why; damaged, whether the record is to blame.
    """

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


@dataclass(slots=True)
class Track:
    """One (stream, epoch). sent_to is the last seq that was cut and sent on this connection, or passed with a gap."""

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
        before = next((cut.sha256 for cut in reversed(cuts) if cut.last <= head.watermark), None)
        return cls(lab, head, head.watermark, before, deque(cut for cut in cuts if cut.last > head.watermark))

    @property
    def unsent(self) -> int:
        """Return the number of facts beyond those under way."""
        return 0 if self.stuck else self.head.last_seq - self.sent_to

    @property
    def only_gaps_left(self) -> bool:
        """Return whether nothing is left to send or to hear of, and yet facts wait: for a record of their gap."""
        return self.head.waiting > 0 and not self.flights and self.head.last_seq <= self.sent_to

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

    async def next_flight(self, outbox: Outbox, fits: Callable[[Outgoing], bool]) -> Flight | None:
        """Return the next batch, remembered on disk before it is sent; None where a gap was all that was left.

        `fits` tells whether the broker takes a message of that size. Raises StoreUnavailable, CannotGoOn.
        """
        if not self.kept:
            await self.look_again(outbox)
        cut = self.kept[0] if self.kept else None
        facts = await self._next_facts(outbox)
        if not facts:
            if cut is not None:
                self._pass(cut)
            return None
        if cut is not None:
            flight = await self._again(cut, facts, fits)
        else:
            flight = await self._new(facts, fits)
            await outbox.keep_cut(self.head.stream, self.head.epoch, flight.cut)
            self.last_hash = flight.cut.sha256
        self.flights.append(flight)
        self.sent_to = flight.cut.last
        return flight

    async def look_again(self, outbox: Outbox) -> None:
        """Take note of batches beyond those sent that were cut for a stick meanwhile. Raises StoreUnavailable."""
        cuts = await outbox.cuts(self.head.stream, self.head.epoch)
        self.kept = deque(cut for cut in cuts if cut.last > self.sent_to)

    @property
    def cut_to(self) -> int:
        """Return the last seq that may have reached the office, over the air or on a stick."""
        return max(self.sent_to, self.kept[-1].last) if self.kept else self.sent_to

    async def pass_gap(self, outbox: Outbox) -> None:
        """Take note of a gap that follows what was sent. Raises StoreUnavailable."""
        for first, last in await outbox.gaps(self.head.stream, self.head.epoch):
            if first <= self.sent_to + 1 <= last:
                self.sent_to = last

    def acknowledged(self, watermark: int) -> list[Flight]:
        """Take note of a watermark in force; return the flights that have arrived."""
        arrived = [flight for flight in self.flights if flight.cut.last <= watermark]
        self.flights = [flight for flight in self.flights if flight.cut.last > watermark]
        self.head = replace(self.head, watermark=watermark)
        while self.kept and self.kept[0].last <= watermark:
            self._pass(self.kept[0])
        self.sent_to = max(self.sent_to, watermark)
        return arrived

    def missed(self, ack: Ack) -> list[Flight]:
        """Return the flights of which the office lacks facts that come before others which it has, or were given up.

        Those it calls explained were given up by another copy of the card: this one is sending them.
        """
        lacking = (*ack.missing, *ack.explained)
        return [
            flight
            for flight in self.flights
            if any(first <= flight.cut.last and last >= flight.cut.s0 for first, last in lacking)
        ]

    async def _next_facts(self, outbox: Outbox) -> list[WaitingFact]:
        """Return the facts of the next batch, consecutive, and pass the gap before them; none where nothing is left."""
        head = self.head
        end = self.kept[0].last if self.kept else head.last_seq
        try:
            found = await outbox.read(head.stream, head.epoch, self.sent_to, min(MAX_EVENTS, end - self.sent_to))
        except FactDamaged as error:
            raise CannotGoOn(f"the fact {error.seq} is damaged", damaged=True) from error
        facts = [fact for fact in found if fact.seq <= end]
        first = facts[0].seq if facts else end + 1
        if first > self.sent_to + 1:
            await self._explain(outbox, self.sent_to + 1, first - 1)
            self.sent_to = first - 1
        return [fact for index, fact in enumerate(facts) if fact.seq == first + index]

    async def _explain(self, outbox: Outbox, first: int, last: int) -> None:
        """Raise CannotGoOn unless gap records name all of first..last, or the watermark has passed them meanwhile."""
        reached = max(first - 1, self.head.watermark)
        for begin, end in await outbox.gaps(self.head.stream, self.head.epoch):
            if begin <= reached + 1:
                reached = max(reached, end)
        if reached < last:
            raise CannotGoOn(f"the facts {reached + 1} to {last} are missing", damaged=True)

    async def _again(self, cut: Cut, facts: list[WaitingFact], fits: Callable[[Outgoing], bool]) -> Flight:
        """Return a batch that was cut before, or what a gap has left of it."""
        whole = (facts[0].seq, len(facts)) == (cut.s0, cut.n)
        flight = await self._build(facts, cut.prev if whole else self.last_hash, again=True)
        if not fits(flight.message):
            # Cut anew it would be another batch than the office may have: it waits for a broker that takes it.
            raise CannotGoOn(f"the broker takes no message as large as the batch {cut.s0} to {cut.last}")
        if whole and flight.cut != cut:
            # Sent all the same: each fact counts once by its identity, and the office sees the broken chain.
            log.warning(
                "The batch %s %s %d..%d is not as it was sent first.",
                self.head.stream,
                self.head.epoch,
                cut.s0,
                cut.last,
            )
        if flight.cut.last == cut.last:
            self._pass(cut)
        if whole:
            self.last_hash = flight.cut.sha256
        return flight

    async def _new(self, facts: list[WaitingFact], fits: Callable[[Outgoing], bool]) -> Flight:
        """Return the largest batch of the first of `facts`, by halving, that a message may hold."""
        while True:
            flight = await self._build(facts, self.last_hash, again=False)
            if flight.size <= MAX_PAYLOAD and fits(flight.message):
                return flight
            if len(facts) == 1:
                raise CannotGoOn(f"the fact {facts[0].seq} is larger than a message may be ({flight.size} bytes)")
            facts = facts[: len(facts) // 2]

    def _pass(self, cut: Cut) -> None:
        self.kept.popleft()
        self.sent_to, self.last_hash = cut.last, cut.sha256

    async def _build(self, facts: list[WaitingFact], prev: bytes | None, *, again: bool) -> Flight:
        head, s0, n = self.head, facts[0].seq, len(facts)
        batch = Batch(self.lab, head.stream.value, head.epoch, head.boot, s0, prev, _wire(facts))
        # Milliseconds of packing on a small computer: not on the loop that has to pass on a stop.
        try:
            payload, sha256 = await asyncio.to_thread(encode_batch, batch)
        except ValueError as error:
            raise CannotGoOn(f"the facts {batch.s0} to {batch.last} cannot be written as JSON", damaged=True) from error
        message = Outgoing(
            topics.up(self.lab, head.stream.value),
            payload,
            qos=1,
            content_type=CONTENT_TYPE,
            properties=(("enc", ENCODING), ("ep", head.epoch), ("s0", str(s0)), ("n", str(n))),
        )
        return Flight(Cut(s0, n, prev, sha256), message, again)


def _wire(facts: Sequence[WaitingFact]) -> tuple[WireEvent, ...]:
    return tuple(WireEvent(fact.type, dict(fact.body), fact.boot_ns, fact.wall_ns) for fact in facts)
