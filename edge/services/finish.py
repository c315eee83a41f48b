# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of what is on the disk and in memory: made to its end once it is begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

Args = ParamSpec("Args")
Result = TypeVar("Result")
Change = Callable[Args, Coroutine[None, None, Result]]


def to_its_end(change: Change[Args, Result]) -> Change[Args, Result]:
    """Go on with a change whose caller is cancelled: else the disk may have it and memory not.

    A repeat would then be taken for a new one, and count twice.
    """
    running: set[asyncio.Task[Result]] = set()

    @wraps(change)
    async def begin(*args: Args.args, **kwargs: Args.kwargs) -> Result:
        task = asyncio.create_task(change(*args, **kwargs))
        running.add(task)
        task.add_done_callback(running.discard)
        return await asyncio.shield(task)

    return begin
