# SPDX-License-Identifier: GPL-3.0-or-later
"""What was odd about what came, what lacks, and what the last check of everything found."""

from __future__ import annotations

from typing import Any

from office.ledger import checks, figures, reading
from office.ledger.database import Database
from office.ledger.figures import Period
from office.ledger.standing import standings
from office.reports.times import iso


def quality(database: Database) -> dict[str, Any]:
    """Return the quality of the data as docs/http-api.md names it.

    missing counts the facts that must exist and are not there, in the gaps listed for each lab; explained those that
    will never come, of which a record tells why. unsynced are labs that hold facts for the office; since is when
    each was heard last. recount's differences are figures that differ and links of the chains that are broken.
    """
    found = reading.quality(database)
    labs = reading.labs(database)
    checked = checks.last(database)
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
        "explained": figures.explained(database),
        "missing": sum(gap.last - gap.first + 1 for lab_found in labs for gap in lab_found.gaps),
        "corrections": figures.count_corrections(database, Period()),
        "unsynced": [
            {"lab": item.lab, "waiting": item.waiting, "since": iso(item.seen_ns)} for item in labs if item.waiting
        ],
        "doubts": sum(len(standing.doubts) for standing in standings(database).values()),
        "recount": None
        if checked is None
        else {"at": iso(checked.at_ns), "differences": checked.differences + checked.broken},
    }
