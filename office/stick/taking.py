# SPDX-License-Identifier: GPL-3.0-or-later
"""From a stick to the ledger: whom to believe, then the batches as if they had come over the air.

What came both ways, in whatever order, counts once, because a fact is known by its identity. Every stick leaves rows
of the audit: one that is refused leaves nothing else, one that is taken in its beginning and how it ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from office import intake
from office.errors import LedgerUnavailable
from office.facts import Item, Message, Rejected
from office.ledger import Ledger, Recorded, audit, keys
from office.ledger.refused import record_or_set_aside
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

    @property
    def figures(self) -> dict[str, Scalar]:
        """Return what became of the batches, for the audit."""
        return {"new": self.new, "duplicates": self.duplicates, "rejected": self.rejected}

    def add(self, done: Recorded) -> None:
        """Add what one transaction did."""
        self.new += done.new
        self.duplicates += done.duplicates
        self.rejected += done.rejected


async def take_stick(file: BinaryIO, ledger: Ledger, who: str) -> Imported:
    """Take in what is on a stick; who is the account that asked, "" at the office's own computer.

    Raises BadStick where it is refused. Also LedgerUnavailable and OSError, and BadStick where the file has changed
    meanwhile: then part of it may be in the ledger, and once more is no harm.
    """
    stick = await _believed(file, ledger, who)
    lab, key = stick.manifest.lab, stick.manifest.key
    done = Imported(lab, key, sum(item.stream is not None for item in stick.manifest.files))
    begun: dict[str, Scalar] = {"batches": done.batches, "key": key, "manifest": stick.sha256}
    # What breaks off, and be it with the office's power, is seen by a beginning that has no end.
    await _note(ledger, who, lab, "A stick is being taken in.", begun)
    try:
        contents = _items(stick)
        while group := await asyncio.to_thread(lambda: list(islice(contents, GROUP))):
            messages, items = zip(*group, strict=True)
            for recorded in await record_or_set_aside(ledger.record, messages, items):
                done.add(recorded)
    except (BadStick, LedgerUnavailable, OSError) as error:
        failed = str(error) if isinstance(error, BadStick) else "the ledger or the file was away"
        text = f"A stick broke off: {done.new} new facts of it were taken in."
        with suppress(LedgerUnavailable):
            await _note(ledger, who, lab, text, begun | done.figures | {"failed": failed})
        raise
    await _note(ledger, who, lab, f"A stick was taken in: {done.new} new facts.", begun | done.figures)
    return done


async def _believed(file: BinaryIO, ledger: Ledger, who: str) -> Stick:
    """Return the stick if it is whole and signed with the key of its lab; raises BadStick, and notes it."""
    lab: str | None = None
    try:
        stick = await asyncio.to_thread(read_stick, file)
        lab, key = stick.manifest.lab, stick.manifest.key
        known = await ledger.read(lambda database: keys.key_of(database, stick.manifest.lab))
        if known != key:
            raise BadStick(reason=_doubt(lab, key, known))
    except BadStick as error:
        await _note(ledger, who, lab, "A stick was refused.", {"failed": str(error)})
        raise
    return stick


async def _note(ledger: Ledger, who: str, lab: str | None, text: str, facts: dict[str, Scalar]) -> None:
    await ledger.change(lambda database: audit.write(database, who, "import", lab, text, facts))


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
