# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, readable from their first byte by those who may."""

from __future__ import annotations

import os
from pathlib import Path

SECRET, PUBLIC = 0o600, 0o644


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it; what is there already stays as it is. Raises OSError."""
    if not folder.parent.exists():
        make_folder(folder.parent, 0o755)
    folder.mkdir(mode=mode, exist_ok=True)


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file, replacing the one before it in one step, also over a loss of power. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and os.geteuid() == 0:
            # The broker's own user must still be able to read what is replaced under it.
            owner = path.stat()
            os.chown(beside, owner.st_uid, owner.st_gid)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
