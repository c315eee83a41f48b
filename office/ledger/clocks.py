# SPDX-License-Identifier: GPL-3.0-or-later
"""When a fact happened: an interval of UTC, from anchors, from when facts came, and from the boots before and after.

Raw clock values stay as they came. An interval is computed when somebody asks, so every fact that comes later makes it
narrower without anything being rewritten. Each function wants to be called inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from office.ledger.database import Database
from office.ledger.intervals import Bound, Bounds, Span, hull_at, span_at

OFFICE_EPOCH = "office-"
"""Epochs of facts that the office wrote itself begin so: its own clock is the measure."""
LONGEST_BOOT_NS = 1 << 60
"""36 years: a boot-time clock beyond it is a mistake, and bounds nothing."""
FARTHEST_BOOTS = 1_000
"""How many boots without an anchor are gone through in search of a neighbour that has one."""

ANCHORED, NEIGHBOURS, RECEIVED = "anchored", "neighbours", "received"
CONTRADICTORY, OFFICE, UNKNOWN = "contradictory", "office", "unknown"

_YEAR_1970 = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """A fact happened between from_ns and to_ns, UTC, None where there is no bound. raw_ns is the van's own clock.

    quality says what the interval stands on: `anchored` (somebody knew the time during that boot), `neighbours` (of the
    boots before and after), `received` (only when it came is known), `contradictory` (what is known does not fit
    together: then the widest of it), `office` (its own clock), `unknown`.
    """

    from_ns: int | None
    to_ns: int | None
    raw_ns: int
    quality: str

    def as_json(self) -> dict[str, str | None]:
        """Return it as docs/http-api.md says: whole seconds, rounded outwards."""
        up = None if self.to_ns is None else -(-self.to_ns // 10**9) * 10**9
        return {"from": _iso(self.from_ns), "to": _iso(up), "raw": _iso(self.raw_ns), "quality": self.quality}


def _iso(ns: int | None) -> str | None:
    if ns is None:
        return None
    try:
        return (_YEAR_1970 + timedelta(seconds=ns // 10**9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Start:
    """What a lab.started fact says of its epoch; received_ns is when the office had it, boot_ns when it was written."""

    epoch: str
    install: str
    ordinal: int
    previous: str
    boot: str
    boot_ns: int
    received_ns: int


def starts(database: Database, lab: str) -> dict[str, Start]:
    """Return the starts of a lab by epoch; of several that name one epoch the first of its stream counts."""
    rows = database.query(
        "select epoch, install, ordinal, previous, boot, boot_ns, received_ns from epoch_start"
        " where lab = ? order by epoch, seq desc",
        (lab,),
    )
    return {row[0]: Start(*row) for row in rows}


def anchors(database: Database, lab: str, boot: str) -> Bounds:
    """Return what the anchors of a boot say, each once."""
    rows = database.query(
        "select distinct at_us, utc_us, uncertainty_us from clock_anchor where lab = ? and boot = ?"
        " order by at_us, utc_us, uncertainty_us",
        (lab, boot),
    )
    return Bounds(Bound(at * 1000, (utc - give) * 1000, (utc + give) * 1000) for at, utc, give in rows)


class Clocks:
    """The clocks of one lab: read once, asked for many facts, inside one transaction."""

    def __init__(self, database: Database, lab: str) -> None:
        self._database, self._lab = database, lab
        self._starts = starts(database, lab)
        self._boots: dict[str, str] = {}
        self._ends: dict[str, int] = {}
        self._receipts: dict[str, list[Bound]] = {}
        self._anchors: dict[str, Bounds] = {}
        self._known: dict[str, list[Bound]] = {}
        self._read_feeds()
        self._before, self._after = neighbours(self._starts)

    def _read_feeds(self) -> None:
        for epoch, start in self._starts.items():
            self._boots[epoch] = start.boot
            self._ends[epoch] = start.boot_ns
        for epoch, boot, anchor_ns, anchor_boot_ns, last_ns in self._database.query(
            "select epoch, boot, anchor_ns, anchor_boot_ns, last_boot_ns from feed where lab = ?", (self._lab,)
        ):
            own = self._boots.setdefault(epoch, boot)
            if last_ns is not None:
                self._ends[epoch] = max(last_ns, self._ends.get(epoch, 0))
            if anchor_ns is not None and anchor_boot_ns is not None:
                came = Bound(anchor_boot_ns, high_ns=anchor_ns + anchor_boot_ns)
                self._receipts.setdefault(own, []).append(came)

    def interval(self, epoch: str, boot_ns: int, wall_ns: int, received_ns: int) -> Interval:
        """Return when the fact of `epoch` happened that has these clock values and came at received_ns, UTC."""
        if epoch.startswith(OFFICE_EPOCH):
            return Interval(received_ns, received_ns, wall_ns, OFFICE)
        came = Span(high_ns=received_ns)
        boot = self._boots.get(epoch, "")
        if not boot or not 0 <= boot_ns < LONGEST_BOOT_NS:
            return Interval(None, received_ns, wall_ns, UNKNOWN)
        own = self._own_anchors(boot)
        if own.contradict:
            widest = hull_at(own.items, boot_ns)
            return Interval(widest.low_ns, widest.high_ns, wall_ns, CONTRADICTORY)
        span = own.at(boot_ns)
        quality = ANCHORED if own else RECEIVED
        for more in (came, span_at(self._receipts.get(boot, ()), boot_ns)):
            if span.meet(more).empty:
                return Interval(span.low_ns, span.high_ns, wall_ns, CONTRADICTORY)
            span = span.meet(more)
        beside = span_at(self._neighbours(epoch), boot_ns)
        if not span.meet(beside).empty:
            span = span.meet(beside)
        if not own and span.low_ns is not None:
            quality = NEIGHBOURS
        return Interval(span.low_ns, span.high_ns, wall_ns, quality)

    def _own_anchors(self, boot: str) -> Bounds:
        if boot not in self._anchors:
            self._anchors[boot] = anchors(self._database, self._lab, boot)
        return self._anchors[boot]

    def _neighbours(self, epoch: str) -> list[Bound]:
        """Return what the boots before and after say of the boot of `epoch`."""
        if epoch not in self._known:
            found = [self._from_before(epoch), self._from_after(epoch)]
            self._known[epoch] = [bound for bound in found if bound is not None]
        return self._known[epoch]

    def _from_before(self, epoch: str) -> Bound | None:
        """Return the lower bound of the boot's beginning: it came after everything of the boots before."""
        way = self._walk(epoch, self._before)
        low: int | None = None
        for later, earlier in reversed(list(pairwise(way))):
            if self._boots[earlier] == self._boots[later]:
                continue
            end, before = self._end_before(earlier, later), [] if low is None else [Bound(0, low_ns=low)]
            low = self._own_anchors(self._boots[earlier]).at(end).meet(span_at(before, end)).low_ns
        return None if low is None else Bound(0, low_ns=low)

    def _from_after(self, epoch: str) -> Bound | None:
        """Return the upper bound of the boot's end: it came before the beginning of the boots after."""
        way = self._walk(epoch, self._after)
        ends: Bound | None = None
        for earlier, later in reversed(list(pairwise(way))):
            boot = self._boots[later]
            if self._boots[earlier] == boot:
                continue
            bounds = [*self._receipts.get(boot, ()), *([] if ends is None else [ends])]
            high = self._own_anchors(boot).at(0).meet(span_at(bounds, 0)).high_ns
            ends = None if high is None else Bound(self._ends.get(earlier, 0), high_ns=high)
        return ends

    def _walk(self, epoch: str, step: dict[str, str]) -> list[str]:
        """Return the epochs from `epoch` on to the first one of another boot that has anchors, or to the last."""
        way = [epoch]
        while len(way) <= FARTHEST_BOOTS and (following := step.get(way[-1])) is not None and following not in way:
            way.append(following)
            boot = self._boots[following]
            if boot != self._boots.get(epoch) and self._own_anchors(boot):
                break
        return way

    def _end_before(self, earlier: str, later: str) -> int:
        """Return the newest moment of `earlier` that is certainly before the beginning of `later`.

        Where the card was copied, the original may have gone on while the copy began: then it is only its start.
        """
        if self._after.get(earlier) == later:
            return self._ends.get(earlier, 0)
        return self._starts[earlier].boot_ns


def neighbours(known: dict[str, Start]) -> tuple[dict[str, str], dict[str, str]]:
    """Return (epoch before, epoch after) of each epoch, as far as they can be told.

    Within an install ordinals decide, also over epochs that never came. Where one is there twice the card was copied:
    then only the named predecessor counts, and what has two successors has none.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    installs: dict[str, list[Start]] = {}
    for start in known.values():
        installs.setdefault(start.install, []).append(start)
    for items in installs.values():
        items.sort(key=lambda item: (item.ordinal, item.epoch))
        if len({item.ordinal for item in items}) == len(items):
            pairs = [(left.epoch, right.epoch) for left, right in pairwise(items)]
        else:
            pairs = [(item.previous, item.epoch) for item in items if item.previous in known]
        _join(pairs, before, after)
    return before, after


def _join(pairs: Sequence[tuple[str, str]], before: dict[str, str], after: dict[str, str]) -> None:
    children: dict[str, list[str]] = {}
    for left, right in pairs:
        before[right] = left
        children.setdefault(left, []).append(right)
    after.update({left: rights[0] for left, rights in children.items() if len(rights) == 1})
