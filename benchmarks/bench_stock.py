# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the height field in ms a program, beside stamping the tool into it with NumPy at every cell of the way.

Stamping is what a few lines do: the tool's underside as a small field, laid at the height of the way on the cells below
it, once for each cell that the way goes on. It is the coarser of the two, for it puts the tool in the middles of cells
only, and it does not tell what each move takes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from benchmarks.stats import Row, row
from edge.domain.block import Block
from edge.domain.tool import Tool, ToolShape
from edge.gcode.model import Floats
from edge.gcode.stock import Erosion
from edge.gcode.turning import DEFAULT_INSERT, BarErosion

CELLS = 512
REPEATS = 5
REFERENCE = "stamping with NumPy"
BLOCK = Block.behind_zero((100.0, 100.0, 20.0))
BALL = Tool(1, "ball", ToolShape.BALL, 6.0, 20.0)
FLAT = Tool(2, "end mill", ToolShape.FLAT, 6.0, 20.0)
VEE = Tool(3, "engraver", ToolShape.V, 6.0, 20.0, tip_angle=60.0)


def waves(count: int) -> tuple[Floats, Floats]:
    """Return the moves of a finished surface, row by row: short, up and down all the time."""
    rows = round(math.sqrt(count * 0.7))
    along = np.linspace(2.0, 98.0, count // rows + 1)
    points = []
    for number, y in enumerate(np.linspace(2.0, 98.0, rows)):
        x = along if number % 2 else along[::-1]
        points.append(np.stack([x, np.full_like(x, y), -5.0 + 3.0 * np.sin(x / 9.0) * math.cos(y / 11.0)], axis=1))
    path = np.concatenate(points)[: count + 1]
    return path[:-1], path[1:]


def spiral(count: int, depth: float = -2.0) -> tuple[Floats, Floats]:
    """Return the moves of a spiral from the middle outwards: level, in every direction."""
    step = np.arange(count + 1)
    angle, radius = step * (120.0 / count), 2.0 + 45.0 * step / count
    path = np.stack([50.0 + radius * np.cos(angle), 50.0 + radius * np.sin(angle), np.full(count + 1, depth)], axis=1)
    return path[:-1], path[1:]


def screw(count: int) -> tuple[Floats, Floats]:
    """Return the moves of a spiral that goes up and down on its way: ramps in every direction."""
    start, end = spiral(count)
    height = -3.0 + 2.0 * np.sin(np.arange(count + 1) * (360.0 / count))
    start[:, 2], end[:, 2] = height[:-1], height[1:]
    return start, end


def stamp(start: Floats, end: Floats, tool: Tool) -> None:
    """Cut the same with stamps."""
    cell = 100.0 / CELLS
    size = math.ceil(tool.diameter / 2 / cell)
    away = np.arange(-size, size + 1) * cell
    distance = np.hypot(away[:, None], away[None, :])
    radius = tool.diameter / 2
    if tool.shape is ToolShape.BALL:
        under = radius - np.sqrt(np.maximum(radius**2 - distance**2, 0.0))
    elif tool.shape is ToolShape.V:
        under = distance / math.tan(math.radians(tool.tip_angle) / 2)
    else:
        under = np.zeros_like(distance)
    under = np.where(distance <= radius, under, np.inf).astype(np.float32)
    heights = np.zeros((CELLS + 2 * size, CELLS + 2 * size), dtype=np.float32)
    for a, b in zip(start, end, strict=True):
        count = max(1, math.ceil(math.hypot(b[0] - a[0], b[1] - a[1]) / cell))
        for share in np.linspace(0.0, 1.0, count + 1)[1:]:
            x, y, z = (a + share * (b - a)).tolist()
            column, line = int(x / cell), int(y / cell)
            part = heights[line : line + 2 * size + 1, column : column + 2 * size + 1]
            np.minimum(part, under + np.float32(z), out=part)


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Return how long the fastest of some runs took."""
    best = math.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best * 1000


def run(*, quick: bool = False) -> list[Row]:
    """Return the rows of the table."""
    many = 10_000 if quick else 100_000
    repeats = 2 if quick else REPEATS
    rows = []
    for name, (start, end), tool in (
        ("2,400 moves on 512x512, ball in waves", waves(2_400), BALL),
        ("2,400 moves on 512x512, ball on ramps", screw(2_400), BALL),
        ("2,400 moves on 512x512, end mill", spiral(2_400), FLAT),
        ("2,400 moves on 512x512, engraver", spiral(2_400, -0.5), VEE),
        (f"{many:,} moves on 512x512, ball in waves", waves(many), BALL),
        (f"{many:,} moves on 512x512, end mill", spiral(many), FLAT),
    ):
        field = milliseconds(lambda a=start, b=end, t=tool: Erosion(BLOCK, CELLS).cut(a, b, t), repeats)  # type: ignore[misc]
        stamping = milliseconds(lambda a=start, b=end, t=tool: stamp(a, b, t), 1)  # type: ignore[misc]
        rows.append(row(f"stock: {name}", field, "ms", REFERENCE, stamping))
    start, end = (moves[:, [2, 1, 0]] for moves in waves(2_400))
    shift = np.array([12.0, 0.0, -100.0])
    turning = milliseconds(
        lambda: BarErosion(15.0, -100.0, 0.0, CELLS).cut(start + shift, end + shift, DEFAULT_INSERT), repeats
    )
    rows.append(row("stock: 2,400 moves of a lathe on 512 cells", turning, "ms"))
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
