# SPDX-License-Identifier: GPL-3.0-or-later
"""A program from its middle to its next stop, checked for a machine. Runs in a worker process; pure."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, replace

import numpy as np

from edge.domain.lines import Lines
from edge.domain.machine import Position, Travel
from edge.domain.ports import JobMark, ProgramText
from edge.gcode import Dialect, Program, Severity, check, interpret
from edge.gcode.resume import (
    HELD_BLOCKS,
    Approach,
    CannotResume,
    cut_begins,
    leave_lines,
    line_index,
    locate,
    start_over,
)
from edge.gcode.stops import ProgramStop, take_out_stops

MOVES_SHOWN = 10
TOP_MARGIN_MM = 5.0
TOP_MARGIN_SHARE = 0.1
"""The tool is retracted to so far below the upper end of Z: the switch that homing pulled off from is not touched."""
_AXIS = re.compile(r"([XYZ])(-?[\d.]+)")
_SPINDLE = re.compile(r"S[\d.]+M[34]")
_DOWN = re.compile(r"(?:G53)?G1Z")
_NO_OFFSETS = frozenset({"G92", "G92.1", "G43.1", "G49"})


@dataclass(frozen=True, slots=True)
class Place:
    """The machine for which a program is started over: travel, work offset and where it stands, mm.

    held_blocks is the number of motions that its controller takes before it does them.
    """

    travel: Travel | None
    offset: Position | None
    here: Position | None
    tool_change: bool
    held_blocks: int = HELD_BLOCKS


@dataclass(frozen=True, slots=True)
class Ask:
    """From where: a line of the source, or after the stop with a number from 0; with neither, where `mark` ends."""

    line: int | None = None
    after_stop: int | None = None
    mark: JobMark | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A motion of the plan: the source line to which it belongs, its text, its end in work coordinates, mm."""

    line: int
    text: str
    to: Position


@dataclass(frozen=True, slots=True)
class Choice:
    """A line from which a person may start over, and what it is."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    """What a program does from `line` on.

    text is None where nothing is left before the stop with the number next_stop (which equals the number of stops
    where none is left), and where `refusal` says why the program cannot be started there. found is the line that the
    mark names and off how far from its path the machine was then, mm; plan says in three sentences how the machine
    comes back to its piece.
    """

    line: int
    total_lines: int
    text: ProgramText | None = None
    next_stop: int = 0
    moves: tuple[Move, ...] = ()
    choices: tuple[Choice, ...] = ()
    found: int | None = None
    off: float | None = None
    refusal: str = ""
    plan: tuple[str, ...] = ()


def first_stretch(text: ProgramText, stops: tuple[ProgramStop, ...]) -> ProgramText:
    """Return what is run until the first stop; `text` has no stops in it."""
    if not stops:
        return text
    end = stops[0].before
    return _joined(text, ProgramText(text.program_id, text.lines[:end], text.source_lines[:end]), stops[0])


def _joined(text: ProgramText, stretch: ProgramText, stop: ProgramStop) -> ProgramText:
    leave = leave_lines(text, stop.before)
    lines = Lines.of((*stretch.lines, *leave))
    return ProgramText(text.program_id, lines, array("I", [*stretch.source_lines, *[stop.line] * len(leave)]))


def restart_text(data: bytes, program_id: str, place: Place, ask: Ask) -> Restart:
    """Return the stretch that `ask` asks for. Never raises for the program's content."""
    dialect = Dialect(tool_change=place.tool_change)
    program = interpret(data, program_id=program_id, dialect=dialect)
    text, stops = take_out_stops(program.text, data)
    found = _found(program, ask.mark, place.held_blocks)
    begun = ask.mark.begun if ask.mark else 1
    line = ask.line or (found[0] if found else begun)
    if ask.after_stop is not None:
        index, next_stop = stops[ask.after_stop].before, ask.after_stop + 1
        line = stops[ask.after_stop].line
    else:
        index = line_index(text, line)
        next_stop = sum(stop.before <= index for stop in stops)
    until = stops[next_stop].before if next_stop < len(stops) else len(text.lines)
    result = Restart(line, program.total_lines, next_stop=next_stop)
    if found is not None:
        result = replace(result, found=found[0], off=found[1])
    result = replace(result, choices=_choices(program, text, stops, result.found))
    if ask.after_stop is not None and index >= until:
        return result
    try:
        stretch, preamble = start_over(text, index, until, _approach(place, line), dialect=dialect)
    except CannotResume as error:
        return replace(result, refusal=str(error))
    if next_stop < len(stops):
        stretch = _joined(text, stretch, stops[next_stop])
    moves, refusal = _checked(stretch, place, dialect)
    return replace(
        result,
        line=text.source_lines[index],
        text=None if refusal else stretch,
        moves=moves,
        refusal=refusal,
        plan=_plan(stretch, preamble, program.total_lines),
    )


def _plan(stretch: ProgramText, preamble: int, total_lines: int) -> tuple[str, ...]:
    """Return what the preamble does, for a person."""
    before = stretch.lines[:preamble]
    retract = next(row for row in before if row.startswith("G53G0Z"))
    over = " ".join(f"{axis}{value}" for row in before if "G0X" in row or "G0Y" in row for axis, value in _axes(row))
    first = f"Raise the tool to machine {_shown(retract)}, then go above {over}." if over else ""
    spindle = next((row for row in before if _SPINDLE.fullmatch(row)), "")
    flows = "M8" in before or "M7" in before
    if spindle:
        turns = f"Turn on the spindle ({spindle}){' and the coolant' if flows else ''}"
    else:
        turns = f"Leave the spindle off{', turn on the coolant' if flows else ''}"
    wait = next((f", wait {row[3:]} s" for row in before if row.startswith("G4P")), "")
    down = next((row for row in before if _DOWN.match(row)), "")
    lowered = f"Go down to {_shown(down)} at F{down.rpartition('F')[2]}, then go on" if down else "Go on from there"
    line, text = stretch.source_lines[preamble], stretch.lines[preamble]
    return (
        first or f"Raise the tool to machine {_shown(retract)}.",
        f"{turns}{wait}.",
        f"{lowered} with line {line} of {total_lines}: {text}.",
    )


def _axes(row: str) -> list[tuple[str, str]]:
    return _AXIS.findall(row)


def _shown(row: str) -> str:
    return " ".join(f"{axis}{value}" for axis, value in _axes(row))


def _approach(place: Place, line: int) -> Approach:
    if place.travel is None:
        raise CannotResume(line=line, reason="the machine's travel is not known")
    low, high = place.travel.low.z, place.travel.high.z
    top = high - min(TOP_MARGIN_MM, TOP_MARGIN_SHARE * (high - low))
    if place.here is not None:
        top = max(top, min(place.here.z, high))
    return Approach(retract=top, max_feed=place.travel.max_feed)


def _found(program: Program, mark: JobMark | None, held_blocks: int) -> tuple[int, float | None] | None:
    if mark is None:
        return None
    position = None
    moved_zero = any(command.name in _NO_OFFSETS for command in program.commands)
    if mark.machine_position is not None and mark.work_offset is not None and not moved_zero:
        # With a zero that the program itself has moved the reported offset is not that of its beginning.
        place, offset = mark.machine_position, mark.work_offset
        position = Position(place.x - offset.x, place.y - offset.y, place.z - offset.z)
    located = locate(program, mark.line, mark.sent_line, position, begun=mark.begun, held_blocks=held_blocks)
    return located.line, located.off


def _choices(
    program: Program, text: ProgramText, stops: tuple[ProgramStop, ...], found: int | None
) -> tuple[Choice, ...]:
    choices: dict[int, str] = {}
    if found is not None:
        choices[found] = "the line that was being cut"
        choices.setdefault(cut_begins(program, found), "the beginning of this cut")
    for stop in stops:
        if found is None or stop.line <= found:
            index = min(stop.before, len(text.lines) - 1)
            word = "the tool change" if stop.kind == "tool" else "the stop"
            choices.setdefault(text.source_lines[index], f"after {word} in line {stop.line}")
    if len(program.segments):
        choices.setdefault(int(program.segment_lines[0]), "the first motion of the program")
    return tuple(Choice(line, words) for line, words in sorted(choices.items()))


def _checked(stretch: ProgramText, place: Place, dialect: Dialect) -> tuple[tuple[Move, ...], str]:
    """Return the first moves, and why the machine must not run the stretch; empty where it may."""
    here, offset = place.here, place.offset
    start = Position(0.0, 0.0, 0.0)
    if here is not None and offset is not None:
        start = Position(here.x - offset.x, here.y - offset.y, here.z - offset.z)
    made = interpret(
        "\n".join(stretch.lines).encode("ascii"),
        dialect=Dialect(has_mist=dialect.has_mist, tool_change=dialect.tool_change, start=start, offset=offset),
    )
    if place.travel is None or offset is None:
        return (), "The machine has not reported its work offset yet."
    errors = [item for item in check(made, place.travel, offset, banned=frozenset()) if item.severity is Severity.ERROR]
    shift = np.array([offset.x, offset.y, offset.z])
    moves = []
    for row in range(min(MOVES_SHOWN, len(made.segments))):
        wire = int(made.segments.wire[row])
        end = made.segments.end[row] - made.segments.machine_frame[row] * shift
        x, y, z = (round(float(value), 3) + 0.0 for value in end)
        moves.append(Move(stretch.source_lines[wire], stretch.lines[wire], Position(x, y, z)))
    if not errors:
        return tuple(moves), ""
    first = errors[0]
    source = stretch.source_lines[min(max(first.line, 1), len(stretch.lines)) - 1]
    return tuple(moves), f"Line {source}: {first.text} {first.remedy}"
