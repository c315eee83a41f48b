# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that has committed before it answers, as one with a thread of its own has; callers cancelled in between."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

import pytest

from edge.domain.events import Event, StoredEvent
from tests.support.air import eventually
from tests.support.fakes import MemoryStore


class LateStore(MemoryStore):
    """A MemoryStore that answers once `answers` is set, as it is at first."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.answers.set()

    async def append(self, events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        """Commit, then wait for `answers`."""
        stored = await super().append(events, saves)
        await self.answers.wait()
        return stored


async def cancelled_behind_the_commit(store: LateStore, change: Coroutine[None, None, object]) -> None:
    """Ask for a change and cancel when it is on the disk, before anybody has heard so."""
    store.answers.clear()
    events, state = len(store.events), dict(store.state)
    asked = asyncio.create_task(change)
    await eventually(lambda: len(store.events) > events or store.state != state)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    store.answers.set()
