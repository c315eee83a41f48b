# SPDX-License-Identifier: GPL-3.0-or-later
"""Several things at once, of which one that fails ends the others, and which a cancel always ends.

Python 3.11's TaskGroup lets a child's failure take the place of a cancel that comes at the same moment, and leaves its
own cancels counted in the task, so that nobody can tell afterwards: a service that ends while its link goes away
would go on for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def together(*works: Coroutine[object, object, T], name: str) -> list[T]:
    """Return the results in order. Raises what the first that failed raises, once all others have ended."""
    tasks = [asyncio.create_task(work, name=f"{name}-{number}") for number, work in enumerate(works)]
    if not tasks:
        return []
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
