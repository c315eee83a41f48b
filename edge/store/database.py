# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's database as the service holds it: opened once, one epoch per opening."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge.domain.errors import StoreUnavailable
from edge.store.ballast import Ballast
from edge.store.opening import Opened, open_database, reason
from edge.store.settings import StoreSettings
from edge.store.writer import Writer

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
    """

    def __init__(self, path: Path, settings: StoreSettings, opened: Opened, epoch: _Epoch) -> None:
        self.path = path
        self.settings = settings
        self.epoch_id = self.ordinal = epoch.identity
        self.epoch = epoch.name
        self.previous_epoch = epoch.previous
        self.install = epoch.install
        self.set_aside = opened.set_aside
        ballast = _ballast(path, settings)
        ballast.restore()
        self.writer = Writer(opened.connection, ballast)

    @classmethod
    def open(cls, path: Path, settings: StoreSettings, boot_id: str) -> Self:
        """Open the database at `path` and begin an epoch of the boot `boot_id`. Blocks; raises StoreUnavailable.

        On a full disk the ballast makes room for opening, too: a lab that starts must be able to send what it has.
        """
        ballast = _ballast(path, settings)
        try:
            return cls(path, settings, *_open(path, settings, boot_id))
        except StoreUnavailable:
            if not ballast.in_place:
                raise
            ballast.release()
        try:
            return cls(path, settings, *_open(path, settings, boot_id))
        except StoreUnavailable:
            ballast.restore()
            raise

    def close(self) -> None:
        """Commit what waits and close. Blocks for as long as the disk takes."""
        self.writer.close()


def _ballast(path: Path, settings: StoreSettings) -> Ballast:
    return Ballast(path, int(settings.ballast_mb * 1_000_000))


def _open(path: Path, settings: StoreSettings, boot_id: str) -> tuple[Opened, _Epoch]:
    opened = open_database(path, settings.busy_timeout_ms)
    try:
        return opened, _begin_epoch(opened.connection, boot_id)
    except sqlite3.Error as error:
        opened.connection.close()
        raise StoreUnavailable(reason=reason(error)) from error


def _begin_epoch(connection: sqlite3.Connection, boot_id: str) -> _Epoch:
    """Write the new epoch; forget old ones of which the office has everything."""
    name = uuid.uuid4().hex
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        newest, previous = connection.execute("SELECT ifnull(max(id), 0), name FROM epoch").fetchone()
        (install,) = connection.execute("SELECT name FROM install").fetchone()
        old = connection.execute(_FORGOTTEN, (newest - REMEMBERED_EPOCHS,)).fetchall()
        for table, key in (("cut", "epoch"), ("gap", "epoch"), ("head", "epoch"), ("epoch", "id")):
            connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", old)
        connection.execute("INSERT INTO epoch (id, name, boot) VALUES (?, ?, ?)", (newest + 1, name, boot_id))
    return _Epoch(newest + 1, name, previous, install)
