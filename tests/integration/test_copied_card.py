# SPDX-License-Identifier: GPL-3.0-or-later
"""A card was copied, and the disk of one copy lost visits: the other one keeps them until the office holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from edge.domain.events import Stream
from edge.store.database import Database
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.relay import OutboxRelay
from edge.sync.settings import SyncSettings
from edge.sync.status import LabIdentity
from office import intake
from office.facts import Message
from office.ledger import Ledger, reading
from tests.support.facts import FixedClock, headcount
from tests.support.lineage import came, gap
from tests.support.office import NOW_NS, Sender, presence
from wire import topics
from wire.codec import encode_ack

DEADLINE_S = 20.0


class Air:
    """The lab's end of a link that swallows what is sent, until the test takes it from `sent`."""

    connected = True
    window = 20
    last_error = ""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self._hear: Callable[[str, bytes], None] = lambda _topic, _payload: None

    def listen(self, _greet: object, hear: Callable[[str, bytes], None]) -> None:
        self._hear = hear

    def fits(self, _message: object) -> bool:
        return True

    def publish(self, message: object) -> None:
        self.sent.append((message.topic, message.payload))  # type: ignore[attr-defined]

    def batches(self) -> list[Message]:
        return [Message(*pair, len(pair[1]), NOW_NS) for pair in self.sent if "/up/visits" in pair[0]]

    def answer(self, acks: tuple[tuple[str, object], ...]) -> None:
        for lab, ack in acks:
            self._hear(topics.ack(lab, ack.stream), encode_ack(ack))  # type: ignore[attr-defined, arg-type]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0.01)


async def test_what_one_copy_lost_the_other_keeps_until_it_is_held(tmp_path: Path) -> None:
    settings = StoreSettings(reserve_mb=0, ballast_mb=0)
    first = Database.open(tmp_path / "lab.db", settings, "b1")
    epoch = first.epoch
    for _ in range(3):
        await SqliteStore(first).append([headcount(10)])
    first.close()
    card, ledger, air = Database.open(tmp_path / "lab.db", settings, "b2"), Ledger(f"sqlite:///{tmp_path}/o.db"), Air()
    outbox = SqliteOutbox(card)
    identity = LabIdentity("van-1", "b2", card.epoch, "1.0", "c0ffee")
    relay = OutboxRelay(outbox, air, FixedClock(), identity, SyncSettings(host="broker"))  # type: ignore[arg-type]
    running = asyncio.create_task(relay.run())

    async def on_the_card() -> int:
        return len(await outbox.read(Stream.VISITS, epoch, 0, 10))

    try:
        await until(air.batches)
        other = came(Sender(stream="safety", epoch="other"), [gap("visits", epoch, 1, 3, "lost")], NOW_NS)
        done = await ledger.record([presence(closed={epoch: {"visits": 3}}), other])
        assert {(ack.stream, ack.watermark, ack.explained) for _, ack in done.acks} >= {("visits", 3, ((1, 3),))}
        sent = len(air.batches())
        air.answer(done.acks)
        # The batch is sent again when nobody says that it came: by then the acknowledgement has been taken in.
        await until(lambda: len(air.batches()) > sent)
        assert await on_the_card() == 3
        done = await ledger.record([intake.read(air.batches()[-1])])
        air.answer(done.acks)
        async with asyncio.timeout(DEADLINE_S):
            while await on_the_card():
                await asyncio.sleep(0.01)
        assert (await ledger.read(reading.totals)).ledger == 30
        assert (await ledger.recount()).differences == ()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        card.close()
        await ledger.close()
