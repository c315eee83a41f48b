# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs cut into stretches and started over, as the worker does it for a machine."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from edge.domain.machine import Position
from edge.domain.ports import JobMark
from edge.gcode import Dialect, interpret
from edge.gcode.model import Kind
from edge.gcode.stops import take_out_stops
from edge.services.checking import Basis
from edge.services.preparing import prepare_text
from edge.services.restart import Ask, Place, restart_text
from tests.support.fakes import TRAVEL

PLACE = Place(TRAVEL, Position(-150, -150, -40), Position(-10, -10, -30), tool_change=True)
PROGRAM = b"G21 G90\nG0 X0 Y0 Z5\nG1 Z-1 F300\nX20 F800\nG0 Z5\nG53 G0 X-100\nG0 X0\nG1 Z-1\nY20\nG0 Z5\nM30\n"
MARK = JobMark("a", 1, 1, 9, 9, Position(-150, -140, -41), Position(-150, -150, -40), homed=True)


def test_without_a_line_the_mark_decides_and_the_cut_can_be_begun_afresh() -> None:
    found = restart_text(PROGRAM, "p", PLACE, Ask(mark=MARK))
    assert (found.line, found.found, found.refusal) == (9, 9, "")
    assert found.off == pytest.approx(0, abs=1e-6)
    assert [(choice.line, choice.text) for choice in found.choices] == [
        (2, "the first motion of the program"),
        (7, "the beginning of this cut"),
        (9, "the line that was being cut"),
    ]
    assert found.text is not None
    assert list(found.text.lines)[1:5] == ["G53G0Z-5", "G0X0Y0", "G1Z-1F400", "F800"]
    assert restart_text(PROGRAM, "p", PLACE, Ask(line=3, mark=MARK)).line == 3
    assert restart_text(PROGRAM, "p", PLACE, Ask(mark=JobMark("a", 1))).line == 2


def test_moves_are_shown_in_work_coordinates_from_where_the_machine_stands() -> None:
    found = restart_text(PROGRAM, "p", PLACE, Ask(line=6))
    assert [(move.text, move.to) for move in found.moves[:4]] == [
        ("G53G0Z-5", Position(140.0, 140.0, 35.0)),
        ("G0X20Y0", Position(20.0, 0.0, 35.0)),
        ("G1Z5F400", Position(20.0, 0.0, 5.0)),
        ("G53G0X-100", Position(50.0, 0.0, 5.0)),
    ]
    assert found.plan[1] == "Leave the spindle off."


def test_the_tool_is_never_lowered_to_be_raised() -> None:
    found = restart_text(PROGRAM, "p", replace(PLACE, here=Position(0, 0, -1)), Ask(line=9))
    assert found.text is not None
    assert found.text.lines[1] == "G53G0Z-1"


@pytest.mark.parametrize(
    ("place", "line", "why"),
    [
        (replace(PLACE, travel=None), 9, "travel is not known"),
        (replace(PLACE, offset=None), 9, "not reported its work offset"),
        (PLACE, 12, "no line to begin with"),
        (replace(PLACE, offset=Position(-1, -150, -40)), 4, "Line 4: The move goes to machine X 19.000 mm"),
    ],
)
def test_what_stands_against_it_is_said_and_nothing_is_made(place: Place, line: int, why: str) -> None:
    found = restart_text(PROGRAM, "p", place, Ask(line=line, mark=MARK))
    assert found.text is None
    assert why in found.refusal
    assert found.choices != ()


def test_a_place_reckoned_from_a_moved_zero_names_no_line() -> None:
    program = b"G0 X0 Y0 Z5\nG92 X100\nG1 X110 F300\nX120\nX130\nM30\n"
    found = restart_text(program, "p", PLACE, Ask(mark=replace(MARK, line=5, sent_line=6)))
    assert (found.off, found.line) == (None, 1)


@pytest.mark.parametrize("seed", range(20))
def test_all_stretches_together_cut_what_the_program_cuts(seed: int) -> None:
    dice = random.Random(seed)
    lines = ["G21 G90", "G0 X1 Y1 Z5", "M3 S9000", "G1 Z1 F300"]
    for number in range(40):
        lines.append(f"G1 X{dice.uniform(0, 50):.3f} Y{dice.uniform(0, 50):.3f}")
        if dice.random() < 0.3:
            lines.append(f"G2 X{dice.uniform(0, 50):.3f} Y{dice.uniform(0, 50):.3f} R90")
        if dice.random() < 0.2:
            lines.append(
                dice.choice(["M0", f"M6 T{number}", "M0 (look)", "G91 G1 X0.5 M0", "G90", "G92 X1 Y1", "G55", "M9"])
            )
    data = "\n".join([*(line for line in lines if line != "G55"), "G90 G21 G1 X2 Y2", "M30"]).encode()
    dialect = Dialect(tool_change=True)
    whole = interpret(data, dialect=dialect)
    _, stops = take_out_stops(whole.text, data)
    basis = Basis("", None, None, None, (), None, banned=frozenset(), tool_change=True)
    prepared = prepare_text(data, "p", basis)
    assert prepared.stops == stops
    stretches = [prepared.text]
    wide = replace(PLACE, travel=replace(TRAVEL, low=Position(-9e3, -9e3, -60), high=Position(9e3, 9e3, 0)))
    for number in range(len(stops)):
        found = restart_text(data, "p", wide, Ask(after_stop=number))
        assert found.refusal == ""
        assert found.next_stop == number + 1
        if found.text is not None:
            stretches.append(found.text)
    cuts = []
    for stretch in stretches:
        assert not any("M6" in line or "M0" in line for line in stretch.lines)
        made = interpret("\n".join(stretch.lines).encode())
        approach = next((at for at, line in enumerate(stretch.lines) if line.startswith("G1Z") and at), -1)
        first = stretch is stretches[0]
        kept = (made.segments.kind != Kind.RAPID) & (first | (made.segments.wire > approach))
        cuts.append(made.segments.end[kept])
    wanted = whole.segments.end[whole.segments.kind != Kind.RAPID]
    assert np.allclose(np.vstack(cuts), wanted, atol=2e-3)
