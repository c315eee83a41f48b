# SPDX-License-Identifier: GPL-3.0-or-later
"""Jog lines, their bounds, override bytes and setting values: the pure part of motion by hand."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.hand import Axis, Displacement, OverrideKind
from edge.domain.machine import Motion, Position, Travel
from edge.drivers.grbl import jog
from edge.drivers.grbl.overrides import next_byte, refusal
from edge.drivers.grbl.profile import GEOMETRY, NAMES, described, same
from edge.drivers.grbl.protocol import RealTime

TRAVEL = Travel(Position(-300, -200, -80), Position(0, 0, 0), 3000, 1000)
MOTION = Motion(Position(3000, 3000, 1500), Position(200, 200, 100))
LINE = re.compile(r"\$J=(?:G91|G53)G21(?:[XYZ]-?\d+(?:\.\d{1,3})?){1,3}F\d+(?:\.\d{1,3})?")
mm = st.floats(-400, 400)
ways = st.builds(Displacement, mm, mm, mm)
feeds = st.floats(0, 5000)


@given(ways, feeds)
def test_a_jog_line_has_an_axis_word_and_a_feed_or_is_none(by: Displacement, feed: float) -> None:
    line = jog.step_line(by, feed)
    if line is None:
        assert feed < jog.LEAST_FEED or max(abs(by.x), abs(by.y), abs(by.z)) < 0.001
    else:
        assert LINE.fullmatch(line.text)
        assert not re.search(r"F0*(\.0*)?$", line.text)
        assert len(line.text) < 79


@given(st.dictionaries(st.sampled_from(Axis), mm, max_size=3), feeds)
def test_a_line_to_a_place_too(target: dict[Axis, float], feed: float) -> None:
    line = jog.target_line(target, Position(0, 0, 0), feed)
    assert (line is None) == (not target or feed < jog.LEAST_FEED)
    assert line is None or LINE.fullmatch(line.text)


@given(ways.filter(lambda way: way.length > 0.01), st.floats(0.01, 50), st.floats(300, 2000), st.floats(0.025, 0.06))
def test_segments_end_where_the_way_ends_and_never_beyond(
    towards: Displacement, reach: float, feed: float, seconds: float
) -> None:
    axes = {"X": 0.0, "Y": 0.0, "Z": 0.0}
    for line in jog.segments(towards, reach, feed, seconds):
        assert line.length <= feed / 60 * seconds + 0.004
        for axis, value in re.findall(r"([XYZ])(-?[\d.]+)", line.text.split("G21")[1].split("F")[0]):
            axes[axis] += float(value)
        assert math.hypot(*axes.values()) <= reach + 0.002
    goal = [value / towards.length * reach for value in (towards.x, towards.y, towards.z)]
    assert list(axes.values()) == pytest.approx(goal, abs=0.002)


@given(st.builds(Position, st.floats(-300, 0), st.floats(-200, 0), st.floats(-80, 0)), ways)
def test_what_reaches_to_the_border_stays_within(place: Position, towards: Displacement) -> None:
    if towards.length < 0.01:
        return
    far = jog.reach(place, towards, TRAVEL) / towards.length
    end = Displacement(towards.x * far, towards.y * far, towards.z * far)
    assert jog.within(place, end, TRAVEL)
    assert -300.001 <= place.x + end.x <= 0.001
    assert -200.001 <= place.y + end.y <= 0.001
    assert -80.001 <= place.z + end.z <= 0.001
    assert not jog.within(place, Displacement(end.x + 400, end.y, end.z), TRAVEL)


def test_from_outside_the_travel_nothing_is_within_reach() -> None:
    assert jog.reach(Position(1, 0, 0), Displacement(x=1), TRAVEL) == 0


def test_feeds_are_bounded_by_setup_and_by_each_axis() -> None:
    assert jog.bounded_feed(Displacement(x=1), 500, 2000, MOTION) == 500
    assert jog.bounded_feed(Displacement(x=1), 5000, 2000, MOTION) == 2000
    assert jog.bounded_feed(Displacement(z=1), 5000, 2000, MOTION) == 1500
    assert jog.bounded_feed(Displacement(x=3, z=4), 5000, 2000, MOTION) == 1875
    assert jog.bounded_feed(Displacement(z=1), 5000, 2000, None) == 2000


def test_acceleration_along_a_way_is_that_of_its_slowest_axis() -> None:
    assert jog.slowest_acceleration(Displacement(x=1), MOTION) == 200
    assert jog.slowest_acceleration(Displacement(x=3, z=4), MOTION) == 125
    assert jog.slowest_acceleration(Displacement(x=1), None) == 10


@pytest.mark.parametrize(
    ("acceleration", "blocks", "seconds"),
    [(200, 15, 0.04), (25, 15, 1 / 21), (25, 40, 0.04), (25, None, 1 / 21), (10, 15, 0.06)],
)
def test_segments_are_long_enough_for_the_planner_to_reach_the_feed(
    acceleration: float, blocks: int | None, seconds: float
) -> None:
    assert jog.segment_s(2000, acceleration, blocks) == pytest.approx(seconds)


@given(st.sampled_from([OverrideKind.FEED, OverrideKind.SPINDLE]), st.integers(10, 200), st.integers(10, 200))
def test_override_bytes_lead_straight_to_the_value(kind: OverrideKind, now: int, wanted: int) -> None:
    steps = {"UP_10": 10, "DOWN_10": -10, "UP_1": 1, "DOWN_1": -1}
    count = 0
    while now != wanted:
        byte = next_byte(kind, now, wanted)
        if byte.name.endswith("_100"):
            assert wanted == 100
            now = 100
        else:
            step = steps[byte.name.removeprefix(f"{kind.name}_")]
            assert abs(wanted - now - step) < abs(wanted - now)
            now += step
        count += 1
    assert count <= 28


def test_rapids_have_three_values() -> None:
    assert [next_byte(OverrideKind.RAPID, 100, wanted) for wanted in (25, 50)] == [
        RealTime.RAPID_25,
        RealTime.RAPID_50,
    ]
    assert next_byte(OverrideKind.RAPID, 25, 100) is RealTime.RAPID_100
    assert [bool(refusal(OverrideKind.RAPID, value)) for value in (25, 50, 100, 75, 0)] == [False] * 3 + [True] * 2
    assert [bool(refusal(OverrideKind.FEED, value)) for value in (9, 10, 200, 201)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("written", "read", "alike"),
    [
        ("500", "500.000", True),
        ("0.01", "0.010", True),
        ("0.0004", "0.000", True),
        ("5", "6", False),
        ("a", "b", False),
    ],
)
def test_settings_are_compared_as_numbers(written: str, read: str, alike: bool) -> None:
    assert same(written, read) is alike


def test_settings_have_names_and_units() -> None:
    assert (described(110, "500").name, described(110, "500").unit) == ("X highest feed", "mm/min")
    assert described(340, "5").name == ""
    assert GEOMETRY <= NAMES.keys()
