# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor wants to know of the ledger, in a few cheap questions. Inside a reading transaction."""

from __future__ import annotations

from dataclasses import dataclass

from office.ledger import checks, reading
from office.ledger.checks import Checked
from office.ledger.database import Database


@dataclass(frozen=True, slots=True)
class LabPulse:
    """A lab as it was heard last: seen_ns is UTC, waiting the facts it said it holds."""

    lab: str
    state: str
    seen_ns: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Health:
    """The figures of the monitor. doubts are counted by kind, checked is the newest nightly check."""

    totals: reading.Totals
    labs: tuple[LabPulse, ...]
    quarantined: int
    unseen: int
    alarms: int
    invalid: int
    doubts: dict[str, int]
    checked: Checked | None


def health(database: Database) -> Health:
    """Return how the ledger and the labs stand."""
    pulses = database.query("select lab, state, seen_ns, waiting from lab order by lab")
    ((quarantined,),) = database.query("select coalesce(sum(value), 0) from figure where name = 'quarantined'")
    ((unseen,),) = database.query("select count(*) from quarantine where seen_ns is null")
    ((alarms,),) = database.query("select count(*) from alarm")
    ((invalid,),) = database.query("select coalesce(sum(invalid), 0) from lab")
    doubts = database.query("select kind, count(*) from doubt group by kind order by kind")
    return Health(
        reading.totals(database),
        tuple(LabPulse(*row) for row in pulses),
        int(quarantined),
        unseen,
        alarms,
        int(invalid),
        {kind: int(number) for kind, number in doubts},
        checks.last(database),
    )
