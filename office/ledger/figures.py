# SPDX-License-Identifier: GPL-3.0-or-later
"""What the breakdowns, histories and hours ask of the ledger. Each function wants a reading transaction.

A day is that of the visit, as the operator saw it on the wall. What hangs on no visit has no day, and is in the figures
of a period only where the period is open at both ends.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Literal

from office.ledger.database import Database

By = Literal["municipality", "school_type", "month", "role", "lab", "language"]

_KEYS: dict[str, str] = {
    "municipality": "visit.municipality",
    "school_type": "visit.school_type",
    "month": "substr(visit.date, 1, 7)",
    "lab": "visit.lab",
    "language": "visit.language",
}
_COUNTED = "visit_count join visit on visit.lab = visit_count.lab and visit.visit = visit_count.visit"


@dataclass(frozen=True, slots=True)
class Period:
    """Which visits are meant: from the day first to the day last, ISO 8601, of one lab; None leaves an end open."""

    first: str | None = None
    last: str | None = None
    lab: str | None = None

    @property
    def open(self) -> bool:
        """Return whether no day is left out."""
        return self.first is None and self.last is None

    def where(self, lab: str = "visit.lab") -> tuple[str, list[object]]:
        """Return an SQL condition for visits, where `lab` is the column of the lab, and its parameters."""
        conditions = ((f"{lab} = ?", self.lab), ("visit.date >= ?", self.first), ("visit.date <= ?", self.last))
        asked = [(sql, value) for sql, value in conditions if value is not None]
        if not self.open:
            asked.append(("visit.date <> ?", ""))
        return " and ".join(sql for sql, _ in asked) or "1 = 1", [value for _, value in asked]


@dataclass(slots=True)
class Share:
    """What belongs to one key of a breakdown."""

    people: dict[str, int]
    visits: int = 0
    sessions: int = 0


def breakdown(database: Database, by: By, period: Period) -> dict[str, Share]:
    """Return people per role, visits and sessions by a property of the visits; by role, visits that had such people."""
    where, values = period.where()
    if by == "role":
        rows = database.query(
            f"select role, sum(people), count(distinct visit.lab || '/' || visit.visit) from {_COUNTED}"
            f" where {where} group by role",
            values,
        )
        return {role: Share({role: int(people)}, visits) for role, people, visits in rows}
    key = _KEYS[by]
    shares = {
        name: Share({}, visits, int(sessions))
        for name, visits, sessions in database.query(
            f"select {key}, count(*), sum(sessions) from visit where {where} group by {key}", values
        )
    }
    for name, role, people in database.query(
        f"select {key}, role, sum(people) from {_COUNTED} where {where} group by {key}, role", values
    ):
        shares[name].people[role] = int(people)
    return shares


def people_by_day(database: Database) -> dict[str, dict[str, int]]:
    """Return the people per role of each day that has a visit, in order of the days."""
    days: dict[str, dict[str, int]] = defaultdict(dict)
    for day, role, people in database.query(
        f"select visit.date, role, sum(people) from {_COUNTED} where visit.date <> ''"
        " group by visit.date, role order by visit.date"
    ):
        days[day][role] = int(people)
    return dict(days)


def new_schools_by_day(database: Database) -> list[tuple[str, int]]:
    """Return how many schools were visited for the first time on each day, in order."""
    rows = database.query(
        "select day, count(*) from (select min(date) as day from visit where date <> ''"
        " group by school, municipality) s group by day order by day"
    )
    return [(day, int(schools)) for day, schools in rows]


def pieces_by_day(database: Database) -> list[tuple[str, int]]:
    """Return how many jobs of the visits of each day were finished, in order."""
    rows = database.query(
        "select visit.date, sum(jobs) from job_tally"
        " join visit on visit.lab = job_tally.lab and visit.visit = job_tally.visit"
        " where state = 'FINISHED' and visit.date <> '' group by visit.date order by visit.date"
    )
    return [(day, int(jobs)) for day, jobs in rows]


@dataclass(slots=True)
class Work:
    """What a machine did: jobs per state and the milliseconds that they ran."""

    jobs: dict[str, int]
    actual_ms: int = 0


def work(database: Database, period: Period) -> dict[tuple[str, str], Work]:
    """Return what each (lab, machine) did, in order; over a period, in jobs that belong to one of its visits."""
    where, values = period.where("job_tally.lab")
    found: dict[tuple[str, str], Work] = defaultdict(lambda: Work({}))
    for lab, machine, state, jobs, actual_ms in database.query(
        "select job_tally.lab, machine, state, sum(jobs), sum(actual_ms) from job_tally"
        " left join visit on visit.lab = job_tally.lab and visit.visit = job_tally.visit"
        f" where {where} group by job_tally.lab, machine, state order by job_tally.lab, machine, state",
        values,
    ):
        if jobs:
            found[lab, machine].jobs[state] = int(jobs)
            found[lab, machine].actual_ms += int(actual_ms)
    return dict(found)


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A correction with its visit, and what the group's people of the role are with all corrections of it."""

    lab: str
    date: str
    school: str
    group: str
    role: str
    people: int
    reason: str
    by: str
    first: int
    corrected: int


_CORRECTION = tuple(field.name for field in fields(CorrectionRow))


def corrections(database: Database, period: Period, limit: int) -> list[CorrectionRow]:
    """Return up to `limit` corrections, newest day first: first is what was counted before any correction."""
    where, values = period.where("correction.lab")
    rows = database.query(
        "select correction.lab, coalesce(visit.date, ''), coalesce(visit.school, ''), correction.grp, correction.role,"
        " correction.people, reason, by_whom, counted.people - (select cast(sum(c.people) as bigint) from correction c"
        " where c.lab = correction.lab and c.visit = correction.visit and c.grp = correction.grp"
        " and c.role = correction.role), counted.people from correction"
        " left join visit on visit.lab = correction.lab and visit.visit = correction.visit"
        " join visit_count counted on counted.lab = correction.lab and counted.visit = correction.visit"
        f" and counted.grp = correction.grp and counted.role = correction.role where {where}"
        " order by visit.date desc, correction.lab, correction.visit, correction.epoch, correction.seq limit ?",
        [*values, limit],
    )
    return [CorrectionRow(**dict(zip(_CORRECTION, row, strict=True))) for row in rows]


def count_corrections(database: Database, period: Period) -> int:
    """Return the number of corrections."""
    where, values = period.where("correction.lab")
    sql = (
        "select count(*) from correction"
        f" left join visit on visit.lab = correction.lab and visit.visit = correction.visit where {where}"
    )
    return int(database.query(sql, values)[0][0])


def explained(database: Database) -> int:
    """Return how many facts will never come, as a record of the lab says."""
    return int(database.query("select sum(last - first + 1) from stream_gap")[0][0] or 0)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of answers to a question in a band, over whole visits: how many visits and pairs, and sums over them.

    before and after are sums of the answers, squares that of the squared differences of pairs. The last three are over
    visits, of each visit's pairs n and sum of differences d: of n * n, n * d and d * d.
    """

    question: str
    band: str
    visits: int
    pairs: int
    before: int
    after: int
    squares: int
    nn: int
    nd: int
    dd: int


_D = "(after_sum - before_sum)"


def pairs(database: Database, period: Period, smallest: int) -> list[Pairs]:
    """Return the pairs of closed visits, of each visit only where it has at least `smallest` of a question and band."""
    where, values = period.where("survey_tally.lab")
    rows = database.query(
        "select question, band, count(*), sum(pairs), sum(before_sum), sum(after_sum), sum(squares),"
        f" sum(pairs * pairs), sum(pairs * {_D}), sum({_D} * {_D}) from survey_tally"
        " join visit on visit.lab = survey_tally.lab and visit.visit = survey_tally.visit"
        f" where visit.closed = 1 and pairs >= ? and {where} group by question, band",
        [smallest, *values],
    )
    return [Pairs(question, band, *(int(value) for value in sums)) for question, band, *sums in rows]
