# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 10: payloads of batches that the facts do not give again, and facts without a foreign key.

A fact is only written while the row of its feed is locked in the same transaction, and feeds are never taken out. To
look that up once more for each fact takes PostgreSQL as long as writing it.
"""

from __future__ import annotations

from office.ledger.database import Database
from office.ledger.steps.step import Migration


def unbind(database: Database) -> None:
    """Drop the foreign key of facts. Does nothing on SQLite, where it costs little and a table would be made anew."""
    if database.dialect != "postgresql":
        return
    for (name,) in database.query(
        "select conname from pg_constraint where conrelid = 'event'::regclass and contype = 'f' and conparentid = 0"
    ):
        database.query(f"alter table event drop constraint {name}")


STORED = (
    Migration(
        10,
        "payloads that facts do not give again, facts without a foreign key",
        ("alter table batch add column payload {bytes}",),
        unbind,
    ),
)
