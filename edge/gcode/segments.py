# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects motions and stops while a program is interpreted, one at a time or in batches.

Room is taken for all lines at once, and only what is written to takes memory. Each motion begins where the one before
it has ended, so that positions are kept once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.gcode.model import Bools, Floats, Ints, Segments, StopKind, Stops

_FIRST_ROOM = 256
Triple = tuple[float, float, float]
Flags = tuple[bool, bool, bool]


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """Some motions in order; arc rows count from the first of them.

    ends: one (n,) per axis; machine_frame is None where no end is a machine coordinate, unplaced where all are known.
    The rest as in Segments.
    """

    ends: tuple[Floats, Floats, Floats]
    feed: Floats
    kind: NDArray[np.int8]
    wire: Ints
    machine_frame: Bools | None
    unplaced: Bools | None
    arc: Ints
    arc_centre: Floats
    arc_plane: NDArray[np.int8]


class SegmentBuilder:
    """Motions in the order in which they are added; `start` is the position before the first (mm)."""

    def __init__(self, start: Triple = (0.0, 0.0, 0.0), room: int = _FIRST_ROOM) -> None:
        self.count = 0
        self._take_room(max(room, 1))
        self._places[0] = start
        self._frames: Bools | None = None
        self._unplaced: Bools | None = None
        self._arcs: list[tuple[Ints, Floats, NDArray[np.int8]]] = []
        self._single_arcs: list[tuple[int, float, float, int]] = []
        self._stops: list[Stops] = []
        self._single_stops: list[tuple[int, int, int, float]] = []

    def add(
        self,
        end: Triple,
        *,
        feed: float,
        kind: int,
        wire: int,
        machine_frame: Flags,
        unplaced: Flags = (False, False, False),
        centre: tuple[float, float] | None = None,
        plane: int = 0,
    ) -> None:
        """Add one motion; `centre` makes it an arc of `plane`."""
        at = self.count
        self._make_room(1)
        self._places[at + 1] = end
        self._feed[at] = feed
        self._kind[at] = kind
        self._wire[at] = wire
        if any(machine_frame):
            self._frames = self._flags(self._frames)
            self._frames[at] = machine_frame
        if any(unplaced):
            self._unplaced = self._flags(self._unplaced)
            self._unplaced[at] = unplaced
        if centre is not None:
            self._single_arcs.append((at, *centre, plane))
        self.count += 1

    def add_rows(self, rows: SegmentRows) -> None:
        """Add many motions."""
        at, size = self.count, len(rows.kind)
        self._make_room(size)
        for axis, ends in enumerate(rows.ends):
            self._places[at + 1 : at + 1 + size, axis] = ends
        self._feed[at : at + size] = rows.feed
        self._kind[at : at + size] = rows.kind
        self._wire[at : at + size] = rows.wire
        if rows.machine_frame is not None:
            self._frames = self._flags(self._frames)
            self._frames[at : at + size] = rows.machine_frame
        if rows.unplaced is not None:
            self._unplaced = self._flags(self._unplaced)
            self._unplaced[at : at + size] = rows.unplaced
        if len(rows.arc):
            self._flush_arcs()
            self._arcs.append((rows.arc + at, rows.arc_centre, rows.arc_plane))
        self.count += size

    def stop(self, wire: int, kind: StopKind, seconds: float = 0.0) -> None:
        """Let all motion so far end here."""
        self._single_stops.append((self.count, wire, kind, seconds))

    def add_stops(self, stops: Stops) -> None:
        """Add many stops; `before` counts from the next motion that is added."""
        self._flush_stops()
        self._stops.append(Stops(stops.before + self.count, stops.wire, stops.kind, stops.seconds))

    def finish(self) -> tuple[Segments, Stops]:
        """Return everything that was added."""
        self._flush_arcs()
        size = self.count
        arc, centre, plane = (
            (np.concatenate(parts) for parts in zip(*self._arcs, strict=True))
            if self._arcs
            else (np.zeros(0, dtype=np.int64), np.zeros((0, 2)), np.zeros(0, dtype=np.int8))
        )
        segments = Segments(
            start=self._places[:size],
            end=self._places[1 : size + 1],
            feed=self._feed[:size],
            kind=self._kind[:size],
            wire=self._wire[:size],
            machine_frame=_flags_of(self._frames, size),
            arc=arc,
            arc_centre=centre,
            arc_plane=plane,
            unplaced=_flags_of(self._unplaced, size),
        )
        self._flush_stops()
        return segments, Stops.joined(self._stops)

    def _take_room(self, room: int) -> None:
        self._places = np.empty((room + 1, 3))
        self._feed = np.empty(room)
        self._kind = np.empty(room, dtype=np.int8)
        self._wire = np.empty(room, dtype=np.int64)

    def _make_room(self, more: int) -> None:
        if self.count + more <= len(self._kind):
            return
        kept, size = (self._places, self._feed, self._kind, self._wire), self.count
        self._take_room(2 * (size + more))
        self._places[: size + 1] = kept[0][: size + 1]
        self._feed[:size], self._kind[:size], self._wire[:size] = (part[:size] for part in kept[1:])
        self._frames = self._grown(self._frames, size)
        self._unplaced = self._grown(self._unplaced, size)

    def _flags(self, flags: Bools | None) -> Bools:
        return np.zeros((len(self._kind), 3), dtype=np.bool_) if flags is None else flags

    def _grown(self, flags: Bools | None, size: int) -> Bools | None:
        if flags is None:
            return None
        grown = np.zeros((len(self._kind), 3), dtype=np.bool_)
        grown[:size] = flags[:size]
        return grown

    def _flush_arcs(self) -> None:
        if self._single_arcs:
            rows = self._single_arcs
            self._arcs.append(
                (
                    np.array([row for row, *_ in rows], dtype=np.int64),
                    np.array([centre for _, *centre, _ in rows], dtype=np.float64).reshape(-1, 2),
                    np.array([plane for *_, plane in rows], dtype=np.int8),
                )
            )
            self._single_arcs = []

    def _flush_stops(self) -> None:
        if self._single_stops:
            self._stops.append(Stops.of(self._single_stops))
            self._single_stops = []


def _flags_of(flags: Bools | None, size: int) -> Bools:
    return np.broadcast_to(np.False_, (size, 3)) if flags is None else flags[:size]
