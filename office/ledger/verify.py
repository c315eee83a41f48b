# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the chains of batches against the stored facts: each batch is put together again and its SHA-256 computed.

The canonical JSON of a batch does not depend on a compressor, so the facts of the ledger give the very bytes that the
lab hashed. Whoever alters, adds or takes out a fact later breaks the batch that brought it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from office.ledger import ranges as seqs
from office.ledger.chain import Chain
from office.ledger.database import Database, Row
from wire.batch import Batch, WireEvent
from wire.codec import batch_hash

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
        self._of = (*chain.key, boot)
        self.batches = 0

    def check(self, held: int) -> Iterator[str]:
        """Yield what does not fit in a feed that claims to hold `held` facts."""
        for first, last, sha256, prev in self._rows():
            self.batches += 1
            if last in self._chain.broken(self._database, first):
                yield f"batch {first}-{last} does not follow the one before it"
            if self._again(first, last, prev) != sha256:
                yield f"the facts {first}-{last} are not those that came"
        ((stored,),) = self._database.query("select count(*) from event where feed = ?", (self._number,))
        if stored != held:
            yield f"{stored} facts are there, {held} came"

    def _rows(self) -> Iterator[tuple[int, int, bytes, bytes | None]]:
        after: tuple[int, bytes] = (0, b"")
        while True:
            rows = self._database.query(
                "select first, last, sha256, prev from batch where feed = ? and (first, sha256) > (?, ?)"
                " order by first, sha256 limit ?",
                (self._number, *after, CHUNK),
            )
            for first, last, sha256, prev in rows:
                yield first, last, bytes(sha256), None if prev is None else bytes(prev)
            if len(rows) < CHUNK:
                return
            after = (rows[-1][0], bytes(rows[-1][2]))

    def _again(self, first: int, last: int, prev: bytes | None) -> bytes | None:
        """Return the SHA-256 of the batch made of the stored facts, None where some are missing or are none."""
        rows = self._database.query(
            "select type, body, boot_ns, wall_ns from event where feed = ? and seq between ? and ? order by seq",
            (self._number, first, last),
        )
        if len(rows) != last - first + 1:
            return None
        lab, stream, epoch, boot = self._of
        try:
            events = tuple(_event(row) for row in rows)
            return batch_hash(Batch(lab, stream, epoch, boot, first, prev, events))
        except (TypeError, ValueError):  # a body that is no object in JSON: not what the intake had written
            return None


def _event(row: Row) -> WireEvent:
    kind, body, boot_ns, wall_ns = row
    value = json.loads(body)
    if not isinstance(value, dict):
        raise TypeError("a body is an object")
    return WireEvent(kind, value, boot_ns, wall_ns)
