# SPDX-License-Identifier: GPL-3.0-or-later
"""Straight moves of a milling tool, cut up into pieces with a box of cells around each.

A move is cut to what can touch the block, and a long slanting one into parts, so that the boxes hold little that the
tool does not reach. Of a move that goes on where the one before it has ended, what that one took is left out: with
short moves it is the half behind the tool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from edge.domain.tool import Tool, ToolShape
from edge.gcode.model import Bools, Floats, Ints

_NO_WAY = 1e-6
"""mm: a move whose way in X and Y is shorter goes straight up or down."""
_ALONG_AXIS = 1e-9
"""Of its length: how far a move may leave an axis that it is still along."""
_CELLS_OF_A_PIECE = 1000.0
"""What a piece costs besides its cells, in cells: how finely it pays to cut up a slanting move."""
_TOUCH = 1e-6
"""Of a cell: what lies so close outside a box is rounding."""


class Heading(IntEnum):
    """Where a piece goes, seen from above."""

    UP = 0
    X = 1
    Y = 2
    SLANTED = 3


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

    def ahead(self, slope: Floats) -> Floats:
        """Return how far ahead of its axis, at most, the tool is lowest over a cell on a way that rises by `slope`."""
        if self.shape is ToolShape.BALL:
            return self.radius * slope / np.hypot(1.0, slope)
        return np.where(slope > 0, self.radius, 0.0)


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


def cut_up(grid: Grid, start: Floats, end: Floats, cutter: Cutter) -> Pieces:
    """Return the pieces of the moves (n, 3) that may touch the block, and the boxes of cells around them.

    What a move does not take because the one before it has ended there is left out of its boxes: of short moves, the
    half behind the tool.
    """
    turned = _turned(start, end)
    follows = _follows(start, end)
    start, end = np.where(turned[:, None], end, start), np.where(turned[:, None], start, end)
    move, start, end = _within(grid, start, end, cutter.radius)
    turned, follows = turned[move], follows[move]
    way = end - start
    length = np.hypot(way[:, 0], way[:, 1])
    moving = length >= _NO_WAY
    length = np.where(moving, length, 0.0)
    divisor = np.where(moving, length, 1.0)
    east, north, slope = (np.where(moving, way[:, axis] / divisor, 0.0) for axis in range(3))
    heading = np.where(
        np.abs(north) <= _ALONG_AXIS, Heading.X, np.where(np.abs(east) <= _ALONG_AXIS, Heading.Y, Heading.SLANTED)
    )
    heading = np.where(moving, heading, Heading.UP)

    wide = 2 * cutter.reach(grid.top - start[:, 2]) / grid.cell_mm
    with np.errstate(divide="ignore"):
        longest = np.sqrt((wide**2 + _CELLS_OF_A_PIECE) / np.abs(east * north)) * grid.cell_mm
    count = np.where(heading == Heading.SLANTED, np.maximum(np.ceil(length / longest), 1.0), 1.0).astype(np.int64)
    # Straight up out of what the move before has cut there is nothing to take.
    count[(heading == Heading.UP) & follows & ~turned] = 0
    whole = np.repeat(np.arange(len(move)), count)
    step = np.arange(len(whole)) - np.repeat(np.cumsum(count) - count, count)
    begin = start[whole] + (step / count[whole])[:, None] * way[whole]
    finish = start[whole] + ((step + 1) / count[whole])[:, None] * way[whole]

    reach = cutter.reach(grid.top - begin[:, 2])
    cut_before = (follows & ~turned)[whole] | (step > 0)
    behind = np.where(cut_before, 0.0, reach)
    ahead = np.where((follows & turned)[whole] & (step == count[whole] - 1), cutter.ahead(slope[whole]), reach)
    sides = (east[whole], north[whole])
    boxes = [
        _box(*_span(begin[:, axis], finish[:, axis], sides[axis], reach, behind, ahead), origin, grid.cell_mm, cells)
        for axis, origin, cells in ((0, grid.x0, grid.nx), (1, grid.y0, grid.ny))
    ]
    (column, width), (row, height) = boxes
    touching = np.flatnonzero((width > 0) & (height > 0))
    whole = whole[touching]
    return Pieces(
        move=move[whole],
        x=begin[touching, 0],
        y=begin[touching, 1],
        z=begin[touching, 2],
        east=east[whole],
        north=north[whole],
        length=(length / np.maximum(count, 1))[whole],
        slope=slope[whole],
        heading=heading[whole],
        column=column[touching],
        row=row[touching],
        width=width[touching],
        height=height[touching],
    )


def _turned(start: Floats, end: Floats) -> Bools:
    """Return which moves (n, 3) are worked out from their end: falling ones, and of level ones those to the left.

    So the same way has the same cells to the last bit in both directions, and a way back takes nothing.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        east, north, rise = (end - start).T
    turned: Bools = (rise < 0) | ((rise == 0) & ((east < 0) | ((east == 0) & (north < 0))))
    return turned


def _follows(start: Floats, end: Floats) -> Bools:
    """Return for each move (n, 3) whether it begins where the one before it has ended."""
    follows = np.zeros(len(start), dtype=np.bool_)
    np.logical_and.reduce((start[1:] == end[:-1]) & np.isfinite(start[:-1]), axis=1, out=follows[1:])
    return follows


def _span(
    begin: Floats, finish: Floats, direction: Floats, reach: Floats, behind: Floats, ahead: Floats
) -> tuple[Floats, Floats]:
    """Return (low, high) along an axis of what a tool takes on a way: `reach` beside it, and so far before its ends.

    direction: the share of the way along the axis. behind: how far the tool takes something before the beginning of
    the way, measured along it; ahead: the same after its end.
    """
    share = np.abs(direction)
    aside = np.sqrt(np.maximum(1.0 - share**2, 0.0))
    before, after = (
        np.where(share * reach <= far, reach, share * far + aside * np.sqrt(np.maximum(reach**2 - far**2, 0.0)))
        for far in (behind, ahead)
    )
    forward = direction >= 0
    low = np.where(forward, begin - before, finish - after)
    high = np.where(forward, finish + after, begin + before)
    return low, high


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
