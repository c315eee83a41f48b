# SPDX-License-Identifier: GPL-3.0-or-later
"""What readings of one machine say about the time between them: parts made, and times when nobody saw it. Pure.

Parts are differences of the machine's own cumulative counter and nothing else: a reading that is lost or comes twice
changes no sum. All times are nanoseconds; `seen_ns` is of the boot-time clock of the boot `boot_id`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from edge.domain.events import EventType, Scalar
from edge.domain.machine import Availability, MachineState

SERVICE_AWAY = "the service was not running"
NO_REASON = "the link was lost"
SUDDEN = 100
"""Parts by which a counter may rise from one reading to the next; after a gap one more for each second of it."""
DAY_S = 86_400.0
MAX_TOTAL = 2**53
TEXT = 200


@dataclass(frozen=True, slots=True)
class Gap:
    """The last time when nobody saw the machine: its end (UTC, raw wall clock), how long, parts meanwhile, and why."""

    ended_wall_ns: int
    seconds: float | None
    parts: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a machine, over restarts. The default is a machine that nobody has ever seen.

    away is why nobody sees it now, empty while it is seen; total is its counter as last read, unseen tells that a gap
    lies between that reading and now.
    """

    boot_id: str = ""
    seen_ns: int | None = None
    away: str = ""
    total: int | None = None
    unseen: bool = False
    gap: Gap | None = None

    def dump(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Watch:
        """Return what `dump` wrote, as a service that has just started takes it up: nobody has looked meanwhile."""
        raw = json.loads(text)
        gap = Gap(**raw["gap"]) if raw["gap"] is not None else None
        return cls(**{**raw, "gap": gap, "away": raw["away"] or SERVICE_AWAY})


@dataclass(frozen=True, slots=True)
class Found:
    """One fact without its machine; note is what an operator should hear about it."""

    kind: EventType
    body: dict[str, Scalar]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading says: the watch after it, facts, and the totals where the counter went back."""

    watch: Watch
    facts: tuple[Found, ...] = ()
    back: tuple[int, int] | None = None


def look(watch: Watch, state: MachineState, *, boot_id: str, wall_ns: int) -> Seen:
    """Return what a reading says; wall_ns is the raw wall clock now. The same reading twice says nothing new."""
    if state.availability is not Availability.AVAILABLE:
        if watch.seen_ns is None or watch.away:
            return Seen(watch)
        return Seen(replace(watch, away=_text(state.fault_reason) or NO_REASON))
    total = _total(state.part_count)
    facts: list[Found] = []
    if watch.away:
        gap = _gap(watch, state, total, boot_id, wall_ns)
        began = watch.seen_ns if gap.seconds is not None else None
        body = {"began_boot_ns": began, "seconds": gap.seconds, "reason": gap.reason, "parts": gap.parts}
        facts.append(Found(EventType.MACHINE_GAP, body))
        watch = replace(watch, away="", unseen=watch.total is not None, gap=gap)
    back = None
    if total is not None:
        if watch.total is not None and total > watch.total:
            facts.append(_made(watch, total, total - watch.total, state.program))
        elif watch.total is not None and total < watch.total:
            back = (watch.total, total)
        watch = replace(watch, total=total, unseen=False)
    return Seen(replace(watch, boot_id=boot_id, seen_ns=state.taken_ns), tuple(facts), back)


def _text(text: str) -> str:
    """Return what a machine said as a text that every JSON reader takes."""
    return text[:TEXT].encode(errors="replace").decode()


def _total(part_count: int | None) -> int | None:
    return part_count if part_count is not None and 0 <= part_count <= MAX_TOTAL else None


def _gap(watch: Watch, state: MachineState, total: int | None, boot_id: str, wall_ns: int) -> Gap:
    seconds = None
    if watch.boot_id == boot_id and watch.seen_ns is not None:
        seconds = round(max(0, state.taken_ns - watch.seen_ns) / 1e9, 3)
    known = total is not None and watch.total is not None and total >= watch.total
    parts = total - watch.total if known and total is not None and watch.total is not None else None
    return Gap(wall_ns, seconds, parts, watch.away)


def _made(watch: Watch, total: int, count: int, program: str | None) -> Found:
    most = float(SUDDEN)
    if watch.unseen and watch.gap is not None:
        most += DAY_S if watch.gap.seconds is None else watch.gap.seconds
    doubtful = count > most
    body: dict[str, Scalar] = {
        "count": count,
        "total": total,
        "program": _text(program or "") or None,
        "after_gap": watch.unseen,
        "doubtful": doubtful,
    }
    return Found(EventType.PARTS_MADE, body, f"its part counter rose by {count} at once" if doubtful else "")


def merged(earlier: Found, later: Found) -> Found | None:
    """Return one fact for two differences that follow each other, where nothing is lost by it."""
    alike = ("program", "after_gap", "doubtful")
    if earlier.kind is not EventType.PARTS_MADE or later.kind is not EventType.PARTS_MADE:
        return None
    if later.body["after_gap"] or any(earlier.body[key] != later.body[key] for key in alike):
        return None
    first, second = earlier.body["count"], later.body["count"]
    if not isinstance(first, int) or not isinstance(second, int):
        return None
    return replace(later, body={**later.body, "count": first + second})
