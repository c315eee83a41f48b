# SPDX-License-Identifier: GPL-3.0-or-later
"""Strokes in a plane: lines and arcs, in mm or in units of a font."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Node(NamedTuple):
    """A point of a stroke and the bulge of the way to it: 0 a line, else the tangent of a quarter of the arc's angle.

    Positive bulges turn counter-clockwise.
    """

    x: float
    y: float
    bulge: float = 0.0


Stroke = tuple[Node, ...]


class Arc(NamedTuple):
    """The circle on which an arc lies: centre and radius, and its signed angle (rad)."""

    x: float
    y: float
    radius: float
    turn: float


def parse_stroke(text: str) -> Stroke:
    """Return the stroke that `x,y x,y@bulge ...` writes down."""
    nodes = []
    for token in text.split():
        point, _, bulge = token.partition("@")
        x, y = point.split(",")
        nodes.append(Node(float(x), float(y), float(bulge or 0.0)))
    return tuple(nodes)


def moved(stroke: Stroke, dx: float, dy: float, scale: float = 1.0) -> Stroke:
    """Return the stroke scaled about 0, 0 and then moved."""
    return tuple(Node(x * scale + dx, y * scale + dy, bulge) for x, y, bulge in stroke)


def reversed_stroke(stroke: Stroke) -> Stroke:
    """Return the stroke from its end to its beginning."""
    bulges = [0.0] + [-node.bulge for node in stroke[:0:-1]]
    return tuple(Node(node.x, node.y, bulge) for node, bulge in zip(stroke[::-1], bulges, strict=True))


def arc_between(start: Node, end: Node) -> Arc:
    """Return the circle of the arc from start to end; end.bulge must not be 0."""
    dx, dy = end.x - start.x, end.y - start.y
    # The centre lies off the middle of the chord by (1 - b^2) / 4b of it, to the left of it for b > 0.
    off = (1.0 - end.bulge**2) / (4.0 * end.bulge)
    x, y = (start.x + end.x) / 2 - dy * off, (start.y + end.y) / 2 + dx * off
    return Arc(x, y, math.hypot(start.x - x, start.y - y), 4.0 * math.atan(end.bulge))


def bounds(strokes: Iterable[Stroke]) -> tuple[float, float, float, float]:
    """Return x and y of the lowest and of the highest point (x0, y0, x1, y1), arcs by their true extent."""
    xs: list[float] = []
    ys: list[float] = []
    for stroke in strokes:
        for before, node in zip((stroke[0], *stroke), stroke, strict=False):
            xs.append(node.x)
            ys.append(node.y)
            if node.bulge:
                arc = arc_between(before, node)
                begin = math.atan2(before.y - arc.y, before.x - arc.x)
                low, high = sorted((begin, begin + arc.turn))
                for quarter in range(math.ceil(low / (math.pi / 2)), math.floor(high / (math.pi / 2)) + 1):
                    xs.append(arc.x + arc.radius * math.cos(quarter * math.pi / 2))
                    ys.append(arc.y + arc.radius * math.sin(quarter * math.pi / 2))
    return min(xs), min(ys), max(xs), max(ys)


def ordered(strokes: Iterable[Stroke]) -> list[Stroke]:
    """Return the strokes from left to right as given, each turned so that the way to its beginning is the shorter."""
    result: list[Stroke] = []
    for stroke in strokes:
        if result:
            last = result[-1][-1]
            to_first = math.hypot(stroke[0].x - last.x, stroke[0].y - last.y)
            to_last = math.hypot(stroke[-1].x - last.x, stroke[-1].y - last.y)
            if to_last < to_first:
                result.append(reversed_stroke(stroke))
                continue
        result.append(stroke)
    return result
