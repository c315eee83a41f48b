# SPDX-License-Identifier: GPL-3.0-or-later
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Dialect, interpret
from edge.gcode.model import Floats
from edge.gcode.stock import Erosion, NotMaterial, NotMilling, Relief, mill
from tests.support.slow_stock import SlowErosion, brute, lowest

BLOCK = Block.behind_zero((40.0, 24.0, 10.0))
FLAT = Tool(1, "end mill", ToolShape.FLAT, 6.0, 20.0)
BALL = Tool(2, "ball", ToolShape.BALL, 6.0, 20.0)
VEE = Tool(3, "engraver", ToolShape.V, 6.0, 20.0, tip_angle=60.0)
BLUNT = Tool(4, "blunt engraver", ToolShape.V, 4.0, 20.0, tip_angle=90.0, tip_diameter=1.0)
TOOLS = {tool.number: tool for tool in (FLAT, BALL, VEE, BLUNT)}


def moves(*points: tuple[float, float, float]) -> tuple[Floats, Floats]:
    path = np.array(points, dtype=np.float64)
    return path[:-1], path[1:]


def cut(tool: Tool, *points: tuple[float, float, float], block: Block = BLOCK, cells: int = 400) -> Relief:
    erosion = Erosion(block, cells)
    erosion.cut(*moves(*points), tool)
    return erosion.relief()


def at(relief: Relief, x: float, y: float) -> float:
    """Return the height of the cell whose middle is nearest to x, y."""
    row = round((y - relief.y0) / relief.cell_mm - 0.5)
    column = round((x - relief.x0) / relief.cell_mm - 0.5)
    return float(relief.heights[row, column])


def test_a_new_block_is_whole() -> None:
    relief = Erosion(BLOCK, 100).relief()
    assert relief.heights.shape == (60, 100)
    assert (relief.cell_mm, relief.bottom, relief.top) == (0.4, -10.0, 0.0)
    assert relief.removed_mm3 == 0.0
    assert relief.remaining_mm3 == pytest.approx(40 * 24 * 10, rel=1e-12)


def test_a_slot_right_through_has_its_exact_volume() -> None:
    relief = cut(FLAT, (-5.0, 12.0, -2.0), (45.0, 12.0, -2.0))
    assert relief.removed_mm3 == pytest.approx(40 * 6 * 2, rel=1e-9)
    assert set(np.unique(relief.heights).tolist()) == {-2.0, 0.0}


def test_a_slot_that_ends_within_has_round_ends() -> None:
    relief = cut(FLAT, (10.0, 12.0, -2.0), (30.0, 12.0, -2.0))
    assert relief.removed_mm3 == pytest.approx(2 * (20 * 6 + math.pi * 9), rel=2e-3)


def test_a_slanting_slot_has_the_volume_of_a_straight_one() -> None:
    relief = cut(FLAT, (8.03, 8.01, -2.0), (31.7, 16.3, -2.0))
    assert relief.removed_mm3 == pytest.approx(2 * (math.hypot(23.67, 8.29) * 6 + math.pi * 9), rel=2e-3)


def test_a_plunge_leaves_the_shape_of_the_tool() -> None:
    spot = (20.05, 12.05)
    for tool, volume in (
        (FLAT, math.pi * 9 * 2),
        (BALL, math.pi * 2**2 * (3 * 3 - 2) / 3),
        (VEE, math.pi * (2 * math.tan(math.radians(30))) ** 2 * 2 / 3),
        (BLUNT, math.pi * 1.5 / 3 * (0.5**2 + 0.5 * 2 + 2**2) + math.pi * 2**2 * 0.5),
    ):
        relief = cut(tool, (*spot, 5.0), (*spot, -2.0))
        assert at(relief, *spot) == -2.0
        assert relief.removed_mm3 == pytest.approx(volume, rel=4e-3)


def test_a_ball_leaves_scallops_of_the_true_height() -> None:
    step = 1.0
    points = [(x, n * step, -3.0) for n in range(25) for x in ((-5.0, 45.0) if n % 2 else (45.0, -5.0))]
    relief = cut(BALL, *points, cells=800)
    ridge = 3.0 - math.sqrt(3.0**2 - (step / 2) ** 2)
    middle = relief.heights[40:440, 400]
    off = (np.arange(40, 440) + 0.5) * relief.cell_mm
    expected = -math.sqrt(9.0) + 3.0 - np.sqrt(9.0 - (off - np.round(off / step) * step) ** 2)
    assert np.allclose(middle, expected, atol=1e-6)
    assert float(middle.max()) == pytest.approx(-3.0 + ridge, abs=ridge * 0.11)
    assert float(middle.max()) <= -3.0 + ridge


def test_a_groove_of_a_v_is_as_wide_as_its_depth_says() -> None:
    relief = cut(VEE, (-5.0, 12.0, -2.0), (45.0, 12.0, -2.0), cells=800)
    y = (np.arange(relief.heights.shape[0]) + 0.5) * relief.cell_mm
    flank = 1 / math.tan(math.radians(30))
    assert np.allclose(relief.heights[:, 300], np.minimum(-2.0 + np.abs(y - 12.0) * flank, 0.0), atol=1e-5)
    assert relief.removed_mm3 == pytest.approx(40 * 2 * 2 * math.tan(math.radians(30)), rel=1e-3)


def test_a_ramp_of_a_flat_tool_is_lowest_at_its_trailing_edge() -> None:
    relief = cut(FLAT, (5.0, 12.05, 0.0), (35.0, 12.05, -6.0))
    for x in (10.05, 20.05, 30.05):
        assert at(relief, x, 12.05) == pytest.approx(-(x + 3.0 - 5.0) / 5.0, abs=1e-5)


def test_a_ramp_of_a_ball_leaves_a_tilted_cylinder() -> None:
    relief = cut(BALL, (5.0, 12.05, -1.0), (35.0, 12.05, -7.0))
    lean = math.hypot(1.0, 0.2)
    for x in (15.05, 20.05, 25.05):
        assert at(relief, x, 12.05) == pytest.approx(-1.0 - (x - 5.0) / 5.0 + 3.0 - 3.0 * lean, abs=1e-5)


def test_what_one_pass_took_the_next_does_not_take_again() -> None:
    erosion = Erosion(BLOCK, 400)
    start, end = moves((-5.0, 12.0, -2.0), (45.0, 12.0, -2.0), (45.0, 15.0, -2.0), (-5.0, 15.0, -2.0))
    first, across, second = erosion.cut(start, end, FLAT).tolist()
    assert first == pytest.approx(40 * 6 * 2, rel=1e-6)
    assert across == 0.0
    assert second == pytest.approx(40 * 3 * 2, rel=1e-6)
    assert erosion.cut(start, end, FLAT).tolist() == [0.0, 0.0, 0.0]


def test_below_the_block_there_is_nothing_to_take() -> None:
    relief = cut(FLAT, (-5.0, 12.0, -50.0), (45.0, 12.0, -50.0))
    assert float(relief.heights.min()) == relief.bottom
    assert relief.removed_mm3 == pytest.approx(40 * 6 * 10, rel=1e-9)


def test_over_and_beside_the_block_nothing_is_taken() -> None:
    erosion = Erosion(BLOCK, 100)
    start, end = moves((0, 0, 0), (40, 24, 0), (40, 24, 9), (80, 24, 9), (80, 24, -5), (80, -90, -5), (-80, -90, -5))
    assert not erosion.cut(start, end, FLAT).any()


def test_moves_from_far_away_and_none_at_all_are_no_burden() -> None:
    erosion = Erosion(BLOCK, 200)
    nowhere = [
        ((math.nan, 0.0, -1.0), (1.0, 0.0, -1.0)),
        ((0.0, -math.inf, -1.0), (0.0, math.inf, -1.0)),
        ((math.inf, 5.0, -1.0), (math.inf, 5.0, -1.0)),
        ((-1e308, -1e308, -1e308), (1e308, 1e308, 1e308)),
    ]
    start, end = np.array([((-1e9, 12.0, -2.0), (1e9, 12.0, -2.0)), *nowhere]).transpose(1, 0, 2)
    taken = erosion.cut(start, end, FLAT)
    assert taken[0] == pytest.approx(40 * 6 * 2, rel=1e-5)
    assert not taken[1:].any()
    assert erosion.cut(start[:0], end[:0], FLAT).shape == (0,)


def test_a_relief_stays_as_it_was_when_more_is_cut() -> None:
    erosion = Erosion(BLOCK, 50)
    before = erosion.relief()
    erosion.cut(*moves((0.0, 12.0, -2.0), (40.0, 12.0, -2.0)), FLAT)
    assert before.removed_mm3 == 0.0
    assert erosion.relief().removed_mm3 > 400.0


@pytest.mark.parametrize(
    ("block", "cells"),
    [
        (Block.behind_zero((0.0, 10.0, 10.0)), 10),
        (Block.behind_zero((10.0, 10.0, -1.0)), 10),
        (Block.behind_zero((10.0, math.inf, 1.0)), 10),
        (Block.behind_zero((10.0, math.nan, 1.0)), 10),
        (BLOCK, 0),
    ],
)
def test_what_is_no_block_is_refused(block: Block, cells: int) -> None:
    with pytest.raises(NotMaterial, match="is no material"):
        Erosion(block, cells)


@pytest.mark.parametrize(
    "tool",
    [
        Tool(5, "insert", ToolShape.TURNING, 0.0, 0.0),
        Tool(6, "nothing", ToolShape.FLAT, 0.0, 1.0),
        Tool(7, "unknown", ToolShape.BALL, math.nan, 1.0),
        Tool(8, "flat V", ToolShape.V, 3.0, 1.0, tip_angle=180.0),
        Tool(9, "needle", ToolShape.V, 3.0, 1.0, tip_angle=0.0),
    ],
)
def test_what_is_no_milling_tool_is_refused(tool: Tool) -> None:
    with pytest.raises(NotMilling, match=tool.name):
        Erosion(BLOCK, 10).cut(*moves((0.0, 0.0, -1.0), (1.0, 0.0, -1.0)), tool)


def test_a_narrow_block_has_at_least_one_row() -> None:
    erosion = Erosion(Block(Position(-50.0, -0.5, -1.0), Position(50.0, 0.5, 0.0)), 20)
    assert erosion.relief().heights.shape == (1, 20)
    assert erosion.cut(*moves((-60.0, 0.0, -1.0), (60.0, 0.0, -1.0)), FLAT)[0] == pytest.approx(20 * 25.0)


# Against the slow one, which is first held against trying many places of the way.

coordinate = st.floats(-8.0, 32.0).map(lambda value: round(value, 3))
depth = st.one_of(st.floats(-12.0, 2.0).map(lambda value: round(value, 3)), st.just(-2.0))
point = st.tuples(coordinate, coordinate, depth)
tools = st.sampled_from(
    [FLAT, BALL, VEE, BLUNT, Tool(5, "thin", ToolShape.FLAT, 0.3, 5.0), Tool(6, "wide", ToolShape.BALL, 17.0, 5.0)]
)
SMALL = Block(Position(-1.0, 0.0, -10.0), Position(23.0, 17.0, 0.0))
"""A block whose sides are no round number of cells, and that moves leave and enter on all sides."""
RIM = 2e-5
"""mm: single precision may take the rim of a tool for so much more or less."""


@given(start=point, end=point, spot=st.tuples(coordinate, coordinate), tool=tools)
@settings(max_examples=100, deadline=None)
def test_the_formula_finds_what_trying_finds(
    start: tuple[float, ...], end: tuple[float, ...], spot: tuple[float, float], tool: Tool
) -> None:
    a, b = np.array(start), np.array(end)
    x, y = np.array([spot[0]]), np.array([spot[1]])
    found = float(lowest(x, y, a, b, tool)[0])
    tried = brute(*spot, a, b, tool)
    wider = Tool(0, "wider", tool.shape, tool.diameter + 0.01, 1.0, tool.tip_angle, tool.tip_diameter)
    if math.isnan(found):
        assert tried == math.inf
        return
    # Trying misses the best place by half a step; at the rim of a steep tool that is much, but never less.
    assert found <= tried + 1e-9
    step = float(np.linalg.norm(b - a)) / 10_000
    assert brute(*spot, a, b, wider) - 0.01 - 50 * step <= found + 0.2


def within(relief: Relief, block: Block, start: Floats, end: Floats, tool: Tool, cells: int) -> None:
    """Hold `relief` between what a tool leaves that is a trifle larger and deeper, and one a trifle smaller."""
    bounds = []
    for sign in (1, -1):
        slow = SlowErosion(block, cells)
        shift = np.array([0.0, 0.0, sign * RIM])
        diameter = tool.diameter + 2 * sign * RIM
        wide = Tool(0, "", tool.shape, diameter, 1.0, tool.tip_angle, tool.tip_diameter)
        slow.cut(start - shift, end - shift, wide)
        bounds.append(slow.heights)
    assert (relief.heights >= bounds[0] - RIM).all()
    assert (relief.heights <= bounds[1] + RIM).all()


@given(path=st.lists(point, min_size=2, max_size=12), tool=tools, cells=st.sampled_from([7, 48, 61]))
@settings(max_examples=100, deadline=None)
def test_fast_and_slow_leave_the_same(path: list[tuple[float, float, float]], tool: Tool, cells: int) -> None:
    start, end = moves(*path)
    erosion, slow = Erosion(SMALL, cells), SlowErosion(SMALL, cells)
    taken, expected = erosion.cut(start, end, tool), slow.cut(start, end, tool)
    relief = erosion.relief()
    within(relief, SMALL, start, end, tool, cells)
    # A cell on the rim may go either way, and its volume with it.
    assert np.allclose(taken, expected, rtol=1e-4, atol=12 * (24 / cells) ** 2)
    assert taken.sum() == pytest.approx(relief.removed_mm3, rel=1e-5, abs=1e-6)


@given(path=st.lists(point, min_size=2, max_size=12), tool=tools, seed=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_moves_does_not_matter_and_nothing_grows(
    path: list[tuple[float, float, float]], tool: Tool, seed: object
) -> None:
    start, end = moves(*path)
    erosion, other = Erosion(SMALL, 48), Erosion(SMALL, 48)
    order = np.array(sorted(range(len(start)), key=lambda _: seed.random()))  # type: ignore[attr-defined]
    previous = erosion.relief()
    total = 0.0
    for row in range(len(start)):
        total += float(erosion.cut(start[row : row + 1], end[row : row + 1], tool)[0])
        relief = erosion.relief()
        assert (relief.heights <= previous.heights).all()
        assert relief.removed_mm3 + relief.remaining_mm3 == pytest.approx(relief.block_mm3, rel=1e-9)
        previous = relief
    taken = other.cut(start[order], end[order], tool)
    within(other.relief(), SMALL, start, end, tool, 48)
    within(previous, SMALL, start, end, tool, 48)
    assert (taken >= 0).all()
    assert float(taken.sum()) == pytest.approx(other.relief().removed_mm3, rel=1e-5, abs=1e-6)
    assert total == pytest.approx(previous.removed_mm3, rel=1e-5, abs=1e-6)


@given(path=st.lists(point, min_size=2, max_size=4), tool=tools, parts=st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_a_move_in_parts_leaves_what_the_whole_leaves(
    path: list[tuple[float, float, float]], tool: Tool, parts: int
) -> None:
    start, end = moves(*path)
    share = np.linspace(0.0, 1.0, parts + 1)[:, None]
    steps = np.concatenate([a + share[:-1] * (b - a) for a, b in zip(start, end, strict=True)])
    ends = np.concatenate([a + share[1:] * (b - a) for a, b in zip(start, end, strict=True)])
    pieces = Erosion(SMALL, 61)
    pieces.cut(steps, ends, tool)
    within(pieces.relief(), SMALL, start, end, tool, 61)


@given(path=st.lists(point, min_size=2, max_size=12), tool=tools)
@settings(max_examples=100, deadline=None)
def test_the_way_back_takes_nothing(path: list[tuple[float, float, float]], tool: Tool) -> None:
    erosion = Erosion(SMALL, 61)
    start, end = moves(*path)
    # One by one: no move leaves out what the one before it has cut.
    for row in range(len(start)):
        erosion.cut(start[row : row + 1], end[row : row + 1], tool)
    before = erosion.relief()
    assert not erosion.cut(end[::-1], start[::-1], tool).any()
    assert np.array_equal(erosion.relief().heights, before.heights)


def program(text: bytes, tools: dict[int, Tool] | None = None, **facts: object) -> tuple[Relief, Floats]:
    done = mill(interpret(text), tools or {0: FLAT, **TOOLS}, BLOCK, cells=400, **facts)  # type: ignore[arg-type]
    return done.relief, done.load


def test_a_program_tells_what_each_of_its_motions_takes() -> None:
    relief, load = program(b"G0 Z5\nG0 X-5 Y12\nG1 Z-2 F300\nG1 X45\nG0 Z5\nX0 Y0\n")
    assert load.tolist() == pytest.approx([0, 0, 0, 40 * 6 * 2, 0, 0], rel=1e-6)
    assert relief.removed_mm3 == pytest.approx(480.0, rel=1e-6)


def test_arcs_are_cut_round() -> None:
    relief, load = program(b"G0 Z5\nG0 X28 Y12\nG1 Z-2 F300\nG2 X28 Y12 I-8\nG0 Z5\n")
    assert relief.removed_mm3 == pytest.approx(math.pi * (11**2 - 5**2) * 2, rel=2e-3)
    assert load[3] == pytest.approx(relief.removed_mm3 - math.pi * 9 * 2, rel=3e-3)


def test_each_tool_cuts_with_its_own_shape() -> None:
    text = b"T%d\nG0 Z5\nG0 X20.05 Y12.05\nG1 Z-2 F300\nG0 Z5\n"
    both = program(text % 1 + text.replace(b"X20.05", b"X10.05") % 3)[0].removed_mm3
    assert both == pytest.approx(program(text % 1)[0].removed_mm3 + program(text % 3)[0].removed_mm3, rel=1e-6)


def test_where_the_machine_stands_first_is_not_cut() -> None:
    high = Block(Position(-5.0, -5.0, -5.0), Position(35.0, 19.0, 5.0))
    assert not mill(interpret(b"G0 X10 Y10\nG0 Z8\nG0 X20\n"), {}, high).load.any()
    assert mill(interpret(b"G0 X10 Y10\nG1 X20 F100\n"), {}, high).load[1] > 0
    assert not mill(interpret(b"G0 X10 Y10\n"), {}, high).load.any()


@pytest.mark.parametrize("word", [b"G55", b"G92.1", b"G92 X4"])
def test_what_counts_from_a_place_that_nobody_knows_takes_nothing(word: bytes) -> None:
    text = b"G0 Z5 F300\nG0 Y12\n" + word + b"\nG0 X5 Y12 Z5\nG1 Z-2\nX20\nG0 Z5\nG54\nX30 Y12 Z5\nG1 Z-2\nG0 Z5\n"
    load = mill(interpret(text, dialect=Dialect(start=None)), {0: FLAT}, BLOCK, cells=400).load
    assert not load[:-2].any()
    assert bool(load[-2] > 0) is (word == b"G55")


def test_the_way_to_the_first_place_takes_nothing() -> None:
    assert not program(b"G1 X10 Y12 Z-2 F300\n")[1].any()


def test_places_of_the_machine_count_where_its_zero_is_known() -> None:
    text = b"G0 Z5\nX10 Y12\nG53 G0 Z-12\nG0 X30\nZ5\n"
    assert not program(text)[1].any()
    load = program(text, work_offset=Position(0.0, 0.0, -10.0))[1]
    assert load[2] == pytest.approx(math.pi * 9 * 2, rel=1e-2)
    assert load[3] == pytest.approx(20 * 6 * 2, rel=1e-2)


def test_a_program_without_motion_takes_nothing() -> None:
    relief, load = program(b"G21\nM30\n")
    assert relief.removed_mm3 == 0.0
    assert load.shape == (0,)
