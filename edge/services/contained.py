# SPDX-License-Identifier: GPL-3.0-or-later
"""A boundary around what machines do not depend on: pictures and estimates.

Parts of the service end it where they fail, for machines must not run beside half a service. What only shows
something has no such right: whatever it fails with, memory and threads that ran out as well, it fails alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import BrokenExecutor

from edge.domain.errors import InfoMobilError

log = logging.getLogger(__name__)

FORESEEN = (InfoMobilError, BrokenExecutor, OSError, MemoryError)
"""What needs no traceback in the log: its own words tell what is to be done."""


async def contained(work: Coroutine[object, object, None], what: str) -> bool:
    """Await `work` and return whether it came to its end; what it failed with is logged, `what` is lost by it.

    A caller that is cancelled cancels the work and awaits its end.
    """
    task = asyncio.create_task(work, name=what)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.wait([task])
    error = asyncio.CancelledError("it was given up") if task.cancelled() else task.exception()
    if error is None:
        return True
    if isinstance(error, (*FORESEEN, asyncio.CancelledError)):
        log.warning("%s: %s", what, error or type(error).__name__)
    else:
        log.error("%s: it failed unforeseen", what, exc_info=error)
    return False
