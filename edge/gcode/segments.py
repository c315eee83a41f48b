# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects motions and stops while a program is interpreted, one at a time or in batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.gcode.model import Bools, Floats, Ints, Segments, Stop, StopKind


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Some motions in order; arc rows count from the first of them. Shapes as in Segments."""

    start: Floats
    end: Floats
    feed: Floats
    kind: NDArray[np.int8]
    wire: Ints
    machine_frame: Bools
    arc: Ints
    arc_centre: Floats
    arc_plane: NDArray[np.int8]


Triple = tuple[float, float, float]
Flags = tuple[bool, bool, bool]


@dataclass(slots=True)
class _Single:
    start: Triple
    end: Triple
    feed: float
    kind: int
    wire: int
    machine_frame: Flags
    centre: tuple[float, float] | None
    plane: int


@dataclass(slots=True)
class SegmentBuilder:
    """Motions in the order in which they are added."""

    count: int = 0
    _rows: list[SegmentRows] = field(default_factory=list)
    _singles: list[_Single] = field(default_factory=list)
    _stops: list[Stop] = field(default_factory=list)

    def add(
        self,
        start: Triple,
        end: Triple,
        *,
        feed: float,
        kind: int,
        wire: int,
        machine_frame: Flags,
        centre: tuple[float, float] | None = None,
        plane: int = 0,
    ) -> None:
        """Add one motion; `centre` makes it an arc of `plane`."""
        self._singles.append(_Single(start, end, feed, kind, wire, machine_frame, centre, plane))
        self.count += 1

    def add_rows(self, rows: SegmentRows) -> None:
        """Add many motions."""
        self._flush()
        self._rows.append(rows)
        self.count += len(rows.kind)

    def stop(self, wire: int, kind: StopKind, seconds: float = 0.0, *, ahead: int = 0) -> None:
        """Let all motion so far end here, and the next `ahead` motions, which are about to be added."""
        self._stops.append(Stop(self.count + ahead, wire, kind, seconds))

    def finish(self) -> tuple[Segments, tuple[Stop, ...]]:
        """Return everything that was added."""
        self._flush()
        rows = self._rows or [_rows([])]
        offsets = np.cumsum([0] + [len(part.kind) for part in rows[:-1]])
        return Segments(
            start=np.concatenate([part.start for part in rows]),
            end=np.concatenate([part.end for part in rows]),
            feed=np.concatenate([part.feed for part in rows]),
            kind=np.concatenate([part.kind for part in rows]),
            wire=np.concatenate([part.wire for part in rows]),
            machine_frame=np.concatenate([part.machine_frame for part in rows]),
            arc=np.concatenate([part.arc + offset for part, offset in zip(rows, offsets, strict=True)]),
            arc_centre=np.concatenate([part.arc_centre for part in rows]),
            arc_plane=np.concatenate([part.arc_plane for part in rows]),
        ), tuple(self._stops)

    def _flush(self) -> None:
        if self._singles:
            self._rows.append(_rows(self._singles))
            self._singles = []


def _rows(singles: list[_Single]) -> SegmentRows:
    arcs = [(row, single) for row, single in enumerate(singles) if single.centre is not None]
    return SegmentRows(
        start=np.array([single.start for single in singles], dtype=np.float64).reshape(-1, 3),
        end=np.array([single.end for single in singles], dtype=np.float64).reshape(-1, 3),
        feed=np.array([single.feed for single in singles], dtype=np.float64),
        kind=np.array([single.kind for single in singles], dtype=np.int8),
        wire=np.array([single.wire for single in singles], dtype=np.int64),
        machine_frame=np.array([single.machine_frame for single in singles], dtype=np.bool_).reshape(-1, 3),
        arc=np.array([row for row, _ in arcs], dtype=np.int64),
        arc_centre=np.array([single.centre for _, single in arcs], dtype=np.float64).reshape(-1, 2),
        arc_plane=np.array([single.plane for _, single in arcs], dtype=np.int8),
    )
