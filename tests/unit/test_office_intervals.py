# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of what is known of UTC along a boot's clock: the true time is always inside."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from office.ledger.clocks import Interval
from office.ledger.intervals import Bound, Bounds, Span, hull_at, slack, span_at

patient = settings(deadline=None)
SECOND = 10**9
DAY = 86_400 * SECOND

moments = st.integers(0, 400 * DAY)
errors = st.integers(0, 3_600 * SECOND)


@patient
@given(
    start=st.integers(0, 2**62),
    drift=st.floats(-200, 200),
    told=st.lists(st.tuples(moments, errors, errors, st.sampled_from(("both", "low", "high"))), max_size=8),
    asked=moments,
)
def test_the_true_time_is_always_inside(
    start: int, drift: float, told: list[tuple[int, int, int, str]], asked: int
) -> None:
    # The boot's clock shows `at` when UTC is start + at / (1 + drift): exact in whole numbers of parts per million.
    per_million = 1_000_000 + round(drift)

    def true_ns(at: int) -> int:
        return start + at * 1_000_000 // per_million

    bounds = []
    for at, before, after, which in told:
        # One nanosecond of rounding belongs to the test's clock.
        low = true_ns(at) - before - 1 if which != "high" else None
        high = true_ns(at) + after + 1 if which != "low" else None
        bounds.append(Bound(at, low, high))
    span = span_at(bounds, asked)
    assert not Bounds(bounds).contradict
    assert span.low_ns is None or span.low_ns <= true_ns(asked)
    assert span.high_ns is None or span.high_ns >= true_ns(asked)
    hull = hull_at(bounds, asked)
    assert hull.low_ns is None or hull.low_ns <= true_ns(asked)


@patient
@given(st.permutations([Bound(0, 5, 90), Bound(7 * SECOND, 2, None), Bound(3 * SECOND, None, 8 * SECOND)]), moments)
def test_the_order_of_bounds_does_not_matter(bounds: list[Bound], asked: int) -> None:
    ordered = sorted(bounds, key=lambda bound: bound.at_ns)
    assert span_at(bounds, asked) == span_at(ordered, asked)
    assert hull_at(bounds, asked) == hull_at(ordered, asked)


def test_a_day_costs_seventeen_seconds_and_an_hour_three_quarters() -> None:
    assert slack(DAY) == pytest.approx(17.28 * SECOND, rel=1e-3)
    assert slack(-3_600 * SECOND) == pytest.approx(0.72 * SECOND, rel=1e-3)
    assert slack(1) == 1


def test_anchors_that_no_clock_can_have_met_contradict() -> None:
    bounds = [Bound(0, 0, SECOND), Bound(DAY, 2 * DAY, 2 * DAY + SECOND)]
    assert Bounds(bounds).contradict
    assert span_at(bounds, DAY).empty
    hull = hull_at(bounds, DAY)
    assert hull.low_ns is not None
    assert hull.high_ns is not None
    assert hull.low_ns < DAY < 2 * DAY < hull.high_ns


bound_lists = st.lists(
    st.builds(
        Bound, st.integers(-DAY, 9 * DAY), st.none() | st.integers(0, 9 * DAY), st.none() | st.integers(0, 9 * DAY)
    ),
    max_size=8,
)


@patient
@given(bound_lists, st.integers(-2 * DAY, 20 * DAY))
def test_bounds_in_order_say_what_all_of_them_say(told: list[Bound], asked: int) -> None:
    bounds = Bounds(told)
    assert bounds.at(asked) == span_at(told, asked)
    assert bounds.contradict == any(span_at(told, bound.at_ns).empty for bound in told)


def test_a_boot_of_months_is_not_compared_anchor_by_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a year of hourly anchors: one walk per anchor would be twenty million steps in a writing transaction."""
    hour = 3_600 * SECOND
    told = [Bound(n * hour, n * hour - SECOND, n * hour + SECOND) for n in range(4_500)]
    meet, steps = Span.meet, 0

    def counted(span: Span, other: Span) -> Span:
        nonlocal steps
        steps += 1
        return meet(span, other)

    monkeypatch.setattr(Span, "meet", counted)
    bounds = Bounds(told)
    assert not bounds.contradict
    assert bounds.at(2_250 * hour + 1).low_ns is not None
    assert steps <= 2 * len(told) + 2


def test_a_bound_that_is_open_on_a_side_leaves_the_hull_open() -> None:
    assert hull_at([Bound(0, 1, None), Bound(0, 3, 4)], 0) == Span(1, None)
    assert hull_at([], 0) == Span()
    assert span_at([], 0) == Span()


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (
            Interval(1_500_000_000, 1_500_000_000, 0, "anchored"),
            {"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:02Z", "raw": "1970-01-01T00:00:00Z"},
        ),
        (Interval(None, None, -SECOND, "received"), {"from": None, "to": None, "raw": "1969-12-31T23:59:59Z"}),
        (
            Interval(2**31 * SECOND, 2**40 * SECOND, 2**62, "anchored"),
            {"from": "2038-01-19T03:14:08Z", "to": None, "raw": "2116-02-20T23:53:38Z"},
        ),
    ],
)
def test_an_interval_is_told_in_whole_seconds_rounded_outwards(
    interval: Interval, expected: dict[str, str | None]
) -> None:
    assert interval.as_json() == {**expected, "quality": interval.quality}
