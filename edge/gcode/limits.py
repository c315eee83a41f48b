# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a program may go to a machine: its words, its reach, its feeds and speeds, its tools and its material."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edge.domain.block import Block
from edge.domain.machine import Position, Travel
from edge.domain.tool import Tool
from edge.gcode.arcs import arc_extents, extents
from edge.gcode.cutting import check_cutting
from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.findings import AND, PLACE_UNKNOWN, at_word, first_of, per_line, with_columns
from edge.gcode.model import Floats, Kind, Program
from edge.gcode.stops import MOST_STOPS, stop_too_many
from edge.gcode.tooling import speed_words

VISITOR_BANNED: frozenset[str] = frozenset(
    {"$", "G10", "G28", "G28.1", "G30", "G30.1", "G38.2", "G38.3", "G38.4", "G38.5", "G43.1", "G53", "G92", "G92.1"}
    | {"G55", "G56", "G57", "G58", "G59", "G93", "M0", "M6"}
    | {"feed-over-limit", "spindle-over-limit", "spindle-under-limit", "place-unknown"}
)
"""What a visitor's job has no use for: settings, places kept in the controller, probing, other zeros, waiting.

Nor for a feed or speed that the controller runs at another one, or a place that the program has not given, which
anybody else is warned of.
"""

OPERATOR_BANNED: frozenset[str] = frozenset({"$", "G10", "G28.1", "G30.1", "M6"})
"""What no streamed program may hold: settings, and writers of the EEPROM, during which bytes get lost."""

MAX_DIAGNOSTICS = 200
LEAST_FEED = 1.0
"""mm/min: GRBL moves no slower than this (MINIMUM_FEED_RATE of its config.h)."""
_TOUCH = 1e-6
"""mm: a move that ends this far outside is rounding, not travel."""

_PLACES = "Remove it: places are set at the machine, while no program runs."
_OTHER_ZERO = "Use G54, the zero that is set for the piece."
_PROBE = "Remove it: probe from the console before the start."
_INSTEAD: Mapping[str, str] = {
    "$": "Remove the line: settings are changed on the console, not by a program.",
    **dict.fromkeys(("G10", "G28.1", "G30.1"), _PLACES),
    **dict.fromkeys(("G28", "G30"), "Remove it: raise the tool to a height of the program's own at the end."),
    **dict.fromkeys(("G38.2", "G38.3", "G38.4", "G38.5"), _PROBE),
    "G43.1": "Remove it: set the zero of Z with the tool that cuts.",
    "G53": "Remove it: give every place from the zero of the piece.",
    **dict.fromkeys(("G55", "G56", "G57", "G58", "G59"), _OTHER_ZERO),
    **dict.fromkeys(("G92", "G92.1"), "Remove it: the zero is set at the machine."),
    "G93": "Use G94: feeds in mm/min.",
    "M0": "Remove it, or let an operator load the program as an upload.",
    "M6": "Make a program of its own for each tool.",
}
"""What to do about a word that is not allowed."""


def check(
    program: Program,
    travel: Travel | None,
    work_offset: Position | None,
    *,
    banned: frozenset[str] = VISITOR_BANNED,
    tools: Mapping[int, Tool] | None = None,
    block: Block | None = None,
    source: bytes | None = None,
    max_diagnostics: int = MAX_DIAGNOSTICS,
) -> list[Diagnostic]:
    """Return what is wrong with `program` on a machine, in order of the lines.

    travel is in machine coordinates; work_offset is machine minus work position, both mm. Where one of them is not
    known, what depends on it is not checked and a warning says so; so it is with places that the program has not
    given. A word of `banned` is an error (`G10`, `M6`, `$` for any line that begins with one), and so is a finding
    whose code is in it. tools is the machine's table by T number, empty where nobody has described any and None for a
    machine that cuts with no tool: then neither tools nor material are checked. Without a block it is guessed, and what
    depends on it is no more than a warning. source is what the program was made of: without it the findings about
    motions have words, but no columns. The program is refused when any of the findings is an error; findings over
    `max_diagnostics` are left out, errors last.
    """
    findings = list(program.diagnostics)
    findings += _words(program, banned)
    findings += _unplaced(program)
    if travel is not None:
        findings += _spindle(program, travel)
        findings += _feeds(program, travel)
        if work_offset is not None:
            findings += _reach(program, travel, work_offset, max_diagnostics)
    if travel is None or work_offset is None:
        text = "The machine's travel or zero is not known: whether the program fits was not checked."
        findings.append(
            Diagnostic(Severity.WARNING, 0, 0, "travel-unchecked", text, "Connect the machine and check again.")
        )
    if tools is not None:
        findings += check_cutting(program, tools, block, work_offset)
    findings += _whole(program)
    findings = [replace(item, severity=Severity.ERROR) if item.code in banned else item for item in findings]
    if len(findings) > max_diagnostics:
        findings = sorted(findings, key=lambda finding: (_RANK[finding.severity], finding.line))[:max_diagnostics]
    if source is not None:
        findings = with_columns(findings, source)
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def _words(program: Program, banned: frozenset[str]) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    for command in program.commands:
        if command.name in banned or command.name == "$":
            shown = "A line that begins with $" if command.name == "$" else command.name
            text = f"{shown} is not allowed in a program here."
            remedy = _INSTEAD.get(command.name, "Remove it.")
            findings.append(at_word(command, Severity.ERROR, "banned-word", text, remedy))
        elif command.name in PLACE_UNKNOWN:
            text = f"{command.name} uses a place that is kept in the controller: the travel after it is not checked."
            remedy = "Watch the first run with a hand at Hold."
            findings.append(at_word(command, Severity.WARNING, "place-unknown", text, remedy))
    return findings


def _unplaced(program: Program) -> list[Diagnostic]:
    remedy = (
        "Go to a place of the piece before it, with G90 and X, Y and Z, or watch the first run with a hand at Hold."
    )
    return [
        Diagnostic(
            Severity.WARNING,
            found.line,
            found.column,
            "place-unknown",
            f"{found.word} counts from a place of {AND[found.axes]} that the program has not given: the travel after "
            "it is not checked.",
            remedy,
            words=(found.word,),
        )
        for found in program.unplaced
    ]


def _spindle(program: Program, travel: Travel) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    for command in program.commands:
        if command.name == "S" and command.value > travel.max_spindle:
            shown, most = f"S{command.value:g}", f"{travel.max_spindle:g} rev/min"
            text = f"The speed {shown} is over the machine's {most}. The controller will run it at {most}."
            findings.append(at_word(command, Severity.WARNING, "spindle-over-limit", text, "Use a lower S.", shown))
    if travel.min_spindle > 0:
        wire, speed = speed_words(program)
        under = np.flatnonzero((speed > 0) & (speed < travel.min_spindle))
        if len(under):
            shown, line = f"S{speed[under[0]]:g}", program.text.source_lines[int(wire[under[0]])]
            least = f"{travel.min_spindle:g} rev/min"
            text = f"The speed {shown} is under the machine's {least}. The controller will run it at {least}."
            remedy = "Use a higher S, or check that S is in rev/min."
            findings.append(Diagnostic(Severity.WARNING, line, 0, "spindle-under-limit", text, remedy, words=(shown,)))
    return findings


def _feeds(program: Program, travel: Travel) -> list[Diagnostic]:
    segments = program.segments
    feed = segments.feed
    findings: list[Diagnostic] = []
    over = np.flatnonzero((feed > travel.max_feed) & (segments.kind != Kind.RAPID))
    if len(over):
        shown, most = f"F{feed[over[0]]:g} mm/min", f"{travel.max_feed:g} mm/min"
        # Not "at": across two axes the sum may be faster than each.
        text = f"The feed {shown} is over the machine's {most}. The controller will run each axis at {most} at most."
        findings += first_of(program, over, Severity.WARNING, "feed-over-limit", text, "Use a lower F.", "F")
    under = np.flatnonzero((feed > 0) & (feed < LEAST_FEED))
    if len(under):
        text = f"The feed is {feed[under].min():g} mm/min, and the controller moves at {LEAST_FEED:g} mm/min at least."
        remedy = "Check the unit of F: mm/min after G21 and G94, inch/min after G20."
        findings += first_of(program, under, Severity.WARNING, "feed-under-limit", text, remedy, "F")
    return findings


def _reach(program: Program, travel: Travel, work_offset: Position, limit: int) -> list[Diagnostic]:
    segments = program.segments
    offset = np.array([work_offset.x, work_offset.y, work_offset.z])
    least = np.array([travel.low.x, travel.low.y, travel.low.z])
    most = np.array([travel.high.x, travel.high.y, travel.high.z])
    if _fits(program, least - offset, most - offset):
        return []
    low, high = extents(segments)
    shift = np.where(segments.machine_frame, 0.0, offset)
    low, high = low + shift, high + shift
    under, over = least - low, high - most
    # Both ends of an arc count from the same place: where one end is known, the whole of it is.
    under[segments.unplaced] = over[segments.unplaced] = 0.0
    finite = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
    outside = ~finite | (under > _TOUCH).any(axis=1) | (over > _TOUCH).any(axis=1)

    def farthest(row: int) -> tuple[int, float]:
        beyond = np.nan_to_num(np.maximum(under[row], over[row]), nan=np.inf)
        axis = int(np.argmax(beyond))
        return axis, float(beyond[axis])

    def sentence(row: int) -> str:
        axis, beyond = farthest(row)
        is_under = under[row, axis] >= over[row, axis]
        reached = low[row, axis] if is_under else high[row, axis]
        bound = least[axis] if is_under else most[axis]
        return (
            f"The move goes to machine {'XYZ'[axis]} {reached:.3f} mm, {beyond:.3f} mm beyond the travel, "
            f"which ends at {bound:.3f} mm."
        )

    remedy = "Set the zero elsewhere or make the piece smaller."

    def letters(row: int) -> str:
        # An arc may leave the travel on an axis that its line does not name.
        axis, _ = farthest(row)
        return "XYZ"[axis] + ("IJKR" if segments.kind[row] >= Kind.ARC_CW else "")

    return per_line(program, outside, limit, Severity.ERROR, "out-of-travel", sentence, remedy, letters)


def _fits(program: Program, least: Floats, most: Floats) -> bool:
    """Return whether all motions lie in a box of work coordinates, by a quick look that needs no memory a segment."""
    segments = program.segments
    if not len(segments) or segments.machine_frame.any():
        return not len(segments)
    low, high = segments.end.min(axis=0), segments.end.max(axis=0)
    if len(segments.arc):
        arc_low, arc_high = arc_extents(segments)
        low, high = np.minimum(low, arc_low.min(axis=0)), np.maximum(high, arc_high.max(axis=0))
    # A number that is none fits nowhere.
    return bool((low >= least - _TOUCH).all() and (high <= most + _TOUCH).all())


def _whole(program: Program) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    if any(command.name in ("M0", "M6") for command in program.commands):
        line = stop_too_many(program.text)
        if line is not None:
            text = f"The program stops over {MOST_STOPS} times for a person."
            remedy = "Remove stops, or split it into smaller programs."
            findings.append(Diagnostic(Severity.ERROR, line, 0, "too-many-stops", text, remedy))
    if not program.text.lines:
        text = "The program has no line that does anything."
        findings.append(Diagnostic(Severity.ERROR, 0, 0, "empty", text, "Choose another file."))
    elif not len(program.segments):
        text = "The program moves nothing."
        findings.append(Diagnostic(Severity.WARNING, 0, 0, "no-motion", text, "Check that it is the right file."))
    return findings
