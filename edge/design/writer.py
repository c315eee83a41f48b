# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes strokes as G-code that GRBL and a reader like: one motion a line, arcs as arcs, no word without a change.

Z 0 is the top of the stock. The tool travels between strokes a little above the stock and far at the clearance
height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge.design.path import Node, Stroke, arc_between

CLEARANCE = 5.0
HOP = 1.0
_JOINED = 0.005


@dataclass(frozen=True, slots=True)
class Cutting:
    """Feed and plunge feed, mm/min, and spindle speed, rev/min."""

    feed: float
    plunge: float
    spindle: int


def number(value: float) -> str:
    """Return a coordinate with three decimals at most and no `-0`."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _rounded(node: Node) -> Node:
    return Node(round(node.x, 3), round(node.y, 3), node.bulge)


@dataclass(slots=True)
class GcodeWriter:
    """One program: opened, strokes, closed."""

    cutting: Cutting
    _lines: list[str] = field(default_factory=list)
    _at: Node | None = None
    _depth: float | None = None
    _feed: float | None = None

    def open(self, *comments: str) -> None:
        """Begin: units, absolute coordinates, tool up, spindle on and given its time to come to speed."""
        self._lines += [f"({comment})" for comment in comments]
        self._lines += ["G21 G90 G17 G94", f"G0 Z{number(CLEARANCE)}", f"M3 S{self.cutting.spindle}", "G4 P2"]

    def comment(self, text: str) -> None:
        """Write a comment."""
        self._lines.append(f"({text})")

    def cut(self, stroke: Stroke, depth: float) -> None:
        """Cut along a stroke at `depth` mm under the top of the stock (positive)."""
        first = _rounded(stroke[0])
        if self._at is None or math.hypot(first.x - self._at.x, first.y - self._at.y) > _JOINED:
            self._travel(first)
        if self._depth != depth:
            self._lines.append(self._fed(f"G1 Z{number(-depth)}", self.cutting.plunge))
            self._depth = depth
        before = first
        for node in stroke[1:]:
            after = _rounded(node)
            if (after.x, after.y) != (before.x, before.y):
                self._cut_to(before, after)
            before = after
        self._at = before

    def close(self) -> str:
        """End: tool up, spindle off, back to the zero, and return the text of the program."""
        self._lines += [f"G0 Z{number(CLEARANCE)}", "M5", "G0 X0 Y0", "M30"]
        return "\n".join(self._lines) + "\n"

    def _travel(self, to: Node) -> None:
        hop, place = f"G0 Z{number(HOP)}", f"G0 X{number(to.x)} Y{number(to.y)}"
        self._lines += [place, hop] if self._at is None else [hop, place]
        self._depth = None

    def _cut_to(self, before: Node, after: Node) -> None:
        place = f"X{number(after.x)} Y{number(after.y)}"
        if not after.bulge:
            self._lines.append(self._fed(f"G1 {place}", self.cutting.feed))
            return
        arc = arc_between(before, after)
        word = "G3" if after.bulge > 0 else "G2"
        centre = f"I{number(arc.x - before.x)} J{number(arc.y - before.y)}"
        self._lines.append(self._fed(f"{word} {place} {centre}", self.cutting.feed))

    def _fed(self, line: str, feed: float) -> str:
        if feed == self._feed:
            return line
        self._feed = feed
        return f"{line} F{number(feed)}"
