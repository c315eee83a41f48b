# SPDX-License-Identifier: GPL-3.0-or-later
"""Arcs of one line as the controller reckons them, and how far off a circle it lets them be. Lengths mm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge.gcode.model import Kind

PLANE_AXES = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
"""First, second and linear axis of G17, G18, G19."""
ARC_TOLERANCE = 0.005
ARC_TOLERANCE_LARGE = 0.5
ARC_TOLERANCE_SHARE = 0.001
"""mm, mm, share of the radius: by how much start and end radius of an arc may differ (error:33)."""
ROUNDING = 1e-4
ROUNDING_SHARE = 2.5e-7
"""mm, share of the radius: how far the controller's single precision may be off, depending on its zero."""


def radius_offset(x: float, y: float, radius: float, *, clockwise: bool) -> tuple[float, float] | None:
    """Return the centre of an R arc relative to its start, or None where the radius does not reach.

    x, y: end relative to start, not both zero. A negative radius asks for the longer of the two arcs.
    """
    square = 4.0 * radius * radius - x * x - y * y
    if square < 0.0:
        return None
    h = -math.sqrt(square) / math.hypot(x, y)
    if not clockwise:
        h = -h
    if radius < 0:
        h = -h
    return 0.5 * (x - y * h), 0.5 * (y + x * h)


def ends_agree(end_radius: float, start_radius: float) -> bool:
    """Return whether GRBL takes both ends as being on one circle, whatever its rounding does."""
    off = abs(end_radius - start_radius) + ROUNDING + ROUNDING_SHARE * start_radius
    return off <= ARC_TOLERANCE or (off <= ARC_TOLERANCE_LARGE and off <= ARC_TOLERANCE_SHARE * start_radius)


def tight(radius: float, chord: float) -> bool:
    """Return whether an arc is so close to half a circle that rounding makes its radius too short (error:34)."""
    return 2.0 * radius - chord < ROUNDING + ROUNDING_SHARE * radius


def arc_length(
    start: Sequence[float], end: Sequence[float], centre: tuple[float, float], kind: Kind, plane: int
) -> float:
    """Return how long an arc is that is no more than one turn, mm."""
    first, second, linear = PLANE_AXES[plane]
    radius = math.hypot(start[first] - centre[0], start[second] - centre[1])
    angle = math.atan2(end[second] - centre[1], end[first] - centre[0]) - math.atan2(
        start[second] - centre[1], start[first] - centre[0]
    )
    turn = angle % math.tau or math.tau
    if kind is Kind.ARC_CW:
        turn = math.tau - angle % math.tau
    return math.hypot(radius * turn, end[linear] - start[linear])
