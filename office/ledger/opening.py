# SPDX-License-Identifier: GPL-3.0-or-later
"""How a URL becomes a database."""

from __future__ import annotations

from pathlib import Path

from office.ledger.database import Database


def connect(url: str) -> Database:
    """Return the database behind ``sqlite:///PATH`` or ``postgresql://...``; raises ValueError for another URL."""
    # Each driver is loaded only where it is used: psycopg alone would cost an office on SQLite 24 MB.
    if url.startswith("sqlite:///"):
        from office.ledger.sqlite import SqliteDatabase

        return SqliteDatabase(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        from office.ledger.postgres import PostgresDatabase

        return PostgresDatabase(url)
    raise ValueError("a database is sqlite:///PATH or postgresql://USER@HOST/NAME")
