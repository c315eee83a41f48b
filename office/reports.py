# SPDX-License-Identifier: GPL-3.0-or-later
"""What the office tells about the pledge, as docs/http-api.md (section Office) names it. No SQL, no HTTP."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from office.config import IndicatorSettings, PledgeSettings
from office.ledger import reading
from office.ledger.database import Database
from office.ledger.reading import JobRow, LabStatus, VisitRow

ROLES = ("pupil", "teacher", "vet_trainer", "trainee")
BOM = "\ufeff"
FORECAST_DAYS = 3
"""With fewer days of visits than this, a forecast would be a guess."""
WINDOW_DAYS = 365
BAND = 1.2816
"""Standard deviations of a band that holds four of five outcomes."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def iso(ns: int) -> str | None:
    """Return UTC ns as ISO 8601 to the second, None for a time that no calendar has or that never was."""
    if ns <= 0:
        return None
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None


def forecast(daily: Sequence[tuple[str, int]], reached: int, target: int, today: date) -> dict[str, str] | None:
    """Return when the target comes at the pace of the last year, with a band; None where that cannot be said.

    The pace is people per calendar day since the first visit of the window. Visits come as they come, so the number
    of people is taken as compound Poisson: its relative standard error is the root of the sum of squares over the
    sum. The band is that of the logarithm of the pace and holds four of five outcomes if the year is like the last.
    """
    days = [(date.fromisoformat(day), people) for day, people in daily if people > 0]
    window = [(day, people) for day, people in days if 0 <= (today - day).days <= WINDOW_DAYS]
    if len(window) < FORECAST_DAYS or reached >= target:
        return None
    people = sum(count for _, count in window)
    elapsed = (today - window[0][0]).days + 1
    error = math.sqrt(sum(count * count for _, count in window)) / people
    needed = (target - reached) / (people / elapsed)
    spread = math.exp(BAND * error)
    return {
        name: _after(today, needed * factor) for name, factor in (("low", 1 / spread), ("mid", 1), ("high", spread))
    }


def _after(today: date, days: float) -> str:
    return (today + timedelta(min(math.ceil(days), (date.max - today).days))).isoformat()


def progress(database: Database, pledge: PledgeSettings, now: datetime) -> dict[str, Any]:
    """Return how far the pledge has come."""
    totals = reading.totals(database)
    daily = reading.daily(database)
    cumulative, rows = 0, []
    for day, people in daily:
        cumulative += people
        rows.append({"date": day, "people": people, "cumulative": cumulative})
    roles = reading.roles(database)
    people_indicator = {
        "id": "people",
        "label": "Pupils and teachers reached",
        "target": pledge.people,
        "value": totals.reached,
    }
    others = [
        {"id": item.id, "label": item.label, "target": item.target, "value": _indicator(database, item, roles)}
        for item in pledge.indicators
    ]
    return {
        "target": pledge.people,
        "due": pledge.due.isoformat() if pledge.due is not None else None,
        "reached": totals.reached,
        "ledger": totals.ledger,
        "not_yet_received": totals.reached - totals.ledger,
        "sessions": totals.sessions,
        "as_of": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "forecast": forecast(daily, totals.reached, pledge.people, now.date()),
        "indicators": [people_indicator, *others],
        "daily": rows,
    }


def _indicator(database: Database, item: IndicatorSettings, roles: dict[str, int]) -> int:
    match item.counts:
        case "people":
            return sum(roles.get(role, 0) for role in item.roles)
        case "schools":
            return reading.schools(database)
        case "pieces":
            return reading.pieces(database)


def labs(database: Database, *, broker_connected: bool) -> list[dict[str, Any]]:
    """Return how each lab stands. While the broker is away nobody knows who is online."""
    return [_lab(item, broker_connected=broker_connected) for item in reading.labs(database)]


def _lab(item: LabStatus, *, broker_connected: bool) -> dict[str, Any]:
    return {
        "lab": item.lab,
        "state": item.state if broker_connected else "unknown",
        "last_seen": iso(item.seen_ns),
        "software": item.software,
        "config": item.config,
        "epoch": item.epoch,
        "ledger_people": item.ledger_people,
        "presence_people": item.presence_people,
        "waiting": item.waiting,
        "gaps": [asdict(gap) for gap in item.gaps],
        "alarms": item.alarms,
    }


def machines(database: Database) -> list[dict[str, Any]]:
    """Return what each machine made, as its own counter says, and how well it was seen."""
    return [
        {
            "lab": row.lab,
            "machine": row.machine,
            "parts": row.parts,
            "unseen": row.unseen,
            "doubtful": row.doubtful,
            "gaps": row.gaps,
            "gap_s": round(row.gap_ms / 1000),
            "loads": row.loads,
            "loads_failed": row.failed,
        }
        for row in reading.machines(database)
    ]


def visits(database: Database, limit: int, offset: int, lab: str | None) -> dict[str, Any]:
    """Return a page of the visits, newest day first."""
    rows = reading.visits(database, limit, offset, lab)
    return {"total": reading.count_visits(database, lab), "rows": [_visit(row) for row in rows]}


def _visit(row: VisitRow) -> dict[str, Any]:
    return {
        "lab": row.lab,
        "visit": row.visit,
        "school": row.school,
        "municipality": row.municipality,
        "date": row.date,
        "group": row.group,
        "expected": row.expected,
        "people": {role: row.people.get(role, 0) for role in ROLES},
        "total": sum(row.people.values()),
        "sessions": row.sessions,
        "open": row.open,
    }


def jobs(database: Database, limit: int, offset: int) -> dict[str, Any]:
    """Return a page of the jobs, those heard of last first."""
    rows = [_job(row) for row in reading.jobs(database, limit, offset)]
    return {"total": reading.count_jobs(database), "rows": rows}


def _job(row: JobRow) -> dict[str, Any]:
    fields = asdict(row)
    del fields["wall_ns"], fields["latest_ns"], fields["received_ns"]
    return {**fields, "received": iso(row.received_ns)}


def quality(database: Database) -> dict[str, Any]:
    """Return what was odd about what came."""
    found = reading.quality(database)
    last = None
    if found.last is not None:
        lab, stream, reason, received_ns = found.last
        last = {"lab": lab, "stream": stream, "reason": reason, "received": iso(received_ns)}
    return {
        "quarantined": found.quarantined,
        "invalid": found.invalid,
        "duplicates": found.duplicates,
        "chain_alarms": found.alarms,
        "last_quarantine": last,
    }


VISIT_COLUMNS = (
    *("lab", "visit", "date", "school", "municipality", "group", "expected"),
    *ROLES,
    *("total", "sessions", "open"),
)
JOB_COLUMNS = (
    *("lab", "job", "claim", "machine", "program", "origin", "state", "estimate_s", "guess_s", "actual_s"),
    *("lines", "visit", "reason", "van_clock", "no_later_than", "received"),
)


def csv_header(columns: Sequence[str]) -> str:
    """Return the start of a CSV file: the mark by which spreadsheets know UTF-8, and the names."""
    return BOM + _csv([columns])


def visits_csv(rows: Iterable[VisitRow]) -> str:
    """Return lines of visits.csv."""
    return _csv(
        [
            *(row.lab, row.visit, row.date, row.school, row.municipality, row.group, row.expected),
            *(row.people.get(role, 0) for role in ROLES),
            *(sum(row.people.values()), row.sessions, "yes" if row.open else "no"),
        ]
        for row in rows
    )


def jobs_csv(rows: Iterable[JobRow]) -> str:
    """Return lines of jobs.csv. van_clock is the van's own clock at the newest change, as raw as it came."""
    return _csv(
        [
            *(row.lab, row.job, row.claim, row.machine, row.program, row.origin, row.state),
            *(row.estimate_s, row.guess_s, row.actual_s, row.lines, row.visit, row.reason),
            *(iso(row.wall_ns), iso(row.latest_ns), iso(row.received_ns)),
        ]
        for row in rows
    )


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """Return `value` so that no spreadsheet takes a text for a formula: an apostrophe goes before it."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
