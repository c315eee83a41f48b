# SPDX-License-Identifier: GPL-3.0-or-later
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import interpret
from edge.gcode.model import Floats
from edge.gcode.turning import DEFAULT_INSERT, BarErosion, NotBar, NotTurning, Profile, turn

SHARP = Tool(1, "sharp", ToolShape.TURNING, 0.0, 10.0, tip_angle=80.0)
ROUND = Tool(2, "round", ToolShape.TURNING, 0.0, 10.0, tip_angle=55.0, nose_radius=0.8)
PARTING = Tool(3, "parting", ToolShape.TURNING, 3.0, 20.0, tip_angle=90.0)
BAR = Block(Position(-10.0, -10.0, -40.0), Position(10.0, 10.0, 0.0))


def moves(*points: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return the moves through points given as X (radius) and Z."""
    path = np.array([(x, 0.0, z) for x, z in points], dtype=np.float64)
    return path[:-1], path[1:]


def bar(cells: int = 400) -> BarErosion:
    return BarErosion(10.0, -40.0, 0.0, cells)


def turned(tool: Tool, *points: tuple[float, float], cells: int = 400) -> Profile:
    erosion = bar(cells)
    erosion.cut(*moves(*points), tool)
    return erosion.profile()


def middles(profile: Profile) -> Floats:
    return profile.z0 + (np.arange(len(profile.radii)) + 0.5) * profile.cell_mm


def test_a_new_bar_is_whole() -> None:
    profile = bar().profile()
    assert profile.bar_mm3 == pytest.approx(math.pi * 100 * 40)
    assert profile.removed_mm3 == pytest.approx(0.0, abs=1e-9)
    assert profile.remaining_mm3 == pytest.approx(profile.bar_mm3)


@pytest.mark.parametrize("tool", [SHARP, ROUND, DEFAULT_INSERT])
def test_a_shoulder_is_as_long_and_as_thin_as_programmed(tool: Tool) -> None:
    profile = turned(tool, (8.0, 2.0), (8.0, -20.0), (12.0, -20.0))
    z = middles(profile)
    assert np.allclose(profile.radii[z > -20.0 + 2 * tool.nose_radius], 8.0)
    assert (profile.radii[z < -20.0] == 10.0).all()
    assert profile.removed_mm3 == pytest.approx(math.pi * (100 - 64) * 20, rel=4e-3)


def test_in_the_corner_of_a_shoulder_the_nose_leaves_its_radius() -> None:
    profile = turned(ROUND, (8.0, 2.0), (8.0, -20.0), cells=4000)
    z = middles(profile)
    corner = (z > -20.0) & (z < -19.2)
    expected = 8.0 + 0.8 - np.sqrt(0.8**2 - (z[corner] + 20.0 - 0.8) ** 2)
    assert np.allclose(profile.radii[corner], np.minimum(expected, 10.0), atol=1e-5)


def test_facing_to_the_middle_takes_all_before_the_face() -> None:
    profile = turned(SHARP, (12.0, -1.0), (0.0, -1.0))
    z = middles(profile)
    assert (profile.radii[z < -1.0] == 10.0).all()
    assert np.allclose(profile.radii[z > -1.0], (z[z > -1.0] + 1.0) / math.tan(math.radians(80.0)), atol=1e-5)


def test_a_parting_tool_cuts_a_groove_of_its_width_and_parts() -> None:
    groove = turned(PARTING, (12.0, -20.0), (6.0, -20.0), (12.0, -20.0))
    assert groove.removed_mm3 == pytest.approx(math.pi * (100 - 36) * 3, rel=1e-9)
    parted = turned(PARTING, (12.0, -20.0), (-0.5, -20.0))
    z = middles(parted)
    assert (parted.radii[(z > -20.0) & (z < -17.0)] == 0.0).all()
    assert (parted.radii[(z < -20.0) | (z > -17.0)] == 10.0).all()


def test_a_cone_of_a_sharp_tool_is_exact() -> None:
    profile = turned(SHARP, (5.0, 0.0), (9.0, -20.0))
    z = middles(profile)
    cone = z > -20.0
    assert np.allclose(profile.radii[cone], 5.0 - z[cone] / 5.0, atol=1e-5)


def test_a_cone_of_a_round_nose_is_off_by_what_the_nose_leaves() -> None:
    profile = turned(ROUND, (5.0, 1.0), (9.2, -20.0))
    z = middles(profile)
    slope = 0.2
    # The nose's middle moves parallel to the programmed line; the surface lies one radius off it, square to the line.
    off = 0.8 * (1 + slope - math.hypot(1.0, slope))
    inner = (z > -18.0) & (z < -1.0)
    assert np.allclose(profile.radii[inner], 5.2 - slope * z[inner] + off, atol=1e-5)


def test_what_one_pass_took_the_next_does_not_take_again() -> None:
    erosion = bar()
    start, end = moves((8.0, 2.0), (8.0, -20.0), (11.0, -20.0), (11.0, 2.0), (6.0, 2.0), (6.0, -20.0))
    taken = erosion.cut(start, end, SHARP)
    assert taken.tolist() == pytest.approx([math.pi * 36 * 20, 0, 0, 0, math.pi * 28 * 20], rel=1e-6, abs=1e-9)
    assert not erosion.cut(start, end, SHARP).any()


def test_moves_from_nowhere_take_nothing() -> None:
    start, end = moves((math.nan, 0.0), (5.0, math.nan), (5.0, math.inf), (5.0, 10.0), (20.0, -50.0))
    assert not bar().cut(start, end, SHARP)[:3].any()
    assert bar().cut(start[:0], end[:0], SHARP).shape == (0,)


@pytest.mark.parametrize("facts", [(0.0, -1.0, 0.0, 10), (5.0, 0.0, 0.0, 10), (5.0, 0.0, 1.0, 0)])
def test_what_is_no_bar_is_refused(facts: tuple[float, float, float, int]) -> None:
    with pytest.raises(NotBar, match="is no material to turn"):
        BarErosion(*facts)


@pytest.mark.parametrize(
    "tool",
    [
        Tool(5, "end mill", ToolShape.FLAT, 6.0, 20.0),
        Tool(6, "nose", ToolShape.TURNING, 0.0, 5.0, nose_radius=-1.0),
        Tool(7, "angle", ToolShape.TURNING, 0.0, 5.0, tip_angle=0.0),
    ],
)
def test_what_is_no_turning_tool_is_refused(tool: Tool) -> None:
    with pytest.raises(NotTurning, match=tool.name):
        bar().cut(*moves((5.0, 0.0), (5.0, -1.0)), tool)


STEPS = 4_000


def brute(z: float, start: Floats, end: Floats, tool: Tool) -> float:
    """Return the smallest radius of the tool over z by trying many places of the way; infinite where it is not."""
    points = start + np.linspace(0.0, 1.0, STEPS)[:, None] * (end - start)
    right = z - points[:, 2]
    there = (right >= 0) & (right <= (tool.diameter or math.inf))
    if not there.any():
        return math.inf
    lean, nose = math.radians(90.0 - tool.tip_angle), tool.nose_radius
    ends = nose * (1 + math.sin(lean))
    over = np.where(
        right <= ends,
        nose - np.sqrt(np.maximum(nose**2 - (right - nose) ** 2, 0.0)),
        nose * (1 - math.cos(lean)) + (right - ends) * math.tan(lean),
    )
    return float((points[there, 0] + over[there]).min())


point = st.tuples(st.floats(-1, 12).map(lambda x: round(x, 2)), st.floats(-45, 5).map(lambda z: round(z, 2)))
inserts = st.sampled_from([SHARP, ROUND, PARTING, DEFAULT_INSERT])


@given(a=point, b=point, tool=inserts)
@settings(max_examples=100, deadline=None)
def test_the_formula_finds_what_trying_finds(a: tuple[float, float], b: tuple[float, float], tool: Tool) -> None:
    start, end = moves(a, b)
    profile = turned(tool, a, b, cells=8)
    step = float(np.linalg.norm(end - start)) / STEPS
    for z, radius in zip(middles(profile).tolist(), profile.radii.tolist(), strict=True):
        tried = min(max(brute(z, start[0], end[0], tool), 0.0), 10.0)
        assert radius <= tried + 1e-5
        # At its left edge the tool is there or not, and trying may miss it by a step.
        near = min(max(brute(z + step, start[0], end[0], tool), 0.0), 10.0)
        assert radius >= min(tried, near) - 60 * step - 0.15 * math.sqrt(step) - 1e-5


@given(path=st.lists(point, min_size=2, max_size=10), tool=inserts, seed=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_moves_does_not_matter_and_nothing_grows(
    path: list[tuple[float, float]], tool: Tool, seed: object
) -> None:
    start, end = moves(*path)
    one, other = bar(100), bar(100)
    previous, total = one.profile(), 0.0
    for row in range(len(start)):
        total += float(one.cut(start[row : row + 1], end[row : row + 1], tool)[0])
        profile = one.profile()
        assert (profile.radii <= previous.radii).all()
        previous = profile
    order = np.array(sorted(range(len(start)), key=lambda _: seed.random()))  # type: ignore[attr-defined]
    taken = other.cut(start[order], end[order], tool)
    assert np.array_equal(other.profile().radii, previous.radii)
    assert (taken >= 0).all()
    assert float(taken.sum()) == pytest.approx(total, rel=1e-9, abs=1e-6)
    assert total == pytest.approx(previous.removed_mm3, rel=1e-4, abs=1e-2)


def test_a_program_turns_a_bar_and_tells_what_each_motion_takes() -> None:
    text = b"G18 T1\nG0 X12 Z2\nG0 X8\nG1 Z-20 F100\nX12\nG0 Z2\n"
    done = turn(interpret(text), {1: SHARP}, BAR, cells=400)
    assert done.load.tolist() == pytest.approx([0, 0, math.pi * 36 * 20, 0, 0], rel=1e-6, abs=1e-9)
    assert done.profile.removed_mm3 == pytest.approx(math.pi * 36 * 20, rel=1e-6)


def test_diameters_are_halved() -> None:
    radii = turn(interpret(b"G0 X12 Z2\nG0 X8\nG1 Z-20 F100\n"), {}, BAR, cells=400)
    block = Block(Position(0.0, 0.0, -40.0), Position(20.0, 20.0, 0.0))
    text = b"G0 X24 Z2\nG0 X16\nG1 Z-20 F100\n"
    diameters = turn(interpret(text), {}, block, cells=400, diameters=True)
    assert np.array_equal(radii.profile.radii, diameters.profile.radii)


def test_an_arc_is_turned_round() -> None:
    text = b"G18\nG0 X12 Z0\nG0 X0\nG3 X8 Z-8 I0 K-8 F100\n"
    profile = turn(interpret(text), {0: SHARP}, BAR, cells=800).profile
    z = middles(profile)
    ball = (z > -7.9) & (z < -0.1)
    assert np.allclose(profile.radii[ball], np.sqrt(64.0 - (z[ball] + 8.0) ** 2), atol=0.02)


def test_a_program_with_a_milling_tool_is_not_turned() -> None:
    with pytest.raises(NotTurning):
        turn(interpret(b"T5\nG0 X12 Z2\nG1 X8 F100\n"), {5: Tool(5, "mill", ToolShape.FLAT, 6.0, 20.0)}, BAR)


def test_a_lying_part_is_half_a_cylinder() -> None:
    relief = bar(400).profile().lying()
    assert relief.heights.shape == (200, 400)
    assert float(relief.heights.max()) == pytest.approx(10.0, abs=1e-3)
    half = relief.remaining_mm3
    assert half == pytest.approx(math.pi * 100 * 40 / 2, rel=1e-3)
