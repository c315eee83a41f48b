# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a program, a table of tools and a block are: findings that say what to do, never an exception."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.block import Block
from edge.domain.machine import Position, Travel
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Dialect, Severity, check, interpret
from edge.gcode.limits import OPERATOR_BANNED
from edge.gcode.tooling import guess_block, spindle_turns, tool_of
from tests.fuzz.effort import effort
from tests.fuzz.material import GCODE, programs, spoiled

TRAVEL = Travel(Position(-300, -200, -80), Position(0, 0, 0), 3000, 12000, min_spindle=200)
OFFSET = Position(-250, -150, -40)
CUTTING = (
    *("T1", "T2 M6", "M6", "T300", "T-1", "M03 S9000", "M5", "S0", "G0 Z5", "G0 Z-2", "G1 Z-1 F200", "G1 Z-9 F900"),
    *(
        "G0 X20",
        "G0 X0 Y0",
        "G3 X9 Y9 Z-3 I5 J2 F300",
        "G18 G2 X4 Z-4 I2 K-2",
        "G53 G0 Z-41",
        "G38.2 Z-5 F50",
        "X99999999",
    ),
)
tools = st.builds(
    Tool,
    number=st.integers(0, 4),
    name=st.just("Mill"),
    shape=st.sampled_from(ToolShape),
    diameter=st.sampled_from([0.1, 3.0, 60.0]),
    flute_length=st.sampled_from([0.5, 8.0]),
    tip_angle=st.sampled_from([10.0, 60.0, 170.0]),
    max_plunge=st.sampled_from([None, 100.0]),
)
tables = st.lists(tools, max_size=4).map(lambda rows: {tool.number: tool for tool in rows})
blocks = st.sampled_from(
    [None, Block.behind_zero((30.0, 20.0, 5.0)), Block(Position(-5, -5, 0), Position(900, 5, 0.5))]
)


@given(st.one_of(programs, spoiled((*CUTTING, *CUTTING, *GCODE))), tables, blocks)
@effort(300)
def test_any_program_any_table_and_any_block_are_answered_with_findings(
    data: bytes, table: dict[int, Tool], block: Block | None
) -> None:
    program = interpret(data, dialect=Dialect(tool_change=True))
    count = len(program.segments)
    index, used = tool_of(program, table)
    assert (len(index), len(spindle_turns(program))) == (count, count)
    assert set(np.unique(index).tolist()) == set(range(len(used))) or not count
    guessed = guess_block(program, table)
    assert all(np.isfinite(edge) and edge > 0 for edge in guessed.size)
    for offset in (OFFSET, None):
        plain = check(program, TRAVEL, offset, banned=OPERATOR_BANNED)
        found = check(program, TRAVEL, offset, banned=OPERATOR_BANNED, tools=table, block=block)
        assert len(found) >= len(plain)
        for item in set(found) - set(plain):
            assert 0 <= item.line <= program.total_lines
            assert item.text.endswith(".")
            assert item.remedy.endswith(".")
            if block is None:
                assert item.severity is Severity.WARNING or item.code == "tool-not-in-table"


WHERE = st.integers(4, 56)
HEAD = "M3S9000\nT1\nG0Z5\n"
MILL = Tool(1, "Mill", ToolShape.FLAT, diameter=3.0, flute_length=30.0)
BLOCK = Block.behind_zero((60.0, 60.0, 12.0))


def pocket(x: int, y: int, end: int, depth: int, peck: int) -> str:
    """Return a slot in steps of `peck` mm, in which rapids go back as deep as was cut."""
    lines = [f"G0X{x}Y{y}"]
    for z in range(peck, depth + 1, peck):
        lines += [f"G0Z-{z - peck}", f"G1Z-{z}F200", f"G1X{end}F600", f"G0X{x}", "G0Z1"]
    return "\n".join([*lines, "G0Z5", ""])


slots = st.builds(pocket, WHERE, WHERE, WHERE, st.integers(2, 8), st.integers(1, 2))


def rapids_told(text: str, block: Block | None) -> list[int]:
    program = interpret(text.encode())
    found = check(program, TRAVEL, OFFSET, banned=OPERATOR_BANNED, tools={1: MILL}, block=block)
    assert {item.code for item in found} <= {"rapid-in-stock"}
    return [item.line for item in found]


@given(st.lists(slots, min_size=1, max_size=4), st.booleans())
@effort(60)
def test_rapids_through_the_air_and_through_what_is_cut_are_not_told(parts: list[str], known: bool) -> None:
    assert rapids_told(HEAD + "".join(parts), BLOCK if known else None) == []


@given(st.lists(slots, max_size=3), WHERE, WHERE, st.booleans())
@effort(60)
def test_a_rapid_deeper_than_everything_before_it_is_told(parts: list[str], x: int, y: int, known: bool) -> None:
    before = HEAD + "".join(parts)
    text = f"{before}G0X{x}Y{y}\nG0Z-10\nG0Z5\nG1X2Y2Z-10F9\nG0Z5\n"
    assert rapids_told(text, BLOCK if known else None) == [before.count("\n") + 2]


POINTED = st.builds(
    Tool,
    number=st.just(1),
    name=st.just("Point"),
    shape=st.sampled_from([ToolShape.V, ToolShape.BALL]),
    diameter=st.sampled_from([3.0, 3.175, 6.0, 12.0]),
    flute_length=st.just(30.0),
    tip_angle=st.sampled_from([30.0, 60.0, 90.0]),
)
ANYWHERE = st.tuples(*[st.decimals(4, 56, places=3).map(float)] * 2)


def pointed_told(text: str, tool: Tool, block: Block | None = BLOCK) -> list[int]:
    found = check(interpret(text.encode()), TRAVEL, OFFSET, banned=OPERATOR_BANNED, tools={1: tool}, block=block)
    return [item.line for item in found if item.code == "rapid-in-stock"]


@given(POINTED, st.lists(ANYWHERE, min_size=2, max_size=5), st.sampled_from([0.3, 1.0, 3.0]), st.integers(1, 20))
@effort(60)
def test_a_pointed_tool_may_go_back_in_its_groove_in_any_steps(
    tool: Tool, places: list[tuple[float, float]], depth: float, steps: int
) -> None:
    """A program's digits put it up to half a micrometre beside the groove."""
    cut = [f"G1X{x:.3f}Y{y:.3f}F600" for x, y in places]
    way = zip(places[:0:-1], places[-2::-1], strict=True)
    back = [
        f"G0X{x0 + (x1 - x0) * step / steps:.3f}Y{y0 + (y1 - y0) * step / steps:.3f}"
        for (x0, y0), (x1, y1) in way
        for step in range(1, steps + 1)
    ]
    start = f"G0X{places[0][0]:.3f}Y{places[0][1]:.3f}\nG1Z-{depth}F100\n"
    text = HEAD + start + "\n".join([*cut, *back, "G0Z5", ""])
    assert pointed_told(text, tool) == []
    assert pointed_told(text, tool, None) == []


@given(POINTED, ANYWHERE, st.sampled_from([1.0, 2.5]))
@effort(60)
def test_a_pointed_tool_that_falls_into_whole_material_is_told(
    tool: Tool, place: tuple[float, float], depth: float
) -> None:
    assert pointed_told(f"{HEAD}G0X{place[0]:.3f}Y{place[1]:.3f}\nG0Z-{depth}\nG0Z5\n", tool) == [5]
