# SPDX-License-Identifier: GPL-3.0-or-later
"""Each figure of the pledge: where it stands, how it came there, its milestones and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from office.ledger import figures, reading
from office.ledger.database import Database
from office.reports.forecasting import by_due, forecast
from office.reports.plan import Indicator, Plan
from wire.events import REACHED_ROLES

Steps = Sequence[tuple[str, int]]
"""(day, what was added on it), in order of the days."""


def indicators(database: Database, plan: Plan, today: date) -> list[dict[str, Any]]:
    """Return all indicators of `plan` as docs/http-api.md names them.

    What is stated and not counted has its statements as history and no forecast. not_yet_received is known of pupils
    and teachers only: of these the vans tell their number before the facts themselves have come.
    """
    totals = reading.totals(database)
    days = figures.people_by_day(database)
    found = []
    for item in plan.indicator:
        waiting = 0
        match item.counts:
            case "reached":
                steps, waiting = _people(days, REACHED_ROLES), totals.reached - totals.ledger
            case "people":
                steps = _people(days, item.roles)
            case "schools":
                steps = figures.new_schools_by_day(database)
            case "pieces":
                steps = figures.pieces_by_day(database)
            case "stated":
                steps = _stated(item, today)
        found.append(_indicator(item, steps, stands(database, item, today), waiting, today))
    return found


def stands(database: Database, item: Indicator, today: date) -> int:
    """Return where an indicator stands: what was counted, or what was stated up to `today`."""
    match item.counts:
        case "reached":
            return reading.totals(database).reached
        case "people":
            roles = reading.roles(database)
            return sum(roles.get(role, 0) for role in item.roles)
        case "schools":
            return reading.schools(database)
        case "pieces":
            return reading.pieces(database)
        case "stated":
            return next((said.value for said in reversed(item.stated) if said.date <= today), 0)


def _people(days: dict[str, dict[str, int]], roles: Sequence[str]) -> Steps:
    counted = [(day, sum(people.get(role, 0) for role in roles)) for day, people in days.items()]
    return [(day, people) for day, people in counted if people]


def _stated(item: Indicator, today: date) -> Steps:
    said = [one for one in item.stated if one.date <= today]
    before = [0, *(one.value for one in said)]
    return [(one.date.isoformat(), one.value - last) for one, last in zip(said, before, strict=False)]


def _indicator(item: Indicator, steps: Steps, value: int, waiting: int, today: date) -> dict[str, Any]:
    history, reached = [], 0
    for day, added in steps:
        reached += added
        history.append({"date": day, "value": reached})
    drawn = None
    if item.target is not None and item.counts != "stated":
        dates = forecast(steps, value, item.target, today)
        if dates is not None:
            drawn = {**dates, "by_due": by_due(steps, value, item.due, today) if item.due is not None else None}
    return {
        "id": item.id,
        "label": item.label.model_dump(),
        "unit": item.unit,
        "counts": item.counts,
        "target": item.target,
        "value": value,
        "not_yet_received": waiting,
        "due": item.due.isoformat() if item.due is not None else None,
        "milestones": _milestones(item, steps, value, today),
        "forecast": drawn,
        "history": history,
    }


def _milestones(item: Indicator, steps: Steps, value: int, today: date) -> list[dict[str, Any]]:
    """Return the milestones: with the value at the end of their day where it is past, met where that is decided."""
    found = []
    for milestone in item.milestone:
        day = milestone.date.isoformat()
        past = milestone.date < today
        then = sum(added for when, added in steps if when <= day) if past else None
        met = then >= milestone.target if then is not None else (True if value >= milestone.target else None)
        found.append({"date": day, "target": milestone.target, "value": then, "met": met})
    return found
