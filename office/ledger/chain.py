# SPDX-License-Identifier: GPL-3.0-or-later
"""Each batch carries the SHA-256 of its predecessor. Where that does not hold, a person should look: an alarm.

Never a refusal: what is in doubt is how the facts came about, and refusing them would lose them for certain.
"""

from __future__ import annotations

from office.facts import ReceivedBatch
from office.ledger.database import Database


def check_chain(database: Database, feed: int, batch: ReceivedBatch, new: int) -> None:
    """Write an alarm where `batch` and what is in the ledger do not fit together. It is taken in all the same."""
    if new == 0:
        same = "select 1 from batch where feed = ? and first = ? and sha256 = ?"
        if not database.query(same, (feed, batch.first, batch.sha256)):
            _alarm(database, feed, batch, "content", "events that are in the ledger came again with another content")
        return
    if new < len(batch.facts):
        _alarm(database, feed, batch, "overlap", f"only {new} of {len(batch.facts)} events were new: the cut has moved")
    before = database.query("select sha256 from batch where feed = ? and last = ?", (feed, batch.first - 1))
    after = database.query("select prev from batch where feed = ? and first = ?", (feed, batch.last + 1))
    broken_before = before and batch.prev not in [bytes(sha) for (sha,) in before]
    broken_after = after and batch.sha256 not in [bytes(prev) if prev is not None else None for (prev,) in after]
    if broken_before or (batch.first == 1) != (batch.prev is None):
        _alarm(database, feed, batch, "chain", "does not follow the batch before it")
    if broken_after:
        _alarm(database, feed, batch, "chain", "is not the one that the next batch follows")
    database.query(
        "insert into batch (feed, first, last, sha256, prev, received_ns) values (?, ?, ?, ?, ?, ?)"
        " on conflict do nothing",
        (feed, batch.first, batch.last, batch.sha256, batch.prev, batch.received_ns),
    )


def _alarm(database: Database, feed: int, batch: ReceivedBatch, kind: str, what: str) -> None:
    detail = f"{batch.stream} {batch.first}-{batch.last} of epoch {batch.epoch}: {what}"
    database.query(
        "insert into alarm (feed, kind, first, detail, received_ns) values (?, ?, ?, ?, ?) on conflict do nothing",
        (feed, kind, batch.first, detail, batch.received_ns),
    )
