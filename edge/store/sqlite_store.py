# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts and working state, written in one transaction with their sequence numbers and counters."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.domain.events import Event, EventType, StoredEvent, Stream
from edge.domain.visit import Role
from edge.store.database import Database
from edge.store.retention import relieve, thin_out_jobs, thin_out_metrics
from edge.store.rows import MAX_BODY, Moment, Row, add, as_json

__all__ = ["MAX_BODY", "REACHED", "SqliteStore"]

REACHED = frozenset({Role.PUPIL.value, Role.TEACHER.value})
STEPS = 3
"""Steps of thinning out that one call makes at most: the others wait for its commit."""
SPARE_PAGES = 64
"""Free pages inside the file that metrics need where the disk itself has no room for them."""
_INT64 = range(-(2**63), 2**63)

_COUNT = "UPDATE epoch SET people = people + ?, corrected = corrected + ?, sessions = sessions + ? WHERE id = ?"
_REFUSED = "UPDATE epoch SET metrics_refused = metrics_refused + ? WHERE id = ?"
_SAVE = "INSERT INTO working_state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
# The upper bound is the prefix followed by the highest code point: a range, so that the primary key is used.
_LOAD = "SELECT key, value FROM working_state WHERE key >= ? AND key < ? ORDER BY key"
_USED = "SELECT ifnull(sum(bytes), 0) FROM head WHERE stream = ?"
_ROOM = """
SELECT (SELECT sum(metrics_refused + metrics_dropped) FROM epoch),
(SELECT json_group_object(stream, bytes) FROM (SELECT stream, sum(bytes) AS bytes FROM head GROUP BY stream))
"""


@dataclass(frozen=True, slots=True)
class Room:
    """What waiting facts take, in bytes by stream, and how many metrics were refused or dropped without a trace."""

    bytes: Mapping[Stream, int]
    metrics_dropped: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """Facts of one call, made ready outside the writer thread. boot_ns and wall_ns are those of the newest."""

    by_stream: dict[Stream, list[Row]]
    counted: tuple[int, int, int]
    saves: Mapping[str, str | None]
    boot_ns: int
    wall_ns: int

    @property
    def durable(self) -> bool:
        """Return whether the caller must not return before fsync: metrics alone need not wait."""
        return bool(self.saves) or any(stream is not Stream.METRICS for stream in self.by_stream)


class SqliteStore:
    """EventStore on SQLite. A fact is durable when `append` returns, except metrics, which may wait for the next sync.

    Metrics over their quota, or while the file system has less free room than the reserve, push older ones out: see
    `retention`. Where there are none to push out they are refused: they get no seq, are missing from the returned list
    and are counted in `metrics_refused()`. Jobs over their quota push the oldest of them out. Everything but metrics is
    only ever refused by the disk itself, and on a full disk takes the place of metrics, then of the oldest jobs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._quota = int(database.settings.metrics_quota_mb * 1_000_000)
        self._jobs_quota = int(database.settings.jobs_quota_mb * 1_000_000)
        self._reserve = int(database.settings.reserve_mb * 1_000_000)

    @property
    def epoch(self) -> str:
        """Return the epoch of this opening of the database."""
        return self._database.epoch

    async def append(self, events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        """Commit events and working state in one transaction; see EventStore.append.

        Raises StoreUnavailable, and ValueError for a body that could never be sent: not finite, not UTF-8, over
        MAX_BODY bytes, or with clock values beyond 64 bits.
        """
        rows = _prepare(events, saves or {})
        if not rows.by_stream and not rows.saves:
            return []
        epoch, first = await self._database.writer.write(
            lambda connection: self._write(connection, rows),
            durable=rows.durable,
            relief=(lambda connection: relieve(connection, self._moment(rows))) if rows.durable else None,
            committed=lambda: self._database.saved(rows.saves),
        )
        stored: list[StoredEvent] = []
        for event in events:
            stream = event.stream
            if stream in first:
                stored.append(StoredEvent(epoch, first[stream], event))
                first[stream] += 1
        return stored

    async def load(self, prefix: str) -> dict[str, str]:
        """Return the working state under every key that begins with `prefix`, by key. Raises StoreUnavailable."""
        bounds = (prefix, prefix + chr(0x10FFFF))
        return await self._database.writer.read(lambda connection: dict(connection.execute(_LOAD, bounds).fetchall()))

    async def metrics_refused(self) -> int:
        """Return how many metrics were refused since the database was made, over all epochs still remembered."""
        refused: int = await self._database.writer.read(
            lambda connection: connection.execute("SELECT sum(metrics_refused) FROM epoch").fetchone()[0]
        )
        return refused

    async def room(self) -> Room:
        """Return what waiting facts take. Raises StoreUnavailable."""
        dropped, by_stream = await self._database.writer.read(lambda connection: connection.execute(_ROOM).fetchone())
        found = json.loads(by_stream)
        return Room({stream: found.get(stream.value, 0) for stream in Stream}, dropped)

    def _moment(self, rows: _Rows) -> Moment:
        return Moment(self._database.epoch_id, rows.boot_ns, rows.wall_ns)

    def _write(self, connection: sqlite3.Connection, rows: _Rows) -> tuple[str, dict[Stream, int]]:
        """Write inside the transaction; return the epoch, and the first seq per stream that was given out."""
        epoch = self._database.epoch_id
        first: dict[Stream, int] = {}
        for stream, facts in rows.by_stream.items():
            if stream is Stream.METRICS and not self._make_room(connection, rows):
                connection.execute(_REFUSED, (len(facts), epoch))
                continue
            if stream is Stream.JOBS and _used(connection, stream) >= self._jobs_quota:
                thin_out_jobs(connection, self._moment(rows))
            first[stream] = add(connection, epoch, stream, facts)
        if any(rows.counted):
            connection.execute(_COUNT, (*rows.counted, epoch))
        for key, value in rows.saves.items():
            if value is None:
                connection.execute("DELETE FROM working_state WHERE key = ?", (key,))
            else:
                connection.execute(_SAVE, (key, value))
        return self._database.epoch, first

    def _make_room(self, connection: sqlite3.Connection, rows: _Rows) -> bool:
        for _ in range(STEPS):
            if self._has_room(connection):
                return True
            if not thin_out_metrics(connection, self._moment(rows)):
                return False
        return self._has_room(connection)

    def _has_room(self, connection: sqlite3.Connection) -> bool:
        if _used(connection, Stream.METRICS) >= self._quota:
            return False
        if connection.execute("PRAGMA freelist_count").fetchone()[0] >= SPARE_PAGES:
            return True
        try:
            return shutil.disk_usage(self._database.path.parent).free >= self._reserve
        except OSError:  # a disk that does not say how full it is has no room for metrics
            return False


def _used(connection: sqlite3.Connection, stream: Stream) -> int:
    used: int = connection.execute(_USED, (stream.value,)).fetchone()[0]
    return used


def _prepare(events: Sequence[Event], saves: Mapping[str, str | None]) -> _Rows:
    by_stream: dict[Stream, list[Row]] = {}
    counted: Counter[str] = Counter()
    for event in events:
        if event.boot_ns not in _INT64 or event.wall_ns not in _INT64:
            raise ValueError("a clock value of a fact is beyond 64 bits")
        row = Row(event.type.value, as_json(event.body), event.boot_ns, event.wall_ns)
        by_stream.setdefault(event.stream, []).append(row)
        _count(event, counted)
    for text in (*saves, *(value for value in saves.values() if value is not None)):
        text.encode()
    totals = (counted["people"], counted["corrected"], counted["sessions"])
    newest = max(events, key=lambda event: event.boot_ns, default=None)
    clocks = (newest.boot_ns, newest.wall_ns) if newest else (0, 0)
    return _Rows(by_stream, totals, dict(saves), *clocks)


def _count(event: Event, counted: Counter[str]) -> None:
    """Add the fact to the grow-only counters of presence: people reached, people taken back, kiosk sessions."""
    if event.type is EventType.KIOSK_SESSION:
        counted["sessions"] += 1
    elif event.type is EventType.HEADCOUNT and event.body["role"] in REACHED:
        number = event.body["count"]
        if not isinstance(number, int):
            raise ValueError(f"a headcount of {number!r} is no whole number")
        counted["people" if number > 0 else "corrected"] += abs(number)
