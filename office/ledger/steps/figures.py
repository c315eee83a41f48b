# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables from which the reports read in milliseconds what would take a walk over all facts."""

from __future__ import annotations

import json
from collections import defaultdict

from office.facts import Fact, Standing
from office.ledger.apply import apply_corrections
from office.ledger.database import Database
from office.ledger.projection import Changes, job_share
from office.ledger.steps.step import Migration

CHUNK = 5_000
_ANSWER = (
    "{0}_epoch {{text}} not null default '', {0}_seq bigint not null default 0, {0}_visit {{text}} not null default '',"
    " {0}_band {{text}} not null default '', {0}_interest bigint, {0}_confidence bigint, {0}_career bigint"
)


def fill(database: Database) -> None:
    """Add up what was in the ledger before there were these tables."""
    _fill_jobs(database)
    _fill_corrections(database)


def _fill_jobs(database: Database) -> None:
    tally: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for lab, machine, visit, state, actual_s in database.query("select lab, machine, visit, state, actual_s from job"):
        key, actual_ms = job_share(lab, machine, visit, state, actual_s)
        tally[key][0] += 1
        tally[key][1] += actual_ms
    for key, counted in sorted(tally.items()):
        database.query(
            "insert into job_tally (lab, machine, visit, state, jobs, actual_ms) values (?, ?, ?, ?, ?, ?)",
            (*key, *counted),
        )


def _fill_corrections(database: Database) -> None:
    sql = (
        "select seq, body from event where feed = ? and seq > ? and type = 'visit.headcount' and standing = ?"
        " order by seq limit ?"
    )
    for feed, lab, epoch in database.query("select id, lab, epoch from feed where stream = 'visits' order by id"):
        seq = 0
        while rows := database.query(sql, (feed, seq, Standing.UNDERSTOOD.value, CHUNK)):
            changes = Changes()
            for seq, text in rows:
                fact = Fact(seq, "visit.headcount", Standing.UNDERSTOOD, 0, 0, json.loads(text), text)
                changes.add(lab, epoch, fact, 0)
            apply_corrections(database, changes)


FIGURES = (
    Migration(
        8,
        "what the reports read: school types, jobs by machine and visit, corrections, surveys",
        (
            "alter table visit add column school_type {text} not null default ''",
            """create table job_tally (
                lab {text} not null,
                machine {text} not null,
                visit {text} not null,
                state {text} not null,
                jobs bigint not null,
                actual_ms bigint not null,
                primary key (lab, machine, visit, state))""",
            """create table correction (
                lab {text} not null,
                epoch {text} not null,
                seq bigint not null,
                visit {text} not null,
                grp {text} not null,
                role {text} not null,
                people bigint not null,
                reason {text} not null,
                by_whom {text} not null,
                primary key (lab, epoch, seq))""",
            "create index correction_visit on correction (lab, visit)",
            f"""create table survey_card (
                lab {{text}} not null,
                card {{text}} not null,
                {_ANSWER.format("before")},
                {_ANSWER.format("after")},
                primary key (lab, card))""",
            """create table survey_tally (
                lab {text} not null,
                visit {text} not null,
                band {text} not null,
                question {text} not null,
                pairs bigint not null,
                before_sum bigint not null,
                after_sum bigint not null,
                squares bigint not null,
                primary key (lab, visit, band, question))""",
            """create table seal (
                digest {bytes} primary key,
                at_ns bigint not null,
                events bigint not null,
                people bigint not null,
                heads {bytes} not null)""",
            "create index seal_at on seal (at_ns)",
        ),
        fill,
    ),
)
