# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the office has what people were told, once each; its figures, watermarks and chains with it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from office.ledger import Ledger
from office.ledger.database import Database
from office.ledger.reading import totals
from tests.torture.people import Told

REACHED = ("pupil", "teacher")
_COUNTS = (
    "select feed.lab, feed.epoch, event.seq, event.type, event.body from event join feed on feed.id = event.feed"
    " where event.type in ('kiosk.session', 'visit.headcount') and event.standing = 'understood'"
)
_BEHIND = (
    "select lab, stream, epoch, watermark, newest, closed_last from feed"
    " where newest > watermark or closed_last > watermark"
)
_ALARMS = "select feed.lab, alarm.kind, alarm.detail from alarm join feed on feed.id = alarm.feed"


@dataclass
class Case:
    """What people of one lab were told.

    forked: its card was cloned, or an old one put back. branches holds for each such time an epoch that the cards do
    not have in common: where the office has heard of it, it must doubt.
    """

    told: dict[str, Told]
    maybe_lost: set[str] = field(default_factory=set)
    forked: bool = False
    branches: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    lab: str
    id: str
    visit: str
    role: str
    count: int


async def verdict(database: str, cases: dict[str, Case]) -> list[str]:
    """Return what is wrong in the ledger, one sentence each; nothing where everything is as people were told."""
    ledger = Ledger(database)
    try:
        rows = await ledger.read(_rows)
        found = [*_once_each(rows, cases), *await ledger.read(lambda db: _sums(db, rows))]
        found += await ledger.read(lambda db: _feeds(db, cases))
        found += [f"recount: {difference}" for difference in (await ledger.recount()).differences]
        found += await ledger.read(lambda db: _doubts(db, cases))
        if not any(case.forked for case in cases.values()):
            found += await ledger.read(lambda db: _progress(db, rows))
    finally:
        await ledger.close()
    for lab, case in cases.items():
        if not case.forked:
            found += [f"{lab}: refused: {sentence}" for sentence in case.refused]
    return found


def _rows(database: Database) -> list[_Row]:
    rows: list[_Row] = []
    for lab, _, _, kind, text in database.query(_COUNTS):
        body = json.loads(text)
        if kind == "kiosk.session":
            rows.append(_Row(lab, body["session"], body.get("visit") or "", "", 1))
        else:
            rows.append(_Row(lab, str(body.get("entry")), body["visit"], body["role"], body["count"]))
    return rows


def _once_each(rows: list[_Row], cases: dict[str, Case]) -> list[str]:
    """Compare what people were told with the facts, by the ids under which they entered it."""
    wrong: list[str] = []
    for lab, case in cases.items():
        stored = {row.id: row for row in rows if row.lab == lab}
        for key, times in Counter(row.id for row in rows if row.lab == lab).items():
            if times > 1:
                wrong.append(f"{lab}: {key} is there {times} times")
        missing = case.told.keys() - stored.keys() - case.maybe_lost
        wrong += [f"{lab}: {key} was told ({case.told[key]}) and is not there" for key in sorted(missing)]
        wrong += [
            f"{lab}: {key} is there ({stored[key]}) and was not told"
            for key in sorted(stored.keys() - case.told.keys())
        ]
        for key in stored.keys() & case.told.keys():
            row, told = stored[key], case.told[key]
            if (row.role, row.count) != (told.role, told.count) or (row.role and row.visit != told.visit):
                wrong.append(f"{lab}: {key} is {row} and was told as {told}")
    return wrong


def _sums(database: Database, rows: list[_Row]) -> list[str]:
    """Compare the figures that reports show with the sums over the facts."""
    people: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        if row.role:
            people[row.lab, row.visit, row.role] += row.count
    kept: Counter[tuple[str, str, str]] = Counter()
    for lab, visit, role, count in database.query("select lab, visit, role, people from visit_count"):
        kept[lab, visit, role] += count
    keys = sorted(people.keys() | kept.keys())
    return [
        f"{key}: the facts make {people[key]}, the figure is {kept[key]}" for key in keys if people[key] != kept[key]
    ]


def _feeds(database: Database, cases: dict[str, Case]) -> list[str]:
    """Find watermarks that stand before a gap, and chains that broke. A fork explains both: two cut what one had."""
    wrong = [f"a gap: {row}" for row in database.query(_BEHIND) if not cases[row[0]].forked]
    return wrong + [f"an alarm: {row}" for row in database.query(_ALARMS) if not cases[row[0]].forked]


def _doubts(database: Database, cases: dict[str, Case]) -> list[str]:
    """Require that a card that was copied is doubted, and no other."""
    doubted = {lab for (lab,) in database.query("select distinct lab from doubt where kind in ('clone', 'rollback')")}
    heard = {epoch for (epoch,) in database.query("select epoch from feed where newest > 0")}
    copied = {lab for lab, case in cases.items() if case.branches & heard}
    forked = {lab for lab, case in cases.items() if case.forked}
    return [
        *(f"{lab} was copied and nobody doubts it" for lab in sorted(copied - doubted)),
        *(f"{lab} is doubted and was never copied" for lab in sorted(doubted - forked)),
    ]


def _progress(database: Database, rows: list[_Row]) -> list[str]:
    """Compare the number of the pledge with the facts, and with what the labs say themselves."""
    told = totals(database)
    reached = sum(row.count for row in rows if row.role in REACHED)
    if told.reached == told.ledger == reached:
        return []
    return [f"the facts make {reached} people, the ledger says {told.ledger}, the labs {told.reached}"]
