# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a ledger's schema up to date, step by step."""

from __future__ import annotations

from office.errors import LedgerUnavailable
from office.ledger.database import Database
from office.ledger.steps import MIGRATIONS


def migrate(database: Database) -> int:
    """Bring the schema up to date and return its number.

    Raises LedgerUnavailable where a newer program has been here: an older one would not understand what it finds.
    """
    with database.transaction(write=True):
        database.lock_migrations()
        database.query("create table if not exists migration (number bigint primary key, name text not null)")
        done = {number for (number,) in database.query("select number from migration")}
        newest = MIGRATIONS[-1].number
        if any(number > newest for number in done):
            raise LedgerUnavailable(reason=f"its schema is {max(done)}, this program knows up to {newest}")
        for migration in MIGRATIONS:
            if migration.number in done:
                continue
            for statement in migration.statements:
                database.query(statement.format_map(database.words))
            if migration.fill is not None:
                migration.fill(database)
            database.query("insert into migration values (?, ?)", (migration.number, migration.name))
    return newest
