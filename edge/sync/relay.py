# SPDX-License-Identifier: GPL-3.0-or-later
"""Empties the outbox towards the office: live before backlog, by priority, until everything is acknowledged.

What is under way is known for one connection only. After a new one everything above the watermark is sent again,
which is harmless: the office counts an identity once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from edge.domain.air import Publisher, TooLarge
from edge.domain.errors import StoreUnavailable
from edge.domain.events import Stream
from edge.domain.ports import Clock, Outbox, StreamHead
from edge.sync.heads import Heads
from edge.sync.pacing import ByteWindow, RoundTrip, TokenBucket
from edge.sync.presence import PresenceKeeper
from edge.sync.settings import SyncSettings
from edge.sync.status import (
    AckHeard,
    Acknowledged,
    Counters,
    Health,
    LabIdentity,
    RelayStatus,
    no_health,
    oldest_waiting_s,
)
from edge.sync.track import CannotGoOn, Flight, Track
from wire import topics
from wire.batch import Ack, BadMessage
from wire.codec import decode_ack

log = logging.getLogger(__name__)

LOOK_AWAY_S = 0.5
CONGESTED_S = 0.25
STORE_RETRY_S = 1.0
MAX_ACKS = 1_000

# Places in the window that a stream leaves to those above it, so that a backlog, or batches that the office cannot
# take, never keep a visitor waiting.
LEFT_FREE = {Stream.VISITS: 0, Stream.SAFETY: 1, Stream.JOBS: 1, Stream.METRICS: 2}
PRIORITY = {stream: place for place, stream in enumerate(Stream)}


class OutboxRelay:
    """Sends batches, takes acknowledgements, keeps presence current. `run` is its only task."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        clock: Clock,
        lab: LabIdentity,
        settings: SyncSettings,
        *,
        health: Health = no_health,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._clock = clock
        self._lab = lab
        self._settings = settings
        self._heads = Heads()
        self._tracks: dict[tuple[Stream, str], Track] = {}
        self._finished: set[tuple[Stream, str]] = set()
        self._acks: deque[tuple[str, bytes]] = deque(maxlen=MAX_ACKS)
        self._presence = PresenceKeeper(outbox, publisher, lab, health)
        self._bucket = TokenBucket(settings.batches_per_s)
        self._round_trip = RoundTrip(settings.resend_min_s)
        self._window = ByteWindow()
        self._on_ack: Callable[[AckHeard], None] = lambda heard: None
        self._counters = Counters()
        self._acknowledged: Acknowledged | None = None
        self._store_error = ""
        self._on_damage: Callable[[], None] = lambda: None
        self._next_lab: LabIdentity | None = None
        self._wake = asyncio.Event()
        self._changed: set[str] = set()
        self._reread = True
        self._looked_at = 0.0
        self._metrics_at = 0.0
        self._link = self._greeted = 0

    def notify(self) -> None:
        """Say that facts were stored. Cheap; any number of calls makes one look."""
        self._changed.add(self._lab.epoch)
        self._wake.set()

    def review(self) -> None:
        """Say that the record was put right: what could not go on may do so now, and batches may be cut anew."""
        self._reread = True
        self._wake.set()

    def hear(self, on_ack: Callable[[AckHeard], None]) -> None:
        """Call `on_ack` for each acknowledgement that tells something of the lab's clock."""
        self._on_ack = on_ack

    def report(self, on_damage: Callable[[], None]) -> None:
        """Call `on_damage` when facts that should wait are not there, or cannot be read."""
        self._on_damage = on_damage

    def renew(self, lab: LabIdentity) -> None:
        """Begin anew with another epoch: the record was damaged, and nothing that was known of its batches holds.

        Done by the relay's own task at its next step: it may be in the midst of one.
        """
        self._next_lab = lab
        self._wake.set()

    def status(self) -> RelayStatus:
        """Return what is known now, without I/O."""
        return RelayStatus(
            connected=self._publisher.connected,
            waiting=self._heads.waiting(),
            oldest_waiting_s=oldest_waiting_s(self._heads, self._clock.boot_id(), self._clock.boot_ns()),
            acknowledged=self._acknowledged,
            last_error=self._store_error or self._publisher.last_error,
            batches_sent=self._counters.sent,
            batches_resent=self._counters.resent,
            acks_ignored=self._counters.ignored,
        )

    async def run(self) -> None:
        """Relay until cancelled. What was not acknowledged by then stays in the outbox."""
        self._publisher.listen(self._on_link, self._on_message)
        if self._publisher.connected:
            self._on_link(True)  # noqa: FBT003 - it came up before anyone listened
        while True:
            self._wake.clear()
            try:
                pause = await self._step()
                self._store_error = ""
            except StoreUnavailable as error:
                self._store_error = str(error)
                pause = STORE_RETRY_S
            except ConnectionError:
                pause = CONGESTED_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _on_link(self, up: bool) -> None:  # noqa: FBT001 - the publisher's callback
        self._link += up
        self._wake.set()

    def _on_message(self, topic: str, payload: bytes) -> None:
        self._acks.append((topic, payload))
        self._wake.set()

    async def _step(self) -> float | None:
        """Do what can be done now; return the seconds until there is more to do, None for when something comes."""
        if self._next_lab is not None:
            self._begin_anew(self._next_lab)
        if not self._publisher.connected:
            self._acks.clear()
            return await self._look_while_away()
        link = self._link
        if self._greeted != link:
            self._window = ByteWindow()
            self._finished.clear()
            self._reread = True
            await self._look()
            with suppress(TooLarge):  # the publisher says so; the facts themselves may fit
                await self._presence.greet(self._heads)
            self._greeted = link
        while self._acks:
            await self._take_ack(*self._acks.popleft())
        if self._reread or self._changed:
            await self._look()
        # The time-outs come last: they must know of what was sent just now.
        pauses = (await self._presence.keep(self._heads), await self._send(link), self._resend(link))
        return min((pause for pause in pauses if pause is not None), default=None)

    def _begin_anew(self, lab: LabIdentity) -> None:
        self._lab, self._next_lab = lab, None
        self._presence.renew(lab)
        self._heads, self._tracks = Heads(), {}
        self._reread = True
        self._greeted = 0

    async def _look_while_away(self) -> float | None:
        """Keep the backlog's figures for the screens, without a read for each fact."""
        if not (self._reread or self._changed):
            return None
        if (wait := self._looked_at + LOOK_AWAY_S - _now()) > 0:
            return wait
        await self._look()
        return None

    async def _look(self) -> None:
        """Read where the streams stand: all of them at the beginning, later only those of which something was heard.

        A lab that was long away holds thousands of epochs.
        """
        reread, self._reread = self._reread, False
        changed, self._changed = self._changed, set()
        self._looked_at = _now()
        try:
            if reread:
                self._heads = await asyncio.to_thread(Heads, await self._outbox.heads())
                # What was under way comes again, as on a new connection: its batches may not be what they were.
                self._tracks.clear()
            else:
                for epoch in changed:
                    await self._look_at(epoch)
        except StoreUnavailable:
            self._reread |= reread
            self._changed |= changed
            raise
        self._presence.touch()

    async def _look_at(self, epoch: str) -> None:
        """Read where the streams of one epoch stand."""
        self._heads.put(epoch, await self._outbox.heads(epoch))
        for stream in Stream:
            if (track := self._tracks.get((stream, epoch))) is None:
                continue
            if (head := self._heads.get(stream, epoch)) is not None:
                track.head = head
            else:
                del self._tracks[stream, epoch]
                self._finished.add((stream, epoch))

    async def _track(self, head: StreamHead) -> Track:
        """Return the track of `head`, begun where none is there."""
        track = self._tracks.get((head.stream, head.epoch))
        if track is None:
            track = self._tracks[head.stream, head.epoch] = await Track.begin(self._lab.lab, head, self._outbox)
        return track

    async def _take_ack(self, topic: str, payload: bytes) -> None:
        understood = self._understand(topic, payload)
        if understood is None:
            self._counters.ignored += 1
            return
        head, ack = understood
        if head is None:
            return
        track = await self._track(head)
        if ack.watermark > track.sent_to:
            await track.pass_gap(self._outbox)
        if ack.watermark > track.sent_to:
            await track.look_again(self._outbox)
        if ack.watermark > track.cut_to:
            if ack.epoch == self._lab.epoch:
                self._counters.ignored += 1  # it names facts that were never sent
                return
            # A clone of this card has sent them. What was not cut here goes out all the same: the office knows it.
            ack = replace(ack, watermark=track.cut_to)
        watermark = await self._outbox.acknowledge(head.stream, ack.epoch, ack.watermark, ack.explained)
        now_ns = self._clock.boot_ns()
        self._acknowledged = Acknowledged(now_ns, ack.office_ns)
        self._changed.add(ack.epoch)
        if head.stream is Stream.SAFETY:
            # It may have told the office of gaps: the watermarks of other epochs pass them.
            self._changed.update(key[1] for key, other in self._tracks.items() if other.only_gaps_left)
        arrived = track.acknowledged(watermark) if watermark is not None else []
        for flight in arrived:
            if flight.tries == 1:
                self._round_trip.sample(_now() - flight.sent_at)
                self._window.sample(_now() - flight.sent_at, flight.size)
        sent = [flight.first_ns for flight in arrived if flight.tries > 0 and not flight.again]
        if sent:
            self._on_ack(AckHeard(max(sent), now_ns, ack.office_ns))
        for flight in track.missed(ack):
            # One round trip must have passed: before that the office cannot have known of the last sending.
            flight.due_at = min(flight.due_at, flight.sent_at + (self._round_trip.smoothed_s or 0.0))

    def _understand(self, topic: str, payload: bytes) -> tuple[StreamHead | None, Ack] | None:
        """Return of what it speaks, and the acknowledgement; None for garbage and for what this lab does not have.

        It may speak of what was acknowledged to its end already, on this connection, by the answer to another batch.
        """
        parsed = topics.parse(topic)
        if parsed is None or parsed.channel != "ack" or parsed.lab != self._lab.lab:
            return None
        try:
            ack = decode_ack(parsed.name, payload)
        except BadMessage:
            return None
        stream = Stream(parsed.name)
        head = self._heads.get(stream, ack.epoch)
        return (head, ack) if head is not None or (stream, ack.epoch) in self._finished else None

    def _resend(self, link: int) -> float | None:
        """Send again what has been silent for too long; return the seconds until the next is due."""
        if self._link != link:
            return 0.0  # a new connection, which is greeted first
        flights = [flight for track in self._tracks.values() for flight in track.flights]
        for flight in sorted(flights, key=lambda flight: flight.due_at):
            if (wait := max(flight.due_at - _now(), self._bucket.wait(_now()))) > 0:
                return wait
            if flight.tries > 0:
                self._window.lost()
            self._fly(flight)
        return max(CONGESTED_S, min(flight.due_at for flight in flights) - _now()) if flights else None

    async def _send(self, link: int) -> float | None:
        """Send one new batch by priority, as far as windows and bucket allow; return when to try again."""
        if not self._publisher.connected or self._link != link:
            return 0.0
        track = await self._next_track()
        if track is None:
            return self._metrics_pause()
        if (wait := self._bucket.wait(_now())) > 0:
            return wait
        try:
            flight = await track.next_flight(self._outbox, self._publisher.fits)
        except CannotGoOn as error:
            await self._stop(track, error)
            return 0.0
        if flight is not None and track.head.stream is Stream.METRICS:
            self._metrics_at = _now()
        if flight is not None and self._link == link:
            self._fly(flight)
        return 0.0

    async def _next_track(self) -> Track | None:
        """Return the first track, by priority and age, that has a batch to send."""
        for stream in self._open_streams():
            for head in self._heads.waiting_of(stream):
                track = await self._track(head)
                if self._worth_sending(track):
                    return await self._introduction(head.epoch) or track
        return None

    async def _introduction(self, epoch: str) -> Track | None:
        """Return the track that says how an epoch began, where it was never sent, and None where it was.

        It goes before what was counted in the epoch: a card that is lost in between was otherwise a card of which the
        office has people and does not know whose copy it is.
        """
        head = self._heads.get(Stream.SAFETY, epoch)
        if head is None or head.watermark > 0:
            return None
        track = await self._track(head)
        return track if track.sent_to == 0 and track.ready else None

    async def _stop(self, track: Track, error: CannotGoOn) -> None:
        """Let a stream of an epoch stand still, unless more is known of it by now; the others go on."""
        before = track.head
        await self._look_at(before.epoch)
        if self._heads.get(before.stream, before.epoch) != before:
            self._tracks.pop((before.stream, before.epoch), None)
            return
        track.stuck = True
        log.error("The stream %s of epoch %s cannot go on: %s.", before.stream, before.epoch, error)
        if error.damaged:
            self._on_damage()

    def _worth_sending(self, track: Track) -> bool:
        # An epoch that has ended gathers no more.
        gathers = track.head.stream is Stream.METRICS and track.head.epoch == self._lab.epoch
        return track.ready and not (gathers and not track.full and self._metrics_wait() > 0)

    def _open_streams(self) -> list[Stream]:
        """Return the streams for which the windows have room; asked once, for a lab may have a thousand epochs."""
        under_way = [(track.head.stream, flight.size) for track in self._tracks.values() for flight in track.flights]
        # One place of the broker's window is for presence.
        places = min(self._settings.in_flight, max(1, self._publisher.window - 1))
        return [
            stream
            for stream, left_free in LEFT_FREE.items()
            if len(under_way) < max(1, places - left_free)
            # What waits behind a stream in priority does not take its bytes.
            and sum(size for other, size in under_way if PRIORITY[other] <= PRIORITY[stream]) < self._window.size
        ]

    def _metrics_wait(self) -> float:
        return self._metrics_at + self._settings.metrics_linger_s - _now()

    def _metrics_pause(self) -> float | None:
        track = self._tracks.get((Stream.METRICS, self._lab.epoch))
        return self._metrics_wait() if track is not None and track.ready and self._metrics_wait() > 0 else None

    def _fly(self, flight: Flight) -> None:
        now = _now()
        try:
            self._publisher.publish(flight.message)
        except ConnectionError:
            flight.due_at = now + CONGESTED_S
            return
        self._bucket.take()
        self._counters.sent += 1
        self._counters.resent += flight.again or flight.tries > 0
        flight.tries += 1
        flight.first_ns = flight.first_ns or self._clock.boot_ns()
        flight.sent_at, flight.due_at = now, now + self._round_trip.timeout_s(flight.tries)


def _now() -> float:
    return asyncio.get_running_loop().time()
