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

from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.gcode.blocks import code_number
from edge.gcode.words import WordError, split_words, unify_line_ends

_COMMENT = re.compile(rb"\(([^)\n]*)\)?|;([^\n]*)")
_MAYBE = re.compile(r"M[+-]?(?:[06.]|\d{3})")
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
    stop (RS274/NGC, order of execution).
    """
    if not any(_MAYBE.search(line) for line in text.lines):
        return text, ()
    lines: list[str] = []
    numbers: list[int] = []
    stops: list[ProgramStop] = []
    comments: _Comments | None = None
    tool: int | None = None
    for line, number in zip(text.lines, text.source_lines, strict=True):
        if "M" not in line and "T" not in line:
            lines.append(line)
            numbers.append(number)
            continue
        words = _words(line)
        tools = [int(value) for letter, value, _ in words if letter == "T"]
        tool = tools[0] if tools else tool
        kept, found = _without(words)
        if found:
            comments = comments or _Comments(source)
        if _TOOL in found and comments is not None:
            stops.append(ProgramStop(len(lines), number, "tool", tool, comments.beside(number)))
        if not found or kept:
            lines.append("".join(kept) if found else line)
            numbers.append(number)
        if _STOP in found and comments is not None:
            stops.append(ProgramStop(len(lines), number, "stop", tool, comments.beside(number)))
    if not stops:
        return text, ()
    return ProgramText(text.program_id, Lines.of(lines), array("I", numbers)), tuple(stops)


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
    def __init__(self, source: bytes) -> None:
        self._lines = unify_line_ends(source).split(b"\n")

    def beside(self, number: int) -> str:
        """Return the comment of a line (1-based), or of a line above that holds nothing else."""
        own = self._of(self._lines[number - 1])
        if own or number < 2:
            return own
        above = self._lines[number - 2]
        return self._of(above) if not _COMMENT.sub(b"", above).strip() else ""

    @staticmethod
    def _of(line: bytes) -> str:
        parts = [(first or second).decode("utf-8", "replace").strip() for first, second in _COMMENT.findall(line)]
        return " ".join(part for part in parts if part)[:_MAX_TEXT]
