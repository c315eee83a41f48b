# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new database needs at once from the damaged one before it: so that a visit that is open stays open."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from edge.store.wreck import Wreck

COPIED_AT_ONCE = 64_000_000
"""Bytes of a damaged file that are copied, where that helps to read it, before the lab goes on."""

_EPOCH = """
INSERT OR IGNORE INTO epoch (id, name, boot, people, corrected, sessions, metrics_refused) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SALVAGE = "INSERT OR IGNORE INTO salvage (name, finished) VALUES (?, 0)"
_KNOWN = "INSERT OR IGNORE INTO salvage (name, finished) VALUES (?, ?)"
_MARK = (str, int, int, int, *([object] * 8), str, str, int)
_STATE = "INSERT INTO working_state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


def owe(connection: sqlite3.Connection, aside: Path) -> None:
    """Note that the facts of a damaged file are still to be brought over. Raises sqlite3.Error."""
    connection.execute(_SALVAGE, (aside.name,))


def bring_epochs(connection: sqlite3.Connection, epochs: Mapping[int, tuple[str, str, int, int, int, int]]) -> None:
    """Write the epochs of a damaged file that are not there yet, in their order. Raises sqlite3.Error.

    They get numbers below those of the new file: they are older, and not of its lineage.
    """
    known = {name for (name,) in connection.execute("SELECT name FROM epoch")}
    new = [epochs[key] for key in sorted(epochs) if epochs[key][0] not in known]
    (below,) = connection.execute("SELECT min(0, min(id)) FROM epoch").fetchone()
    connection.executemany(_EPOCH, [(below - len(new) + place, *epoch) for place, epoch in enumerate(new)])


def rescue(connection: sqlite3.Connection, aside: Path, known: Mapping[str, str] | None) -> bool:
    """Bring working state, journal, epochs and their totals over, inside the caller's transaction.

    known is the working state as the program last committed it, which is never older than the file's; None where the
    program has just begun. Return whether the file had ever been begun. Raises sqlite3.Error, OSError.
    """
    wreck = Wreck(aside, copy_up_to=COPIED_AT_ONCE)
    try:
        epochs = wreck.epochs()
        connection.executemany(_STATE, list((wreck.state() if known is None else known).items()))
        for mark in wreck.rows("SELECT * FROM journal", _MARK):
            connection.execute(f"INSERT OR IGNORE INTO journal VALUES ({', '.join('?' * len(mark))})", mark)
        bring_epochs(connection, epochs)
        connection.executemany(_KNOWN, wreck.rows("SELECT name, finished FROM salvage", (str, int)))
        return bool(epochs) or not wreck.rows("SELECT count(*) FROM sqlite_master", (int,))
    finally:
        wreck.close()
