# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of many words at once: eight characters are one 64 bit integer, and are read by arithmetic on it.

A number as CAM programs write it has at most eight digits and one point. Its last eight characters are loaded into
one integer, the point is found and taken out by masks, and three multiplications make the value. Longer numbers, of
which the controller keeps eight digits, are read character by character, but still all at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.gcode.model import Bools, Floats, Ints
from edge.gcode.words import MAX_DIGITS, MAX_LINE

Words64 = NDArray[np.uint64]

PAD: Final = 16
"""Bytes that have to stand before the first word and after the last: whole integers are loaded around each word."""

_ONE = np.uint64(1)
_EIGHT = np.uint64(8)
_LOW_BYTE = np.uint64(0xFF)
_EACH = np.uint64(0x0101_0101_0101_0101)
_TOP_BITS = np.uint64(0x8080_8080_8080_8080)
_POINTS = np.uint64(0x2E2E_2E2E_2E2E_2E2E)
_ZEROS = np.uint64(0x3030_3030_3030_3030)
_HIGH_HALVES = np.uint64(0xF0F0_F0F0_F0F0_F0F0)
_SIXES = np.uint64(0x0606_0606_0606_0606)
_THREES = np.uint64(0x3333_3333_3333_3333)
_PAIRS = np.uint64(0x0000_00FF_0000_00FF)
_FIRST_PAIRS = np.uint64(100 + (1_000_000 << 32))
_SECOND_PAIRS = np.uint64(1 + (10_000 << 32))
_KEPT = np.array([(0xFFFF_FFFF_FFFF_FFFF << (64 - 8 * k)) & 0xFFFF_FFFF_FFFF_FFFF for k in range(9)], dtype=np.uint64)
_FILLED = _ZEROS & ~_KEPT
"""By the number of its characters among the last eight: which bytes are the number's, and zeros for the others."""
_TENS = np.array([10.0**k for k in range(MAX_LINE + 1)])
_DIVISOR = np.array([*(10.0**k for k in range(7, -1, -1)), 1.0])
"""By the byte at which the point stands among the last eight: what the digits are divided by; 8 is no point."""


def numbers(text: NDArray[np.uint8], starts: Ints, ends: Ints) -> tuple[Floats, Bools]:
    """Return the value of each word, and whether it is a number.

    text: bytes (n,), a multiple of eight, with PAD bytes on either side; starts: index of each word's letter; ends:
    index behind its last character. Values are those of `words.number_value`: eight digits count.
    """
    sign = text[starts + 1]
    negative = sign == ord("-")
    body = starts + 1
    body += negative | (sign == ord("+"))
    values, good = _unsigned(text, body, ends)
    np.negative(values, out=values, where=negative)
    return values, good


def _unsigned(text: NDArray[np.uint8], body: Ints, ends: Ints) -> tuple[Floats, Bools]:
    length = ends - body
    window = _load(text, ends)
    # Bytes before the number become zeros: the number stands at the upper end of the integer, which is read last.
    last = np.minimum(length, 8)
    window &= _KEPT[last]
    window |= _FILLED[last]
    differs = window ^ _POINTS
    points = (differs - _EACH) & ~differs & _TOP_BITS
    below = (points >> np.uint64(7)) - _ONE
    moved = (window & below) << _EIGHT
    ninth = np.full(len(body), ord("0"), dtype=np.uint64)
    nine = np.flatnonzero(length >= 9)
    ninth[nine] = text[ends[nine] - 9]
    moved |= ninth
    above = ~((below << _EIGHT) | _LOW_BYTE)
    has_point = points != 0
    # Of two points the second stays, and is no digit.
    digits = np.where(has_point, (window & above) | (moved & ~above), window)
    good = ((digits & _HIGH_HALVES) | (((digits + _SIXES) & _HIGH_HALVES) >> np.uint64(4))) == _THREES
    good &= length > has_point
    digits -= _ZEROS
    digits = digits * np.uint64(10) + (digits >> _EIGHT)
    digits = (digits & _PAIRS) * _FIRST_PAIRS + ((digits >> np.uint64(16)) & _PAIRS) * _SECOND_PAIRS
    place = np.bitwise_count(points - _ONE) >> np.uint8(3)
    values = (digits >> np.uint64(32)) / _DIVISOR[place]
    many = nine[(length[nine] > 9) | ~has_point[nine]]
    if len(many):
        values[many], good[many] = _long(text, body[many], ends[many])
    return values, good


def _load(text: NDArray[np.uint8], ends: Ints) -> Words64:
    """Return the eight bytes before each of `ends`, the first of them lowest."""
    whole = text.view("<u8")
    at = ends - 8
    shift = ((at & 7) << 3).view(np.uint64)
    at >>= 3
    window = whole[at] >> shift
    at += 1
    # A shift by all 64 bits gives 0, as it should.
    loaded: Words64 = window | (whole[at] << (np.uint64(64) - shift))
    return loaded


def _long(text: NDArray[np.uint8], body: Ints, ends: Ints) -> tuple[Floats, Bools]:
    """Return value and goodness of numbers of over eight digits, without sign.

    With the point inside of the first nine characters these nine are the value, and digits must be all that follows.
    """
    differs = _load(text, body + 8) ^ _POINTS
    early = ((differs - _EACH) & ~differs & _TOP_BITS) != 0
    early |= text[body + 8] == ord(".")
    early &= (ends - body >= 9) & (text[body] != ord("."))
    values, good = np.zeros(len(body)), np.zeros(len(body), dtype=np.bool_)
    some = np.flatnonzero(early)
    if len(some):
        nine = body[some] + 9
        values[some], good[some] = _unsigned(text, body[some], nine)
        no_digit = np.cumsum((text - np.uint8(ord("0"))) > 9, dtype=np.int32)
        good[some] &= no_digit[ends[some] - 1] == no_digit[nine - 1]
    others = np.flatnonzero(~early)
    if len(others):
        values[others], good[others] = _by_character(text, body[others], ends[others])
    return values, good


def _by_character(text: NDArray[np.uint8], body: Ints, ends: Ints) -> tuple[Floats, Bools]:
    """Return value and goodness of numbers without sign."""
    width = int((ends - body).max())
    places = body[:, None] + np.arange(width)
    inside = places < ends[:, None]
    chars = np.where(inside, text[np.minimum(places, len(text) - 1)], np.uint8(0))
    digit = (chars >= ord("0")) & (chars <= ord("9"))
    point = chars == ord(".")
    good = ((digit | point) == inside).all(axis=1) & (point.sum(axis=1) <= 1) & digit.any(axis=1)
    rank = np.cumsum(digit, axis=1)
    kept = digit & (rank <= MAX_DIGITS)
    count = np.minimum(rank[:, -1], MAX_DIGITS)
    exponent = np.maximum(count[:, None] - rank, 0)
    mantissa = np.where(kept, (chars - np.uint8(ord("0"))) * _TENS[exponent], 0.0).sum(axis=1)
    before = np.logical_or.accumulate(point, axis=1)
    whole = (digit & ~before).sum(axis=1)
    scale = whole - count
    values = np.where(scale < 0, mantissa / _TENS[np.maximum(-scale, 0)], mantissa * _TENS[np.maximum(scale, 0)])
    return values, good
