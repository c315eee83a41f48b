# SPDX-License-Identifier: GPL-3.0-or-later
"""How far work in another process is: a note of a few bytes in memory that both processes have open.

The worker overwrites it as often as it likes, whoever waits looks at it a few times a second. Nothing queues up, and
a worker that dies leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[str, float], None]
"""Takes a stage and the part of it that is done, 0 to 1."""

STAGES = ("reading", "limits", "planning")
LOOK_S = 0.2
NOTE_FILE = "infomobil-progress"
_NOTE = struct.Struct("<Bd")


class Note:
    """The worker's end: found by its path under /proc."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __call__(self, stage: str, done: float) -> None:
        """Write how far the work is. Where nobody waits any more nothing is written."""
        try:
            note = os.open(self._place, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            # A caller that has gone has closed the note, and its number may be another file's by now.
            if os.readlink(f"/proc/self/fd/{note}").startswith(f"/memfd:{NOTE_FILE}"):
                os.pwrite(note, _NOTE.pack(STAGES.index(stage), done), 0)
        finally:
            os.close(note)


def no_note(stage: str, done: float) -> None:
    """Tell nobody."""


async def watched(work: Callable[[str], Awaitable[T]], tell: Tell) -> T:
    """Return what `work` returns, given the place of a Note; `tell` is called as that changes, and at the end."""
    memory = os.memfd_create(NOTE_FILE, os.MFD_CLOEXEC)
    last = b""

    def look() -> None:
        nonlocal last
        note = os.pread(memory, _NOTE.size, 0)
        if len(note) == _NOTE.size and note != last:
            last = note
            stage, done = _NOTE.unpack(note)
            tell(STAGES[stage], done)

    async def looking() -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            look()

    task = asyncio.create_task(looking(), name="progress of a check")
    try:
        return await work(f"/proc/{os.getpid()}/fd/{memory}")
    finally:
        task.cancel()
        await asyncio.wait([task])
        look()
        os.close(memory)
