# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections that the office makes, and everything that was counted for a visit, with both values in sight.

A correction is a fact like those of the vans: visit.headcount by "office", with the difference in it, in a feed of the
office's own for the lab concerned (its epoch is OFFICE_EPOCH and the ledger's id), gapless and chained. So projection,
recount and digest treat it alike. Who made it stands in the audit and beside it here, never in the fact.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from office.errors import OfficeError
from office.facts import Fact, ReceivedBatch, Standing, clean
from office.ledger import audit
from office.ledger.clocks import OFFICE_EPOCH, Clocks, Interval
from office.ledger.database import Database
from office.ledger.projection import REASON_LENGTH
from office.ledger.writer import Feed, lock_feed, take_in
from wire.batch import Batch, Scalar, WireEvent
from wire.codec import batch_hash

STREAM = "visits"
BOOT = "office"
KIND = "visit.headcount"
MOST = 10_000
"""People of one correction, either way, as wire.events.Headcount says."""


class VisitUnknown(OfficeError):
    """The lab {lab} has told of no visit {visit}."""


class CorrectionRefused(OfficeError):
    """The correction is not entered: {reason}."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody in the office wants to put right. count is the difference; id makes the order repeatable."""

    lab: str
    visit: str
    id: str
    group: str
    role: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One count or correction of a visit; by says in which role, who names the account of one of the office."""

    epoch: str
    seq: int
    group: str
    role: str
    count: int
    reason: str
    by: str
    who: str | None
    at: Interval


def correct(database: Database, wanted: Correction, who: str, now_ns: int) -> bool:
    """Enter a correction; return whether it is new. Inside a writing transaction.

    Raises VisitUnknown, CorrectionRefused where it would make fewer people than none, LedgerUnavailable, LedgerRefused.
    """
    lab, group, reason = wanted.lab, clean(wanted.group), clean(wanted.reason).strip()[:REASON_LENGTH]
    if not database.query("select 1 from visit where lab = ? and visit = ?", (lab, wanted.visit)):
        raise VisitUnknown(lab=lab, visit=wanted.visit)
    epoch = OFFICE_EPOCH + ledger_id(database)
    feed = lock_feed(database, (lab, STREAM, epoch))
    if database.query("select 1 from office_entry where lab = ? and id = ?", (lab, wanted.id)):
        return False
    before = _people(database, wanted, group)
    if not wanted.count or abs(wanted.count) > MOST:
        raise CorrectionRefused(reason=f"it is a number from 1 to {MOST}, more or less")
    if not reason:
        raise CorrectionRefused(reason="it has no reason")
    if before + wanted.count < 0:
        raise CorrectionRefused(reason=f"in this group {max(before, 0)} people of this role were counted")
    body: dict[str, Scalar] = {
        "visit": wanted.visit,
        "group": group,
        "role": wanted.role,
        "count": wanted.count,
        "reason": reason,
        "entry": wanted.id,
        "by": "office",
    }
    take_in(database, [_batch(database, feed, body, now_ns)], now_ns)
    row = (lab, wanted.id, feed.id, feed.newest + 1, clean(who), now_ns)
    database.query("insert into office_entry (lab, id, feed, seq, who, at_ns) values (?, ?, ?, ?, ?, ?)", row)
    # The reason is free text, and stands with the fact: the audit repeats nothing that somebody may have to take back.
    told: dict[str, Scalar] = {key: value for key, value in body.items() if key != "reason"}
    told |= {"before": before, "after": before + wanted.count, "seq": feed.newest + 1}
    audit.write(database, who, "correction", lab, "A count was corrected.", told, now_ns=now_ns)
    return True


def ledger_id(database: Database) -> str:
    """Return the ledger's own id, made at the first correction; inside a writing transaction."""
    database.query(
        "insert into identity (name, value) values ('ledger', ?) on conflict do nothing", (uuid.uuid4().hex[:16],)
    )
    return str(database.query("select value from identity where name = 'ledger'")[0][0])


def entries(database: Database, lab: str, visit: str) -> list[Entry]:
    """Return everything that was counted for a visit: as far as it is known when, in that order."""
    rows = database.query(
        "select feed.epoch, event.seq, event.boot_ns, event.wall_ns, event.received_ns, event.body, office_entry.who"
        " from event join feed on feed.id = event.feed"
        " left join office_entry on office_entry.feed = event.feed and office_entry.seq = event.seq"
        " where feed.lab = ? and feed.stream = ? and event.type = ? and event.standing = ? and event.body like ?"
        " escape '!' order by event.received_ns, feed.id, event.seq",
        (lab, STREAM, KIND, Standing.UNDERSTOOD.value, _holding(visit)),
    )
    clocks = Clocks(database, lab)
    found: list[Entry] = []
    for epoch, seq, boot_ns, wall_ns, received_ns, text, who in rows:
        body = json.loads(text)
        if clean(body["visit"]) == visit:
            at = clocks.interval(epoch, boot_ns, wall_ns, received_ns)
            reason = clean(body.get("reason") or "")[:REASON_LENGTH]
            # Labs of version 1.0 do not say by whom: only operators counted then.
            by = body.get("by") or "operator"
            found.append(Entry(epoch, seq, clean(body["group"]), body["role"], body["count"], reason, by, who, at))
    return sorted(found, key=lambda entry: entry.at.to_ns or 0)


def _people(database: Database, wanted: Correction, group: str) -> int:
    rows = database.query(
        "select people from visit_count where lab = ? and visit = ? and grp = ? and role = ?",
        (wanted.lab, wanted.visit, group, wanted.role),
    )
    return int(rows[0][0]) if rows else 0


def _batch(database: Database, feed: Feed, body: dict[str, Scalar], now_ns: int) -> ReceivedBatch:
    """Return the batch of one fact that follows the newest in the office's feed."""
    rows = database.query("select sha256 from batch where feed = ? and last = ?", (feed.id, feed.newest))
    prev = bytes(rows[0][0]) if rows else None
    lab, _, epoch = feed.key
    seq = feed.newest + 1
    # The office's clock stands in both places: as a boot-time clock it is beyond any boot, and so anchors nothing.
    event = WireEvent(KIND, body, now_ns, now_ns)
    sha256 = batch_hash(Batch(lab, STREAM, epoch, BOOT, seq, prev, (event,)))
    text = json.dumps(body, separators=(",", ":"))
    fact = Fact(seq, KIND, Standing.UNDERSTOOD, now_ns, now_ns, body, text)
    return ReceivedBatch(lab, STREAM, epoch, BOOT, prev, sha256, (fact,), now_ns, on_air=False)


def _holding(visit: str) -> str:
    """Return the pattern of bodies that hold the visit's id as JSON writes it; "!" escapes."""
    text = json.dumps(visit)[1:-1]
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"
