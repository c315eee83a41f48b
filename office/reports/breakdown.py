# SPDX-License-Identifier: GPL-3.0-or-later
"""People, visits and sessions by one property of the visits, the map, and the machines' hours."""

from __future__ import annotations

from typing import Any

from office.ledger import figures, reading
from office.ledger.database import Database
from office.ledger.figures import By, Period, Share
from office.reports.figures import ROLES
from office.reports.municipalities import Municipalities
from office.reports.municipalities import municipalities as known
from office.reports.words import LANGUAGES, NOT_KNOWN, SCHOOL_TYPES, Words, month
from office.reports.words import ROLES as ROLE_WORDS
from wire.events import REACHED_ROLES

_WORDS: dict[str, dict[str, Words]] = {"school_type": SCHOOL_TYPES, "role": ROLE_WORDS, "language": LANGUAGES}


def breakdown(database: Database, by: By, period: Period) -> dict[str, Any]:
    """Return the rows of a breakdown: months in their order, everything else with the most people first.

    Names of municipalities that mean the same one are one row. A session belongs to its visit, and so to the language
    in which the visit was held; by role there are no sessions.
    """
    shares, municipalities = figures.breakdown(database, by, period), known()
    if by == "municipality":
        shares = _merged(shares, municipalities)
    rows: list[dict[str, Any]] = [
        {
            "key": key,
            "label": _label(by, key, municipalities),
            "people": {role: share.people.get(role, 0) for role in ROLES},
            "total": sum(share.people.values()),
            "visits": share.visits,
            "sessions": share.sessions,
        }
        for key, share in shares.items()
    ]
    rows.sort(key=lambda row: row["key"] if by == "month" else (-row["total"], -row["visits"], row["key"]))
    return {"by": by, "rows": rows, "total": sum(row["total"] for row in rows)}


def _merged(shares: dict[str, Share], municipalities: Municipalities) -> dict[str, Share]:
    merged: dict[str, Share] = {}
    for name, share in shares.items():
        found = municipalities.find(name)
        into = merged.setdefault(found.code if found is not None else name, Share({}))
        into.visits += share.visits
        into.sessions += share.sessions
        for role, people in share.people.items():
            into.people[role] = into.people.get(role, 0) + people
    return merged


def _label(by: By, key: str, municipalities: Municipalities) -> Words:
    if not key:
        return NOT_KNOWN
    if by == "month":
        return month(key)
    if by == "municipality":
        found = municipalities.by_code.get(key)
        return {"lt": found.name, "en": found.name} if found is not None else {"lt": key, "en": key}
    return _WORDS.get(by, {}).get(key, {"lt": key, "en": key})


def tiles(database: Database, period: Period) -> list[dict[str, Any]]:
    """Return every municipality with its tile and the pupils and teachers reached; then names that are none of them."""
    municipalities = known()
    shares = _merged(figures.breakdown(database, "municipality", period), municipalities)
    tiled: list[dict[str, Any]] = [
        {"code": item.code, "name": item.name, "column": item.column, "row": item.row} for item in municipalities.all
    ]
    others: list[dict[str, Any]] = [
        {"code": None, "name": name, "column": None, "row": None}
        for name in sorted(shares)
        if name and name not in municipalities.by_code
    ]
    return [{**item, **_reached(shares.get(item["code"] or item["name"]))} for item in (*tiled, *others)]


def _reached(share: Share | None) -> dict[str, int]:
    if share is None:
        return {"people": 0, "visits": 0}
    return {"people": sum(share.people.get(role, 0) for role in REACHED_ROLES), "visits": share.visits}


def hours(database: Database, period: Period) -> dict[str, Any]:
    """Return what each machine did: hours are those of its jobs.

    parts is what the machine's own counter says of all its time, so of a period it is not known.
    """
    counted = {(row.lab, row.machine): row.parts for row in reading.machines(database)} if period.open else {}
    work = figures.work(database, period)
    names = sorted({*work, *(key for key in counted if period.lab in (None, key[0]))})
    rows = []
    for key in names:
        done = work.get(key, figures.Work({}))
        rows.append(
            {
                "lab": key[0],
                "machine": key[1],
                "jobs": done.jobs,
                "hours": round(done.actual_ms / 3_600_000, 2),
                "parts": counted.get(key, 0) if period.open else None,
            }
        )
    return {"rows": rows, "total_hours": round(sum(done.actual_ms for done in work.values()) / 3_600_000, 2)}
