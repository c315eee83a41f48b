# SPDX-License-Identifier: GPL-3.0-or-later
"""Arcs of a program: how far they turn, how far they reach, and the chords that GRBL makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.gcode.circles import PLANE_AXES
from edge.gcode.model import Bools, Floats, Ints, Kind, Segments

_NO_TURN = 5e-7
"""Radians: an arc that turns less than this is a full circle (GRBL's ARC_ANGULAR_TRAVEL_EPSILON)."""
_AXES = np.array(PLANE_AXES)


@dataclass(frozen=True, slots=True)
class ArcGeometry:
    """The m arcs of some segments: rows (m,), axes (m, 3) first, second, linear; radius mm; begin and turn rad.

    turn is signed: positive is counter-clockwise in the plane's axes.
    """

    rows: Ints
    axes: Ints
    centre: Floats
    radius: Floats
    begin: Floats
    turn: Floats

    def point(self, arc: Ints, share: Floats, start: Floats, end: Floats) -> Floats:
        """Return points (n, 3) of the arcs `arc` at `share` of their turn; start, end: those of the arcs."""
        every = np.arange(len(arc))
        angle = self.begin[arc] + self.turn[arc] * share
        points = np.empty((len(arc), 3))
        points[every, self.axes[arc, 0]] = self.centre[arc, 0] + self.radius[arc] * np.cos(angle)
        points[every, self.axes[arc, 1]] = self.centre[arc, 1] + self.radius[arc] * np.sin(angle)
        linear = self.axes[arc, 2]
        points[every, linear] = start[every, linear] + (end - start)[every, linear] * share
        return points


def arc_geometry(segments: Segments) -> ArcGeometry:
    """Return the geometry of all arcs of `segments`."""
    rows = segments.arc
    axes = _AXES[segments.arc_plane.astype(np.int64)].reshape(-1, 3)
    from_centre = np.take_along_axis(segments.start[rows], axes[:, :2], axis=1) - segments.arc_centre
    to_centre = np.take_along_axis(segments.end[rows], axes[:, :2], axis=1) - segments.arc_centre
    cross = from_centre[:, 0] * to_centre[:, 1] - from_centre[:, 1] * to_centre[:, 0]
    turn = np.arctan2(cross, (from_centre * to_centre).sum(axis=1))
    clockwise = segments.kind[rows] == Kind.ARC_CW
    turn[clockwise & (turn >= -_NO_TURN)] -= 2 * np.pi
    turn[~clockwise & (turn <= _NO_TURN)] += 2 * np.pi
    return ArcGeometry(
        rows=rows,
        axes=axes,
        centre=segments.arc_centre,
        radius=np.hypot(from_centre[:, 0], from_centre[:, 1]),
        begin=np.arctan2(from_centre[:, 1], from_centre[:, 0]),
        turn=turn,
    )


def extents(segments: Segments) -> tuple[Floats, Floats]:
    """Return (low, high), each (n, 3): what each segment reaches beyond its start; arcs by their true extent."""
    low, high = segments.end.copy(), segments.end.copy()
    low[segments.arc], high[segments.arc] = arc_extents(segments)
    return low, high


def arc_extents(segments: Segments) -> tuple[Floats, Floats]:
    """Return (low, high), each (m, 3): what each arc reaches beyond its start."""
    low, high = segments.end[segments.arc], segments.end[segments.arc]
    if not len(segments.arc):
        return low, high
    arcs = arc_geometry(segments)
    lowest = np.minimum(arcs.begin, arcs.begin + arcs.turn)
    highest = np.maximum(arcs.begin, arcs.begin + arcs.turn)
    for quarter in range(4):
        angle = quarter * np.pi / 2
        passed: Bools = np.floor((highest - angle) / (2 * np.pi)) > np.floor((lowest - angle) / (2 * np.pi))
        rows, axis = np.flatnonzero(passed), arcs.axes[passed, quarter % 2]
        reach = arcs.centre[passed, quarter % 2] + arcs.radius[passed] * (1 if quarter < 2 else -1)
        low[rows, axis] = np.minimum(low[rows, axis], reach)
        high[rows, axis] = np.maximum(high[rows, axis], reach)
    return low, high


def chord_counts(arcs: ArcGeometry, tolerance: float) -> Ints:
    """Return into how many chords each arc is cut when chords may be `tolerance` mm off it, at least 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        chord = np.sqrt(np.maximum(tolerance * (2 * arcs.radius - tolerance), 0.0))
        counts = np.floor(np.abs(0.5 * arcs.turn * arcs.radius) / chord)
    whole: Ints = np.clip(np.nan_to_num(counts, nan=1.0, posinf=1e6), 1, 1e6).astype(np.int64)
    return whole


def expand(segments: Segments, counts: Ints) -> tuple[Floats, Floats, Ints]:
    """Return (start, end, row) of all motions with arcs as chords: (k, 3), (k, 3), (k,) row of the segment."""
    arcs = arc_geometry(segments)
    if not len(arcs.rows):
        return segments.start, segments.end, np.arange(len(segments))
    pieces = np.ones(len(segments), dtype=np.int64)
    pieces[arcs.rows] = counts
    row = np.repeat(np.arange(len(segments)), pieces)
    end = segments.end[row]
    arc_of = np.full(len(segments), -1, dtype=np.int64)
    arc_of[arcs.rows] = np.arange(len(arcs.rows))
    step = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 1
    inner = (arc_of[row] >= 0) & (step < pieces[row])
    arc = arc_of[row[inner]]
    end[inner] = arcs.point(arc, step[inner] / counts[arc], segments.start[row[inner]], segments.end[row[inner]])
    start = segments.start[row].copy()
    start[1:][step[1:] > 1] = end[:-1][step[1:] > 1]
    return start, end, row
