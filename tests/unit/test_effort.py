# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture costs: reckoned before it is made, over what it really compares, and bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pytest

from edge.domain.block import Block
from edge.domain.errors import Refused
from edge.domain.machine import Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode import interpret
from edge.gcode.following import Follower, Moves
from edge.gcode.pieces import Cutter, Grid, cut_up
from edge.gcode.stock import Erosion
from edge.services import cutting
from edge.services import effort as module
from edge.services.checking import Basis
from edge.services.cutting import Cut
from edge.services.effort import BUDGET, PER_MOVE, affordable, effort
from edge.services.scenes import Material, cut_packed

P = ParamSpec("P")
T = TypeVar("T")
MILL = Tool(0, "End mill 6 mm", ToolShape.FLAT, diameter=6.0, flute_length=12.0)
SMALL = Block(Position(0, 0, -3), Position(5, 5, 0))
OFFSET = Position(-300, -200, -40)


def across(count: int, width: float = 3.0) -> str:
    """Return so many moves across a few millimetres."""
    random = np.random.default_rng(3)
    places = random.uniform(-width, width, (count, 2))
    return "G21G90M3S1\nG0Z5\nG1Z-1F100\n" + "".join(f"X{x:.3f}Y{y:.3f}\n" for x, y in places)


def test_it_is_over_what_is_compared() -> None:
    random = np.random.default_rng(1)
    for diameter in (0.4, 3.0, 30.0):
        mill = Tool(0, "Mill", ToolShape.FLAT, diameter=diameter, flute_length=12.0)
        place = np.column_stack([random.uniform(0, 5, (200, 2)), random.uniform(-2, -0.5, 200)])
        start, end = place[:-1], place[1:]
        pieces = cut_up(Grid(0.0, 0.0, 5 / 128, 128, 128, -3.0, 0.0), start, end, Cutter.of(mill))
        compared = float((pieces.width * pieces.height).sum() + PER_MOVE * len(pieces.move))
        reckoned = float(effort(start, end, np.full(199, diameter / 2), SMALL, 128).sum())
        assert 0.8 < reckoned / compared < 4, diameter
        assert reckoned <= 199 * (PER_MOVE + 128**2) + 1


def test_what_is_no_number_counts_as_the_whole_block() -> None:
    nowhere = np.full((1, 3), np.nan)
    assert effort(nowhere, nowhere, np.array([3.0]), SMALL, 100)[0] == pytest.approx(PER_MOVE + 100**2)


def test_few_moves_are_cut_as_finely_as_is_asked_and_many_more_coarsely() -> None:
    few, many = interpret(across(100).encode()), interpret(across(5_000).encode())
    assert affordable(few, {0: MILL}, SMALL, 1024, OFFSET) == 1024
    fewer = affordable(many, {0: MILL}, SMALL, 1024, OFFSET)
    assert 64 <= fewer < 1024
    assert 5_000 * (PER_MOVE + fewer**2) <= BUDGET * 1.01
    assert affordable(interpret(b""), {}, SMALL, 512, None) == 512


@pytest.mark.parametrize("budget", [40_000.0, 110_000.0])
def test_more_moves_than_can_be_reckoned_are_refused(monkeypatch: pytest.MonkeyPatch, budget: float) -> None:
    monkeypatch.setattr(module, "BUDGET", budget)
    with pytest.raises(Refused, match=r"It has \d+ moves"):
        affordable(interpret(across(100).encode()), {0: MILL}, SMALL, 512, OFFSET)


def test_a_picture_of_many_moves_has_fewer_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = Erosion.__init__

    def counted(self: Erosion, block: Block, cells: int = 512) -> None:
        asked.append(cells)
        real(self, block, cells)

    monkeypatch.setattr(Erosion, "__init__", counted)
    monkeypatch.setattr(module, "BUDGET", 5e6)
    basis = Basis("Grbl 1.1h", None, None, OFFSET, (), None, frozenset(), tool_change=True)
    cut_packed(across(400).encode(), basis, Material((MILL,), SMALL), 1024)
    assert len(asked) == 1
    assert 64 <= asked[0] < 128


async def test_a_thread_never_cuts_for_long_without_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    goes: list[int] = []

    async def noted(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        result = function(*args, **kwargs)
        goes.append(int(result) - sum(goes))  # type: ignore[call-overload]
        await asyncio.sleep(0)
        return result

    monkeypatch.setattr(cutting, "_gently", noted)
    follower: Any = Follower
    place = np.random.default_rng(5).uniform(0, 5, (41, 3)) * [1, 1, -0.5]
    moves = Moves(place[:-1].astype(np.float32), place[1:].astype(np.float32), np.zeros(40, dtype=np.uint8))
    cut = Cut([MILL], SMALL, follower)
    await cut.cut(moves)
    assert sum(goes) == 40
    # Each of them is nearly the whole block at 512 cells.
    assert max(goes) <= cutting.EFFORT_AT_ONCE / 200_000
    whole = Erosion(SMALL, cutting.CELLS)
    taken = whole.cut(moves.start.astype(np.float64), moves.end.astype(np.float64), MILL).sum()
    assert cut.removed_mm3 == pytest.approx(float(taken))
    # Short ones go together, and one that is dearer than all goes alone.
    goes.clear()
    near = (place[:1] + np.linspace(0, 0.01, 401)[:, None] * [1, 1, 0]).astype(np.float32)
    small = Tool(0, "Mill", ToolShape.FLAT, diameter=0.1, flute_length=1.0)
    await Cut([small], SMALL, follower).cut(Moves(near[:-1], near[1:], np.zeros(400, dtype=np.uint8)))
    assert goes == [200, 200]
    monkeypatch.setattr(cutting, "EFFORT_AT_ONCE", 1.0)
    goes.clear()
    await Cut([small], SMALL, follower).cut(Moves(near[:3], near[1:4], np.zeros(3, dtype=np.uint8)))
    assert goes == [1, 1, 1]
