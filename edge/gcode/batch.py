# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that only move, many at a time, over raw bytes.

`lex` turns clean lines into a table: one row per line, one column per letter. A line is simple when it holds
nothing but N, one of G0 to G3, X Y Z, I J K, R, F and S, each at most once and well formed. `run_batch` interprets a
run of simple lines with whole-array arithmetic, up to the first that the controller would refuse; that one is
left to `modal`, which knows which error it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.gcode.blocks import MAX_LINE_NUMBER
from edge.gcode.modal import ARC_TOLERANCE, ARC_TOLERANCE_LARGE, ARC_TOLERANCE_SHARE, PLANE_AXES, Modal
from edge.gcode.model import Bools, Floats, Ints, Kind, StopKind
from edge.gcode.segments import SegmentBuilder, SegmentRows
from edge.gcode.words import MAX_DIGITS, MAX_LINE

_COLUMNS: Final = "XYZFIJKRGNS"
_X, _F, _I, _R, _G, _N, _S = (_COLUMNS.index(letter) for letter in "XFIRGNS")

# Classes of characters, and which may follow which: letter, sign, digit, point, line feed, anything else.
_LETTER, _SIGN, _DIGIT, _POINT, _FEED, _OTHER = range(6)
_CLASS = np.full(256, _OTHER, dtype=np.uint8)
_CLASS[ord("A") : ord("Z") + 1] = _LETTER
_CLASS[[ord("+"), ord("-")]] = _SIGN
_CLASS[ord("0") : ord("9") + 1] = _DIGIT
_CLASS[ord(".")] = _POINT
_CLASS[ord("\n")] = _FEED
_FOLLOWS = np.zeros((6, 6), dtype=np.bool_)
for _before, _after in (
    (_LETTER, (_SIGN, _DIGIT, _POINT)),
    (_SIGN, (_DIGIT, _POINT)),
    (_DIGIT, (_LETTER, _DIGIT, _POINT, _FEED)),
    (_POINT, (_LETTER, _DIGIT, _FEED)),
    (_FEED, (_LETTER,)),
):
    _FOLLOWS[_before, _after] = True
_BROKEN = ~_FOLLOWS.ravel()
_COLUMN_OF = np.full(256, -1, dtype=np.int8)
for _column, _letter in enumerate(_COLUMNS):
    _COLUMN_OF[ord(_letter)] = _column
_TENS_INT = 10 ** np.arange(MAX_DIGITS, dtype=np.int64)
_TENS = 10.0 ** np.arange(MAX_LINE + 1)


@dataclass(frozen=True, slots=True)
class Lexed:
    """Table of some lines: values (lines, 11), NaN where a letter is absent; next_hard: (lines + 1,).

    first is the index of the first line in the program; next_hard[i] is the first line from i on that is not
    simple.
    """

    first: int
    values: Floats
    next_hard: Ints

    def simple_until(self, line: int) -> int:
        """Return the first line from `line` on that is not simple."""
        return self.first + int(self.next_hard[line - self.first])

    def speeds_over(self, speed: float, line: int, count: int) -> list[tuple[int, float]]:
        """Return (offset from `line`, S) wherever an S of the next `count` lines is the highest so far."""
        given = self.values[line - self.first : line - self.first + count, _S]
        rows = np.flatnonzero(given > speed)
        values = given[rows]
        before = np.concatenate([[speed], np.maximum.accumulate(values)[:-1]]) if len(rows) else values
        higher = values > before
        return list(zip(rows[higher].tolist(), values[higher].tolist(), strict=True))


def lex(lines: list[str], first: int) -> Lexed:
    """Return the table of clean, non-empty lines; `first` is the index of lines[0] in the program."""
    joined = "\n".join([line if len(line) <= MAX_LINE else "*" for line in lines])
    text = np.frombuffer(("\n" + joined + "\n").encode("ascii"), dtype=np.uint8)
    classes = _CLASS[text]
    feeds = np.flatnonzero(classes == _FEED)
    count = len(lines)
    hard = np.zeros(count, dtype=np.bool_)

    def spoil(at: Ints) -> None:
        hard[np.minimum(np.searchsorted(feeds, at, side="right") - 1, count - 1)] = True

    spoil(np.flatnonzero(_BROKEN[classes[:-1].astype(np.int16) * 6 + classes[1:]]))
    starts = np.flatnonzero(classes == _LETTER)
    values, well_formed = _numbers(text, classes, starts)
    spoil(starts[~well_formed])

    column = _COLUMN_OF[text[starts]].astype(np.int64)
    spoil(starts[column < 0])
    line = np.searchsorted(feeds, starts, side="right") - 1
    known = column >= 0
    cell = line[known] * len(_COLUMNS) + column[known]
    spoil(starts[known][np.bincount(cell, minlength=count * len(_COLUMNS))[cell] > 1])
    cells = np.full(count * len(_COLUMNS), np.nan)
    cells[cell] = values[known]
    table: Floats = cells.reshape(count, len(_COLUMNS))
    with np.errstate(invalid="ignore"):
        motion = table[:, _G]
        hard |= ~(np.isnan(motion) | (motion == 0) | (motion == 1) | (motion == 2) | (motion == 3))
        hard |= (table[:, _F] < 0) | (table[:, _S] < 0) | (table[:, _N] < 0) | (table[:, _N] > MAX_LINE_NUMBER)
    next_hard = np.append(np.where(hard, np.arange(count), count), count)
    return Lexed(first, table, np.minimum.accumulate(next_hard[::-1])[::-1])


def _numbers(text: NDArray[np.uint8], classes: NDArray[np.uint8], starts: Ints) -> tuple[Floats, Bools]:
    """Return the value of the word that begins at each of `starts`, and whether its number is one.

    As `words.number_value`: the first eight digits count. Each mantissa is summed as an integer, so that both ways
    give the same float.
    """
    if not len(starts):
        return np.zeros(0), np.zeros(0, dtype=np.bool_)
    digits = np.flatnonzero(classes == _DIGIT)
    points = np.flatnonzero(classes == _POINT)
    ends = np.append(starts[1:], len(text))
    first_digit = np.searchsorted(digits, starts)
    digit_count = np.searchsorted(digits, ends) - first_digit
    first_point = np.searchsorted(points, starts)
    point_count = np.searchsorted(points, ends) - first_point
    well_formed = (digit_count > 0) & (point_count <= 1)
    kept = np.minimum(digit_count, MAX_DIGITS)
    whole = digit_count.copy()
    with_point = np.flatnonzero(point_count)
    whole[with_point] = np.searchsorted(digits, points[first_point[with_point]]) - first_digit[with_point]

    mantissa = np.zeros(len(starts), dtype=np.int64)
    for place in range(MAX_DIGITS):
        rows = np.flatnonzero(kept > place)
        if not len(rows):
            break
        digit = text[digits[first_digit[rows] + place]].astype(np.int64) - ord("0")
        mantissa[rows] += digit * _TENS_INT[kept[rows] - 1 - place]
    exponent = whole - kept
    values = mantissa.astype(np.float64)
    shrunk, grown = exponent < 0, exponent > 0
    values[shrunk] /= _TENS[-exponent[shrunk]]
    values[grown] *= _TENS[np.minimum(exponent[grown], MAX_LINE)]
    negative = text[np.minimum(starts + 1, len(text) - 1)] == ord("-")
    values[negative] *= -1.0
    return values, well_formed


def _carry(values: Floats, before: float) -> Floats:
    """Return `values` with each NaN replaced by the last number before it, or by `before`."""
    given = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(given, np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], before)


def run_batch(lexed: Lexed, at: int, until: int, modal: Modal, builder: SegmentBuilder) -> int:
    """Interpret the simple lines [at, until) up to the first that is refused; return how many were done."""
    table = lexed.values[at - lexed.first : until - lexed.first]
    count = len(table)
    motion = _carry(table[:, _G], float(modal.motion)).astype(np.int8)
    feed = _carry(table[:, _F] * modal.scale, modal.feed)
    given: Bools = ~np.isnan(table[:, _X : _X + 3])
    moves: Bools = np.asarray(given.any(axis=1))
    ends, frame = _targets(table, given, modal)
    starts = np.vstack([modal.position, ends[:-1]])

    has_centre = ~np.isnan(table[:, _I : _I + 3])
    has_radius = ~np.isnan(table[:, _R])
    commanded = moves | ~np.isnan(table[:, _G])
    is_arc = motion >= Kind.ARC_CW
    refused: Bools = np.zeros(count, dtype=np.bool_)
    refused[commanded & (motion != Kind.RAPID) & (feed == 0.0)] = True
    refused[~(is_arc & commanded) & (has_centre.any(axis=1) | has_radius)] = True
    refused[is_arc & commanded & ~moves] = True
    arcs = np.flatnonzero(is_arc & moves)
    centres = np.zeros((0, 2))
    if len(arcs):
        centres, bad = _arcs(table[arcs], given[arcs], starts[arcs], ends[arcs], motion[arcs], modal)
        refused[arcs[bad]] = True
    done = int(np.argmax(refused)) if refused.any() else count
    if done == 0:
        return 0

    rows = np.flatnonzero(moves[:done])
    kept_arcs = arcs < done
    _change_speed(table[:done, _S], rows, at, modal, builder)
    builder.add_rows(
        SegmentRows(
            start=starts[rows],
            end=ends[rows],
            feed=np.where(motion[rows] == Kind.RAPID, 0.0, feed[rows]),
            kind=motion[rows],
            wire=rows + at,
            machine_frame=frame[rows],
            arc=np.searchsorted(rows, arcs[kept_arcs]),
            arc_centre=centres[kept_arcs],
            arc_plane=np.full(int(kept_arcs.sum()), modal.plane, dtype=np.int8),
        )
    )
    modal.motion = int(motion[done - 1])
    modal.feed = float(feed[done - 1])
    modal.position = [float(value) for value in ends[done - 1]]
    modal.machine_frame = [bool(value) for value in frame[done - 1]]
    return done


def _change_speed(given: Floats, moving: Ints, at: int, modal: Modal, builder: SegmentBuilder) -> None:
    """Take over the speeds of a run of lines; with the spindle on each change stops the motion before it."""
    speeds = _carry(given, modal.speed)
    if modal.spindle_on:
        changed = np.flatnonzero(np.diff(speeds, prepend=modal.speed))
        before = np.searchsorted(moving, changed)
        for row, ahead in zip(changed.tolist(), before.tolist(), strict=True):
            builder.stop(at + row, StopKind.SPINDLE, ahead=ahead)
    modal.speed = float(speeds[-1])


def _targets(table: Floats, given: Bools, modal: Modal) -> tuple[Floats, Bools]:
    """Return the position after each line, and per axis whether it is a machine coordinate."""
    ends = np.empty((len(table), 3))
    frame = np.empty((len(table), 3), dtype=np.bool_)
    for axis in range(3):
        values = table[:, _X + axis] * modal.scale
        if modal.absolute:
            ends[:, axis] = _carry(values + modal.shift[axis], modal.position[axis])
            frame[:, axis] = modal.machine_frame[axis] & ~np.logical_or.accumulate(given[:, axis])
        else:
            steps = np.where(given[:, axis], values, 0.0)
            steps[0] += modal.position[axis]
            ends[:, axis] = np.cumsum(steps)
            frame[:, axis] = modal.machine_frame[axis]
    return ends, frame


def _arcs(
    table: Floats, given: Bools, starts: Floats, ends: Floats, motion: NDArray[np.int8], modal: Modal
) -> tuple[Floats, Bools]:
    """Return the centre of each arc in the plane's axes, and which arcs the controller refuses."""
    first, second, _ = PLANE_AXES[modal.plane]
    in_plane = [first, second]
    here = starts[:, in_plane]
    x, y = (ends[:, in_plane] - here).T
    radius = table[:, _R] * modal.scale
    by_radius = ~np.isnan(radius)
    offsets = table[:, [_I + first, _I + second]] * modal.scale
    no_centre = np.isnan(offsets).all(axis=1)
    offsets = np.nan_to_num(offsets, nan=0.0)
    bad = ~given[:, in_plane].any(axis=1)

    off = np.abs(np.hypot(x - offsets[:, 0], y - offsets[:, 1]) - (start_radius := np.hypot(*offsets.T)))
    agree = (off <= ARC_TOLERANCE) | ((off <= ARC_TOLERANCE_LARGE) & (off <= ARC_TOLERANCE_SHARE * start_radius))
    bad |= ~by_radius & (no_centre | ~agree)

    # A radius with I, J or K beside it is error:36; no chord is error:33; a radius too short for it is error:34.
    chord = np.hypot(x, y)
    square = 4.0 * radius * radius - x * x - y * y
    extra = ~np.isnan(table[:, _I : _I + 3]).all(axis=1)
    bad |= by_radius & (extra | (chord == 0.0) | ~(square >= 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        h = -np.sqrt(square) / chord
    h *= np.where(motion == Kind.ARC_CCW, -1.0, 1.0) * np.where(radius < 0, -1.0, 1.0)
    with np.errstate(invalid="ignore"):
        from_radius = np.stack([0.5 * (x - y * h), 0.5 * (y + x * h)], axis=1)
    return here + np.where(by_radius[:, None], from_radius, offsets), bad
