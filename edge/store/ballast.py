# SPDX-License-Identifier: GPL-3.0-or-later
"""Room kept on the disk so that a full disk can be emptied: pruning, too, has to write before it frees anything."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Ballast:
    """A file of `size` bytes beside the database, let go for the moment in which facts are cut or pruned.

    Only such work may use the room: if new facts took it, the disk would be full again and could not be emptied.
    The size must exceed the write-ahead log (SQLite checkpoints at 1,000 pages of 4,096 bytes), because the pages in
    the log may all be new ones of the database.
    """

    def __init__(self, database: Path, size: int) -> None:
        self._path = database.with_name(database.name + ".ballast")
        self._size = size

    @property
    def in_place(self) -> bool:
        """Return whether there is room to let go."""
        try:
            return self._path.exists()
        except OSError:
            return False

    def restore(self) -> bool:
        """Take the room, where the disk has it; return whether the ballast is in place."""
        if self._size == 0:
            return False
        try:
            if self.in_place and self._path.stat().st_size == self._size:
                return True
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the room back to the disk."""
        with suppress(OSError):
            self._path.unlink()
