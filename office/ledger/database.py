# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger asks of a database. Queries use ``?`` for a parameter in both dialects."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

Row = tuple[Any, ...]
EventRow = tuple[int, str, str, int, int, str]
"""seq, type, standing, boot_ns, wall_ns, body_json"""


class Database(Protocol):
    """One connection, opened when first needed and again after it broke. For one thread at a time.

    Every method raises LedgerUnavailable (away, locked, full: worth trying again) or LedgerRefused (never).
    """

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Return which of the two it is, for the few steps that only one needs."""
        ...

    @property
    def words(self) -> dict[str, str]:
        """Return the dialect's words for the placeholders of the migrations."""
        ...

    @property
    def for_update(self) -> str:
        """Return the suffix that locks the selected rows until the transaction ends."""
        ...

    def transaction(self, *, write: bool) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back on an exception. A reading one sees one moment throughout."""
        ...

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement inside a transaction and return its rows."""
        ...

    def insert_events(self, feed: int, received_ns: int, rows: Sequence[EventRow]) -> list[int]:
        """Insert those of `rows` that are not there yet and return their seqs; the feed's row must be locked."""
        ...

    def lock_migrations(self) -> None:
        """Let only one process at a time migrate, until the transaction ends."""
        ...

    def stop(self) -> None:
        """Let every further query raise LedgerUnavailable; from another thread, so that a long reading ends soon."""
        ...

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        ...


MOST_PARAMETERS = 8_000
"""Of one statement: SQLite takes 32,766, PostgreSQL 65,535."""


def insert_rows(database: Database, into: str, rows: Sequence[Sequence[object]], conflict: str) -> None:
    """Insert `rows` into the table and columns `into`, with the clause `conflict`, many in a statement.

    No key may be there twice. Rows are locked in the order in which they are given.
    """
    if not rows:
        return
    marks = "(" + ", ".join("?" * len(rows[0])) + ")"
    most = MOST_PARAMETERS // len(rows[0])
    for begin in range(0, len(rows), most):
        some = rows[begin : begin + most]
        values = [value for row in some for value in row]
        database.query(f"insert into {into} values {', '.join([marks] * len(some))} {conflict}", values)
