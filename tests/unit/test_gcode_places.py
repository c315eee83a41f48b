# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program counts from: the zero, machine zero, or a place that nobody has given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.machine import Position, Travel
from edge.gcode import Diagnostic, Dialect, Program, Severity, check, interpret, interpret_to_draw
from edge.gcode.limits import OPERATOR_BANNED, VISITOR_BANNED
from edge.gcode.modal import MAX_UNPLACED
from edge.gcode.model import Kind
from edge.services.checking import Basis
from edge.services.preparing import prepare_text

TRAVEL = Travel(Position(-300, -200, -80), Position(0, 0, 0), 3000, 10000)
OFFSET = Position(-300, -200, -40)
ANYWHERE = Dialect(start=None, offset=OFFSET)
MODES = "G21 G90\n"


def found(text: str, banned: frozenset[str] = OPERATOR_BANNED, dialect: Dialect = ANYWHERE) -> list[Diagnostic]:
    return check(interpret(text.encode(), dialect=dialect), TRAVEL, OFFSET, banned=banned, source=text.encode())


def codes(text: str, dialect: Dialect = ANYWHERE) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in found(text, dialect=dialect)]


@pytest.mark.parametrize(
    ("text", "line", "word", "axes"),
    [
        ("G21 G91\nG1 X100 Y50 F500\nX100\n", 2, "X100", "X and Y"),
        ("G21 G90\nG92 X0 Y0 Z0\nG0 X150\nG0 Y1\n", 2, "G92", "X, Y and Z"),
        ("G2 X10 Y0 I5 F100\n", 1, "X10", "X and Y"),
        ("G18 G3 X10 I5 F100\n", 1, "X10", "X and Z"),
        ("G0 X0 Y0\nG91\nG1 X1 Y1 F9\nZ-1\n", 4, "Z-1", "Z"),
        ("G0 X0 Y0 Z5\nG38.2 Z-30 F50\nG92 Z0\nG0 Z60\n", 3, "G92", "Z"),
        ("G0 X0 Y0 Z5\nG38.2 Z-30 F50\nG91 G0 Z50\n", 3, "Z50", "Z"),
    ],
)
def test_what_counts_from_a_place_that_nobody_has_given_is_said(text: str, line: int, word: str, axes: str) -> None:
    for banned, severity in ((OPERATOR_BANNED, Severity.WARNING), (VISITOR_BANNED, Severity.ERROR)):
        [item] = [item for item in found(text, banned) if item.code == "place-unknown"]
        assert (item.line, item.words, item.severity) == (line, (word,), severity)
        assert f"a place of {axes} that" in item.text
        assert text.splitlines()[line - 1][item.column - 1 :].startswith(word)
    assert [item.code for item in found(text)] == ["place-unknown"]


@pytest.mark.parametrize(
    "text",
    [
        "G0 Z5\nX10 Y10\nG1 Z-1 F100\nG2 X20 I5\nG91 G1 X1 Y1 Z1\nG92 X0\n",
        "G1 X10 F500\n",
        "G91 G0 X0 Y0 Z0\nG90 X1\n",
        "G0 X1 Y1 Z5\nG38.2 Z-30 F50\nG0 Z5\nG91 Z1\n",
        "G91 G53 G0 X-1\nX-1\n",
    ],
)
def test_what_the_program_has_given_is_known(text: str) -> None:
    assert codes(text) == []


def test_a_place_that_the_controller_keeps_is_said_once() -> None:
    assert codes("G0 X1 Y1 Z5\nG91 G28 Z0\nZ-5\n") == [(2, "place-unknown")]


@pytest.mark.parametrize("word", ["G92.1", "G55", "G59"])
def test_what_counts_from_another_zero_is_not_judged_by_the_one_at_the_start(word: str) -> None:
    text = f"G0 X1 Y1 Z5\n{word}\nG0 X-50 Y300\nG91 X500\nG2 X20 I10 F500\nG53 G0 Z20\n"
    assert codes(text) == [(2, "place-unknown"), (6, "out-of-travel")]
    segments = interpret(text.encode(), dialect=ANYWHERE).segments
    assert segments.unplaced[1:].tolist() == [[True, True, False]] * 4
    assert segments.unplaced[0].tolist() == [False] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("G0 X1 Y1 Z5\nG55\nG0 X999\nG54\nX301\n", [(2, "place-unknown"), (5, "out-of-travel")]),
        ("G0 X1 Y1 Z5\nG55\nG56\nG54\nG0 X301\n", [(5, "out-of-travel")]),
        ("G0 X1 Y1 Z5\nG55\nG91 X500\n", [(3, "out-of-travel")]),
        ("G0 X1 Y1 Z5\nG55\nG92 X0\nX300\nG54\nX-5\n", [(4, "out-of-travel")]),
        ("G0 X1 Y1 Z5\nG55 X2\nG92 X0\nX300\nG54\nG53 X5\n", [(6, "out-of-travel")]),
        ("G0 X1 Y1 Z5 F9\nG55 X500\nM30\nX300\nX301\n", [(5, "out-of-travel")]),
        ("G0 X1 Y1 Z5\nG92.1\nX500\nG55\nX500\nG92 X0\nG91 X999\n", []),
    ],
)
def test_back_in_a_zero_its_places_are_known_again(text: str, expected: list[tuple[int, str]]) -> None:
    assert [item for item in codes(text) if item[1] != "place-unknown"] == [
        item for item in expected if item[1] != "place-unknown"
    ]


def test_an_arc_from_one_zero_into_another_has_no_shape() -> None:
    text = "G0 X1 Y1 Z5\nG55\nG2 X20 Y1 I1 F500\nX40 I10\nG3 X50 I9\n"
    assert [(item.line, item.grbl or item.code) for item in found(text)] == [
        (2, "place-unknown"),
        (3, "place-unknown"),
        (5, 33),
    ]


@pytest.mark.parametrize("word", ["L20 P1", "L20 P0", "L2 P1", "L20"])
def test_a_zero_that_the_program_writes_is_not_known(word: str) -> None:
    text = f"G0 X1 Y1 Z5\nG10 {word} X0\nX900\nG2 X920 I10 F500\nG1 Y900\n"
    assert codes(text) == [(2, "banned-word"), (5, "out-of-travel")]
    assert interpret(text.encode(), dialect=ANYWHERE).segments.unplaced[1:, 0].all()


@pytest.mark.parametrize("body", ["", "G55\n", "G92 X5\n"])
def test_writing_another_zero_is_no_matter_for_the_one_that_is_active(body: str) -> None:
    text = f"G0 X1 Y1 Z5\n{body}G10 L2 P3 X0\nG54\nX310\n"
    assert codes(text)[-1] == (text.count("\n"), "out-of-travel")


def test_a_zero_that_was_written_is_another_one_than_before() -> None:
    text = "G0 X1 Y1 Z5\nG55 G0 X5 Y5\nG54\nG10 L2 P2 X0\nG55\nG2 X5 Y9 J2 F500\n"
    assert [item.line for item in found(text) if item.code == "place-unknown"] == [2, 5, 6]


def test_without_a_g92_of_others_g92_1_leads_back() -> None:
    known = Dialect(start=Position(0, 0, 0), offset=OFFSET)
    assert codes("G92 X5\nG0 X304\nG92.1\nX301\n", known) == [(3, "place-unknown"), (4, "out-of-travel")]


def test_a_relative_program_is_not_refused_for_a_place_that_it_may_not_stand_at() -> None:
    assert codes("G91 G1 X-50 F500\n") == [(1, "place-unknown")]


@pytest.mark.parametrize("dialect", [ANYWHERE, Dialect(start=None)])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("G53 G0 Z-1\nG53 G0 X-10\nG92 X0\nG1 X250 F500\n", [(4, "out-of-travel")]),
        ("G53 G0 Z-1\nG53 G0 X-10\nG92 X0\nG1 X-50 F500\n", []),
        ("G53 G0 Z-1\nG53 G0 X-10\nG92 X0\nG91 G1 X-290 F500\nX-2\n", [(5, "out-of-travel")]),
        ("G53 G0 X-290 Y-190\nG92 X0 Y0\nG2 X20 I10 F500\n", []),
        ("G53 G0 X-290 Y-190\nG92 X0 Y0\nG2 X20 Y5 I10 F500\n", [(3, "arc-end")]),
    ],
)
def test_a_zero_set_at_a_machine_coordinate_is_one(
    text: str, expected: list[tuple[int, str]], dialect: Dialect
) -> None:
    assert codes(text, dialect) == expected


def test_an_arc_that_begins_at_a_machine_coordinate_is_judged_by_the_zero() -> None:
    good = "G53 G0 X-290 Y-190\nG2 X20 Y10 I5 J0 F500\n"
    bad = "G53 G0 X-290 Y-190\nG2 X-280 Y-190 I5 F500\n"
    assert codes(good) == []
    assert [(item.line, item.grbl) for item in found(bad)] == [(2, 33)]
    for text in (good, bad):
        assert (2, "place-unknown") in codes(text, Dialect(start=None))


def test_the_ends_of_g53_are_work_coordinates_where_the_zero_is_known() -> None:
    segments = interpret(b"G53 G0 X-10\nG28 X5\n", dialect=ANYWHERE).segments
    assert segments.end[:, 0].tolist() == [290, 5, 300]
    assert not segments.machine_frame.any()
    assert segments.unplaced[:, 0].tolist() == [False, False, True]


def test_a_grid_of_probing_is_said_so_many_times_and_no_more() -> None:
    text = "G0 X0 Y0 Z5\n" + "G91\nG38.2 Z-3 F50\nG0 Z3\n" * (2 * MAX_UNPLACED)
    assert len(found(text)) == MAX_UNPLACED


def test_a_program_is_prepared_for_a_machine_that_stands_anywhere_with_the_zero_of_its_basis() -> None:
    basis = Basis("Grbl", TRAVEL, None, OFFSET, None, None, OPERATOR_BANNED, tool_change=False)
    hobby = prepare_text(b"G21 G90\nG92 X0 Y0 Z0\nG0 X150\n", "p", basis)
    assert [item.code for item in hobby.diagnostics] == ["place-unknown"]
    prepared = prepare_text(b"G53 G0 X-290 Y-190\nG2 X-280 Y-190 I5 F500\n", "p", basis)
    assert [item.grbl for item in prepared.errors] == [33]


def assert_same(text: bytes, dialect: Dialect) -> Program:
    quick, exact = interpret(text, dialect=dialect), interpret(text, dialect=dialect, batches=False)
    for name in ("diagnostics", "commands", "stops", "unplaced"):
        assert getattr(quick, name) == getattr(exact, name), name
    for name in ("end", "feed", "kind", "wire", "machine_frame", "unplaced", "arc", "arc_plane"):
        np.testing.assert_array_equal(getattr(quick.segments, name), getattr(exact.segments, name), err_msg=name)
    np.testing.assert_allclose(quick.segments.arc_centre, exact.segments.arc_centre, rtol=1e-12, atol=1e-9)
    return quick


NUMBER = st.integers(-40, 40).map(lambda value: f"{value / 2:g}")
WORDS = st.lists(
    st.tuples(st.sampled_from("XYZ"), NUMBER).map("".join), min_size=1, max_size=3, unique_by=lambda w: w[0]
)
RUN = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["", "G0", "G1"]), WORDS).map(lambda parts: parts[0] + "".join(parts[1])),
        st.tuples(st.sampled_from(["G2", "G3"]), WORDS, st.sampled_from(["I5", "J-5", "R50", "I1J1", "K2I2"])).map(
            lambda parts: parts[0] + "".join(parts[1]) + parts[2]
        ),
        st.sampled_from(["G2I5", "G3X0I5", "G91X5", "G17", "G18", "G19"]),
    ),
    min_size=1,
    max_size=25,
)
PLACES = st.sampled_from(
    [
        "G91",
        "G90",
        "G53G0X-10",
        "G53G0Y-10Z-1",
        "G92X0",
        "G92Y5Z0",
        "G92.1",
        "G38.2X9F9",
        "G28Z0",
        "G30",
        "G43.1Z2",
        "G54",
        "G55",
        "G56X3",
        "G10L20P1X0",
        "M30",
    ]
)
TEXT = st.lists(st.one_of(RUN, PLACES.map(lambda line: [line])), min_size=1, max_size=8).map(
    lambda parts: "\n".join(["F500", *(line for part in parts for line in part)])
)


@given(TEXT, st.sampled_from([ANYWHERE, Dialect(start=None), Dialect(offset=OFFSET), Dialect()]))
@settings(deadline=None, max_examples=300)
def test_the_quick_way_and_the_exact_way_agree_about_places(text: str, dialect: Dialect) -> None:
    program = assert_same(text.encode(), dialect)
    if dialect == Dialect(offset=OFFSET) and not any(
        word in text for word in ("G38", "G28", "G30", "G55", "G56", "G10")
    ):
        # What is known from the beginning stays so but for probing and the places of the controller.
        assert program.unplaced == ()
        assert not program.segments.unplaced.any()


@pytest.mark.parametrize(
    "text",
    [
        "G92 X0 Y0 Z0\nG0 Z2\nG1 Z-1 F100\nX20\n",
        "G91\nG1 Z-1 F100\nX20\n",
        "G0 X0 Y0\nG1 X20 F100\n",
        "G0 X0 Y0 Z5\nG1 Z-1 F100\nX20\n",
    ],
)
def test_what_counts_throughout_from_where_the_tool_stands_is_drawn_from_zero(text: str) -> None:
    drawn = interpret_to_draw(text.encode(), dialect=ANYWHERE)
    assert not drawn.segments.adrift()[drawn.segments.kind != Kind.RAPID].any()
    assert drawn.segments.end[-1, 0] == 20


@pytest.mark.parametrize(
    "text", ["G1 Z-1 F100\nX5 Y5\nX20\n", "G0 X1 Y1 Z5\nG1 X2 F100\nG55\nG1 X5\n", "G28\nG55\nG1 X5 F100\n"]
)
def test_what_counts_from_more_than_one_place_is_not_brought_together(text: str) -> None:
    drawn = interpret_to_draw(text.encode(), dialect=ANYWHERE)
    assert drawn.segments.adrift()[drawn.segments.kind != Kind.RAPID].any()
