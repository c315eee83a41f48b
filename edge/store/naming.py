# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a database's epochs in a second file: without its epoch's name a fact of a damaged one is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edge.files import write_whole

KEPT = 200
"""Names kept beyond those of the database: its own pages may have lost some of them by then."""
SUFFIX = ".epochs"
_NUMBER = re.compile(r"-?[0-9]+")


def remember(database: Path, epochs: Iterable[tuple[int, str, str]]) -> None:
    """Add epochs (number, name, boot); the file is on the disk when this returns. Raises OSError."""
    path = database.with_name(database.name + SUFFIX)
    new = {str(identity): f"{identity}\t{name}\t{boot}" for identity, name, boot in epochs}
    lines = [line for line in _lines(path) if line.split("\t")[0] not in new][-KEPT:]
    write_whole(path, ("\n".join([*lines, *new.values()]) + "\n").encode(), 0o644)


def recall(database: Path) -> dict[int, tuple[str, str]]:
    """Return name and boot of each epoch by its number in the file, as far as they can be read."""
    found: dict[int, tuple[str, str]] = {}
    for line in _lines(database.with_name(database.name + SUFFIX)):
        match line.split("\t"):
            case [identity, name, boot] if _NUMBER.fullmatch(identity) and name and boot:
                found[int(identity)] = (name, boot)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
