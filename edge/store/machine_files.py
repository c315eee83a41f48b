# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's shelf of program files for machines that keep programs: a folder per machine, each file under its name.

Nobody here reads what is in them. A file is there whole or not at all, also after a power cut.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from pathlib import Path

from edge.domain.errors import FileRefused, NotFound, StoreUnavailable
from edge.domain.transfer import MAX_BYTES, KeptFile
from edge.files import PARTIAL, write_whole

MAX_FILES = 500
"""Files of one machine: a listing has an end."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def require_name(name: str) -> None:
    """Raise FileRefused for a name that not every control takes: letters, digits, and ``_ . -`` inside, up to 64."""
    if not _NAME.fullmatch(name) or name.endswith(".") or ".." in name:
        reason = "a name has up to 64 letters a-z, digits, and . _ -, and begins with a letter, a digit or _"
        raise FileRefused(name=name[:80], reason=reason)


class MachineFiles:
    """The FileShelf of the transfers in one folder; reserve bytes of the disk are left for the record of visits."""

    def __init__(self, folder: Path, reserve: int = 0) -> None:
        self._folder = folder
        self._reserve = reserve
        self._digests: dict[Path, tuple[int, int, str]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"*/{PARTIAL}*"):
            leftover.unlink(missing_ok=True)

    def _path(self, machine_id: str, name: str) -> Path:
        try:
            require_name(name)
        except FileRefused:
            raise NotFound(what="file", key=name[:80]) from None
        return self._folder / machine_id / name

    async def files(self, machine_id: str) -> list[KeptFile]:
        """Return what is kept for a machine, newest first. Raises StoreUnavailable."""
        return await asyncio.to_thread(self._files, machine_id)

    def _files(self, machine_id: str) -> list[KeptFile]:
        try:
            paths = [path for path in self._folder.joinpath(machine_id).glob("*") if _NAME.fullmatch(path.name)]
            kept = [file for path in paths if (file := self._kept(path)) is not None]
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error
        return sorted(kept, key=lambda file: (-file.kept_ns, file.name))

    def _kept(self, path: Path) -> KeptFile | None:
        """Return what is known of a file; its digest is worked out once. None where it has just been removed."""
        try:
            found = path.stat()
            mark = (found.st_mtime_ns, found.st_size)
            if path not in self._digests or self._digests[path][:2] != mark:
                self._digests[path] = (*mark, hashlib.sha256(path.read_bytes()).hexdigest())
        except FileNotFoundError:
            self._digests.pop(path, None)
            return None
        return KeptFile(path.name, found.st_size, self._digests[path][2], found.st_mtime_ns)

    async def read(self, machine_id: str, name: str) -> bytes:
        """Return a file. Raises NotFound, StoreUnavailable."""
        path = self._path(machine_id, name)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound(what="file", key=name) from None
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error

    async def put(self, machine_id: str, name: str, data: bytes) -> KeptFile:
        """Keep a file; one of the same name is replaced. Raises FileRefused, StoreUnavailable."""
        require_name(name)
        if not data:
            raise FileRefused(name=name, reason="it is empty")
        if len(data) > MAX_BYTES:
            raise FileRefused(name=name, reason=f"it has more than {MAX_BYTES} bytes")
        return await asyncio.to_thread(self._write, self._folder / machine_id, name, data)

    def _write(self, folder: Path, name: str, data: bytes) -> KeptFile:
        try:
            folder.mkdir(exist_ok=True)
            if not (folder / name).exists() and len(list(folder.iterdir())) >= MAX_FILES:
                raise FileRefused(name=name, reason=f"{MAX_FILES} files are kept for this machine: remove some first")
            if shutil.disk_usage(folder).free - len(data) < self._reserve:
                raise StoreUnavailable(reason="what is left of the disk is kept for the record of visits")
            write_whole(folder / name, data)
            kept = self._kept(folder / name)
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error
        if kept is None:
            raise StoreUnavailable(reason="the file was removed while it was written")
        return kept

    async def remove(self, machine_id: str, name: str) -> None:
        """Forget a file. Raises NotFound, StoreUnavailable."""
        path = self._path(machine_id, name)
        try:
            await asyncio.to_thread(path.unlink)
        except FileNotFoundError:
            raise NotFound(what="file", key=name) from None
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error
        self._digests.pop(path, None)
