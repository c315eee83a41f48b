# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every fact that should wait does: what the disk lost without a word is told as a gap."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from edge.domain.events import Stream
from edge.store.rows import Moment, Span, drop

PORTION = 2_000

_HEADS = """
SELECT head.epoch, epoch.name, head.stream, head.watermark, head.last_seq
FROM head JOIN epoch ON epoch.id = head.epoch WHERE head.watermark < head.last_seq ORDER BY head.epoch, head.stream
"""
# A body that is no JSON could never be sent: it counts as not there.
_SEQS = """
SELECT first, last FROM gap WHERE epoch = :epoch AND stream = :stream AND last > :after AND first <= :upto
UNION ALL
SELECT seq, seq FROM fact
WHERE epoch = :epoch AND stream = :stream AND seq > :after AND seq <= :upto AND json_valid(body)
ORDER BY first
"""
_CUTS = "DELETE FROM cut WHERE epoch = ? AND stream = ? AND s0 + n - 1 >= ?"
_WATERMARK = "SELECT watermark FROM head WHERE epoch = ? AND stream = ?"


@dataclass(frozen=True, slots=True)
class Portion:
    """Seqs after..upto of a stream of an epoch that are above its watermark."""

    epoch_id: int
    epoch: str
    stream: Stream
    after: int
    upto: int


def portions(connection: sqlite3.Connection) -> Iterator[Portion]:
    """Yield what is to be looked at, in pieces of some ten milliseconds. Raises sqlite3.Error."""
    for epoch_id, epoch, stream, watermark, last_seq in connection.execute(_HEADS).fetchall():
        for after in range(watermark, last_seq, PORTION):
            yield Portion(epoch_id, epoch, Stream(stream), after, min(after + PORTION, last_seq))


def missing(connection: sqlite3.Connection, portion: Portion) -> list[tuple[int, int]]:
    """Return the ranges that are neither facts nor known gaps nor acknowledged. Raises sqlite3.Error."""
    place = {"epoch": portion.epoch_id, "stream": portion.stream.value, "upto": portion.upto}
    watermark = connection.execute(_WATERMARK, (portion.epoch_id, portion.stream.value)).fetchone()
    if watermark is None:
        return []
    reached = max(portion.after, watermark[0])
    found: list[tuple[int, int]] = []
    for first, last in connection.execute(_SEQS, {**place, "after": reached}).fetchall():
        if first > reached + 1:
            found.append((reached + 1, first - 1))
        reached = max(reached, last)
    if reached < portion.upto:
        found.append((reached + 1, portion.upto))
    return found


def tell_lost(connection: sqlite3.Connection, portion: Portion, now: Moment) -> int:
    """Write gap records for what is missing, inside a transaction; return the number of facts. Raises sqlite3.Error.

    Batches from the first missing fact on are cut anew: they cannot be sent as they were.
    """
    ranges = missing(connection, portion)
    for first, last in ranges:
        drop(connection, Span(portion.epoch_id, portion.epoch, portion.stream, first, last), "lost", now)
    if ranges:
        connection.execute(_CUTS, (portion.epoch_id, portion.stream.value, ranges[0][0]))
    return sum(last - first + 1 for first, last in ranges)
