# SPDX-License-Identifier: GPL-3.0-or-later
"""Letters composed of base strokes and marks, so that Lithuanian, Latvian, Estonian and German need no own drawing."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from edge.design.errors import LetterUnknown
from edge.design.fonts.monoline import GAP, MARKS, OGONEK_AT, SPACE, STROKES
from edge.design.path import Node, Stroke, bounds, moved, parse_stroke

_OGONEK = "\N{COMBINING OGONEK}"
_CLOSE_GAP = 1.2
_SHARP_S = str.maketrans({"ß": "ẞ"})


@dataclass(frozen=True, slots=True)
class Glyph:
    """A letter: its strokes in units of the font (cap height 6) and its width without the gap after it."""

    strokes: tuple[Stroke, ...]
    width: float


@lru_cache(maxsize=256)
def glyph(letter: str) -> Glyph:
    """Return the strokes of one letter, a capital for either case; raises LetterUnknown."""
    capital = letter.translate(_SHARP_S).upper()
    if capital == " ":
        return Glyph((), SPACE)
    parts = unicodedata.normalize("NFD", capital)
    base, marks = parts[:1], parts[1:]
    if base not in STROKES or any(mark not in MARKS for mark in marks):
        raise LetterUnknown(letter=letter)
    strokes = [parse_stroke(text) for text in STROKES[base]]
    left, _, right, _ = bounds(strokes)
    width = right - left
    for mark in marks:
        at = OGONEK_AT.get(base, width) if mark == _OGONEK else width / 2
        strokes += [moved(parse_stroke(text), at, 0.0) for text in MARKS[mark]]
    return Glyph(tuple(moved(stroke, -min(left, 0.0), 0.0) for stroke in strokes), width)


def layout(text: str) -> tuple[list[Stroke], float]:
    """Return the strokes of a line of text from x = 0, and its width, in units of the font.

    Marks that are wider than their letter (as on I) do not touch their neighbours. Raises LetterUnknown.
    """
    strokes: list[Stroke] = []
    at = 0.0
    reached = -GAP
    for letter in unicodedata.normalize("NFC", text):
        shape = glyph(letter)
        if shape.strokes:
            at = max(at, reached + _CLOSE_GAP - bounds(shape.strokes)[0])
        strokes += [tuple(Node(x + at, y, bulge) for x, y, bulge in stroke) for stroke in shape.strokes]
        if shape.strokes:
            reached = at + bounds(shape.strokes)[2]
        at += shape.width + GAP
    if not strokes:
        return strokes, 0.0
    left, _, right, _ = bounds(strokes)
    return [moved(stroke, -left, 0.0) for stroke in strokes], right - left
