# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a program waits for a person: M0 and M6, which are taken out before the controller sees the program.

GRBL refuses M6 (error:20), and at an M0 it stands in Hold with the spindle on and takes nothing else, also no jog
(trace program_stops). So a program with stops is run as stretches, each a program of its own.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.gcode.blocks import code_number
from edge.gcode.words import WordError, split_words, unify_line_ends

_COMMENT = re.compile(rb"\(([^)\n]*)\)?|;([^\n]*)")
_MAYBE = re.compile(rb"M[+-]?(?:0?[06]?(?!\d)|\d{3})")
"""Every stop looks like this, and little else: M03 and M05 do not."""
MOST_STOPS = 1_000
"""A program with more is refused: nobody stands at a machine more often, and each stop is kept with its comment."""
_MAX_TEXT = 120
_STOP, _TOOL = 0, 6


@dataclass(frozen=True, slots=True)
class ProgramStop:
    """A stop before the line with index `before` of the text without stops; line is its own, 1-based in the source.

    tool is the number of the last T up to it, None where there is none; text is the comment beside it, or else the
    one in the line above.
    """

    before: int
    line: int
    kind: Literal["tool", "stop"]
    tool: int | None
    text: str


def take_out_stops(text: ProgramText, source: bytes) -> tuple[ProgramText, tuple[ProgramStop, ...]]:
    """Return `text` without M0 and M6, and the stops they were; `source` is the program that `text` was made of.

    What else stands in the line of an M6 comes after the tool change, what stands in the line of an M0 before the
    stop (RS274/NGC, order of execution). The effort grows with the stops and tools, and hardly with the lines. A text
    with more than MOST_STOPS, which is no program that may run, is returned as it is.
    """
    lines = text.lines if isinstance(text.lines, Lines) else Lines.of(text.lines)
    concerned = _concerned(lines)
    if not len(concerned):
        return text, ()
    starts = np.asarray(lines.starts)
    parts: list[bytes] = []
    stops: list[ProgramStop] = []
    gone: list[int] = []
    comments: _Comments | None = None
    tool: int | None = None
    copied = 0
    for index in concerned.tolist():
        words = _words(lines[index])
        tools = [int(value) for letter, value, _ in words if letter == "T"]
        tool = tools[0] if tools else tool
        kept, found = _without(words)
        if not found:
            continue
        comments = comments or _Comments(source)
        number = text.source_lines[index]
        parts.append(lines.text[copied : starts[index]])
        copied = int(starts[index + 1])
        if _TOOL in found:
            stops.append(ProgramStop(index - len(gone), number, "tool", tool, comments.beside(number)))
        if kept:
            parts.append("".join(kept).encode("ascii") + b"\n")
        else:
            gone.append(index)
        if _STOP in found:
            stops.append(ProgramStop(index + 1 - len(gone), number, "stop", tool, comments.beside(number)))
        if len(stops) > MOST_STOPS:
            return text, ()
    if not stops:
        return text, ()
    numbers = np.delete(np.asarray(text.source_lines, dtype=np.uint32), gone)
    rest = _packed(b"".join([*parts, lines.text[copied:]]))
    return ProgramText(text.program_id, rest, array("I", numbers.tobytes())), tuple(stops)


def stop_too_many(text: ProgramText) -> int | None:
    """Return the line of the source (1-based) with the first stop over MOST_STOPS, None where there are no more."""
    lines = text.lines if isinstance(text.lines, Lines) else Lines.of(text.lines)
    count = 0
    for index in np.unique(_at(lines, _maybe(lines))).tolist():
        count += len(_without(_words(lines[index]))[1])
        if count > MOST_STOPS:
            return int(text.source_lines[index])
    return None


def _concerned(lines: Lines) -> NDArray[np.int64]:
    """Return the lines that may stop, and where one may, also those that name a tool."""
    maybe = _maybe(lines)
    if not len(maybe):
        return maybe
    tools = np.flatnonzero(np.frombuffer(lines.text, dtype=np.uint8) == ord("T"))
    return np.unique(_at(lines, np.concatenate([maybe, tools])))


def _maybe(lines: Lines) -> NDArray[np.int64]:
    """Return the places in the text of the words that may be a stop."""
    return np.fromiter((match.start() for match in _MAYBE.finditer(lines.text)), dtype=np.int64)


def _at(lines: Lines, places: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(np.asarray(lines.starts), places, side="right") - 1


def _packed(text: bytes) -> Lines:
    """Return the lines of a buffer in which each ends in a line feed."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")).astype(np.uint32) + np.uint32(1)
    return Lines(text, array("I", b"\0\0\0\0" + ends.tobytes()))


def _words(line: str) -> list[tuple[str, float, str]]:
    """Return (letter, value, text) of each word; none for a line that is not made of words."""
    try:
        found = list(split_words(line.encode("ascii")))
    except WordError:
        return []
    ends = [at for _, _, at in found[1:]] + [len(line)]
    return [(letter, value, line[at:end]) for (letter, value, at), end in zip(found, ends, strict=True)]


def _without(words: list[tuple[str, float, str]]) -> tuple[list[str], set[int]]:
    """Return the words that are no stop, empty where only a line number is left, and which stops there are."""
    found: set[int] = set()
    kept: list[tuple[str, str]] = []
    for letter, value, word in words:
        number = code_number(value)[0] if letter == "M" else -1
        if number in (_STOP, _TOOL):
            found.add(number)
        else:
            kept.append((letter, word))
    return [word for _, word in kept] if any(letter != "N" for letter, _ in kept) else [], found


class _Comments:
    """The comments of a source, looked up by line without a text object for each line."""

    def __init__(self, source: bytes) -> None:
        self._text = unify_line_ends(source)
        feeds = np.flatnonzero(np.frombuffer(self._text, dtype=np.uint8) == ord("\n"))
        self._begins = np.concatenate([[0], feeds + 1, [len(self._text) + 1]])

    def beside(self, number: int) -> str:
        """Return the comment of a line (1-based), or of a line above that holds nothing else."""
        own = self._of(self._line(number))
        if own or number < 2:
            return own
        above = self._line(number - 1)
        return self._of(above) if not _COMMENT.sub(b"", above).strip() else ""

    def _line(self, number: int) -> bytes:
        return self._text[int(self._begins[number - 1]) : int(self._begins[number]) - 1]

    @staticmethod
    def _of(line: bytes) -> str:
        parts = [(first or second).decode("utf-8", "replace").strip() for first, second in _COMMENT.findall(line)]
        return " ".join(part for part in parts if part)[:_MAX_TEXT]
