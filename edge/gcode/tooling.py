# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tool is in the spindle, whether the spindle turns, and what block of material the program is meant for.

Tool and spindle are read from the clean text: of the words that count here (T, S, M2 to M6, M30) a program has few, and
their lines are known without a second reading of the motions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.domain.block import Block
from edge.domain.lines import Lines
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode.arcs import arc_extents
from edge.gcode.model import Bools, Floats, Ints, Kind, Program, Segments

DEFAULT_TOOL = Tool(0, "End mill 3.175 mm", ToolShape.FLAT, diameter=3.175, flute_length=12.0)
"""What is taken for a tool that nobody has described: as thick as the shank of a small router's cutters (1/8 inch)."""

_NUMBER_LENGTH = 12
"""Characters of a number that are read: GRBL keeps eight digits."""
_BELOW_MM = 1.0
"""mm of material under the lowest cut of a block that is guessed: most cuts are no holes."""
_FARTHEST_MM = 10_000.0
"""mm: no block is larger, whatever the program says."""


def tool_of(program: Program, tools: Mapping[int, Tool] | None) -> tuple[Ints, tuple[Tool, ...]]:
    """Return which tool cuts each segment (n,), as index into the tools that the program uses.

    In a program that changes tools by M6 the last T counts from the next M6 on, in any other at once. A number that is
    not in `tools` has the shape of DEFAULT_TOOL. Number 0 stands for the tool of a program that has named none yet.
    """
    at, number = _changes(program)
    numbers, event = np.unique(np.concatenate([[0], number]), return_inverse=True)
    spans = _spans(program, at)
    used = np.bincount(event, spans, len(numbers)) > 0
    if not used.any():
        used[event[-1]] = True
    index = (np.cumsum(used) - 1)[event]
    return np.repeat(index, spans), tuple(tool_named(one, tools) for one in numbers[used].tolist())


def tool_named(number: int, tools: Mapping[int, Tool] | None) -> Tool:
    """Return the tool with a T number: the machine's, or DEFAULT_TOOL with that number."""
    known = (tools or {}).get(number)
    return known if known is not None else replace(DEFAULT_TOOL, number=number)


def spindle_turns(program: Program) -> Bools:
    """Return for each segment (n,) whether the spindle was told to turn, at a speed over 0."""
    at, code = _words(program, "M")
    # M2 and M30 act after the motion of their line, the others before it.
    ends = (code == 2) | (code == 30)
    counts = ends | ((code >= 3) & (code <= 5))
    at, code, ends = at[counts], code[counts], ends[counts]
    on = np.concatenate([[False], (code == 3) | (code == 4)])
    turning = np.repeat(on, _spans(program, at + ends))
    at, speed = speed_words(program)
    both: Bools = turning & np.repeat(np.concatenate([[False], speed > 0]), _spans(program, at))
    return both


def _spans(program: Program, at: Ints) -> Ints:
    """Return how many segments there are before the first of the wire lines `at`, and from each on to the next."""
    wire = program.segments.wire
    spans: Ints = np.diff(np.searchsorted(wire, at, side="left"), prepend=0, append=len(wire))
    return spans


def guess_block(program: Program, tools: Mapping[int, Tool] | None) -> Block:
    """Return the block around the cuts, for a program of which nobody has said what it cuts into.

    It is as wide as the cuts with the tool's radius around them. Its upper face is Z 0 where most of the way is cut
    below it, as with a zero on top of the stock, and else the highest cut. Cuts at places that nobody knows count only
    where there are no others. A program that cuts nothing has 1 mm3.
    """
    segments = program.segments
    cuts = segments.kind != Kind.RAPID
    if segments.machine_frame.any():
        cuts &= ~segments.machine_frame.any(axis=1)
    placed = cuts & ~segments.adrift()
    if placed.any():
        cuts = placed
    if not cuts.any():
        return Block(Position(0.0, 0.0, -1.0), Position(1.0, 1.0, 0.0))
    index, used = tool_of(program, tools)
    boxes = []
    for number, tool in enumerate(used):
        own = cuts & (index == number) if len(used) > 1 else cuts
        if own.any():
            low, high = _box(segments, own)
            aside = np.array([tool.diameter / 2, tool.diameter / 2, 0.0])
            boxes.append((_bounded(low - aside), _bounded(high + aside)))
    x0, y0, bottom = np.min([low for low, _ in boxes], axis=0).tolist()
    x1, y1, _ = np.max([high for _, high in boxes], axis=0).tolist()
    top = _upper_face(segments, cuts)
    return Block(Position(x0, y0, bottom - _BELOW_MM), Position(max(x1, x0 + 1.0), max(y1, y0 + 1.0), top))


def _box(segments: Segments, own: Bools) -> tuple[Floats, Floats]:
    """Return (low, high), (3,) each, of some segments, their beginnings included."""
    low, high = segments.end[own], segments.end[own]
    # Where a segment begins the one before it has ended, so that only the beginnings of runs are looked at.
    begins = own & ~np.concatenate([[False], own[:-1]])
    starts = segments.start[begins]
    parts_low, parts_high = [low.min(axis=0), starts.min(axis=0)], [high.max(axis=0), starts.max(axis=0)]
    arcs = own[segments.arc]
    if arcs.any():
        arc_low, arc_high = arc_extents(segments)
        parts_low.append(arc_low[arcs].min(axis=0))
        parts_high.append(arc_high[arcs].max(axis=0))
    return np.min(parts_low, axis=0), np.max(parts_high, axis=0)


def _upper_face(segments: Segments, cuts: Bools) -> float:
    """Return the Z of the upper face: moves that go up and down only do not tell it unless there are no others."""
    way = np.zeros(len(segments))
    for axis in (0, 1):
        way += np.abs(segments.end[:, axis] - segments.start[:, axis])
    way = np.minimum(np.nan_to_num(way, nan=_FARTHEST_MM), _FARTHEST_MM)
    lowest = lowest_z(segments)
    below = lowest < 0
    # A program of holes has no way across: then each hole counts alike.
    weight = (way + 1e-9) * cuts
    if weight[below].sum() >= weight.sum() / 2:
        return 0.0
    across = cuts & (way > 1e-6)
    return float(_bounded(lowest[across] if across.any() else lowest[cuts]).max())


def lowest_z(segments: Segments) -> Floats:
    """Return the lowest Z (n,) of each segment, its beginning included."""
    lowest = np.minimum(segments.start[:, 2], segments.end[:, 2])
    if segments.arc_plane.any():
        low, _ = arc_extents(segments)
        lowest[segments.arc] = np.minimum(lowest[segments.arc], low[:, 2])
    return lowest


def _bounded(values: Floats) -> Floats:
    bounded: Floats = np.clip(np.nan_to_num(values), -_FARTHEST_MM, _FARTHEST_MM)
    return bounded


def tool_words(program: Program) -> tuple[Ints, Ints]:
    """Return (index of the wire line, number) of every T of the program."""
    at, number = _words(program, "T")
    return at, number.astype(np.int64)


def speed_words(program: Program) -> tuple[Ints, Floats]:
    """Return (index of the wire line, rev/min) of every S of the program."""
    return _words(program, "S")


def _changes(program: Program) -> tuple[Ints, Ints]:
    """Return (index of the wire line, number) of each change of the tool in the spindle."""
    at, numbers = tool_words(program)
    lines, code = _words(program, "M")
    changes = lines[code == 6]
    if not len(changes) or not len(at):
        return at, numbers
    last = np.searchsorted(at, changes, side="right") - 1
    return changes[last >= 0], numbers[last[last >= 0]]


def _words(program: Program, letter: str) -> tuple[Ints, Floats]:
    """Return (index of the wire line, value) of every word of the program that begins with `letter`."""
    lines = program.text.lines if isinstance(program.text.lines, Lines) else Lines.of(program.text.lines)
    if letter.encode() not in lines.text:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    text = np.frombuffer(lines.text, dtype=np.uint8)
    places = np.flatnonzero(text == ord(letter))
    return np.searchsorted(np.asarray(lines.starts), places, side="right") - 1, _numbers(text, places)


def _numbers(text: NDArray[np.uint8], places: Ints) -> Floats:
    """Return the numbers that stand behind the letters at `places`; what is none is 0."""
    value, unit = np.zeros(len(places)), np.ones(len(places))
    fraction, ended = np.zeros(len(places), dtype=np.bool_), np.zeros(len(places), dtype=np.bool_)
    sign = np.ones(len(places))
    for step in range(1, _NUMBER_LENGTH + 1):
        char = text[np.minimum(places + step, len(text) - 1)]
        digit = (char >= ord("0")) & (char <= ord("9")) & ~ended
        unit = np.where(digit & fraction, unit / 10, unit)
        value = np.where(digit, np.where(fraction, value + unit * (char - 48.0), value * 10 + (char - 48.0)), value)
        point = (char == ord(".")) & ~ended & ~fraction
        if step == 1:
            sign = np.where(char == ord("-"), -1.0, 1.0)
            ended = ~(digit | point | (char == ord("-")) | (char == ord("+")))
        else:
            ended |= ~(digit | point)
        fraction |= point
        if ended.all():
            break
    return sign * value
