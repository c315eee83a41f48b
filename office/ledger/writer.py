# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction per group of messages: insert what is new, add it up, advance the watermark, commit, then the ack.

Rows are locked in one order everywhere (feeds, then every other table by key), so that several workers on one
PostgreSQL do not wait for each other in a circle.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from office.facts import FeedKey, Item, ReceivedBatch, ReceivedPresence, Rejected, Standing
from office.ledger import ranges as seqs
from office.ledger.apply import apply
from office.ledger.chain import check_chain
from office.ledger.database import Database
from office.ledger.keys import hear_keys
from office.ledger.labs import LabTally, save_labs
from office.ledger.projection import Changes
from wire.batch import Ack

MOST_MISSING = 100
"""Ranges named in one ack: a lab that lacks more hears of the rest when these are filled."""
LONGEST_BOOT_NS = 1 << 60
"""36 years: a boot-time clock beyond it is a mistake, and no anchor."""
QUARANTINE_ROWS = 1_000
"""Payloads kept for a look; the count of all that were ever set aside goes on."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a transaction did: acks per lab to publish now that it is committed, facts that were new, copies."""

    acks: tuple[tuple[str, Ack], ...] = ()
    new: int = 0
    duplicates: int = 0
    rejected: int = 0


@dataclass(slots=True)
class _Feed:
    """A feed's row while its lock is held."""

    id: int
    watermark: int
    newest: int
    closed_last: int
    ranges: seqs.Ranges
    anchor_ns: int | None


@dataclass(slots=True)
class _Work:
    """What one transaction gathers before it writes it down in order."""

    changes: Changes = field(default_factory=Changes)
    labs: dict[str, LabTally] = field(default_factory=lambda: defaultdict(LabTally))
    acks: list[tuple[str, Ack]] = field(default_factory=list)
    new: int = 0
    duplicates: int = 0


def record(database: Database, items: Sequence[Item], now_ns: int) -> Recorded:
    """Take `items` in, all or nothing. now_ns is the office's UTC, which an ack tells the lab.

    Raises LedgerUnavailable or LedgerRefused; then nothing of it is in the ledger.
    """
    with database.transaction(write=True):
        return take_in(database, items, now_ns)


def take_in(database: Database, items: Sequence[Item], now_ns: int) -> Recorded:
    """Take `items` in as `record` does, inside a transaction that does more than that."""
    rejected = [item for item in items if isinstance(item, Rejected)]
    presences = [item for item in items if isinstance(item, ReceivedPresence)]
    batches: dict[FeedKey, list[ReceivedBatch]] = defaultdict(list)
    for item in items:
        if isinstance(item, ReceivedBatch):
            batches[item.key].append(item)
    work = _Work()
    closed = _closed_feeds(database, presences)
    for key in sorted({*batches, *closed}):
        feed = _lock_feed(database, key)
        feed.closed_last = max(feed.closed_last, closed.get(key, 0))
        for batch in batches.get(key, ()):
            _take(database, work, feed, batch)
        _save_feed(database, feed, batches.get(key, ()))
        if key in batches:
            missing = seqs.missing(feed.ranges)[:MOST_MISSING]
            work.acks.append((key[0], Ack(key[1], key[2], feed.watermark, missing, now_ns)))
    for presence in presences:
        work.changes.claim(presence.presence)
    apply(database, work.changes)
    save_labs(database, presences, work.labs)
    _set_aside(database, rejected)
    hear_keys(database, presences, now_ns)
    return Recorded(tuple(work.acks), work.new, work.duplicates, len(rejected))


def _lock_feed(database: Database, key: FeedKey) -> _Feed:
    sql = (
        "select id, watermark, newest, closed_last, ranges, anchor_ns from feed"
        " where lab = ? and stream = ? and epoch = ?" + database.for_update
    )
    rows = database.query(sql, key)
    if not rows:
        database.query("insert into feed (lab, stream, epoch) values (?, ?, ?) on conflict do nothing", key)
        rows = database.query(sql, key)
    number, watermark, newest, closed_last, ranges, anchor_ns = rows[0]
    return _Feed(number, watermark, newest, closed_last, seqs.from_lists(json.loads(ranges)), anchor_ns)


def _take(database: Database, work: _Work, feed: _Feed, batch: ReceivedBatch) -> None:
    rows = [(f.seq, f.type, f.standing.value, f.boot_ns, f.wall_ns, f.body_json) for f in batch.facts]
    new = set(database.insert_events(feed.id, batch.received_ns, rows))
    tally = work.labs[batch.lab]
    if batch.on_air:
        tally.seen_ns = max(tally.seen_ns, batch.received_ns)
    check_chain(database, feed.id, batch, len(new))
    if not new:
        tally.duplicates += 1
        work.duplicates += 1
        return
    for fact in batch.facts:
        if fact.seq in new:
            work.changes.add(batch.lab, batch.epoch, fact, batch.received_ns)
            tally.invalid += fact.standing is Standing.INVALID
            tally.unknown += fact.standing is Standing.UNKNOWN
    work.new += len(new)
    feed.ranges = seqs.add(feed.ranges, batch.first, batch.last)
    feed.watermark = seqs.watermark(feed.ranges)
    feed.newest = max(feed.newest, batch.last)
    # A fact cannot have happened after it came: the smallest difference is the nearest to this boot's true start.
    boot_ns = batch.facts[-1].boot_ns
    if 0 <= boot_ns < LONGEST_BOOT_NS:
        anchor = batch.received_ns - boot_ns
        feed.anchor_ns = anchor if feed.anchor_ns is None else min(anchor, feed.anchor_ns)


def _save_feed(database: Database, feed: _Feed, batches: Sequence[ReceivedBatch]) -> None:
    database.query(
        "update feed set watermark = ?, newest = ?, closed_last = ?, ranges = ?, anchor_ns = ?,"
        " boot = case when boot = '' then ? else boot end where id = ?",
        (
            feed.watermark,
            feed.newest,
            feed.closed_last,
            json.dumps(feed.ranges, separators=(",", ":")),
            feed.anchor_ns,
            batches[0].boot if batches else "",
            feed.id,
        ),
    )


def _closed_feeds(database: Database, presences: Sequence[ReceivedPresence]) -> dict[FeedKey, int]:
    """Return the last seq of those closed feeds of which the ledger does not know it yet."""
    closed: dict[FeedKey, int] = {}
    for item in presences:
        lab = item.presence.lab
        if not item.presence.closed:
            continue
        rows = database.query("select stream, epoch, closed_last from feed where lab = ? and closed_last > 0", (lab,))
        known = {(lab, stream, epoch): last for stream, epoch, last in rows}
        for epoch, heads in item.presence.closed.items():
            for stream, last in heads.items():
                key = (lab, stream, epoch)
                if last > known.get(key, 0):
                    closed[key] = max(last, closed.get(key, 0))
    return closed


def _set_aside(database: Database, rejected: Sequence[Rejected]) -> None:
    if not rejected:
        return
    for item in rejected:
        database.query(
            "insert into quarantine (topic, lab, stream, reason, size, head, received_ns) values (?, ?, ?, ?, ?, ?, ?)",
            (item.topic, item.lab, item.stream, item.reason, item.size, item.head, item.received_ns),
        )
    database.query(
        "insert into figure (name, value) values ('quarantined', ?)"
        " on conflict (name) do update set value = figure.value + excluded.value",
        (len(rejected),),
    )
    database.query("delete from quarantine where id <= (select max(id) from quarantine) - ?", (QUARANTINE_ROWS,))
