# SPDX-License-Identifier: GPL-3.0-or-later
"""The retained word of the lab about itself: counts of people at once, the rest now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from edge.domain.air import Outgoing, Publisher
from edge.domain.events import Scalar
from edge.domain.ports import Outbox, StreamHead
from edge.sync.status import Health, LabIdentity, no_health
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

    def __init__(self, outbox: Outbox, publisher: Publisher, lab: LabIdentity, health: Health = no_health) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._lab = lab
        self._health = health
        self._said: Presence | None = None
        self._said_at = 0.0
        self._checked_at = 0.0
        self._touched = True

    def renew(self, lab: LabIdentity) -> None:
        """Speak for another epoch from now on."""
        self._lab = lab
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
        counted = self._said is None or _counts_more(presence, self._said)
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
        return await word_of(self._lab, self._outbox, heads, await self._health())


def _counts_more(presence: Presence, said: Presence) -> bool:
    """Return whether people were counted since; that other epochs are named now is less urgent."""
    return presence.epoch != said.epoch or any(
        said.totals.get(epoch, counters) != counters for epoch, counters in presence.totals.items()
    )


async def word_of(
    lab: LabIdentity, outbox: Outbox, heads: Iterable[StreamHead], health: Mapping[str, Scalar]
) -> Presence:
    """Return the word of `lab` about itself. Raises StoreUnavailable."""
    heads = list(heads)
    return Presence(
        lab.lab,
        "online",
        lab.boot,
        lab.epoch,
        lab.software,
        lab.config,
        heads={head.stream.value: head.last_seq for head in heads if head.epoch == lab.epoch},
        closed=await outbox.closed_epochs(),
        totals=await outbox.totals(),
        waiting=sum(head.waiting for head in heads),
        install=lab.install,
        ordinal=lab.ordinal,
        key=lab.key,
        health=dict(health),
    )
