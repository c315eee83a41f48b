# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight moves of a tool over a grid of heights: many at a time, and each still after the one before it.

Pieces whose boxes have one size are worked out together, some hundred thousand cells at a time, which is what a
processor's own memory holds; only the comparison with the heights goes piece by piece.

Where a tool comes lowest: with u along the way, v beside it, h(r) the height of the tool's surface at the distance r
from its axis and m the slope, the height over a cell is the minimum of m s + h(sqrt((s - u)^2 + v^2)) over the s
between 0 and the length. h is convex and does not fall, so the sum is convex in s too, and its minimum over a part of
the way is the free minimum moved to the nearer end of that part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.domain.tool import ToolShape
from edge.gcode.model import Floats, Ints
from edge.gcode.pieces import Cutter, Grid, Heading, Pieces, cut_up

Heights = NDArray[np.float32]

_CELLS_AT_A_TIME = 1 << 18
_RIM = 5e-7
"""Of a piece's length and the tool's diameter: what lies so close outside a tool is single precision's rounding."""
_FAR = 1e20
"""What a tool does not reach is lifted by this times the distance (squared) to it; mm, and so over every block."""


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


def lowest(pieces: Pieces, chosen: Ints, grid: Grid, cutter: Cutter) -> Heights:
    """Return the lowest height of the tool over each cell of the boxes of the `chosen` pieces, which are alike.

    Shape (k, height, width), mm; NaN or far over the block where the tool does not come by.
    """
    one = chosen[0]
    column = pieces.column[chosen, None] + (np.arange(int(pieces.width[one])) + 0.5)
    row = pieces.row[chosen, None] + (np.arange(int(pieces.height[one])) + 0.5)
    x = (grid.x0 + column * grid.cell_mm - pieces.x[chosen, None]).astype(np.float32)[:, None, :]
    y = (grid.y0 + row * grid.cell_mm - pieces.y[chosen, None]).astype(np.float32)[:, :, None]
    east, north = _single(pieces.east[chosen]), _single(pieces.north[chosen])
    heading = int(pieces.heading[one])
    if heading == Heading.SLANTED:
        along, across = x * east + y * north, x * north - y * east
    elif heading == Heading.Y:
        along, across = y * north, x
    else:
        along, across = x * east, y
    length, z = _single(pieces.length[chosen]), _single(pieces.z[chosen])
    limit = _single(cutter.radius * (cutter.radius + 2 * _RIM * (2 * cutter.radius + pieces.length[chosen])))
    if heading == Heading.UP:
        swept = _level(x, y, z, cutter, limit)
    elif pieces.slope[one] == 0:
        nearest = np.maximum(along, 0)
        np.minimum(nearest, length, out=nearest)
        along -= nearest
        swept = _level(along, across, z, cutter, limit)
    else:
        swept = _ramp(along, across, length, z, pieces.slope[chosen], cutter, limit)
    if pieces.z[chosen].min() < grid.bottom:
        np.maximum(swept, np.float32(grid.bottom), out=swept)
    return swept


def _single(values: Floats) -> Heights:
    """Return one number per piece so that it goes with boxes of cells."""
    return values.astype(np.float32)[:, None, None]


def _level(ahead: Heights, across: Heights, z: Heights, cutter: Cutter, limit: Heights) -> Heights:
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
    limit: Heights,
) -> Heights:
    """Return the heights over cells so far (mm) along and beside a way that rises by `slope` from the height z."""
    beside = across * across
    square = np.float32(cutter.radius**2) - beside
    behind = np.maximum(square, 0)
    np.sqrt(behind, out=behind)
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
    ahead += beside
    if cutter.shape is ToolShape.FLAT:
        return _flat(ahead, place, limit)
    return _cone(ahead, place, cutter, limit)


def _ball(square: Heights, ahead: Heights, middle: Heights) -> Heights:
    """Return the underside of a ball with its middle so high; square: R^2 less the squared distance beside.

    ahead: the squared distance ahead. Beyond the ball it is NaN, by the root of a negative number.
    """
    below: Heights = square - ahead
    np.sqrt(below, out=below)
    np.subtract(middle, below, out=below)
    return below


def _flat(distance: Heights, tip: Heights, limit: Heights) -> Heights:
    """Return the underside of a flat tool at squared distances from its axis, which are used up."""
    distance -= limit
    np.maximum(distance, 0, out=distance)
    distance *= np.float32(_FAR)
    distance += tip
    return distance


def _cone(distance: Heights, tip: Heights, cutter: Cutter, limit: Heights) -> Heights:
    """Return the underside of a V at squared distances from its axis, which are used up."""
    outside = _flat(distance.copy(), tip, limit)
    np.sqrt(distance, out=distance)
    distance -= np.float32(cutter.point)
    np.maximum(distance, 0, out=distance)
    distance *= np.float32(cutter.flank)
    distance += outside
    return distance
