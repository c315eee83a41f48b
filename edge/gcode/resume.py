# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a program over in its middle: from which line, and with what before it.

`locate` tells from what is known of the end which line was being cut. `start_over` makes the lines that bring a
homed machine from anywhere to the beginning of a line, in the state that the program has there. Where that cannot be
told from the program it refuses: a start that silently begins elsewhere is worse than none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.domain.errors import InfoMobilError
from edge.domain.lines import Lines
from edge.domain.machine import Position
from edge.domain.ports import ProgramText
from edge.gcode.arcs import arc_geometry, chord_counts, expand
from edge.gcode.blocks import AXES, PROBE, Block, BlockError, parse_block
from edge.gcode.modal import SPINDLE_OFF
from edge.gcode.model import Dialect, Floats, Kind, Program
from edge.gcode.standing import Standing, standing_before
from edge.gcode.words import MAX_LINE

NEAR_MM = 1.0
"""How far from the path a reported position may be and still name its line: a report is up to 200 ms old."""
HELD_BLOCKS = 21
"""Motions that GRBL 1.1 has taken and may not have done: 15 in its planner (`[OPT:V,15,128]`), up to 6 in its steps."""
_SAME_MM = 1e-3
_ARC_TOLERANCE = 0.05
SLOW_FEED = 200.0
"""mm/min of the approach where the program has given no feed."""
_LEAST_FEED = 10.0
_PLANE = (17, 18, 19)


class CannotResume(InfoMobilError):
    """The program cannot be started at line {line}: {reason}."""


@dataclass(frozen=True, slots=True)
class Approach:
    """How a machine comes back to its piece.

    retract is the machine Z (mm) of travel above everything; spin_up_s the time for the spindle to reach its speed;
    share is the part of the programmed feed at which the tool goes down; max_feed mm/min.
    """

    retract: float
    spin_up_s: float = 4.0
    share: float = 0.5
    max_feed: float = 1000.0


@dataclass(frozen=True, slots=True)
class Located:
    """Where a program was: line (1-based in the source); off is how far from its path the position was, mm.

    off is None where no position was known, or none of the possible lines leads past it; then line is the first that
    may not have been done.
    """

    line: int
    off: float | None


def locate(
    program: Program,
    acked: int | None,
    sent: int | None,
    position: Position | None,
    *,
    begun: int = 1,
    held_blocks: int = HELD_BLOCKS,
) -> Located:
    """Return which line was being cut at the end.

    acked and sent are lines of the source; position is in the coordinates of the program's zero, mm; begun is the
    line at which the run began. An acknowledged line has been taken into the controller, which holds up to held_blocks
    motions that are not done, and any line that was sent may have been taken though its reply was lost. Of several
    passes over the same place the first counts: a cut that is made twice is only air.
    """
    lines = program.segment_lines
    if not len(lines):
        return Located(max(begun, acked or 1), None)
    moving = np.flatnonzero((program.segments.start != program.segments.end).any(axis=1) & (lines >= begun))
    last = int(np.searchsorted(lines[moving], max(sent or 0, acked or 0, begun), side="right"))
    taken = int(np.searchsorted(lines[moving], acked or 0, side="right"))
    rows = moving[max(0, taken - held_blocks) : last]
    if not len(rows):
        return Located(int(lines[moving[0]]) if len(moving) and acked is None else max(acked or begun, begun), None)
    first = Located(int(lines[rows[0]]), None)
    if position is None:
        return first
    segments = program.segments
    counts = chord_counts(arc_geometry(segments), _ARC_TOLERANCE)
    start, end, row = expand(segments, np.minimum(counts, 1000))
    wanted = np.isin(row, rows)
    start, end, row = start[wanted], end[wanted], row[wanted]
    off = _distance(np.array([position.x, position.y, position.z]), start, end)
    nearest = int(np.argmax(off <= off.min() + _SAME_MM))
    return Located(int(lines[row[nearest]]), float(off[nearest])) if off[nearest] <= NEAR_MM else first


def _distance(point: Floats, start: Floats, end: Floats) -> Floats:
    along = end - start
    square = np.maximum((along * along).sum(axis=1), 1e-12)
    share = np.clip(((point - start) * along).sum(axis=1) / square, 0.0, 1.0)
    away = start + along * share[:, None] - point
    distance: Floats = np.sqrt((away * away).sum(axis=1))
    return distance


def cut_begins(program: Program, line: int) -> int:
    """Return the line of the rapid that led to the cut in which `line` is: where a cut can be begun afresh."""
    lines = program.segment_lines
    before = np.flatnonzero((lines <= line) & (program.segments.kind == Kind.RAPID))
    return int(lines[before[-1]]) if len(before) else line


def line_index(text: ProgramText, line: int) -> int:
    """Return the index of the first line of `text` that stands at or after `line` of the source."""
    return bisect_left(text.source_lines, line)


def start_over(
    text: ProgramText, index: int, until: int, approach: Approach, *, dialect: Dialect | None = None
) -> tuple[ProgramText, int]:
    """Return the program that begins with lines[index] and ends before lines[until], and how long its preamble is.

    `text` holds no M0 and no M6. The preamble retracts Z in machine coordinates, goes by rapid above the point where
    the line begins, turns on spindle and coolant and waits, goes down at reduced feed, and restores what was in force.
    Its lines bear the number of the line that they lead to. Raises CannotResume.
    """
    if not 0 <= index < min(until, len(text.lines)):
        raise CannotResume(line=text.source_lines[-1] if text.lines else 0, reason="there is no line to begin with")
    line = text.source_lines[index]
    dialect = dialect or Dialect()
    try:
        state = standing_before(text.lines, index, dialect)
        # A depth without a place is none: the tool stays up until the program has given both.
        state.known[2] = all(state.known)
        tail = _tail(state, text.lines[index:until], dialect, line)
        before = _preamble(state, approach, line)
    except BlockError as error:
        raise CannotResume(line=line, reason="a line before it is none that the controller takes") from error
    numbers = array("I", [*[line] * len(before), *text.source_lines[index:until]])
    return ProgramText(text.program_id, Lines.of((*before, *tail)), numbers), len(before)


def leave_lines(text: ProgramText, index: int) -> tuple[str, ...]:
    """Return the lines that end a stretch before lines[index]: spindle and coolant off, the program's zeros undone.

    While a person changes the tool the machine shows the coordinates of the zero that the controller keeps, so that a
    zero set then is one.
    """
    offsets = any("G92" in line or "G43" in line for line in text.lines[:index])
    return ("M5M9", "G49", "G92.1") if offsets else ("M5M9",)


def _tail(state: Standing, lines: Sequence[str], dialect: Dialect, number: int) -> tuple[str, ...]:
    """Return the lines from the first one on, of which the first motion names its kind; refuse what is unknown."""
    if state.lost:
        reason = f"{state.lost} before it has set a place that cannot be set again from the program"
        raise CannotResume(line=number, reason=reason)
    probe, named = state.copy(), False
    result = list(lines)
    for at, line in enumerate(lines):
        if named and all(probe.known):
            break
        block = parse_block(line, dialect)
        moves = probe.moves(block)
        motion = probe.motion if block.motion is None else block.motion
        if moves and motion == PROBE:
            raise CannotResume(line=number, reason="it probes, and what it would measure is not known to the program")
        if moves and not named and block.motion is None:
            result[at] = f"G{motion}{line}"
            if len(result[at]) > MAX_LINE:
                raise CannotResume(line=number, reason="its first motion is too long to be named again")
        named = named or moves or block.motion is not None
        _require_known(probe, block, moves=moves, number=number)
        probe.execute(block, at)
        if moves and motion != Kind.RAPID and not all(probe.known):
            axes = " and ".join(name for name, known in zip(AXES, probe.known, strict=True) if not known)
            raise CannotResume(line=number, reason=f"it cuts before the program has said where {axes} is")
        if block.flow in (2, 30):
            break
    return tuple(result)


def _require_known(state: Standing, block: Block, *, moves: bool, number: int) -> None:
    """Refuse a motion by a distance from, and a new zero at, a place that the program has not given."""
    absolute = state.absolute if block.absolute is None else block.absolute
    relative = moves and not absolute and block.non_modal != "G53"
    for axis in block.axis_words:
        if (relative or block.non_modal == "G92") and not state.known[axis]:
            raise CannotResume(line=number, reason=f"it reckons {AXES[axis]} from a place that is not known")


def _preamble(state: Standing, approach: Approach, line: int) -> tuple[str, ...]:
    lines = [f"G17G21G{state.zero}G90G94M5M9"]
    if state.offsets:
        lines += ["G49", "G92.1"]
    lines.append(f"G53G0Z{_number(approach.retract)}")
    for frame in (False, True):
        words = "".join(
            _word(state, axis) for axis in (0, 1) if state.known[axis] and state.machine_frame[axis] is frame
        )
        if words:
            lines.append(("G53G0" if frame else "G0") + words)
    if state.spindle != SPINDLE_OFF:
        lines += [f"S{_number(state.speed)}M{state.spindle}", f"G4P{_number(approach.spin_up_s)}"]
    lines += ["M8"] * state.flood + ["M7"] * state.mist
    if state.known[2]:
        feed = state.feed if state.feed > 0 and not state.inverse_time else SLOW_FEED / approach.share
        slow = max(_LEAST_FEED, min(feed * approach.share, approach.max_feed))
        lines.append(("G53" if state.machine_frame[2] else "") + f"G1{_word(state, 2)}F{_number(slow)}")
    lines += _offsets(state, line)
    values = f"T{state.tool}" if state.tool is not None else ""
    if state.spindle == SPINDLE_OFF and state.speed > 0:
        values += f"S{_number(state.speed)}"
    if state.feed > 0 and not state.inverse_time:
        values += f"F{_number(state.feed)}"
    modes = "G20" if state.scale != 1.0 else ""
    modes += "" if state.absolute else "G91"
    modes += "G93" if state.inverse_time else ""
    modes += f"G{_PLANE[state.plane]}" if state.plane else ""
    return (*lines, *(part for part in (values, modes) if part))


def _offsets(state: Standing, line: int) -> list[str]:
    """Return the lines that set tool length and G92 again, at the place where the line begins."""
    lines = [f"G43.1Z{_number(state.tool_length)}"] if state.tool_length else []
    words = ""
    for axis, name in enumerate(AXES):
        shift = state.shift[axis] - (state.tool_length if axis == 2 else 0.0)
        if abs(shift) < 1e-9:
            continue
        if not state.known[axis] or state.machine_frame[axis]:
            raise CannotResume(line=line, reason=f"the zero of {name} that G92 has set cannot be set again here")
        words += f"{name}{_number(state.position[axis] - state.shift[axis])}"
    return [*lines, f"G92{words}"] if words else lines


def _word(state: Standing, axis: int) -> str:
    return f"{AXES[axis]}{_number(state.position[axis])}"


def _number(value: float) -> str:
    """Return a number as GRBL reads it: no exponent, eight digits at most, no minus before zero."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
