# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned times against recorded ones (tests/data/grbl_job_times.README.md), and the planner by itself."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from edge.domain.machine import Position
from edge.gcode import MotionSettings, interpret, plan, planner

DATA = Path(__file__).parents[1] / "data"
CORPUS = os.environ.get("INFOMOBIL_CORPUS")
ROWS = list(csv.DictReader((DATA / "grbl_job_times.csv").read_text().splitlines()))
SETTINGS = json.loads((DATA / "grbl_job_settings.json").read_text())
PLAIN = MotionSettings(max_rate=(6000, 6000, 6000), acceleration=(100, 100, 100))


@pytest.mark.skipif(CORPUS is None, reason="INFOMOBIL_CORPUS does not name the folder of the programs")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['program']}-{row['setting']}")
def test_the_planned_time_is_the_recorded_one(row: dict[str, str]) -> None:
    program = interpret((Path(CORPUS or "") / row["program"]).read_bytes())
    planned = plan(program, MotionSettings.from_settings(SETTINGS[row["setting"]]["settings"]))
    assert planned.seconds == pytest.approx(float(row["true_seconds"]), rel=0.002)
    assert planned.distance_mm == pytest.approx(float(row["distance_mm"]), rel=0.002)
    assert len(program.text.lines) == int(row["lines"])


@pytest.mark.skipif(CORPUS is None, reason="INFOMOBIL_CORPUS does not name the folder of the programs")
@pytest.mark.parametrize("row", [row for row in ROWS if row["setting"] == "A"], ids=lambda row: row["program"])
def test_the_refused_lines_are_the_recorded_ones(row: dict[str, str]) -> None:
    program = interpret((Path(CORPUS or "") / row["program"]).read_bytes())
    recorded = {(int(line), int(error)) for error, line in re.findall(r"error:(\d+) at sent line (\d+)", row["notes"])}
    sent = {line: at for at, line in enumerate(program.text.source_lines, 1)}
    assert {(sent[item.line], item.grbl) for item in program.diagnostics} == recorded


def seconds(text: str, settings: MotionSettings = PLAIN) -> float:
    return plan(interpret(text.encode()), settings).seconds


def test_one_move_is_a_trapezoid() -> None:
    # 1000 mm/min = 16.667 mm/s is reached in 0.16667 s over 1.389 mm, and left likewise.
    assert seconds("G1 X100 F1000") == pytest.approx(100 / (1000 / 60) + 1000 / 60 / 100, rel=1e-9)


def test_a_short_move_is_a_triangle() -> None:
    assert seconds("G1 X0.4 F6000") == pytest.approx(2 * np.sqrt(0.4 / 100), rel=1e-6)


def test_a_straight_line_in_pieces_takes_as_long_as_in_one() -> None:
    pieces = "G1 F3000\n" + "\n".join(f"X{n}" for n in range(1, 101))
    assert seconds(pieces) == pytest.approx(seconds("G1 X100 F3000"), rel=1e-6)


def test_a_dwell_stops_and_waits() -> None:
    apart = "G1 X50 F3000\nG4 P1.5\nX100"
    assert seconds(apart) == pytest.approx(2 * seconds("G1 X50 F3000") + 1.5 + 0.025, rel=1e-6)


def test_two_stops_in_a_row_wait_once() -> None:
    assert seconds("G1 X50 F3000\nM5\nM3 S1\nM5") == pytest.approx(seconds("G1 X50 F3000") + 0.025, rel=1e-6)


def test_a_reversal_stops() -> None:
    assert seconds("G1 X50 F3000\nX0") == pytest.approx(2 * seconds("G1 X50 F3000"), rel=1e-6)


def test_short_blocks_are_slower_than_the_feed_because_the_look_ahead_ends() -> None:
    tiny = "G91 G1 F6000\n" + "X0.02\n" * 2000
    # 14 blocks of 0.02 mm ahead: at most sqrt(2 * 100 mm/s2 * 0.28 mm) = 7.5 mm/s.
    assert seconds(tiny) == pytest.approx(40 / np.sqrt(2 * 100 * 0.28), rel=0.03)


def test_seconds_are_told_by_source_line() -> None:
    planned = plan(interpret(b"(head)\nG1 X10 F600\n\nG4 P3\nX20\n"), PLAIN)
    assert planned.line_seconds[[0, 2]].tolist() == [0, 0]
    assert planned.line_seconds[3] == pytest.approx(3.025)
    assert planned.progress()[-1] == pytest.approx(1.0)
    assert (np.diff(planned.progress()) >= 0).all()


def test_seconds_are_told_by_motion_too_and_without_the_stops() -> None:
    program = interpret(b"G1 X10 F600\nX10\nG4 P3\nG2 X20 I5\nG0 Z5\n")
    planned = plan(program, PLAIN)
    assert planned.segment_seconds.shape == (len(program.segments),)
    assert planned.segment_seconds.sum() == pytest.approx(planned.seconds - 3.025)
    by_line = dict(zip(program.segment_lines.tolist(), planned.segment_seconds.tolist(), strict=True))
    assert by_line[4] == planned.line_seconds[3]
    assert by_line.get(2, 0.0) == 0.0


@pytest.mark.parametrize("text", [b"", b"(nothing)\nM5\n"])
def test_nothing_takes_no_time(text: bytes) -> None:
    planned = plan(interpret(text), PLAIN)
    assert (planned.seconds, planned.distance_mm, planned.bounds) == (0, 0, None)
    assert planned.line_seconds.dtype == planned.segment_seconds.dtype == np.float64
    assert len(planned.progress()) == len(planned.line_seconds)


def test_bounds_hold_the_arcs_and_not_their_ends_only() -> None:
    bounds = plan(interpret(b"G2 X10 Y0 I5 J0 F100\nG18 G3 X12 Z0 I1 K0\n"), PLAIN).bounds
    assert bounds is not None
    assert (bounds.high.y, bounds.low.y) == (pytest.approx(5), 0)
    assert bounds.low.z == pytest.approx(0) or bounds.high.z == pytest.approx(1)


def test_machine_coordinates_are_placed_by_the_work_offset() -> None:
    program = interpret(b"G53 G0 Z0\nG0 Z5\n")
    assert plan(program, PLAIN, Position(0, 0, -40)).distance_mm == pytest.approx(40 + 35)


def test_settings_come_from_a_dump_and_bad_values_leave_the_default() -> None:
    read = MotionSettings.from_settings({"$110": "5000.000", "$120": "x", "$11": "-1", "$12": "nan", "$1": "255"})
    default = MotionSettings()
    assert read.max_rate == (5000, 3000, 1500)
    assert read.acceleration == default.acceleration
    assert (read.junction_deviation, read.arc_tolerance) == (default.junction_deviation, default.arc_tolerance)
    assert read.stop_delay_s == 0


def test_huge_arcs_do_not_take_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "G1 F100000\nG2 X0.01 Y0 I1000 J0\n"
    exact = seconds(text)
    monkeypatch.setattr(planner, "_MOST_CHORDS", 500)
    assert seconds(text) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(
    ("asked", "taken"), [("0", 0.0), ("0.01", 0.05), ("0.1", 0.1), ("0.12", 0.15), ("3.0001", 3.05)]
)
def test_dwells_are_whole_steps_of_50_ms(asked: str, taken: float) -> None:
    assert seconds(f"G4 P{asked}") == pytest.approx(taken)


def test_a_dwell_without_end_has_a_time() -> None:
    assert 0 <= seconds("G4 P1" + "0" * 400) < 3277


def test_zero_is_a_setting_too() -> None:
    read = MotionSettings.from_settings({"$1": "0", "$11": "0.000"})
    assert (read.stop_delay_s, read.junction_deviation) == (0, 0)
    # Without a junction deviation each corner is a full stop.
    corner = "G1 X50 F3000\nY50"
    assert seconds(corner, read) == pytest.approx(2 * seconds("G1 X50 F3000", read), rel=1e-6)


def test_the_way_home_counts_to_machine_zero() -> None:
    program = interpret(b"G0 X-30 Y-20 Z-10\nG28 Z-5\nG0 X-30\nG30\n")
    planned = plan(program, PLAIN)
    assert planned.distance_mm == pytest.approx(np.sqrt(30**2 + 20**2 + 10**2) + 5 + 5 + np.hypot(30, 20))
    assert planned.line_seconds[[1, 3]].all()


def test_the_way_at_a_feed_is_told_apart() -> None:
    planned = plan(interpret(b"G0 X10\nG1 X30 F500\nG2 X50 R10\n"), PLAIN)
    assert planned.cut_mm == pytest.approx(20 + 10 * np.pi, rel=1e-3)
    assert planned.distance_mm == pytest.approx(planned.cut_mm + 10)
