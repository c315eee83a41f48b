# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for the eye: its whole path as flat arrays, and what is left of the material as a map of heights.

Both leave this house in the binary forms of docs/http-api.md: four letters, the length of a JSON header, the header,
and the arrays that it names, so that a page puts them on its graphics card without reading a number.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool
from edge.gcode.arcs import arc_geometry, chord_counts, expand
from edge.gcode.model import Bounds, Floats, Ints, Kind, Program, Segments
from edge.gcode.planner import Plan
from edge.gcode.stock import Relief

CHORD_MM = 0.01
"""How far the chords of an arc may be off it."""
MOST_SEGMENTS = 600_000
MOST_TOOLS = 256
_TYPES = {"f32": "<f4", "u32": "<u4", "u16": "<u2", "u8": "|u1"}
_FINEST = 65_535
_FAR = 1e9
"""mm: no screen shows what lies further away, and 32 bits have to hold it."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Scene:
    """n straight motions in order, arcs as chords, in mm from the program's zero.

    points: (n + 1, 3), the beginning, then the end of each. seconds: (n,) planned time at the end of each. line: (n,)
    of the source, 1-based, never falling. feed: (n,) mm/min, 0 for a rapid. kind: (n,) 0 rapid, 1 cut. tool: (n,) index
    into tools; known tells of each of them whether the machine's table has it: one that it lacks has the shape of
    DEFAULT_TOOL. whole is False where motions were left out for their number; total_s counts also what comes after the
    last motion. guessed is True where nobody has said what the program cuts into, and the block was reckoned from it.
    adrift: (n,) True where a motion begins or ends at a place that nobody knows; None where none does.
    """

    points: NDArray[np.float32]
    seconds: NDArray[np.float32]
    line: NDArray[np.uint32]
    feed: NDArray[np.float32]
    kind: NDArray[np.uint8]
    tool: NDArray[np.uint8]
    tools: tuple[Tool, ...]
    known: tuple[bool, ...]
    block: Block
    bounds: Bounds | None
    total_s: float
    distance_mm: float
    cut_mm: float
    whole: bool
    guessed: bool = False
    adrift: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Return the number of motions."""
        return len(self.kind)


def scene_of(
    program: Program,
    segments: Segments,
    planned: Plan,
    tooling: tuple[Ints, tuple[Tool, ...]],
    table: Mapping[int, Tool],
    block: Block,
    *,
    guessed: bool = False,
    most: int = MOST_SEGMENTS,
) -> Scene:
    """Return the scene of a program.

    segments are those of the program, all in coordinates of its zero; tooling is the index of the tool per segment, and
    the tools; table is the machine's; guessed tells of the block that nobody has given it. Arcs become coarser where
    there would be over `most` motions, and where that does not suffice, motions are left out. Tools beyond the 256th
    count as the 256th.
    """
    counts = chord_counts(arc_geometry(segments), CHORD_MM)
    room = max(most - (len(segments) - len(counts)), len(counts))
    if counts.sum() > room:
        counts = np.maximum(counts * room // max(int(counts.sum()), 1), 1)
    start, end, row = expand(segments, counts)
    length = np.sqrt(((end - start) ** 2).sum(axis=1))
    cut = segments.kind[row] != Kind.RAPID
    index, tools = np.minimum(tooling[0], MOST_TOOLS - 1), tooling[1][:MOST_TOOLS]
    ends = _end_seconds(program, planned)
    whole = _spread(ends, planned.segment_seconds, row, length)
    kept = _kept(cut, index[row], most)
    # What stands for motions that were left out is a rapid only where all of them were.
    first = np.concatenate([[0], kept[:-1] + 1]) if len(kept) else kept
    cuts = np.logical_or.reduceat(cut, first) if len(kept) else cut
    rows = row[kept]
    adrift = np.logical_or.reduceat(segments.adrift()[row], first) if len(kept) and segments.unplaced.any() else None
    return Scene(
        points=np.clip(np.concatenate([start[:1], end[kept]]), -_FAR, _FAR).astype(np.float32)
        if len(row)
        else np.zeros((1, 3), np.float32),
        seconds=whole[kept].astype(np.float32),
        line=program.segment_lines[rows].astype(np.uint32),
        feed=np.where(segments.kind[rows] == Kind.RAPID, 0.0, segments.feed[rows]).astype(np.float32),
        kind=cuts.astype(np.uint8),
        tool=index[rows].astype(np.uint8),
        tools=tools,
        known=tuple(tool.number in table for tool in tools),
        block=block,
        bounds=planned.bounds,
        total_s=planned.seconds,
        distance_mm=planned.distance_mm,
        cut_mm=float(length[cut].sum()),
        whole=len(kept) == len(row),
        guessed=guessed,
        adrift=adrift,
    )


def _end_seconds(program: Program, planned: Plan) -> Floats:
    """Return the planned time at the end of each segment, (n,): also what it waits for at the stops before it."""
    own = np.bincount(program.segment_lines - 1, planned.segment_seconds, program.total_lines)
    waits = np.maximum(planned.line_seconds - own, 0.0)
    before = np.zeros(len(program.segments) + 1)
    for stop in program.stops:
        line = program.text.source_lines[stop.wire] - 1
        # Several stops of a line share what it waits: the first of them takes it.
        before[stop.before] += waits[line]
        waits[line] = 0.0
    ends: Floats = np.cumsum(planned.segment_seconds + before[:-1])
    return ends


def _spread(ends: Floats, seconds: Floats, row: Ints, length: Floats) -> Floats:
    """Return the time at the end of each chord: the time of an arc, by length."""
    through = np.cumsum(length)
    begin = np.concatenate([[0.0], through])[np.searchsorted(row, row)]
    full = through[np.searchsorted(row, row, side="right") - 1] - begin
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(full > 0, (through - begin) / full, 1.0)
    spread: Floats = ends[row] - seconds[row] * (1.0 - share)
    return spread


def _kept(cut: NDArray[np.bool_], tool: Ints, most: int) -> Ints:
    """Return the rows that are kept, in order: where rapids begin or end and tools change, and even steps between."""
    count = len(cut)
    if count <= most:
        return np.arange(count)
    corners = np.zeros(count, dtype=np.bool_)
    corners[:-1] = (cut[:-1] != cut[1:]) | (tool[:-1] != tool[1:])
    corners[-1] = True
    if corners.sum() > most // 2:
        corners[:-1] = False
    corners[np.linspace(0, count - 1, most - int(corners.sum())).astype(np.int64)] = True
    return np.flatnonzero(corners)


def _pack(letters: bytes, header: dict[str, Any], arrays: Mapping[str, tuple[str, NDArray[Any]]]) -> bytes:
    named = [{"name": name, "type": kind, "length": array.size} for name, (kind, array) in arrays.items()]
    text = json.dumps({"version": 1, **header, "arrays": named}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    parts = [letters, struct.pack("<I", len(text)), text]
    for kind, array in arrays.values():
        data = np.ascontiguousarray(array, dtype=_TYPES[kind]).tobytes()
        parts += [data, b"\0" * (-len(data) % 4)]
    return b"".join(parts)


def _place(position: Position) -> list[float]:
    return [round(position.x, 3), round(position.y, 3), round(position.z, 3)]


def _tools(tools: Sequence[Tool], known: Sequence[bool]) -> list[dict[str, Any]]:
    return [
        {
            "number": tool.number,
            "name": tool.name,
            "shape": tool.shape.value,
            "diameter": tool.diameter,
            "flute_length": tool.flute_length,
            "tip_angle": tool.tip_angle,
            "tip_diameter": tool.tip_diameter,
            "known": found,
        }
        for tool, found in zip(tools, known, strict=True)
    ]


def _bounds(bounds: Bounds | None) -> dict[str, list[float]] | None:
    if bounds is None:
        return None
    low, high = _place(bounds.low), _place(bounds.high)
    return {axis: [low[number], high[number]] for number, axis in enumerate("xyz")}


def scene_bytes(scene: Scene, *, job: str | None = None) -> bytes:
    """Return `Scene` of docs/http-api.md, letters IMSC; job is the id of the one that goes this path, if any does."""
    header = {
        "segments": len(scene),
        "seconds": round(scene.total_s, 3),
        "distance_mm": round(scene.distance_mm, 3),
        "cut_mm": round(scene.cut_mm, 3),
        "bounds": _bounds(scene.bounds),
        "block": {"low": _place(scene.block.low), "high": _place(scene.block.high)},
        "guessed": scene.guessed,
        "tools": _tools(scene.tools, scene.known),
        "whole": scene.whole,
        "job": job,
    }
    return _pack(
        b"IMSC",
        header,
        {
            "points": ("f32", scene.points),
            "seconds": ("f32", scene.seconds),
            "line": ("u32", scene.line),
            "feed": ("f32", scene.feed),
            "kind": ("u8", scene.kind),
            "tool": ("u8", scene.tool),
        },
    )


def relief_bytes(
    relief: Relief, *, planned_mm3: float | None = None, seconds: float | None = None, job: str | None = None
) -> bytes:
    """Return `Relief` of docs/http-api.md, letters IMRL.

    planned_mm3 is what the whole program takes away, seconds the planned time up to which this is cut; None where that
    is not known. job is the id of the one that has cut it, None for what a program will leave.
    """
    ny, nx = relief.heights.shape
    depth = max(relief.top - relief.bottom, 1e-6)
    share = np.clip((relief.heights - np.float32(relief.bottom)) / np.float32(depth), 0.0, 1.0)
    header = {
        "nx": nx,
        "ny": ny,
        "cell_mm": relief.cell_mm,
        "x0": relief.x0,
        "y0": relief.y0,
        "bottom": relief.bottom,
        "top": relief.top,
        "removed_mm3": round(relief.removed_mm3, 3),
        "planned_mm3": None if planned_mm3 is None else round(planned_mm3, 3),
        "seconds": None if seconds is None else round(seconds, 3),
        "job": job,
    }
    return _pack(b"IMRL", header, {"height": ("u16", np.rint(share * _FINEST))})
