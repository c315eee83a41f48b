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
from edge.gcode.arcs import extents
from edge.gcode.model import Bools, Floats, Ints, Kind, Program

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
    current = event[np.searchsorted(at, program.segments.wire, side="right")]
    used = np.bincount(current, minlength=len(numbers)) > 0
    if not used.any():
        used[event[-1]] = True
    index = (np.cumsum(used) - 1)[current]
    return index, tuple(tool_named(one, tools) for one in numbers[used].tolist())


def tool_named(number: int, tools: Mapping[int, Tool] | None) -> Tool:
    """Return the tool with a T number: the machine's, or DEFAULT_TOOL with that number."""
    known = (tools or {}).get(number)
    return known if known is not None else replace(DEFAULT_TOOL, number=number)


def spindle_turns(program: Program) -> Bools:
    """Return for each segment (n,) whether the spindle was told to turn, at a speed over 0."""
    wire = program.segments.wire
    at, code = _words(program, "M")
    # M2 and M30 act after the motion of their line, the others before it.
    ends = (code == 2) | (code == 30)
    counts = ends | ((code >= 3) & (code <= 5))
    at, code, ends = at[counts], code[counts], ends[counts]
    on = np.concatenate([[False], (code == 3) | (code == 4)])
    turning = on[np.searchsorted(at + ends, wire, side="right")]
    at, speed = speed_words(program)
    fast = np.concatenate([[False], speed > 0])[np.searchsorted(at, wire, side="right")]
    both: Bools = turning & fast
    return both


def guess_block(program: Program, tools: Mapping[int, Tool] | None) -> Block:
    """Return the block around the cuts, for a program of which nobody has said what it cuts into.

    It is as wide as the cuts with the tool's radius around them. Its upper face is Z 0 where most of the way is cut
    below it, as with a zero on top of the stock, and else the highest cut. A program that cuts nothing has 1 mm3.
    """
    segments = program.segments
    cuts = (segments.kind != Kind.RAPID) & ~segments.machine_frame.any(axis=1)
    if not cuts.any():
        return Block(Position(0.0, 0.0, -1.0), Position(1.0, 1.0, 0.0))
    low, high = extents(segments)
    start, low, high = segments.start[cuts], low[cuts], high[cuts]
    low, high = np.minimum(start, low), np.maximum(start, high)
    index, used = tool_of(program, tools)
    radius = np.array([tool.diameter / 2 for tool in used])[index[cuts]]
    x0, y0 = (float(_bounded(low[:, axis] - radius).min()) for axis in (0, 1))
    x1, y1 = (float(_bounded(high[:, axis] + radius).max()) for axis in (0, 1))
    bottom = float(_bounded(low[:, 2]).min())
    top = _upper_face(start, segments.end[cuts], low[:, 2])
    return Block(Position(x0, y0, bottom - _BELOW_MM), Position(max(x1, x0 + 1.0), max(y1, y0 + 1.0), top))


def _upper_face(start: Floats, end: Floats, lowest: Floats) -> float:
    """Return the Z of the upper face: moves that go up and down only do not tell it unless there are no others."""
    level = np.nan_to_num(np.hypot(end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]), posinf=_FARTHEST_MM)
    level += 1e-9
    below = lowest < 0
    if level[below].sum() >= level[~below].sum():
        return 0.0
    across = level > 1e-6
    return float(_bounded(lowest[across] if across.any() else lowest).max())


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
