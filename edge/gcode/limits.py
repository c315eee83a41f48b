# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a program may go to a machine: its words, its reach, its feeds and speeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge.domain.machine import Position, Travel
from edge.gcode.arcs import extents
from edge.gcode.diagnostics import Diagnostic, Severity
from edge.gcode.model import Bools, Command, Kind, Program

VISITOR_BANNED: frozenset[str] = frozenset(
    {"$", "G10", "G28", "G28.1", "G30", "G30.1", "G38.2", "G38.3", "G38.4", "G38.5", "G43.1", "G53", "G92", "G92.1"}
    | {"G55", "G56", "G57", "G58", "G59", "G93", "M0", "M6"}
)
"""What a visitor's job has no use for: settings, places kept in the controller, probing, other zeros, waiting."""

OPERATOR_BANNED: frozenset[str] = frozenset({"$", "G10", "G28.1", "G30.1", "M6"})
"""What no streamed program may hold: settings, and writers of the EEPROM, during which bytes get lost."""

MAX_DIAGNOSTICS = 200
_TOUCH = 1e-6
"""mm: a move that ends this far outside is rounding, not travel."""

_PLACE_UNKNOWN = frozenset({"G28", "G30", "G10", "G92.1", "G55", "G56", "G57", "G58", "G59"})


def check(
    program: Program,
    travel: Travel | None,
    work_offset: Position | None,
    *,
    banned: frozenset[str] = VISITOR_BANNED,
    max_diagnostics: int = MAX_DIAGNOSTICS,
) -> list[Diagnostic]:
    """Return what is wrong with `program` on a machine, in order of the lines.

    travel is in machine coordinates; work_offset is machine minus work position, both mm. Where one of them is not
    known, what depends on it is not checked and a warning says so. A word of `banned` is an error (`G10`, `M6`, `$`
    for any line that begins with one). The program is refused when any of the findings is an error; findings over
    `max_diagnostics` are left out, errors last.
    """
    findings = list(program.diagnostics)
    findings += _words(program, banned)
    if travel is not None:
        findings += _spindle(program, travel)
        findings += _feeds(program, travel, max_diagnostics)
        if work_offset is not None:
            findings += _reach(program, travel, work_offset, max_diagnostics)
    if travel is None or work_offset is None:
        text = "The machine's travel or zero is not known: whether the program fits was not checked."
        findings.append(
            Diagnostic(Severity.WARNING, 0, 0, "travel-unchecked", text, "Connect the machine and check again.")
        )
    findings += _whole(program)
    if len(findings) > max_diagnostics:
        findings = sorted(findings, key=lambda finding: (_RANK[finding.severity], finding.line))[:max_diagnostics]
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def _words(program: Program, banned: frozenset[str]) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    for command in program.commands:
        if command.name in banned or command.name == "$":
            findings.append(
                Diagnostic(
                    Severity.ERROR,
                    command.line,
                    command.column,
                    "banned-word",
                    f"{_shown(command)} is not allowed in a program here.",
                    "Remove it.",
                )
            )
        elif command.name in _PLACE_UNKNOWN:
            findings.append(
                Diagnostic(
                    Severity.WARNING,
                    command.line,
                    command.column,
                    "place-unknown",
                    f"{command.name} uses a place that is kept in the controller: the travel after it is not checked.",
                    "Watch the first run with a hand at Hold.",
                )
            )
    return findings


def _shown(command: Command) -> str:
    return "A line that begins with $" if command.name == "$" else command.name


def _spindle(program: Program, travel: Travel) -> list[Diagnostic]:
    return [
        Diagnostic(
            Severity.ERROR,
            command.line,
            command.column,
            "spindle-over-limit",
            f"The speed S{command.value:g} is over the machine's {travel.max_spindle:g} rev/min.",
            "Use a lower S.",
        )
        for command in program.commands
        if command.name == "S" and command.value > travel.max_spindle
    ]


def _feeds(program: Program, travel: Travel, limit: int) -> list[Diagnostic]:
    segments = program.segments
    over = (segments.feed > travel.max_feed) & (segments.kind != Kind.RAPID)
    return _at(
        program,
        over,
        limit,
        "feed-over-limit",
        lambda row: f"The feed F{segments.feed[row]:g} mm/min is over the machine's {travel.max_feed:g} mm/min.",
        "Use a lower F.",
    )


def _reach(program: Program, travel: Travel, work_offset: Position, limit: int) -> list[Diagnostic]:
    segments = program.segments
    low, high = extents(segments)
    offset = np.array([work_offset.x, work_offset.y, work_offset.z])
    shift = np.where(segments.machine_frame, 0.0, offset)
    low, high = low + shift, high + shift
    least = np.array([travel.low.x, travel.low.y, travel.low.z])
    most = np.array([travel.high.x, travel.high.y, travel.high.z])
    under, over = least - low, high - most
    finite = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
    outside = ~finite | (under > _TOUCH).any(axis=1) | (over > _TOUCH).any(axis=1)

    def sentence(row: int) -> str:
        beyond = np.nan_to_num(np.maximum(under[row], over[row]), nan=np.inf)
        axis = int(np.argmax(beyond))
        is_under = under[row, axis] >= over[row, axis]
        reached = low[row, axis] if is_under else high[row, axis]
        bound = least[axis] if is_under else most[axis]
        return (
            f"The move goes to machine {'XYZ'[axis]} {reached:.3f} mm, {beyond[axis]:.3f} mm beyond the travel, "
            f"which ends at {bound:.3f} mm."
        )

    return _at(program, outside, limit, "out-of-travel", sentence, "Set the zero elsewhere or make the piece smaller.")


def _at(
    program: Program, wrong: Bools, limit: int, code: str, sentence: Callable[[int], str], remedy: str
) -> list[Diagnostic]:
    """Return one error per line that has a wrong segment, at most `limit`."""
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    lines, first = np.unique(program.segment_lines[rows], return_index=True)
    return [
        Diagnostic(Severity.ERROR, int(line), 0, code, sentence(int(rows[at])), remedy)
        for line, at in zip(lines[:limit].tolist(), first[:limit].tolist(), strict=True)
    ]


def _whole(program: Program) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    if not program.text.lines:
        text = "The program has no line that does anything."
        findings.append(Diagnostic(Severity.ERROR, 0, 0, "empty", text, "Choose another file."))
    elif not len(program.segments):
        text = "The program moves nothing."
        findings.append(Diagnostic(Severity.WARNING, 0, 0, "no-motion", text, "Check that it is the right file."))
    return findings
