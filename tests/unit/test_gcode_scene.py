# SPDX-License-Identifier: GPL-3.0-or-later
"""A program as flat arrays for a screen, and what is left of the material, in the documented bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Dialect, MotionSettings, interpret, plan
from edge.gcode.planner import in_one_frame
from edge.gcode.scene import MOST_TOOLS, Scene, relief_bytes, scene_bytes, scene_of
from edge.gcode.stock import Erosion
from edge.gcode.tooling import tool_of
from tests.support.scene import unpack

BLOCK = Block.behind_zero((40.0, 20.0, 5.0))
END_MILL = Tool(1, "End mill 2 mm", ToolShape.FLAT, diameter=2.0, flute_length=8.0)
SQUARE = "G21 G90\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F100\nG1 X20\nY15\nG0 Z5\nM30\n"


def scene(
    text: str, *, offset: Position | None = None, table: dict[int, Tool] | None = None, most: int = 600_000
) -> Scene:
    table = table or {}
    program = interpret(text.encode("ascii"), dialect=Dialect(tool_change=True))
    return scene_of(
        program,
        in_one_frame(program.segments, offset),
        plan(program, MotionSettings(), offset),
        tool_of(program, table),
        table,
        BLOCK,
        most=most,
    )


def test_points_lines_feeds_and_kinds_follow_the_program() -> None:
    made = scene(SQUARE)
    assert made.points.tolist() == [
        [0, 0, 0],
        [0, 0, 5],
        [10, 10, 5],
        [10, 10, -1],
        [20, 10, -1],
        [20, 15, -1],
        [20, 15, 5],
    ]
    assert made.line.tolist() == [2, 3, 4, 5, 6, 7]
    assert made.kind.tolist() == [0, 0, 1, 1, 1, 0]
    assert made.feed.tolist() == [0, 0, 100, 100, 100, 0]
    assert made.cut_mm == pytest.approx(6 + 10 + 5)
    assert made.whole
    assert (np.diff(made.seconds) > 0).all()


def test_the_time_at_the_end_is_that_of_the_plan() -> None:
    made = scene(SQUARE)
    assert made.seconds[-1] <= made.total_s
    assert made.seconds[-1] == pytest.approx(made.total_s, abs=0.1)


def test_a_dwell_counts_before_the_motion_behind_it() -> None:
    plain, waits = scene(SQUARE), scene(SQUARE.replace("Y15\n", "G4 P7\nY15\n"))
    late = waits.seconds - plain.seconds
    assert np.abs(late[:4]).max() < 0.5
    assert np.abs(late[4:] - 7.0).max() < 0.5


def test_several_dwells_in_a_row_are_all_counted() -> None:
    plain, waits = scene(SQUARE), scene(SQUARE.replace("Y15\n", "G4 P3\nG4 P4\nY15\n"))
    assert waits.seconds[-1] - plain.seconds[-1] == pytest.approx(7.0, abs=0.5)


def test_an_arc_is_chords_that_share_its_time() -> None:
    made = scene("G21 G90 G0 X10 Y0\nG17 G3 X10 Y0 I-10 J0 F600\nM30\n")
    arc = made.points[1:]
    assert len(made) > 50
    assert np.abs(np.hypot(arc[:, 0], arc[:, 1]) - 10).max() < 0.001
    middle = (arc[1:] + arc[:-1]) / 2
    assert 10 - np.hypot(middle[:, 0], middle[:, 1]).min() <= 0.0101
    steps = np.diff(made.seconds[1:])
    assert steps.min() > 0
    assert steps.max() == pytest.approx(steps.min(), rel=0.02)
    assert made.cut_mm == pytest.approx(20 * math.pi, rel=1e-3)


def test_a_place_in_machine_coordinates_is_shown_where_it_lies_in_the_program() -> None:
    made = scene("G21 G90 G0 X1 Y1 Z1\nG53 G0 Z-2\nG1 X5 F200\nM30\n", offset=Position(-100.0, -50.0, -20.0))
    assert made.points[2].tolist() == [1, 1, 18]


def test_tools_and_whether_the_machine_has_them() -> None:
    text = "G21 G90\nT1 M6\nG1 Z-1 F100\nT7 M6\nG1 X5\nM30\n"
    made = scene(text, table={1: END_MILL})
    assert [tool.number for tool in made.tools] == [1, 7]
    assert made.known == (True, False)
    assert made.tool.tolist() == [0, 1]


def test_more_tools_than_a_byte_can_name_are_one_at_the_end() -> None:
    text = "G21 G90 F100\n" + "".join(f"T{number}\nG1 X{number % 5 + 1}\n" for number in range(1, 256)) + "M30\n"
    made = scene(text)
    assert len(made.tools) == len(made.known) <= MOST_TOOLS
    assert made.tool.max() < len(made.tools)


def test_too_many_motions_are_thinned_and_said_to_be() -> None:
    zigzag = "".join(f"G1 X{step % 2} Y{step / 1000:.3f}\n" for step in range(1, 2001))
    text = f"G21 G90 F900\nG0 Z5\nG0 X0 Y0\nG1 Z-1\n{zigzag}G0 Z5\nM30\n"
    full, thin = scene(text), scene(text, most=300)
    assert not thin.whole
    assert full.whole
    assert len(thin) <= 300
    assert thin.points[0].tolist() == full.points[0].tolist()
    assert thin.points[-1].tolist() == full.points[-1].tolist()
    assert thin.seconds[-1] == full.seconds[-1]
    assert (thin.cut_mm, thin.distance_mm) == (full.cut_mm, full.distance_mm)
    assert (np.diff(thin.line.astype(np.int64)) >= 0).all()
    assert thin.kind.tolist() == [*sorted(thin.kind[:-1].tolist()), 0]


def test_arcs_become_coarser_before_anything_is_left_out() -> None:
    text = "G21 G90 G0 X10 Y0\n" + "G17 G3 X10 Y0 I-10 J0 F600\n" * 10 + "M30\n"
    made = scene(text, most=200)
    assert made.whole
    assert 100 < len(made) <= 201


@pytest.mark.parametrize("text", ["", "%\n", "(nothing)\nM30\n", "G21\nG4 P1\nM30\n"])
def test_a_program_that_never_moves_is_an_empty_scene(text: str) -> None:
    read = unpack(scene_bytes(scene(text)))
    assert read.header["segments"] == 0
    assert read.header["bounds"] is None
    assert read.arrays["points"].tolist() == [0, 0, 0]
    assert read.arrays["seconds"].size == 0


def test_places_that_no_float_of_a_screen_can_hold_are_cut_off() -> None:
    made = scene("G21 G90\nG0 X99999999\nG1 Y-99999999 F100\nM30\n")
    assert np.isfinite(made.points).all()
    unpack(scene_bytes(made))


def test_the_bytes_of_a_scene_are_those_of_the_document() -> None:
    made = scene("T3\n" + SQUARE, table={3: Tool(3, "V 60°", ToolShape.V, 6.0, 10.0, tip_angle=60.0)})
    read = unpack(scene_bytes(made))
    assert read.letters == "IMSC"
    header = read.header
    assert header["segments"] == 6
    assert header["whole"] is True
    assert header["bounds"] == {"x": [0.0, 20.0], "y": [0.0, 15.0], "z": [-1.0, 5.0]}
    assert header["block"] == {"low": [0.0, 0.0, -5.0], "high": [40.0, 20.0, 0.0]}
    assert header["tools"] == [
        {
            "number": 3,
            "name": "V 60°",
            "shape": "v",
            "diameter": 6.0,
            "flute_length": 10.0,
            "tip_angle": 60.0,
            "tip_diameter": 0.0,
            "known": True,
        }
    ]
    assert [(one["name"], one["type"]) for one in header["arrays"]] == [
        ("points", "f32"),
        ("seconds", "f32"),
        ("line", "u32"),
        ("feed", "f32"),
        ("kind", "u8"),
        ("tool", "u8"),
    ]
    assert read.arrays["points"].reshape(-1, 3).tolist() == made.points.tolist()
    assert read.arrays["kind"].tolist() == [0, 0, 1, 1, 1, 0]


def test_the_bytes_of_a_relief_are_those_of_the_document() -> None:
    erosion = Erosion(BLOCK, 80)
    taken = erosion.cut(np.array([[5.0, 10.0, -2.0]]), np.array([[35.0, 10.0, -2.0]]), END_MILL)
    read = unpack(relief_bytes(erosion.relief(), planned_mm3=500.0, seconds=12.5))
    assert read.letters == "IMRL"
    assert (read.header["nx"], read.header["ny"], read.header["cell_mm"]) == (80, 40, 0.5)
    assert (read.header["bottom"], read.header["top"]) == (-5.0, 0.0)
    assert read.header["removed_mm3"] == pytest.approx(float(taken.sum()), abs=0.01)
    assert (read.header["planned_mm3"], read.header["seconds"]) == (500.0, 12.5)
    heights = read.heights()
    assert heights[20, 40] == pytest.approx(-2.0, abs=1e-4)
    assert heights[0, 0] == 0.0
    assert np.abs(heights - erosion.relief().heights).max() < 5 / 65535


def test_what_is_cut_through_is_nothing() -> None:
    erosion = Erosion(BLOCK, 40)
    erosion.cut(np.array([[0.0, 10.0, -9.0]]), np.array([[40.0, 10.0, -9.0]]), END_MILL)
    read = unpack(relief_bytes(erosion.relief()))
    assert read.arrays["height"].min() == 0
    assert read.header["planned_mm3"] is None
    assert read.header["seconds"] is None


words = st.lists(
    st.tuples(
        st.sampled_from(["G0", "G1", "G2", "G3", "G4"]), st.integers(-40, 40), st.integers(-40, 40), st.integers(-5, 5)
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(words, st.integers(1, 60))
def test_every_scene_is_one_unbroken_path(rows: list[tuple[str, int, int, int]], most: int) -> None:
    lines = ["G21 G90 F500 T1"]
    for code, x, y, z in rows:
        if code in ("G2", "G3"):
            lines.append(f"{code} X{x} Y{y} R{abs(x) + abs(y) + 60}")
        elif code == "G4":
            lines.append("G4 P0.1")
        else:
            lines.append(f"{code} X{x} Y{y} Z{z}")
    text = "\n".join([*lines, "M30", ""])
    for made in (scene(text), scene(text, most=most)):
        assert len(made.points) == len(made) + 1
        assert (np.diff(made.seconds) >= -1e-5).all()
        assert (np.diff(made.line.astype(np.int64)) >= 0).all()
        assert ((made.feed == 0) == (made.kind == 0)).all() or not made.whole
        unpack(scene_bytes(made))
    full = scene(text)
    steps = np.sqrt((np.diff(full.points.astype(np.float64), axis=0) ** 2).sum(axis=1))
    assert steps.sum() == pytest.approx(full.distance_mm, rel=5e-3, abs=0.1)
