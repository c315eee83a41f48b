# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a machine is on its path: told from reports that come some times a second and are ahead in their lines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edge.gcode.following import Follower, Moves, Report
from edge.gcode.scene import Scene
from tests.unit.test_gcode_scene import scene

PECKS = (
    "G21 G90\nG0 Z5\nG0 X10 Y10\n" + "".join(f"G1 Z-{depth} F300\nG0 Z1\n" for depth in range(1, 9)) + "G0 Z5\nM30\n"
)
CROSSING = (
    "G21 G90\nG0 Z5\nG0 X2 Y0\nG1 Z-1 F300\nG1 X30 Y30 F900\nX30 Y0\nX0 Y30\nX0 Y0\nX30 Y30\nX30 Y0\nG0 Z5\nM30\n"
)
RINGS = "G21 G90\nG0 Z5\nG0 X20 Y0\n" + "".join(f"G1 Z-{d} F300\nG2 X20 Y0 I-20 J0 F800\n" for d in (1, 2, 3)) + "M30\n"
SLOTS = "G21 G90\nG0 Z5\nG0 X2 Y0\nG1 Z-1 F300\n" + "G1 X40 F900\nG1 X2\n" * 12 + "G0 Z5\nM30\n"
PROGRAMS = {"pecks": PECKS, "crossing": CROSSING, "rings": RINGS, "slots": SLOTS}


def length(moves: list[Moves]) -> float:
    return sum(float(np.sqrt(((one.end - one.start) ** 2).sum(axis=1)).sum()) for one in moves)


def path_length(made: Scene, first: int = 0) -> float:
    points = made.points[first:].astype(np.float64)
    return float(np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1)).sum())


def place(made: Scene, seconds: float) -> tuple[int, tuple[float, float, float]]:
    """Return the motion under way at a planned time, and the place, to a micrometre as a controller reports it."""
    row = min(int(np.searchsorted(made.seconds, seconds)), len(made) - 1)
    begin = float(made.seconds[row - 1]) if row else 0.0
    end = float(made.seconds[row])
    share = min(1.0, max(0.0, (seconds - begin) / (end - begin))) if end > begin else 1.0
    x, y, z = (made.points[row] + (made.points[row + 1] - made.points[row]) * share).round(3).tolist()
    return row, (x, y, z)


def reports(made: Scene, *, every: float = 0.2, ahead: int = 12, slower: float = 1.0) -> Iterator[Report]:
    """Yield what a controller reports that holds up to `ahead` lines."""
    lines = np.unique(made.line)
    seconds = 0.0
    while seconds < made.seconds[-1]:
        row, where = place(made, seconds)
        now = int(np.searchsorted(lines, made.line[row]))
        acked = int(lines[min(now + ahead, len(lines) - 1)])
        yield Report(where, acked, 100.0 + seconds * slower)
        seconds += every


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("ahead", [0, 3, 15])
@pytest.mark.parametrize("slower", [1.0, 1.4])
def test_the_place_on_the_path_is_found_though_the_lines_are_ahead(name: str, ahead: int, slower: float) -> None:
    made = scene(PROGRAMS[name])
    follower = Follower(made)
    begins, moves = follower.seconds, []
    for report in reports(made, ahead=ahead, slower=slower):
        moves.append(follower.follow(report))
        true = (report.seconds - 100.0) / slower
        assert follower.seconds == pytest.approx(max(true, begins), abs=0.35)
    moves.append(follower.finish())
    assert length(moves) == pytest.approx(path_length(made, 1), abs=0.01)
    for before, after in pairwise(moves):
        if len(before) and len(after):
            assert after.start[0].tolist() == pytest.approx(before.end[-1].tolist(), abs=1e-9)


def test_reports_that_are_missing_are_made_up_for_by_the_path() -> None:
    made = scene(RINGS)
    follower, chosen = Follower(made), random.Random(7)
    moves = [follower.follow(report) for report in reports(made) if chosen.random() < 0.2]
    moves.append(follower.finish())
    assert length(moves) == pytest.approx(path_length(made, 1), abs=0.01)


def test_what_the_controller_can_not_hold_any_more_is_done() -> None:
    made = scene(SLOTS)
    follower = Follower(made, held_blocks=4)
    moves = follower.follow(Report((900.0, 900.0, 900.0), 24, 1.0))
    assert moves.end[-1].tolist() == made.points[np.searchsorted(made.line, 20, side="right")].tolist()


def test_a_report_off_the_path_is_a_straight_cut_from_the_one_before() -> None:
    made = scene("G21 G90\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F300\nG1 X60 F600\nG0 Z5\nM30\n")
    follower = Follower(made)
    follower.follow(Report((10.0, 10.0, -1.0), 5, 1.0))
    first = follower.follow(Report((20.0, 12.0, -1.0), 5, 2.0))
    assert (first.start.tolist(), first.end.tolist()) == ([[10.0, 10.0, -1.0]], [[20.0, 12.0, -1.0]])
    back = follower.follow(Report((30.0, 10.0, -1.0), 5, 3.0))
    assert back.start[0].tolist() == [10.0, 10.0, -1.0]
    assert back.end[-1].tolist() == pytest.approx([30.0, 10.0, -1.0], abs=1e-5)


def test_nothing_is_cut_off_the_path_while_the_spindle_was_told_to_stand() -> None:
    made = scene(SLOTS)
    follower = Follower(made)
    follower.follow(Report((2.0, 0.0, -1.0), 5, 1.0))
    assert not len(follower.follow(Report((5.0, 9.0, -1.0), 5, 2.0, cutting=False)))
    assert not len(follower.follow(Report((5.0, 12.0, -1.0), 5, 2.0, cutting=True)))


def test_after_a_break_no_straight_cut_leads_from_the_place_before() -> None:
    made = scene(SLOTS)
    follower = Follower(made)
    follower.follow(Report((2.0, 0.0, -1.0), 5, 1.0))
    assert not len(follower.lift())
    assert not len(follower.follow(Report((5.0, 9.0, -1.0), 5, 2.0)))


def test_a_machine_that_stands_stays_where_it_is() -> None:
    made = scene(CROSSING)
    follower = Follower(made)
    # Where the way crosses itself, for a long time.
    follower.follow(Report((15.0, 13.929, -1.0), 12, 1.0))
    held = Report((15.517, 14.483, -1.0), 12, 2.0, pace=0.0)
    follower.follow(held)
    before = follower.seconds
    assert not any(len(follower.follow(replace(held, seconds=float(second)))) for second in range(3, 60))
    assert follower.seconds == before


def test_a_job_that_goes_on_from_an_earlier_line_is_followed_from_there() -> None:
    made = scene(SLOTS)
    follower = Follower(made)
    for report in reports(made):
        follower.follow(report)
    assert not len(follower.begin_again())
    assert not len(follower.follow(Report((0.0, 0.0, 4.0), None, 500.0)))
    follower.follow(Report((20.0, 0.0, -1.0), 8, 501.0))
    assert follower.seconds < made.seconds[-1] / 2


def test_a_job_that_goes_on_from_a_later_line_has_been_cut_up_to_there() -> None:
    made = scene(SLOTS)
    follower = Follower(made, held_blocks=2)
    follower.begin_again()
    moves = follower.follow(Report((20.0, 0.0, -1.0), 15, 1.0))
    assert length([moves]) > path_length(made, 1) / 4
    assert made.seconds[11] - 0.01 <= follower.seconds <= made.seconds[15]


def test_what_comes_before_a_stop_is_done_when_the_machine_waits_there() -> None:
    made = scene(SLOTS)
    follower = Follower(made)
    moves = [follower.follow(Report((2.0, 0.0, -1.0), 5, 1.0)), follower.finish(8)]
    assert made.line[np.flatnonzero(made.seconds <= follower.seconds + 1e-6)[-1]] == 7
    assert moves[-1].end[-1].tolist() == [40.0, 0.0, -1.0]
    assert not len(follower.finish(6))


def test_the_rapids_before_the_first_known_height_cut_nothing() -> None:
    made = scene("G21 G90\nG0 X50 Y50\nG0 Z5\nG1 Z-1 F300\nG1 X60\nM30\n")
    moves = Follower(made).finish()
    assert moves.start[0].tolist() == [50.0, 50.0, 5.0]


@pytest.mark.parametrize("text", ["", "G21\nM30\n", "G21 G0 X5\nM30\n"])
def test_a_program_that_cuts_nothing_has_nothing_to_follow(text: str) -> None:
    follower = Follower(scene(text))
    assert not len(follower.follow(Report((0.0, 0.0, 0.0), None, 1.0)))
    assert not len(follower.follow(Report((1.0, 0.0, 0.0), 2, 2.0)))
    assert not len(follower.finish())
    assert not len(follower.finish())


ADRIFT = "G21 G90\nG0 X10 Y10 Z5\nG55\nG0 X2 Y0 Z5\nG1 Z-1 F300\nX30 F900\nG0 Z5\nM30\n"


def test_what_counts_from_an_unknown_place_is_no_part_of_the_path() -> None:
    follower = Follower(scene(ADRIFT))
    assert follower.adrift
    assert not Follower(scene(SLOTS)).adrift
    assert length([follower.path()]) == 0
    assert length([follower.finish()]) == 0


def test_what_counts_from_an_unknown_place_was_done_where_the_machine_was_seen() -> None:
    made = scene(ADRIFT)
    there, elsewhere = Follower(made), Follower(made)
    path = path_length(made, int(np.searchsorted(made.line, 4)))
    seen = [there.follow(report) for report in reports(made)] + [there.finish()]
    assert length(seen) == pytest.approx(path, abs=8)
    moves = []
    for report in reports(made):
        x, y, z = report.place
        moves.append(elsewhere.follow(replace(report, place=(x, y + 40, z))))
    moves.append(elsewhere.finish())
    assert all((one.start[:, 1] > 39).all() for one in moves)
