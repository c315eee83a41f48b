# SPDX-License-Identifier: GPL-3.0-or-later
"""Visits and jobs as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from office.ledger.reading import JobRow, VisitRow
from office.reports.figures import ROLES
from office.reports.times import iso

BOM = "\ufeff"

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

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
