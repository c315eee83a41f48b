# SPDX-License-Identifier: GPL-3.0-or-later
"""The retained word of the lab about itself: counts of people at once, the rest now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from edge.domain.air import Outgoing, Publisher
from edge.domain.ports import Outbox, StreamHead
from edge.sync.status import Health, LabIdentity
from wire import topics
from wire.batch import Presence
from wire.codec import encode_presence

CHECK_S = 0.5
HEADS_S = 10.0
HEALTH_S = 60.0


class PresenceKeeper:
    """Publishes presence first thing on a connection, and again when it has changed.

    A change of the totals goes out within CHECK_S. A change of heads alone waits HEADS_S: running machines move the
    head of metrics all the time, and a presence message weighs as much as fifty facts. Health is looked at every
    HEALTH_S, for it changes without a fact, too.
    """

    def __init__(self, outbox: Outbox, publisher: Publisher, lab: LabIdentity, health: Health = dict) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._lab = lab
        self._health = health
        self._said: Presence | None = None
        self._said_at = 0.0
        self._checked_at = 0.0
        self._touched = True

    def touch(self) -> None:
        """Say that something changed."""
        self._touched = True

    async def greet(self, heads: Iterable[StreamHead]) -> None:
        """Publish presence on a new connection. Raises StoreUnavailable, ConnectionError."""
        self._say(await self._build(heads))

    async def keep(self, heads: Iterable[StreamHead]) -> float:
        """Publish presence where it is due; return the seconds until the next look."""
        now = asyncio.get_running_loop().time()
        if not self._touched and (wait := self._checked_at + HEALTH_S - now) > 0:
            return wait
        if (wait := self._checked_at + CHECK_S - now) > 0:
            return wait
        self._checked_at = now
        presence = await self._build(heads)
        if presence == self._said:
            self._touched = False
            return HEALTH_S
        counted = self._said is None or presence.totals != self._said.totals
        if not counted and now < self._said_at + HEADS_S:
            return CHECK_S
        try:
            self._say(presence)
        except ConnectionError:
            return CHECK_S
        return HEALTH_S

    def _say(self, presence: Presence) -> None:
        topic = topics.presence(self._lab.lab)
        message = Outgoing(topic, encode_presence(presence), qos=1, retain=True, content_type="application/json")
        self._publisher.publish(message)
        self._said, self._touched = presence, False
        self._said_at = self._checked_at = asyncio.get_running_loop().time()

    async def _build(self, heads: Iterable[StreamHead]) -> Presence:
        heads = list(heads)
        return Presence(
            self._lab.lab,
            "online",
            self._lab.boot,
            self._lab.epoch,
            self._lab.software,
            self._lab.config,
            heads={head.stream.value: head.last_seq for head in heads if head.epoch == self._lab.epoch},
            closed=await self._outbox.closed_epochs(),
            totals=await self._outbox.totals(),
            waiting=sum(head.waiting for head in heads),
            install=self._lab.install,
            ordinal=self._lab.ordinal,
            key=self._lab.key,
            health=dict(self._health()),
        )
