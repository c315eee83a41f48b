# SPDX-License-Identifier: GPL-3.0-or-later
"""The outbox: waiting facts, the batches they were cut into, and pruning by the office's watermark."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from typing import NoReturn

from edge.domain.errors import FactDamaged, StoreUnavailable
from edge.domain.events import Stream
from edge.domain.ports import Cut, StreamHead, WaitingFact
from edge.store.database import Database
from edge.store.rows import forget

ANNOUNCED_EPOCHS = 8
MOST_ANNOUNCED = 200
"""Epochs with waiting facts that presence names at a time: some 30 kB."""

_HEADS = """
SELECT head.stream, epoch.name, epoch.boot, head.last_seq, head.watermark,
(SELECT boot_ns FROM fact WHERE fact.epoch = head.epoch AND fact.stream = head.stream ORDER BY seq LIMIT 1)
FROM head JOIN epoch ON epoch.id = head.epoch
WHERE (head.watermark < head.last_seq OR epoch.id = ?)
"""
_OF_EPOCH = " AND epoch.name = ?"
_OLDEST_FIRST = " ORDER BY epoch.id"
_HEAD = """
SELECT head.epoch, head.watermark FROM head JOIN epoch ON epoch.id = head.epoch
WHERE head.stream = ? AND epoch.name = ?
"""
_READ = """
SELECT seq, CAST(type AS BLOB), CAST(body AS BLOB), boot_ns, wall_ns FROM fact
WHERE epoch = (SELECT id FROM epoch WHERE name = ?) AND stream = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_CUTS = """
SELECT s0, n, prev, sha256 FROM cut WHERE epoch = (SELECT id FROM epoch WHERE name = ?) AND stream = ? ORDER BY s0
"""
_GAPS = "SELECT first, last FROM gap WHERE epoch = (SELECT id FROM epoch WHERE name = ?) AND stream = ? ORDER BY first"
_PRIORITY = {stream: place for place, stream in enumerate(Stream)}
_KEEP = """
INSERT INTO cut (epoch, stream, s0, n, prev, sha256)
SELECT id, ?, ?, ?, ?, ? FROM epoch WHERE name = ? ON CONFLICT DO NOTHING
"""
_OVERLAPS = """
SELECT 1 FROM gap JOIN epoch ON epoch.id = gap.epoch
WHERE epoch.name = ? AND stream = ? AND first <= ? AND last >= ? LIMIT 1
"""
# Cuts and gaps above the watermark, in order. A gap is told once the office has its record: every fact of an epoch that
# is forgotten is acknowledged.
_PASSABLE = """
SELECT s0 AS first, s0 + n - 1 AS last, 0 AS gap, 0 AS told FROM cut
WHERE epoch = :epoch AND stream = :stream AND s0 > :before AND s0 <= :upto
UNION ALL
SELECT first, last, 1, ifnull((SELECT watermark >= gap.record_seq FROM head
    WHERE head.epoch = gap.record_epoch AND head.stream = 'safety'), 1) FROM gap
WHERE epoch = :epoch AND stream = :stream AND last > :before
ORDER BY first
"""
_TOLD_BY = """
SELECT DISTINCT epoch.name, gap.stream FROM gap JOIN epoch ON epoch.id = gap.epoch
WHERE record_epoch = ? AND record_seq <= ?
"""
_PRUNE_GAPS = "DELETE FROM gap WHERE epoch = ? AND stream = ? AND last <= ?"
_TRIM_GAP = "UPDATE gap SET first = ? WHERE epoch = ? AND stream = ? AND first < ?"
_WAITS = """
SELECT seq FROM fact WHERE epoch = ? AND stream = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT 1
"""
# The newest batch at or below the watermark stays: the next one carries its hash. Batches do not overlap, so that is
# the newest that begins there, or the one before it where it goes on beyond.
_PRUNE_CUTS = """
DELETE FROM cut WHERE epoch = :epoch AND stream = :stream AND s0 < ifnull((
    SELECT s0 FROM cut WHERE epoch = :epoch AND stream = :stream AND s0 <= :upto AND s0 + n - 1 <= :upto
    ORDER BY s0 DESC LIMIT 1), 0)
"""
_ANNOUNCED = """
SELECT id, name, people, corrected, sessions FROM epoch
WHERE id = :current
OR id IN (SELECT DISTINCT epoch FROM head WHERE watermark < last_seq ORDER BY epoch LIMIT :most)
OR id IN (SELECT epoch FROM head GROUP BY epoch ORDER BY epoch DESC LIMIT :newest)
"""


class SqliteOutbox:
    """Outbox on SQLite, over the same database and writer as the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = database.writer

    async def heads(self, epoch: str | None = None) -> list[StreamHead]:
        """Return every (stream, epoch) with waiting facts and those of the current epoch: by priority, oldest first.

        With `epoch`, only those of that epoch.
        """
        current = self._database.epoch_id

        def all_of(connection: sqlite3.Connection) -> list[StreamHead]:
            # On the thread of the database: of a lab that was long away there are thousands.
            statement = _HEADS + (_OLDEST_FIRST if epoch is None else _OF_EPOCH + _OLDEST_FIRST)
            rows = connection.execute(statement, (current,) if epoch is None else (current, epoch)).fetchall()
            heads = [StreamHead(Stream(stream), *rest) for stream, *rest in rows]
            return sorted(heads, key=lambda head: _PRIORITY[head.stream])

        return await self._writer.read(all_of)

    async def read(self, stream: Stream, epoch: str, after_seq: int, limit: int) -> list[WaitingFact]:
        """Return up to `limit` waiting facts with seq > after_seq, in order. Raises FactDamaged."""
        rows = await self._writer.read(
            lambda connection: connection.execute(_READ, (epoch, stream.value, after_seq, limit)).fetchall()
        )
        # Milliseconds of parsing on a small computer: not on the loop that has to pass on a stop, nor where taps wait.
        return await asyncio.to_thread(_facts, stream, epoch, rows)

    async def acknowledge(
        self, stream: Stream, epoch: str, watermark: int, explained: Sequence[tuple[int, int]] = ()
    ) -> int | None:
        """Drop all batches up to `watermark`; see Outbox.acknowledge.

        Not durable: an acknowledgement lost with the power is given again for the batch that is sent again.
        """
        return await self._writer.write(
            lambda connection: _acknowledge(connection, stream, epoch, watermark, explained), durable=False, frees=True
        )

    async def cuts(self, stream: Stream, epoch: str) -> list[Cut]:
        """Return the cuts of waiting facts in order, before them the newest one below the watermark, if any.

        That one ended at the watermark, or before a gap that ends there.
        """
        return await self._writer.read(
            lambda connection: [Cut(*row) for row in connection.execute(_CUTS, (epoch, stream.value))]
        )

    async def keep_cut(self, stream: Stream, epoch: str, cut: Cut) -> None:
        """Remember a batch, after fsync, before it is published for the first time.

        Raises StoreUnavailable also where some of its facts were dropped since they were read: look at the gaps again.
        """
        await self._writer.write(lambda connection: _keep(connection, stream, epoch, cut), durable=True, frees=True)

    async def gaps(self, stream: Stream, epoch: str) -> list[tuple[int, int]]:
        """Return the ranges above the watermark that were dropped with a gap record; see Outbox.gaps."""
        rows = await self._writer.read(lambda connection: connection.execute(_GAPS, (epoch, stream.value)).fetchall())
        merged: list[tuple[int, int]] = []
        for first, last in rows:
            if merged and merged[-1][1] + 1 == first:
                first, _ = merged.pop()
            merged.append((first, last))
        return merged

    async def totals(self) -> dict[str, dict[str, int]]:
        """Return people, corrected and sessions of the current epoch and of those in `closed_epochs`."""
        return {
            name: {"people": people, "corrected": corrected, "sessions": sessions}
            for _, name, people, corrected, sessions in await self._writer.read(self._announced)
        }

    async def closed_epochs(self) -> dict[str, dict[str, int]]:
        """Return the last seq per stream of former epochs: the oldest ones with waiting facts, and the newest few.

        Bounded, because presence carries them each time: an epoch is named until the office has all of it, and a
        while longer. Where more than MOST_ANNOUNCED wait, the others are named once these are done.
        """
        return await self._writer.read(self._closed)

    def _announced(self, connection: sqlite3.Connection) -> list[tuple[int, str, int, int, int]]:
        names = {"current": self._database.epoch_id, "newest": ANNOUNCED_EPOCHS + 1, "most": MOST_ANNOUNCED}
        return connection.execute(_ANNOUNCED, names).fetchall()

    def _closed(self, connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
        closed: dict[str, dict[str, int]] = {}
        for identity, name, *_ in self._announced(connection):
            if identity != self._database.epoch_id:
                closed[name] = dict(
                    connection.execute("SELECT stream, last_seq FROM head WHERE epoch = ?", (identity,)).fetchall()
                )
        return closed


def _facts(stream: Stream, epoch: str, rows: list[tuple[int, bytes, bytes, int, int]]) -> list[WaitingFact]:
    facts = []
    for seq, kind, body, boot_ns, wall_ns in rows:
        try:
            content = _PARSE.decode(body.decode())
            fact = WaitingFact(seq, kind.decode(), content, boot_ns, wall_ns)
        except ValueError as error:
            raise FactDamaged(seq=seq, stream=stream, epoch=epoch) from error
        if not isinstance(content, dict):
            raise FactDamaged(seq=seq, stream=stream, epoch=epoch)
        facts.append(fact)
    return facts


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_PARSE = json.JSONDecoder(parse_constant=_no_number)


def _keep(connection: sqlite3.Connection, stream: Stream, epoch: str, cut: Cut) -> None:
    if connection.execute(_OVERLAPS, (epoch, stream.value, cut.last, cut.s0)).fetchone():
        raise StoreUnavailable(reason="facts of the batch were dropped meanwhile")
    kept = connection.execute(_KEEP, (stream.value, cut.s0, cut.n, cut.prev, cut.sha256, epoch))
    if kept.rowcount != 1:
        raise StoreUnavailable(reason="the batch was cut already, or its epoch is not known")


def _acknowledge(
    connection: sqlite3.Connection, stream: Stream, epoch: str, watermark: int, explained: Sequence[tuple[int, int]]
) -> int | None:
    row = connection.execute(_HEAD, (stream.value, epoch)).fetchone()
    if row is None:
        return None
    identity, before = row
    for first, last in explained:
        # Another copy of the card has lost them, this one has not.
        place = (identity, stream.value, max(first, before + 1), min(last, watermark))
        if (waits := connection.execute(_WAITS, place).fetchone()) is not None:
            watermark = min(watermark, waits[0] - 1)
    covered = _pass(connection, identity, stream, before, watermark)
    if stream is Stream.SAFETY and covered > before:
        # Gaps of which the office has just heard: nothing else may come that lets the watermark pass them.
        for name, told in connection.execute(_TOLD_BY, (identity, covered)).fetchall():
            other, there = connection.execute(_HEAD, (told, name)).fetchone()
            _pass(connection, other, Stream(told), there, there)
        _, covered = connection.execute(_HEAD, (stream.value, epoch)).fetchone()
    return int(covered)


def _pass(connection: sqlite3.Connection, identity: int, stream: Stream, before: int, watermark: int) -> int:
    """Prune what the office has up to `watermark`: whole batches, and gaps that it knows. Return how far that goes."""
    names = {"epoch": identity, "stream": stream.value, "before": before, "upto": watermark}
    covered = before
    for first, last, is_gap, told in connection.execute(_PASSABLE, names):
        if first > covered + 1 or not (told or first <= watermark) or (last > watermark and not is_gap):
            break
        reached = last if told else min(last, watermark)
        covered = max(covered, reached)
        if reached < last:
            break
    if covered == before:
        return before
    place = (identity, stream.value)
    forget(connection, *place, before + 1, covered)
    connection.execute(_PRUNE_CUTS, {**names, "upto": covered})
    connection.execute(_PRUNE_GAPS, (*place, covered))
    connection.execute(_TRIM_GAP, (covered + 1, *place, covered + 1))
    connection.execute("UPDATE head SET watermark = ? WHERE epoch = ? AND stream = ?", (covered, *place))
    return covered
