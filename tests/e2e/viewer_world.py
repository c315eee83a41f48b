# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of programs as the service packs them: of the library's pieces, and of paths as long as one likes."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import interpret, plan
from edge.gcode.planner import MotionSettings, in_one_frame
from edge.gcode.scene import Scene, relief_bytes, scene_bytes, scene_of
from edge.gcode.stock import Relief, mill
from edge.gcode.tooling import tool_of
from tests.e2e.driving import Json, Van

LIBRARY = Path(__file__).resolve().parents[2] / "content" / "programs"

COLOURS = """(canvas) => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [64, 64];
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0, 64, 64);
  const { data } = context.getImageData(0, 0, 64, 64);
  const found = new Set();
  for (let at = 0; at < data.length; at += 4) found.add(`${data[at] >> 4} ${data[at + 1] >> 4} ${data[at + 2] >> 4}`);
  return found.size;
}"""
"""How many colours, coarsely, a canvas has: an empty one has one."""


@cache
def _piece(piece: str) -> tuple[bytes, Json, Block, dict[int, Tool]]:
    table = tomllib.loads((LIBRARY / piece / "piece.toml").read_text(encoding="utf-8"))
    cutter = table["cutter"]
    tool = Tool(
        0,
        table["tool"],
        ToolShape(cutter["shape"]),
        cutter["diameter_mm"],
        cutter["flute_mm"],
        cutter.get("tip_angle_deg", 90.0),
        cutter.get("tip_diameter_mm", 0.0),
    )
    block = Block.behind_zero(tuple(table["stock_mm"]))
    return (LIBRARY / piece / "program.nc").read_bytes(), table, block, {0: tool}


@cache
def piece_scene(piece: str) -> Scene:
    """Return the path of a piece of the library."""
    data, _, block, tools = _piece(piece)
    program = interpret(data, program_id=piece)
    path = in_one_frame(program.segments, None)
    return scene_of(program, path, plan(program, MotionSettings()), tool_of(program, tools), tools, block)


@cache
def scene_of_piece(piece: str) -> bytes:
    """Return what `GET .../scene` answers for a piece."""
    return scene_bytes(piece_scene(piece))


@cache
def relief_of_piece(piece: str, cells: int = 256) -> Relief:
    """Return what a piece's program leaves of its block."""
    data, _, block, tools = _piece(piece)
    return mill(interpret(data, program_id=piece), tools, block, cells=cells).relief


@cache
def stock_of_piece(piece: str, cells: int = 256) -> bytes:
    """Return what `GET .../stock` answers for a piece."""
    relief = relief_of_piece(piece, cells)
    return relief_bytes(relief, planned_mm3=relief.removed_mm3)


@cache
def long_scene(segments: int) -> bytes:
    """Return a pocket cleared in many layers of waves: `segments` short motions, with a rapid after each layer."""
    turn = 2000
    at = np.arange(segments + 1)
    layer, step = at // turn, at % turn
    across = step / turn
    radius = 8 + 36 * across + 3 * np.sin(11 * 2 * np.pi * across)
    angle = 2 * np.pi * 24 * across + 0.37 * layer
    points = np.stack([50 + radius * np.cos(angle), 50 + radius * np.sin(angle), -8.0 * layer / max(layer.max(), 1)], 1)
    kind = (step[1:] != 0).astype(np.uint8)
    points[1:][kind == 0, 2] = 3.0
    feed = np.where(kind == 1, 400 + 1200 * across[1:], 0.0).astype(np.float32)
    length = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1))
    seconds = np.cumsum(length / np.where(kind == 1, feed, 2400.0) * 60.0)
    scene = Scene(
        points=points.astype(np.float32),
        seconds=seconds.astype(np.float32),
        line=np.arange(1, segments + 1, dtype=np.uint32),
        feed=feed,
        kind=kind,
        tool=np.zeros(segments, np.uint8),
        tools=(Tool(1, "Ball 3 mm", ToolShape.BALL, 3.0, 12.0),),
        known=(True,),
        block=Block(Position(0.0, 0.0, -10.0), Position(100.0, 100.0, 0.0)),
        bounds=None,
        total_s=float(seconds[-1]),
        distance_mm=float(length.sum()),
        cut_mm=float(length[kind == 1].sum()),
        whole=True,
    )
    return scene_bytes(scene)


@cache
def waves(cells: int = 384) -> bytes:
    """Return a relief of waves over the block of `long_scene`."""
    place = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(place, place)
    heights = (-4.0 + 3.5 * np.sin(9 * x) * np.cos(7 * y)).astype(np.float32)
    relief = Relief(heights=heights, x0=0.0, y0=0.0, cell_mm=100.0 / cells, bottom=-10.0, top=0.0)
    return relief_bytes(relief, planned_mm3=relief.removed_mm3)


def check(**changes: Any) -> Json:
    """What the service says of a program with a doubt."""
    found = {
        "line": 41,
        "column": 1,
        "code": "banned-word",
        "severity": "warning",
        "message": "Too fast.",
        "words": ["G1", "Z-1"],
        "remedy": "Write a smaller F.",
    }
    value = {
        "lines": 190,
        "seconds": 72.4,
        "distance_mm": 1800.0,
        "cut_mm": 1300.0,
        "bounds": {"x": [0, 60], "y": [0, 60], "z": [-1.5, 5]},
        "errors": 0,
        "warnings": 1,
        "tools": [0],
        "diagnostics": [found],
        "digest": "a" * 64,
    }
    return {**value, **changes}


def with_pictures(van: Van) -> None:
    """Answer with the gear's picture and its check, also where it is cut for a job."""
    for what in ("programs/gear", *(f"jobs/j{number}" for number in range(1, 5))):
        van.answers["GET", f"/api/{what}/scene"] = (200, scene_of_piece("gear"))
        van.answers["GET", f"/api/{what}/stock"] = (200, stock_of_piece("gear"))
        van.answers["GET", f"/api/{what}/check"] = (200, check())
