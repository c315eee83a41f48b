# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs to measure with, made here: what CAM programs, scripts and lasers write."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge.domain.machine import Position, Travel

TRAVEL = Travel(Position(-300.0, -300.0, -80.0), Position(0.0, 0.0, 0.0), 3000.0, 12000.0)
OFFSET = Position(-150.0, -150.0, -40.0)


def spiral(lines: int) -> bytes:
    """Return a spiral of short moves with line numbers, and arcs and comments now and then."""
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


def _line(write: Callable[[int, float, float], str]) -> Callable[[int], bytes]:
    def program(lines: int) -> bytes:
        points = ((n, 90.0 * math.cos(n * 0.01), 90.0 * math.sin(n * 0.013)) for n in range(lines - 2))
        return "\n".join(["G21 G90 F900", "M3 S100", *(write(*point) for point in points), ""]).encode()

    return program


SHAPES: dict[str, Callable[[int], bytes]] = {
    "modal words in each line": _line(lambda n, x, y: f"N{n} G21 G90 G94 G17 G1 X{x:.3f} Y{y:.3f} F600"),
    "a speed in each line": _line(lambda n, x, y: f"X{x:.3f} Y{y:.3f} S{n % 256}"),
    "seventeen digits": _line(lambda _, x, y: f"G1 X{x!r} Y{y!r}"),
    "lower case and comments": _line(lambda n, x, y: f"g1 x {x:.4f} y {y:.4f} ; point {n}"),
    "drilling": _line(lambda n, x, y: (f"G0 X{x:.3f} Y{y:.3f}", "G1 Z-2 F100", "G4 P0.1", "G0 Z2")[n % 4]),
    "a hard line in twenty": _line(lambda n, x, y: "G53 G0 Z-1" if n % 20 == 0 else f"G1 X{x:.3f} Y{y:.3f}"),
}
"""What the lines look like, and how such a program of so many lines is made. Hard lines are interpreted one by one."""
