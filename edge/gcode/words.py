# SPDX-License-Identifier: GPL-3.0-or-later
"""From bytes to clean lines and words, as GRBL 1.1 reads them.

What GRBL drops before it looks at a line (control characters and spaces, `/`, comments) is dropped here; what
it picks out of the stream and acts on at once (`! ~ ?`, 0x18, every byte from 0x80) is found and reported, and
also dropped, because it never reaches the line (traces text_traps, line_too_long, error_codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

BOM = b"\xef\xbb\xbf"
MAX_LINE = 79
"""Characters that fit GRBL's line buffer, without spaces and comments (trace line_too_long)."""

_REALTIME = re.compile(rb"[!~?\x18\x80-\xff]")
_REALTIME_ASCII = (b"!", b"~", b"?", b"\x18")
_SLASHED = re.compile(rb"\n[ \t]*/")
_COMMENT = re.compile(rb"\([^)\n]*\)?|;[^\n]*")
_FEW_COMMENTS = 2_000
"""Bytes for one comment, from which on it is quicker to look for each than to look at each byte."""
_UPPER = bytes(range(256)).upper()
_DROPPED = bytes(c for c in range(0x21) if c != 0x0A) + b"/!~?" + bytes(range(0x80, 0x100))
_WORD = re.compile(rb"([A-Z])([+-]?)(\d*)(\.?)(\d*)")
MAX_DIGITS = 8
"""Digits of a number that GRBL keeps, leading zeros included."""


def unify_line_ends(source: bytes) -> bytes:
    """Return `source` without BOM, with CR LF and lone CR as LF."""
    source = source.removeprefix(BOM)
    if b"\r" in source:
        source = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return source


def clean(unified: bytes) -> bytes:
    """Return a text without what the controller ignores, upper case, line for line; its line ends are unified."""
    return _without_comments(unified).translate(_UPPER, _DROPPED)


def _without_comments(text: bytes) -> bytes:
    count = text.count(b"(") + text.count(b";")
    if not count:
        return text
    if count * _FEW_COMMENTS > len(text):
        return _COMMENT.sub(b"", text)
    pieces: list[bytes] = []
    at = 0
    bracket, semicolon = _place(text, b"(", 0), _place(text, b";", 0)
    while (begin := min(bracket, semicolon)) < len(text):
        pieces.append(text[at:begin])
        end = _place(text, b"\n", begin)
        closed = text.find(b")", begin, end) if begin == bracket else -1
        at = closed + 1 if closed >= 0 else end
        bracket = _place(text, b"(", at) if bracket < at else bracket
        semicolon = _place(text, b";", at) if semicolon < at else semicolon
    return b"".join([*pieces, text[at:]])


def _place(text: bytes, sign: bytes, at: int) -> int:
    """Return where `sign` comes next from `at` on; the end where it does not."""
    place = text.find(sign, at)
    return place if place >= 0 else len(text)


def realtime_bytes(unified: bytes, limit: int) -> Iterator[tuple[int, int, int]]:
    """Yield (line, column, byte) of the first `limit` bytes that the controller would act on at once."""
    if unified.isascii() and not any(byte in unified for byte in _REALTIME_ASCII):
        return
    for match, line in _numbered(unified, _REALTIME, limit):
        at = match.start()
        yield line, at - unified.rfind(b"\n", 0, at), unified[at]


def slashed_lines(unified: bytes, limit: int) -> Iterator[int]:
    """Yield the first `limit` lines that begin with a slash, which other controllers can skip and GRBL does not."""
    if b"/" in unified:
        # The line end before the slash belongs to the line before; so the first line gets one too.
        for _, line in _numbered(b"\n" + unified, _SLASHED, limit):
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


def word_at(line: str, index: int) -> str:
    """Return the word of a clean line that holds the character at `index`, of a long one the beginning."""
    begin = index = min(index, len(line) - 1)
    while begin > 0 and not "A" <= line[begin] <= "Z":
        begin -= 1
    end = begin + 1
    while end < len(line) and end - begin < MAX_LINE and not "A" <= line[end] <= "Z":
        end += 1
    return line[begin:end]
