# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads that were set aside, and who has looked at them. Each function wants to be called inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass

from office.errors import QuarantineUnknown
from office.ledger import audit
from office.ledger.database import Database, Row

_COLUMNS = "id, topic, lab, stream, reason, size, head, received_ns, seen_by, seen_ns, note"


@dataclass(frozen=True, slots=True)
class Seen:
    """Who looked at a payload, when (UTC ns), and what they found."""

    who: str
    at_ns: int
    note: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A payload: size is its length in bytes, head its first kilobyte, received_ns UTC; seen is None until a look."""

    id: int
    topic: str
    lab: str
    stream: str
    reason: str
    size: int
    head: bytes
    received_ns: int
    seen: Seen | None


def count(database: Database, *, seen: bool | None = None) -> int:
    """Return how many payloads are kept: all, or those that were seen or not."""
    return int(database.query(f"select count(*) from quarantine{_where(seen=seen)}")[0][0])


def page(database: Database, limit: int, offset: int, *, seen: bool | None = None) -> list[SetAside]:
    """Return a page of them, newest first."""
    sql = f"select {_COLUMNS} from quarantine{_where(seen=seen)} order by id desc limit ? offset ?"
    return [_row(row) for row in database.query(sql, (limit, offset))]


def mark_seen(database: Database, who: str, number: int, note: str, now_ns: int) -> SetAside:
    """Note that the account `who` has looked at a payload; a later look replaces it. Raises QuarantineUnknown."""
    database.query("update quarantine set seen_by = ?, seen_ns = ?, note = ? where id = ?", (who, now_ns, note, number))
    rows = database.query(f"select {_COLUMNS} from quarantine where id = ?", (number,))
    if not rows:
        raise QuarantineUnknown(id=number)
    row = _row(rows[0])
    text = f"What came on {row.topic} was looked at: {note}" if note else f"What came on {row.topic} was looked at."
    audit.write(database, who, "quarantine", row.lab or None, text, {"id": number, "reason": row.reason})
    return row


def _where(*, seen: bool | None) -> str:
    return {None: "", True: " where seen_ns is not null", False: " where seen_ns is null"}[seen]


def _row(row: Row) -> SetAside:
    number, topic, lab, stream, reason, size, head, received_ns, seen_by, seen_ns, note = row
    seen = Seen(seen_by, seen_ns, note) if seen_ns is not None else None
    return SetAside(number, topic, lab, stream, reason, size, bytes(head), received_ns, seen)
