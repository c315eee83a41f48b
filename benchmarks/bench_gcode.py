# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the check and the planner in lines per second, beside a bare regular expression over the same lines.

The program is made here: a spiral of short moves, the kind that a CAM program writes, with line numbers, arcs and
comments now and then.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

from edge.domain.machine import Position, Travel
from edge.gcode import MotionSettings, check, interpret, path_preview, plan

LINES = 200_000
REPEATS = 3
TRAVEL = Travel(Position(-300.0, -300.0, -80.0), Position(0.0, 0.0, 0.0), 3000.0, 12000.0)
OFFSET = Position(-150.0, -150.0, -40.0)
WORDS = re.compile(rb"([A-Z])([+-]?[0-9.]+)")


def spiral(lines: int) -> bytes:
    """Return a program of `lines` lines."""
    text = ["G21 G90 G17", "M3 S10000", "G0 Z5"]
    for n in range(lines - len(text) - 2):
        angle, radius = n * 0.05, 5.0 + 100.0 * n / lines
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        if n % 500 == 499:
            text.append(f"G0 X{x:.3f} Y{y:.3f} (pass {n // 500})")
        elif n % 50 == 49:
            text.append(f"G3 X{x:.3f} Y{y:.3f} R{radius:.3f} F800")
        else:
            text.append(f"N{n} G1 X{x:.3f} Y{y:.3f} F900")
    return "\n".join([*text, "M5", "M30", ""]).encode()


def rate(work: Callable[[], object]) -> float:
    """Return the lines per second of the best of some runs."""
    best = math.inf
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return LINES / best


def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    text = spiral(LINES)
    program = interpret(text)
    settings = MotionSettings()
    bare = rate(lambda: [WORDS.findall(line) for line in text.split(b"\n")])
    rows = {
        "check of a program": rate(lambda: check(interpret(text), TRAVEL, OFFSET)),
        "check, line by line": rate(lambda: check(interpret(text, batches=False), TRAVEL, OFFSET)),
        "plan of the time": rate(lambda: plan(program, settings)),
        "path for a screen": rate(lambda: path_preview(program, 4000)),
    }
    return [
        {
            "name": name,
            "value": value,
            "unit": "lines/s",
            "reference": "bare regular expression over the lines",
            "reference_value": bare,
            "ratio": value / bare,
        }
        for name, value in rows.items()
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
