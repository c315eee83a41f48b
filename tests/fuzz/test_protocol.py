# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever comes out of the port, in whatever pieces: lines and messages, never an exception, never a guess."""

from __future__ import annotations

import math
import re
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.grbl.protocol import LineSplitter, Noise, Parameter, StatusReport, parse
from edge.drivers.grbl.state import Reading, fold
from tests.fuzz.effort import effort
from tests.fuzz.material import conversations, pieces

CUTS = st.lists(st.integers(0, 5_000), max_size=12)
NUMBER = re.compile(r"-?\d+(\.\d*)?|-?\.\d+", re.ASCII)


def split(data: bytes, cuts: list[int]) -> list[str]:
    splitter = LineSplitter()
    return [line for piece in pieces(data, cuts) for line in splitter.feed(piece)]


@given(st.one_of(conversations, st.binary(max_size=40).map(lambda data: data * 80)), CUTS)
@effort(1200)
def test_the_lines_are_the_same_in_whatever_pieces_they_come(data: bytes, cuts: list[int]) -> None:
    lines = split(data, cuts)
    assert lines == split(data, [])
    assert all(lines)
    assert all(line.isascii() and "\n" not in line and "\r" not in line for line in lines)


@given(conversations)
@effort(1200)
def test_every_line_is_a_message_with_finite_numbers(data: bytes) -> None:
    reading: Reading | None = None
    for line in split(data, []):
        message = parse(line)
        if isinstance(message, StatusReport):
            for field in fields(message):
                value = getattr(message, field.name)
                numbers = value if isinstance(value, tuple) else (value,)
                assert all(math.isfinite(number) for number in numbers if isinstance(number, (int, float)))
            reading = fold(reading, message, 1, inches=False)
        if isinstance(message, Parameter):
            assert all(math.isfinite(value) for value in message.values)


@given(st.text("0123456789.-+_eE nafi\tx١", max_size=9))
@effort(1600)
def test_a_number_that_grbl_would_not_write_is_noise(text: str) -> None:
    real = NUMBER.fullmatch(text) is not None
    assert isinstance(parse(f"<Idle|MPos:{text},0.000,0.000>"), StatusReport) == real
    assert isinstance(parse(f"<Idle|MPos:0,0,0|FS:0,{text}>"), StatusReport) == real
    assert isinstance(parse(f"[TLO:{text}]"), Parameter) == real
    digits = re.fullmatch(r"[0-9]+", text) is not None
    assert isinstance(parse(f"<Idle|MPos:0,0,0|Ov:{text},100,100>"), Noise) != digits
    assert isinstance(parse(f"<Hold:{text}|MPos:0,0,0>"), Noise) == (text != "" and not digits)
