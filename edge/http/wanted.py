# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work that somebody waits for: it ends when the page that asked for it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from fastapi import HTTPException, Request

from edge.http.errors import body

T = TypeVar("T")

GIVEN_UP = 499
"""Not of RFC 9110: for the log alone."""


async def while_wanted(request: Request, work: Coroutine[object, object, T]) -> T:
    """Return what `work` returns; it is cancelled, and its end awaited, as soon as the client of `request` has gone.

    The request's body must have been read. Raises what the work raises, and HTTPException, which nobody hears, for what
    was given up.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.wait([task, gone])
    if task.cancelled():
        raise HTTPException(GIVEN_UP, body("given-up", "That was given up.", "The page has gone.", "Ask for it again."))
    return task.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
