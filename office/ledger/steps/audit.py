# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 6: what people changed and who did it, what was counted for each visit, and the keys of labs."""

from __future__ import annotations

from office.ledger.steps.step import Migration

AUDIT = (
    Migration(
        6,
        "the audit's chain, corrections of the office and the keys of labs",
        (
            """create table audit (
                n bigint primary key,
                at_ns bigint not null,
                who {text} not null,
                what {text} not null,
                lab {text},
                text {text} not null,
                facts text not null,
                prev {bytes} not null,
                sha256 {bytes} not null)""",
            "create index audit_lab on audit (lab, n)",
            "create table audit_head (id bigint primary key, n bigint not null, sha256 {bytes} not null)",
            "insert into audit_head (id, n, sha256) values (1, 0, {no_hash})",
            "create table identity (name {text} primary key, value {text} not null)",
            """create table office_entry (
                lab {text} not null,
                id {text} not null,
                feed bigint not null references feed (id),
                seq bigint not null,
                who {text} not null,
                at_ns bigint not null,
                primary key (lab, id))""",
            "create index office_entry_fact on office_entry (feed, seq)",
            """create table lab_key (
                lab {text} primary key,
                key {text} not null default '',
                since_ns bigint not null default 0,
                said {text} not null default '',
                said_ns bigint not null default 0)""",
        ),
    ),
)
