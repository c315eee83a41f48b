# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing the file of a stick: whole under its name, or not there at all."""

from __future__ import annotations

import hashlib
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.files import sync_folder
from edge.keys import LabKey
from wire.stick import (
    MANIFEST,
    MAX_FILES,
    MAX_STICK,
    SIGNATURE,
    SUFFIX,
    Listed,
    Manifest,
    encode_manifest,
    to_sign,
)

PARTIAL = ".part"
_ENTRY_ROOM = 400
"""Bytes that a file takes in the archive and in its manifest beside its content, at most."""
_LEAST_YEAR = (1980, 1, 1, 0, 0, 0)


class Archive:
    """A file under way. It gets its name with `finish`; left before that, nothing of it stays. Raises OSError.

    The archive holds no times: the lab's clock may be wrong by years, and each fact brings its own.
    """

    def __init__(self, folder: Path, name: str, *, most_bytes: int = MAX_STICK, most_files: int = MAX_FILES) -> None:
        self._folder, self._name = folder, name
        self._partial = folder / f"{name}{SUFFIX}{PARTIAL}"
        self._most_bytes, self._most_files = most_bytes, most_files
        self._listed: list[Listed] = []
        self._bytes = 0
        self._file = self._partial.open("w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED, allowZip64=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A stick that is full or gone cannot take the end of the archive either: what counts is that nothing stays.
        with suppress(OSError):
            self._zip.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._partial.unlink()

    def fits(self, size: int) -> bool:
        """Return whether one more file of `size` bytes has room; the first one beside the presence always has."""
        if len(self._listed) < 2:
            return True
        return self._bytes + size + _ENTRY_ROOM <= self._most_bytes and len(self._listed) < self._most_files

    def add(self, name: str, content: bytes) -> None:
        """Write one file, and list it for the manifest."""
        self._write(name, content)
        self._listed.append(Listed(name, len(content), hashlib.sha256(content).hexdigest()))
        self._bytes += len(content) + _ENTRY_ROOM

    def finish(self, lab: str, software: str, key: LabKey) -> Path:
        """Sign what was added, bring it to the stick's own memory, give it its name; return where it is."""
        manifest = encode_manifest(Manifest(lab, key.public_hex, software, tuple(self._listed)))
        self._write(MANIFEST, manifest)
        self._write(SIGNATURE, key.sign(to_sign(manifest)))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        path = self._free_name()
        self._partial.rename(path)
        # Not every file system of sticks knows how to; the file itself is there.
        with suppress(OSError):
            sync_folder(self._folder)
        return path

    def _write(self, name: str, content: bytes) -> None:
        entry = zipfile.ZipInfo(name, _LEAST_YEAR)
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, content)

    def _free_name(self) -> Path:
        path, number = self._folder / f"{self._name}{SUFFIX}", 1
        while path.exists():
            number += 1
            path = self._folder / f"{self._name}-{number}{SUFFIX}"
        return path
