# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of every night: at its time of day, and after a start at once where one was missed."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

from office.errors import LedgerRefused, LedgerUnavailable
from office.ledger import Ledger, checks

LOOK_S = 60.0
"""How often the clock is looked at: it may be set, and a computer may have slept."""
RETRY_S = 300.0

_log = logging.getLogger(__name__)


def due(at: clock_time, now: datetime) -> datetime:
    """Return the last moment not after `now` at which a check was due: `at` is the local time of day."""
    local = now.astimezone()
    # Each day anew: where the clock changes in between, the time of day stays and its distance from UTC does not.
    today = datetime.combine(local.date(), at).astimezone()
    return today if today <= now else datetime.combine(local.date() - timedelta(days=1), at).astimezone()


class Nightly:
    """The task of the nightly check."""

    def __init__(
        self, ledger: Ledger, at: clock_time, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._ledger = ledger
        self._at = at
        self._now = now

    async def run(self) -> None:
        """Check when it is time, until cancelled. A ledger that is away is asked again later."""
        while True:
            delay = LOOK_S
            try:
                await self.look()
            except (LedgerUnavailable, LedgerRefused) as error:
                _log.warning("the nightly check waits: %s", error)
                delay = RETRY_S
            await asyncio.sleep(delay * random.uniform(0.9, 1.0))

    async def look(self) -> bool:
        """Check if it is time, and return whether it was. Raises LedgerUnavailable, LedgerRefused."""
        now = self._now()
        now_ns = round(now.timestamp() * 1e9)
        since_ns = await self._ledger.change(lambda database: checks.checked_since(database, now_ns))
        if since_ns >= due(self._at, now).timestamp() * 1e9:
            return False
        found = await self._ledger.check()
        await self._ledger.change(lambda database: checks.save(database, found))
        if found.good:
            _log.info("%d facts and %d batches were checked: all agree", found.recount.facts, found.chains.batches)
        for sentence in found.sentences():
            _log.error("the check found: %s", sentence)
        return True
