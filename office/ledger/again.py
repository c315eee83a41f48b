# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the stored facts are those of a batch. The canonical JSON does not depend on a compressor.

What the facts of a lab give are the very bytes that it hashed, but for two cases: where facts were there already when a
batch brought them again, cut otherwise, and where it was written in a way that no lab of ours writes (NaN, another
order of keys). Then its payload is kept, and its facts are compared with those that are stored, each by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from office.facts import Fact, FeedKey
from office.ledger.database import Database, Row
from wire.batch import BadMessage, Batch, Scalar, WireEvent
from wire.codec import batch_hash, decode_batch


def stored(database: Database, feed: int, first: int, last: int) -> tuple[WireEvent, ...] | None:
    """Return the stored facts first..last, None where some are missing or are none."""
    rows = database.query(
        "select type, body, boot_ns, wall_ns from event where feed = ? and seq between ? and ? order by seq",
        (feed, first, last),
    )
    if len(rows) != last - first + 1:
        return None
    try:
        return tuple(_event(row) for row in rows)
    except (TypeError, ValueError):  # a body that is no object in JSON: not what the intake had written
        return None


def gives(batch: Batch, sha256: bytes) -> bool:
    """Return whether the facts of `batch` give its SHA-256."""
    try:
        return batch_hash(batch) == sha256
    except ValueError:  # NaN, or half of a surrogate pair: JSON of another kind
        return False


def reproducible(batch: Batch, sha256: bytes, facts: Sequence[Fact]) -> bool:
    """Return whether `batch` gives its SHA-256 once `facts` are what is stored of it."""
    whole = all(fact.body is event.body for fact, event in zip(facts, batch.events, strict=True))
    return whole and gives(batch, sha256)


def agrees(key: FeedKey, payload: bytes, sha256: bytes, events: Sequence[WireEvent]) -> bool:
    """Return whether `payload` is the batch of that SHA-256, and `events` its facts but for fields without a value."""
    lab, stream, _ = key
    try:
        batch, found = decode_batch(lab, stream, payload)
    except BadMessage:
        return False
    return found == sha256 and [_plain(event) for event in batch.events] == [_plain(event) for event in events]


def _plain(event: WireEvent) -> tuple[str, int, int, dict[str, Scalar]]:
    body = {key: value for key, value in event.body.items() if not _empty(value)}
    return event.type, event.boot_ns, event.wall_ns, body


def _empty(value: Scalar) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _event(row: Row) -> WireEvent:
    kind, body, boot_ns, wall_ns = row
    value = json.loads(body)
    if not isinstance(value, dict):
        raise TypeError("a body is an object")
    return WireEvent(kind, value, boot_ns, wall_ns)
