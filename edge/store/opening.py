# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening the database: pragmas, migrations, a check; what is damaged is set aside and never deleted."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database as UtilsDatabase

from edge.domain.errors import StoreUnavailable
from edge.store.migrations import MIGRATIONS, migrations
from edge.store.naming import SUFFIX as NAMES

log = logging.getLogger(__name__)

DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
CHECKED_AT_ONCE = 32_000_000
"""Bytes up to which a file is checked whole before it is used; the facts of a larger one are checked while it is."""
_REASONS = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program holds the database",
    "SQLITE_LOCKED": "another program holds the database",
    "SQLITE_READONLY": "the disk or the file is read-only",
    "SQLITE_PERM": "the file may not be opened",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_CORRUPT": "the database is damaged",
    "SQLITE_NOTADB": "the database is damaged",
}


class Damaged(Exception):
    """The file is no sound database. The argument says what was found."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that is ready, and where the damaged predecessor went, if there was one."""

    connection: sqlite3.Connection
    set_aside: Path | None


def primary_code(error: sqlite3.Error) -> str:
    """Return the name of SQLite's primary result code, without the extension (https://sqlite.org/rescode.html)."""
    name: str = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(name.split("_")[:2])


def reason(error: sqlite3.Error) -> str:
    """Return in a person's words why the database refused."""
    return _REASONS.get(primary_code(error), str(error))


def open_database(path: Path, busy_timeout_ms: int) -> Opened:
    """Open or create the database at `path`; raises StoreUnavailable.

    Only a file that SQLite calls damaged is set aside. One that is locked, unreadable or on a full disk may hold
    facts that nobody else has: it stays where it is and the error says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return Opened(_connect(path, busy_timeout_ms), None)
        except Damaged as damage:
            aside = set_aside(path, str(damage))
            return Opened(_connect(path, busy_timeout_ms), aside)
    except sqlite3.Error as error:
        raise StoreUnavailable(reason=reason(error)) from error
    except OSError as error:
        raise StoreUnavailable(reason=error.strerror or str(error)) from error


def aside_files(path: Path) -> list[Path]:
    """Return the damaged predecessors of a database that were set aside, the newest first. Raises OSError."""
    return [file for _, suffix, file in sorted(_aside(path), reverse=True) if not suffix]


def _aside(path: Path) -> Iterator[tuple[int, str, Path]]:
    """Yield number, suffix and place of all that was set aside."""
    ending = re.compile(re.escape(path.name) + r"\.corrupt-([0-9]+)(-wal|-shm|" + re.escape(NAMES) + ")?")
    for file in path.parent.iterdir():
        if found := ending.fullmatch(file.name):
            yield int(found[1]), found[2] or "", file


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    log_file = path.with_name(path.name + "-wal")
    if _size(path) == 0 and _size(log_file) > 0:
        # SQLite would take it for a new database and delete the log, and with it what may be the only facts.
        raise Damaged("the file is empty or missing beside a log that is not")
    connection = sqlite3.connect(path, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, whole=_size(path) <= CHECKED_AT_ONCE)
    except sqlite3.Error as error:
        connection.close()
        if primary_code(error) in DAMAGED:
            raise Damaged(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, whole: bool) -> None:
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    if whole:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(found)
    database = UtilsDatabase(connection)
    if any(migration.name not in MIGRATIONS for migration in migrations.applied(database)):
        raise StoreUnavailable(reason="the database was written by a newer version of this program")
    migrations.apply(database)
    if not whole:
        for table in ("epoch", "head", "cut", "gap", "working_state", "journal", "install", "salvage"):
            for _ in connection.execute(f"SELECT * FROM {table}"):
                pass


def set_aside(path: Path, damage: str) -> Path:
    """Rename a damaged database and all that belongs to it; return the new name. Raises OSError.

    The numbers of the names rise, so that a log that somebody left is no other file's. Where the file itself is missing
    an empty one stands for it beside its log.
    """
    aside = path.with_name(f"{path.name}.corrupt-{max((number for number, *_ in _aside(path)), default=0) + 1}")
    for suffix in ("", "-wal", "-shm", NAMES):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    aside.touch()
    log.error("The database %s is damaged (%s): kept as %s, a new one is begun.", path, damage, aside.name)
    return aside
