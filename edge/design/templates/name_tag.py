# SPDX-License-Identifier: GPL-3.0-or-later
"""A name tag: a frame with round corners and a line of text in its middle, engraved in one pass."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

from edge.design.errors import DepthUnknown, LetterUnknown, ParameterUnknown, TextMissing, TextTooLong
from edge.design.fonts import layout
from edge.design.fonts.monoline import CAP_HEIGHT
from edge.design.path import Node, Stroke, moved, ordered
from edge.design.writer import Cutting, GcodeWriter

STOCK: Final = (80.0, 30.0, 3.0)
MAX_LETTERS: Final = 14
DEPTHS: Final[Mapping[str, float]] = {"shallow": 0.2, "normal": 0.4, "deep": 0.6}
"""mm under the top of the stock."""
CUTTING: Final = Cutting(feed=900.0, plunge=300.0, spindle=10000)

_FRAME_INSET = 2.5
_CORNER = 3.0
_TEXT_WIDTH = 66.0
_CAP_HEIGHT = 10.0
_QUARTER = 0.41421356
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZĄČĘĖĮŠŲŪŽĀĒĢĪĶĻŅŌŖÄÖÜÕẞ0123456789-. ")


def strokes(text: str) -> list[Stroke]:
    """Return what is engraved, mm from the front left corner of the stock."""
    drawn, width = layout(text)
    scale = min(_CAP_HEIGHT / CAP_HEIGHT, _TEXT_WIDTH / width if width else 1.0)
    left = (STOCK[0] - width * scale) / 2
    base = (STOCK[1] - CAP_HEIGHT * scale) / 2
    return [frame(), *ordered(moved(stroke, left, base, scale) for stroke in drawn)]


def frame() -> Stroke:
    """Return the rectangle with round corners around the text."""
    x0, y0 = _FRAME_INSET, _FRAME_INSET
    x1, y1 = STOCK[0] - _FRAME_INSET, STOCK[1] - _FRAME_INSET
    return (
        Node(x0 + _CORNER, y0),
        Node(x1 - _CORNER, y0),
        Node(x1, y0 + _CORNER, _QUARTER),
        Node(x1, y1 - _CORNER),
        Node(x1 - _CORNER, y1, _QUARTER),
        Node(x0 + _CORNER, y1),
        Node(x0, y1 - _CORNER, _QUARTER),
        Node(x0, y0 + _CORNER),
        Node(x0 + _CORNER, y0, _QUARTER),
    )


def compile_name_tag(params: Mapping[str, object]) -> str:
    """Return the G-code of a name tag.

    params: text (1 to 14 letters, digits, space, hyphen, dot) and depth (shallow, normal, deep). The text is not
    written into the program as text. Raises the errors of edge.design.errors.
    """
    for name, value in params.items():
        if name not in ("text", "depth") or not isinstance(value, str):
            raise ParameterUnknown(name=name)
    text = _checked(str(params.get("text", "")))
    depth = str(params.get("depth", "normal"))
    if depth not in DEPTHS:
        raise DepthUnknown(choices=", ".join(DEPTHS))
    writer = GcodeWriter(CUTTING)
    size = " x ".join(f"{side:g}" for side in STOCK)
    writer.open(f"InfoMobil name tag, {size} mm", "Zero: front left corner, top of the stock")
    for stroke in strokes(text):
        writer.cut(stroke, DEPTHS[depth])
    return writer.close()


def _checked(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split(" ")).strip(" ")
    if not text:
        raise TextMissing
    if len(text) > MAX_LETTERS:
        raise TextTooLong(length=len(text), limit=MAX_LETTERS)
    for letter in text:
        if letter.replace("ß", "ẞ").upper() not in _LETTERS:
            raise LetterUnknown(letter=letter)
    return text
