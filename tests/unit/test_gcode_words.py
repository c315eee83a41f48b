# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from edge.gcode import Severity, interpret
from edge.gcode.words import clean, number_value, source_column, split_words, unify_line_ends


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"g 1 x 2 f 6 0 0", ["G1X2F600"]),
        (b"G1 X1 (one) Y2 ; two", ["G1X1Y2"]),
        (b"G0 X0 (unclosed", ["G0X0"]),
        (b"(a ; b) G0 X1", ["G0X1"]),
        (b"; (a\nG0 X1", ["G0X1"]),
        (b"G0\t X1\x00", ["G0X1"]),
        (b"/G1 X5", ["G1X5"]),
        (b"\xef\xbb\xbfG0 X1", ["G0X1"]),
        (b"G0X1\r\nG0X2\rG0X3\n\n", ["G0X1", "G0X2", "G0X3"]),
        (b"", []),
        (b"\n \n(only)\n", []),
    ],
)
def test_text_is_cleaned_as_the_controller_does(source: bytes, expected: list[str]) -> None:
    assert list(interpret(source).text.lines) == expected


def test_source_lines_count_as_a_person_counts_them() -> None:
    program = interpret(b"%\r\n(a)\r\n\r\nG21\r\nG0 X1\r\n%\r\n")
    assert program.text.lines == ("G21", "G0X1")
    assert tuple(program.text.source_lines) == (4, 5)
    assert program.total_lines == 6


def test_tape_marks_at_both_ends_are_left_out_with_a_note_and_one_in_the_middle_is_an_error() -> None:
    program = interpret(b"%\nG21\n%\nG0 X1\n%\n")
    assert [(item.severity, item.line, item.code) for item in program.diagnostics] == [
        (Severity.NOTE, 1, "tape-mark"),
        (Severity.ERROR, 3, "letter-expected"),
        (Severity.NOTE, 5, "tape-mark"),
    ]


def test_a_byte_order_mark_is_left_out_with_a_note() -> None:
    (note,) = interpret(b"\xef\xbb\xbfG21\n").diagnostics
    assert (note.severity, note.code) == (Severity.NOTE, "byte-order-mark")


@pytest.mark.parametrize(
    ("whole", "fraction", "value"),
    [
        (b"12", b"5", 12.5),
        (b"", b"25", 0.25),
        (b"00000000000100", b"", 0.0),
        (b"123456789", b"", 123456780.0),
        (b"1", b"123456789", 1.1234567),
    ],
)
def test_a_number_keeps_eight_digits(whole: bytes, fraction: bytes, value: float) -> None:
    assert number_value(False, whole, fraction) == value
    assert number_value(True, whole, fraction) == -value


def test_words_come_with_their_place() -> None:
    assert list(split_words(b"G1X-2.5")) == [("G", 1.0, 0), ("X", -2.5, 2)]


@pytest.mark.parametrize(
    ("source", "index", "column"), [(b"G1 (no) X1", 2, 9), (b"  G1", 0, 3), (b"G1", 5, 2), (b"", 0, 0)]
)
def test_a_place_of_the_clean_line_is_found_in_the_source(source: bytes, index: int, column: int) -> None:
    assert source_column(source, index) == column


def test_a_comment_does_not_run_over_the_line_end() -> None:
    assert clean(unify_line_ends(b"G0 X1 (a\rG0 X2")) == b"G0X1\nG0X2"
