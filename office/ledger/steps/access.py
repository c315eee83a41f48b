# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 7: who may come in, how labs are, what was looked at, and when everything was counted again.

Of a session only the SHA-256 of its token is kept: who reads the database cannot come in with it.
"""

from __future__ import annotations

from office.ledger.steps.partitions import partition
from office.ledger.steps.step import Migration

ACCESS = (
    Migration(
        7,
        "accounts and sessions, health of labs, what of the quarantine was seen, recounts; partitions by lab",
        (
            """create table account (
                name {text} primary key,
                role {text} not null,
                password {text} not null,
                made_ns bigint not null,
                login_ns bigint not null default 0)""",
            """create table login (
                token {bytes} primary key,
                name {text} not null references account (name) on delete cascade,
                made_ns bigint not null,
                used_ns bigint not null)""",
            "create index login_name on login (name)",
            "alter table lab add column health text not null default '{{}}'",
            "alter table quarantine add column seen_by {text}",
            "alter table quarantine add column seen_ns bigint",
            "alter table quarantine add column note {text}",
            """create table recount (
                id {serial},
                at_ns bigint not null,
                took_ms bigint not null,
                facts bigint not null,
                figures bigint not null,
                batches bigint not null,
                differences bigint not null,
                broken bigint not null,
                detail {text} not null)""",
        ),
        partition,
    ),
)
