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

from edge.domain.block import Block
from edge.domain.errors import InfoMobilError
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode.arcs import arc_geometry, chord_counts, expand
from edge.gcode.model import Bools, Floats, Ints, Kind, Program, Segments
from edge.gcode.pieces import Cutter, Grid
from edge.gcode.planner import in_one_frame
from edge.gcode.sweep import Heights, sweep
from edge.gcode.tooling import tool_of

CELLS = 512
"""Cells along the longer side of a block where nobody asks for another number."""
CHORD_SHARE = 0.05
"""Of a cell: how far a chord may be off its arc."""
_MOST_CHORDS = 2_000_000
_MOVES_AT_A_TIME = 1 << 15


class NotMaterial(InfoMobilError):
    """A block of {x} x {y} x {z} mm in {cells} cells is no material to cut into."""


class NotMilling(InfoMobilError):
    """The tool {number} ({name}) has no shape to mill with: {shape}, {diameter} mm, {tip_angle} degrees."""


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
        return (self.top * self.heights.size - float(self.heights.sum(dtype=np.float64))) * self.cell_mm**2

    @property
    def remaining_mm3(self) -> float:
        """Return the volume that is left."""
        return (float(self.heights.sum(dtype=np.float64)) - self.bottom * self.heights.size) * self.cell_mm**2


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
        cell = max(x, y) / cells
        bottom, top = float(np.float32(block.low.z)), float(np.float32(block.high.z))
        nx, ny = max(1, round(x / cell)), max(1, round(y / cell))
        self._grid = Grid(block.low.x, block.low.y, cell, nx, ny, bottom, top)
        self._heights = np.full((ny, nx), top, dtype=np.float32)

    def cut(self, start: Floats, end: Floats, tool: Tool) -> Floats:
        """Move the tip of `tool` from each start to each end (n, 3; mm); return the volumes (n,) in mm3 it takes.

        The moves follow each other: what one took, the next does not take again. Raises NotMilling.
        """
        cutter, taken = _cutter(tool), np.zeros(len(start))
        for first in range(0, len(start), _MOVES_AT_A_TIME):
            part = slice(first, first + _MOVES_AT_A_TIME)
            taken[part] = sweep(self._heights, self._grid, start[part], end[part], cutter)
        return taken

    def relief(self) -> Relief:
        """Return what is left now; later cuts do not change it."""
        grid = self._grid
        return Relief(self._heights.copy(), grid.x0, grid.y0, grid.cell_mm, grid.bottom, grid.top)


def _cutter(tool: Tool) -> Cutter:
    pointed = tool.shape is not ToolShape.V or 0 < tool.tip_angle < 180
    if tool.shape is ToolShape.TURNING or not (0 < tool.diameter < math.inf and tool.tip_diameter >= 0 and pointed):
        raise NotMilling(
            number=tool.number,
            name=tool.name,
            shape=tool.shape.value,
            diameter=tool.diameter,
            tip_angle=tool.tip_angle,
        )
    return Cutter.of(tool)


def mill(
    program: Program,
    tools: Mapping[int, Tool],
    block: Block,
    *,
    cells: int = CELLS,
    work_offset: Position | None = None,
    only: Bools | None = None,
) -> Milled:
    """Cut the whole program into `block`; arcs become chords. Raises NotMaterial, NotMilling.

    only: (n,) which of the segments are looked at, None for all.

    work_offset (mm) places what the program gives in machine coordinates; without it a move from or to such a place
    takes nothing, for nobody knows where it goes; nor does one from or to a place that the program has not given.
    Where the machine stands before the first line is not known either: the rapids up to the first one that moves in Z
    take nothing.
    """
    erosion = Erosion(block, cells)
    index, used = tool_of(program, tools)
    start, end, row = straight_moves(program.segments, CHORD_SHARE * max(block.size[:2]) / cells, work_offset)
    if only is not None:
        kept = only[row]
        start, end, row = start[kept], end[kept], row[kept]
    taken = np.zeros(len(row))
    edges = np.flatnonzero(np.diff(index[row], prepend=-1, append=-1))
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        taken[first:last] = erosion.cut(start[first:last], end[first:last], used[int(index[row[first]])])
    load = np.zeros(len(program.segments))
    load += np.bincount(row, taken, len(load))
    return Milled(erosion.relief(), load)


def straight_moves(
    segments: Segments, tolerance: float, work_offset: Position | None = None, *, depth: int = 2
) -> tuple[Floats, Floats, Ints]:
    """Return (start, end, row) of all moves whose place is known: (k, 3), (k, 3), (k,) row of the segment.

    Arcs become chords at most `tolerance` mm off. depth: the axis along which the tool goes into the material; how far
    it is in is not known before the program has moved it. work_offset as in `mill`.
    """
    counts = chord_counts(arc_geometry(segments), tolerance)
    if counts.sum() > _MOST_CHORDS:
        counts = np.maximum(counts * _MOST_CHORDS // counts.sum(), 1)
    # A bar that turns about Z has no Y.
    known = ~segments.adrift((0, 1, 2) if depth == 2 else (0, 2))
    known[: _first_known(segments, depth)] = False
    if work_offset is None:
        to_machine: Bools = np.logical_or.reduce(segments.machine_frame, axis=1)
        known[1:] &= ~to_machine[:-1]
        known &= ~to_machine
    start, end, row = expand(in_one_frame(segments, work_offset), counts)
    known = known[row]
    return start[known], end[known], row[known]


def _first_known(segments: Segments, axis: int) -> int:
    """Return the first segment that begins at a place of `axis` which the program has given."""
    moves = segments.start[:, axis] != segments.end[:, axis]
    fixed = np.flatnonzero(moves | (segments.kind != Kind.RAPID))
    if not len(fixed):
        return len(segments)
    return int(fixed[0]) + int(fixed[0] == 0 or segments.kind[fixed[0]] == Kind.RAPID)
