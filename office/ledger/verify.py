# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the chains of batches against the stored facts: each batch is put together again and its SHA-256 computed.

Whoever alters, adds or takes out a fact later breaks the batch that brought it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from office.ledger import ranges as seqs
from office.ledger.again import agrees, gives, stored
from office.ledger.chain import Chain
from office.ledger.database import Database
from wire.batch import Batch

CHUNK = 500
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Chains:
    """The batches that were looked at, how many things do not fit, and the first MOST_NAMED of them in words."""

    batches: int
    broken: int
    named: tuple[str, ...]


def verify(database: Database) -> Chains:
    """Return what of all feeds does not fit together; inside a reading transaction."""
    batches, broken, named = 0, 0, list[str]()
    for number, lab, stream, epoch, boot, ranges, explained in database.query(
        "select id, lab, stream, epoch, boot, ranges, explained from feed order by id"
    ):
        gone = seqs.from_lists(json.loads(explained))
        feed = _Feed(database, Chain(number, (lab, stream, epoch), gone), boot)
        for what in feed.check(seqs.size(seqs.from_lists(json.loads(ranges)))):
            broken += 1
            if len(named) < MOST_NAMED:
                named.append(f"{lab}, {stream} of epoch {epoch}: {what}")
        batches += feed.batches
    return Chains(batches, broken, tuple(named))


class _Feed:
    def __init__(self, database: Database, chain: Chain, boot: str) -> None:
        self._database = database
        self._chain = chain
        self._number = chain.feed
        self._of = (chain.key, boot)
        self.batches = 0

    def check(self, held: int) -> Iterator[str]:
        """Yield what does not fit in a feed that claims to hold `held` facts."""
        for first, last, sha256, prev, payload in self._rows():
            self.batches += 1
            if last in self._chain.broken(self._database, first):
                yield f"batch {first}-{last} does not follow the one before it"
            if not self._holds(first, last, sha256, prev, payload):
                yield f"the facts {first}-{last} are not those that came"
        ((there,),) = self._database.query("select count(*) from event where feed = ?", (self._number,))
        if there != held:
            yield f"{there} facts are there, {held} came"

    def _rows(self) -> Iterator[tuple[int, int, bytes, bytes | None, bytes | None]]:
        after: tuple[int, bytes] = (0, b"")
        while True:
            rows = self._database.query(
                "select first, last, sha256, prev, payload from batch where feed = ? and (first, sha256) > (?, ?)"
                " order by first, sha256 limit ?",
                (self._number, *after, CHUNK),
            )
            for first, last, *hashes in rows:
                sha256, prev, payload = (None if value is None else bytes(value) for value in hashes)
                yield first, last, sha256 or b"", prev, payload
            if len(rows) < CHUNK:
                return
            after = (rows[-1][0], bytes(rows[-1][2]))

    def _holds(self, first: int, last: int, sha256: bytes, prev: bytes | None, payload: bytes | None) -> bool:
        """Return whether the facts of a batch are stored as it brought them."""
        key, boot = self._of
        events = stored(self._database, self._number, first, last)
        if events is None:
            return False
        if payload is not None:
            return agrees(key, payload, sha256, events)
        return gives(Batch(*key, boot, first, prev, events), sha256)
