# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's database in one file: SQLite in WAL mode, synchronous FULL, because an acknowledgement is a promise."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from office.errors import LedgerRefused, LedgerUnavailable
from office.ledger.database import EventRow, Row

BUSY_TIMEOUT_MS = 2_000

# What a value may be to blame for. Everything else has its cause in the database, and trying again can help.
_REFUSED = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)


class SqliteDatabase:
    """A ledger in the file `path`."""

    dialect: Literal["sqlite"] = "sqlite"
    words: dict[str, str] = {  # noqa: RUF012 - an instance attribute of the protocol, never changed
        "serial": "integer primary key",
        "bytes": "blob",
        "text": "text",
        "real": "real",
        "clustered": "without rowid",
        "no_hash": "zeroblob(32)",
    }
    for_update = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self._stopped = False

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Each connection belongs to one executor thread at a time; close() may come from another.
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = full")
                connection.execute("pragma foreign_keys = on")
            except sqlite3.Error:
                connection.close()
                raise
            self._open = connection
        return self._open

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """See Database."""
        with _translated():
            connection = self._connection()
            connection.execute("begin immediate" if write else "begin")
            try:
                yield
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See Database."""
        if self._stopped:
            raise LedgerUnavailable(reason="the office ends")
        with _translated():
            return self._connection().execute(sql, parameters).fetchall()

    def query_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See Database."""
        with _translated():
            self._connection().executemany(sql, rows)

    def insert_events(self, feed: int, received_ns: int, rows: Sequence[EventRow]) -> list[int]:
        """See Database. One statement with many rows of values is as fast as a bare executemany, and answers."""
        values: list[object] = []
        for row in rows:
            values += (feed, received_ns, *row)
        return [seq for (seq,) in self.query(_insert(len(rows)), values)]

    def lock_migrations(self) -> None:
        """See Database: `begin immediate` has locked the file already."""

    def stop(self) -> None:
        """See Database."""
        self._stopped = True

    def close(self) -> None:
        """See Database."""
        if self._open is not None:
            self._open.close()
            self._open = None


@cache
def _insert(n: int) -> str:
    rows = ",".join(["(?,?,?,?,?,?,?,?)"] * n)
    return (
        "insert into event (feed, received_ns, seq, type, standing, boot_ns, wall_ns, body) values "
        f"{rows} on conflict do nothing returning seq"
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        raise LedgerRefused(reason=error) from error
    except (sqlite3.Error, OSError) as error:
        raise LedgerUnavailable(reason=error) from error
