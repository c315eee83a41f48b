# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to cut moves into a grid of cells, reckoned before it is done: pictures must have an end.

The unit is one cell that is compared: some 3 ns, and several times that on a small computer. Rather too much than
too little is reckoned: what lies beside the block or was taken by the move before is counted too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edge.domain.block import Block
from edge.domain.errors import Refused
from edge.domain.machine import Position
from edge.domain.tool import Tool
from edge.gcode.model import Floats, Program
from edge.gcode.stock import CHORD_SHARE, straight_moves
from edge.gcode.tooling import tool_of

PER_MOVE = 1_000.0
"""What a move costs besides its cells."""
PER_CELL_OF_WAY = 60.0
"""What a move costs besides those for each cell of its way: a slanting one is cut up into boxes that hold more."""
BUDGET = 1.5e9
"""What one picture may cost: a million moves across a finger's breadth."""
LEAST_CELLS = 64
"""Along the longer side: with fewer there is little to be seen."""


def effort(start: Floats, end: Floats, radius: Floats, block: Block, cells: int) -> Floats:
    """Return what moves (n, 3; mm) with tools of such radii (n,) cost (n,), in `cells` along the longer side."""
    x, y, _ = block.size
    per_mm = cells / max(x, y)
    way, wide = np.hypot(*(end - start)[:, :2].T) * per_mm, 2 * radius * per_mm
    # What is no number counts as the whole block.
    costs: Floats = PER_MOVE + np.fmin(wide * (way + wide) + PER_CELL_OF_WAY * way, x * y * per_mm**2)
    return costs


def affordable(
    program: Program, tools: Mapping[int, Tool], block: Block, cells: int, work_offset: Position | None
) -> int:
    """Return into how many cells along its longer side `block` may be cut: `cells`, or fewer for very many moves.

    work_offset as in edge.gcode.stock.mill. Raises Refused for a program of which no picture can be made.
    """
    if len(program.segments) * PER_MOVE > BUDGET:
        raise _too_long(len(program.segments))
    index, used = tool_of(program, tools)
    start, end, row = straight_moves(program.segments, CHORD_SHARE * max(block.size[:2]) / cells, work_offset)
    radius = np.array([tool.diameter / 2 for tool in used], dtype=np.float64)[index[row]]
    cost, least = float(effort(start, end, radius, block, cells).sum()), PER_MOVE * len(row)
    if cost <= BUDGET:
        return cells
    fewer = int(cells * math.sqrt(max(BUDGET - least, 0.0) / (cost - least)))
    if fewer < min(LEAST_CELLS, cells):
        raise _too_long(len(row))
    return fewer


def _too_long(moves: int) -> Refused:
    return Refused(
        code="too-many-moves",
        what="What this program leaves of the material is not shown.",
        why=f"It has {moves} moves, and reckoning them would keep the computer busy for too long.",
        remedy="Look at its path. Its check does not depend on this picture.",
    )
