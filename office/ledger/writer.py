# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction per group of messages: insert what is new, add it up, advance the watermark, commit, then the ack.

Rows are locked in one order everywhere (feeds, then every other table by key), so that several workers on one
PostgreSQL do not wait for each other in a circle.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from office.facts import Fact, FeedKey, Item, ReceivedBatch, ReceivedPresence, Rejected, Standing
from office.ledger import ranges as seqs
from office.ledger.apply import apply
from office.ledger.chain import Chain, check_again, check_chain
from office.ledger.clocks import LONGEST_BOOT_NS
from office.ledger.database import Database
from office.ledger.keys import hear_keys
from office.ledger.labs import LabTally, save_labs
from office.ledger.lineage import RESERVED, Lineage, gap_of, settle
from office.ledger.projection import Changes
from wire.batch import MAX_EXPLAINED, Ack

MOST_MISSING = 100
"""Ranges named in one ack: a lab that lacks more hears of the rest when these are filled."""
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
class Feed:
    """A feed's row while its lock is held. ranges are the facts that came, explained those that never will.

    newest is the last seq that came, closed_last that of a closed epoch as presence says it. anchor is the smallest
    (time of receipt - boot clock, boot clock), last_boot_ns the newest moment told of.
    """

    id: int
    key: FeedKey
    boot: str
    watermark: int
    newest: int
    closed_last: int
    ranges: seqs.Ranges
    explained: seqs.Ranges
    anchor: tuple[int, int] | None
    last_boot_ns: int | None

    @property
    def chain(self) -> Chain:
        """Return the feed as its chain is checked."""
        return Chain(self.id, self.key, self.explained)

    @property
    def settled(self) -> seqs.Ranges:
        """Return what came or never will, as far as the office was told of: a record is none of what is to come."""
        told = max(self.newest, self.closed_last)
        gone = ((first, min(last, told)) for first, last in self.explained if first <= told)
        return seqs.add_all(self.ranges, gone)

    def ack(self, now_ns: int) -> tuple[str, Ack]:
        """Return what the lab is told: missing is what it knows to have and should send.

        What is reserved and explained it should send as well if it holds it, as a copied card may: it is named, and
        what is too much to be named is not acknowledged.
        """
        lab, stream, epoch = self.key
        watermark = self.watermark
        lacking = seqs.missing(self.ranges, watermark) if stream in RESERVED else ()
        explained = tuple((first, min(last, watermark)) for first, last in lacking if first <= watermark)
        if len(explained) > MAX_EXPLAINED:
            watermark, explained = explained[MAX_EXPLAINED][0] - 1, explained[:MAX_EXPLAINED]
        return lab, Ack(stream, epoch, watermark, seqs.missing(self.settled)[:MOST_MISSING], now_ns, explained)


@dataclass(slots=True)
class _Work:
    """What one transaction gathers before it writes it down in order."""

    changes: Changes = field(default_factory=Changes)
    lineage: Lineage = field(default_factory=Lineage)
    labs: dict[str, LabTally] = field(default_factory=lambda: defaultdict(LabTally))
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
    named = _explained_feeds(batches)
    feeds = {key: lock_feed(database, key) for key in sorted({*batches, *closed, *named})}
    for key, feed in feeds.items():
        feed.closed_last = max(feed.closed_last, closed.get(key, 0))
        for batch in batches.get(key, ()):
            _take(database, work, feed, batch)
    for presence in presences:
        work.changes.claim(presence.presence)
    _write(database, work, feeds, presences, now_ns)
    # An ack for facts that a record explains may have been lost, and no batch would ask for it again.
    acks = tuple(
        feed.ack(now_ns)
        for key, feed in feeds.items()
        if key in batches or key in named or (key in closed and feed.watermark > feed.newest)
    )
    _set_aside(database, rejected)
    hear_keys(database, presences, now_ns)
    settle(database, work.lineage, now_ns)
    return Recorded(acks, work.new, work.duplicates, len(rejected))


def take_again(database: Database, key: FeedKey, facts: Sequence[tuple[Fact, int, Standing]], now_ns: int) -> None:
    """Add up facts of a feed that the ledger has held without understanding them.

    Each with its time of receipt and what it was held for. Inside the writing transaction that marks them anew.
    """
    lab, _, epoch = key
    work = _Work()
    named = {gap.key for gap in (gap_of(lab, fact) for fact, _, _ in facts) if gap is not None and gap.explains}
    feeds = {name: lock_feed(database, name) for name in sorted({key, *named})}
    for fact, received_ns, before in facts:
        work.changes.add(lab, epoch, fact, received_ns)
        work.lineage.add(lab, epoch, fact, received_ns)
        work.labs[lab].unknown -= before is Standing.UNKNOWN
        work.labs[lab].invalid += (fact.standing is Standing.INVALID) - (before is Standing.INVALID)
    _write(database, work, feeds, (), now_ns)
    settle(database, work.lineage, now_ns)


def _write(
    database: Database,
    work: _Work,
    feeds: Mapping[FeedKey, Feed],
    presences: Sequence[ReceivedPresence],
    now_ns: int,
) -> None:
    """Write down what was gathered, table by table, with the feeds' new watermarks."""
    work.lineage.save(database)
    _explain(database, work.lineage, feeds, now_ns)
    for feed in feeds.values():
        feed.watermark = seqs.watermark(feed.settled)
        _save_feed(database, feed)
    apply(database, work.changes)
    save_labs(database, presences, work.labs)


def lock_feed(database: Database, key: FeedKey) -> Feed:
    """Return a feed, made where there was none, locked until the transaction ends."""
    sql = (
        "select id, boot, watermark, newest, closed_last, ranges, explained, anchor_ns, anchor_boot_ns, last_boot_ns"
        " from feed where lab = ? and stream = ? and epoch = ?" + database.for_update
    )
    rows = database.query(sql, key)
    if not rows:
        database.query("insert into feed (lab, stream, epoch) values (?, ?, ?) on conflict do nothing", key)
        rows = database.query(sql, key)
    number, boot, watermark, newest, closed_last, ranges, explained, anchor_ns, anchor_boot_ns, last_boot_ns = rows[0]
    come, gone = (seqs.from_lists(json.loads(text)) for text in (ranges, explained))
    anchor = None if anchor_ns is None or anchor_boot_ns is None else (anchor_ns, anchor_boot_ns)
    return Feed(number, key, boot, watermark, newest, closed_last, come, gone, anchor, last_boot_ns)


def _take(database: Database, work: _Work, feed: Feed, batch: ReceivedBatch) -> None:
    rows = [(f.seq, f.type, f.standing.value, f.boot_ns, f.wall_ns, f.body_json) for f in batch.facts]
    feed.boot = feed.boot or batch.boot
    new = set(database.insert_events(feed.id, batch.received_ns, rows))
    tally = work.labs[batch.lab]
    if batch.on_air:
        tally.seen_ns = max(tally.seen_ns, batch.received_ns)
    check_chain(database, feed.chain, batch, len(new))
    if not new:
        tally.duplicates += 1
        work.duplicates += 1
        return
    for fact in batch.facts:
        if fact.seq in new:
            work.changes.add(batch.lab, batch.epoch, fact, batch.received_ns)
            work.lineage.add(batch.lab, batch.epoch, fact, batch.received_ns)
            tally.invalid += fact.standing is Standing.INVALID
            tally.unknown += fact.standing is Standing.UNKNOWN
    work.new += len(new)
    feed.ranges = seqs.add(feed.ranges, batch.first, batch.last)
    feed.newest = max(feed.newest, batch.last)
    clocks = [fact.boot_ns for fact in batch.facts if 0 <= fact.boot_ns < LONGEST_BOOT_NS]
    if clocks:
        # A fact cannot have happened after it came: the smallest difference is the nearest to this boot's true start.
        anchor = (batch.received_ns - max(clocks), max(clocks))
        feed.anchor = anchor if feed.anchor is None else min(anchor, feed.anchor)
        feed.last_boot_ns = max(clocks) if feed.last_boot_ns is None else max(feed.last_boot_ns, *clocks)


def _explained_feeds(batches: Mapping[FeedKey, Sequence[ReceivedBatch]]) -> set[FeedKey]:
    """Return the feeds of which a record in `batches` says that facts will never come."""
    gaps = (gap_of(batch.lab, fact) for items in batches.values() for batch in items for fact in batch.facts)
    return {gap.key for gap in gaps if gap is not None and gap.explains}


def _explain(database: Database, lineage: Lineage, feeds: Mapping[FeedKey, Feed], now_ns: int) -> None:
    """Take the records of gaps that are new to the ledger for what they say."""
    for gap in lineage.gaps:
        feed = feeds[gap.key]
        feed.explained = seqs.add(feed.explained, gap.first, gap.last)
    for gap in lineage.gaps:
        feed = feeds[gap.key]
        check_again(database, feed.chain, (gap.first, gap.last), now_ns)


def _save_feed(database: Database, feed: Feed) -> None:
    database.query(
        "update feed set watermark = ?, newest = ?, closed_last = ?, ranges = ?, explained = ?,"
        " anchor_ns = coalesce(?, anchor_ns), anchor_boot_ns = ?, last_boot_ns = ?,"
        " boot = ? where id = ?",
        (
            feed.watermark,
            feed.newest,
            feed.closed_last,
            json.dumps(feed.ranges, separators=(",", ":")),
            json.dumps(feed.explained, separators=(",", ":")),
            *(feed.anchor or (None, None)),
            feed.last_boot_ns,
            feed.boot,
            feed.id,
        ),
    )


def _closed_feeds(database: Database, presences: Sequence[ReceivedPresence]) -> dict[FeedKey, int]:
    """Return the last seq of those closed feeds of which the ledger does not know it yet, or whose end is explained."""
    closed: dict[FeedKey, int] = {}
    for item in presences:
        lab = item.presence.lab
        if not item.presence.closed:
            continue
        rows = database.query(
            "select stream, epoch, closed_last from feed where lab = ? and closed_last > 0 and watermark <= newest",
            (lab,),
        )
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
