# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting over in the middle: where a program was, what leads back to a line, and what is refused."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edge.domain.machine import Position
from edge.domain.ports import ProgramText
from edge.gcode import Dialect, Program, interpret
from edge.gcode.diagnostics import Severity
from edge.gcode.model import Kind
from edge.gcode.resume import Approach, CannotResume, cut_begins, leave_lines, line_index, locate, start_over
from edge.gcode.stops import take_out_stops

APPROACH = Approach(retract=-5.0, max_feed=2000.0)
TOOLS = Dialect(tool_change=True)


def program(text: str, dialect: Dialect | None = None) -> Program:
    made = interpret(text.encode(), dialect=dialect)
    assert not [item for item in made.diagnostics if item.severity is Severity.ERROR], made.diagnostics
    return made


def over(text: str, line: int) -> tuple[list[str], list[str]]:
    """Return preamble and tail of starting over at a line of the source."""
    source = program(text).text
    result, count = start_over(source, line_index(source, line), len(source.lines), APPROACH)
    assert set(result.source_lines[:count]) <= {result.source_lines[count]}
    assert result.source_lines[count] >= line
    return list(result.lines[:count]), list(result.lines[count:])


SQUARE = """G21 G90 (metric)
T1
M3 S9000
G0 Z5
G0 X10 Y10
G1 Z-1 F100
M8
G1 X20 F600
Y20
X10
Y10
G0 Z5
M5 M9
M30
"""


def test_the_preamble_leads_above_the_start_down_and_into_the_same_state() -> None:
    before, tail = over(SQUARE, 9)
    assert before == [
        "G17G21G54G90G94M5M9",
        "G53G0Z-5",
        "G0X20Y10",
        "S9000M3",
        "G4P4",
        "M8",
        "G1Z-1F300",
        "T1F600",
    ]
    assert tail == ["G1Y20", "X10", "Y10", "G0Z5", "M5M9", "M30"]


def test_a_start_at_a_comment_begins_at_the_next_line_and_never_at_the_beginning() -> None:
    text = SQUARE.replace("Y20\n", "(the far side)\nY20\n", 1)
    assert over(text, 9)[1][0] == "G1Y20"
    with pytest.raises(CannotResume, match="no line to begin with"):
        over(SQUARE, 99)


def test_inches_relative_motion_planes_and_inverse_time_come_back() -> None:
    text = "G20 G90\nG0 X1 Y1 Z1\nG18 G91\nG93 G1 X0.5 F2\nX0.5 F2\nG94\nG1 X0.1 F10\n"
    before, tail = over(text, 5)
    assert before[-2:] == ["G1Z25.4F200", "G20G91G93G18"]
    assert before[2] == "G0X38.1Y25.4"
    assert tail[0] == "G1X0.5F2"


def test_an_arc_begins_at_its_line_and_is_named_again() -> None:
    before, tail = over("G0 X0 Y0 Z0\nG2 X10 I5 F300\nX0 I-5\nX10 I5\n", 3)
    assert "G0X10Y0" in before
    assert tail == ["G2X0I-5", "X10I5"]


def test_the_zero_that_g92_and_tool_length_have_made_is_made_again() -> None:
    text = "G0 X5 Y5 Z5\nG43.1 Z2\nG92 X0 Y0\nG1 X10 Y0 F500\nX20\n"
    before, tail = over(text, 5)
    assert before[1:5] == ["G49", "G92.1", "G53G0Z-5", "G0X15Y5"]
    assert before[-3:] == ["G43.1Z2", "G92X10Y0", "F500"]
    assert leave_lines(program(text).text, 5) == ("M5M9", "G49", "G92.1")
    whole, again = program(text), program("\n".join([*before, *tail]))
    assert again.segments.end[-1][:2] == pytest.approx(whole.segments.end[-1][:2])


def test_a_place_in_machine_coordinates_is_reached_in_them() -> None:
    before, tail = over("G0 X1 Y1 Z1\nG53 G0 X-50\nG53 G0 Z-8\nG1 Y9 F100\nY0\n", 5)
    assert before[1:5] == ["G53G0Z-5", "G0Y9", "G53G0X-50", "G53G1Z-8F50"]
    assert tail == ["G1Y0"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("G0 X0 Y0 Z0\nG38.2 Z-10 F50\nG0 Z5\n", 2, "it probes"),
        ("G0 X0 Y0 Z0\nG38.2 Z-10 F50\nG91\nG0 Z5\nG1 X5 F50\n", 4, "reckons Z"),
        ("G0 X0 Y0 Z0\nG38.2 Z-10 F50\nG92 Z0\nG0 Z5\n", 4, "G92 before it"),
        ("G0 X0 Y0 Z0\nG28\nG91 G1 X5 F50\n", 3, "reckons X"),
        ("G0 X0 Y0 Z0\nG28.1\nG0 X5\n", 3, "G28.1 before it"),
        ("G91\nG0 X5\nG1 Z-1 F50\n", 3, "reckons Z"),
        ("G0 X0 Y0\nG1 X5 F100\n", 2, "where Z is"),
        ("G0 X0 Y0 Z0\nG55\nG1 X5 F100\nX6\n", 3, "where Y and Z is"),
        ("G92 X0\nG0 X0 Y0 Z0\n", 1, "reckons X"),
    ],
)
def test_what_cannot_be_told_from_the_program_is_refused(text: str, line: int, reason: str) -> None:
    with pytest.raises(CannotResume, match=reason):
        over(text, line)


def test_lines_before_the_first_motion_begin_up_in_the_air() -> None:
    before, tail = over(SQUARE, 1)
    assert before == ["G17G21G54G90G94M5M9", "G53G0Z-5"]
    assert tail[0] == "G21G90"
    before, _ = over(SQUARE, 5)
    assert before == ["G17G21G54G90G94M5M9", "G53G0Z-5", "S9000M3", "G4P4", "T1"]


@pytest.mark.parametrize("seed", range(60))
def test_started_over_a_random_program_cuts_the_same_from_any_line_on(seed: int) -> None:
    dice = random.Random(seed)
    lines = ["G0 X1 Y1 Z5", "S8000 M3", "F300"]
    place = [1.0, 1.0, 5.0]
    for _ in range(60):
        lines.append(random_line(dice, place))
    text = "\n".join([*lines, "G90 G21 G94 G1 X3 Y3 Z3 F200"]) + "\n"
    whole = interpret(text.encode())
    bad = {item.line for item in whole.diagnostics if item.severity is Severity.ERROR}
    text = "\n".join(line for number, line in enumerate(text.splitlines(), 1) if number not in bad) + "\n"
    whole = program(text)
    for index in (3, *dice.sample(range(4, len(whole.text.lines)), 6)):
        result, count = start_over(whole.text, index, len(whole.text.lines), APPROACH)
        again = program("\n".join(result.lines))
        rows, cut = whole.segments, whole.segments.wire >= index
        mine, tail = again.segments, again.segments.wire >= count
        assert cut.sum() == tail.sum()
        assert np.allclose(rows.end[cut], mine.end[tail], atol=2e-3)
        assert np.allclose(rows.start[cut], mine.start[tail], atol=2e-3)
        assert (rows.kind[cut] == mine.kind[tail]).all()
        assert np.allclose(rows.feed[cut], mine.feed[tail], rtol=1e-3, atol=1e-2)
        arcs = np.isin(rows.arc, np.flatnonzero(cut))
        again_arcs = np.isin(mine.arc, np.flatnonzero(tail))
        assert np.allclose(rows.arc_centre[arcs], mine.arc_centre[again_arcs], atol=2e-3)


def random_line(dice: random.Random, place: list[float]) -> str:
    """Return a line; most of them move, some change what the next ones mean. A faulty one is taken out later."""
    axes = "".join(f"{axis}{dice.uniform(0, 4):.3f}" for axis in "XYZ" if dice.random() < 0.6)
    del place
    return dice.choice(
        [
            f"G1 {axes or 'X2'}",
            f"{axes or 'Y2'} F{dice.randint(50, 900)}",
            f"G0 {axes or 'Z2'}",
            f"G2 X{dice.uniform(0, 4):.3f} Y{dice.uniform(0, 4):.3f} R{dice.uniform(3, 9):.3f}",
            f"G17 G3 X{dice.uniform(0, 4):.3f} Y{dice.uniform(0, 4):.3f} R{dice.uniform(3, 9):.3f}",
            dice.choice(["G90", "G91", "G20 F20", "G21 F400", "G17", "G18", "M3", "M4 S5000", "M5", "M8", "M9", "T3"]),
            "G93 G1 X1 F2" if dice.random() < 0.3 else "G94 F250",
            "G92 X1 Y2" if dice.random() < 0.2 else "G90 G0 Z3",
            "G43.1 Z0.5" if dice.random() < 0.2 else "G4 P0.1",
        ]
    )


def test_many_plain_lines_before_it_change_nothing() -> None:
    text = "G90 G0 X0 Y0\n" + "".join(f"G1 X{n} Z{n / 10} F600\n" for n in range(1, 50)) + "G1 Y5\nY6\n"
    before, tail = over(text, 52)
    assert before[2:] == ["G0X49Y5", "G1Z4.9F300", "F600"]
    assert tail == ["G1Y6"]
    with pytest.raises(CannotResume, match="none that the controller takes"):
        start_over(ProgramText("p", ("$H", "G0X1", "G0X2"), (1, 2, 3)), 2, 3, APPROACH)


LONG = "G21 G90\nG0 X0 Y0 Z1\n" + "".join(f"G1 X{n} F600\n" for n in range(1, 41))


@pytest.mark.parametrize(
    ("acked", "sent", "position", "line"),
    [
        (30, 34, Position(20.4, 0, 1), 23),
        (30, 34, Position(31.5, 0, 1), 34),
        (30, 30, Position(12.5, 0, 1), 15),
        (30, 34, Position(2.0, 0, 1), 10),
        (30, 34, Position(20.4, 40, 1), 10),
        (30, 34, None, 10),
        (None, None, None, 2),
        (42, 42, Position(40, 0, 1), 42),
    ],
)
def test_the_line_is_found_on_the_way_between_what_was_taken_and_what_was_sent(
    acked: int | None, sent: int | None, position: Position | None, line: int
) -> None:
    assert locate(program(LONG), acked, sent, position).line == line


def test_a_controller_that_holds_more_is_searched_further_back() -> None:
    assert locate(program(LONG), 30, 34, Position(2.5, 0, 1)).line == 10
    assert locate(program(LONG), 30, 34, Position(2.5, 0, 1), held_blocks=100).line == 5


def test_of_two_passes_over_one_place_the_first_counts() -> None:
    text = "G0 X0 Y0 Z0\nG1 X10 F100\nX0\nX10\nX0\n"
    assert locate(program(text), 5, 5, Position(5, 0, 0)).line == 2
    assert locate(program(text), 5, 5, Position(5, 0, 0), begun=4).line == 4
    assert locate(program("G4 P1\nG4 P1\n"), 2, 2, None).line == 2


def test_a_place_in_the_middle_of_an_arc_belongs_to_its_line() -> None:
    found = locate(program("G0 X0 Y0 Z0\nG2 X10 I5 F100\nG1 X20\n"), 3, 3, Position(5, 5, 0))
    assert found.line == 2
    assert found.off is not None
    assert found.off < 0.1


def test_a_cut_begins_at_the_rapid_that_led_to_it() -> None:
    assert cut_begins(program(SQUARE), 10) == 5
    assert cut_begins(program("G1 X1 F100\nX2\n"), 2) == 2


def test_stops_are_taken_out_and_keep_their_words() -> None:
    source = "G21\n(drill 3 mm)\nT2 M6\nG0 X0 Y0 Z5\nX1 M00 (turn the piece)\nN7 M0\nM06 T3 S500 ; v-bit\nG0 X2\n"
    text, stops = take_out_stops(program(source, TOOLS).text, source.encode())
    assert tuple(text.lines) == ("G21", "T2", "G0X0Y0Z5", "X1", "T3S500", "G0X2")
    assert tuple(text.source_lines) == (1, 3, 4, 5, 7, 8)
    assert [(item.before, item.line, item.kind, item.tool, item.text) for item in stops] == [
        (1, 3, "tool", 2, "drill 3 mm"),
        (4, 5, "stop", 2, "turn the piece"),
        (4, 6, "stop", 2, ""),
        (4, 7, "tool", 3, "v-bit"),
    ]


def test_a_program_without_stops_and_a_line_that_is_none_stay_as_they_are() -> None:
    plain = ProgramText("p", ("G0X1", "M3S100", "M?"), (1, 2, 3))
    assert take_out_stops(plain, b"") == (plain, ())


def test_m6_is_an_error_where_nobody_takes_it_out() -> None:
    assert any(item.code == "unsupported" for item in interpret(b"M6\n").diagnostics)
    made = program("M6 T1\nG0 X1\n", TOOLS)
    assert [command.name for command in made.commands] == ["M6", "T"]
    assert made.segments.kind.tolist() == [Kind.RAPID]
