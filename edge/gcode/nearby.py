# SPDX-License-Identifier: GPL-3.0-or-later
"""Which moves come near others, seen from above: of a long program only those matter to what a few of them meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.domain.block import Block
from edge.gcode.arcs import extents
from edge.gcode.model import Bools, Floats, Ints, Segments

_FIELDS = 512
"""Along each side of the block: the finer, the fewer moves seem near."""
_Places = NDArray[np.int64]


def nearby(segments: Segments, rows: Ints, radius: Floats, block: Block) -> Bools:
    """Return which of the segments (n,) may touch, over the block, what one of the segments `rows` touches.

    radius: (n,) mm of the tool of each. What does not come over the block is near nothing.
    """
    low, high = extents(segments)
    x = _fields(segments.start[:, 0], low[:, 0], high[:, 0], radius, block.low.x, block.size[0])
    y = _fields(segments.start[:, 1], low[:, 1], high[:, 1], radius, block.low.y, block.size[1])
    over = (x[0] <= x[1]) & (y[0] <= y[1])
    wanted = rows[over[rows]]
    # Each box raises its corners by one or lowers them, so that the running sum is how many boxes lie over a field.
    corners = np.zeros((_FIELDS + 1, _FIELDS + 1), dtype=np.int64)
    for one, sign in ((0, 1), (1, -1)):
        for other, opposite in ((0, 1), (1, -1)):
            np.add.at(corners, (y[one][wanted] + one, x[other][wanted] + other), sign * opposite)
    touched = corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    total = np.zeros((_FIELDS + 1, _FIELDS + 1), dtype=np.int64)
    total[1:, 1:] = touched.cumsum(axis=0).cumsum(axis=1)
    near = np.zeros(len(segments), dtype=np.bool_)
    left, right, front, back = x[0][over], x[1][over] + 1, y[0][over], y[1][over] + 1
    near[over] = total[back, right] - total[front, right] - total[back, left] + total[front, left] > 0
    return near


def _fields(
    start: Floats, low: Floats, high: Floats, radius: Floats, begin: float, length: float
) -> tuple[_Places, _Places]:
    """Return first and last field of each segment; where it is beside the block the first is behind the last."""
    first = (np.minimum(start, low) - radius - begin) * (_FIELDS / length)
    last = (np.maximum(start, high) + radius - begin) * (_FIELDS / length)
    # What is no number may be anywhere.
    first = np.clip(np.floor(np.nan_to_num(first, nan=0.0)), 0, _FIELDS)
    last = np.clip(np.floor(np.nan_to_num(last, nan=_FIELDS)), -1, _FIELDS - 1)
    return first.astype(np.int64), last.astype(np.int64)
