# SPDX-License-Identifier: GPL-3.0-or-later
"""When a moment of a boot's clock was, as an interval of UTC. Pure; whole nanoseconds throughout.

A boot's clock never jumps and drifts by at most DRIFT_PPM. So whatever is known of UTC at one of its moments bounds
every other one, and the bounds of several are met together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import inf

DRIFT_PPM = 200
"""A crystal of a small computer is within 100 ppm (aged, cold, in a van); the other half is what time services slew."""

_PER_SLACK = 1_000_000 // DRIFT_PPM - 1
"""A clock that is DRIFT_PPM slow lets a second be 1 + 1/(1/drift - 1) of its own: a little more than the drift."""
_SLOW, _FAST = _PER_SLACK - 1, _PER_SLACK + 1
"""How far UTC goes while the clock goes _PER_SLACK, at the least and at the most."""


@dataclass(frozen=True, slots=True)
class Bound:
    """At at_ns of the boot's clock it was not before low_ns and not after high_ns, UTC; None where one is not known."""

    at_ns: int
    low_ns: int | None = None
    high_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and the latest UTC, ns; None where there is no bound."""

    low_ns: int | None = None
    high_ns: int | None = None

    @property
    def empty(self) -> bool:
        """Return whether nothing can lie in it: two bounds contradict each other."""
        return self.low_ns is not None and self.high_ns is not None and self.low_ns > self.high_ns

    def meet(self, other: Span) -> Span:
        """Return what lies in both."""
        lows = [low for low in (self.low_ns, other.low_ns) if low is not None]
        highs = [high for high in (self.high_ns, other.high_ns) if high is not None]
        return Span(max(lows, default=None), min(highs, default=None))


def slack(elapsed_ns: int) -> int:
    """Return by how much UTC and a boot's clock may come apart in a time of `elapsed_ns`, of either sign."""
    return -(-abs(elapsed_ns) // _PER_SLACK)


def bounds_at(bounds: Iterable[Bound], at_ns: int) -> list[Span]:
    """Return what each of `bounds` says of the moment `at_ns`."""
    spans = []
    for bound in bounds:
        elapsed = at_ns - bound.at_ns
        low = None if bound.low_ns is None else bound.low_ns + elapsed - slack(elapsed)
        high = None if bound.high_ns is None else bound.high_ns + elapsed + slack(elapsed)
        spans.append(Span(low, high))
    return spans


def span_at(bounds: Iterable[Bound], at_ns: int) -> Span:
    """Return what all of `bounds` together say of the moment `at_ns`; empty where they contradict each other."""
    span = Span()
    for item in bounds_at(bounds, at_ns):
        span = span.meet(item)
    return span


def hull_at(bounds: Iterable[Bound], at_ns: int) -> Span:
    """Return the span of everything that any of `bounds` allows: what is left to say where they contradict."""
    spans = bounds_at(bounds, at_ns)
    lows, highs = [item.low_ns for item in spans], [item.high_ns for item in spans]
    return Span(
        None if None in lows else min((low for low in lows if low is not None), default=None),
        None if None in highs else max((high for high in highs if high is not None), default=None),
    )


class Bounds:
    """Bounds of one boot's clock, put in order once: a moment costs a search, not a walk over all of them.

    Of the bounds on one side of a moment the same one is the tightest wherever the moment is. It is found by what it
    says of the clock's zero, as if the clock had drifted the whole way, in parts of a nanosecond so that none is lost.
    """

    def __init__(self, bounds: Iterable[Bound]) -> None:
        self.items = tuple(sorted(bounds, key=lambda bound: bound.at_ns))
        self._moments = [bound.at_ns for bound in self.items]
        lows = [(bound.at_ns, bound.low_ns) for bound in self.items]
        highs = [(bound.at_ns, bound.high_ns) for bound in self.items]
        self._low_before = list(accumulate((_zero(at, ns, _SLOW, -inf) for at, ns in lows), max))
        self._high_before = list(accumulate((_zero(at, ns, _FAST, inf) for at, ns in highs), min))
        self._low_after = list(accumulate((_zero(at, ns, _FAST, -inf) for at, ns in reversed(lows)), max))[::-1]
        self._high_after = list(accumulate((_zero(at, ns, _SLOW, inf) for at, ns in reversed(highs)), min))[::-1]

    def __bool__(self) -> bool:
        return bool(self.items)

    def at(self, at_ns: int) -> Span:
        """Return what all of them together say of the moment `at_ns`, as span_at does."""
        place = bisect_right(self._moments, at_ns)
        span = Span()
        if place > 0:
            low, high = self._low_before[place - 1], self._high_before[place - 1]
            span = span.meet(Span(_floor(low, at_ns, _SLOW), _ceiling(high, at_ns, _FAST)))
        if place < len(self.items):
            low, high = self._low_after[place], self._high_after[place]
            span = span.meet(Span(_floor(low, at_ns, _FAST), _ceiling(high, at_ns, _SLOW)))
        return span

    @cached_property
    def contradict(self) -> bool:
        """Return whether no clock within the drift could have met all of them.

        What separates two of them is the same everywhere between, so the moments of the bounds themselves decide.
        """
        return any(self.at(moment).empty for moment in self._moments)


def _zero(at_ns: int, ns: int | None, rate: int, none: float) -> float:
    """Return what a bound says of the clock's zero, times _PER_SLACK: a whole number, or `none`."""
    return none if ns is None else _PER_SLACK * ns - rate * at_ns


def _floor(zero: float, at_ns: int, rate: int) -> int | None:
    return (zero + rate * at_ns) // _PER_SLACK if isinstance(zero, int) else None


def _ceiling(zero: float, at_ns: int, rate: int) -> int | None:
    return -(-(zero + rate * at_ns) // _PER_SLACK) if isinstance(zero, int) else None
