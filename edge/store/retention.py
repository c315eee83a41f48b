# SPDX-License-Identifier: GPL-3.0-or-later
"""Room for what matters: metrics are rolled up, then dropped oldest first; jobs over their quota or for a visit.

Nothing that was cut into a batch is touched: it may be on its way, and a batch is sent again as it was or not at all.
Visits and the facts of safety are never dropped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from edge.domain.events import EventType, Scalar, Stream
from edge.store.rollup import HOUR_S, MINUTE_S, Reading, roll_up
from edge.store.rows import Moment, Row, Span, add, as_json, drop

CHUNK = 2_000
"""Facts that one step looks at: some 20 ms of the writer's time on a small computer, one gap record."""
JOBS_CHUNK = 500
FREE_PAGES = 16
"""Pages that a call of a few facts takes at most."""

_WAITING = """
SELECT epoch.id, epoch.name, epoch.boot, max(head.watermark, ifnull(
    (SELECT max(s0 + n - 1) FROM cut WHERE cut.epoch = head.epoch AND cut.stream = head.stream), 0))
FROM head JOIN epoch ON epoch.id = head.epoch
WHERE head.stream = ? AND head.watermark < head.last_seq ORDER BY epoch.id
"""
_OLDEST = """
SELECT seq, type, body, boot_ns FROM fact WHERE epoch = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_DROPPED = "UPDATE epoch SET metrics_dropped = metrics_dropped + ? WHERE id = ?"


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The oldest facts of a stream that were not cut yet: consecutive, of one epoch."""

    span: Span
    readings: tuple[Reading, ...]


def thin_out_metrics(connection: sqlite3.Connection, now: Moment) -> bool:
    """Make the oldest metrics smaller by one step; return whether there were any. Raises sqlite3.Error.

    Readings become minutes where that halves them, else hours; what is no smaller so is dropped. Either way a gap
    record tells of it, in the same transaction.
    """
    chunk = _oldest(connection, Stream.METRICS, CHUNK)
    if chunk is None:
        return False
    rolled = _smaller(chunk.readings)
    drop(connection, chunk.span, "rolled_up" if rolled else "quota", now)
    if rolled:
        rows = [Row(EventType.MACHINE_ROLLUP.value, as_json(body), now.boot_ns, now.wall_ns) for body in rolled]
        add(connection, now.epoch_id, Stream.METRICS, rows)
    else:
        connection.execute(_DROPPED, (len(chunk.readings), now.epoch_id))
    return True


def relieve(connection: sqlite3.Connection, now: Moment) -> bool:
    """Have free pages in the file for a fact that must not be lost; return whether there are any.

    Metrics are given up first, rolled up or dropped; where none are left, the oldest jobs. Raises sqlite3.Error.
    """
    if connection.execute("PRAGMA freelist_count").fetchone()[0] >= FREE_PAGES:
        return True
    return thin_out_metrics(connection, now) or thin_out_jobs(connection, now)


def thin_out_jobs(connection: sqlite3.Connection, now: Moment) -> bool:
    """Drop the oldest changes of jobs, with a gap record; return whether there were any. Raises sqlite3.Error."""
    chunk = _oldest(connection, Stream.JOBS, JOBS_CHUNK)
    if chunk is None:
        return False
    drop(connection, chunk.span, "quota", now)
    return True


def _oldest(connection: sqlite3.Connection, stream: Stream, limit: int) -> _Chunk | None:
    for epoch_id, name, boot, cut_to in connection.execute(_WAITING, (stream.value,)).fetchall():
        facts = connection.execute(_OLDEST, (epoch_id, stream.value, cut_to, limit))
        found = [(seq, Reading(boot, kind, _body(body), boot_ns)) for seq, kind, body, boot_ns in facts]
        if found:
            readings = tuple(_alike(found))
            first = found[0][0]
            clocks = [reading.boot_ns for reading in readings]
            span = Span(epoch_id, name, stream, first, first + len(readings) - 1, min(clocks), max(clocks))
            return _Chunk(span, readings)
    return None


def _body(text: str) -> dict[str, Scalar]:
    """Return a body; an empty one, which cannot shrink, where the disk has damaged it: it goes like the others."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _alike(found: Sequence[tuple[int, Reading]]) -> Iterator[Reading]:
    """Yield the first facts up to a missing seq, all of them such as can shrink, or none."""
    first, shrinks = found[0][0], found[0][1].can_shrink
    consecutive = takewhile(lambda item: item[1][0] == first + item[0], enumerate(found))
    for _, (_, reading) in consecutive:
        if reading.can_shrink is not shrinks:
            return
        yield reading


def _smaller(readings: Sequence[Reading]) -> list[dict[str, Scalar]]:
    """Return what says the same in at most half as many facts; empty where nothing does."""
    if not readings[0].can_shrink:
        return []
    if any(reading.is_state for reading in readings):
        minutes = roll_up(readings, MINUTE_S)
        if 2 * len(minutes) <= len(readings):
            return minutes
    hours = roll_up(readings, HOUR_S)
    return hours if 2 * len(hours) <= len(readings) else []
