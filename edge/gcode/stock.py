# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program leaves of a block of material: a field of heights over X and Y, and what each move takes.

The block is a grid of square cells; each holds the height of the material in its middle. A tool that moves in a
straight line lowers a cell to the lowest height that any point of its surface has above the cell's middle on the way:
exact for flat, ball and V tools, level or on a ramp, so that a scallop has its true height and only its place is
rounded to a cell. Rapids take what stands in their way as feeds do. There are no undercuts in such a field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.domain.block import Block
from edge.domain.errors import InfoMobilError
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode.arcs import arc_geometry, chord_counts, expand
from edge.gcode.model import Floats, Ints, Kind, Program, Segments
from edge.gcode.tooling import tool_of

Heights = NDArray[np.float32]

CELLS = 512
"""Cells along the longer side of a block where nobody asks for another number."""
_CHORD_SHARE = 0.05
"""Of a cell: how far a chord may be off its arc."""
_MOST_CHORDS = 2_000_000
_NO_WAY = 1e-6
"""mm: a move whose way in X and Y is shorter goes straight up or down."""


class NotMaterial(InfoMobilError):
    """A block of {x} x {y} x {z} mm in {cells} cells is no material to cut into."""


class NotMilling(InfoMobilError):
    """The tool {number} ({name}) is no milling tool: its shape is {shape} and its diameter {diameter} mm."""


@dataclass(frozen=True, slots=True)
class Relief:
    """What is left of a block.

    heights: (ny, nx) mm, row 0 in front, cell 0 left; the cell [j, i] has its middle at x0 + (i + 0.5) * cell_mm,
    y0 + (j + 0.5) * cell_mm. bottom and top: Z of the block's lower and upper face; a height of bottom is through.
    The sides are whole numbers of cells: the shorter one is rounded to the nearest.
    """

    heights: Heights
    x0: float
    y0: float
    cell_mm: float
    bottom: float
    top: float

    @property
    def block_mm3(self) -> float:
        """Return the volume of the block before the first cut."""
        return self.heights.size * self.cell_mm**2 * (self.top - self.bottom)

    @property
    def removed_mm3(self) -> float:
        """Return the volume that was taken from the block."""
        return float(np.subtract(self.top, self.heights, dtype=np.float64).sum()) * self.cell_mm**2

    @property
    def remaining_mm3(self) -> float:
        """Return the volume that is left."""
        return float(np.subtract(self.heights, self.bottom, dtype=np.float64).sum()) * self.cell_mm**2


@dataclass(frozen=True, slots=True)
class Milled:
    """What a program makes of a block: the relief, and the volume (n,) in mm3 that each segment takes."""

    relief: Relief
    load: Floats


class Erosion:
    """A block of material into which tools cut, move by move."""

    def __init__(self, block: Block, cells: int = CELLS) -> None:
        """Begin with the whole `block`, in `cells` cells along its longer side. Raises NotMaterial."""
        x, y, z = block.size
        if not (cells >= 1 and all(math.isfinite(edge) and edge > 0 for edge in (x, y, z))):
            raise NotMaterial(x=x, y=y, z=z, cells=cells)
        self.cell_mm = max(x, y) / cells
        self.x0, self.y0 = block.low.x, block.low.y
        self.bottom, self.top = float(np.float32(block.low.z)), float(np.float32(block.high.z))
        shape = (max(1, round(y / self.cell_mm)), max(1, round(x / self.cell_mm)))
        self._heights = np.full(shape, self.top, dtype=np.float32)

    def cut(self, start: Floats, end: Floats, tool: Tool) -> Floats:
        """Move the tip of `tool` from each start to each end (n, 3; mm); return the volumes (n,) in mm3 it takes.

        The moves follow each other: what one took, the next does not take again. Raises NotMilling.
        """
        if tool.shape is ToolShape.TURNING or not tool.diameter > 0:
            raise NotMilling(number=tool.number, name=tool.name, shape=tool.shape.value, diameter=tool.diameter)
        taken = np.zeros(len(start))
        for row in range(len(start)):
            taken[row] = self._move(start[row], end[row], tool)
        return taken

    def relief(self) -> Relief:
        """Return what is left now; later cuts do not change it."""
        return Relief(self._heights.copy(), self.x0, self.y0, self.cell_mm, self.bottom, self.top)

    def _move(self, start: Floats, end: Floats, tool: Tool) -> float:
        radius = tool.diameter / 2
        low, high = np.minimum(start, end), np.maximum(start, end)
        if low[2] >= self.top or not np.isfinite([start, end]).all():
            return 0.0
        rows = self._span(low[1] - radius, high[1] + radius, self.y0, 0)
        columns = self._span(low[0] - radius, high[0] + radius, self.x0, 1)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return 0.0
        x = self.x0 + (np.arange(columns.start, columns.stop) + 0.5) * self.cell_mm
        y = self.y0 + (np.arange(rows.start, rows.stop) + 0.5) * self.cell_mm
        swept = np.maximum(lowest(x[None, :], y[:, None], start, end, tool), self.bottom)
        before = self._heights[rows, columns].copy()
        np.fmin(before, swept.astype(np.float32), out=self._heights[rows, columns])
        return float((before - self._heights[rows, columns]).sum(dtype=np.float64)) * self.cell_mm**2

    def _span(self, low: float, high: float, origin: float, axis: int) -> slice:
        size = self._heights.shape[axis]
        first = min(max(math.ceil((low - origin) / self.cell_mm - 0.5), 0), size)
        last = min(max(math.floor((high - origin) / self.cell_mm - 0.5), -1), size - 1)
        return slice(first, last + 1)


def lowest(x: Floats, y: Floats, start: Floats, end: Floats, tool: Tool) -> Floats:
    """Return the lowest height that `tool` has above the points x, y on its way; NaN where it does not come by."""
    if start[2] > end[2]:
        start, end = end, start
    radius = tool.diameter / 2
    way = end - start
    length = math.hypot(way[0], way[1])
    if length < _NO_WAY:
        along, across, length, slope = x - start[0] + 0 * y, y - start[1] + 0 * x, 0.0, 0.0
    else:
        east, north, slope = way[0] / length, way[1] / length, way[2] / length
        along = (x - start[0]) * east + (y - start[1]) * north
        across = (x - start[0]) * north - (y - start[1]) * east
    reach = np.sqrt(np.maximum(radius**2 - across**2, 0.0))
    centre = np.clip(along - _behind(across, reach, slope, tool), 0.0, length)
    distance = np.hypot(along - centre, across)
    height: Floats = start[2] + slope * centre + _surface(np.minimum(distance, radius), tool)
    return np.where(distance <= radius * (1 + 1e-9), height, np.nan)


def _behind(across: Floats, reach: Floats, slope: float, tool: Tool) -> Floats:
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


def _surface(distance: Floats, tool: Tool) -> Floats:
    """Return the height of the tool's surface over its tip at a distance (mm) from its axis."""
    radius = tool.diameter / 2
    if tool.shape is ToolShape.BALL:
        return radius - np.sqrt(np.maximum(radius**2 - distance**2, 0.0))
    if tool.shape is ToolShape.FLAT:
        return np.zeros_like(distance)
    flank = 1.0 / math.tan(math.radians(tool.tip_angle) / 2)
    return np.maximum(distance - tool.tip_diameter / 2, 0.0) * flank


def mill(
    program: Program,
    tools: Mapping[int, Tool],
    block: Block,
    *,
    cells: int = CELLS,
    work_offset: Position | None = None,
) -> Milled:
    """Cut the whole program into `block`; arcs become chords. Raises NotMaterial, NotMilling.

    work_offset (mm) places what the program gives in machine coordinates; without it a move from or to such a place
    takes nothing, for nobody knows where it goes. Where the machine stands before the first line is not known
    either: the rapids up to the first one that moves in Z take nothing.
    """
    erosion = Erosion(block, cells)
    index, used = tool_of(program, tools)
    start, end, row = _moves(program.segments, work_offset, _CHORD_SHARE * erosion.cell_mm)
    load = np.zeros(len(program.segments))
    edges = np.flatnonzero(np.diff(index[row], prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        taken = erosion.cut(start[first:last], end[first:last], used[int(index[row[first]])])
        load += np.bincount(row[first:last], taken, len(load))
    return Milled(erosion.relief(), load)


def _moves(segments: Segments, work_offset: Position | None, tolerance: float) -> tuple[Floats, Floats, Ints]:
    """Return (start, end, row) of all straight moves whose place is known: (k, 3), (k, 3), (k,) row of the segment."""
    counts = chord_counts(arc_geometry(segments), tolerance)
    if counts.sum() > _MOST_CHORDS:
        counts = np.maximum(counts * _MOST_CHORDS // counts.sum(), 1)
    start, end, row = expand(segments, counts)
    to_machine = segments.machine_frame[row]
    from_machine = np.vstack([np.zeros((1, 3), dtype=np.bool_), to_machine])[: len(row)]
    known = row >= _first_known(segments)
    if work_offset is None:
        known &= ~(to_machine | from_machine).any(axis=1)
    else:
        offset = np.array([work_offset.x, work_offset.y, work_offset.z])
        start, end = start - from_machine * offset, end - to_machine * offset
    return start[known], end[known], row[known]


def _first_known(segments: Segments) -> int:
    """Return the first segment that begins at a height which the program has given."""
    moves_in_z = segments.start[:, 2] != segments.end[:, 2]
    fixed = np.flatnonzero(moves_in_z | (segments.kind != Kind.RAPID))
    if not len(fixed):
        return len(segments)
    return int(fixed[0]) + int(segments.kind[fixed[0]] == Kind.RAPID)
