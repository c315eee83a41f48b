# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of the ledger, as numbered steps for both dialects. A step that was released is never changed.

A feed is one (lab, stream, epoch); its row is the lock under which its events, watermark and chain move together.
"""

from __future__ import annotations

from dataclasses import dataclass

from office.errors import LedgerUnavailable
from office.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, what it does, and its statements with the dialect's words in braces."""

    number: int
    name: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        1,
        "events, feeds and the chain of batches",
        (
            """create table feed (
                id {serial},
                lab {text} not null,
                stream {text} not null,
                epoch {text} not null,
                boot {text} not null default '',
                watermark bigint not null default 0,
                newest bigint not null default 0,
                closed_last bigint not null default 0,
                ranges text not null default '[]',
                anchor_ns bigint,
                unique (lab, stream, epoch))""",
            "create index feed_lacking on feed (lab) where newest > watermark or closed_last > watermark",
            """create table event (
                feed bigint not null references feed (id),
                seq bigint not null,
                type {text} not null,
                standing {text} not null,
                boot_ns bigint not null,
                wall_ns bigint not null,
                received_ns bigint not null,
                body text not null,
                primary key (feed, seq)) {clustered}""",
            """create table batch (
                feed bigint not null references feed (id),
                first bigint not null,
                last bigint not null,
                sha256 {bytes} not null,
                prev {bytes},
                received_ns bigint not null,
                primary key (feed, first, sha256))""",
            "create index batch_last on batch (feed, last)",
            """create table alarm (
                feed bigint not null references feed (id),
                kind {text} not null,
                first bigint not null,
                detail {text} not null,
                received_ns bigint not null,
                primary key (feed, kind, first))""",
        ),
    ),
    Migration(
        2,
        "labs, their epochs and what is set aside",
        (
            """create table lab (
                lab {text} primary key,
                state {text} not null default 'unknown',
                epoch {text} not null default '',
                software {text} not null default '',
                config {text} not null default '',
                waiting bigint not null default 0,
                heads text not null default '{{}}',
                presence_ns bigint not null default 0,
                seen_ns bigint not null default 0,
                duplicates bigint not null default 0,
                invalid bigint not null default 0,
                unknown bigint not null default 0)""",
            """create table lab_epoch (
                lab {text} not null,
                epoch {text} not null,
                claimed_people bigint not null default 0,
                claimed_corrected bigint not null default 0,
                claimed_sessions bigint not null default 0,
                people bigint not null default 0,
                corrected bigint not null default 0,
                sessions bigint not null default 0,
                primary key (lab, epoch))""",
            """create table quarantine (
                id {serial},
                topic {text} not null,
                lab {text} not null,
                stream {text} not null,
                reason {text} not null,
                size bigint not null,
                head {bytes} not null,
                received_ns bigint not null)""",
            "create table figure (name {text} primary key, value bigint not null)",
        ),
    ),
    Migration(
        3,
        "visits, people and jobs",
        (
            """create table lab_role (
                lab {text} not null,
                role {text} not null,
                people bigint not null,
                corrected bigint not null,
                primary key (lab, role))""",
            """create table visit (
                lab {text} not null,
                visit {text} not null,
                epoch {text} not null default '',
                seq bigint not null default 0,
                school {text} not null default '',
                municipality {text} not null default '',
                date {text} not null default '',
                grp {text} not null default '',
                expected bigint not null default 0,
                language {text} not null default '',
                closed bigint not null default 0,
                sessions bigint not null default 0,
                primary key (lab, visit))""",
            "create index visit_date on visit (date)",
            """create table visit_count (
                lab {text} not null,
                visit {text} not null,
                grp {text} not null,
                role {text} not null,
                people bigint not null,
                primary key (lab, visit, grp, role))""",
            """create table job (
                lab {text} not null,
                job {text} not null,
                rank bigint not null,
                epoch {text} not null,
                seq bigint not null,
                claim bigint not null,
                machine {text} not null,
                program {text} not null,
                origin {text} not null,
                state {text} not null,
                reason {text} not null,
                visit {text},
                estimate_s {real},
                guess_s {real},
                actual_s {real},
                lines bigint,
                boot_ns bigint not null,
                wall_ns bigint not null,
                received_ns bigint not null,
                primary key (lab, job))""",
            "create index job_received on job (received_ns)",
        ),
    ),
    Migration(
        4,
        "what machines made, and when nobody saw them",
        (
            """create table machine (
                lab {text} not null,
                machine {text} not null,
                parts bigint not null,
                unseen bigint not null,
                doubtful bigint not null,
                gaps bigint not null,
                gap_ms bigint not null,
                loads bigint not null,
                failed bigint not null,
                primary key (lab, machine))""",
        ),
    ),
)


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
            database.query("insert into migration values (?, ?)", (migration.number, migration.name))
    return newest
