# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploaded programs as files: ``SHA256.nc`` with ``SHA256.name`` beside it. The id of an upload is its SHA-256."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from edge.domain.errors import NotFound, StoreUnavailable
from edge.files import write_whole

_ID = re.compile(r"[0-9a-f]{64}")


class ProgramShelf:
    """The Shelf of the program catalogue in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def names(self) -> Mapping[str, str]:
        """Return the file name of each upload by program id."""
        return {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted(self._folder.glob("*.name"))
            if _ID.fullmatch(path.stem) and path.with_suffix(".nc").is_file()
        }

    async def read(self, program_id: str) -> bytes:
        """Return the bytes of an upload. Raises NotFound, StoreUnavailable."""
        if not _ID.fullmatch(program_id):
            raise NotFound(what="program", key=program_id)
        try:
            return await asyncio.to_thread((self._folder / f"{program_id}.nc").read_bytes)
        except FileNotFoundError:
            raise NotFound(what="program", key=program_id) from None
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error

    async def put(self, program_id: str, name: str, data: bytes) -> None:
        """Keep an upload: the program first, then its name, so that a cut leaves no name without a program."""
        await asyncio.to_thread(self._write, program_id, name, data)

    def _write(self, program_id: str, name: str, data: bytes) -> None:
        try:
            write_whole(self._folder / f"{program_id}.nc", data)
            write_whole(self._folder / f"{program_id}.name", name.encode())
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error
