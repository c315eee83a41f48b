# SPDX-License-Identifier: GPL-3.0-or-later
"""What facts tell of a lab's epochs, clocks and gaps: kept in tables of their own, each row the copy of one fact.

Rows are only ever added, so the tables do not depend on the order in which facts came, and a recount finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from office.facts import Fact, FeedKey, Standing, text_of
from office.ledger import doubts
from office.ledger.database import Database, Row

KINDS = ("lab.started", "clock.anchor", "clock.quality", "stream.gap")
"""The types of the facts that are copied."""
LONGEST_GAP = 10**12
"""Facts that one record may explain: more is a mistake, and would explain everything."""

RESERVED = ("visits", "safety")
"""Streams of which no lab drops anything: only what a disk lost lacks of them."""

TABLES = {
    "lab.started": (
        "epoch_start",
        ("lab", "epoch", "seq", "install", "ordinal", "previous", "boot", "boot_ns", "received_ns"),
    ),
    "clock.anchor": (
        "clock_anchor",
        ("lab", "epoch", "seq", "boot", "source", "at_us", "utc_us", "uncertainty_us", "received_ns"),
    ),
    "clock.quality": ("clock_quality", ("lab", "epoch", "seq", "boot", "boot_ns", "quality")),
    "stream.gap": (
        "stream_gap",
        ("lab", "by_epoch", "by_seq", "stream", "epoch", "first", "last", "reason", "received_ns"),
    ),
}
"""The table of each type and its columns, of which the first three are the key."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The facts first..last of a feed will never come: a record says so."""

    key: FeedKey
    first: int
    last: int
    reason: str

    @property
    def explains(self) -> bool:
        """Return whether the office need not wait for the facts. A record that cannot be true is kept all the same."""
        return self.key[1] not in RESERVED or self.reason == "lost"


@dataclass(slots=True)
class Lineage:
    """What facts that are new to the ledger tell; `save` writes it down."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    gaps: list[Gap] = field(default_factory=list)

    def add(self, lab: str, epoch: str, fact: Fact, received_ns: int) -> None:
        """Take `fact` in, which must be new to the ledger. One that was not understood tells nothing."""
        row = row_of(lab, epoch, fact, received_ns) if fact.type in TABLES else None
        if row is None:
            return
        self.rows[fact.type].append(row)
        gap = gap_of(lab, fact)
        if gap is not None and gap.explains:
            self.gaps.append(gap)

    def save(self, database: Database) -> None:
        """Write the rows, inside the transaction that inserted their facts."""
        for kind, rows in self.rows.items():
            table, columns = TABLES[kind]
            marks = ", ".join("?" * len(columns))
            sql = f"insert into {table} ({', '.join(columns)}) values ({marks}) on conflict do nothing"
            if rows:
                database.query_many(sql, sorted(rows))

    @property
    def labs(self) -> set[str]:
        """Return the labs of whose epochs, clocks or reserved streams something new is known."""
        told = {row[0] for kind in ("lab.started", "clock.anchor") for row in self.rows[kind]}
        return told | {row[0] for row in self.rows["stream.gap"] if row[3] in RESERVED}


def row_of(lab: str, epoch: str, fact: Fact, received_ns: int) -> Row | None:
    """Return the row that `fact` is copied to, None for one that tells nothing of epochs, clocks and gaps."""
    if fact.standing is not Standing.UNDERSTOOD:
        return None
    body, place = fact.body, (lab, epoch, fact.seq)
    match fact.type:
        case "lab.started":
            own = (text_of(body, "install"), body["ordinal"], text_of(body, "previous"), text_of(body, "boot"))
            return (*place, *own, fact.boot_ns, received_ns)
        case "clock.anchor":
            when = (body["at_boot_us"], body["utc_us"], body["uncertainty_us"])
            return (*place, text_of(body, "boot"), text_of(body, "source"), *when, received_ns)
        case "clock.quality":
            return (*place, text_of(body, "boot"), fact.boot_ns, text_of(body, "quality"))
        case "stream.gap" if (gap := gap_of(lab, fact)) is not None:
            return (*place, *gap.key[1:], gap.first, gap.last, gap.reason, received_ns)
        case _:
            return None


def gap_of(lab: str, fact: Fact) -> Gap | None:
    """Return what a record of a gap says, None for another fact and for a range that cannot be."""
    if fact.type != "stream.gap" or fact.standing is not Standing.UNDERSTOOD:
        return None
    first, last = cast("int", fact.body["first"]), cast("int", fact.body["last"])
    if not first <= last < first + LONGEST_GAP:
        return None
    key = (lab, text_of(fact.body, "stream"), text_of(fact.body, "epoch"))
    return Gap(key, first, last, text_of(fact.body, "reason"))


def settle(database: Database, lineage: Lineage, now_ns: int) -> None:
    """Look for what is doubtful now that `lineage` is known.

    The rows of its labs must be locked, so that no other worker looks at the same time and each sees half.
    """
    boots: dict[str, set[str]] = {}
    for row in lineage.rows["clock.anchor"]:
        boots.setdefault(row[0], set()).add(row[3])
    for lab in sorted(lineage.labs):
        doubts.review(database, lab, boots.get(lab, set()), now_ns)
