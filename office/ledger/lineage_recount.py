# SPDX-License-Identifier: GPL-3.0-or-later
"""The recount's part of epochs, clocks and gaps: the copies of facts, the explained ranges, and the doubts."""

from __future__ import annotations

import json
from collections.abc import Iterable

from office.ledger import doubts
from office.ledger import ranges as seqs
from office.ledger.database import Database, Row
from office.ledger.doubts import Doubt
from office.ledger.keys import KEY
from office.ledger.lineage import TABLES, Lineage


def counted(database: Database, lineage: Lineage) -> dict[str, object]:
    """Return what the facts in `lineage` add up to; whether that is doubtful is looked for in the tables."""
    figures: dict[str, object] = {}
    for kind, rows in lineage.rows.items():
        figures.update(_copies(kind, rows))
    explained: dict[tuple[str, str, str], seqs.Ranges] = {}
    for gap in lineage.gaps:
        explained[gap.key] = seqs.add(explained.get(gap.key, ()), gap.first, gap.last)
    for key, ranges in explained.items():
        figures[f"explained {'/'.join(key)}"] = ranges
    for (lab,) in database.query("select distinct lab from epoch_start"):
        figures.update(_doubt(lab, doubt) for doubt in doubts.forks(database, lab))
    for (lab,) in database.query("select distinct lab from stream_gap"):
        figures.update(_doubt(lab, doubt) for doubt in doubts.gaps(database, lab))
    for lab, boot in database.query("select distinct lab, boot from clock_anchor"):
        doubt = doubts.contradiction(database, lab, boot)
        if doubt is not None:
            figures.update([_doubt(lab, doubt)])
    return figures


def kept(database: Database) -> dict[str, object]:
    """Return what the ledger keeps."""
    figures: dict[str, object] = {}
    for kind, (table, columns) in TABLES.items():
        figures.update(_copies(kind, database.query(f"select {', '.join(columns)} from {table}")))
    for lab, stream, epoch, ranges in database.query(
        "select lab, stream, epoch, explained from feed where explained <> '[]'"
    ):
        figures[f"explained {lab}/{stream}/{epoch}"] = seqs.from_lists(json.loads(ranges))
    for lab, *doubt in database.query("select lab, kind, mark, text, since_ns, '' from doubt where kind <> ?", (KEY,)):
        figures.update([_doubt(lab, Doubt(*doubt))])
    return figures


def _copies(kind: str, rows: Iterable[Row]) -> dict[str, object]:
    return {f"{kind} {lab}/{epoch}/{seq}": tuple(rest) for lab, epoch, seq, *rest in rows}


def _doubt(lab: str, doubt: Doubt) -> tuple[str, object]:
    return f"doubt {lab}/{doubt.kind}/{doubt.mark}", (doubt.text, doubt.since_ns)
