# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a database's epochs in a second file: without its epoch's name a fact of a damaged one is nobody's."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = 200
SUFFIX = ".epochs"


def remember(database: Path, identity: int, name: str, boot: str) -> None:
    """Add an epoch; the file is on the disk when this returns. Raises OSError."""
    path = database.with_name(database.name + SUFFIX)
    lines = [line for line in _lines(path) if line.split("\t")[0] != str(identity)][-KEPT + 1 :]
    lines.append(f"{identity}\t{name}\t{boot}")
    part = path.with_name(path.name + ".new")
    with part.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def recall(database: Path) -> dict[int, tuple[str, str]]:
    """Return name and boot of each epoch by its number in the file, as far as they can be read."""
    found: dict[int, tuple[str, str]] = {}
    for line in _lines(database.with_name(database.name + SUFFIX)):
        match line.split("\t"):
            case [identity, name, boot] if identity.isdecimal() and name and boot:
                found[int(identity)] = (name, boot)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
