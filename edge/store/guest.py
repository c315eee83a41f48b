# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's database as another program than the service sees it: the same outbox, and no epoch of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

from sqlite_utils import Database as UtilsDatabase

from edge.domain.errors import StoreUnavailable
from edge.store.ballast import Ballast
from edge.store.database import Database
from edge.store.migrations import MIGRATIONS, migrations
from edge.store.opening import Opened, reason
from edge.store.settings import StoreSettings
from edge.store.writer import Writer

_NEWEST = """
SELECT epoch.id, epoch.name, epoch.boot, install.name FROM epoch, install ORDER BY epoch.id DESC LIMIT 1
"""


class GuestDatabase(Database):
    """A database that the service may hold open at the same time; boot is that of its newest epoch.

    Nothing is created, migrated, mended or set aside: that is the service's to do.
    """

    def __init__(self, path: Path, settings: StoreSettings, opened: Opened) -> None:
        newest = opened.connection.execute(_NEWEST).fetchone()
        if newest is None:
            raise StoreUnavailable(reason="it holds no epoch yet: let the service run once")
        self.path = path
        self.settings = settings
        self.epoch_id, self.epoch, self.boot, self.install = newest
        self.ordinal = self.epoch_id
        self.previous_epoch = None
        self.set_aside = None
        self.writer = Writer(opened.connection, Ballast(path, int(settings.ballast_mb * 1_000_000)))

    @classmethod
    def visit(cls, path: Path, settings: StoreSettings) -> Self:
        """Open the database at `path`. Blocks; raises StoreUnavailable, also for one of another version."""
        if not path.is_file():
            raise StoreUnavailable(reason=f"there is no database {path}")
        try:
            connection = _connect(path, settings.busy_timeout_ms)
            try:
                return cls(path, settings, Opened(connection, None))
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise StoreUnavailable(reason=reason(error)) from error


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        uri, uri=True, timeout=busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        applied = {migration.name for migration in migrations.applied(UtilsDatabase(connection))}
    except BaseException:
        connection.close()
        raise
    if applied != MIGRATIONS:
        connection.close()
        raise StoreUnavailable(reason="it is of another version of this program: let the service run once")
    return connection
