# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Dialect, Program, interpret
from edge.gcode.tooling import DEFAULT_TOOL, guess_block, spindle_turns, tool_of

BALL = Tool(2, "Ball 2 mm", ToolShape.BALL, diameter=2.0, flute_length=8.0)
TABLE = {2: BALL}


def program(text: bytes) -> Program:
    return interpret(text, dialect=Dialect(tool_change=True))


def numbers(text: bytes) -> list[int]:
    index, tools = tool_of(program(text), TABLE)
    return [tools[one].number for one in index]


def test_a_program_that_names_no_tool_has_the_tool_zero() -> None:
    index, tools = tool_of(program(b"G0 X1\nG0 X2\n"), TABLE)
    assert index.tolist() == [0, 0]
    assert tools == (DEFAULT_TOOL,)
    own = Tool(0, "What is in it", ToolShape.FLAT, diameter=1.0, flute_length=4.0)
    assert tool_of(program(b"G0 X1\n"), {0: own})[1] == (own,)


def test_without_a_tool_change_a_number_counts_at_once() -> None:
    assert numbers(b"G0 X1\nT2 G0 X2\nG0 X3\nT07\nG0 X4\n") == [0, 2, 2, 7]


def test_with_a_tool_change_a_number_counts_from_it_on() -> None:
    assert numbers(b"T1 M6\nG0 X1\nT2\nG0 X2\nM06\nG0 X3\n") == [1, 1, 2]
    assert numbers(b"M6\nG0 X1\nT2\nG0 X2\n") == [0, 0]


def test_a_comment_names_no_tool() -> None:
    assert numbers(b"(T5 M6) G0 X1 ;T6\n") == [0]


def test_a_tool_that_the_table_does_not_hold_has_the_common_shape_and_its_number() -> None:
    _, tools = tool_of(program(b"T2 G0 X1\nT9 G0 X2\n"), TABLE)
    assert tools[0] is BALL
    assert (tools[1].number, tools[1].diameter) == (9, DEFAULT_TOOL.diameter)


def test_a_program_without_motion_has_a_tool_and_no_segment() -> None:
    index, tools = tool_of(program(b""), None)
    assert (len(index), tools) == (0, (DEFAULT_TOOL,))


def test_the_spindle_turns_between_its_words_and_at_a_speed() -> None:
    """A word acts before the motion of its line, the end of the program after it."""
    text = b"G1 X1 F100\nM3 S1000\nX2\nM5 X3\nM4 X4\nS0 X5\nS.5 X6\nM30 X7\nX8\n"
    assert spindle_turns(program(text)).tolist() == [False, True, False, True, False, True, True, False]
    assert spindle_turns(program(b"G1 X1 F100 M3\n")).tolist() == [False]


def test_numbers_are_read_as_the_controller_reads_them() -> None:
    written = (b"0000012.", b"12", b"+12.0", b"12.00", b"012")
    for one in written:
        assert numbers(b"T" + one + b"G0X1\n") == [12], one


def test_a_block_has_its_upper_face_at_zero_where_the_program_cuts_below_it() -> None:
    block = guess_block(program(b"G0 Z5\nG0 X10 Y10\nG1 Z-2 F100\nX30 Y20\nG0 Z5\n"), {0: BALL})
    assert block.low == Position(9, 9, -3)
    assert block.high == Position(31, 21, 0)


def test_cuts_at_places_that_nobody_knows_count_only_where_there_are_no_others() -> None:
    adrift = b"G0 X10 Y10 Z5\nG55\nG0 X500 Y500\nG1 Z-9 F100\nX700\n"
    assert guess_block(program(adrift), {0: BALL}).high == Position(701, 501, 0)
    both = guess_block(program(adrift + b"G0 Z5\nG54 X10 Y10 Z5\nG1 Z-2\nX30 Y20\n"), {0: BALL})
    assert (both.low, both.high) == (Position(9, 9, -3), Position(31, 21, 0))


def test_a_travel_at_feed_above_does_not_lift_it() -> None:
    text = b"F100\nG1 Z5\nG1 X1 Y1\nG1 Z-2\nX30 Y20\nG1 Z5\n"
    assert guess_block(program(text), None).high.z == 0


def test_a_zero_on_the_table_puts_the_upper_face_at_the_highest_cut() -> None:
    text = b"G0 Z15\nG0 X1 Y1\nG1 Z8 F100\nX30\nG1 Z4\nX1\nG0 Z15\n"
    block = guess_block(program(text), None)
    assert (block.low.z, block.high.z) == (3, 8)


def test_holes_alone_tell_it_too() -> None:
    block = guess_block(program(b"G0 X5 Z2\nG1 Z-3 F50\nG0 Z2\n"), {0: BALL})
    assert (block.low, block.high) == (Position(4, -1, -4), Position(6, 1, 0))
    assert guess_block(program(b"G0 X5 Z9\nG1 Z3 F50\nG0 Z9\n"), None).high.z == 3


def test_an_arc_counts_by_its_true_extent() -> None:
    block = guess_block(program(b"G0 X10 Y5\nG1 Z-1 F100\nG2 X20 Y5 I5 J0\n"), {0: BALL})
    assert block.high.y == pytest.approx(11)


def test_what_cuts_nothing_has_a_small_block_and_what_is_enormous_a_bounded_one() -> None:
    for text in (b"", b"G0 X10\n", b"G53 G1 X-10 F100\n"):
        assert guess_block(program(text), None).size == (1, 1, 1)
    size = np.array(guess_block(program(b"G1 X99999999 Y99999999 Z-99999999 F1\n"), None).size)
    assert np.isfinite(size).all()
    assert (size <= 20_001).all()
