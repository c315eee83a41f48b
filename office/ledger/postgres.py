# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's database on a server: PostgreSQL by psycopg 3, for several ingest workers at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import psycopg

from office.errors import LedgerRefused, LedgerUnavailable
from office.ledger.database import EventRow, Row

CONNECT_TIMEOUT_S = 5
MIGRATION_LOCK = 0x494D31

_SETTINGS = (
    "set client_encoding to 'UTF8'",
    "set lock_timeout to '10s'",
    "set idle_in_transaction_session_timeout to '60s'",
    # An acknowledgement is a promise, whatever the server was told to do with commits that promise less.
    "set synchronous_commit to on",
)
_HELD = "select seq from event where feed = ? and seq between ? and ?"
_COPY = "copy event (feed, received_ns, seq, type, standing, boot_ns, wall_ns, body) from stdin"


class PostgresDatabase:
    """A ledger behind the connection string `url`."""

    dialect: Literal["postgresql"] = "postgresql"
    words: dict[str, str] = {  # noqa: RUF012 - an instance attribute of the protocol, never changed
        "serial": "bigint generated always as identity primary key",
        "bytes": "bytea",
        "text": 'text collate "C"',
        "real": "double precision",
        "clustered": "",
        "no_hash": "'\\x" + "00" * 32 + "'::bytea",
    }
    # Keys never change: what only refers to a locked row, such as an alarm to its feed, need not wait for it.
    for_update = " for no key update"

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: psycopg.Connection[Row] | None = None
        self._stopped = False

    def _connection(self) -> psycopg.Connection[Row]:
        if self._open is not None and (self._open.closed or self._open.broken):
            self.close()
        if self._open is None:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
            try:
                for setting in _SETTINGS:
                    connection.execute(setting)
                encoding = connection.info.parameter_status("server_encoding")
                if encoding != "UTF8":
                    raise LedgerUnavailable(reason=f"the database must be made with encoding UTF8, not {encoding}")
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """See Database."""
        with _translated():
            connection = self._connection()
            with connection.transaction():
                if not write:
                    connection.execute("set transaction isolation level repeatable read, read only")
                yield

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See Database."""
        if self._stopped:
            raise LedgerUnavailable(reason="the office ends")
        with _translated():
            # Every statement of the ledger is written in its source; what comes from outside is a parameter.
            cursor = self._connection().execute(sql.replace("?", "%s"), parameters)
            return cursor.fetchall() if cursor.description is not None else []

    def query_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See Database. All rows are on their way before the first answer is awaited."""
        with _translated(), self._connection().cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)

    def insert_events(self, feed: int, received_ns: int, rows: Sequence[EventRow]) -> list[int]:
        """See Database. COPY knows no conflicts; while the feed's row is locked, nobody adds to what is held."""
        seqs = [row[0] for row in rows]
        held = {seq for (seq,) in self.query(_HELD, (feed, min(seqs), max(seqs)))}
        new = [row for row in rows if row[0] not in held]
        if new:
            with _translated(), self._connection().cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.write(_copied(f"{feed}\t{received_ns}", new))
        return [row[0] for row in new]

    def lock_migrations(self) -> None:
        """See Database."""
        self.query("select pg_advisory_xact_lock(?)", (MIGRATION_LOCK,))

    def stop(self) -> None:
        """See Database."""
        self._stopped = True

    def close(self) -> None:
        """See Database."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _copied(before: str, rows: Sequence[EventRow]) -> str:
    """Return `rows` as the text of COPY. Types and JSON hold no control characters, so only backslashes are escaped."""
    text = "".join(
        f"{before}\t{seq}\t{kind}\t{standing}\t{boot_ns}\t{wall_ns}\t{body}\n"
        for seq, kind, standing, boot_ns, wall_ns, body in rows
    )
    return text.replace("\\", "\\\\")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError, UnicodeError) as error:
        raise LedgerRefused(reason=" ".join(str(error).split())) from error
    except psycopg.Error as error:
        raise LedgerUnavailable(reason=" ".join(str(error).split())) from error
