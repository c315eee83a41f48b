# SPDX-License-Identifier: GPL-3.0-or-later
"""From the broker to the ledger and back: read, record, and only after the commit acknowledge.

Whatever waits is taken together, so that one commit serves many small batches. A ledger that is away holds everything
up, unacknowledged; a payload that cannot be taken in is set aside, and the next one is not held up by it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import replace

from office import intake
from office.config import BrokerSettings
from office.errors import LedgerUnavailable
from office.facts import IngestFigures, Item, Message, Rejected
from office.ingest.link import CHANNELS, BrokerLink, Channel, Handle
from office.ledger import Ledger, Recorded
from office.ledger.refused import record_or_set_aside
from wire import topics
from wire.codec import encode_ack

GROUP = 32
QUEUE_BYTES = 32 << 20
QUEUE_MESSAGES = 20_000
RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = 10.0

_log = logging.getLogger(__name__)


class Ingest:
    """The office's intake: a link to the broker, a bounded queue, and a worker that feeds the ledger.

    channels are what it takes in: several processes share the batches, and one listens to presence.
    """

    def __init__(self, broker: BrokerSettings, ledger: Ledger, channels: Sequence[Channel] = CHANNELS) -> None:
        self._ledger = ledger
        self._link = BrokerLink(broker, self._receive, channels)
        self._group = asyncio.Lock()
        self._queue: asyncio.Queue[tuple[Message, Handle]] = asyncio.Queue()
        self._queued_bytes = 0
        self._ledger_away = False
        self._figures = IngestFigures()

    @property
    def connected(self) -> bool:
        """Return whether the broker's messages reach us."""
        return self._link.connected

    @property
    def figures(self) -> IngestFigures:
        """Return what passed since the start."""
        return replace(self._figures, workers=int(self.connected))

    async def finish(self) -> None:
        """Wait for the group of messages under way, and let no other one begin: before `run` is cancelled."""
        await self._group.acquire()

    async def wait_connected(self) -> None:
        """Return once the broker's messages reach us."""
        await self._link.wait_connected()

    async def run(self) -> None:
        """Take in until cancelled. What is under way then is committed or sent again by its lab."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="broker-link")
            group.create_task(self._work(), name="ingest-worker")

    def _receive(self, message: Message, handle: Handle) -> None:
        self._figures.received += 1
        if self._queue.qsize() >= QUEUE_MESSAGES or self._queued_bytes + len(message.payload) > QUEUE_BYTES:
            # No ack of ours goes out, so the lab sends it again when the ledger has caught up.
            self._figures.dropped += 1
            self._link.acknowledge(handle)
            return
        self._queued_bytes += len(message.payload)
        self._queue.put_nowait((message, handle))

    async def _work(self) -> None:
        while True:
            waiting = [await self._queue.get()]
            async with self._group:
                await self._take(waiting)

    async def _take(self, waiting: list[tuple[Message, Handle]]) -> None:
        while len(waiting) < GROUP and not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        messages = [message for message, _ in waiting]
        self._queued_bytes -= sum(len(message.payload) for message in messages)
        items = await asyncio.to_thread(lambda taken: [intake.read(message) for message in taken], messages)
        for item in items:
            if isinstance(item, Rejected):
                _log.warning("set aside %d bytes on %s: %s", item.size, item.topic, item.reason)
        for done in await record_or_set_aside(self._until_available, messages, items):
            self._count(done)
            for lab, ack in done.acks:
                self._link.publish(topics.ack(lab, ack.stream), encode_ack(ack))
        for _, handle in waiting:
            self._link.acknowledge(handle)

    async def _until_available(self, items: Sequence[Item]) -> Recorded:
        """Return what the ledger made of `items`, however long it takes until it can be asked."""
        delay = RETRY_FIRST_S
        while True:
            try:
                done = await self._ledger.record(items)
            except LedgerUnavailable as error:
                if not self._ledger_away:
                    _log.error("%s Nothing is acknowledged until it is back.", error)
                    self._ledger_away = True
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, RETRY_LONGEST_S)
                continue
            if self._ledger_away:
                _log.info("the ledger is back; ingestion goes on")
                self._ledger_away = False
            return done

    def _count(self, done: Recorded) -> None:
        self._figures.new += done.new
        self._figures.duplicates += done.duplicates
        self._figures.rejected += done.rejected
