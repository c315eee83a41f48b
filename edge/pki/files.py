# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, and that belong to whom their folder belongs."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it; what is there already stays as it is. Raises OSError."""
    if not folder.parent.exists():
        make_folder(folder.parent, 0o755)
    if not folder.exists():
        folder.mkdir(mode=mode, exist_ok=True)
        like_its_folder(folder)


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is there whole or not at all, readable as `mode` says from its first byte. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        like_its_folder(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def like_its_folder(path: Path) -> None:
    """Give what root made to the owner of the folder that it is in: the service has to read what a person made."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
