# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's database as the service holds it: opened once, one epoch per opening."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from edge.domain.errors import StoreUnavailable
from edge.store.ballast import Ballast
from edge.store.naming import remember
from edge.store.opening import Opened, aside_files, open_database, reason, set_aside
from edge.store.rescue import owe, rescue
from edge.store.settings import StoreSettings
from edge.store.writer import Writer

log = logging.getLogger(__name__)

REMEMBERED_EPOCHS = 100

_FORGOTTEN = """
SELECT id FROM epoch WHERE id <= ?
AND NOT EXISTS (SELECT 1 FROM head WHERE head.epoch = epoch.id AND head.watermark < head.last_seq)
"""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """The epoch that an opening began, and its place among those of the file."""

    identity: int
    name: str
    previous: str | None
    install: str


class Database:
    """An open database with its writer and a fresh epoch.

    set_aside is where a damaged predecessor was kept, None where there was none. The epoch's row is written at once,
    so an epoch is never handed out that the disk does not know. install, ordinal (from 1) and previous_epoch are those
    of the fact lab.started: the name of the file, the number of the epoch in it, and the epoch before.

    A database that is found damaged at work is set aside, too: a new one with a new epoch takes its place before the
    next fact is written, and `renewals` counts it. working is the working state as last committed.
    """

    def __init__(self, path: Path, settings: StoreSettings, boot_id: str, opened: Opened, epoch: _Epoch) -> None:
        self.path = path
        self.settings = settings
        self.renewals = 0
        self.working: dict[str, str] = dict(opened.connection.execute("SELECT key, value FROM working_state"))
        self._boot_id = boot_id
        self._listeners: list[Callable[[], object]] = []
        self._aside: Path | None = None
        self._take(opened, epoch)
        ballast = _ballast(path, settings)
        ballast.restore()
        self.writer = Writer(opened.connection, ballast, self._renew)

    def _take(self, opened: Opened, epoch: _Epoch) -> None:
        self.epoch_id = self.ordinal = epoch.identity
        self.epoch = epoch.name
        self.previous_epoch = epoch.previous
        self.install = epoch.install
        self.set_aside = opened.set_aside

    @classmethod
    def open(cls, path: Path, settings: StoreSettings, boot_id: str) -> Self:
        """Open the database at `path` and begin an epoch of the boot `boot_id`. Blocks; raises StoreUnavailable.

        On a full disk the ballast makes room for opening, too: a lab that starts must be able to send what it has.
        """
        ballast = _ballast(path, settings)
        try:
            return cls(path, settings, boot_id, *_open(path, settings, boot_id, None))
        except StoreUnavailable:
            if not ballast.in_place:
                raise
            ballast.release()
        try:
            return cls(path, settings, boot_id, *_open(path, settings, boot_id, None))
        except StoreUnavailable:
            ballast.restore()
            raise

    def listen(self, renewed: Callable[[], object]) -> None:
        """Call `renewed`, on the writer's thread, whenever a new database has taken the place of a damaged one."""
        self._listeners.append(renewed)

    def _renew(self, connection: sqlite3.Connection, damage: str) -> sqlite3.Connection:
        """Set the damaged database aside and begin a new one, on the writer's thread. Raises StoreUnavailable."""
        # Closed before it is renamed: SQLite removes the log by its name, and that will be the new one's.
        with suppress(sqlite3.Error):
            connection.close()
        try:
            # What stands there after a first try that failed is no damaged record: it is the new one.
            if self._aside is None and self.path.exists():
                self._aside = set_aside(self.path, damage)
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror or str(error)) from error
        opened, epoch = _open(self.path, self.settings, self._boot_id, self.working, self._aside)
        self._aside = None
        self._take(opened, epoch)
        self.renewals += 1
        for listener in self._listeners:
            listener()
        return opened.connection

    def saved(self, saves: Mapping[str, str | None]) -> None:
        """Know working state that was committed, on the writer's thread: a new database begins with it."""
        for key, value in saves.items():
            if value is None:
                self.working.pop(key, None)
            else:
                self.working[key] = value

    def close(self) -> None:
        """Commit what waits and close. Blocks for as long as the disk takes."""
        self.writer.close()


def _ballast(path: Path, settings: StoreSettings) -> Ballast:
    return Ballast(path, int(settings.ballast_mb * 1_000_000))


def _open(
    path: Path, settings: StoreSettings, boot_id: str, working: Mapping[str, str] | None, aside: Path | None = None
) -> tuple[Opened, _Epoch]:
    opened = open_database(path, settings.busy_timeout_ms)
    try:
        opened = replace(opened, set_aside=opened.set_aside or aside or _left(path, opened.connection))
        epoch = _begin_epoch(path, opened, boot_id, working)
        remember(path, opened.connection.execute("SELECT id, name, boot FROM epoch ORDER BY id"))
    except sqlite3.Error as error:
        opened.connection.close()
        raise StoreUnavailable(reason=reason(error)) from error
    except OSError as error:
        opened.connection.close()
        raise StoreUnavailable(reason=error.strerror or str(error)) from error
    return opened, epoch


def _left(path: Path, connection: sqlite3.Connection) -> Path | None:
    """Return the damaged file in whose place a new one was begun, but not finished: by a power cut or a full disk."""
    if connection.execute("SELECT 1 FROM epoch LIMIT 1").fetchone():
        return None
    return next(iter(aside_files(path)), None)


def _begin_epoch(path: Path, opened: Opened, boot_id: str, working: Mapping[str, str] | None) -> _Epoch:
    """Write the new epoch; forget old ones of which the office has everything; take over what was open."""
    connection, name = opened.connection, uuid.uuid4().hex
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        newest, previous = connection.execute("SELECT ifnull(max(id), 0), name FROM epoch").fetchone()
        (install,) = connection.execute("SELECT name FROM install").fetchone()
        old = connection.execute(_FORGOTTEN, (newest - REMEMBERED_EPOCHS,)).fetchall()
        for table, key in (("cut", "epoch"), ("gap", "epoch"), ("head", "epoch"), ("epoch", "id")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", old)
        connection.execute("INSERT INTO epoch (id, name, boot) VALUES (?, ?, ?)", (newest + 1, name, boot_id))
        if opened.set_aside is not None:
            _rescue(connection, [opened.set_aside, *aside_files(path)], working)
        for aside in aside_files(path):
            owe(connection, aside)
    return _Epoch(newest + 1, name, previous, install)


def _rescue(connection: sqlite3.Connection, asides: Sequence[Path], working: Mapping[str, str] | None) -> None:
    """Take over what can be, of the newest file that had ever been begun; a lab goes on without it, too."""
    for aside in dict.fromkeys(asides):
        owe(connection, aside)
        connection.execute("SAVEPOINT rescue")
        try:
            begun = rescue(connection, aside, working)
        except (sqlite3.Error, OSError) as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO rescue")
            log.error("Nothing is taken over at once from %s: %s", aside.name, error)  # noqa: TRY400
            begun = True
        connection.execute("RELEASE rescue")
        if begun:
            return
