# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of everything: figures against facts, facts against the chains, the audit against itself; and its record.

`check` reads for long and wants a connection of its own; the others are short.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from office.ledger import audit
from office.ledger.database import Database
from office.ledger.recount import Recount, recount
from office.ledger.verify import Chains, verify

KEPT = 1_000
"""Records of checks that are kept: nearly three years of nights. The audit has them all."""
_SINCE = "checked_since"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found, when it began (UTC ns) and how long it took. audit_broken_at is None where that is whole."""

    at_ns: int
    took_ms: int
    recount: Recount
    chains: Chains
    audit_broken_at: int | None

    @property
    def broken(self) -> int:
        """Return how many batches and rows of the audit do not fit."""
        return self.chains.broken + (self.audit_broken_at is not None)

    @property
    def good(self) -> bool:
        """Return whether everything agrees."""
        return not self.recount.differences and not self.broken

    def sentences(self) -> list[str]:
        """Return what does not agree, the first twenty of each kind."""
        found = [f"{item.figure}: {item.kept} is kept, {item.counted} was counted" for item in self.recount.differences]
        return [*found[:20], *self.broken_links()]

    def broken_links(self) -> list[str]:
        """Return what does not fit of chains and audit."""
        found = list(self.chains.named)
        if self.audit_broken_at is not None:
            found.append(f"the audit is not as it was written from row {self.audit_broken_at} on")
        return found


@dataclass(frozen=True, slots=True)
class Checked:
    """The record of a check: when (UTC ns), what was looked at, and what did not agree."""

    at_ns: int
    took_ms: int
    facts: int
    figures: int
    batches: int
    differences: int
    broken: int
    detail: str


def check(database: Database, now_ns: int) -> Findings:
    """Look at everything; inside a reading transaction."""
    begin = time.monotonic()
    counted, chains, chain = recount(database), verify(database), audit.verify(database)
    return Findings(now_ns, round((time.monotonic() - begin) * 1000), counted, chains, chain.broken_at)


def save(database: Database, found: Findings) -> None:
    """Record a check, with a row of the audit, and one more as an alarm where something does not agree."""
    facts, figures = found.recount.facts, found.recount.figures
    differences, detail = len(found.recount.differences), "\n".join(found.sentences())
    database.query(
        "insert into recount (at_ns, took_ms, facts, figures, batches, differences, broken, detail)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        (found.at_ns, found.took_ms, facts, figures, found.chains.batches, differences, found.broken, detail),
    )
    database.query("delete from recount where id <= (select max(id) from recount) - ?", (KEPT,))
    numbers = {"facts": facts, "figures": figures, "batches": found.chains.batches}
    numbers |= {"differences": differences, "broken": found.broken}
    looked = f"{facts} facts, {figures} figures and {found.chains.batches} batches were checked"
    result = "all agree" if found.good else f"{differences} figures differ and {found.broken} links are broken"
    audit.write(database, "", "recount", None, f"{looked}: {result}.", numbers)
    if not found.good:
        audit.write(database, "", "alarm", None, f"The check found: {found.sentences()[0]}.", numbers)


def last(database: Database) -> Checked | None:
    """Return the record of the newest check."""
    rows = database.query(
        "select at_ns, took_ms, facts, figures, batches, differences, broken, detail from recount"
        " order by id desc limit 1"
    )
    return Checked(*rows[0]) if rows else None


def checked_since(database: Database, now_ns: int) -> int:
    """Return when the ledger was checked last, UTC ns; before the first time, since when it is to be checked.

    Inside a writing transaction: the first call notes now_ns.
    """
    found = last(database)
    if found is not None:
        return found.at_ns
    database.query("insert into figure (name, value) values (?, ?) on conflict (name) do nothing", (_SINCE, now_ns))
    ((since,),) = database.query("select value from figure where name = ?", (_SINCE,))
    return int(since)
