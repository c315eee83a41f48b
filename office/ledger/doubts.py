# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lab is one lab: epochs that fork tell of a copied card, anchors that contradict of a wrong clock.

And whether it has all that it counted: where it says that visits will never come, a person should know.

The count is exact in any case, because every opening of a database is an epoch of its own. A doubt is for a person: it
stands at the lab, among its alarms and in the audit, and follows from the facts alone, not from their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from office.ledger import audit
from office.ledger.clocks import Start, anchors, starts
from office.ledger.database import Database
from office.ledger.keys import KEY

CLONE, ROLLBACK, CLOCK, GAP = "clone", "rollback", "clock", "gap"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that a person should look at. mark tells doubts of one kind apart, epoch is where it came to light."""

    kind: str
    mark: str
    text: str
    since_ns: int
    epoch: str


@dataclass(frozen=True, slots=True)
class _Times:
    """When a branch was seen, UTC ns: its first and last moment, each as late and as early as it can have been."""

    first_low: int
    first_high: int
    last_low: int
    last_high: int


def review(database: Database, lab: str, boots: Iterable[str], now_ns: int) -> None:
    """Bring the doubts of a lab up to date, those about clocks for `boots`; inside the writing transaction."""
    marks = set(boots)
    found = {(doubt.kind, doubt.mark): doubt for doubt in (*forks(database, lab), *gaps(database, lab))}
    for boot in sorted(marks):
        doubt = contradiction(database, lab, boot)
        if doubt is not None:
            found[doubt.kind, doubt.mark] = doubt
    kept = {
        (kind, mark): (text, since_ns)
        for kind, mark, text, since_ns in database.query(
            "select kind, mark, text, since_ns from doubt where lab = ? and kind <> ?", (lab, KEY)
        )
        if kind != CLOCK or mark in marks
    }
    for kind, mark in sorted(kept.keys() - found.keys()):
        database.query("delete from doubt where lab = ? and kind = ? and mark = ?", (lab, kind, mark))
        _withdraw_alarm(database, lab, kind, mark)
    for key, doubt in sorted(found.items()):
        if kept.get(key) != (doubt.text, doubt.since_ns):
            _say(database, lab, doubt)
        if key not in kept:
            facts = {"kind": doubt.kind, "mark": doubt.mark, "epoch": doubt.epoch}
            audit.write(database, "", "alarm", lab, doubt.text, facts, now_ns=now_ns)


def _say(database: Database, lab: str, doubt: Doubt) -> None:
    database.query(
        "insert into doubt (lab, kind, mark, text, since_ns) values (?, ?, ?, ?, ?)"
        " on conflict (lab, kind, mark) do update set text = excluded.text, since_ns = excluded.since_ns",
        (lab, doubt.kind, doubt.mark, doubt.text, doubt.since_ns),
    )
    _withdraw_alarm(database, lab, doubt.kind, doubt.mark)
    database.query(
        "insert into alarm (feed, kind, first, detail, received_ns)"
        " select id, ?, 0, ?, ? from feed where lab = ? and stream = 'safety' and epoch = ? on conflict do nothing",
        (_alarm_kind(doubt.kind, doubt.mark), doubt.text, doubt.since_ns, lab, doubt.epoch),
    )


def _withdraw_alarm(database: Database, lab: str, kind: str, mark: str) -> None:
    database.query(
        "delete from alarm where kind = ? and feed in (select id from feed where lab = ?)",
        (_alarm_kind(kind, mark), lab),
    )


def _alarm_kind(kind: str, mark: str) -> str:
    return f"{kind} {mark}"


def gaps(database: Database, lab: str) -> list[Doubt]:
    """Return a doubt for each epoch of which a record says that visits lack, or that what no lab drops was dropped."""
    rows = database.query(
        "select epoch, stream, lost, min(received_ns), min(by_epoch) from (select epoch, stream, received_ns, by_epoch,"
        " case when reason = 'lost' then 1 else 0 end as lost from stream_gap"
        " where lab = ? and stream in ('visits', 'safety')) told"
        " where stream = 'visits' or lost = 0 group by epoch, stream, lost order by epoch, stream, lost",
        (lab,),
    )
    found: list[Doubt] = []
    for epoch, stream, lost, since_ns, by_epoch in rows:
        text = (
            f"The van's disk lost facts of visits of the epoch {epoch}: people that were counted may be missing."
            if lost
            else f"The van says that it dropped facts of {stream} of the epoch {epoch}, which no van may."
        )
        found.append(Doubt(GAP, f"{epoch}/{stream}/{'lost' if lost else 'dropped'}", text, since_ns, by_epoch))
    return found


def contradiction(database: Database, lab: str, boot: str) -> Doubt | None:
    """Return the doubt that the anchors of a boot cannot all be right, None where they can."""
    if not anchors(database, lab, boot).contradict:
        return None
    rows = database.query(
        "select epoch, received_ns from clock_anchor where lab = ? and boot = ? order by received_ns, epoch",
        (lab, boot),
    )
    text = "What the van was told of the time does not fit together: the office's clock was wrong, or a network's."
    return Doubt(CLOCK, boot, text, rows[1][1], min(epoch for epoch, _ in rows))


def forks(database: Database, lab: str) -> list[Doubt]:
    """Return a doubt for each place where the epochs of a card's database went on more than once."""
    known = starts(database, lab)
    found: dict[tuple[str, str], Doubt] = {}
    for branch in _branches(known):
        times = [_times(database, lab, _descendants(known, start.epoch)) for start in branch]
        kind = ROLLBACK if _one_after_the_other(times) else CLONE
        since = sorted(start.received_ns for start in branch)[1]
        newest = max(branch, key=lambda start: (start.ordinal, start.epoch))
        what = (
            "an old copy of its database was put back"
            if kind is ROLLBACK
            else "its database was copied, and both copies may be in use"
        )
        number = min(start.ordinal for start in branch)
        card = f"The card {newest.install[:8]} went on more than once from its run {number - 1}"
        text = f"{card}: {what}. Counts stay exact."
        mark = f"{newest.install}/{number}"
        found[kind, mark] = Doubt(kind, mark, text, since, newest.epoch)
    for start in known.values():
        before = known.get(start.previous)
        if before is not None and before.install == start.install and before.ordinal >= start.ordinal:
            mark = f"{start.install}/{start.epoch}"
            text = f"The card {start.install[:8]} counts its run {start.ordinal} after its run {before.ordinal}."
            since = max(start.received_ns, before.received_ns)
            found[ROLLBACK, mark] = Doubt(ROLLBACK, mark, text, since, start.epoch)
    return list(found.values())


def _branches(known: dict[str, Start]) -> list[list[Start]]:
    """Return the first epochs of the branches of each fork.

    Two epochs of one number are two branches, or lie on two that parted before: then the earlier place is the one.
    """
    numbered: dict[tuple[str, int], list[Start]] = {}
    named: dict[tuple[str, str], list[Start]] = {}
    for start in known.values():
        numbered.setdefault((start.install, start.ordinal), []).append(start)
        if start.previous:
            named.setdefault((start.install, start.previous), []).append(start)
    found: dict[frozenset[str], list[Start]] = {}
    for (install, ordinal), items in numbered.items():
        parents = {item.previous for item in items}
        parted_before = len(parents) == len(items) and len(numbered.get((install, ordinal - 1), ())) > 1
        if len(items) > 1 and not parted_before:
            found[frozenset(item.epoch for item in items)] = items
    for items in named.values():
        if len(items) > 1:
            found[frozenset(item.epoch for item in items)] = items
    return [sorted(items, key=lambda item: item.epoch) for items in found.values()]


def _descendants(known: dict[str, Start], epoch: str) -> list[Start]:
    """Return the start of `epoch` and those of all epochs that go back to it."""
    children: dict[str, list[str]] = {}
    for start in known.values():
        children.setdefault(start.previous, []).append(start.epoch)
    found, waiting = {epoch}, [epoch]
    while waiting:
        new = [child for child in children.get(waiting.pop(), ()) if child not in found]
        found.update(new)
        waiting += new
    return [known[name] for name in sorted(found)]


def _times(database: Database, lab: str, branch: Sequence[Start]) -> _Times | None:
    """Return when a branch was seen, None where none of its boots has an anchor."""
    spans = []
    for start in branch:
        bounds = anchors(database, lab, start.boot)
        if not bounds or bounds.contradict:
            continue
        moments = database.query("select at_us from clock_anchor where lab = ? and epoch = ?", (lab, start.epoch))
        spans += [bounds.at(at_ns) for at_ns in (start.boot_ns, *(at_us * 1000 for (at_us,) in moments))]
    lows = [span.low_ns for span in spans if span.low_ns is not None]
    highs = [span.high_ns for span in spans if span.high_ns is not None]
    return _Times(min(lows), min(highs), max(lows), max(highs)) if lows and highs else None


def _one_after_the_other(times: Sequence[_Times | None]) -> bool:
    """Return whether it is certain that each branch was over before the next began."""
    known = sorted((item for item in times if item is not None), key=lambda item: (item.first_low, item.last_high))
    if len(known) < len(times):
        return False
    return all(left.last_high <= right.first_low for left, right in pairwise(known))
