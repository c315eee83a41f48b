# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.machine import Position, Travel
from edge.gcode import MotionSettings, Program, Severity, check, interpret, path_preview, plan
from edge.gcode.model import Dialect, Kind, StopKind
from edge.gcode.program import MAX_LINES

TRAVEL = Travel(Position(-300, -200, -80), Position(0, 0, 0), 3000, 12000)
OFFSET = Position(-250, -150, -40)


def ends(text: str, dialect: Dialect | None = None) -> list[list[float]]:
    return interpret(text.encode(), dialect=dialect).segments.end.tolist()


def test_units_and_distance_modes() -> None:
    assert ends("G20\nG1 X1 F10\nG21 G91\nX0.6 Y1\nG90 X1\n") == [[25.4, 0, 0], [26, 1, 0], [1, 1, 0]]


def test_feed_is_kept_in_millimetres_when_the_unit_changes() -> None:
    assert interpret(b"G20 G1 X1 F10\nG21 X0\n").segments.feed.tolist() == [254, 254]


def test_g92_shifts_what_follows_and_not_where_the_tool_is() -> None:
    assert ends("G0 X5\nG92 X0\nG0 X2\nG92.1\nG0 X2\n") == [[5, 0, 0], [7, 0, 0], [2, 0, 0]]


def test_tool_length_shifts_z_only() -> None:
    assert ends("G43.1 Z2.5\nG0 X1 Z1\nG49\nG0 Z1\n") == [[1, 0, 3.5], [1, 0, 1]]


def test_machine_coordinates_are_flagged_per_axis() -> None:
    program = interpret(b"G53 G0 Z-1\nG0 X2\nZ3\n")
    assert program.segments.machine_frame.tolist() == [[False, False, True], [False, False, True], [False] * 3]


def test_start_position_is_taken_from_the_dialect() -> None:
    program = interpret(b"G91 G1 X1 F9\n", dialect=Dialect(start=Position(5, 6, 7)))
    assert program.segments.start.tolist() == [[5, 6, 7]]
    assert program.segments.end.tolist() == [[6, 6, 7]]


def test_arcs_by_centre_and_by_radius_agree() -> None:
    by_centre = interpret(b"G3 X10 Y10 I0 J10 F9\nG2 X20 Y20 I10 J0\n")
    by_radius = interpret(b"G3 X10 Y10 R10 F9\nG2 X20 Y20 R10\n")
    np.testing.assert_allclose(by_centre.segments.arc_centre, [[0, 10], [20, 10]], atol=1e-9)
    np.testing.assert_allclose(by_radius.segments.arc_centre, [[0, 10], [20, 10]], atol=1e-9)


def test_arcs_in_the_other_planes() -> None:
    program = interpret(b"G18 G2 X14 I7 F9\nG19 G3 Y0 Z5 J0 K2.5\n")
    assert program.segments.arc_plane.tolist() == [1, 2]
    assert program.segments.arc_centre.tolist() == [[0, 7], [0, 2.5]]


def test_stops_come_with_their_kind() -> None:
    program = interpret(b"M3 S10\nG0 X1\nG4 P2\nM8\nM9\nG92 X0\nM0\nG10 L20 P1 X0\nM30\n")
    assert [stop.kind for stop in program.stops] == [
        StopKind.SPINDLE,
        StopKind.DWELL,
        StopKind.COOLANT,
        StopKind.COOLANT,
        StopKind.OFFSET,
        StopKind.PAUSE,
        StopKind.EEPROM,
        StopKind.END,
    ]
    assert [stop.before for stop in program.stops] == [0, 1, 1, 1, 1, 1, 1, 1]
    assert program.stops[1].seconds == 2


def test_end_of_program_resets_modes_as_the_controller_does() -> None:
    assert ends("G91 G20\nM2\nX1 F1\n") == [[25.4, 0, 0]]
    assert interpret(b"G91\nM30\nG1 X1 F5\nX1\n").segments.end.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_a_refused_line_changes_nothing() -> None:
    program = interpret(b"G1 X1 F100\nG91 G20 X5 P3\nX2\n")
    assert [(item.line, item.grbl) for item in program.diagnostics] == [(2, 36)]
    assert program.segments.end.tolist() == [[1, 0, 0], [2, 0, 0]]


def test_inverse_time_gives_the_feed_that_the_time_asks_for() -> None:
    program = interpret(b"G93\nG1 X10 F6\nG2 X20 R5 F2\n")
    np.testing.assert_allclose(program.segments.feed, [60, 2 * np.pi * 5])
    # Half a circle by its radius is one that rounding may refuse.
    assert [(item.severity, item.code) for item in program.diagnostics] == [(Severity.WARNING, "arc-radius-tight")]


def test_probing_is_a_straight_move_for_the_path() -> None:
    assert interpret(b"G38.2 Z-5 F50\n").segments.kind.tolist() == [Kind.LINEAR]


def test_mist_exists_only_where_the_controller_was_built_with_it() -> None:
    assert interpret(b"M7\n").diagnostics[0].grbl == 20
    assert interpret(b"M7\n", dialect=Dialect(has_mist=True)).diagnostics == ()


def test_interpretation_ends_after_many_errors() -> None:
    program = interpret(b"G1 X\n" * 100_000)
    assert not program.complete
    assert len(program.diagnostics) == 201
    assert program.diagnostics[0].code == "too-many-errors"


def test_a_text_with_millions_of_lines_is_refused_at_its_limit() -> None:
    program = interpret(b"\n" * (MAX_LINES + 10) + b"G0 X1\n")
    assert (program.complete, program.total_lines) == (False, MAX_LINES)
    assert [item.code for item in program.diagnostics] == ["too-many-lines"]


@pytest.mark.parametrize("spindle", ["M3", "M5"])
def test_a_speed_in_each_line_stops_only_a_turning_spindle(spindle: str) -> None:
    text = f"{spindle} S1\nG1 F100\n" + "".join(f"X{n} S{n % 9 * (n % 2)}\nS5\nY{n}\n" for n in range(50))
    program = assert_same(text.encode())
    assert (len(program.stops) > 50) == (spindle == "M3")
    assert [item.value for item in program.commands if item.name == "S"] == [1, 5, 7, 8]


def test_of_a_ramp_of_speeds_the_highest_is_kept() -> None:
    program = assert_same(b"G1 F1\n" + b"".join(b"X%d S%d\n" % (n, n) for n in range(1, 500)))
    speeds = [(item.line, item.value) for item in program.commands]
    assert len(speeds) == 51
    assert speeds[-1] == (500, 499)


@pytest.mark.parametrize("line", [b"G1X1F1 ", b"X1Y2I3J4R5F6N7", b"G2X1.5Y-.5R3.", b"G0 X00000000001"])
def test_a_long_run_of_one_line_takes_the_quick_way_and_the_exact_way_alike(line: bytes) -> None:
    assert_same(b"G1 X0 F10\n" + (line + b"\n") * 100)


def assert_same(text: bytes) -> Program:
    quick, exact = interpret(text), interpret(text, batches=False)
    assert quick.diagnostics == exact.diagnostics
    assert quick.commands == exact.commands
    assert quick.stops == exact.stops
    for name in ("start", "end", "feed", "kind", "wire", "machine_frame", "arc", "arc_plane"):
        np.testing.assert_array_equal(getattr(quick.segments, name), getattr(exact.segments, name), err_msg=name)
    np.testing.assert_allclose(quick.segments.arc_centre, exact.segments.arc_centre, rtol=1e-12, atol=1e-9)
    return quick


def exercise(text: bytes) -> None:
    program = assert_same(text)
    check(program, TRAVEL, OFFSET)
    planned = plan(program, MotionSettings())
    assert np.isfinite(planned.line_seconds).all()
    assert len(planned.line_seconds) == program.total_lines
    assert len(path_preview(program, 50)) <= 50


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_answered(data: bytes) -> None:
    exercise(data)


NUMBER = st.one_of(
    st.sampled_from(
        ["0", "1", "-1", "2.5", ".5", "5.", "0.001", "-7.25", "100", "99999999999", "9" * 40, "", "-", "1.2.3"]
    ),
    st.floats(-1000, 1000).map(lambda value: f"{value:.3f}"),
)
MOVE = st.lists(st.tuples(st.sampled_from("XYZXYZXYFIJKRN"), NUMBER).map("".join), max_size=5).map(" ".join)
MOTION = st.tuples(st.sampled_from(["", "G0", "G1", "G2", "G3", "G01"]), MOVE).map(" ".join)
OTHER = st.sampled_from(
    "G20 G21 G90 G91 G17 G18 G19 G80 G93 G94 G92X1 G92.1 G53G0X1 G28 G28X1 G43.1Z2 G49 G4P.1 M3S100 M5 M8 M9 S5 "
    "M0 M30 G54 G55 G10L2P1X0 G38.2X1F5 $H % T1 G99 G0G1 X1X2 (a) ;b".split()
)


@given(st.lists(st.one_of(MOTION, MOTION, MOTION, OTHER), max_size=120).map("\n".join))
@settings(deadline=None, max_examples=150)
def test_the_quick_way_and_the_exact_way_agree(text: str) -> None:
    exercise(text.encode())


COORDINATE = st.floats(-50, 50).map(lambda value: f"{value:.2f}")
PLAIN = st.one_of(
    st.tuples(COORDINATE, COORDINATE).map(lambda xy: f"G1 X{xy[0]} Y{xy[1]} F600"),
    st.tuples(COORDINATE, COORDINATE).map(lambda xy: f"X{xy[0]} Z{xy[1]}"),
    st.tuples(COORDINATE, st.integers(0, 3)).map(lambda xs: f"X{xs[0]} S{xs[1]}"),
    st.tuples(COORDINATE, COORDINATE).map(lambda ij: f"G2 X0 Y0 I{ij[0]} J{ij[1]}"),
    st.tuples(COORDINATE, COORDINATE).map(lambda xy: f"G3 X{xy[0]} Y{xy[1]} R80"),
)


@given(
    st.lists(PLAIN, min_size=20, max_size=100).map("\n".join),
    st.sampled_from(["G90\n", "G91\n", "G20 G91 G18\n", "M3 S1\n"]),
)
@settings(deadline=None)
def test_long_runs_of_motion_agree_too(text: str, head: str) -> None:
    exercise((head + text).encode())
