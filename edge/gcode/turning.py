# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program leaves of a turning bar: a radius for each cell along Z, and what each move takes.

Z is the axis of the spindle and X the radius, or the diameter, as lathes have them. The tool comes from outside and
looks towards the spindle: on its left it cuts along an edge straight across the axis, then around its nose, then along
an edge that rises by the angle of the insert. Its programmed point is where the two lines meet that touch the nose from
the left and from below, which is what a tool setter measures: cylinders and faces come out as they are programmed,
cones and arcs are off by what the nose leaves, as on the machine. Threads, bores and what a tool does behind the axis
are not told by such a profile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge.domain.block import Block
from edge.domain.errors import InfoMobilError
from edge.domain.tool import Tool, ToolShape
from edge.gcode.model import Floats, Program
from edge.gcode.stock import CELLS, CHORD_SHARE, Relief, straight_moves
from edge.gcode.sweep import Heights
from edge.gcode.tooling import tool_of

DEFAULT_INSERT = Tool(0, "Insert 80 degrees", ToolShape.TURNING, 0.0, 10.0, tip_angle=80.0, nose_radius=0.4)
"""What is taken for a tool that nobody has described: the most common insert for turning along and across."""
_NO_WAY = 1e-6
"""mm: a move that goes less along Z goes straight across."""
_TOUCH = 1e-9
"""mm: a cell so far outside the tool is touched all the same."""
_CELLS_AT_A_TIME = 1 << 17


class NotBar(InfoMobilError):
    """A bar of {radius} mm radius and {length} mm length in {cells} cells is no material to turn."""


class NotTurning(InfoMobilError):
    """The tool {number} ({name}) has no shape to turn with: {shape}, {tip_angle} degrees, nose {nose_radius} mm."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is left of a bar.

    radii: (n,) mm; the cell [k] has its middle at z0 + (k + 0.5) * cell_mm; a radius of 0 is cut off. bar_radius: that
    of the bar before the first cut.
    """

    radii: Heights
    z0: float
    cell_mm: float
    bar_radius: float

    @property
    def bar_mm3(self) -> float:
        """Return the volume of the bar before the first cut."""
        return math.pi * self.bar_radius**2 * self.cell_mm * len(self.radii)

    @property
    def remaining_mm3(self) -> float:
        """Return the volume that is left."""
        return math.pi * self.cell_mm * float(np.square(self.radii, dtype=np.float64).sum())

    @property
    def removed_mm3(self) -> float:
        """Return the volume that was taken from the bar."""
        return self.bar_mm3 - self.remaining_mm3

    def lying(self) -> Relief:
        """Return the upper half of the part as it lies before the eye: Z to the right, heights over the axis.

        The volumes of this relief are those of a block around the bar, not of the bar.
        """
        half = max(1, math.ceil(self.bar_radius / self.cell_mm))
        aside = (np.arange(-half, half) + 0.5)[:, None] * self.cell_mm
        square = np.square(self.radii, dtype=np.float64)[None, :] - aside**2
        heights = np.sqrt(np.maximum(square, 0.0)).astype(np.float32)
        return Relief(heights, self.z0, -half * self.cell_mm, self.cell_mm, 0.0, self.bar_radius)


@dataclass(frozen=True, slots=True)
class Turned:
    """What a program makes of a bar: the profile, and the volume (n,) in mm3 that each segment takes."""

    profile: Profile
    load: Floats


class _Insert(NamedTuple):
    """A turning tool from the left: its width, the radius of its nose, the rise of its edge to the right."""

    width: float
    nose: float
    rise: float

    def over(self, right: Floats) -> Floats:
        """Return how far over the programmed point the tool cuts so far (mm, >= 0) to the right of it."""
        lean = math.atan(self.rise)
        ends = self.nose * (1 + math.sin(lean))
        aside = np.minimum(right, ends) - self.nose
        round_nose = self.nose - np.sqrt(np.maximum(self.nose**2 - aside**2, 0.0))
        return round_nose + np.maximum(right - ends, 0.0) * self.rise


class BarErosion:
    """A bar into which tools cut, move by move."""

    def __init__(self, radius: float, z_low: float, z_high: float, cells: int = CELLS) -> None:
        """Begin with a whole bar (mm) in `cells` cells along Z. Raises NotBar."""
        length = z_high - z_low
        if not (cells >= 1 and 0 < radius < math.inf and 0 < length < math.inf):
            raise NotBar(radius=radius, length=length, cells=cells)
        self._z0, self._cell, self._bar_radius = z_low, length / cells, radius
        self._radii = np.full(cells, radius)

    def cut(self, start: Floats, end: Floats, tool: Tool) -> Floats:
        """Move the point of `tool` from each start to each end (n, 3; mm, X the radius); return volumes (n,) in mm3.

        The moves follow each other: what one took, the next does not take again. Raises NotTurning.
        """
        insert = _insert(tool)
        taken = np.zeros(len(start))
        at_a_time = max(1, _CELLS_AT_A_TIME // len(self._radii))
        for first in range(0, len(start), at_a_time):
            part = slice(first, first + at_a_time)
            with np.errstate(invalid="ignore", over="ignore"):
                swept = np.maximum(self._swept(start[part], end[part], insert), 0.0)
            radii = np.fmin.accumulate(np.concatenate([self._radii[None], swept]))
            taken[part] = -np.diff((radii * radii).sum(axis=1))
            self._radii = radii[-1]
        return taken * (math.pi * self._cell)

    def profile(self) -> Profile:
        """Return what is left now; later cuts do not change it."""
        return Profile(self._radii.astype(np.float32), self._z0, self._cell, self._bar_radius)

    def _swept(self, start: Floats, end: Floats, insert: _Insert) -> Floats:
        """Return the smallest radius (k, n) that the tool has over each cell on each move; NaN where it is not.

        With s the Z of the programmed point the radius is X(s) + over(z - s), a convex function of s: its minimum over
        a part of the way is the free minimum moved to the nearer end of that part.
        """
        z = self._z0 + (np.arange(len(self._radii)) + 0.5) * self._cell
        left = np.where((start[:, 2] <= end[:, 2])[:, None], start, end)
        right = np.where((start[:, 2] <= end[:, 2])[:, None], end, start)
        way = right[:, 2] - left[:, 2]
        along = way >= _NO_WAY
        slope = np.where(along, (right - left)[:, 0] / np.where(along, way, 1.0), 0.0)
        x = np.where(along, left[:, 0], np.minimum(left[:, 0], right[:, 0]))
        way = np.where(along, way, 0.0)
        best = np.where(slope < insert.rise, insert.nose * (1 + slope / np.hypot(1.0, slope)), insert.width)
        lowest = np.maximum(left[:, 2, None], z - insert.width)
        highest = np.minimum((left[:, 2] + way)[:, None], z)
        place = np.maximum(np.minimum(z - best[:, None], highest), lowest)
        radius = x[:, None] + slope[:, None] * (place - left[:, 2, None]) + insert.over(np.maximum(z - place, 0.0))
        return np.where(lowest <= highest + _TOUCH, radius, np.nan)


def _insert(tool: Tool) -> _Insert:
    if tool.shape is not ToolShape.TURNING or not (tool.nose_radius >= 0 and 0 < tool.tip_angle < 180):
        raise NotTurning(
            number=tool.number,
            name=tool.name,
            shape=tool.shape.value,
            tip_angle=tool.tip_angle,
            nose_radius=tool.nose_radius,
        )
    rise = max(1.0 / math.tan(math.radians(tool.tip_angle)), 0.0)
    return _Insert(tool.diameter if tool.diameter > 0 else math.inf, tool.nose_radius, rise)


def turn(
    program: Program, tools: Mapping[int, Tool], block: Block, *, cells: int = CELLS, diameters: bool = False
) -> Turned:
    """Turn a bar by the whole program. Raises NotBar, NotTurning.

    The bar is as long as `block` is in Z, and the block's highest X is its radius. diameters: X of the program and of
    the block are diameters. A tool that is not in `tools` is DEFAULT_INSERT. As in `mill`, where the machine stands
    before the program moves it in X takes nothing, and neither do moves from or to places of the machine.
    """
    scale = np.array([0.5 if diameters else 1.0, 1.0, 1.0])
    erosion = BarErosion(block.high.x * float(scale[0]), block.low.z, block.high.z, cells)
    index, used = tool_of(program, tools)
    start, end, row = straight_moves(program.segments, CHORD_SHARE * block.size[2] / cells, depth=0)
    taken = np.zeros(len(row))
    inserts = [tool if tool in tools.values() else DEFAULT_INSERT for tool in used]
    edges = np.flatnonzero(np.diff(index[row], prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = slice(first, last)
        taken[part] = erosion.cut(start[part] * scale, end[part] * scale, inserts[int(index[row[first]])])
    load = np.zeros(len(program.segments))
    load += np.bincount(row, taken, len(load))
    return Turned(erosion.profile(), load)
