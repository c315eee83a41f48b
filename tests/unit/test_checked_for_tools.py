# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program is checked for: the tools of its machine, the cutter and the stock of a piece, no tool of a laser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.domain.machine import MachineInfo, Position, Travel
from edge.domain.tool import Tool, ToolShape
from edge.gcode import Severity
from edge.services.bus import EventBus
from edge.services.programs import ProgramCatalog
from edge.store.library import PieceLibrary
from edge.store.shelf import ProgramShelf

TRAVEL = Travel(Position(-200, -200, -60), Position(0, 0, 0), 3000, 12000)
OFFSET = Position(-150, -150, -30)
ROUTER = MachineInfo("router", "Router", "router", driver="grbl", capabilities=frozenset(), travel=TRAVEL)
MILL = Tool(1, "End mill 3 mm", ToolShape.FLAT, diameter=3.0, flute_length=6.0)
PIECES = PieceLibrary(Path(__file__).parents[2] / "content" / "programs", ()).pieces
UPLOAD = b"G21\nM3 S9000\n  T7 (drill)\nG0 X0 Y0 Z5\nG1 Z-1 F100\nG0 X20\nG0 Z5\n"


async def here(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


@pytest.fixture
def catalog(tmp_path: Path) -> ProgramCatalog:
    return ProgramCatalog(PIECES, ProgramShelf(tmp_path), here, EventBus(), {"router": {1: MILL}})


async def found(catalog: ProgramCatalog, info: MachineInfo) -> list[tuple[int, int, str, Severity]]:
    _, prepared = await catalog.upload("a.nc", UPLOAD, info, OFFSET)
    return [(item.line, item.column, item.code, item.severity) for item in prepared.diagnostics]


async def test_an_upload_is_checked_for_the_tools_of_its_machine(catalog: ProgramCatalog) -> None:
    assert await found(catalog, ROUTER) == [
        (3, 3, "tool-not-in-table", Severity.ERROR),
        (6, 4, "rapid-in-stock", Severity.WARNING),
    ]


async def test_on_a_machine_whose_tools_nobody_has_described_any_number_goes(catalog: ProgramCatalog) -> None:
    assert await found(catalog, replace(ROUTER, machine_id="other")) == [(6, 4, "rapid-in-stock", Severity.WARNING)]


@pytest.mark.parametrize("kind", ["laser", "printer", "lathe"])
async def test_a_machine_that_does_not_mill_is_not_asked_for_tools(catalog: ProgramCatalog, kind: str) -> None:
    assert await found(catalog, replace(ROUTER, machine_id="other", kind=kind)) == []


@pytest.mark.parametrize("piece_id", PIECES)
async def test_a_piece_is_checked_for_its_own_cutter_and_stock(catalog: ProgramCatalog, piece_id: str) -> None:
    prepared = await catalog.prepare(piece_id, ROUTER, OFFSET)
    assert prepared.diagnostics == ()
    piece = PIECES[piece_id]
    assert prepared.basis.tools == (piece.cutter, MILL)
    assert prepared.basis.block == piece.block


async def test_a_piece_that_is_deeper_than_its_cutter_is_refused(catalog: ProgramCatalog) -> None:
    gear = PIECES["gear"]
    catalog.pieces["gear"] = replace(gear, cutter=replace(gear.cutter, flute_length=0.5))
    prepared = await catalog.prepare("gear", ROUTER, OFFSET)
    assert [item.code for item in prepared.errors] == ["depth-over-flute"]
