# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with a program away from the loop: interpreted, checked, planned, compiled. Pure; for a worker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.design import compile_piece
from edge.domain.errors import ProgramRejected
from edge.domain.machine import Motion, Position
from edge.domain.ports import ProgramText
from edge.gcode import (
    Diagnostic,
    Dialect,
    MotionSettings,
    PreviewPoint,
    Severity,
    check,
    interpret,
    path_preview,
    plan,
)
from edge.gcode.stops import ProgramStop, take_out_stops
from edge.gcode.tooling import tool_of
from edge.services.checking import Basis
from edge.services.progress import Note, no_note
from edge.services.restart import first_stretch

PREVIEW_POINTS = 4_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor wants on a piece. The text lives in memory only."""

    text: str = ""
    depth: str = "normal"

    @property
    def personal(self) -> bool:
        """Return whether the wish holds a text of the visitor's own."""
        return bool(self.text)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program checked for what `basis` says.

    text is what runs until the first of `stops`; all else is of the whole program. cumulative_s[i] is the planned time
    at which source line i+1 has ended, seconds; cut_mm is the way at a feed; bounds are (low, high) in work coordinates
    or None for a program that never moves; tools are the numbers of the tools that cut, 0 for one without a T.
    """

    text: ProgramText
    total_lines: int
    seconds: float
    cumulative_s: NDArray[np.float32]
    distance_mm: float
    cut_mm: float
    bounds: tuple[Position, Position] | None
    tools: tuple[int, ...]
    diagnostics: tuple[Diagnostic, ...]
    sha256: str
    basis: Basis
    stops: tuple[ProgramStop, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Return what refuses the program."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.ERROR)

    @property
    def clean(self) -> bool:
        """Return whether no diagnostic is an error."""
        return not self.errors

    def require_clean(self, program_id: str) -> None:
        """Raise ProgramRejected with the first error where there is one."""
        errors = self.errors
        if errors:
            more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
            raise ProgramRejected(program_id=program_id, reason=f"{errors[0]}{more}", prepared=self)

    def seconds_until(self, line: int) -> float:
        """Return the planned seconds from the start until source line `line` (1-based) has ended; 0 before it."""
        if line <= 0 or len(self.cumulative_s) == 0:
            return 0.0
        return float(self.cumulative_s[min(line, len(self.cumulative_s)) - 1])


def prepare_text(data: bytes, program_id: str, basis: Basis, place: str = "") -> Prepared:
    """Interpret, check and plan a program; `place` is that of a Note. Never raises for the program's content."""
    tell = Note(place) if place else no_note
    tools = None if basis.tools is None else {tool.number: tool for tool in basis.tools}
    tell("reading", 0.0)
    program = interpret(data, program_id=program_id, dialect=dialect_of(basis))
    text, stops = take_out_stops(program.text, data)
    tell("limits", 0.0)
    findings = check(
        program, basis.travel, basis.offset, banned=basis.banned, tools=tools, block=basis.block, source=data
    )
    tell("planning", 0.0)
    planned = plan(program, motion_settings(basis.motion), basis.offset)
    used = tool_of(program, tools)[1] if len(program.segments) else ()
    tell("planning", 1.0)
    return Prepared(
        text=first_stretch(text, stops),
        total_lines=program.total_lines,
        seconds=planned.seconds,
        cumulative_s=np.cumsum(planned.line_seconds).astype(np.float32),
        distance_mm=planned.distance_mm,
        cut_mm=planned.cut_mm,
        bounds=(planned.bounds.low, planned.bounds.high) if planned.bounds is not None else None,
        tools=tuple(tool.number for tool in used),
        diagnostics=tuple(findings),
        sha256=program.sha256,
        basis=basis,
        stops=stops,
    )


def dialect_of(basis: Basis) -> Dialect:
    """Return what a program is read for: a machine that stands where nobody knows, with the zero of the basis."""
    return Dialect(tool_change=basis.tool_change, start=None, offset=basis.offset)


def motion_settings(motion: Motion | None) -> MotionSettings:
    """Return what the planner reckons with; of a machine that has not said it, the planner's own defaults."""
    if motion is None:
        return MotionSettings()
    return MotionSettings(
        max_rate=(motion.max_rate.x, motion.max_rate.y, motion.max_rate.z),
        acceleration=(motion.acceleration.x, motion.acceleration.y, motion.acceleration.z),
        junction_deviation=motion.junction_deviation,
        arc_tolerance=motion.arc_tolerance,
        stop_delay_s=motion.stop_delay_s,
        steps_per_mm=(motion.steps_per_mm.x, motion.steps_per_mm.y, motion.steps_per_mm.z),
        laser=motion.laser,
    )


def whole_text(data: bytes, program_id: str, tool_change: bool) -> ProgramText:  # noqa: FBT001 - goes to a worker
    """Return all lines that a controller would be sent in the course of a program, without its stops."""
    program = interpret(data, program_id=program_id, dialect=Dialect(tool_change=tool_change))
    return take_out_stops(program.text, data)[0]


def preview_text(data: bytes) -> list[PreviewPoint]:
    """Return the path of a program for a screen."""
    return list(path_preview(interpret(data, dialect=Dialect(tool_change=True)), PREVIEW_POINTS))


def compile_wish(template: str, wish: Wish) -> bytes:
    """Return the program of a visitor's wish. Raises the errors of edge.design."""
    return compile_piece(template, {"text": wish.text, "depth": wish.depth}).encode("ascii")
