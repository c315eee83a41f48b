# SPDX-License-Identifier: GPL-3.0-or-later
"""Each batch carries the SHA-256 of its predecessor. Where that does not hold, a person should look: an alarm.

Never a refusal: what is in doubt is how the facts came about, and refusing them would lose them for certain.

Over facts that were dropped on purpose the chain goes on from the batch before them. Where the disk lost facts a batch
may come again as a remnant, or be followed by one that names what the office never saw: nothing is held against it.
Whether a link holds follows from what is in the ledger, not from what came first.
"""

from __future__ import annotations

from dataclasses import dataclass

from office.facts import FeedKey, ReceivedBatch
from office.ledger.database import Database
from office.ledger.ranges import Range, Ranges
from wire.batch import MAX_EVENTS


@dataclass(frozen=True, slots=True)
class Chain:
    """A feed whose links are looked at: its row, whose it is, and which of its seqs a record explains."""

    feed: int
    key: FeedKey
    explained: Ranges

    def lost(self, database: Database, first: int, last: int) -> bool:
        """Return whether the disk lost some of first..last."""
        sql = (
            "select 1 from stream_gap where lab = ? and stream = ? and epoch = ? and reason = 'lost'"
            " and first <= ? and last >= ? limit 1"
        )
        return bool(self.explained) and bool(database.query(sql, (*self.key, last, first)))

    def preceding(self, first: int) -> int:
        """Return the seq with which the batch before `first` ended, where nothing but dropped facts is between."""
        return next((begin - 1 for begin, end in self.explained if begin <= first - 1 <= end), first - 1)

    def following(self, last: int) -> int:
        """Return the seq with which the batch after `last` begins, where nothing but dropped facts is between."""
        return next((end + 1 for begin, end in self.explained if begin <= last + 1 <= end + 1), last + 1)

    def broken(self, database: Database, first: int) -> list[int]:
        """Return the ends of those batches beginning at `first` that do not follow the one before them."""
        here = database.query(
            "select last, prev from batch where feed = ? and first = ? order by last", (self.feed, first)
        )
        before = self.preceding(first)
        others = database.query(
            "select first, sha256 from batch where feed = ? and last between ? and ?", (self.feed, before, first - 1)
        )
        known = {bytes(sha) for _, sha in others}
        broken = [last for last, prev in here if not _fits(first, before, None if prev is None else bytes(prev), known)]
        lowest = min((begin for begin, _ in others), default=before)
        return [] if broken and self.lost(database, lowest - 1, first - 1) else broken

    def alarm(self, database: Database, kind: str, first: int, last: int, what: str, received_ns: int) -> None:
        """Write an alarm about the batch first..last, unless there is one."""
        detail = f"{self.key[1]} {first}-{last} of epoch {self.key[2]}: {what}"
        database.query(
            "insert into alarm (feed, kind, first, detail, received_ns) values (?, ?, ?, ?, ?) on conflict do nothing",
            (self.feed, kind, first, detail, received_ns),
        )


def check_chain(database: Database, chain: Chain, batch: ReceivedBatch, new: int) -> None:
    """Write an alarm where `batch` and what is in the ledger do not fit together. It is taken in all the same.

    new is the number of its facts that were not in the ledger.
    """
    first, last, at = batch.first, batch.last, batch.received_ns
    if new == 0:
        same = "select 1 from batch where feed = ? and first = ? and sha256 = ?"
        if not database.query(same, (chain.feed, first, batch.sha256)) and not chain.lost(
            database, first - 1, last + 1
        ):
            what = "events that are in the ledger came again with another content"
            chain.alarm(database, "content", first, last, what, at)
        return
    if new < len(batch.facts) and not chain.lost(database, first - 1, last + 1):
        what = f"only {new} of {len(batch.facts)} events were new: the cut has moved"
        chain.alarm(database, "overlap", first, last, what, at)
    payload = batch.payload if new < len(batch.facts) or not batch.reproducible else None
    database.query(
        "insert into batch (feed, first, last, sha256, prev, received_ns, payload) values (?, ?, ?, ?, ?, ?, ?)"
        " on conflict do nothing",
        (chain.feed, first, last, batch.sha256, batch.prev, at, payload),
    )
    _check_link(database, chain, first, at)
    _check_links(database, chain, last + 1, chain.following(last), at)


def check_again(database: Database, chain: Chain, gap: Range, now_ns: int) -> None:
    """Look again at what lies in and around the facts `gap`, which a record explains now."""
    first, last = gap
    if chain.lost(database, first, last):
        database.query(
            "delete from alarm where feed = ? and kind in ('content', 'overlap') and first between ? and ?",
            (chain.feed, first - MAX_EVENTS, last + 1),
        )
    # The batch behind the one behind the gap may follow what the disk has lost, too.
    behind = database.query(
        "select max(last) from batch where feed = ? and first between ? and ?", (chain.feed, first, last + 1)
    )[0][0]
    _check_links(database, chain, first, max(chain.following(last), (behind or 0) + 1), now_ns)


def _check_links(database: Database, chain: Chain, lowest: int, highest: int, received_ns: int) -> None:
    """Look at the links of all batches that begin between two places."""
    sql = "select distinct first from batch where feed = ? and first between ? and ? order by first"
    for (first,) in database.query(sql, (chain.feed, lowest, highest)):
        _check_link(database, chain, first, received_ns)


def _check_link(database: Database, chain: Chain, first: int, received_ns: int) -> None:
    """Write or withdraw the alarm that a batch beginning at `first` does not follow the one before it."""
    broken = chain.broken(database, first)
    if broken:
        chain.alarm(database, "chain", first, broken[0], "does not follow the batch before it", received_ns)
    elif chain.explained:
        # What came before the record that explains it was taken for a broken link.
        database.query("delete from alarm where feed = ? and kind = 'chain' and first = ?", (chain.feed, first))


def _fits(first: int, before: int, prev: bytes | None, known: set[bytes]) -> bool:
    """Return whether a batch beginning at `first` may name `prev`; known are the hashes of those it may follow.

    before is the seq with which these ended, 0 where the beginning of the epoch may precede. A predecessor that is not
    in the ledger yet may have any hash.
    """
    if first == 1:
        return prev is None
    return prev in known or not known or (prev is None and before == 0)
