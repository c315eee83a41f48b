# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks after the record while the lab works: brings facts over from a damaged file, and checks those that wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from edge.domain.errors import StoreUnavailable
from edge.domain.ports import Clock
from edge.store.database import Database
from edge.store.inspection import missing, portions, tell_lost
from edge.store.rows import Moment
from edge.store.salvage import salvage, unfinished

log = logging.getLogger(__name__)

AGAIN_S = 6 * 3_600.0
RETRY_S = 30.0
BETWEEN_S = 0.005
"""Seconds between two portions of a check: a visitor's tap must not wait for more than one."""


class RecordKeeper:
    """The keeper of one database. `run` is its whole life.

    on_renewed is awaited when the database was found damaged at work and a new epoch has begun; changed is called when
    there may be facts to send that nobody has just stored.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        on_renewed: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_renewed = on_renewed
        self._changed = changed
        self._wake = asyncio.Event()

    def look_soon(self) -> None:
        """Say that facts which should wait are not there, or cannot be read."""
        self._wake.set()

    async def run(self) -> None:
        """Look at start, after each renewal and every few hours, until cancelled."""
        loop = asyncio.get_running_loop()
        self._database.listen(lambda: loop.call_soon_threadsafe(self._wake.set))
        told = 0
        while True:
            self._wake.clear()
            try:
                if self._database.renewals > told:
                    told = self._database.renewals
                    await self._on_renewed()
                await self.look()
                pause = AGAIN_S
            except StoreUnavailable as error:
                log.warning("The record cannot be looked after now: %s", error)
                pause = RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def look(self) -> None:
        """Bring over what is to be brought over, then check every waiting fact. Raises StoreUnavailable."""
        for name in await unfinished(self._database):
            await salvage(self._database, name, self._clock)
            self._changed()
        lost = 0
        writer = self._database.writer
        for portion in await writer.read(lambda connection: list(portions(connection))):
            await asyncio.sleep(BETWEEN_S)
            if await writer.read(partial(missing, portion=portion)):
                now = Moment(self._database.epoch_id, self._clock.boot_ns(), self._clock.wall_ns())
                lost += await writer.write(partial(tell_lost, portion=portion, now=now), durable=True)
        if lost:
            log.error("%d facts are missing on the disk: the office is told so.", lost)
            self._changed()
