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
