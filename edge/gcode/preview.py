# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of a program with few points, for screens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge.gcode.arcs import arc_geometry, expand
from edge.gcode.model import Bools, Ints, Kind, Program

_CHORD_TURN = np.pi / 18
_MOST_CHORDS = 72


class PreviewPoint(NamedTuple):
    """A point of the path, mm; rapid: whether the way *to* it is a rapid; line: of the source, 1-based."""

    x: float
    y: float
    z: float
    rapid: bool
    line: int


def path_preview(program: Program, max_points: int = 2000) -> list[PreviewPoint]:
    """Return the path as at most `max_points` points (at least 2), beginning at the start of the first motion.

    Arcs become chords of at most 10 degrees. When the path has more points than asked for, points are kept at even
    distances along it, and where it has room also where a rapid begins or ends.
    """
    segments = program.segments
    if not len(segments):
        return []
    arcs = arc_geometry(segments)
    counts = np.clip(np.ceil(np.abs(arcs.turn) / _CHORD_TURN), 1, _MOST_CHORDS).astype(np.int64)
    if counts.sum() > 20 * max_points:
        counts = np.maximum(counts * 20 * max_points // counts.sum(), 1)
    start, end, row = expand(segments, counts)
    points = np.vstack([start[:1], end])
    rapid = np.concatenate([[True], segments.kind[row] == Kind.RAPID])
    lines = program.segment_lines[row]
    lines = np.concatenate([lines[:1], lines])
    kept = _kept(points, rapid, max(max_points, 2))
    return [
        PreviewPoint(x, y, z, is_rapid, line)
        for (x, y, z), is_rapid, line in zip(
            np.round(points[kept], 3).tolist(), rapid[kept].tolist(), lines[kept].tolist(), strict=True
        )
    ]


def _kept(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rapid: Bools, most: int) -> Ints:
    """Return the indices of the points to keep, in order."""
    count = len(points)
    if count <= most:
        return np.arange(count)
    corners = np.zeros(count, dtype=np.bool_)
    corners[:-1] = rapid[:-1] != rapid[1:]
    corners[0] = corners[-1] = True
    room = most - int(corners.sum())
    if room < most // 2:
        corners[1:-1] = False
        room = most - 2
    length = np.concatenate([[0.0], np.cumsum(np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1)))])
    along = np.searchsorted(length, np.linspace(0.0, length[-1], max(room, 2))[: max(room, 0)])
    corners[np.minimum(along, count - 1)] = True
    kept = np.flatnonzero(corners)
    return kept[:most] if len(kept) <= most else kept[np.linspace(0, len(kept) - 1, most).astype(np.int64)]
