# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that an evidence report says, gathered from one moment of the ledger, before it has a form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from office.ledger import audit, figures
from office.ledger.database import Database
from office.ledger.figures import By, CorrectionRow, Period
from office.ledger.seals import Seal
from office.ledger.standing import OpenDoubt, standings
from office.reports.breakdown import breakdown, hours, tiles
from office.reports.figures import labs
from office.reports.indicators import indicators
from office.reports.interest import interest
from office.reports.plan import PlanFile
from office.reports.quality import quality

MOST_CORRECTIONS = 500
"""Corrections that a report lists; how many there are it says in any case."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A report's content. period is what the breakdowns are of; indicators and quality are of all time."""

    made: datetime
    period: Period
    seal: Seal
    audit_head: bytes
    audit_rows: int
    pledged: PlanFile
    indicators: list[dict[str, Any]]
    breakdowns: dict[str, dict[str, Any]]
    tiles: list[dict[str, Any]]
    interest: dict[str, Any]
    hours: dict[str, Any]
    corrections: list[CorrectionRow]
    corrections_total: int
    quality: dict[str, Any]
    gaps: list[dict[str, Any]]
    doubts: list[tuple[str, OpenDoubt]]


def gather(database: Database, pledged: PlanFile, period: Period, seal: Seal, now: datetime) -> Evidence:
    """Return the evidence; inside the transaction in which `seal` was made."""
    return Evidence(
        made=now,
        period=period,
        seal=seal,
        audit_head=audit.head(database),
        audit_rows=audit.count(database),
        pledged=pledged,
        indicators=indicators(database, pledged.plan, now.date()),
        breakdowns={by: breakdown(database, by, period) for by in get_args(By)},
        tiles=tiles(database, period),
        interest=interest(database, period),
        hours=hours(database, period),
        corrections=figures.corrections(database, period, MOST_CORRECTIONS),
        corrections_total=figures.count_corrections(database, period),
        quality=quality(database),
        gaps=[{"lab": lab["lab"], **gap} for lab in labs(database, broker_connected=True) for gap in lab["gaps"]],
        doubts=[(lab, doubt) for lab, found in sorted(standings(database).items()) for doubt in found.doubts],
    )
