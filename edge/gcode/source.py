# SPDX-License-Identifier: GPL-3.0-or-later
"""A program's text in pieces: cleaned piece by piece into one buffer, and asked again for the place of a finding."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge.domain.lines import Lines
from edge.gcode.model import Ints
from edge.gcode.words import BOM, MAX_LINE, clean, realtime_bytes, slashed_lines, source_column, unify_line_ends

_PIECE = 1 << 18
"""Bytes that are cleaned at once: few enough to stay in the processor's cache."""
LONGEST_LINE = 1 << 20
"""A line of more bytes, comments included, is no line of a program: its beginning stands for it, and is too long."""
_SHOWN = 1 << 12
"""Bytes of such a line that are looked at."""
_FEED = ord("\n")


@dataclass(slots=True)
class Source:
    """What a text says about itself before its words are looked at.

    lines: the clean lines that are not empty; numbers: the line (1-based) of the source of each; total_lines of the
    source, at most as many as were asked for, `too_long` where it has more. tape_marks: the lines of a leading and a
    trailing `%`, which are left out. realtime: (line, column, byte) of what the controller would act on at once;
    slashed: the lines that begin with a slash; of both the first only. pieces: (first line, offset in `text`) of the
    pieces in which it was read.
    """

    text: bytes
    bom: bool
    lines: Lines = field(default_factory=lambda: Lines(b"", array("I", [0])))
    numbers: array[int] = field(default_factory=lambda: array("I"))
    total_lines: int = 0
    too_long: bool = False
    tape_marks: list[int] = field(default_factory=list)
    realtime: list[tuple[int, int, int]] = field(default_factory=list)
    slashed: list[int] = field(default_factory=list)
    pieces: list[tuple[int, int]] = field(default_factory=list)
    _feeds: Ints | None = None
    _piece: int = -1

    def column(self, number: int, index: int) -> int:
        """Return the column (1-based) in source line `number` of the character at `index` in its clean form."""
        piece = bisect_right(self.pieces, (number, len(self.text))) - 1
        first, begin = self.pieces[piece]
        end = self.pieces[piece + 1][1] if piece + 1 < len(self.pieces) else len(self.text)
        if _is_giant(begin, end):
            return source_column(self.text[begin : begin + _SHOWN], index)
        if self._feeds is None or piece != self._piece:
            part = np.frombuffer(self.text, dtype=np.uint8, count=end - begin, offset=begin)
            self._feeds = np.concatenate([[-1], np.flatnonzero(part == _FEED), [end - begin]])
            self._piece = piece
        row = number - first
        line = self.text[begin + int(self._feeds[row]) + 1 : begin + int(self._feeds[row + 1])]
        return source_column(line, index)


def read_source(text: bytes, *, most_lines: int, findings: int, slashes: int) -> Source:
    """Return the clean lines of `text`, up to the first `most_lines` lines of the source."""
    unified = unify_line_ends(text)
    source = Source(unified, text.startswith(BOM))
    marks = _tape_marks(unified) if b"%" in unified else ()
    cleaned: list[bytes] = []
    starts: list[Ints] = [np.zeros(1, dtype=np.uint32)]
    numbers: list[Ints] = []
    length = 0
    for begin, end in _pieces(unified):
        if source.total_lines == most_lines:
            source.too_long = True
            break
        giant = _is_giant(begin, end)
        piece, count = _first_lines(
            _stub(unified, begin) if giant else unified[begin:end], most_lines - source.total_lines
        )
        source.too_long = not giant and len(piece) < end - begin
        before = source.total_lines
        source.pieces.append((before + 1, begin))
        source.total_lines += count
        for line, column, byte in realtime_bytes(piece, findings - len(source.realtime)):
            source.realtime.append((before + line, column, byte))
        source.slashed += [before + line for line in slashed_lines(piece, slashes - len(source.slashed))]
        for mark in marks:
            if begin <= mark < begin + len(piece):
                at = mark - begin
                source.tape_marks.append(before + 1 + piece.count(b"\n", 0, at))
                piece = piece[:at] + b" " + piece[at + 1 :]
        part = clean(piece)
        if not part.endswith(b"\n"):
            part += b"\n"
        part, ends, rows = _without_empty_lines(part)
        cleaned.append(part)
        starts.append((ends + (length + 1)).astype(np.uint32))
        numbers.append((rows + (before + 1)).astype(np.uint32))
        length += len(part)
        if source.too_long:
            break
    source.lines = Lines(b"".join(cleaned), _packed(starts))
    source.numbers = _packed(numbers)
    return source


def _pieces(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of pieces that end with a line; a giant line is a piece of its own."""
    begin = 0
    while begin < len(text):
        feed = text.find(b"\n", begin + _PIECE, begin + _PIECE + LONGEST_LINE)
        if feed < 0 and begin + _PIECE + LONGEST_LINE < len(text):
            before = text.rfind(b"\n", begin, begin + _PIECE)
            feed = before if before >= 0 else text.find(b"\n", begin + _PIECE + LONGEST_LINE)
        end = feed + 1 if feed >= 0 else len(text)
        yield begin, end
        begin = end


def _is_giant(begin: int, end: int) -> bool:
    """Return whether a piece is a single line of which only the beginning is looked at."""
    return end - begin > LONGEST_LINE + _PIECE


def _stub(text: bytes, begin: int) -> bytes:
    """Return what stands for the giant line at `begin`: as many of its characters as are too many for a line."""
    head = clean(text[begin : begin + _SHOWN])[: MAX_LINE + 1]
    return head.ljust(MAX_LINE + 1, b"*") + b"\n"


def _first_lines(piece: bytes, most: int) -> tuple[bytes, int]:
    """Return the first `most` lines of a piece, and how many lines those are."""
    feeds = np.count_nonzero(np.frombuffer(piece, dtype=np.uint8) == _FEED)
    count = int(feeds) + (not piece.endswith(b"\n"))
    if count <= most:
        return piece, count
    ends = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == _FEED)
    return piece[: int(ends[most - 1]) + 1], most


def _without_empty_lines(text: bytes) -> tuple[bytes, Ints, Ints]:
    """Return the lines that are not empty, where each of them ends in what is returned, and their rows in `text`."""
    chars = np.frombuffer(text, dtype=np.uint8)
    feeds = np.flatnonzero(chars == _FEED)
    full = np.diff(feeds, prepend=-1) > 1
    if full.all():
        return text, feeds, np.arange(len(feeds))
    keep = np.ones(len(chars), dtype=np.bool_)
    empty = np.flatnonzero(~full)
    keep[feeds[empty]] = False
    rows = np.flatnonzero(full)
    return chars[keep].tobytes(), feeds[rows] - np.searchsorted(empty, rows), rows


def _packed(parts: list[Ints]) -> array[int]:
    packed = array("I")
    for part in parts:
        packed.frombytes(part.tobytes())
    return packed


def _tape_marks(text: bytes) -> tuple[int, ...]:
    """Return where a `%` stands that is the first or the last thing on a tape; one in the middle is an error:1."""
    return tuple(sorted({*_first_mark(text), *_last_mark(text)}))


def _first_mark(text: bytes) -> tuple[int, ...]:
    for begin, end in _pieces(text):
        lines = text[begin : min(end, begin + LONGEST_LINE)]
        cleaned = clean(lines).lstrip(b"\n")
        if cleaned:
            if not (cleaned + b"\n").startswith(b"%\n"):
                return ()
            row = clean(lines).split(b"\n").index(b"%")
            return (_percent(text, begin + _line_start(lines, row)),)
    return ()


def _line_start(lines: bytes, row: int) -> int:
    at = 0
    for _ in range(row):
        at = lines.index(b"\n", at) + 1
    return at


def _last_mark(text: bytes) -> tuple[int, ...]:
    end = len(text)
    while (found := text.rfind(b"%", 0, end)) >= 0:
        begin = text.rfind(b"\n", 0, found) + 1
        if end - begin > LONGEST_LINE:
            return ()
        cleaned = clean(text[begin:end]).strip(b"\n")
        if cleaned:
            return (_percent(text, begin),) if cleaned == b"%" else ()
        end = begin
    return ()


def _percent(text: bytes, line: int) -> int:
    """Return where the `%` of a line stands that holds nothing else but comments, which may hold one too."""
    end = text.find(b"\n", line)
    at = source_column(text[line : end if 0 <= end < line + LONGEST_LINE else line + LONGEST_LINE], 0) - 1
    return line + at
