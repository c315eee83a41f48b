# SPDX-License-Identifier: GPL-3.0-or-later
"""What some moves meet is the same whether all others are cut before them, or only those nearby."""

from __future__ import annotations

import random

import numpy as np
import pytest

from edge.domain.block import Block
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Program, interpret
from edge.gcode.nearby import nearby
from edge.gcode.stock import mill

BLOCK = Block(Position(-20, -10, -6), Position(60, 30, 0))
MILL = Tool(0, "End mill", ToolShape.FLAT, diameter=3.0, flute_length=20.0)


def a_program(dice: random.Random) -> Program:
    lines = ["G0 X0 Y0 Z5", "F500"]
    for _ in range(200):
        x, y, z = dice.uniform(-40, 80), dice.uniform(-30, 50), dice.uniform(-5, 3)
        if dice.random() < 0.7:
            lines += [f"G0 X{x:.3f} Y{y:.3f}", f"G91 G1 X{dice.uniform(-4, 4):.3f} Y{dice.uniform(-4, 4):.3f}", "G90"]
        elif dice.random() < 0.5:
            lines.append(f"G1 Z{z:.3f}")
        else:
            lines.append(f"G2 I{dice.uniform(-5, 5):.3f} J2")
    return interpret("\n".join(lines).encode())


@pytest.mark.parametrize("seed", range(12))
def test_what_moves_take_depends_on_those_nearby_only(seed: int) -> None:
    dice = random.Random(seed)
    program = a_program(dice)
    count = len(program.segments)
    rows = np.array(sorted(dice.sample(range(count), 5)), dtype=np.int64)
    near = nearby(program.segments, rows, np.full(count, MILL.diameter / 2), BLOCK)
    whole = mill(program, {0: MILL}, BLOCK, cells=160).load
    some = mill(program, {0: MILL}, BLOCK, cells=160, only=near).load
    assert not some[~near].any()
    np.testing.assert_allclose(some[rows], whole[rows], rtol=1e-5, atol=1e-5)
    assert whole[rows][near[rows]].sum() == pytest.approx(whole[rows].sum())


def test_few_moves_are_near_a_short_one() -> None:
    lines = (
        ["G0 X0 Y0 Z5", "G1 Z-1 F500"] + [f"X{n % 50} Y{n % 23}" for n in range(2000)] + ["G0 Z5", "X-10 Y-5", "Z-1"]
    )
    program = interpret("\n".join(lines).encode())
    count = len(program.segments)
    near = nearby(program.segments, np.array([count - 1]), np.full(count, 1.5), BLOCK)
    assert near[-2:].tolist() == [True, True]
    assert not near[:-2].any()


def test_what_is_no_number_is_near_everything_and_what_is_beside_the_block_near_nothing() -> None:
    program = interpret(b"G0 X0 Y0 Z5\nG1 X5 F99\nX99 Y99\nX100\n")
    segments = program.segments
    radius = np.full(len(segments), 1.0)
    assert nearby(segments, np.array([3]), radius, BLOCK).tolist() == [False] * 4
    segments.end[1, 0] = np.nan
    assert nearby(segments, np.array([1]), radius, BLOCK)[:2].all()
