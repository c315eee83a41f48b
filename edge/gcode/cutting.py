# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools and material do not take: rapids through it, plunges too fast, cuts too deep, a spindle that is off.

Where the block is given, what breaks a tool is an error; where it is only guessed, all is a warning, for then it may be
the guess that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode.arcs import extents
from edge.gcode.blocks import AXES, MAX_TOOL
from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.findings import AND, PLACE_UNKNOWN, first_of, per_line
from edge.gcode.model import Bools, Floats, Ints, Kind, Program, Segments
from edge.gcode.nearby import nearby
from edge.gcode.pieces import Cutter
from edge.gcode.planner import in_one_frame
from edge.gcode.stock import mill
from edge.gcode.tooling import guess_block, lowest_z, spindle_turns, tool_of, tool_words

TOUCH_MM = 0.02
"""How deep in the material a move may be before it counts: the thickness of a scratch."""
_SCRATCH_MM = 0.1
"""Rapids that take less than a disc of this thickness, as wide as the tool is where it is in, found rounding's rest."""
_DIGITS_MM = 0.002
"""How far the digits of a program may put a way back beside the groove that was cut: it takes that of its wall."""
_COARSE_CELLS = 160
_FINE_CELLS = 480
"""Cells along the longer side of the block, and those for a tool that is narrow where it is in: its boxes have few."""
_NARROW = 3.0
"""Coarse cells from a tool's axis to its rim, under which it is narrow."""
_FEW_MOVES = 5_000
"""Segments up to which a program is cut in fine cells."""
MOST_MOVES = 400_000
"""Segments up to which the material is cut move by move to see what a rapid meets; of more, those where rapids go."""
_AT_MOST = 20
_STEEP = 1.0
"""Way down over way across from which a move counts as a plunge."""


@dataclass(frozen=True, slots=True)
class _Cuts:
    """What the rules look at: the segments, and which of them are in the material.

    segments are in the program's frame; rows: (k,) those that reach deeper than TOUCH_MM into the block; bottom: (k,)
    the lowest Z of each; unplaced: (l,) those at a feed of which nobody knows where they cut, if at all; tool: (n,)
    index into tools; serious is the severity of what breaks a tool.
    """

    program: Program
    segments: Segments
    block: Block
    rows: Ints
    bottom: Floats
    unplaced: Ints
    tool: Ints
    tools: tuple[Tool, ...]
    table: Mapping[int, Tool]
    serious: Severity

    def feeds(self) -> Bools:
        """Return which of the rows cut at a feed; a probe that looks for the material does not."""
        return _feeds(self.program, self.rows)


def check_cutting(
    program: Program, tools: Mapping[int, Tool], block: Block | None, work_offset: Position | None
) -> list[Diagnostic]:
    """Return what the tools of a table and a block do not take, in no order; block is guessed where it is None.

    tools may be empty, where nobody has described any: then the shape of the commonest one is taken. work_offset (mm)
    places what the program gives in machine coordinates; without it such moves are passed over.
    """
    findings = _unknown_tools(program, tools)
    index, used = tool_of(program, tools)
    # A table with a turning tool is a lathe's, whose X is no X of a block.
    turns = any(tool.shape is ToolShape.TURNING for tool in tools.values())
    if turns or not len(program.segments):
        return findings
    cuts = _cuts(program, index, used, tools, block, work_offset)
    findings += _rapids(cuts, work_offset)
    findings += _spindle_off(cuts)
    findings += _unplaced(cuts)
    for number, tool in enumerate(used):
        if tool.number in tools:
            findings += _too_deep(cuts, number, tool)
            findings += _plunges(cuts, number, tool)
    return findings


def _unknown_tools(program: Program, tools: Mapping[int, Tool]) -> list[Diagnostic]:
    """Return the first use of each number that a table does not have; a table of the tool 0 alone numbers none."""
    described = sorted(number for number in tools if number > 0)
    if not described:
        return []
    findings: list[Diagnostic] = []
    wire, number = tool_words(program)
    numbers, first = np.unique(number, return_index=True)
    shown = ", ".join(f"T{one}" for one in described[:10]) + (", ..." if len(described) > 10 else "")
    for one, at in zip(numbers.tolist(), wire[first].tolist(), strict=True):
        if one in tools or not 0 < one <= MAX_TOOL:
            continue
        line = program.text.source_lines[at]
        column = next((item.column for item in program.commands if item.name == "T" and item.line == line), 0)
        findings.append(
            Diagnostic(
                Severity.ERROR,
                line,
                column,
                "tool-not-in-table",
                f"The tool T{one} is not in the machine's table, which has {shown}.",
                "Use a tool of the table, or describe this one in the laboratory's file.",
                words=(f"T{one}",),
            )
        )
    return findings


def _cuts(
    program: Program,
    index: Ints,
    used: tuple[Tool, ...],
    table: Mapping[int, Tool],
    block: Block | None,
    work_offset: Position | None,
) -> _Cuts:
    serious = Severity.WARNING if block is None else Severity.ERROR
    block = guess_block(program, table) if block is None else block
    segments = in_one_frame(program.segments, work_offset)
    deep, lowest = _deep(segments, block)
    if segments.machine_frame.any():
        # Without the offset nobody knows where a move to or from a machine coordinate is.
        frame: Bools = np.asarray(segments.machine_frame.any(axis=1))
        deep &= ~frame & ~np.concatenate([[False], frame[:-1]])
    rows = np.flatnonzero(deep)
    adrift = segments.adrift()
    unplaced = np.flatnonzero(adrift & (deep | segments.unplaced[:, 2]))
    unplaced = unplaced[_feeds(program, unplaced)]
    if serious is Severity.ERROR:
        rows = rows[~adrift[rows]]
        # A block that is guessed holds every cut as it is.
        rows = rows[_over(segments, rows, np.array([tool.diameter / 2 for tool in used])[index[rows]], block)]
    return _Cuts(program, segments, block, rows, lowest[rows], unplaced, index, used, table, serious)


def _feeds(program: Program, rows: Ints) -> Bools:
    feeds: Bools = program.segments.kind[rows] != Kind.RAPID
    probes = [item.line for item in program.commands if item.name.startswith("G38")]
    if probes:
        feeds &= ~np.isin(program.segment_lines[rows], probes)
    return feeds


def _deep(segments: Segments, block: Block) -> tuple[Bools, Floats]:
    """Return which segments (n,) reach into the block, as far as their heights are known, and the lowest Z of each."""
    lowest = lowest_z(segments)
    first = _first_height(segments)
    if first < len(segments):
        lowest[first] = segments.end[first, 2]
    lost: Bools = segments.unplaced[:, 2]
    # Where it begins nobody knows how high, what it reaches is where it ends.
    lowest[1:][lost[:-1]] = segments.end[1:, 2][lost[:-1]]
    deep: Bools = (lowest < block.high.z - TOUCH_MM) & ~lost
    deep[:first] = False
    return deep, lowest


def _over(segments: Segments, rows: Ints, radius: Floats, block: Block) -> Bools:
    """Return which of the segments `rows` come over the block, as far as the boxes around them tell."""
    low, high = extents(segments)
    inside = np.ones(len(rows), dtype=np.bool_)
    for axis, (least, most) in enumerate(((block.low.x, block.high.x), (block.low.y, block.high.y))):
        start = segments.start[rows, axis]
        inside &= np.minimum(start, low[rows, axis]) - radius < most
        inside &= np.maximum(start, high[rows, axis]) + radius > least
    return inside


def _rapids(cuts: _Cuts, work_offset: Position | None) -> list[Diagnostic]:
    program, segments = cuts.program, cuts.segments
    rapid = np.flatnonzero(segments.kind[cuts.rows] == Kind.RAPID)
    rows, bottom = cuts.rows[rapid], cuts.bottom[rapid]
    start, end = segments.start[rows], segments.end[rows]
    straight_up = (start[:, :2] == end[:, :2]).all(axis=1) & (end[:, 2] >= start[:, 2])
    first = _first_height(segments) if len(rows) else 0
    falls_first = (rows == first) & (end[:, 2] < start[:, 2])
    suspect = falls_first | ~(straight_up | (rows == first))
    if not suspect.any():
        return []
    near: Bools | None = None
    if len(segments) > MOST_MOVES:
        radius = np.array([tool.diameter / 2 for tool in cuts.tools])[cuts.tool]
        near = nearby(segments, rows[suspect], radius, cuts.block)
        if np.count_nonzero(near) > MOST_MOVES:
            text = f"The program has over {MOST_MOVES} moves: whether its rapids meet material was not checked."
            remedy = "Look at its path, or split it into smaller programs."
            return [Diagnostic(Severity.WARNING, 0, 0, "rapids-unchecked", text, remedy)]
    number = cuts.tool[rows]
    wide, rim = _widths(cuts, number, bottom)
    narrow = wide[suspect].min() < _NARROW * max(cuts.block.size[:2]) / _COARSE_CELLS
    cells = _FINE_CELLS if narrow and len(segments) <= _FEW_MOVES else _COARSE_CELLS
    milled = mill(program, cuts.table, cuts.block, cells=cells, work_offset=work_offset, only=near)
    rest = _DIGITS_MM * (cuts.block.high.z - bottom) * np.hypot(end[:, 0] - start[:, 0], end[:, 1] - start[:, 1])
    disc = np.pi * wide**2
    # One cell at the rim of a tool is in it or not, as rounding will have it.
    least = _SCRATCH_MM * disc + rim * np.minimum(milled.relief.cell_mm**2, disc / 2)
    share = np.where(suspect, np.maximum(milled.load[rows] - rest, 0.0) / least, 0.0)
    run = np.cumsum(segments.kind != Kind.RAPID)[rows]
    # The way that leads to the first height begins nobody knows where; where it falls, nothing was cut before it.
    suspect &= falls_first | (share > 1) | _fills_up(np.where(share > 1, 0.0, share), run)
    hits = np.zeros(len(segments), dtype=np.bool_)
    hits[rows[suspect]] = True
    depth = dict(zip(rows.tolist(), (cuts.block.high.z - bottom).tolist(), strict=True))
    return per_line(
        program,
        hits,
        _AT_MOST,
        cuts.serious,
        "rapid-in-stock",
        lambda row: f"The rapid goes through material, {depth[row]:.2f} mm under its upper face.",
        "Raise the tool above the material before the G0, or write G1 with a feed.",
        lambda _: "ZXY",
    )


def _widths(cuts: _Cuts, number: Ints, bottom: Floats) -> tuple[Floats, Floats]:
    """Return (radius, height of the rim), (k,) each, of tools, by index, where they are in the block with their tips.

    bottom: the heights of the tips. A point that is in no deeper than it is long has no rim that could be rounded.
    """
    wide, rim = np.zeros(len(number)), np.zeros(len(number))
    for one in np.unique(number).tolist():
        own = number == one
        cutter, depth = Cutter.of(cuts.tools[one]), cuts.block.high.z - bottom[own]
        wide[own] = cutter.reach(depth)
        rim[own] = np.where(wide[own] < cutter.radius, 0.0, depth)
    return wide, rim


def _fills_up(share: Floats, run: Ints) -> Bools:
    """Return where the shares (k,) of what may be taken come to the whole, within rapids (k,) that follow each other.

    Each run tells it once: it is one way, in however many steps.
    """
    total = np.cumsum(share)
    before = total - share
    total -= before[np.searchsorted(run, run)]
    full: Bools = (total > 1) & (total - share <= 1)
    return full


def _first_height(segments: Segments) -> int:
    """Return the first segment that goes to a height which the program has given: before it nobody knows how high."""
    given = np.flatnonzero((segments.start[:, 2] != segments.end[:, 2]) | (segments.kind != Kind.RAPID))
    return int(given[0]) if len(given) else len(segments)


def _spindle_off(cuts: _Cuts) -> list[Diagnostic]:
    rows = cuts.rows[cuts.feeds()]
    if not len(rows):
        return []
    rows = rows[~spindle_turns(cuts.program)[rows]]
    return first_of(
        cuts.program,
        rows,
        cuts.serious,
        "spindle-off-in-cut",
        "The tool cuts here, and the program has not turned the spindle on.",
        "Write M3 and S with the speed before the first cut, and M5 only after the last.",
        "ZXY",
    )


def _unplaced(cuts: _Cuts) -> list[Diagnostic]:
    """Return the first cut at a place that nobody knows; the words that count from one are told of by the limits."""
    program, rows = cuts.program, cuts.unplaced
    if not len(rows):
        return []
    line = int(program.segment_lines[rows[0]])
    told = [found.line for found in program.unplaced]
    told += [command.line for command in program.commands if command.name in PLACE_UNKNOWN]
    if any(one <= line for one in told):
        return []
    segments, row = cuts.segments, int(rows[0])
    lost: Bools = np.logical_or.reduce(segments.unplaced[max(row - 1, 0) : row + 1], axis=0)
    named = AND["".join(letter for letter, one in zip(AXES, lost.tolist(), strict=True) if one)]
    return first_of(
        program,
        rows,
        Severity.WARNING,
        "place-unknown",
        f"The tool cuts before the program has given a place of {named}: what it cuts there is not judged.",
        "Go to a place of the piece before it, with G90 and X, Y and Z.",
        "ZXY",
    )


def _too_deep(cuts: _Cuts, number: int, tool: Tool) -> list[Diagnostic]:
    depth = cuts.block.high.z - cuts.bottom
    over = cuts.feeds() & (cuts.tool[cuts.rows] == number) & (depth > tool.flute_length + TOUCH_MM)
    if not over.any():
        return []
    return first_of(
        cuts.program,
        cuts.rows[over],
        cuts.serious,
        "depth-over-flute",
        f"{tool.name} goes {depth[over].max():.2f} mm deep, and its flutes are {tool.flute_length:g} mm long.",
        "Cut less deep, or use a tool with longer flutes.",
        "Z",
    )


def _plunges(cuts: _Cuts, number: int, tool: Tool) -> list[Diagnostic]:
    if tool.max_plunge is None:
        return []
    segments = cuts.segments
    rows = cuts.rows[cuts.feeds() & (cuts.tool[cuts.rows] == number)]
    way = segments.end[rows] - segments.start[rows]
    across = np.hypot(way[:, 0], way[:, 1])
    # An arc that goes down is a helix, made not to plunge; its chord says nothing of its slope.
    plunges = (way[:, 2] < 0) & (-way[:, 2] > _STEEP * across) & (segments.kind[rows] == Kind.LINEAR)
    rows, way, across = rows[plunges], way[plunges], across[plunges]
    speed = segments.feed[rows] * -way[:, 2] / np.hypot(across, way[:, 2])
    fast = speed > tool.max_plunge * 1.001
    if not fast.any():
        return []
    return first_of(
        cuts.program,
        rows[fast],
        Severity.WARNING,
        "plunge-too-fast",
        f"The plunge goes down at {speed[fast].max():.0f} mm/min; {tool.name} takes {tool.max_plunge:g} mm/min.",
        "Write a lower F for the plunge.",
        "FZ",
    )
