# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple lines, many at a time: whole-array arithmetic on the columns of `lexer`.

A run of lines is interpreted up to the first that the controller would refuse, or that counts from a place which
nobody has given; that one is left to `modal`, which knows what to say of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.gcode.blocks import AXES
from edge.gcode.circles import (
    ARC_TOLERANCE,
    ARC_TOLERANCE_LARGE,
    ARC_TOLERANCE_SHARE,
    PLANE_AXES,
    ROUNDING,
    ROUNDING_SHARE,
)
from edge.gcode.lexer import Column, Lexed
from edge.gcode.modal import MAX_TIGHT, SPINDLE_OFF, Modal
from edge.gcode.model import Bools, Floats, Ints, Kind, StopKind, Stops
from edge.gcode.places import MACHINE, ZERO
from edge.gcode.segments import SegmentBuilder, SegmentRows

_PLANES = np.array(PLANE_AXES)
_G17 = 17
_FLOOD = 8


@dataclass(frozen=True, slots=True)
class _Motion:
    """Of `count` lines: kind and feed in force, whether each moves, and the position after each, one (n,) per axis."""

    count: int
    kind: NDArray[np.int8]
    feed: Floats
    moves: Bools
    given: tuple[Bools | None, Bools | None, Bools | None]
    ends: tuple[Floats, Floats, Floats]

    def starts(self, rows: Ints, axis: int, modal: Modal) -> Floats:
        """Return where the lines `rows` begin."""
        starts = self.ends[axis][rows - 1]
        starts[rows == 0] = modal.position[axis]
        return starts


def run_batch(lexed: Lexed, at: int, until: int, modal: Modal, builder: SegmentBuilder) -> int:
    """Interpret the simple lines [at, until) up to the first that is refused; return how many were done."""
    first, last = at - lexed.first, until - lexed.first
    count = until - at
    words = lexed.motion.between(first, last)
    motion = _motion(lexed, first, last, words, modal)
    arcs, centres, planes, bad, close = _find_arcs(lexed, first, last, motion, modal)
    done = _first_refused(lexed, first, last, words, motion, arcs[bad], modal)
    done = min(done, _first_unplaced(lexed, first, last, arcs, planes, modal))
    if done == 0:
        return 0
    modal.note_tight((close[close < done][:MAX_TIGHT] + at).tolist())
    moving = np.flatnonzero(motion.moves[:done])
    _change_state(lexed, first, first + done, at, moving, modal, builder)
    origin, base = modal.origin, modal.places.base
    frame = _carried(lexed, first, done, modal, modal.machine_frame, [place == MACHINE for place in base])
    unplaced = _carried(
        lexed, first, done, modal, [place > MACHINE for place in origin], [place > MACHINE for place in base]
    )
    every = len(moving) == count
    kind = motion.kind if every else motion.kind[moving]
    feed = motion.feed if every else motion.feed[moving]
    if not kind.all():
        feed = np.where(kind == Kind.RAPID, 0.0, feed)
    kept = arcs < done
    x, y, z = motion.ends if every else (ends[moving] for ends in motion.ends)
    builder.add_rows(
        SegmentRows(
            ends=(x, y, z),
            feed=feed,
            kind=kind,
            wire=moving + at,
            machine_frame=None if frame is None else frame[moving],
            unplaced=None if unplaced is None else unplaced[moving],
            arc=np.searchsorted(moving, arcs[kept]),
            arc_centre=centres[kept],
            arc_plane=planes[kept],
        )
    )
    modal.motion = int(motion.kind[done - 1])
    modal.feed = float(motion.feed[done - 1])
    modal.position = [float(ends[done - 1]) for ends in motion.ends]
    if frame is not None:
        modal.machine_frame = [bool(flag) for flag in frame[done - 1]]
    if modal.absolute and origin != base:
        given = [lexed.gives(axis, at, done) for axis in AXES]
        modal.origin = [base[axis] if given[axis] else origin[axis] for axis in range(3)]
    return done


def _carry(column: Column, count: int, before: float) -> Floats:
    """Return `count` values: that of the last word up to each row, `before` where there is none."""
    rows = column.rows
    if len(rows) == count:
        return column.values
    if not len(rows):
        return np.full(count, before)
    gaps = np.diff(rows, prepend=0, append=count)
    carried: Floats = np.repeat(np.concatenate([[before], column.values]), gaps)
    return carried


def _motion(lexed: Lexed, first: int, last: int, words: Column, modal: Modal) -> _Motion:
    count = last - first
    kind = _carry(words, count, float(modal.motion)).astype(np.int8)
    feeds = lexed.letter("F").between(first, last)
    feed = _carry(Column(feeds.rows, feeds.values * modal.scale, feeds.places), count, modal.feed)
    moves = np.zeros(count, dtype=np.bool_)
    given: list[Bools | None] = []
    ends: list[Floats] = []
    for axis, letter in enumerate("XYZ"):
        column = lexed.letter(letter).between(first, last)
        values = column.values * modal.scale
        if modal.absolute:
            values += modal.shift[axis]
            ends.append(_carry(Column(column.rows, values, column.places), count, modal.position[axis]))
        else:
            steps = np.zeros(count)
            steps[column.rows] = values
            steps[0] += modal.position[axis]
            ends.append(np.cumsum(steps))
        flags: Bools | None = None
        if len(column):
            flags = np.zeros(count, dtype=np.bool_)
            flags[column.rows] = True
            moves |= flags
        given.append(flags)
    return _Motion(count, kind, feed, moves, (given[0], given[1], given[2]), (ends[0], ends[1], ends[2]))


def _first_refused(
    lexed: Lexed, first: int, last: int, words: Column, motion: _Motion, bad_arcs: Ints, modal: Modal
) -> int:
    """Return the first line that the controller would refuse, or the number of lines."""
    refused = [bad_arcs[:1]]
    if modal.feed == 0.0 or not motion.feed.all():
        commanded = motion.moves.copy()
        commanded[words.rows] = True
        refused.append(np.flatnonzero(commanded & (motion.kind != Kind.RAPID) & (motion.feed == 0.0))[:1])
    centred = [lexed.letter(letter).between(first, last).rows for letter in "IJKR"]
    # Centre and radius belong to arcs; an arc needs an axis.
    for rows in centred:
        if len(rows):
            refused.append(rows[~(motion.moves[rows] & (motion.kind[rows] >= Kind.ARC_CW))][:1])
    turns = words.rows[words.values >= Kind.ARC_CW]
    refused.append(turns[~motion.moves[turns]][:1])
    found = np.concatenate(refused)
    return int(found.min()) if len(found) else motion.count


def _find_arcs(
    lexed: Lexed, first: int, last: int, motion: _Motion, modal: Modal
) -> tuple[Ints, Floats, NDArray[np.int8], Bools, Ints]:
    """Return rows, centres in the plane's axes and planes of the arcs, and which of them the controller refuses.

    The last are the rows of the tight ones. How far a circle may be off is `modal`'s.
    """
    arcs = np.flatnonzero((motion.kind >= Kind.ARC_CW) & motion.moves)
    if not len(arcs):
        return arcs, np.zeros((0, 2)), np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.bool_), arcs
    plane = _carry(lexed.plane.between(first, last), motion.count, modal.plane + _G17)[arcs].astype(np.int64) - _G17
    axes = _PLANES[plane]
    start = np.stack([motion.starts(arcs, axis, modal) for axis in range(3)], axis=1)
    end = np.stack([ends[arcs] for ends in motion.ends], axis=1)
    given = np.stack([flags[arcs] if flags is not None else np.zeros(len(arcs), bool) for flags in motion.given], 1)
    centre = np.stack([lexed.letter(letter).between(first, last).at(arcs) for letter in "IJK"], axis=1) * modal.scale
    radius = lexed.letter("R").between(first, last).at(arcs) * modal.scale
    here = np.take_along_axis(start, axes[:, :2], axis=1)
    x, y = (np.take_along_axis(end, axes[:, :2], axis=1) - here).T
    by_radius = ~np.isnan(radius)
    offsets = np.take_along_axis(centre, axes[:, :2], axis=1)
    bad = ~np.take_along_axis(given, axes[:, :2], axis=1).any(axis=1)
    no_centre = np.isnan(offsets).all(axis=1)
    offsets = np.nan_to_num(offsets, nan=0.0)
    i, j = offsets.T
    start_radius = np.hypot(i, j)
    off = np.abs(np.hypot(x - i, y - j) - start_radius) + (ROUNDING + ROUNDING_SHARE * start_radius)
    agree = (off <= ARC_TOLERANCE) | ((off <= ARC_TOLERANCE_LARGE) & (off <= ARC_TOLERANCE_SHARE * start_radius))
    bad |= ~by_radius & (no_centre | ~agree)
    close = np.zeros(0, dtype=np.int64)
    if by_radius.any():
        # A radius with I, J or K beside it is error:36; no chord is error:33 or a straight move; a radius too short
        # for it is error:34.
        chord = np.hypot(x, y)
        square = 4.0 * radius * radius - x * x - y * y
        bad |= by_radius & (~np.isnan(centre).all(axis=1) | (chord <= ROUNDING) | ~(square >= 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            h = -np.sqrt(square) / chord
            h *= np.where(motion.kind[arcs] == Kind.ARC_CCW, -1.0, 1.0) * np.where(radius < 0, -1.0, 1.0)
            from_radius = np.stack([0.5 * (x - y * h), 0.5 * (y + x * h)], axis=1)
        offsets = np.where(by_radius[:, None], from_radius, offsets)
        size = np.abs(radius)
        close = arcs[by_radius & (2.0 * size - chord < ROUNDING + ROUNDING_SHARE * size)]
    return arcs, here + offsets, plane.astype(np.int8), bad, close


def _first_unplaced(lexed: Lexed, first: int, last: int, arcs: Ints, planes: NDArray[np.int8], modal: Modal) -> int:
    """Return the first line that `modal` has to report or to judge, because nobody knows where an axis stands."""
    count = last - first
    if modal.origin == modal.places.base == [ZERO] * 3:
        return count
    found = [count]
    for axis, letter in enumerate(AXES):
        before, after = modal.origin[axis], modal.places.base[axis]
        column = lexed.letter(letter).between(first, last)
        turning = arcs[(_PLANES[planes.astype(np.int64), :2] == axis).any(axis=1)]
        if not modal.absolute:
            if modal.unnoted(axis, before):
                found += [*column.rows[column.values != 0.0][:1].tolist(), *turning[:1].tolist()]
            continue
        given = int(column.rows[0]) if len(column) else count
        if before != after:
            found += turning[turning == given].tolist()
        if modal.unnoted(axis, before):
            found += turning[turning < given][:1].tolist()
        if modal.unnoted(axis, after):
            found += turning[turning >= given][:1].tolist()
    return min(found)


def _carried(lexed: Lexed, first: int, done: int, modal: Modal, before: list[bool], after: list[bool]) -> Bools | None:
    """Return per line and axis a flag: `after` from the first coordinate of the axis on. None where it is nowhere set.

    A distance leaves it as it is.
    """
    if not any(before) and not (modal.absolute and any(after)):
        return None
    flags = np.zeros((done, 3), dtype=np.bool_)
    for axis, letter in enumerate(AXES):
        rows = lexed.letter(letter).between(first, first + done).rows
        given = int(rows[0]) if modal.absolute and len(rows) else done
        flags[:given, axis] = before[axis]
        flags[given:, axis] = after[axis]
    return flags


def _change_state(
    lexed: Lexed, first: int, last: int, at: int, moving: Ints, modal: Modal, builder: SegmentBuilder
) -> None:
    """Take over plane, speed, spindle and coolant of a run of lines, and the stops that they and dwells make."""
    count = last - first
    planes = lexed.plane.between(first, last)
    if len(planes):
        modal.plane = int(planes.values[-1]) - _G17
    stops: list[tuple[Ints, StopKind, Floats]] = []
    speeds, spindles = lexed.letter("S").between(first, last), lexed.spindle.between(first, last)
    if len(speeds) or len(spindles):
        speed = _carry(speeds, count, modal.speed)
        spindle = _carry(spindles, count, float(modal.spindle))
        other = np.diff(spindle, prepend=modal.spindle) != 0
        was_on = np.concatenate([[modal.spindle_on], spindle[:-1] != SPINDLE_OFF])
        rows = np.flatnonzero(other | (was_on & (np.diff(speed, prepend=modal.speed) != 0)))
        stops.append((rows, StopKind.SPINDLE, np.zeros(len(rows))))
        modal.speed, modal.spindle = float(speed[-1]), int(spindle[-1])
    coolants = lexed.coolant.between(first, last)
    if len(coolants):
        flood = coolants.values == _FLOOD
        was = np.concatenate([[modal.flood], flood[:-1]])
        mist = np.zeros(len(flood), dtype=np.bool_)
        # M8 leaves the mist as it is, and M9 ends both.
        mist[0] = modal.mist
        mist[1:] = modal.mist & np.logical_and.accumulate(flood)[:-1]
        rows = coolants.rows[(flood != was) | (mist & ~flood)]
        stops.append((rows, StopKind.COOLANT, np.zeros(len(rows))))
        modal.flood, modal.mist = bool(flood[-1]), modal.mist and bool(flood.all())
    dwells = lexed.dwell.between(first, last).rows
    if len(dwells):
        stops.append((dwells, StopKind.DWELL, lexed.letter("P").between(first, last).at(dwells)))
    if stops:
        builder.add_stops(_in_order(stops, at, moving))


def _in_order(stops: list[tuple[Ints, StopKind, Floats]], at: int, moving: Ints) -> Stops:
    """Return stops by line; of one line in the order of `stops`, which is that in which the controller does them."""
    rows = np.concatenate([part for part, _, _ in stops])
    kind = np.concatenate([np.full(len(part), kind, dtype=np.int8) for part, kind, _ in stops])
    seconds = np.concatenate([part for _, _, part in stops])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    return Stops(np.searchsorted(moving, rows), rows + at, kind[order], seconds[order])
