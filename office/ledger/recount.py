# SPDX-License-Identifier: GPL-3.0-or-later
"""Add all stored facts up again and compare with the figures that were kept along the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from office.facts import Fact, Standing
from office.ledger import lineage_recount, report_recount
from office.ledger.database import Database
from office.ledger.lineage import KINDS, Lineage
from office.ledger.projection import PROJECTED, Changes

CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that the ledger keeps otherwise than its facts say."""

    figure: str
    kept: object
    counted: object


@dataclass(frozen=True, slots=True)
class Recount:
    """The facts that were added up, the figures compared, and those that differ."""

    facts: int
    figures: int
    differences: tuple[Difference, ...]


def recount(database: Database) -> Recount:
    """Return whether every figure of the ledger is what its facts add up to; inside a reading transaction."""
    changes, lineage, facts = Changes(), Lineage(), 0
    for lab, epoch, fact, received_ns in _facts(database):
        changes.add(lab, epoch, fact, received_ns)
        lineage.add(lab, epoch, fact, received_ns)
        facts += 1
    counted = {**_counted(changes), **lineage_recount.counted(database, lineage)}
    kept = {**_kept(database), **lineage_recount.kept(database)}
    differences = tuple(
        Difference(name, kept.get(name), counted.get(name))
        for name in sorted({*counted, *kept})
        if kept.get(name) != counted.get(name)
    )
    return Recount(facts, len({*counted, *kept}), differences)


def _facts(database: Database) -> Iterator[tuple[str, str, Fact, int]]:
    kinds = (*PROJECTED, *KINDS)
    marks = ", ".join("?" for _ in kinds)
    for feed, lab, epoch in database.query("select id, lab, epoch from feed order by id"):
        seq = 0
        while True:
            rows = database.query(
                "select seq, type, boot_ns, wall_ns, received_ns, body from event"
                f" where feed = ? and seq > ? and standing = ? and type in ({marks}) order by seq limit ?",
                (feed, seq, Standing.UNDERSTOOD.value, *kinds, CHUNK),
            )
            for seq, kind, boot_ns, wall_ns, received_ns, body in rows:
                fact = Fact(seq, kind, Standing.UNDERSTOOD, boot_ns, wall_ns, json.loads(body), body)
                yield lab, epoch, fact, received_ns
            if len(rows) < CHUNK:
                break


def _counted(changes: Changes) -> dict[str, object]:
    figures: dict[str, object] = {}
    for (lab, epoch), counter in changes.epochs.items():
        if any(astuple(counter)):
            figures[f"epoch {lab}/{epoch}"] = astuple(counter)
    for (lab, role), counter in changes.roles.items():
        figures[f"role {lab}/{role}"] = (counter.people, counter.corrected)
    for (lab, visit, group, role), people in changes.counts.items():
        figures[f"visit {lab}/{visit}/{group}/{role}"] = people
    for (lab, visit), sessions in changes.visit_sessions.items():
        figures[f"sessions {lab}/{visit}"] = sessions
    for (lab, visit), opening in changes.openings.items():
        figures[f"opening {lab}/{visit}"] = astuple(opening)
    for lab, visit in changes.closed:
        figures[f"closed {lab}/{visit}"] = 1
    for (lab, job), state in changes.jobs.items():
        figures[f"job {lab}/{job}"] = astuple(state)
    for (lab, machine), watched in changes.machines.items():
        figures[f"machine {lab}/{machine}"] = astuple(watched)
    return {**figures, **report_recount.counted(changes)}


def _kept(database: Database) -> dict[str, object]:
    figures: dict[str, object] = {}
    for lab, epoch, *counters in database.query("select lab, epoch, people, corrected, sessions from lab_epoch"):
        if any(counters):
            figures[f"epoch {lab}/{epoch}"] = tuple(counters)
    for lab, role, *counters in database.query("select lab, role, people, corrected from lab_role"):
        figures[f"role {lab}/{role}"] = tuple(counters)
    for lab, visit, group, role, people in database.query("select lab, visit, grp, role, people from visit_count"):
        figures[f"visit {lab}/{visit}/{group}/{role}"] = people
    for lab, visit, sessions, closed, *opening in database.query(
        "select lab, visit, sessions, closed, epoch, seq, school, municipality, date, grp, expected, language,"
        " school_type from visit"
    ):
        if sessions:
            figures[f"sessions {lab}/{visit}"] = sessions
        if closed:
            figures[f"closed {lab}/{visit}"] = 1
        if opening[1]:
            figures[f"opening {lab}/{visit}"] = tuple(opening)
    for lab, job, *state in database.query(
        "select lab, job, rank, epoch, seq, claim, machine, program, origin, state, reason, visit, estimate_s,"
        " guess_s, actual_s, lines, boot_ns, wall_ns, received_ns from job"
    ):
        figures[f"job {lab}/{job}"] = tuple(state)
    for lab, machine, *watched in database.query(
        "select lab, machine, parts, unseen, doubtful, gaps, gap_ms, loads, failed from machine"
    ):
        figures[f"machine {lab}/{machine}"] = tuple(watched)
    return {**figures, **report_recount.kept(database)}
