# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps one machine's driver running: its defect must not take the other machines along."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from edge.domain.errors import InfoMobilError
from edge.domain.ports import MachineDriver

log = logging.getLogger(__name__)

RESTART_S = 2.0


async def keep_running(driver: MachineDriver, failed: Callable[[str], None]) -> None:
    """Run `driver` until cancelled; where it ends, hold its machine, tell `failed` in a sentence, and run it again."""
    while True:
        try:
            await driver.run()
            failed("The driver of the machine ended by itself.")
        except Exception as error:
            log.exception("driver of %s failed", driver.info().machine_id)
            with suppress(InfoMobilError):
                driver.hold()
            failed(f"The driver of the machine failed: {error}")
        await asyncio.sleep(RESTART_S)
