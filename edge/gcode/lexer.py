# SPDX-License-Identifier: GPL-3.0-or-later
"""From clean lines to columns of words, many lines at a time, over raw bytes.

A line is simple when the controller takes it whatever it stands in, or when that depends on nothing but feed, motion,
position and plane: it holds N, G0 to G3, X Y Z, I J K, R, F, S and T, planes, spindle, coolant and a dwell, each well
formed and none twice, and units, distance mode and zero as they are already. `lex` sorts the words of simple lines
into one column per letter or modal group, which `batch` interprets. All others, and every line in which something
looks wrong, are hard: they go through `blocks` and `modal` one by one, which know which error they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.gcode.blocks import MAX_LINE_NUMBER, MAX_TOOL
from edge.gcode.digits import PAD, numbers
from edge.gcode.modal import INCH, Modal
from edge.gcode.model import Bools, Floats, Ints
from edge.gcode.words import MAX_LINE

_FEED = ord("\n")
_LETTERS: Final = "XYZFIJKRSPTNGM"
_NOT_NEGATIVE: Final = frozenset("FSPTN")
_HARD, _MOTION, _PLANE, _UNITS, _DISTANCE, _FEED_MODE, _ZERO, _CUTTER, _PATH, _DWELL, _SPINDLE, _COOLANT = range(12)
_CODES = 100
_GROUP_OF: dict[str, NDArray[np.uint8]] = {letter: np.zeros(_CODES, dtype=np.uint8) for letter in "GM"}
for _group, _letter, _members in (
    (_MOTION, "G", (0, 1, 2, 3)),
    (_PLANE, "G", (17, 18, 19)),
    (_UNITS, "G", (20, 21)),
    (_DISTANCE, "G", (90, 91)),
    (_FEED_MODE, "G", (94,)),
    (_ZERO, "G", (54, 55, 56, 57, 58, 59)),
    (_CUTTER, "G", (40,)),
    (_PATH, "G", (61,)),
    (_DWELL, "G", (4,)),
    (_SPINDLE, "M", (3, 4, 5)),
    (_COOLANT, "M", (8, 9)),
):
    _GROUP_OF[_letter][list(_members)] = _group
_STANDING: Final = (_UNITS, _DISTANCE, _ZERO)
"""Modes of which a change is left to `modal`: what follows has to be computed in another way."""


@dataclass(frozen=True, slots=True)
class Column:
    """The words of one letter or modal group: rows (n,) of lines in order, values (n,), places (n,) in the text."""

    rows: Ints
    values: Floats
    places: Ints

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self.rows)

    def between(self, first: int, last: int) -> Column:
        """Return the words of rows [first, last), rows counted from `first`."""
        low, high = np.searchsorted(self.rows, (first, last))
        return Column(self.rows[low:high] - first, self.values[low:high], self.places[low:high])

    def head(self, count: int) -> Column:
        """Return the first `count` words."""
        return Column(self.rows[:count], self.values[:count], self.places[:count])

    def rising(self, above: float) -> Column:
        """Return the words whose value is over `above` and over those of all words before."""
        high = np.flatnonzero(self.values > above)
        values = self.values[high]
        high = high[np.diff(np.maximum.accumulate(values), prepend=above) > 0] if len(high) else high
        return Column(self.rows[high], self.values[high], self.places[high])

    def at(self, rows: Ints) -> Floats:
        """Return the value in each of `rows`, NaN where there is none."""
        found = np.full(len(rows), np.nan)
        if len(self.rows):
            index = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            there = self.rows[index] == rows
            found[there] = self.values[index[there]]
        return found


NO_WORDS: Final = Column(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64))


@dataclass(slots=True)
class Lexed:
    """The words of some lines; rows count from `first`, the index of the first of them in the program.

    letters: columns of X Y Z F I J K R S P T; groups: of motion, plane, spindle, coolant and dwell; named: the words
    that are no plain motion, each with its name. next_hard: (lines + 1,), the first row from each on that is not
    simple. line_starts: (lines,) place of each line in the text.
    """

    first: int
    letters: dict[str, Column]
    named: list[tuple[str, Column]]
    next_hard: Ints
    line_starts: Ints
    _groups: dict[int, Column] = field(default_factory=dict)

    def letter(self, letter: str) -> Column:
        """Return the words of a letter."""
        return self.letters.get(letter, NO_WORDS)

    @property
    def motion(self) -> Column:
        """Return the words G0 to G3."""
        return self._groups.get(_MOTION, NO_WORDS)

    @property
    def plane(self) -> Column:
        """Return the words G17 to G19."""
        return self._groups.get(_PLANE, NO_WORDS)

    @property
    def dwell(self) -> Column:
        """Return the words G4."""
        return self._groups.get(_DWELL, NO_WORDS)

    @property
    def spindle(self) -> Column:
        """Return the words M3 to M5."""
        return self._groups.get(_SPINDLE, NO_WORDS)

    @property
    def coolant(self) -> Column:
        """Return the words M8 and M9."""
        return self._groups.get(_COOLANT, NO_WORDS)

    def simple_until(self, line: int, modal: Modal) -> int:
        """Return the first line from `line` on that is not simple for a controller in the state `modal`."""
        row = line - self.first
        until = int(self.next_hard[row])
        for group, now in (
            (_UNITS, 20 if modal.scale == INCH else 21),
            (_DISTANCE, 90 if modal.absolute else 91),
            (_ZERO, modal.zero),
        ):
            # A change among the lines is a hard one; the first word may be one against the state before them.
            column = self._groups.get(group)
            if column is not None:
                at = int(np.searchsorted(column.rows, row))
                if at < len(column) and column.values[at] != now:
                    until = min(until, int(column.rows[at]))
        return self.first + until

    def gives(self, letter: str, line: int, count: int) -> bool:
        """Return whether any of `count` lines from `line` on has a word of this letter."""
        low, high = np.searchsorted(self.letter(letter).rows, (line - self.first, line - self.first + count))
        return bool(high > low)


def lex(lines: bytes, first: int) -> Lexed:
    """Return the words of clean, non-empty lines, each with its line feed; `first` is the index of the first."""
    lines = _without_long_lines(lines)
    size = PAD + len(lines)
    text = np.frombuffer(b"\n" * PAD + lines + bytes(PAD + -size % 8), dtype=np.uint8)
    marks = np.flatnonzero((text >= ord("A")) | (text == _FEED))[PAD:]
    chars = text[marks]
    feeds = np.flatnonzero(chars == _FEED)
    count = len(feeds)
    line_starts = np.concatenate([[PAD], marks[feeds[:-1]] + 1]) if count else np.zeros(0, dtype=np.int64)
    first_marks = np.concatenate([[0], feeds[:-1] + 1]) if count else feeds
    # A line whose first mark is not its first character begins with something that is no letter.
    hard: Bools = marks[first_marks] != line_starts
    words = np.flatnonzero(chars != _FEED)
    starts, letters = marks[words], chars[words]
    line = np.repeat(np.arange(count), np.diff(feeds, prepend=-1) - 1)
    values, good = numbers(text, starts, marks[words + 1])
    hard[line[~good]] = True

    columns: dict[str, Column] = {}
    known = 0
    for letter in _LETTERS:
        index = np.flatnonzero(letters == ord(letter))
        known += len(index)
        if len(index):
            column = Column(line[index], values[index], starts[index])
            columns[letter] = column
            if letter not in "GM":
                hard[_repeated(column)] = True
            if letter in _NOT_NEGATIVE:
                hard[column.rows[column.values < 0]] = True
    if known < len(words):
        hard[line[~np.isin(letters, [ord(letter) for letter in _LETTERS])]] = True
    _limit(hard, columns, "N", MAX_LINE_NUMBER)
    _limit(hard, columns, "T", MAX_TOOL)

    groups: dict[int, Column] = {}
    named = [(letter, columns[letter]) for letter in "ST" if letter in columns]
    for letter in "GM":
        if letter in columns:
            _sort_codes(letter, columns.pop(letter), groups, named, hard)
    _judge_dwells(columns, groups, hard)
    next_hard = np.full(count + 1, count)
    rows = np.flatnonzero(hard)
    if len(rows):
        next_hard = np.concatenate([rows, [count]])[np.searchsorted(rows, np.arange(count + 1))]
    return Lexed(first, columns, named, next_hard, line_starts, groups)


def _without_long_lines(lines: bytes) -> bytes:
    """Return the lines with those that do not fit the controller as a single `*`, which no word begins with."""
    feeds = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == _FEED)
    if not len(feeds):
        return lines
    long = np.flatnonzero(np.diff(feeds, prepend=-1) - 1 > MAX_LINE)
    if not len(long):
        return lines
    pieces: list[bytes] = []
    at = 0
    for row in long.tolist():
        pieces += [lines[at : int(feeds[row - 1]) + 1 if row else 0], b"*"]
        at = int(feeds[row])
    return b"".join([*pieces, lines[at:]])


def _repeated(column: Column) -> Ints:
    """Return the rows that hold more than one word of a column."""
    later = column.rows[1:]
    repeated: Ints = later[later == column.rows[:-1]]
    return repeated


def _limit(hard: Bools, columns: dict[str, Column], letter: str, most: int) -> None:
    if letter in columns:
        column = columns[letter]
        hard[column.rows[column.values > most]] = True


def _sort_codes(
    letter: str, column: Column, groups: dict[int, Column], named: list[tuple[str, Column]], hard: Bools
) -> None:
    """Put the words G or M into their modal groups; what belongs to none of them makes its line hard."""
    values = column.values
    code = np.where((values >= 0) & (values < _CODES), values, _CODES - 1).astype(np.int64)
    group = np.where(code == values, _GROUP_OF[letter][code], np.uint8(_HARD))
    for number in np.flatnonzero(np.bincount(group)).tolist():
        index = np.flatnonzero(group == number)
        part = Column(column.rows[index], values[index], column.places[index])
        if number == _HARD:
            hard[part.rows] = True
            continue
        hard[_repeated(part)] = True
        groups[number] = part
        if number in _STANDING:
            hard[part.rows[1:][np.diff(part.values) != 0]] = True
        if number != _MOTION:
            for one in np.unique(part.values).tolist():
                of_code = np.flatnonzero(part.values == one)
                named.append(
                    (f"{letter}{one:.0f}", Column(part.rows[of_code], part.values[of_code], part.places[of_code]))
                )


def _judge_dwells(columns: dict[str, Column], groups: dict[int, Column], hard: Bools) -> None:
    """Make lines hard: a dwell without its P or beside a motion, and a P without a dwell."""
    dwells = groups.get(_DWELL, NO_WORDS).rows
    times = columns.get("P", NO_WORDS).rows
    if not len(dwells) and not len(times):
        return
    dwell = np.zeros(len(hard), dtype=np.bool_)
    time = np.zeros(len(hard), dtype=np.bool_)
    dwell[dwells] = True
    time[times] = True
    hard |= dwell != time
    moves = [columns[letter].rows for letter in "XYZIJKR" if letter in columns]
    for rows in (*moves, groups.get(_MOTION, NO_WORDS).rows):
        hard[rows[dwell[rows]]] = True
