# SPDX-License-Identifier: GPL-3.0-or-later
"""What the office tells about the pledge, the labs and what they did. No SQL, no HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from office.ledger import reading
from office.ledger.database import Database
from office.ledger.labs import healths
from office.ledger.reading import JobRow, LabStatus, VisitRow
from office.ledger.standing import Standing, standings
from office.reports.forecasting import forecast
from office.reports.indicators import stands
from office.reports.plan import Plan
from office.reports.times import iso

ROLES = ("pupil", "teacher", "vet_trainer", "trainee")


def progress(database: Database, plan: Plan, now: datetime) -> dict[str, Any]:
    """Return how far the pledge has come."""
    totals = reading.totals(database)
    daily = reading.daily(database)
    cumulative, rows = 0, []
    for day, people in daily:
        cumulative += people
        rows.append({"date": day, "people": people, "cumulative": cumulative})
    indicators = [
        {
            "id": item.id,
            "label": item.label.en,
            "target": item.target,
            "value": stands(database, item, now.date()),
        }
        for item in plan.indicator
    ]
    due = plan.people.due
    return {
        "target": plan.target,
        "due": due.isoformat() if due is not None else None,
        "reached": totals.reached,
        "ledger": totals.ledger,
        "not_yet_received": totals.reached - totals.ledger,
        "sessions": totals.sessions,
        "as_of": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "forecast": forecast(daily, totals.reached, plan.target, now.date()),
        "indicators": indicators,
        "daily": rows,
    }


def labs(database: Database, *, broker_connected: bool) -> list[dict[str, Any]]:
    """Return how each lab stands. While the broker is away nobody knows who is online."""
    known, health = standings(database), healths(database)
    return [
        {
            **_lab(item, broker_connected=broker_connected),
            **_standing(item, known.get(item.lab, Standing())),
            "health": health.get(item.lab, {}),
        }
        for item in reading.labs(database)
    ]


def _standing(item: LabStatus, standing: Standing) -> dict[str, Any]:
    missing = [asdict(gap) for gap in item.gaps]
    explained = [
        {"stream": gap.stream, "epoch": gap.epoch, "first": gap.first, "last": gap.last, "explained": gap.reason}
        for gap in standing.explained
    ]
    return {
        "gaps": missing + explained,
        "install": standing.install,
        "ordinal": standing.ordinal,
        "clock": {"quality": standing.clock, "uncertainty_s": standing.uncertainty_s},
        "doubts": [{"kind": one.kind, "text": one.text, "since": iso(one.since_ns)} for one in standing.doubts],
    }


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


def sealed(digest: bytes, at_ns: int, events: int) -> dict[str, Any]:
    """Return a digest of the ledger, how many facts it stands for, and when it was made."""
    return {"digest": digest.hex(), "events": events, "as_of": iso(at_ns)}
