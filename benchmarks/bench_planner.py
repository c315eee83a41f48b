# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the planner in lines per second, beside one that goes from block to block as the controller does.

Both plan the same program, a spiral of short moves with arcs now and then, and have to agree on its time: the loop
looks ahead without end, which for moves of this length changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.stats import Row, row
from edge.domain.machine import Overrides
from edge.gcode import MotionSettings, Program, interpret, plan
from edge.gcode.arcs import arc_geometry, chord_counts, expand

LINES = 200_000
REPEATS = 3
AGREE = 0.02
SETTINGS = MotionSettings()


def spiral(lines: int) -> bytes:
    """Return a program of `lines` lines."""
    text = ["G21 G90 G17 F900"]
    for n in range(lines - 1):
        angle, radius = n * 0.01, 40.0 + 60.0 * n / lines
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        text.append(f"G3 X{x:.3f} Y{y:.3f} R{radius:.3f}" if n % 50 == 49 else f"G1 X{x:.3f} Y{y:.3f}")
    return "\n".join([*text, ""]).encode()


def _blocks(program: Program) -> list[tuple[float, float, float, float]]:
    """Return way in X, Y and Z (mm) and feed (mm/s) of each block, arcs in the controller's chords."""
    segments = program.segments
    start, end, at = expand(segments, chord_counts(arc_geometry(segments), SETTINGS.arc_tolerance))
    feed = np.where(segments.feed[at] > 0, segments.feed[at], SETTINGS.max_rate[0]) / 60
    return [(x, y, z, f) for (x, y, z), f in zip((end - start).tolist(), feed.tolist(), strict=True) if x or y or z]


def _axis_bound(limits: tuple[float, float, float], unit: tuple[float, float, float]) -> float:
    return min(limit / abs(part) for limit, part in zip(limits, unit, strict=True) if part)


def loop(program: Program) -> float:
    """Return the seconds of a program, planned block by block."""
    lengths: list[float] = []
    accelerations: list[float] = []
    rates: list[float] = []
    entries: list[float] = []
    before: tuple[float, float, float] | None = None
    for x, y, z, feed in _blocks(program):
        length = math.sqrt(x * x + y * y + z * z)
        unit = (x / length, y / length, z / length)
        rate = min(feed, _axis_bound(SETTINGS.max_rate, unit) / 60)
        entry = 0.0
        if before is not None:
            cosine = -sum(one * other for one, other in zip(before, unit, strict=True))
            entry = min(rate, rates[-1]) ** 2
            if cosine > 0.999999:
                entry = 0.0
            elif cosine > -0.999999:
                turn = [one - other for one, other in zip(unit, before, strict=True)]
                size = math.sqrt(sum(part * part for part in turn))
                bound = _axis_bound(SETTINGS.acceleration, (turn[0] / size, turn[1] / size, turn[2] / size))
                sine = math.sqrt(0.5 * (1 - cosine))
                entry = min(entry, bound * SETTINGS.junction_deviation * sine / (1 - sine))
        lengths.append(length)
        accelerations.append(_axis_bound(SETTINGS.acceleration, unit))
        rates.append(rate)
        entries.append(entry)
        before = unit
    entries.append(0.0)
    for n in range(len(lengths) - 1, -1, -1):
        entries[n] = min(entries[n], entries[n + 1] + 2 * accelerations[n] * lengths[n])
    for n, length in enumerate(lengths):
        entries[n + 1] = min(entries[n + 1], entries[n] + 2 * accelerations[n] * length)
    return sum(_seconds(*block) for block in zip(lengths, accelerations, rates, entries, entries[1:], strict=False))


def _seconds(length: float, acceleration: float, rate: float, entry: float, leave: float) -> float:
    peak = min(rate, math.sqrt(0.5 * (entry + leave) + acceleration * length))
    ramps = (2 * peak * peak - entry - leave) / (2 * acceleration)
    return (2 * peak - math.sqrt(entry) - math.sqrt(leave)) / acceleration + max(0.0, length - ramps) / peak


def _rate(work: Callable[[], object], repeats: int, lines: int) -> float:
    """Return the lines per second of the best of some runs."""
    best = math.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return lines / best


def run(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of the table."""
    lines, repeats = (20_000, 1) if quick else (LINES, REPEATS)
    program = interpret(spiral(lines))
    planned, looped = plan(program, SETTINGS).seconds, loop(program)
    if abs(planned - looped) > AGREE * planned:
        raise ValueError(f"the planners do not agree: {planned:.1f} and {looped:.1f} s")
    reference, floor = "a planner that goes from block to block", _rate(lambda: loop(program), 1, lines)
    yield row("plan of the time", _rate(lambda: plan(program, SETTINGS), repeats, lines), "lines/s", reference, floor)
    other = Overrides(feed=150, rapid=50)
    anew = _rate(lambda: plan(program, SETTINGS, overrides=other), repeats, lines)
    yield row("plan for other overrides", anew, "lines/s", reference, floor)


if __name__ == "__main__":
    for line in run():
        print(line)
