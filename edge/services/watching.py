# SPDX-License-Identifier: GPL-3.0-or-later
"""What readings of one machine say about the time between them: parts made, and times when nobody saw it. Pure.

Parts are differences of the machine's own cumulative counter and nothing else: a reading that is lost or comes twice
changes no sum. A counter that shows less than before is believed only when it has stood below for a while; until then
the former total holds, so that one which shows 0 or an older value for a moment counts nothing twice. All times are
nanoseconds; `seen_ns` is of the boot-time clock of the boot `boot_id`.
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
BACK_NS = 10_000_000_000
"""How long a counter has to be seen below its former total until that is believed. No gap counts."""
WRAPS = (2**16, 2**32)
"""Where counters of UInt16 and UInt32 begin anew."""
WRAP_NEAR = 1000
"""How near to that a counter has to have been for its fall to be no reset."""
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

    away is why nobody sees it now, empty while it is seen; total is its counter as last believed, unseen tells that a
    gap lies between that reading and now. low is the least that the counter has shown since it went below the total,
    since low_ns; former is the total before a fall that was believed, until the counter has counted on from there.
    counter names the counter of all these (MachineInfo.part_counter).
    """

    boot_id: str = ""
    seen_ns: int | None = None
    away: str = ""
    total: int | None = None
    unseen: bool = False
    gap: Gap | None = None
    low: int | None = None
    low_ns: int = 0
    former: int | None = None
    counter: str = ""

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


def look(watch: Watch, state: MachineState, *, boot_id: str, wall_ns: int, counter: str = "") -> Seen:
    """Return what a reading says; wall_ns is the raw wall clock now, counter names the machine's counter.

    The same reading twice says nothing new.
    """
    if state.availability is not Availability.AVAILABLE:
        if watch.seen_ns is None or watch.away:
            return Seen(watch)
        return Seen(replace(watch, away=_text(state.fault_reason) or NO_REASON))
    total = _total(state.part_count)
    if total is not None and counter != watch.counter:
        if watch.counter:
            # Its difference to another one means nothing: counting begins anew.
            watch = replace(watch, total=None, unseen=False, low=None, former=None)
        watch = replace(watch, counter=counter)
    facts: list[Found] = []
    if watch.away:
        gap = _gap(watch, state, total, boot_id, wall_ns)
        began = watch.seen_ns if gap.seconds is not None else None
        body = {"began_boot_ns": began, "seconds": gap.seconds, "reason": gap.reason, "parts": gap.parts}
        facts.append(Found(EventType.MACHINE_GAP, body))
        watch = replace(watch, away="", unseen=watch.total is not None, gap=gap, low=None)
    back = None
    if total is None:
        watch = replace(watch, low=None)
    elif watch.total is None or total >= watch.total:
        watch = _risen(watch, total, state.program, facts)
    else:
        before = watch.total
        watch = _fallen(watch, before, total, state, facts)
        back = (before, total) if watch.total == total and watch.former == before else None
    return Seen(replace(watch, boot_id=boot_id, seen_ns=state.taken_ns), tuple(facts), back)


def _risen(watch: Watch, total: int, program: str | None, facts: list[Found]) -> Watch:
    after = replace(watch, total=total, unseen=False, low=None)
    if watch.total is None or total == watch.total:
        return after
    count = total - watch.total
    if watch.former is not None and total >= watch.former and count > _most(watch):
        # So many at once, and up to where it was before: what it showed in between was no count.
        count = total - watch.former
    if count:
        facts.append(_made(watch, total, count, program))
    return replace(after, former=None)


def _fallen(watch: Watch, before: int, total: int, state: MachineState, facts: list[Found]) -> Watch:
    """Believe a fall only at a later reading; where it does not stand, nothing has happened.

    Parts of the time in between are not counted after a reset: nobody can tell them from a value that jumps about.
    """
    if watch.low is None or total < watch.low:
        return replace(watch, low=total, low_ns=state.taken_ns)
    if state.taken_ns - watch.low_ns < BACK_NS:
        return watch
    believed = replace(watch, total=total, unseen=False, low=None)
    for end in WRAPS:
        if end - WRAP_NEAR <= before < end and (count := total + end - before) <= min(WRAP_NEAR, _most(watch)):
            if total == 0:
                return watch  # until it has made one more: a fact of parts names a total
            facts.append(_made(watch, total, count, state.program))
            return replace(believed, former=None)
    return replace(believed, former=before)


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


def _most(watch: Watch) -> float:
    """Return how many parts a machine may plausibly have made from the last reading of its counter to this one."""
    most = float(SUDDEN)
    if watch.unseen and watch.gap is not None:
        most += DAY_S if watch.gap.seconds is None else watch.gap.seconds
    return most


def _made(watch: Watch, total: int, count: int, program: str | None) -> Found:
    doubtful = count > _most(watch)
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
