# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight moves of a tool over a grid of heights: many at a time, and each still after the one before it.

A move is cut to what can touch the block, and a long slanting one into pieces, so that the boxes of cells around them
hold little that the tool does not reach. Boxes of one size are worked out together, some hundred thousand cells at a
time, which is what a processor's own memory holds; only the comparison with the heights goes piece by piece.

Where a tool comes lowest: with u along the way, v beside it, h(r) the height of the tool's surface at the distance r
from its axis and m the slope, the height over a cell is the minimum of m s + h(sqrt((s - u)^2 + v^2)) over the s
between 0 and the length. h is convex and does not fall, so the sum is convex in s too, and its minimum over a part of
the way is the free minimum moved to the nearer end of that part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.domain.tool import Tool, ToolShape
from edge.gcode.model import Floats, Ints

Heights = NDArray[np.float32]

_NO_WAY = 1e-6
"""mm: a move whose way in X and Y is shorter goes straight up or down."""
_ALONG_AXIS = 1e-9
"""Of its length: how far a move may leave an axis that it is still along."""
_CELLS_AT_A_TIME = 1 << 17
_CELLS_OF_A_PIECE = 1000.0
"""What a piece costs besides its cells, in cells: how finely it pays to cut up a slanting move."""
_TOUCH = 1e-6
"""Of a cell: what lies so close outside a box is rounding."""
_RIM = 5e-7
"""Of a box: what lies so close outside a tool is the rounding of single precision."""
_FAR = 1e20
"""What a tool does not reach is lifted by this times the distance (squared) to it; mm, and so over every block."""
_UP, _EAST, _NORTH, _SLANTED = range(4)


@dataclass(frozen=True, slots=True)
class Grid:
    """nx times ny cells of cell_mm from the corner x0, y0, with material from bottom to top (mm)."""

    x0: float
    y0: float
    cell_mm: float
    nx: int
    ny: int
    bottom: float
    top: float


class Cutter(NamedTuple):
    """A milling tool's shape: radius and radius of the flat point mm, rise of a V's flank over its width."""

    shape: ToolShape
    radius: float
    point: float
    flank: float

    @classmethod
    def of(cls, tool: Tool) -> Cutter:
        """Return the shape of `tool`."""
        flank = 1.0 / math.tan(math.radians(tool.tip_angle) / 2) if tool.shape is ToolShape.V else 0.0
        return cls(tool.shape, tool.diameter / 2, min(tool.tip_diameter, tool.diameter) / 2, flank)

    def reach(self, depth: Floats) -> Floats:
        """Return how far from its axis the tool cuts when its tip is `depth` (mm, > 0) under the surface."""
        if self.shape is ToolShape.BALL:
            inside = np.minimum(depth, self.radius)
            return np.sqrt(inside * (2 * self.radius - inside))
        if self.shape is ToolShape.FLAT:
            return np.full_like(depth, self.radius)
        return np.minimum(self.point + depth / self.flank, self.radius)


@dataclass(frozen=True, slots=True)
class Pieces:
    """k pieces of moves in order, each rising or level, all (k,).

    move: which move it is of. x, y, z: its lower end, mm. east, north: its direction. length: its way in X and Y, mm.
    slope: its rise over that way. heading: along an axis, slanted or straight up. column, row, width, height: its box
    of cells.
    """

    move: Ints
    x: Floats
    y: Floats
    z: Floats
    east: Floats
    north: Floats
    length: Floats
    slope: Floats
    heading: Ints
    column: Ints
    row: Ints
    width: Ints
    height: Ints


class _Group(NamedTuple):
    """Pieces with boxes of one size: which, the heights the tool leaves there, and those that stood there before."""

    chosen: Ints
    swept: Heights
    before: Heights


def sweep(heights: Heights, grid: Grid, start: Floats, end: Floats, cutter: Cutter) -> Floats:
    """Lower `heights` (ny, nx) along the moves start to end (n, 3; mm); return the volumes (n,) in mm3 they take."""
    pieces = cut_up(grid, start, end, cutter)
    taken = np.zeros(len(pieces.move))
    share = np.cumsum(pieces.width * pieces.height) // _CELLS_AT_A_TIME
    kind = (pieces.height * (grid.nx + 1) + pieces.width) * 8 + pieces.heading * 2 + (pieces.slope > 0)
    kind += share * ((grid.ny + 1) * (grid.nx + 1) * 8)
    order = np.argsort(kind, kind="stable")
    edges = np.flatnonzero(np.diff(kind[order], prepend=-1, append=-1))
    ends = np.flatnonzero(np.diff(share, append=-1)) + 1
    first, group = 0, 0
    for stop in ends.tolist():
        groups = []
        while edges[group] < stop:
            chosen = order[edges[group] : edges[group + 1]]
            with np.errstate(invalid="ignore"):
                swept = lowest(pieces, chosen, grid, cutter)
            groups.append(_Group(chosen, swept, np.empty_like(swept)))
            group += 1
        _lower(heights, pieces, first, stop, groups)
        for chosen, swept, before in groups:
            after = np.fmin(before, swept, out=swept)
            taken[chosen] = np.subtract(before, after, out=before).reshape(len(chosen), -1).sum(axis=1)
        first = stop
    volumes = np.zeros(len(start))
    volumes += np.bincount(pieces.move, taken, len(start))
    return volumes * grid.cell_mm**2


def _lower(heights: Heights, pieces: Pieces, first: int, stop: int, groups: list[_Group]) -> None:
    """Lower the boxes of the pieces from `first` to `stop`, in their order; keep what stood there before."""
    boxes: list[tuple[Heights, Heights]] = [(heights, heights)] * (stop - first)
    for chosen, swept, before in groups:
        for place, box in zip((chosen - first).tolist(), zip(swept, before, strict=True), strict=True):
            boxes[place] = box
    part = slice(first, stop)
    row, column = pieces.row[part], pieces.column[part]
    places = (row, row + pieces.height[part], column, column + pieces.width[part])
    fmin = np.fmin
    for y0, y1, x0, x1, (swept, before) in zip(*(place.tolist() for place in places), boxes, strict=True):
        cells = heights[y0:y1, x0:x1]
        before[...] = cells
        fmin(cells, swept, out=cells)


def cut_up(grid: Grid, start: Floats, end: Floats, cutter: Cutter) -> Pieces:
    """Return the pieces of the moves (n, 3) that may touch the block, and the boxes of cells around them."""
    falling = (start[:, 2] > end[:, 2])[:, None]
    start, end = np.where(falling, end, start), np.where(falling, start, end)
    move, start, end = _within(grid, start, end, cutter.radius)
    way = end - start
    length = np.hypot(way[:, 0], way[:, 1])
    moving = length >= _NO_WAY
    length = np.where(moving, length, 0.0)
    divisor = np.where(moving, length, 1.0)
    east, north, slope = way[:, 0] / divisor, way[:, 1] / divisor, np.where(moving, way[:, 2] / divisor, 0.0)
    across = np.minimum(np.abs(east), np.abs(north))
    heading = np.where(np.abs(north) <= _ALONG_AXIS, _EAST, np.where(np.abs(east) <= _ALONG_AXIS, _NORTH, _SLANTED))
    heading = np.where(moving, heading, _UP)

    wide = 2 * cutter.reach(grid.top - start[:, 2]) / grid.cell_mm
    longest = np.sqrt((wide**2 + _CELLS_OF_A_PIECE) / np.maximum(np.abs(east * north), 1e-12)) * grid.cell_mm
    count = np.where(across > _ALONG_AXIS, np.ceil(length / longest), 1.0).astype(np.int64)
    count = np.maximum(count, 1)
    whole = np.repeat(np.arange(len(move)), count)
    step = np.arange(len(whole)) - np.repeat(np.cumsum(count) - count, count)
    begin = start[whole] + (step / count[whole])[:, None] * way[whole]
    finish = start[whole] + ((step + 1) / count[whole])[:, None] * way[whole]

    reach = cutter.reach(grid.top - begin[:, 2])
    low, high = np.minimum(begin, finish), np.maximum(begin, finish)
    column, width = _box(low[:, 0] - reach, high[:, 0] + reach, grid.x0, grid.cell_mm, grid.nx)
    row, height = _box(low[:, 1] - reach, high[:, 1] + reach, grid.y0, grid.cell_mm, grid.ny)
    touching = np.flatnonzero((width > 0) & (height > 0))
    whole = whole[touching]
    return Pieces(
        move=move[whole],
        x=begin[touching, 0],
        y=begin[touching, 1],
        z=begin[touching, 2],
        east=east[whole],
        north=north[whole],
        length=(length / count)[whole],
        slope=slope[whole],
        heading=heading[whole],
        column=column[touching],
        row=row[touching],
        width=width[touching],
        height=height[touching],
    )


def _within(grid: Grid, start: Floats, end: Floats, radius: float) -> tuple[Ints, Floats, Floats]:
    """Return (move, start, end) of the parts of rising moves with the tip under the block's top and near the block."""
    low = np.array([grid.x0 - radius, grid.y0 - radius, -np.inf])
    high = np.array([grid.x0 + grid.nx * grid.cell_mm + radius, grid.y0 + grid.ny * grid.cell_mm + radius, grid.top])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        way = end - start
        one, other = (low - start) / way, (high - start) / way
        inside = (start >= low) & (start <= high)
        enter = np.where(way == 0, np.where(inside, 0.0, np.inf), np.minimum(one, other)).max(axis=1)
        leave = np.where(way == 0, 1.0, np.maximum(one, other)).min(axis=1)
    enter, leave = np.maximum(enter, 0.0), np.minimum(leave, 1.0)
    move = np.flatnonzero((enter <= leave) & (start[:, 2] < grid.top) & np.isfinite(way).all(axis=1))
    start, way = start[move], way[move]
    return move, start + enter[move, None] * way, start + leave[move, None] * way


def _box(low: Floats, high: Floats, origin: float, cell: float, cells: int) -> tuple[Ints, Ints]:
    """Return (first cell, number of cells) of what lies from `low` to `high` (mm); none is 0 or less.

    The number is rounded up to one of four in each doubling, so that many boxes are alike.
    """
    first = np.maximum(np.ceil((low - origin) / cell - 0.5 - _TOUCH), 0.0).astype(np.int64)
    last = np.minimum(np.floor((high - origin) / cell - 0.5 + _TOUCH), cells - 1.0).astype(np.int64)
    exact = last - first + 1
    grain = 1 << np.maximum(np.frexp(np.maximum(exact - 1, 1))[1].astype(np.int64) - 3, 0)
    alike = np.minimum(-(-exact // grain) * grain, cells)
    return np.minimum(first, cells - alike), alike


def lowest(pieces: Pieces, chosen: Ints, grid: Grid, cutter: Cutter) -> Heights:
    """Return the lowest height of the tool over each cell of the boxes of the `chosen` pieces, which are alike.

    Shape (k, height, width), mm; NaN or far over the block where the tool does not come by.
    """
    one = chosen[0]
    cell = np.float32(grid.cell_mm)
    x = np.arange(int(pieces.width[one]), dtype=np.float32) * cell
    y = (np.arange(int(pieces.height[one]), dtype=np.float32) * cell)[:, None]
    x = x + _single(grid.x0 + (pieces.column[chosen] + 0.5) * grid.cell_mm - pieces.x[chosen])
    y = y + _single(grid.y0 + (pieces.row[chosen] + 0.5) * grid.cell_mm - pieces.y[chosen])
    east, north = _single(pieces.east[chosen]), _single(pieces.north[chosen])
    heading = int(pieces.heading[one])
    if heading == _SLANTED:
        along, across = x * east + y * north, x * north - y * east
    elif heading == _NORTH:
        along, across = y * north, x
    else:
        along, across = x * east, y
    length, z = _single(pieces.length[chosen]), _single(pieces.z[chosen])
    rim = _RIM * grid.cell_mm * max(int(pieces.width[one]), int(pieces.height[one]))
    limit = np.float32(cutter.radius * (cutter.radius + 2 * rim))
    if heading == _UP:
        swept = _level(x, y, z, cutter, limit)
    elif pieces.slope[one] == 0:
        along -= np.minimum(np.maximum(along, 0), length)
        swept = _level(along, across, z, cutter, limit)
    else:
        swept = _ramp(along, across, length, z, pieces.slope[chosen], cutter, limit)
    if pieces.z[chosen].min() < grid.bottom:
        np.maximum(swept, np.float32(grid.bottom), out=swept)
    return swept


def _single(values: Floats) -> Heights:
    """Return one number per piece so that it goes with boxes of cells."""
    return values.astype(np.float32)[:, None, None]


def _level(ahead: Heights, across: Heights, z: Heights, cutter: Cutter, limit: np.float32) -> Heights:
    """Return the heights over cells so far (mm) before an end of a way at the height z, and so far beside it.

    limit: the square of the radius up to which the tool is there.
    """
    ahead *= ahead
    across *= across
    if cutter.shape is ToolShape.BALL:
        return _ball(np.float32(cutter.radius**2) - across, ahead, z + np.float32(cutter.radius))
    distance = ahead + across
    if cutter.shape is ToolShape.FLAT:
        return _flat(distance, z, limit)
    return _cone(distance, z, cutter, limit)


def _ramp(
    along: Heights,
    across: Heights,
    length: Heights,
    z: Heights,
    slope: Floats,
    cutter: Cutter,
    limit: np.float32,
) -> Heights:
    """Return the heights over cells so far (mm) along and beside a way that rises by `slope` from the height z."""
    beside = across * across
    square = np.float32(cutter.radius**2) - beside
    behind = np.sqrt(np.maximum(square, 0))
    if cutter.shape is ToolShape.BALL:
        behind *= _single(slope / np.hypot(1.0, slope))
    elif cutter.shape is ToolShape.V:
        flat = np.sqrt(np.maximum(np.float32(cutter.point**2) - beside, 0))
        gentle = slope < cutter.flank
        rate = slope / np.sqrt(np.where(gentle, cutter.flank**2 - slope**2, 1.0))
        least = np.abs(across) * _single(np.where(gentle, rate, 0.0)) + _single(np.where(gentle, 0.0, _FAR))
        behind = np.minimum(np.maximum(flat, least), behind)
    place = along - behind
    np.maximum(place, 0, out=place)
    np.minimum(place, length, out=place)
    ahead = along - place
    ahead *= ahead
    place *= _single(slope)
    place += z + np.float32(cutter.radius) if cutter.shape is ToolShape.BALL else z
    if cutter.shape is ToolShape.BALL:
        return _ball(square, ahead, place)
    if cutter.shape is ToolShape.FLAT:
        return _flat(ahead + beside, place, limit)
    return _cone(ahead + beside, place, cutter, limit)


def _ball(square: Heights, ahead: Heights, middle: Heights) -> Heights:
    """Return the underside of a ball with its middle so high; square: R^2 less the squared distance beside.

    ahead: the squared distance ahead. Beyond the ball it is NaN, by the root of a negative number.
    """
    below: Heights = square - ahead
    np.sqrt(below, out=below)
    np.subtract(middle, below, out=below)
    return below


def _flat(distance: Heights, tip: Heights, limit: np.float32) -> Heights:
    """Return the underside of a flat tool at squared distances from its axis, which are used up."""
    distance -= limit
    np.maximum(distance, 0, out=distance)
    distance *= np.float32(_FAR)
    distance += tip
    return distance


def _cone(distance: Heights, tip: Heights, cutter: Cutter, limit: np.float32) -> Heights:
    """Return the underside of a V at squared distances from its axis, which are used up."""
    outside = _flat(distance.copy(), tip, limit)
    np.sqrt(distance, out=distance)
    distance -= np.float32(cutter.point)
    np.maximum(distance, 0, out=distance)
    distance *= np.float32(cutter.flank)
    distance += outside
    return distance
