# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on its path a machine is, from its reports: what a live picture of the material is cut by.

A report says a place and which line the controller has taken. A controller does its lines in order and holds a known
number of them, so the place is looked for near that line and never behind the one found before; where the path comes
by the same place more than once, the planned time decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.gcode.model import Floats, Ints, Kind
from edge.gcode.resume import HELD_BLOCKS
from edge.gcode.scene import Scene

OFF_MM = 0.5
"""A place farther from the path than this is not on it."""
_SAME_MM = 0.03
"""What the chords of both sides and the steps of a motor make of one place."""


@dataclass(frozen=True, slots=True)
class Report:
    """One reading: place in mm from the program's zero, the line of the source that was acknowledged last, if any.

    seconds is any clock that runs on evenly; pace the share of the planned speed at which the machine goes, 0 where it
    stands; cutting is False where the spindle was told to stand.
    """

    place: tuple[float, float, float]
    line: int | None
    seconds: float
    pace: float = 1.0
    cutting: bool = True


@dataclass(frozen=True, slots=True)
class Moves:
    """k straight moves that were made: start, end (k, 3) mm, tool (k,) index into the scene's tools."""

    start: NDArray[np.floating]
    end: NDArray[np.floating]
    tool: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of moves."""
        return len(self.tool)


class Follower:
    """Follows one machine along the path of one program."""

    def __init__(self, scene: Scene, *, held_blocks: int = HELD_BLOCKS) -> None:
        """Begin before the first motion; held_blocks is how many motions the controller holds that are not done."""
        # Not only its arrays: who asks for the path meanwhile is given the same one.
        self._scene = scene
        self._points = scene.points
        self._tool, self._line = scene.tool, scene.line
        self._held = held_blocks
        self._seconds = np.concatenate([np.zeros(1, dtype=np.float32), scene.seconds])
        moving = np.flatnonzero((self._points[1:] != self._points[:-1]).any(axis=1))
        # Of the lines that move something, where each begins on the path; the last entry is the end of all.
        self._lines, first = np.unique(scene.line[moving], return_index=True)
        self._first = np.append(moving[first], len(scene)).astype(np.int32)
        self._known = _first_known(scene)
        self._adrift = scene.adrift
        self._row, self._share = self._known, 0.0
        self._last: Report | None = None
        self._begun: Report | None = None
        self._again = False

    @property
    def seconds(self) -> float:
        """Return the planned time of the place that was reached."""
        return self._time(self._row, self._share)

    @property
    def adrift(self) -> bool:
        """Return whether the path has cuts of which nobody knows where they lead."""
        return self._adrift is not None and bool(self._adrift[self._scene.kind != Kind.RAPID].any())

    def path(self) -> Moves:
        """Return all moves of the path of which the program says where they begin and end."""
        start, end, tool = self._points[self._known : -1], self._points[self._known + 1 :], self._tool[self._known :]
        return self._placed(Moves(start, end, tool), self._known)

    def _placed(self, moves: Moves, row: int) -> Moves:
        """Return those of `moves`, which follow each other from `row` on, of which the program says where they lead."""
        if self._adrift is None:
            return moves
        placed = ~self._adrift[row : row + len(moves)]
        return Moves(moves.start[placed], moves.end[placed], moves.tool[placed])

    def lift(self) -> Moves:
        """Forget where the machine was: it has been moved otherwise, or goes on after a stop. Returns no moves."""
        self._last, self._begun = None, None
        return _none()

    def begin_again(self) -> Moves:
        """Expect that the machine goes on from another line; what was cut stays cut. Returns no moves."""
        self._again = True
        return self.lift()

    def follow(self, report: Report) -> Moves:
        """Return what was moved since the report before."""
        low, high = self._window(report.line)
        if self._again:
            if report.line is None:
                return _none()
            self._again = False
            if low < self._row:
                self._row, self._share = low, 0.0
        row, share = (low, 0.0) if low > self._row else (self._row, self._share)
        before, self._last = self._last, report
        found = self._place(report, row, share, high)
        if found is None:
            passed = self._advance(row, share, seen=False)
            if before is None or self._begun is None or not (report.cutting and before.cutting):
                return passed
            return _joined(passed, self._straight(before, report))
        self._begun = report
        return self._advance(*found)

    def finish(self, before: int | None = None) -> Moves:
        """Return what is left of the path up to the source line `before`, None for its end: the machine has done it."""
        row = len(self._tool) if before is None else int(np.searchsorted(self._line, before, side="left"))
        return self._advance(row, 0.0, seen=False)

    def _window(self, line: int | None) -> tuple[int, int]:
        """Return the first motion that may not be done, and the end of those that may have begun.

        The line after the acknowledged one may be in the works: an arc moves before its receipt is given.
        """
        taken = 0 if line is None else int(np.searchsorted(self._lines, line, side="right"))
        first = int(self._first[taken - self._held]) if taken > self._held else 0
        return first, int(self._first[min(taken + 1, len(self._lines))])

    def _place(self, report: Report, row: int, share: float, high: int) -> tuple[int, float] | None:
        """Return (motion, share of it) of a report, at or behind `row`, `share`; None where it is off the path."""
        if row >= high:
            return None
        points = self._points[row : high + 1].astype(np.float64)
        start, way = points[:-1], np.diff(points, axis=0)
        square = np.maximum((way * way).sum(axis=1), 1e-12)
        shares = np.clip(((np.asarray(report.place) - start) * way).sum(axis=1) / square, 0.0, 1.0)
        shares[0] = max(shares[0], share)
        away = start + way * shares[:, None] - np.asarray(report.place)
        off = np.sqrt((away * away).sum(axis=1))
        if off.min() > OFF_MM:
            return None
        near = np.flatnonzero(off <= min(off.min() + _SAME_MM, OFF_MM))
        at = near[0]
        if self._begun is not None:
            expected = self.seconds + (report.seconds - self._begun.seconds) * report.pace
            begin, end = self._seconds[row + near], self._seconds[row + near + 1]
            at = near[np.argmin(np.abs(begin + (end - begin) * shares[near] - expected))]
        return row + int(at), float(shares[at])

    def _time(self, row: int, share: float) -> float:
        last = len(self._tool)
        begin, end = self._seconds[min(row, last)], self._seconds[min(row + 1, last)]
        return float(begin + (end - begin) * share)

    def _point(self, row: int, share: float) -> Floats:
        begin, end = self._points[row].astype(np.float64), self._points[min(row + 1, len(self._tool))]
        point: Floats = begin + (end - begin) * share
        return point

    def _advance(self, row: int, share: float, *, seen: bool = True) -> Moves:
        """Go on to a place on the path, and return the moves to it.

        Where the program has not given where they lead, they were made here only if the machine was `seen` here.
        """
        begin, from_share = self._row, self._share
        self._row, self._share = row, share
        if (row, share) <= (begin, from_share):
            return _none()
        last = min(row, len(self._tool) - 1)
        points = np.concatenate(
            [
                self._point(begin, from_share)[None],
                self._points[begin + 1 : row + 1],
                self._point(row, share)[None] if share > 0 else np.zeros((0, 3)),
            ]
        )
        tools = self._tool[begin : last + 1][: len(points) - 1]
        moves = Moves(points[:-1], points[1:], tools)
        return moves if seen else self._placed(moves, begin)

    def _straight(self, before: Report, report: Report) -> Moves:
        if not len(self._tool):
            return _none()
        tool = self._tool[min(self._row, len(self._tool) - 1)]
        return Moves(np.array([before.place]), np.array([report.place]), np.array([tool], dtype=np.uint8))


def _none() -> Moves:
    return Moves(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, dtype=np.uint8))


def _joined(first: Moves, second: Moves) -> Moves:
    return Moves(
        np.concatenate([first.start, second.start]),
        np.concatenate([first.end, second.end]),
        np.concatenate([first.tool, second.tool]),
    )


def _first_known(scene: Scene) -> int:
    """Return the first motion that begins where the program says: where a machine stands before it, nobody knows."""
    moves_in_z: Ints = scene.points[1:, 2] != scene.points[:-1, 2]
    fixed = np.flatnonzero(moves_in_z | (scene.kind != Kind.RAPID))
    return int(fixed[0]) + int(fixed[0] == 0 or scene.kind[fixed[0]] == Kind.RAPID) if len(fixed) else len(scene)
