# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a program takes on GRBL, line by line.

The controller's planner, over the whole program at once: junction deviation ($11), maximum rate ($110-112) and
acceleration ($120-122) per axis, arcs in chords by $12, a look-ahead of 15 blocks, and a full stop, with $1 ms of
waiting, at each dwell, spindle or coolant change, change of offset, write to the EEPROM and end of program. Source:
GRBL 1.1 documentation (settings, interface); held against recorded job times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.domain.machine import Overrides, Position
from edge.gcode.arcs import arc_geometry, chord_counts, expand, extents
from edge.gcode.model import Bools, Bounds, Floats, Ints, Kind, Program, Segments, Stop, StopKind

LOOK_AHEAD = 15
"""Blocks that GRBL plans ahead (`15` in `[OPT:V,15,128]`)."""
_SLOWEST = 1.0
"""mm/min: GRBL moves no slower than this."""
_LONGEST_STEP = 0xFFFF * 8 / 16e6
"""s: the longest time between two steps that the 16-bit step timer reaches at 16 MHz; slower feeds run faster."""
_SEGMENT_S = 0.01
_AHEAD = 5
_LEAST_STEPS = 1.25
"""GRBL prepares motion in so many parts ahead of its steps: of 10 ms, or of as many as it takes to make these steps."""
_STRAIGHT, _REVERSAL = -0.999999, 0.999999
_FREE = 1e30
_DWELL_STEP = 0.05
_DWELL_STEPS = 1 << 16
_LONGEST_DWELL = 1e8
"""s: what is longer no 32-bit count holds, and nobody knows what the controller makes of it."""
_MOST_CHORDS = 2_000_000


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """What the time depends on: rates mm/min, accelerations mm/s2, lengths mm, steps 1/mm.

    stop_delay_s is what each stop costs besides its own time. In laser mode ($32) a new S in a line that moves stops
    nothing. The defaults are those of a small desktop router.
    """

    max_rate: tuple[float, float, float] = (3000.0, 3000.0, 1500.0)
    acceleration: tuple[float, float, float] = (200.0, 200.0, 200.0)
    junction_deviation: float = 0.01
    arc_tolerance: float = 0.002
    stop_delay_s: float = 0.025
    steps_per_mm: tuple[float, float, float] = (250.0, 250.0, 250.0)
    laser: bool = False

    @classmethod
    def from_settings(cls, settings: Mapping[str, str | float]) -> MotionSettings:
        """Return the settings of a `$$` dump ({"$110": "3000.000", ...}); a missing one has its default."""
        default = cls()

        def number(key: str, otherwise: float, least: float = 1e-6) -> float:
            try:
                value = float(settings.get(key, otherwise))
            except ValueError:
                return otherwise
            return value if np.isfinite(value) and value >= least else otherwise

        def axes(first: int, otherwise: tuple[float, float, float]) -> tuple[float, float, float]:
            x, y, z = (number(f"${first + axis}", otherwise[axis]) for axis in range(3))
            return x, y, z

        delay = number("$1", default.stop_delay_s * 1000, 0.0)
        return cls(
            max_rate=axes(110, default.max_rate),
            acceleration=axes(120, default.acceleration),
            junction_deviation=number("$11", default.junction_deviation, 0.0),
            arc_tolerance=number("$12", default.arc_tolerance),
            stop_delay_s=0.0 if delay >= 255 else delay / 1000,
            steps_per_mm=axes(100, default.steps_per_mm),
            laser=number("$32", 0.0, 0.0) == 1.0,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a program takes.

    seconds in all; line_seconds: (total lines,) seconds of each line of the source; distance_mm, and cut_mm of it at a
    feed; bounds in work coordinates (mm), None without motion; segment_seconds: (segments,) seconds of each motion,
    without the stops.
    """

    seconds: float
    line_seconds: Floats
    distance_mm: float
    bounds: Bounds | None
    segment_seconds: Floats
    cut_mm: float

    def progress(self) -> Floats:
        """Return per source line the share of the time (0..1) that has passed when it is done."""
        return np.cumsum(self.line_seconds) / self.seconds if self.seconds else np.ones(len(self.line_seconds))


def plan(
    program: Program,
    settings: MotionSettings,
    work_offset: Position | None = None,
    *,
    overrides: Overrides | None = None,
) -> Plan:
    """Return time, distance and bounds of a program.

    work_offset (mm) places what the program gives in machine coordinates; without it machine zero is taken for
    the program's zero. Pauses (M0) count no time. overrides are those of the whole run, 100 % where none are given.
    """
    segments = in_one_frame(program.segments, work_offset)
    counts = chord_counts(arc_geometry(segments), settings.arc_tolerance)
    if counts.sum() > _MOST_CHORDS:
        counts = np.maximum(counts * _MOST_CHORDS // counts.sum(), 1)
    start, end, row = expand(segments, counts)
    steps = np.asarray(settings.steps_per_mm)
    delta = (np.rint(end * steps) - np.rint(start * steps)) / steps
    moving = (delta[:, 0] != 0) | (delta[:, 1] != 0) | (delta[:, 2] != 0)
    delta, row = delta[moving], row[moving]
    distance = np.sqrt(_dot(delta, delta))
    segment_seconds = np.zeros(len(segments))
    stops = [stop for stop in program.stops if not (settings.laser and _is_power(program, stop))]
    stop_before = np.array([stop.before for stop in stops], dtype=np.int64)
    halts = np.searchsorted(row, stop_before)
    if len(row):
        seconds = _block_seconds(delta, distance, segments, row, halts, settings, overrides or Overrides())
        segment_seconds += np.bincount(row, seconds, len(segments))
    line_seconds = np.zeros(program.total_lines)
    line_seconds += np.bincount(program.segment_lines - 1, segment_seconds, program.total_lines)
    halted = 0
    for stop, halt in zip(stops, halts.tolist(), strict=True):
        line = program.text.source_lines[stop.wire] - 1
        line_seconds[line] += dwell_seconds(stop.seconds)
        if halt > halted and stop.kind is not StopKind.PAUSE:
            line_seconds[line] += settings.stop_delay_s
        halted = halt
    return Plan(
        seconds=float(line_seconds.sum()),
        line_seconds=line_seconds,
        distance_mm=float(distance.sum()),
        bounds=_bounds(segments),
        segment_seconds=segment_seconds,
        cut_mm=float(distance[segments.kind[row] != Kind.RAPID].sum()),
    )


def _is_power(program: Program, stop: Stop) -> bool:
    """Return whether a stop is that of a new S in a line that moves: a laser takes it in passing."""
    wire = program.segments.wire
    moves = stop.before < len(wire) and int(wire[stop.before]) == stop.wire
    return stop.kind is StopKind.SPINDLE and moves and "M" not in program.text.lines[stop.wire]


def dwell_seconds(seconds: float) -> float:
    """Return how long GRBL dwells for `G4 P seconds`: whole steps of 50 ms, counted in 16 bits, in single precision.

    Source: the trace `dwell`, and delay_sec() as the manual's build options describe it (DWELL_TIME_STEP).
    """
    steps = np.ceil(np.float32(min(seconds, _LONGEST_DWELL)) * np.float32(1 / _DWELL_STEP))
    return float(steps % _DWELL_STEPS * _DWELL_STEP)


def in_one_frame(segments: Segments, work_offset: Position | None) -> Segments:
    """Return the segments with all coordinates relative to the program's zero; without an offset as they are."""
    if work_offset is None or not segments.machine_frame.any():
        return segments
    offset = np.array([work_offset.x, work_offset.y, work_offset.z])
    end = segments.end - segments.machine_frame * offset
    before = np.vstack([np.zeros((1, 3), dtype=np.bool_), segments.machine_frame[:-1]])
    start = segments.start - before * offset
    return Segments(
        start=start,
        end=end,
        feed=segments.feed,
        kind=segments.kind,
        wire=segments.wire,
        machine_frame=np.zeros_like(segments.machine_frame),
        arc=segments.arc,
        arc_centre=segments.arc_centre,
        arc_plane=segments.arc_plane,
        unplaced=segments.unplaced,
    )


def _bounds(segments: Segments) -> Bounds | None:
    if not len(segments):
        return None
    low, high = extents(segments)
    x0, y0, z0 = (float(value) for value in low.min(axis=0))
    x1, y1, z1 = (float(value) for value in high.max(axis=0))
    return Bounds(Position(x0, y0, z0), Position(x1, y1, z1))


def _along(limits: tuple[float, float, float], unit: Floats) -> Floats:
    """Return the limit along each unit vector so that no axis is over its own."""
    with np.errstate(divide="ignore"):
        bounds = np.asarray(limits) / np.abs(unit)
    # A minimum over three columns takes a fifth of the time of one along short rows.
    limit: Floats = np.minimum(np.minimum(bounds[:, 0], bounds[:, 1]), bounds[:, 2])
    return limit


def _dot(one: Floats, other: Floats) -> Floats:
    """Return the product of each row (n, 3) with that of the other."""
    product: Floats = np.einsum("ij,ij->i", one, other)
    return product


def _block_seconds(
    delta: Floats,
    distance: Floats,
    segments: Segments,
    row: Ints,
    halts: Ints,
    settings: MotionSettings,
    overrides: Overrides,
) -> Floats:
    """Return the seconds of each block. Speeds are mm/s in here. No override takes an axis over its rate."""
    unit = delta / distance[:, None]
    acceleration = _along(settings.acceleration, unit)
    rapid = _along(settings.max_rate, unit)
    feed = np.minimum(segments.feed[row] * (overrides.feed / 100), rapid)
    feed = np.where(segments.kind[row] == Kind.RAPID, rapid * (overrides.rapid / 100), feed)
    nominal = np.maximum(feed, _SLOWEST) / 60.0

    steps = np.abs(delta) * np.asarray(settings.steps_per_mm)
    events = np.rint(np.maximum(np.maximum(steps[:, 0], steps[:, 1]), steps[:, 2]))

    limit = np.zeros(len(unit) + 1)
    limit[1:-1] = _junction_limit(unit, settings)
    limit[1:-1] = np.minimum(limit[1:-1], np.minimum(nominal[:-1], nominal[1:]) ** 2)
    limit[halts] = 0.0
    begun = _begin(limit, distance, acceleration, nominal, row, events)
    squares = _speeds(limit, 2.0 * acceleration * distance)
    entry, leave = np.sqrt(squares[:-1]), np.sqrt(squares[1:])

    peak = np.sqrt(np.minimum(0.5 * (squares[:-1] + squares[1:]) + acceleration * distance, nominal**2))
    peak = np.maximum(peak, np.maximum(entry, leave))
    ramps = (2.0 * peak**2 - squares[:-1] - squares[1:]) / (2.0 * acceleration)
    cruise = np.maximum(distance - ramps, 0.0)
    seconds = (2.0 * peak - entry - leave) / acceleration + cruise / peak
    seconds[: len(begun)] = np.maximum(seconds[: len(begun)], begun)
    capped: Floats = np.minimum(seconds, events * _LONGEST_STEP)
    return capped


def _begin(
    limit: Floats, distance: Floats, acceleration: Floats, nominal: Floats, row: Ints, events: Floats
) -> list[float]:
    """Bound the speeds (n + 1, squared, in place) at the ends of the first blocks; return the seconds these take.

    The controller sets out when it has taken the first line that moves: what it gets ready by then ends with that line,
    at rest. What was not ready is planned anew from the speed that it has there.
    """
    taken: list[float] = []
    parts = _AHEAD
    for block in range(len(row)):
        if block + 1 < len(row) and row[block + 1] == row[block]:
            # An arc is taken as a whole.
            break
        length, gain, most = float(distance[block]), float(acceleration[block]), float(nominal[block])
        top = min(most, math.sqrt(gain * length))
        up = top / gain
        whole = up + length / top
        if not math.isfinite(whole):
            break
        first = _SEGMENT_S * math.ceil(math.sqrt(2 * _LEAST_STEPS * length / (events[block] * gain)) / _SEGMENT_S)
        ready = first + (parts - 1) * _SEGMENT_S
        if ready <= whole - up:
            break
        # Where it is ready as a whole it stands at its end.
        speed = gain * max(whole - ready, 0.0)
        leave = min(speed * math.sqrt(2), most)
        limit[block + 1] = min(limit[block + 1], leave**2)
        taken.append(min(whole, ready) + (leave - speed) / gain)
        parts -= 1 + math.ceil(max(whole - first, 0.0) / _SEGMENT_S)
        if parts <= 0:
            break
    return taken


def _junction_limit(unit: Floats, settings: MotionSettings) -> Floats:
    """Return the square of the highest speed between each block and the next."""
    before, after = unit[:-1], unit[1:]
    cosine = -_dot(before, after)
    turn = after - before
    length = np.sqrt(_dot(turn, turn))
    straight: Bools = cosine < _STRAIGHT
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = _along(settings.acceleration, turn / np.where(length > 0, length, 1.0)[:, None])
        sine = np.sqrt(0.5 * (1.0 - cosine))
        square = acceleration * settings.junction_deviation * sine / (1.0 - sine)
    square = np.where(straight, _FREE, square)
    return np.where(cosine > _REVERSAL, 0.0, square)


def _speeds(limit: Floats, gain: Floats) -> Floats:
    """Return the square of the speed at each of the n + 1 ends of n blocks.

    Backwards each block can lose `gain` = 2 a d, and the controller sees no further than its look-ahead, behind
    which it plans to stand; forwards each block can win as much. With c the running sum of the gains both are
    minima of limit -/+ c, over a window and over all that came before.
    """
    ends = np.concatenate([[0.0], np.cumsum(gain)])
    count = len(limit)
    padded = np.concatenate([limit + ends, np.full(LOOK_AHEAD, ends[-1])])
    window, width = padded.copy(), 1
    while width < LOOK_AHEAD:
        step = min(width, LOOK_AHEAD - width)
        window[:-step] = np.minimum(window[:-step], window[step:])
        width += step
    horizon = ends[np.minimum(np.arange(count) + LOOK_AHEAD - 1, count - 1)]
    allowed = np.minimum(window[:count], horizon) - ends
    speeds: Floats = np.minimum.accumulate(allowed - ends) + ends
    return np.maximum(speeds, 0.0)
