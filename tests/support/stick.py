# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab with a card in its slot: facts in a real outbox, its key, and sticks written from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from edge.domain.events import Event
from edge.keys import LabKey, lab_key
from edge.stick.export import Export, Exported
from edge.store.database import Database
from edge.store.guest import GuestDatabase
from edge.store.outbox import SqliteOutbox
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from edge.sync.status import LabIdentity

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)


class Card:
    """The lab's data directory. `write` is what the service does in one epoch, `export` what another program does."""

    def __init__(self, folder: Path, lab: str = "van-1", settings: StoreSettings = SETTINGS) -> None:
        self.folder, self.lab, self.settings = folder, lab, settings
        self.path = folder / "infomobil.db"
        self.stick = folder / "stick"
        self.stick.mkdir(parents=True)

    @property
    def key(self) -> LabKey:
        return lab_key(self.folder / "keys")

    def open(self, boot: str = "boot-1") -> Database:
        """Open it as the service does: a new epoch begins."""
        return Database.open(self.path, self.settings, boot)

    async def write(self, events: Sequence[Event], boot: str = "boot-1") -> str:
        """Store facts in an epoch of their own, and return it."""
        database = self.open(boot)
        try:
            await SqliteStore(database).append(events)
            return database.epoch
        finally:
            await asyncio.to_thread(database.close)

    async def export(self, **bounds: int) -> Exported:
        """Write a stick as the command line does."""
        guest = GuestDatabase.visit(self.path, self.settings)
        try:
            return await Export(
                SqliteOutbox(guest), self.identity(guest), self.key, self.stick, f"{self.lab}-stick", **bounds
            ).run()
        finally:
            await asyncio.to_thread(guest.close)

    def identity(self, database: GuestDatabase) -> LabIdentity:
        return LabIdentity(
            self.lab,
            database.boot,
            database.epoch,
            "1.1",
            "c0ffee",
            install=database.install,
            ordinal=database.ordinal,
            key=self.key.public_hex,
        )
