# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, also after a power cut, and that belong to whom their folder belongs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PARTIAL = ".partial-"
"""How the name of a file begins that is being written: one that a power cut left may be removed."""


def write_whole(path: Path, content: bytes, mode: int = 0o600, *, new: bool = False) -> None:
    """Write a file; it and its name are on the disk when this returns. Raises OSError, and then nothing has changed.

    Never is it readable by more than `mode` says. Another file of the name is replaced, or, where it must be `new`,
    left as it is: that raises FileExistsError.
    """
    descriptor, name = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            like_its_folder(partial)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(partial, path)
        else:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: else a power cut may keep a file and lose its place. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it; what is there already stays as it is. Raises OSError."""
    if not folder.parent.is_dir():
        make_folder(folder.parent, 0o755)
    if not folder.is_dir():
        folder.mkdir(mode=mode, exist_ok=True)
        like_its_folder(folder)
        sync_folder(folder.parent)


def like_its_folder(path: Path) -> None:
    """Give what root made to the owner of the folder that it is in: the service has to read what a person made."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
