# SPDX-License-Identifier: GPL-3.0-or-later
"""A program as arrays: what moves where, how fast, and from which line.

Coordinates are those of the zero that is active when the program starts (work coordinates, mm): machine
position minus the work offset that the controller reports. A coordinate that the program gives in machine
coordinates (G53, G28, G30) is a work coordinate, too, where `Dialect.offset` says how; where it does not, it is
flagged per axis in `Segments.machine_frame`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import overload

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
    work coordinates (mm), None where nobody knows it: then the coordinates begin at 0, and what they are before the
    program has given them is in `Segments.unplaced`, and others may have left a G92, so that nobody knows what G92.1
    leads to. offset is machine minus work position (mm), None where nobody knows it; line_length is the number of
    characters of a clean line that fit the controller; tool_change says that somebody takes M6 out of the program
    before the controller, which refuses it, sees it.
    """

    has_mist: bool = False
    tool_change: bool = False
    start: Position | None = field(default_factory=lambda: Position(0.0, 0.0, 0.0))
    offset: Position | None = None
    line_length: int = MAX_LINE


@dataclass(frozen=True, slots=True)
class Segments:
    """n motions in order, one per row.

    start, end: (n, 3) mm. feed: (n,) mm/min, 0 for a rapid; under G93 already the feed that the time asks for.
    kind: (n,) of Kind. wire: (n,) index into the wire lines. machine_frame: (n, 3), True where `end` is a machine
    coordinate. The m arcs among them: arc: (m,) row of the segment, arc_centre: (m, 2) in the plane's axes,
    arc_plane: (m,) 0 XY, 1 ZX, 2 YZ. unplaced: (n, 3), True where `end` counts from a place that nobody knows.
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
    unplaced: Bools

    def __len__(self) -> int:
        """Return the number of motions."""
        return len(self.kind)

    def adrift(self, axes: tuple[int, ...] = (0, 1, 2)) -> Bools:
        """Return which motions (n,) begin or end at an unknown place of `axes`; of the first its end counts."""
        adrift: Bools = np.zeros(len(self), dtype=np.bool_)
        for axis in axes:
            adrift |= self.unplaced[:, axis]
        adrift[1:] |= adrift[:-1].copy()
        return adrift


@dataclass(frozen=True, slots=True)
class Stop:
    """All motion ends before segment `before` (== len(segments) at the end); seconds is the length of a dwell."""

    before: int
    wire: int
    kind: StopKind
    seconds: float = 0.0


class Stops(Sequence[Stop]):
    """Stops in order, of which a program that changes the speed in each line has millions: one row per stop.

    before, wire: (n,); kind: (n,) of StopKind; seconds: (n,). Equal to any sequence of the same stops.
    """

    __slots__ = ("before", "kind", "seconds", "wire")

    def __init__(self, before: Ints, wire: Ints, kind: NDArray[np.int8], seconds: Floats) -> None:
        self.before = before
        self.wire = wire
        self.kind = kind
        self.seconds = seconds

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int, float]]) -> Stops:
        """Return stops from rows of (before, wire, kind, seconds)."""
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        return cls(
            np.array(columns[0], dtype=np.int64),
            np.array(columns[1], dtype=np.int64),
            np.array(columns[2], dtype=np.int8),
            np.array(columns[3], dtype=np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Stops]) -> Stops:
        """Return the stops of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        whole = [cls.of(()), *parts]
        return cls(
            np.concatenate([part.before for part in whole]),
            np.concatenate([part.wire for part in whole]),
            np.concatenate([part.kind for part in whole]),
            np.concatenate([part.seconds for part in whole]),
        )

    def __len__(self) -> int:
        """Return the number of stops."""
        return len(self.before)

    @overload
    def __getitem__(self, index: int) -> Stop: ...

    @overload
    def __getitem__(self, index: slice) -> Stops: ...

    def __getitem__(self, index: int | slice) -> Stop | Stops:
        """Return one stop, or those of a slice."""
        if isinstance(index, slice):
            return Stops(self.before[index], self.wire[index], self.kind[index], self.seconds[index])
        return Stop(
            int(self.before[index]), int(self.wire[index]), StopKind(self.kind[index]), float(self.seconds[index])
        )

    def __iter__(self) -> Iterator[Stop]:
        """Yield the stops."""
        columns = (self.before.tolist(), self.wire.tolist(), self.kind.tolist(), self.seconds.tolist())
        for before, wire, kind, seconds in zip(*columns, strict=True):
            yield Stop(before, wire, StopKind(kind), seconds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Stops):
            return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__slots__)
        if isinstance(other, Sequence) and not isinstance(other, (str, bytes)):
            return tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        """Return the hash of the tuple of the same stops, for it is equal to it."""
        return hash(tuple(self))


@dataclass(frozen=True, slots=True)
class Command:
    """One use of a word that is not a plain motion: `G92`, `M3`, `T1`, `$H`, `S` (value: the speed)."""

    name: str
    line: int
    column: int
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A word that counts from a place of `axes` (`XY`) that the program has not given; line and column from 1."""

    word: str
    axes: str
    line: int
    column: int


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
    machine; total_lines counts the lines of the source; complete is False when the interpreter gave up; unplaced are
    the first words that count from each place that nobody has given.
    """

    text: ProgramText
    segments: Segments
    stops: Stops
    commands: tuple[Command, ...]
    diagnostics: tuple[Diagnostic, ...]
    total_lines: int
    sha256: str
    complete: bool = True
    unplaced: tuple[Unplaced, ...] = ()

    @property
    def segment_lines(self) -> Ints:
        """Return the source line (1-based) of each segment."""
        lines = np.asarray(self.text.source_lines, dtype=np.int64)
        return lines[self.segments.wire]
