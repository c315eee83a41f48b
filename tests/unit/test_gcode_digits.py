# SPDX-License-Identifier: GPL-3.0-or-later
"""Many numbers at once are what they are one by one."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.lines import Lines
from edge.gcode import interpret
from edge.gcode.digits import PAD, numbers
from edge.gcode.lexer import lex
from edge.gcode.model import Stop, StopKind, Stops
from edge.gcode.words import number_value

NUMBER = re.compile(r"([+-]?)(\d*)\.?(\d*)")


def together(texts: list[str]) -> list[float | None]:
    """Return the numbers of words with these texts, None for what is none."""
    joined = b"\n" * PAD + "".join(f"X{text}" for text in texts).encode("ascii")
    starts = np.cumsum([PAD, *(1 + len(text) for text in texts)])
    padded = joined + bytes(PAD + -len(joined) % 8)
    values, good = numbers(np.frombuffer(padded, dtype=np.uint8), starts[:-1], starts[1:])
    return [value if fine else None for value, fine in zip(values.tolist(), good.tolist(), strict=True)]


def alone(text: str) -> float | None:
    match = NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    return number_value(match[1] == "-", match[2].encode(), match[3].encode())


WRITTEN = st.one_of(
    st.from_regex(r"\A[+-]?[0-9]{0,9}\.?[0-9]{0,9}\Z"),
    st.from_regex(r"\A[+-]?[0-9]{0,60}\.?[0-9]{0,15}\Z"),
    st.text("0123456789.+-", max_size=12),
    st.text("0123456789.+-,%*<>=@:'\"#$&", max_size=10),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.6f}"),
)


@given(st.lists(WRITTEN, max_size=30))
@settings(deadline=None, max_examples=300)
def test_numbers_at_once_are_those_one_by_one(texts: list[str]) -> None:
    assert together(texts) == [alone(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["1.2.3", "1..2", "..", ".", "", "-", "+.", "1-2", "1.23456789", ".12345678", "123456789"]
)
@pytest.mark.parametrize("beside", ["", "1", "9.", ".5", "-123.4567"])
def test_a_number_does_not_look_at_its_neighbours(text: str, beside: str) -> None:
    assert together([beside, text, beside]) == [alone(beside), alone(text), alone(beside)]


def test_no_lines_and_no_words_are_nothing() -> None:
    assert together([]) == []
    assert lex(b"", 0).next_hard.tolist() == [0]
    assert lex(b"*\n", 5).next_hard.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "simple"),
    [
        ("N10G1X1.5Y-2F100", True),
        ("G17G90G21G94G54G40G61M3S100M8T4X1", True),
        ("G4P.5", True),
        ("G4P.5F10S3", True),
        ("G4P.5X1", False),
        ("G4", False),
        ("G1P1X1", False),
        ("G4G1P1", False),
        ("G17G18", False),
        ("G0G1X1", False),
        ("X1X1", False),
        ("M3M5", False),
        ("M7", False),
        ("M6", False),
        ("M30", False),
        ("G53X1", False),
        ("G80", False),
        ("G1.5", False),
        ("G-1", False),
        ("F-1", False),
        ("T256", False),
        ("N10000001", False),
        ("A1", False),
        ("1X1", False),
        ("X1)", False),
        ("X", False),
        ("X" + "1" * 79, False),
        ("$H", False),
    ],
)
def test_a_line_is_simple_or_hard(line: str, simple: bool) -> None:
    lexed = lex(f"G0X1\n{line}\nG0X2\n".encode(), 0)
    assert lexed.next_hard.tolist() == ([3] * 4 if simple else [1, 1, 3, 3])


@pytest.mark.parametrize(
    "change", ["G91", "G20", "G55", "G91X1", "G18", "M3", "M5", "M8", "M9", "M4S500", "T3", "G4P1", "G53G0Z1", "M30"]
)
@pytest.mark.parametrize("back", ["G90", "G21", "G54", "G17", "M5", "M9", ""])
def test_modes_that_change_within_a_program_count_from_there_on(change: str, back: str) -> None:
    run = "".join(f"G1X{n}Y{n % 7}F{n + 1}\nG2X{n}Y{n % 7 + 2}I0J1\n" for n in range(20))
    text = f"M3S5\n{run}{change}\n{run}{back or 'X0'}\n{run}".encode()
    quick, exact = interpret(text), interpret(text, batches=False)
    for name in quick.segments.__slots__:
        np.testing.assert_allclose(getattr(quick.segments, name), getattr(exact.segments, name), err_msg=name)
    assert (quick.stops, quick.commands, quick.diagnostics) == (exact.stops, exact.commands, exact.diagnostics)


def test_stops_are_a_sequence_of_stops() -> None:
    rows = [(0, 1, StopKind.SPINDLE, 0.0), (2, 3, StopKind.DWELL, 0.5), (2, 4, StopKind.END, 0.0)]
    listed = tuple(Stop(*row) for row in rows)
    stops = Stops.of(rows)
    assert (len(stops), stops[1], stops[-1], tuple(stops), stops[1:]) == (3, listed[1], listed[2], listed, listed[1:])
    assert stops == listed == tuple(Stops.joined([stops[:1], stops[1:]]))
    assert hash(stops) == hash(listed)
    assert stops != listed[:2]
    assert stops != "stops"
    assert Stops.joined([]) == ()


def test_clean_lines_lie_in_one_buffer() -> None:
    lines = interpret(b"G0 X1\n\n\n(c)\nG0 X2\n" * 3).text.lines
    assert isinstance(lines, Lines)
    assert lines.text == b"G0X1\nG0X2\n" * 3
    assert lines == ("G0X1", "G0X2") * 3
