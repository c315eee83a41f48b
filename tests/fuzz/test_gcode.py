# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a file holds: findings, never an exception; and many lines at a time are what they are one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.machine import Position, Travel
from edge.drivers.grbl.screening import refusals
from edge.gcode import VISITOR_BANNED, MotionSettings, Program, Severity, check, interpret, path_preview, plan
from edge.gcode.limits import OPERATOR_BANNED
from edge.gcode.words import MAX_LINE
from tests.fuzz.effort import effort
from tests.fuzz.material import programs

TRAVEL = Travel(Position(-300, -200, -80), Position(0, 0, 0), 3000, 12000)
OFFSET = Position(-250, -150, -40)
HUGE = st.from_regex(r"\A(G[0-3]|G9[0123]|G20|G4|F|S|T|N)?([XYZIJKRFPSN][+-]?[0-9]{1,30}(\.[0-9]{0,30})?){1,4}\Z")


def same(one: Program, other: Program) -> None:
    for name in one.segments.__slots__:
        np.testing.assert_array_equal(getattr(one.segments, name), getattr(other.segments, name), err_msg=name)
    assert (one.text, one.stops, one.commands, one.diagnostics) == (
        other.text,
        other.stops,
        other.commands,
        other.diagnostics,
    )


def judge(program: Program) -> None:
    lines = program.total_lines
    for travel, offset in ((TRAVEL, OFFSET), (None, None)):
        for banned in (VISITOR_BANNED, OPERATOR_BANNED):
            findings = check(program, travel, offset, banned=banned)
            assert all(0 <= finding.line <= max(1, lines) and finding.column >= 0 for finding in findings)
            if not any(finding.severity is Severity.ERROR for finding in findings) and program.text.lines:
                # What the check lets pass is also what the driver sends.
                assert set(refusals(program.text)) == {None}
    planned = plan(program, MotionSettings(), OFFSET)
    assert np.isfinite(planned.seconds)
    assert planned.seconds >= 0
    assert np.isfinite(planned.line_seconds).all()
    assert len(path_preview(program, 50)) <= 60
    assert all(0 < len(line) for line in program.text.lines)
    assert all(len(line) <= MAX_LINE for line in program.text.lines) or program.diagnostics


@given(programs)
@effort(750)
def test_any_bytes_are_answered_with_findings(data: bytes) -> None:
    judge(interpret(data))


@given(programs, st.integers(1, 40))
@effort(450)
def test_many_lines_at_a_time_are_what_they_are_one_by_one(data: bytes, times: int) -> None:
    data = (data + b"\n") * times
    same(interpret(data), interpret(data, batches=False))


@given(st.lists(HUGE, min_size=1, max_size=8), st.integers(1, 30))
@effort(450)
def test_enormous_numbers_are_judged_as_the_controller_reads_them(lines: list[str], times: int) -> None:
    data = ("G1 F100 X0\n" + "\n".join(lines * times)).encode()
    program = interpret(data)
    same(program, interpret(data, batches=False))
    judge(program)
