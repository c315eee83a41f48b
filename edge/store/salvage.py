# SPDX-License-Identifier: GPL-3.0-or-later
"""From a damaged database into the new one: working state and totals at once, the facts behind them, by priority.

Facts keep their identity (epoch, stream, seq), so it does not matter what of them the office has already. What cannot
be read is told as a gap ("lost"). A stream of an epoch appears all at once, with its gaps: the relay sees no half.

Pages have no checksums: a body that is cut is no JSON and is recognised so, clock values that are cut are not.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from edge.domain.errors import StoreUnavailable
from edge.domain.events import Stream
from edge.domain.ports import Clock
from edge.store.database import Database
from edge.store.naming import remember
from edge.store.rescue import bring_epochs
from edge.store.rows import ROW_OVERHEAD, Moment, Span, drop, forget
from edge.store.wreck import FactRow, Wreck, WreckedHead

log = logging.getLogger(__name__)

# The older file first: of the epochs that it shares with a later one it has the more facts.
_UNFINISHED = "SELECT name FROM salvage WHERE finished = 0 ORDER BY length(name), name"
_FACT = "INSERT OR IGNORE INTO fact (epoch, stream, seq, type, body, boot_ns, wall_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"
_HEAD = """
INSERT INTO head (epoch, stream, last_seq, watermark, bytes) VALUES (:epoch, :stream, :last, :watermark,
(SELECT ifnull(sum(length(CAST(body AS BLOB)) + :overhead), 0) FROM fact WHERE epoch = :epoch AND stream = :stream))
"""
_CUT = "INSERT OR IGNORE INTO cut (epoch, stream, s0, n, prev, sha256) VALUES (?, ?, ?, ?, ?, ?)"
_GAP = "INSERT INTO gap (epoch, stream, first, last, record_epoch, record_seq) VALUES (?, ?, ?, ?, ?, ?)"

Range = tuple[int, int]


@dataclass(slots=True)
class Salvaged:
    """What came of one damaged file: facts brought over and lost by stream, and those of epochs without a name."""

    facts: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(Stream, 0))
    lost: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(Stream, 0))
    nameless: int = 0


@dataclass(slots=True)
class _Found:
    """The seqs of a stream that could be read, as ranges."""

    ranges: list[Range] = field(default_factory=list)

    def add(self, rows: list[FactRow]) -> None:
        for seq, *_ in rows:
            if self.ranges and self.ranges[-1][1] + 1 == seq:
                self.ranges[-1] = (self.ranges[-1][0], seq)
            else:
                self.ranges.append((seq, seq))

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the ranges of first..last that are not there."""
        missing, reached = [], first - 1
        for begin, end in self.ranges:
            if begin > reached + 1:
                missing.append((reached + 1, min(begin - 1, last)))
            reached = max(reached, end)
        if reached < last:
            missing.append((reached + 1, last))
        return [(begin, end) for begin, end in missing if begin <= end]


async def unfinished(database: Database) -> list[str]:
    """Return the names of damaged files, beside the database, whose facts are still to be brought over."""
    rows = await database.writer.read(lambda connection: connection.execute(_UNFINISHED).fetchall())
    return [name for (name,) in rows]


async def salvage(database: Database, name: str, clock: Clock) -> Salvaged:
    """Bring the facts of a damaged file over; may be repeated after an interruption. Raises StoreUnavailable."""
    path = database.path.with_name(name)
    done = Salvaged()
    try:
        wreck = await asyncio.to_thread(Wreck, path)
    except OSError as error:
        log.error("The damaged database %s cannot be read (%s): its facts are lost.", name, error)  # noqa: TRY400
    else:
        try:
            await _bring_all(database, wreck, clock, done)
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror or str(error)) from error
        finally:
            await asyncio.to_thread(wreck.close)
    await database.writer.write(
        lambda connection: connection.execute("UPDATE salvage SET finished = 1 WHERE name = ?", (name,)), durable=True
    )
    kept, lost = sum(done.facts.values()), sum(done.lost.values())
    log.warning("Of the damaged database %s %d facts were brought over, %d are lost.", name, kept, lost + done.nameless)
    return done


async def _bring_all(database: Database, wreck: Wreck, clock: Clock, done: Salvaged) -> None:
    epochs = await asyncio.to_thread(wreck.epochs)
    await database.writer.write(partial(bring_epochs, epochs=epochs), durable=True)
    known = await database.writer.read(lambda c: c.execute("SELECT id, name, boot FROM epoch ORDER BY id").fetchall())
    await asyncio.to_thread(remember, database.path, known)
    names = {identity: name for identity, (name, *_) in epochs.items()}
    ids = {name: identity for identity, name, _ in known}
    numbers = {old: ids[name] for old, name in names.items() if name in ids}
    for head in await asyncio.to_thread(wreck.heads):
        if head.epoch_id not in numbers:
            done.nameless += sum(len(portion) for portion in wreck.facts(head))
            continue
        place = (numbers[head.epoch_id], head.stream.value)
        if not await database.writer.read(partial(_has_head, place=place)):
            await _bring(database, wreck, head, numbers, names, clock, done)


def _has_head(connection: sqlite3.Connection, place: tuple[int, str]) -> bool:
    return connection.execute("SELECT 1 FROM head WHERE epoch = ? AND stream = ?", place).fetchone() is not None


def _insert(connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> None:
    connection.executemany(_FACT, rows)


async def _bring(
    database: Database,
    wreck: Wreck,
    head: WreckedHead,
    numbers: Mapping[int, int],
    names: Mapping[int, str],
    clock: Clock,
    done: Salvaged,
) -> None:
    epoch_id, found = numbers[head.epoch_id], _Found()
    portions = wreck.facts(head)
    while (portion := await asyncio.to_thread(next, portions, None)) is not None:
        if not portion:
            continue
        rows = [(epoch_id, head.stream.value, *row) for row in portion]
        await database.writer.write(partial(_insert, rows=rows), durable=True)
        found.add(portion)
    done.facts[head.stream] += sum(last - first + 1 for first, last in found.ranges)
    place = (head.epoch_id, head.stream.value)
    gaps = wreck.rows(
        "SELECT first, last, record_epoch, record_seq FROM gap WHERE epoch = ? AND stream = ? ORDER BY first",
        (int, int, int, int),
        place,
    )
    cuts = wreck.rows(
        "SELECT s0, n, prev, sha256 FROM cut WHERE epoch = ? AND stream = ? ORDER BY s0",
        (int, int, object, bytes),
        place,
    )

    def show(connection: sqlite3.Connection) -> int:
        first = found.ranges[0][0] if found.ranges else 1
        # An unknown watermark is taken for 0: what is told as lost and was acknowledged does no harm, silence would.
        watermark = head.watermark or 0
        last = max(head.last_seq or 0, watermark, found.ranges[-1][1] if found.ranges else 0)
        key = {"epoch": epoch_id, "stream": head.stream.value, "last": last, "watermark": watermark}
        connection.execute(_HEAD, {**key, "overhead": ROW_OVERHEAD})
        told = _Found(list(found.ranges))
        for begin, end, record_epoch, record_seq in gaps:
            if record_epoch in numbers and begin > watermark:
                forget(connection, epoch_id, head.stream.value, begin, end)
                record = (numbers[record_epoch], record_seq)
                connection.execute(_GAP, (epoch_id, head.stream.value, begin, end, *record))
                told.ranges = sorted([*told.ranges, (begin, end)])
        now = Moment(database.epoch_id, clock.boot_ns(), clock.wall_ns())
        lost = told.missing(watermark + 1, last)
        for begin, end in lost:
            drop(connection, Span(epoch_id, names[head.epoch_id], head.stream, begin, end), "lost", now)
        whole = found.missing(watermark + 1, last)
        for s0, n, prev, sha256 in cuts:
            if head.watermark is None and s0 + n - 1 < first:
                continue  # nothing of it is here: it says nothing about those behind it
            if s0 + n - 1 > watermark and any(begin <= s0 + n - 1 and end >= s0 for begin, end in whole):
                break  # it cannot be sent as it was: what is left of it is cut anew, and all behind it
            connection.execute(_CUT, (epoch_id, head.stream.value, s0, n, prev, sha256))
        return sum(end - begin + 1 for begin, end in lost)

    done.lost[head.stream] += await database.writer.write(show, durable=True)
