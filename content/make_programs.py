# SPDX-License-Identifier: GPL-3.0-or-later
"""Make program.nc and preview.svg of the three pieces: `python -m content.make_programs`.

All three are drawn here, in mm from the front left corner of the stock; run it again after a change, also of a
piece.toml, and commit what it wrote. It writes too by which hashes the service knows the pieces that it brings along.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from edge.design import compile_piece
from edge.design.path import Node, Stroke, arc_between, reversed_stroke
from edge.design.templates.name_tag import STOCK as TAG_STOCK
from edge.design.templates.name_tag import strokes as tag_strokes
from edge.design.writer import Cutting, GcodeWriter, number
from edge.store.library import SHIPPED
from wire.library import listing, read_folder

PROGRAMS = Path(__file__).parent / "programs"
TAG_TEXT = "INFOMOBIL"
GEAR_CUTTING = Cutting(feed=650.0, plunge=250.0, spindle=10000)
BOLT_CUTTING = Cutting(feed=800.0, plunge=250.0, spindle=10000)
CLOSED = 0.001
"""mm: a stroke that ends this near its beginning is closed; an open one is cut to and fro."""

GEAR_STOCK = (60.0, 60.0, 3.0)
GEAR_CENTRE = (30.0, 30.0)
TEETH = 14
ROOT_RADIUS, TIP_RADIUS = 20.0, 25.0
ROOT_SHARE, TIP_SHARE = 0.60, 0.28
"""Shares of a tooth's angle that the tooth takes at its root and at its tip."""
HUB_RADIUS, RING_RADIUS = 5.0, 13.0

BOLT_STOCK = (60.0, 60.0, 3.0)
HEAD_CENTRE = (30.0, 38.0)
HEAD_RADIUS = 19.0
SHANK_HALF = 7.0
SHANK_END = 4.0
THREADS = 4


def main() -> None:
    """Write the programs and previews of all pieces."""
    tag = compile_piece("name-tag", {"text": TAG_TEXT, "depth": "normal"})
    _write("name-tag", tag, TAG_STOCK, tag_strokes(TAG_TEXT))
    gear = gear_strokes()
    _write("gear", _in_passes("gear", GEAR_STOCK, GEAR_CUTTING, gear, (0.4, 0.8)), GEAR_STOCK, gear)
    bolt = bolt_strokes()
    _write("bolt", _in_passes("smiling bolt", BOLT_STOCK, BOLT_CUTTING, bolt, (0.25, 0.5, 0.75, 1.0)), BOLT_STOCK, bolt)
    SHIPPED.write_text(hashes(PROGRAMS), encoding="ascii", newline="\n")


def hashes(programs: Path) -> str:
    """Return name, bytes and SHA-256 of every file of the pieces in a folder, a line for each file."""
    pieces = []
    for folder in sorted(place for place in programs.iterdir() if place.is_dir()):
        files = listing(read_folder(folder))
        rows = ",\n".join(f"  {json.dumps([item.name, item.size, item.sha256])}" for item in files)
        pieces.append(f" {json.dumps(folder.name)}: [\n{rows}\n ]")
    return "{\n" + ",\n".join(pieces) + "\n}\n"


def circle(x: float, y: float, radius: float) -> Stroke:
    """Return a circle from its rightmost point, as two half turns."""
    return (Node(x + radius, y), Node(x - radius, y, 1.0), Node(x + radius, y, 1.0))


def arc(x: float, y: float, radius: float, begin: float, end: float) -> Stroke:
    """Return an arc between two angles in degrees, counter-clockwise where end > begin."""
    a, b = math.radians(begin), math.radians(end)
    return (
        Node(x + radius * math.cos(a), y + radius * math.sin(a)),
        Node(x + radius * math.cos(b), y + radius * math.sin(b), math.tan((b - a) / 4)),
    )


def gear_strokes() -> list[Stroke]:
    """Return the outline with its teeth, the ring, and the hub."""
    x, y = GEAR_CENTRE
    pitch = math.tau / TEETH

    def at(radius: float, angle: float, bulge: float = 0.0) -> Node:
        return Node(x + radius * math.cos(angle), y + radius * math.sin(angle), bulge)

    tip = math.tan(TIP_SHARE * pitch / 4)
    root = math.tan((1 - ROOT_SHARE) * pitch / 4)
    outline = [at(ROOT_RADIUS, -ROOT_SHARE * pitch / 2)]
    for tooth in range(TEETH):
        middle = tooth * pitch
        outline += [
            at(TIP_RADIUS, middle - TIP_SHARE * pitch / 2),
            at(TIP_RADIUS, middle + TIP_SHARE * pitch / 2, tip),
            at(ROOT_RADIUS, middle + ROOT_SHARE * pitch / 2),
            at(ROOT_RADIUS, middle + pitch - ROOT_SHARE * pitch / 2, root),
        ]
    return [circle(x, y, HUB_RADIUS), circle(x, y, RING_RADIUS), tuple(outline)]


def bolt_strokes() -> list[Stroke]:
    """Return head, face, shank and thread."""
    x, y = HEAD_CENTRE
    corners = [
        Node(x + HEAD_RADIUS * math.cos(math.radians(60 * n)), y + HEAD_RADIUS * math.sin(math.radians(60 * n)))
        for n in range(7)
    ]
    flat = HEAD_RADIUS * math.sqrt(3) / 2
    shank_top = y - flat
    shank = (
        Node(x - SHANK_HALF, shank_top),
        Node(x - SHANK_HALF, SHANK_END + 2),
        Node(x - SHANK_HALF + 2, SHANK_END),
        Node(x + SHANK_HALF - 2, SHANK_END),
        Node(x + SHANK_HALF, SHANK_END + 2),
        Node(x + SHANK_HALF, shank_top),
    )
    step = (shank_top - SHANK_END - 3) / (THREADS + 0.5)
    thread = [
        (
            Node(x - SHANK_HALF, shank_top - step * (n + 1)),
            Node(x + SHANK_HALF, shank_top - step * (n + 0.4)),
        )
        for n in range(THREADS)
    ]
    face = [
        arc(x - 5.5, y + 3.5, 2.2, 180, 0),
        arc(x + 5.5, y + 3.5, 2.2, 180, 0),
        arc(x, y + 1, 9.5, 205, 335),
        arc(x - 8.61, y - 3.01, 1.4, 100, 240),
        arc(x + 8.61, y - 3.01, 1.4, 300, 440),
    ]
    return [tuple(corners), circle(x, y, flat - 1.8), *face, shank, *thread]


def _in_passes(
    name: str, stock: tuple[float, float, float], cutting: Cutting, strokes: Iterable[Stroke], depths: Iterable[float]
) -> str:
    writer = GcodeWriter(cutting)
    size = " x ".join(f"{side:g}" for side in stock)
    writer.open(f"InfoMobil {name}, {size} mm", "Zero: front left corner, top of the stock")
    for stroke in strokes:
        for depth in depths:
            writer.cut(stroke, depth)
            if math.dist(stroke[0][:2], stroke[-1][:2]) > CLOSED:
                stroke = reversed_stroke(stroke)
    return writer.close()


def _write(name: str, program: str, stock: tuple[float, float, float], strokes: Iterable[Stroke]) -> None:
    folder = PROGRAMS / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.nc").write_text(program, encoding="ascii", newline="\n")
    (folder / "preview.svg").write_text(_svg(stock, strokes), encoding="ascii", newline="\n")


def _svg(stock: tuple[float, float, float], strokes: Iterable[Stroke]) -> str:
    width, height = stock[0], stock[1]
    paths = "\n".join(f'  <path d="{_path(stroke, height)}"/>' for stroke in strokes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" fill="none" stroke="currentColor"'
        f' stroke-width="0.9" stroke-linecap="round" stroke-linejoin="round">\n{paths}\n</svg>\n'
    )


def _path(stroke: Stroke, height: float) -> str:
    parts = [f"M{number(stroke[0].x)} {number(height - stroke[0].y)}"]
    for before, node in pairwise(stroke):
        end = f"{number(node.x)} {number(height - node.y)}"
        if node.bulge:
            circle_of = arc_between(before, node)
            radius = number(circle_of.radius)
            parts.append(f"A{radius} {radius} 0 {int(abs(circle_of.turn) > math.pi)} {int(node.bulge < 0)} {end}")
        else:
            parts.append(f"L{end}")
    return "".join(parts)


if __name__ == "__main__":
    main()
