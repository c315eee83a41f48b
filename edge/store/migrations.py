# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of the lab's database, as numbered migrations. A migration that was released is never edited."""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("edge")
MIGRATIONS = frozenset({"m001_outbox", "m002_journal", "m003_gaps", "m004_install"})


@migrations()
def m001_outbox(db: Database) -> None:
    """Create epochs, heads, facts, cuts and working state.

    A fact and its place in the outbox are one row, so the two cannot disagree. `head` counts what was ever given out,
    `watermark` what the office has; the difference is what `fact` holds. `cut` remembers the bounds and hashes of
    batches that were sent: those of waiting facts, and the one that ends at the watermark, where the chain goes on.
    """
    for statement in (
        """
        CREATE TABLE epoch (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            boot TEXT NOT NULL,
            people INTEGER NOT NULL DEFAULT 0,
            corrected INTEGER NOT NULL DEFAULT 0,
            sessions INTEGER NOT NULL DEFAULT 0,
            metrics_refused INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        """
        CREATE TABLE head (
            epoch INTEGER NOT NULL REFERENCES epoch(id),
            stream TEXT NOT NULL,
            last_seq INTEGER NOT NULL,
            watermark INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (epoch, stream)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE fact (
            epoch INTEGER NOT NULL REFERENCES epoch(id),
            stream TEXT NOT NULL,
            seq INTEGER NOT NULL,
            type TEXT NOT NULL,
            body TEXT NOT NULL,
            boot_ns INTEGER NOT NULL,
            wall_ns INTEGER NOT NULL,
            PRIMARY KEY (epoch, stream, seq)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE cut (
            epoch INTEGER NOT NULL REFERENCES epoch(id),
            stream TEXT NOT NULL,
            s0 INTEGER NOT NULL,
            n INTEGER NOT NULL,
            prev BLOB,
            sha256 BLOB NOT NULL,
            PRIMARY KEY (epoch, stream, s0)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE TABLE working_state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE metrics_room (id INTEGER PRIMARY KEY CHECK (id = 1), bytes INTEGER NOT NULL) STRICT",
        "INSERT INTO metrics_room (id, bytes) VALUES (1, 0)",
    ):
        db.execute(statement)


@migrations()
def m002_journal(db: Database) -> None:
    """Create the journal of jobs: the newest marks of each, numbered per job."""
    db.execute(
        """
        CREATE TABLE journal (
            job TEXT NOT NULL,
            n INTEGER NOT NULL,
            boot_ns INTEGER NOT NULL,
            begun INTEGER NOT NULL,
            line INTEGER,
            sent INTEGER,
            x REAL, y REAL, z REAL,
            offset_x REAL, offset_y REAL, offset_z REAL,
            execution TEXT NOT NULL,
            spindle TEXT NOT NULL,
            homed INTEGER NOT NULL,
            PRIMARY KEY (job, n)
        ) STRICT, WITHOUT ROWID
        """
    )


@migrations()
def m003_gaps(db: Database) -> None:
    """Create the ranges of facts that were dropped with a gap record and lie above the watermark."""
    db.execute(
        """
        CREATE TABLE gap (
            epoch INTEGER NOT NULL REFERENCES epoch(id),
            stream TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            PRIMARY KEY (epoch, stream, first)
        ) STRICT, WITHOUT ROWID
        """
    )


@migrations()
def m004_install(db: Database) -> None:
    """Name the file, count the room that each stream takes, and know which fact tells of a gap.

    The name is made once, at random; it goes where the file goes, also onto a copied card. head.bytes is the room of
    the stream's waiting facts, instead of one sum for metrics. A gap's record is the seq of its stream.gap fact in the
    stream safety of an epoch. `salvage` names the damaged files whose facts are brought into this one.
    """
    for statement in (
        "CREATE TABLE install (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL) STRICT",
        "INSERT INTO install (id, name) VALUES (1, lower(hex(randomblob(16))))",
        "ALTER TABLE head ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0",
        """
        UPDATE head SET bytes = (
            SELECT ifnull(sum(length(CAST(body AS BLOB)) + 64), 0) FROM fact
            WHERE fact.epoch = head.epoch AND fact.stream = head.stream
        )
        """,
        "DROP TABLE metrics_room",
        "ALTER TABLE epoch ADD COLUMN metrics_dropped INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE gap ADD COLUMN record_epoch INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE gap ADD COLUMN record_seq INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE salvage (name TEXT PRIMARY KEY, finished INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ):
        db.execute(statement)
