# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changed what and when: rows that are chained by SHA-256, so that none can be altered or left out unseen.

The hash of a row is made of its canonical JSON with the hash of the row before it; the last one is the head, which
reports print. Whoever holds a printed head can tell later whether the rows up to it are still what they were.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from office.facts import clean
from office.ledger.database import Database, Row
from wire.batch import Scalar
from wire.codec import canonical

What = Literal["correction", "account", "key", "quarantine", "import", "recount", "alarm"]

NO_HASH = bytes(32)
"""The predecessor of the first row, and the head of an empty audit."""
MOST_TEXT = 1_000
CHUNK = 1_000

_COLUMNS = "n, at_ns, who, what, lab, text, facts, prev, sha256"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row: number from 1, UTC ns, who did what to which lab, in a sentence and in facts, and its hash."""

    n: int
    at_ns: int
    who: str
    what: str
    lab: str | None
    text: str
    facts: dict[str, Scalar]
    prev: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """The rows of the audit, their head, and the number of the first row that is not as it was written, if any."""

    rows: int
    head: bytes
    broken_at: int | None


def write(
    database: Database,
    who: str,
    what: What,
    lab: str | None,
    text: str,
    facts: Mapping[str, Scalar] | None = None,
    *,
    now_ns: int | None = None,
) -> AuditRow:
    """Append a row; inside the writing transaction of what it tells, and as the last thing that this locks.

    who is the name of an account, "" for the service itself; text is one sentence of up to MOST_TEXT characters without
    personal data. Raises ValueError for a fact that is not finite, LedgerUnavailable and LedgerRefused.
    """
    n, prev = database.query("select n, sha256 from audit_head where id = 1" + database.for_update)[0]
    at_ns = time.time_ns() if now_ns is None else now_ns
    cleaned = {clean(key): clean(value) if isinstance(value, str) else value for key, value in (facts or {}).items()}
    row = (n + 1, at_ns, clean(who)[:MOST_TEXT], what, lab, clean(text)[:MOST_TEXT], cleaned, bytes(prev))
    sha256 = _hash(*row)
    stored = (*row[:6], canonical(cleaned).decode(), bytes(prev), sha256)
    database.query(f"insert into audit ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", stored)
    database.query("update audit_head set n = ?, sha256 = ? where id = 1", (n + 1, sha256))
    return AuditRow(*row, sha256)


def head(database: Database) -> bytes:
    """Return the hash that the chain of all rows ends with, 32 bytes."""
    return bytes(database.query("select sha256 from audit_head where id = 1")[0][0])


def count(database: Database, lab: str | None = None) -> int:
    """Return the number of rows, of one lab or of all."""
    where, values = ("", ()) if lab is None else (" where lab = ?", (lab,))
    return int(database.query(f"select count(*) from audit{where}", values)[0][0])


def page(database: Database, limit: int, offset: int, lab: str | None = None) -> list[AuditRow]:
    """Return a page of rows, newest first."""
    where, values = ("", ()) if lab is None else (" where lab = ?", (lab,))
    sql = f"select {_COLUMNS} from audit{where} order by n desc limit ? offset ?"
    return [_row(row) for row in database.query(sql, (*values, limit, offset))]


def verify(database: Database) -> Chain:
    """Compute the whole chain again; inside a reading transaction."""
    prev, expected = NO_HASH, 1
    for row in _rows(database):
        if row.n != expected or row.prev != prev or not _as_written(row):
            return Chain(expected - 1, head(database), min(row.n, expected))
        prev, expected = row.sha256, expected + 1
    n, kept = database.query("select n, sha256 from audit_head where id = 1")[0]
    whole = n == expected - 1 and bytes(kept) == prev
    return Chain(expected - 1, bytes(kept), None if whole else expected)


def _as_written(row: AuditRow) -> bool:
    try:
        again = _hash(row.n, row.at_ns, row.who, row.what, row.lab, row.text, row.facts, row.prev)
    except ValueError:  # a number or a character that `write` would not have let in
        return False
    return row.sha256 == again


def _rows(database: Database) -> Iterator[AuditRow]:
    after = 0
    while True:
        rows = database.query(f"select {_COLUMNS} from audit where n > ? order by n limit ?", (after, CHUNK))
        yield from (_row(row) for row in rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1][0]


def _row(row: Row) -> AuditRow:
    n, at_ns, who, what, lab, text, facts, prev, sha256 = row
    return AuditRow(n, at_ns, who, what, lab, text, _facts(facts), bytes(prev), bytes(sha256))


def _facts(text: str) -> dict[str, Scalar]:
    """Return the facts of a row; what somebody else has written there is kept as a text, and breaks the chain."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"unreadable": text}


def _hash(
    n: int, at_ns: int, who: str, what: str, lab: str | None, text: str, facts: dict[str, Scalar], prev: bytes
) -> bytes:
    value = {"n": n, "at": at_ns, "who": who, "what": what, "lab": lab, "text": text, "facts": facts}
    return hashlib.sha256(canonical({**value, "prev": prev.hex()})).digest()
