# SPDX-License-Identifier: GPL-3.0-or-later
"""Jog lines, and how far and how fast a hand may move: pure.

A `$J=` with a feed but no axis word is answered `ok` and drives all axes to machine 0,0,0 (trace
jog_without_axis_words), so no line is made here without both. Lengths mm, feeds mm/min, speeds mm/s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge.domain.hand import Axis, Displacement
from edge.domain.machine import Motion, Position, Travel

LEAST_FEED = 1.0
"""mm/min; below it a jog would take minutes for a millimetre, and rounding would make it 0."""

_DECIMALS = 3
_ROUNDING_MM = 0.0015
"""What three decimals in a report and in a line may add up to."""

_SHORTEST_SEGMENT_S = 0.04
_LONGEST_SEGMENT_S = 0.06
_BLOCKS = 15
"""Motions that the controller plans ahead where it does not say."""


@dataclass(frozen=True, slots=True)
class JogLine:
    """One line and the length of its way in mm."""

    text: str
    length: float


def axis_words(values: Mapping[Axis, float]) -> str:
    """Return `X1.5Z-2` for `values` in mm, to the micrometre."""
    return "".join(f"{axis}{_number(value)}" for axis, value in values.items())


def way_words(by: Displacement) -> str:
    """Return the axis words of a relative way, "" where nothing is left of it after rounding."""
    return axis_words({axis: value for axis, value in _by_axis(by).items() if round(value, _DECIMALS)})


def step_line(by: Displacement, feed: float) -> JogLine | None:
    """Return the relative jog by `by`, or None where nothing is left of it after rounding, or no feed."""
    words = way_words(by)
    if not words or not feed >= LEAST_FEED:
        return None
    return JogLine(f"$J=G91G21{words}F{_number(feed)}", by.length)


def target_line(machine: Mapping[Axis, float], place: Position, feed: float) -> JogLine | None:
    """Return the jog to machine coordinates, or None where no axis is named, or no feed."""
    if not machine or not feed >= LEAST_FEED:
        return None
    return JogLine(f"$J=G53G21{axis_words(machine)}F{_number(feed)}", way_to(machine, place).length)


def way_to(machine: Mapping[Axis, float], place: Position) -> Displacement:
    """Return the way from `place` to the named machine coordinates."""
    return Displacement(
        machine.get(Axis.X, place.x) - place.x,
        machine.get(Axis.Y, place.y) - place.y,
        machine.get(Axis.Z, place.z) - place.z,
    )


def segments(towards: Displacement, reach: float, feed: float, seconds: float) -> Iterator[JogLine]:
    """Yield relative jogs of `seconds` each in the direction of `towards`, `reach` mm in all.

    Each goes from rounded place to rounded place, so that rounding never adds up.
    """
    speed = feed / 60
    count = max(1, math.ceil(reach / (speed * seconds) - 1e-9))
    done = dict.fromkeys(Axis, 0.0)
    for number in range(1, count + 1):
        share = min(reach, number * speed * seconds) / towards.length
        goal = {axis: round(value * share, _DECIMALS) for axis, value in _by_axis(towards).items()}
        line = step_line(Displacement(*(goal[axis] - done[axis] for axis in Axis)), feed)
        if line is not None:
            done = goal
            yield line


def segment_s(feed: float, acceleration: float, blocks: int | None) -> float:
    """Return how long a segment of continuous motion lasts, 40 to 60 ms; `blocks` as `$I` tells them.

    Long enough that the blocks that GRBL plans ahead, of which one is being executed, hold the way in which it brakes,
    so that it reaches `feed`: v^2/2a <= (blocks - 1) * v * t; short, for after a release one may still be on its way.
    """
    needed = feed / 60 / (2 * acceleration * max(1, (blocks or _BLOCKS) - 1))
    return min(_LONGEST_SEGMENT_S, max(_SHORTEST_SEGMENT_S, needed))


def reach(place: Position, towards: Displacement, travel: Travel) -> float:
    """Return how far the machine can go from `place` in the direction of `towards` within its travel."""
    if not towards.length:
        return 0.0
    ways = [math.inf]
    axes = zip(_parts(place), _by_axis(towards).values(), _parts(travel.low), _parts(travel.high), strict=True)
    for value, way, low, high in axes:
        if way:
            ways.append(((high if way > 0 else low) - value) / way)
    return max(0.0, min(ways)) * towards.length


def within(place: Position, by: Displacement, travel: Travel) -> bool:
    """Whether `by` ends within the travel, give or take what rounding adds."""
    return by.length <= reach(place, by, travel) + _ROUNDING_MM * 2


def bounded_feed(towards: Displacement, feed: float, most: float, motion: Motion | None) -> float:
    """Return `feed`, at most `most`, and no axis faster than its maximum rate."""
    bounds = [feed, most]
    if motion is not None and towards.length:
        for way, rate in zip(_by_axis(towards).values(), _parts(motion.max_rate), strict=True):
            if way:
                bounds.append(rate * towards.length / abs(way))
    return math.floor(min(bounds) * 10) / 10


def slowest_acceleration(towards: Displacement, motion: Motion | None) -> float:
    """Return the acceleration along `towards` in mm/s2 as GRBL takes it; a cautious one where it is not known."""
    if motion is None or not towards.length:
        return 10.0
    ways = zip(_by_axis(towards).values(), _parts(motion.acceleration), strict=True)
    return min(most * towards.length / abs(way) for way, most in ways if way)


def _by_axis(by: Displacement) -> dict[Axis, float]:
    return {Axis.X: by.x, Axis.Y: by.y, Axis.Z: by.z}


def _parts(place: Position) -> tuple[float, float, float]:
    return place.x, place.y, place.z


def _number(value: float) -> str:
    """Return `value` as G-code writes it: `-1.5`, never `-0` nor `1e-05`."""
    text = f"{round(value, _DECIMALS) + 0.0:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
