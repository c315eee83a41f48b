# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of a program for eyes: with few points for screens, and as a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge.gcode.arcs import arc_geometry, expand
from edge.gcode.model import Bools, Floats, Ints, Kind, Program
from edge.gcode.solid import Pixels, png_of

_CHORD_TURN = np.pi / 18
_MOST_CHORDS = 72
_FINE = 2
"""The picture is drawn so many times as large and then made smaller, for smooth lines."""
_MARGIN = 16
_MOST_SAMPLES = 30_000_000
_FARTHEST_MM = 1e7
_PAPER = np.array([250, 250, 247], dtype=np.uint8)
_ZERO = np.array([214, 218, 224], dtype=np.uint8)
_RAPID = np.array([136, 144, 154], dtype=np.uint8)
_HIGH, _LOW = np.array([66.0, 146.0, 198.0]), np.array([120.0, 28.0, 60.0])
"""The colours of the highest and of the lowest cut."""


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


def _kept(points: Floats, rapid: Bools, most: int) -> Ints:
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


def path_png(program: Program, longer: int = 1200) -> bytes:
    """Return a PNG of the path from above, `longer` pixels along its longer side: rapids grey, cuts by their depth.

    The thin cross is the program's zero. A path that has no width in X or Y is seen from the side.
    """
    segments = program.segments
    counts = np.clip(np.ceil(np.abs(arc_geometry(segments).turn) / (_CHORD_TURN / 4)), 1, 4 * _MOST_CHORDS)
    start, end, row = expand(segments, counts.astype(np.int64))
    start, end = (np.clip(np.nan_to_num(points), -_FARTHEST_MM, _FARTHEST_MM) for points in (start, end))
    rapid = segments.kind[row] == Kind.RAPID
    axes, scale, low, shape = _sheet(start, end, longer * _FINE)
    picture = np.empty((*shape, 3), dtype=np.uint8)
    picture[:] = _PAPER
    origin = np.rint((0.0 - low) * scale).astype(np.int64) + _MARGIN * _FINE
    if 0 <= origin[0] < shape[1]:
        picture[:, origin[0]] = _ZERO
    if 0 <= origin[1] < shape[0]:
        picture[origin[1], :] = _ZERO
    height = end[:, 2]
    cuts = height[~rapid]
    depth = (cuts.max() - height) / max(float(np.ptp(cuts)), 1e-9) if len(cuts) else np.zeros(len(height))
    colour = (_HIGH + (_LOW - _HIGH) * np.clip(depth, 0.0, 1.0)[:, None]).astype(np.uint8)
    colour[rapid] = _RAPID
    for chosen, width in ((np.flatnonzero(rapid), _FINE), (np.flatnonzero(~rapid), 2 * _FINE)):
        places = [((points[chosen][:, axes] - low) * scale + _MARGIN * _FINE) for points in (start, end)]
        _draw(picture, places[0], places[1], colour[chosen], width)
    sums = np.zeros((shape[0] // _FINE, shape[1] // _FINE, 3), dtype=np.uint16)
    for y in range(_FINE):
        for x in range(_FINE):
            sums += picture[y::_FINE, x::_FINE]
    return png_of((sums // _FINE**2).astype(np.uint8)[::-1])


def _sheet(start: Floats, end: Floats, longer: int) -> tuple[list[int], float, Floats, tuple[int, int]]:
    """Return what is drawn to the right and up, pixels per mm, the mm at the lower left, and the (height, width)."""
    low, high = np.minimum(start.min(axis=0), end.min(axis=0)), np.maximum(start.max(axis=0), end.max(axis=0))
    size = high - low
    axes = [0, 1]
    if size[2] > 0 and not size[:2].all():
        axes = [0, 2] if size[0] > 0 else [1, 2]
    low, size = low[axes], size[axes]
    scale = longer / max(float(size.max()), 1e-6)
    width, height = (int(np.ceil(edge * scale)) // _FINE * _FINE + (2 * _MARGIN + 2) * _FINE for edge in size)
    return axes, scale, low, (height, width)


def _draw(picture: Pixels, start: Floats, end: Floats, colour: Pixels, width: int) -> None:
    """Draw lines of `width` pixels, the later ones over the earlier; start, end (n, 2) in pixels, right and up."""
    if not len(start):
        return
    steps = np.ceil(np.abs(end - start).max(axis=1)).astype(np.int64) + 1
    total = int(steps.sum())
    if total > _MOST_SAMPLES:
        steps = np.maximum(steps * _MOST_SAMPLES // total, 1)
    for part in np.array_split(np.arange(len(steps)), max(1, int(steps.sum()) // 2_000_000)):
        row = np.repeat(part, steps[part])
        first = np.cumsum(steps[part]) - steps[part]
        share = (np.arange(len(row)) - np.repeat(first, steps[part])) / np.repeat(
            np.maximum(steps[part] - 1, 1), steps[part]
        )
        place = np.rint(start[row] + (end - start)[row] * share[:, None]).astype(np.int64)
        for up in range(width):
            for right in range(width):
                picture[place[:, 1] + up - width // 2, place[:, 0] + right - width // 2] = colour[row]
