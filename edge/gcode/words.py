# SPDX-License-Identifier: GPL-3.0-or-later
"""From bytes to clean lines and words, as GRBL 1.1 reads them.

What GRBL drops before it looks at a line (control characters and spaces, `/`, comments) is dropped here; what
it picks out of the stream and acts on at once (`! ~ ?`, 0x18, every byte from 0x80) is found and reported, and
also dropped, because it never reaches the line (traces text_traps, line_too_long, error_codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

BOM = b"\xef\xbb\xbf"
MAX_LINE = 79
"""Characters that fit GRBL's line buffer, without spaces and comments (trace line_too_long)."""

_REALTIME = re.compile(rb"[!~?\x18\x80-\xff]")
_SLASHED = re.compile(rb"^[ \t]*/", re.MULTILINE)
_COMMENT = re.compile(rb"\([^)\n]*\)?|;[^\n]*")
_UPPER = bytes(range(256)).upper()
_DROPPED = bytes(c for c in range(0x21) if c != 0x0A) + b"/!~?" + bytes(range(0x80, 0x100))
_WORD = re.compile(rb"([A-Z])([+-]?)(\d*)(\.?)(\d*)")
MAX_DIGITS = 8
"""Digits of a number that GRBL keeps, leading zeros included."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A program without what the controller ignores.

    text holds one clean line per source line, upper case, separated by line feeds; tape_marks are the source
    lines (1-based) of a leading and a trailing `%`, which are blank in `text`; bom says that a mark of UTF-8 was
    dropped at the beginning.
    """

    text: bytes
    tape_marks: tuple[int, ...]
    bom: bool


def unify_line_ends(source: bytes) -> bytes:
    """Return `source` without BOM, with CR LF and lone CR as LF."""
    source = source.removeprefix(BOM)
    if b"\r" in source:
        source = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return source


def clean(unified: bytes, *, bom: bool = False) -> Cleaned:
    """Return the clean form of a text whose line ends are unified."""
    if b"(" in unified or b";" in unified:
        unified = _COMMENT.sub(b"", unified)
    text = unified.translate(_UPPER, _DROPPED)
    tape_marks: list[int] = []
    if b"%" in text:
        text, tape_marks = _without_tape_marks(text)
    return Cleaned(text, tuple(tape_marks), bom)


def _without_tape_marks(text: bytes) -> tuple[bytes, list[int]]:
    """Blank a `%` that is the first or last thing of a tape; one in the middle stays and is error:1."""
    lines = text.split(b"\n")
    marks: list[int] = []
    for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
        first = next((n for n in order if lines[n]), None)
        if first is not None and lines[first] == b"%":
            lines[first] = b""
            marks.append(first + 1)
    return b"\n".join(lines), sorted(marks)


def realtime_bytes(unified: bytes, limit: int) -> Iterator[tuple[int, int, int]]:
    """Yield (line, column, byte) of the first `limit` bytes that the controller would act on at once."""
    for match, line in _numbered(unified, _REALTIME, limit):
        at = match.start()
        yield line, at - unified.rfind(b"\n", 0, at), unified[at]


def slashed_lines(unified: bytes, limit: int) -> Iterator[int]:
    """Yield the first `limit` lines that begin with a slash, which other controllers can skip and GRBL does not."""
    if b"/" in unified:
        for _, line in _numbered(unified, _SLASHED, limit):
            yield line


def _numbered(unified: bytes, pattern: re.Pattern[bytes], limit: int) -> Iterator[tuple[re.Match[bytes], int]]:
    line, counted = 1, 0
    for match in islice(pattern.finditer(unified), limit):
        line += unified.count(b"\n", counted, match.start())
        counted = match.start()
        yield match, line


class WordError(ValueError):
    """A line that is not made of words: GRBL's error number and the index in the clean line."""

    def __init__(self, number: int, index: int) -> None:
        super().__init__(number, index)
        self.number = number
        self.index = index


def split_words(line: bytes) -> Iterator[tuple[str, float, int]]:
    """Yield (letter, value, index) of each word of a clean line; raises WordError (1 or 2) where it breaks."""
    at = 0
    while at < len(line):
        match = _WORD.match(line, at)
        if match is None:
            raise WordError(1, at)
        letter, sign, whole, _, fraction = match.groups()
        if not whole and not fraction:
            raise WordError(2, at)
        yield letter.decode(), number_value(sign == b"-", whole, fraction), at
        at = match.end()


def number_value(negative: bool, whole: bytes, fraction: bytes) -> float:  # noqa: FBT001 (sign of a number)
    """Return the value GRBL gives to a number: eight digits count, leading zeros included."""
    digits = (whole + fraction)[:MAX_DIGITS]
    exponent = len(whole) - len(digits)
    mantissa = int(digits)
    value = mantissa * 10.0**exponent if exponent > 0 else mantissa / 10.0**-exponent
    return -value if negative else value


def source_column(source_line: bytes, index: int) -> int:
    """Return the 1-based column in `source_line` of the character that is at `index` in its clean form."""
    blanked = _COMMENT.sub(lambda match: b" " * len(match.group()), source_line)
    for column, byte in enumerate(blanked):
        if byte not in _DROPPED:
            if index == 0:
                return column + 1
            index -= 1
    return len(source_line)
