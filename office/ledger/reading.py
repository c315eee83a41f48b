# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reports ask of the ledger. Each function wants to be called inside a reading transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from office.ledger import ranges as seqs
from office.ledger.database import Database, Row, larger
from wire.events import REACHED_ROLES

PAGE = 1_000
ALARMS_SHOWN = 5
GAPS_SHOWN = 100

_REACHED = "(" + ", ".join(f"'{role}'" for role in REACHED_ROLES) + ")"


@dataclass(frozen=True, slots=True)
class Totals:
    """People and sessions. reached and sessions count what the vans say they counted, where that is more."""

    reached: int
    ledger: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Facts first..last of a feed that exist, or must have, and are not in the ledger."""

    stream: str
    epoch: str
    first: int
    last: int


@dataclass(slots=True)
class LabStatus:
    """How a lab stands. Times are UTC ns; waiting counts the facts that it is known to hold for the office."""

    lab: str
    state: str
    seen_ns: int
    software: str
    config: str
    epoch: str
    ledger_people: int = 0
    presence_people: int = 0
    waiting: int = 0
    gaps: list[Gap] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit with its people per role."""

    lab: str
    visit: str
    school: str
    municipality: str
    date: str
    group: str
    expected: int
    sessions: int
    open: bool
    people: dict[str, int]


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as its newest change describes it, with what is known of when that was, UTC ns.

    wall_ns is the van's own clock, raw; latest_ns is derived: since a fact cannot have happened after it came, the
    batch of that boot that came soonest after its making says when the boot began at the latest.
    """

    lab: str
    job: str
    claim: int
    machine: str
    program: str
    origin: str
    state: str
    estimate_s: float | None
    guess_s: float | None
    actual_s: float | None
    lines: int | None
    visit: str | None
    reason: str
    wall_ns: int
    received_ns: int
    latest_ns: int


@dataclass(frozen=True, slots=True)
class MachineRow:
    """What a machine made and how well it was seen: see projection.Machine."""

    lab: str
    machine: str
    parts: int
    unseen: int
    doubtful: int
    gaps: int
    gap_ms: int
    loads: int
    failed: int


@dataclass(frozen=True, slots=True)
class Quality:
    """What was odd about what came, and the newest payload set aside: (lab, stream, reason, received ns)."""

    quarantined: int
    invalid: int
    duplicates: int
    alarms: int
    last: tuple[str, str, str, int] | None


def totals(database: Database) -> Totals:
    """Return the figures of the pledge.

    Each epoch's counters only grow, so the larger of the lab's word and the ledger is the truth of both.
    """
    people, corrected, sessions = (larger(f"claimed_{name}", name) for name in ("people", "corrected", "sessions"))
    rows = database.query(
        f"select sum({people}) - sum({corrected}), sum(people) - sum(corrected), sum({sessions}) from lab_epoch"
    )
    reached, ledger, taps = rows[0]
    return Totals(int(reached or 0), int(ledger or 0), int(taps or 0))


def daily(database: Database) -> list[tuple[str, int]]:
    """Return (date, people reached) of each day that has a visit, in order."""
    rows = database.query(
        "select visit.date, sum(visit_count.people) from visit_count"
        " join visit on visit.lab = visit_count.lab and visit.visit = visit_count.visit"
        f" where visit_count.role in {_REACHED} and visit.date <> '' group by visit.date order by visit.date"
    )
    return [(day, int(people)) for day, people in rows]


def roles(database: Database) -> dict[str, int]:
    """Return the people in the ledger per role."""
    rows = database.query("select role, sum(people) - sum(corrected) from lab_role group by role")
    return {role: int(people) for role, people in rows}


def schools(database: Database) -> int:
    """Return how many schools were visited."""
    rows = database.query("select count(*) from (select distinct school, municipality from visit where date <> '') s")
    return int(rows[0][0])


def pieces(database: Database) -> int:
    """Return how many jobs were finished."""
    return int(database.query("select count(*) from job where state = 'FINISHED'")[0][0])


def labs(database: Database) -> list[LabStatus]:
    """Return every lab that was ever heard of, by id."""
    status: dict[str, LabStatus] = {}
    heads: dict[str, dict[str, int]] = {}
    said: dict[str, int] = {}
    rows = database.query("select lab, state, seen_ns, software, config, epoch, heads, waiting from lab order by lab")
    for lab, state, seen_ns, software, config, epoch, lab_heads, waiting in rows:
        status[lab] = LabStatus(lab, state, seen_ns, software, config, epoch)
        heads[lab] = json.loads(lab_heads)
        said[lab] = waiting
    for lab, ledger, presence in database.query(
        "select lab, sum(people) - sum(corrected), sum(claimed_people) - sum(claimed_corrected)"
        " from lab_epoch group by lab"
    ):
        if lab in status:
            status[lab].ledger_people, status[lab].presence_people = int(ledger), int(presence)
    held = _held(database, heads)
    for lab, item in status.items():
        lacking = sum(max(0, head - held.get((lab, stream), 0)) for stream, head in heads[lab].items())
        item.waiting = lacking if heads[lab] else said[lab]
    _gaps(database, status)
    for lab, detail in database.query(
        "select feed.lab, alarm.detail from alarm join feed on feed.id = alarm.feed order by alarm.received_ns desc"
    ):
        if lab in status and len(status[lab].alarms) < ALARMS_SHOWN:
            status[lab].alarms.append(detail)
    return list(status.values())


def _held(database: Database, heads: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, str], int]:
    """Return how many facts of each lab's current epoch are in the ledger or explained, per stream, up to its head."""
    rows = database.query(
        "select feed.lab, feed.stream, feed.ranges, feed.explained from feed"
        " join lab on lab.lab = feed.lab and lab.epoch = feed.epoch"
    )
    held: dict[tuple[str, str], int] = {}
    for lab, stream, ranges, explained in rows:
        head = heads.get(lab, {}).get(stream, 0)
        settled = _settled(ranges, explained)
        held[lab, stream] = seqs.size([(first, min(last, head)) for first, last in settled if first <= head])
    return held


def _settled(ranges: str, explained: str) -> seqs.Ranges:
    """Return the seqs of a feed that are in the ledger or will never come, as a record says."""
    come, gone = (seqs.from_lists(json.loads(text)) for text in (ranges, explained))
    return seqs.add_all(come, gone)


def _gaps(database: Database, status: dict[str, LabStatus]) -> None:
    """Fill in the gaps; what lacks in a closed epoch is waiting too, what lacks in the current one was counted."""
    for lab, stream, epoch, closed_last, ranges, explained in database.query(
        "select lab, stream, epoch, closed_last, ranges, explained from feed"
        " where newest > watermark or closed_last > watermark order by lab, id"
    ):
        item = status.get(lab)
        if item is None:
            continue
        missing = seqs.missing(_settled(ranges, explained), closed_last)
        if epoch != item.epoch:
            item.waiting += seqs.size(missing)
        room = max(0, GAPS_SHOWN - len(item.gaps))
        item.gaps += [Gap(stream, epoch, first, last) for first, last in missing[:room]]


def count_visits(database: Database, lab: str | None) -> int:
    """Return the number of visits, of one lab or of all."""
    where, values = ("", ()) if lab is None else (" where lab = ?", (lab,))
    return int(database.query(f"select count(*) from visit{where}", values)[0][0])


_VISIT = "select lab, visit, school, municipality, date, grp, expected, sessions, closed from visit"


def visits(database: Database, limit: int, offset: int, lab: str | None) -> list[VisitRow]:
    """Return a page of visits, newest day first."""
    where, values = ("", ()) if lab is None else (" where lab = ?", (lab,))
    order = " order by date desc, lab, visit limit ? offset ?"
    return _with_people(database, database.query(f"{_VISIT}{where}{order}", (*values, limit, offset)))


def visit(database: Database, lab: str, name: str) -> VisitRow | None:
    """Return the visit `name` of a lab, None where there is none."""
    rows = database.query(f"{_VISIT} where lab = ? and visit = ?", (lab, name))
    return next(iter(_with_people(database, rows)), None)


def visits_after(database: Database, after: tuple[str, str]) -> list[VisitRow]:
    """Return the next PAGE visits after (lab, visit), in the order of these."""
    sql = f"{_VISIT} where (lab, visit) > (?, ?) order by lab, visit limit ?"
    return _with_people(database, database.query(sql, (*after, PAGE)))


def _with_people(database: Database, rows: Sequence[Row]) -> list[VisitRow]:
    people: dict[tuple[str, str], dict[str, int]] = {(lab, visit): {} for lab, visit, *_ in rows}
    if rows:
        marks = ", ".join(["(?, ?)"] * len(people))
        keys = [part for key in people for part in key]
        for lab, visit, role, count in database.query(
            "select lab, visit, role, sum(people) from visit_count"
            f" where (lab, visit) in (values {marks}) group by lab, visit, role",
            keys,
        ):
            people[lab, visit][role] = int(count)
    return [
        VisitRow(lab, visit, school, municipality, day, group, expected, sessions, not closed, people[lab, visit])
        for lab, visit, school, municipality, day, group, expected, sessions, closed in rows
    ]


_JOB = (
    "select job.lab, job.job, claim, machine, program, origin, state, estimate_s, guess_s, actual_s, lines, visit,"
    " reason, wall_ns, received_ns, boot_ns, anchor_ns from job"
    " left join feed on feed.lab = job.lab and feed.epoch = job.epoch and feed.stream = 'jobs'"
)


def count_jobs(database: Database) -> int:
    """Return the number of jobs."""
    return int(database.query("select count(*) from job")[0][0])


def jobs(database: Database, limit: int, offset: int) -> list[JobRow]:
    """Return a page of jobs, those that were heard of last first."""
    order = " order by job.received_ns desc, job.lab, job.job limit ? offset ?"
    return [_job(row) for row in database.query(_JOB + order, (limit, offset))]


def jobs_after(database: Database, after: tuple[str, str]) -> list[JobRow]:
    """Return the next PAGE jobs after (lab, job), in the order of these."""
    sql = f"{_JOB} where (job.lab, job.job) > (?, ?) order by job.lab, job.job limit ?"
    return [_job(row) for row in database.query(sql, (*after, PAGE))]


def _job(row: Row) -> JobRow:
    received_ns, boot_ns, anchor_ns = row[-3:]
    known = anchor_ns is not None and boot_ns >= 0
    latest_ns = min(received_ns, boot_ns + anchor_ns) if known else received_ns
    fields = (*row[:-2], latest_ns)
    return JobRow(*fields)


def machines(database: Database) -> list[MachineRow]:
    """Return the first PAGE machines of all labs, by name."""
    rows = database.query(
        "select lab, machine, parts, unseen, doubtful, gaps, gap_ms, loads, failed from machine"
        " order by lab, machine limit ?",
        (PAGE,),
    )
    return [MachineRow(*row) for row in rows]


def quality(database: Database) -> Quality:
    """Return what was odd about what came."""
    set_aside = database.query("select value from figure where name = 'quarantined'")
    odd = database.query("select sum(invalid), sum(duplicates) from lab")[0]
    # Those of doubts are counted as doubts.
    alarms = database.query("select count(*) from alarm where kind in ('chain', 'content', 'overlap')")[0][0]
    last = database.query("select lab, stream, reason, received_ns from quarantine order by id desc limit 1")
    quarantined = int(set_aside[0][0]) if set_aside else 0
    return Quality(quarantined, int(odd[0] or 0), int(odd[1] or 0), int(alarms), tuple(last[0]) if last else None)
