# SPDX-License-Identifier: GPL-3.0-or-later
"""The height field once more, move by move and in double precision: what the fast one is held against."""

from __future__ import annotations

import math

import numpy as np

from edge.domain.block import Block
from edge.domain.tool import Tool, ToolShape
from edge.gcode.model import Floats
from edge.gcode.stock import Relief

NO_WAY = 1e-6


class SlowErosion:
    """A block into which tools cut; every move is compared with every cell of the block."""

    def __init__(self, block: Block, cells: int) -> None:
        x, y, _ = block.size
        self.cell = max(x, y) / cells
        self.bottom, self.top = block.low.z, block.high.z
        self.x0, self.y0 = block.low.x, block.low.y
        shape = max(1, round(y / self.cell)), max(1, round(x / self.cell))
        self.heights = np.full(shape, self.top)
        self.x = self.x0 + (np.arange(shape[1])[None, :] + 0.5) * self.cell
        self.y = self.y0 + (np.arange(shape[0])[:, None] + 0.5) * self.cell

    def cut(self, start: Floats, end: Floats, tool: Tool) -> Floats:
        taken = np.zeros(len(start))
        for row in range(len(start)):
            swept = np.maximum(lowest(self.x, self.y, start[row], end[row], tool), self.bottom)
            before = self.heights
            self.heights = np.fmin(before, swept)
            taken[row] = (before - self.heights).sum() * self.cell**2
        return taken

    def relief(self) -> Relief:
        return Relief(self.heights.astype(np.float32), self.x0, self.y0, self.cell, self.bottom, self.top)


def lowest(x: Floats, y: Floats, start: Floats, end: Floats, tool: Tool) -> Floats:
    """Return the lowest height that `tool` has above the points x, y on its way; NaN where it does not come by."""
    if start[2] > end[2]:
        start, end = end, start
    radius = tool.diameter / 2
    way = end - start
    length, slope = math.hypot(way[0], way[1]), 0.0
    if length < NO_WAY:
        along, across, length = x - start[0] + 0 * y, y - start[1] + 0 * x, 0.0
    else:
        east, north, slope = way[0] / length, way[1] / length, way[2] / length
        along = (x - start[0]) * east + (y - start[1]) * north
        across = (x - start[0]) * north - (y - start[1]) * east
    reach = np.sqrt(np.maximum(radius**2 - across**2, 0.0))
    centre = np.clip(along - behind(across, reach, slope, tool), 0.0, length)
    distance = np.hypot(along - centre, across)
    height = start[2] + slope * centre + surface(np.minimum(distance, radius), tool)
    return np.where(distance <= radius * (1 + 1e-9), height, np.nan)


def behind(across: Floats, reach: Floats, slope: float, tool: Tool) -> Floats:
    """Return how far behind a point the tool is lowest above it, on a rising way without ends."""
    if slope == 0.0:
        return np.zeros_like(reach)
    if tool.shape is ToolShape.BALL:
        return reach * slope / math.hypot(1.0, slope)
    if tool.shape is ToolShape.FLAT:
        return reach
    flank = 1.0 / math.tan(math.radians(tool.tip_angle) / 2)
    flat = np.sqrt(np.maximum((tool.tip_diameter / 2) ** 2 - across**2, 0.0))
    if slope >= flank:
        return reach
    return np.minimum(np.maximum(flat, np.abs(across) * slope / math.sqrt(flank**2 - slope**2)), reach)


def surface(distance: Floats, tool: Tool) -> Floats:
    """Return the height of the tool's surface over its tip at a distance (mm) from its axis."""
    radius = tool.diameter / 2
    if tool.shape is ToolShape.BALL:
        return radius - np.sqrt(np.maximum(radius**2 - distance**2, 0.0))
    if tool.shape is ToolShape.FLAT:
        return np.zeros_like(distance)
    flank = 1.0 / math.tan(math.radians(tool.tip_angle) / 2)
    return np.maximum(distance - tool.tip_diameter / 2, 0.0) * flank


def brute(x: float, y: float, start: Floats, end: Floats, tool: Tool, *, steps: int = 10_000) -> float:
    """Return the same for one point by trying many places of the way: no formula to be wrong in. Infinite: none."""
    points = start + np.linspace(0.0, 1.0, steps)[:, None] * (end - start)
    distance = np.hypot(x - points[:, 0], y - points[:, 1])
    under = distance <= tool.diameter / 2
    if not under.any():
        return math.inf
    return float((points[under, 2] + surface(distance[under], tool)).min())
