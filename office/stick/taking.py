# SPDX-License-Identifier: GPL-3.0-or-later
"""From a stick to the ledger: whom to believe, then the batches as if they had come over the air.

What came both ways, in whatever order, counts once, because a fact is known by its identity. A stick that is refused
leaves nothing behind; one that was taken in leaves a row of the audit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from office import intake
from office.errors import LedgerRefused
from office.facts import Item, Message, Rejected
from office.ledger import Ledger, Recorded, audit, keys
from office.stick.archive import BadStick, Stick, read_stick
from wire import topics
from wire.batch import Scalar

GROUP = 32


@dataclass(slots=True)
class Imported:
    """What a stick brought: batches on it, facts that were new, batches that were known, payloads set aside."""

    lab: str
    signed_by: str
    batches: int = 0
    new: int = 0
    duplicates: int = 0
    rejected: int = 0

    def add(self, done: Recorded) -> None:
        """Add what one transaction did."""
        self.new += done.new
        self.duplicates += done.duplicates
        self.rejected += done.rejected


async def take_stick(file: BinaryIO, ledger: Ledger, who: str) -> Imported:
    """Take in what is on a stick; who is the account that asked, "" at the office's own computer.

    Raises BadStick, and then nothing was taken in; LedgerUnavailable, and then part of it may be: once more is no harm.
    """
    stick = await asyncio.to_thread(read_stick, file)
    lab, key = stick.manifest.lab, stick.manifest.key
    known = await ledger.read(lambda database: keys.key_of(database, lab))
    if known != key:
        raise BadStick(reason=_doubt(lab, key, known))
    done = Imported(lab, key, sum(item.stream is not None for item in stick.manifest.files))
    contents = _items(stick)
    while group := await asyncio.to_thread(lambda: list(islice(contents, GROUP))):
        for recorded in await _record(ledger, [item for _, item in group], [message for message, _ in group]):
            done.add(recorded)
    facts: dict[str, Scalar] = {
        "batches": done.batches,
        "new": done.new,
        "duplicates": done.duplicates,
        "rejected": done.rejected,
        "key": key,
        "manifest": stick.sha256,
    }
    text = f"A stick was taken in: {done.new} new facts."
    await ledger.change(lambda database: audit.write(database, who, "import", lab, text, facts))
    return done


def _doubt(lab: str, key: str, known: str) -> str:
    take = f"see that the van's own key is the same (infomobil-edge key), then: infomobil-office key trust {lab} {key}"
    if not known:
        return f"no key of the lab {lab} is known yet. Where nobody but the van can have written it, {take}"
    return f"it is signed with another key than the lab {lab} has had so far. If its card was replaced, {take}"


def _items(stick: Stick) -> Iterator[tuple[Message, Item]]:
    """Yield what is on the stick as the intake reads it, the presence too."""
    lab = stick.manifest.lab
    for listed, content in stick.contents():
        topic = topics.presence(lab) if listed.stream is None else topics.up(lab, listed.stream)
        message = Message(topic, content, len(content), time.time_ns())
        item = intake.read(message)
        yield message, item if isinstance(item, Rejected) else replace(item, on_air=False)


async def _record(ledger: Ledger, items: Sequence[Item], messages: Sequence[Message]) -> list[Recorded]:
    """Return what the ledger made of `items`; one that it can never take is set aside."""
    try:
        return [await ledger.record(items)]
    except LedgerRefused as error:
        if len(items) > 1:
            return [
                done
                for item, message in zip(items, messages, strict=True)
                for done in await _record(ledger, [item], [message])
            ]
        return [await ledger.record([intake.reject(messages[0], str(error))])]
