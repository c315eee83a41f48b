# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts as rows: the one place that gives out sequence numbers, counts room, and drops a range with its gap record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.domain.events import EventType, Scalar, Stream

MAX_BODY = 8_192
ROW_OVERHEAD = 64
"""Bytes that a fact takes beside its body, about: its key, its type and its clock values."""

_NEXT = """
INSERT INTO head (epoch, stream, last_seq, bytes) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last_seq = last_seq + excluded.last_seq, bytes = bytes + excluded.bytes RETURNING last_seq
"""
_FACT = "INSERT INTO fact (epoch, stream, seq, type, body, boot_ns, wall_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"
_GAP = "INSERT INTO gap (epoch, stream, first, last, record_epoch, record_seq) VALUES (?, ?, ?, ?, ?, ?)"
_SIZE = """
SELECT ifnull(sum(length(CAST(body AS BLOB)) + ?), 0) FROM fact
WHERE epoch = ? AND stream = ? AND seq BETWEEN ? AND ?
"""
_DROP = "DELETE FROM fact WHERE epoch = ? AND stream = ? AND seq BETWEEN ? AND ?"
_SMALLER = "UPDATE head SET bytes = bytes - ? WHERE epoch = ? AND stream = ?"


@dataclass(frozen=True, slots=True)
class Row:
    """A fact before it has a seq, its body as JSON; boot_ns and wall_ns are those of the event."""

    type: str
    body: str
    boot_ns: int
    wall_ns: int

    @property
    def size(self) -> int:
        """Return the room that it takes, in bytes."""
        return len(self.body.encode()) + ROW_OVERHEAD


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks of the lab, in nanoseconds, and the epoch that facts are written to."""

    epoch_id: int
    boot_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """Facts first..last of a stream of an epoch (its id, its name); began_ns and ended_ns are on that epoch's clock."""

    epoch_id: int
    epoch: str
    stream: Stream
    first: int
    last: int
    began_ns: int | None = None
    ended_ns: int | None = None


def as_json(body: Mapping[str, Scalar]) -> str:
    """Return a body as it is kept. Raises ValueError where it could never be sent: not finite, too long, not UTF-8."""
    text = json.dumps(dict(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    size = len(text.encode())
    if size > MAX_BODY:
        raise ValueError(f"the body of a fact has {size} bytes, allowed are {MAX_BODY}")
    return text


def add(connection: sqlite3.Connection, epoch_id: int, stream: Stream, rows: Sequence[Row]) -> int:
    """Write facts behind the others of the stream; return the seq of the first. Raises sqlite3.Error."""
    size = sum(row.size for row in rows)
    last: int = connection.execute(_NEXT, (epoch_id, stream.value, len(rows), size)).fetchone()[0]
    first = last - len(rows) + 1
    facts = (
        (epoch_id, stream.value, first + index, row.type, row.body, row.boot_ns, row.wall_ns)
        for index, row in enumerate(rows)
    )
    connection.executemany(_FACT, facts)
    return first


def drop(connection: sqlite3.Connection, span: Span, reason: str, now: Moment) -> None:
    """Drop the facts of `span`, with a stream.gap fact in the same transaction. Raises sqlite3.Error.

    reason is one of those of stream.gap. The facts of a span may be gone already, where the disk lost them.
    """
    place = (span.epoch_id, span.stream.value)
    body: dict[str, Scalar] = {
        "stream": span.stream.value,
        "epoch": span.epoch,
        "first": span.first,
        "last": span.last,
        "reason": reason,
        "began_boot_us": _us(span.began_ns),
        "ended_boot_us": _us(span.ended_ns),
    }
    record = add(
        connection,
        now.epoch_id,
        Stream.SAFETY,
        [Row(EventType.STREAM_GAP.value, as_json(body), now.boot_ns, now.wall_ns)],
    )
    forget(connection, *place, span.first, span.last)
    connection.execute(_GAP, (*place, span.first, span.last, now.epoch_id, record))


def forget(connection: sqlite3.Connection, epoch_id: int, stream: str, first: int, last: int) -> None:
    """Delete facts of which the office has heard, or hears by a gap record, and give their room back."""
    place = (epoch_id, stream)
    (size,) = connection.execute(_SIZE, (ROW_OVERHEAD, *place, first, last)).fetchone()
    connection.execute(_DROP, (*place, first, last))
    connection.execute(_SMALLER, (size, *place))


def _us(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None or nanoseconds < 0 else nanoseconds // 1_000
