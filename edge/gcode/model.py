# SPDX-License-Identifier: GPL-3.0-or-later
"""A program as arrays: what moves where, how fast, and from which line.

Coordinates are those of the zero that is active when the program starts (work coordinates, mm): machine
position minus the work offset that the controller reports. A coordinate that the program gives in machine
coordinates (G53, G28, G30) is flagged per axis in `Segments.machine_frame`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge.domain.machine import Position
from edge.domain.ports import ProgramText
from edge.gcode.diagnostics import Diagnostic
from edge.gcode.words import MAX_LINE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Kind(IntEnum):
    """How a segment moves; the values are those of G0 to G3."""

    RAPID = 0
    LINEAR = 1
    ARC_CW = 2
    ARC_CCW = 3


class StopKind(IntEnum):
    """Why the controller lets all motion end before it goes on."""

    DWELL = 0
    SPINDLE = 1
    COOLANT = 2
    OFFSET = 3
    EEPROM = 4
    PAUSE = 5
    END = 6


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the interpreter takes for granted about controller and beginning.

    has_mist is GRBL's build option for M7 (`M` in `[OPT:..]`); start is the position before the first line, in
    work coordinates (mm); line_length is the number of characters of a clean line that fit the controller;
    tool_change says that somebody takes M6 out of the program before the controller, which refuses it, sees it.
    """

    has_mist: bool = False
    tool_change: bool = False
    start: Position = field(default_factory=lambda: Position(0.0, 0.0, 0.0))
    line_length: int = MAX_LINE


@dataclass(frozen=True, slots=True)
class Segments:
    """n motions in order, one per row.

    start, end: (n, 3) mm. feed: (n,) mm/min, 0 for a rapid; under G93 already the feed that the time asks for.
    kind: (n,) of Kind. wire: (n,) index into the wire lines. machine_frame: (n, 3), True where `end` is a machine
    coordinate. The m arcs among them: arc: (m,) row of the segment, arc_centre: (m, 2) in the plane's axes,
    arc_plane: (m,) 0 XY, 1 ZX, 2 YZ.
    """

    start: Floats
    end: Floats
    feed: Floats
    kind: NDArray[np.int8]
    wire: Ints
    machine_frame: Bools
    arc: Ints
    arc_centre: Floats
    arc_plane: NDArray[np.int8]

    def __len__(self) -> int:
        """Return the number of motions."""
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Stop:
    """All motion ends before segment `before` (== len(segments) at the end); seconds is the length of a dwell."""

    before: int
    wire: int
    kind: StopKind
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Command:
    """One use of a word that is not a plain motion: `G92`, `M3`, `T1`, `$H`, `S` (value: the speed)."""

    name: str
    line: int
    column: int
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest coordinate reached, mm."""

    low: Position
    high: Position


@dataclass(frozen=True, slots=True)
class Program:
    """An interpreted program.

    text is what goes to the controller; commands are the first uses of each word that is not a plain motion, an S
    only where it is the highest so far, and the highest S of all; diagnostics are the findings that need no
    machine; total_lines counts the lines of the source; complete is False when the interpreter gave up.
    """

    text: ProgramText
    segments: Segments
    stops: tuple[Stop, ...]
    commands: tuple[Command, ...]
    diagnostics: tuple[Diagnostic, ...]
    total_lines: int
    sha256: str
    complete: bool = True

    @property
    def segment_lines(self) -> Ints:
        """Return the source line (1-based) of each segment."""
        lines = np.asarray(self.text.source_lines, dtype=np.int64)
        return lines[self.segments.wire]
