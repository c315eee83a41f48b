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

    def query_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run one statement for each of `rows`, in their order."""
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


def larger(one: str, other: str) -> str:
    """Return the SQL for the larger of two columns: the dialects have no function in common that takes it."""
    return f"case when {one} > {other} then {one} else {other} end"
