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

MAX_BODY = 8_192
ROW_OVERHEAD = 64
REACHED = frozenset({Role.PUPIL.value, Role.TEACHER.value})
_INT64 = range(-(2**63), 2**63)

_NEXT = """
INSERT INTO head (epoch, stream, last_seq) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET last_seq = last_seq + excluded.last_seq RETURNING last_seq
"""
_FACT = "INSERT INTO fact (epoch, stream, seq, type, body, boot_ns, wall_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COUNT = "UPDATE epoch SET people = people + ?, corrected = corrected + ?, sessions = sessions + ? WHERE id = ?"
_SAVE = "INSERT INTO working_state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
# The upper bound is the prefix followed by the highest code point: a range, so that the primary key is used.
_LOAD = "SELECT key, value FROM working_state WHERE key >= ? AND key < ? ORDER BY key"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Facts of one call, made ready outside the writer thread."""

    by_stream: dict[Stream, list[tuple[str, str, int, int]]]
    counted: tuple[int, int, int]
    saves: Mapping[str, str | None]
    metrics_bytes: int

    @property
    def durable(self) -> bool:
        """Return whether the caller must not return before fsync: metrics alone need not wait."""
        return bool(self.saves) or any(stream is not Stream.METRICS for stream in self.by_stream)


class SqliteStore:
    """EventStore on SQLite. A fact is durable when `append` returns, except metrics, which may wait for the next sync.

    Metrics over their quota, or while the file system has less free room than the reserve, are refused: they get no
    seq, are missing from the returned list and are counted in `metrics_refused()`. Everything else is only ever
    refused by the disk itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._quota = int(database.settings.metrics_quota_mb * 1_000_000)
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
        first = await self._database.writer.write(
            lambda connection: self._write(connection, rows), durable=rows.durable
        )
        stored: list[StoredEvent] = []
        for event in events:
            stream = event.stream
            if stream in first:
                stored.append(StoredEvent(self._database.epoch, first[stream], event))
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

    def _write(self, connection: sqlite3.Connection, rows: _Rows) -> dict[Stream, int]:
        """Write inside the transaction; return the first seq per stream that was given out."""
        epoch = self._database.epoch_id
        first: dict[Stream, int] = {}
        for stream, facts in rows.by_stream.items():
            if stream is Stream.METRICS and not self._has_room(connection):
                connection.execute(
                    "UPDATE epoch SET metrics_refused = metrics_refused + ? WHERE id = ?", (len(facts), epoch)
                )
                continue
            last = connection.execute(_NEXT, (epoch, stream.value, len(facts))).fetchone()[0]
            first[stream] = start = last - len(facts) + 1
            connection.executemany(
                _FACT, [(epoch, stream.value, start + index, *fact) for index, fact in enumerate(facts)]
            )
            if stream is Stream.METRICS:
                connection.execute("UPDATE metrics_room SET bytes = bytes + ?", (rows.metrics_bytes,))
        if any(rows.counted):
            connection.execute(_COUNT, (*rows.counted, epoch))
        for key, value in rows.saves.items():
            if value is None:
                connection.execute("DELETE FROM working_state WHERE key = ?", (key,))
            else:
                connection.execute(_SAVE, (key, value))
        return first

    def _has_room(self, connection: sqlite3.Connection) -> bool:
        used: int = connection.execute("SELECT bytes FROM metrics_room").fetchone()[0]
        if used >= self._quota:
            return False
        try:
            return shutil.disk_usage(self._database.path.parent).free >= self._reserve
        except OSError:  # a disk that does not say how full it is has no room for metrics
            return False


def _prepare(events: Sequence[Event], saves: Mapping[str, str | None]) -> _Rows:
    by_stream: dict[Stream, list[tuple[str, str, int, int]]] = {}
    counted: Counter[str] = Counter()
    metrics_bytes = 0
    for event in events:
        body = json.dumps(dict(event.body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(body.encode())
        if size > MAX_BODY:
            raise ValueError(f"the body of a fact has {size} bytes, allowed are {MAX_BODY}")
        if event.boot_ns not in _INT64 or event.wall_ns not in _INT64:
            raise ValueError("a clock value of a fact is beyond 64 bits")
        by_stream.setdefault(event.stream, []).append((event.type.value, body, event.boot_ns, event.wall_ns))
        metrics_bytes += (size + ROW_OVERHEAD) * (event.stream is Stream.METRICS)
        _count(event, counted)
    for text in (*saves, *(value for value in saves.values() if value is not None)):
        text.encode()
    totals = (counted["people"], counted["corrected"], counted["sessions"])
    return _Rows(by_stream, totals, dict(saves), metrics_bytes)


def _count(event: Event, counted: Counter[str]) -> None:
    """Add the fact to the grow-only counters of presence: people reached, people taken back, kiosk sessions."""
    if event.type is EventType.KIOSK_SESSION:
        counted["sessions"] += 1
    elif event.type is EventType.HEADCOUNT and event.body["role"] in REACHED:
        number = event.body["count"]
        if not isinstance(number, int):
            raise ValueError(f"a headcount of {number!r} is no whole number")
        counted["people" if number > 0 else "corrected"] += abs(number)
