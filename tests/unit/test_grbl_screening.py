# SPDX-License-Identifier: GPL-3.0-or-later
"""The last look at a program's lines: one by one and many together give the same reasons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.drivers.grbl.screening import refusals, sets_tool_length


def program(*lines: str, packed: bool = False) -> ProgramText:
    numbers = tuple(range(11, 11 + len(lines)))
    try:
        return ProgramText("p", Lines.of(lines) if packed else lines, numbers)
    except ValueError:
        return ProgramText("p", lines, numbers)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("G1X1(watch out!)", "acts at once"),
        ("G1X1?", "acts at once"),
        ("G1~", "acts at once"),
        ("G1\x18", "acts at once"),
        ("G1\x85", "acts at once"),
        ("G1ė", "acts at once"),
        ("G1X1\nG1X2", "acts at once"),
        ("$H", "$ commands"),
        ("(a)$H", "$ commands"),
        ("$J=G91X1F1", "$ commands"),
        ("G10L20P1X0", "settings memory"),
        ("g10 l2 p1", "settings memory"),
        ("X0G 28 .1", "settings memory"),
        ("G30.1", "settings memory"),
        ("G028.1", "settings memory"),
        ("G10.L2P1", "settings memory"),
        ("G+10L2P1", "settings memory"),
        ("G28.10", "settings memory"),
        ("G1 0L2P1", "settings memory"),
        ("G1/0L2P1", "settings memory"),
        ("G1(one)0L2P1", "settings memory"),
        ("", "blank"),
        (" G0", "blank"),
        ("G0 ", "blank"),
        ("G0X1" + "0" * 76, "80 characters"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_never_streamed(line: str, why: str, packed: bool) -> None:
    reasons = [reason for reason in refusals(program("G21", line, packed=packed)) if reason]
    assert len(reasons) == 1
    assert why in reasons[0]
    assert "line 12" in reasons[0]


@pytest.mark.parametrize(
    "line", ["G28", "G30", "G100", "G28X0", "X1" + "0" * 77, "G92X0", "M30", "G0X10(G10)", "G28.0"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_may_be_streamed(line: str, packed: bool) -> None:
    assert list(refusals(program(line, packed=packed))) == [None]


def test_a_program_without_lines_is_refused() -> None:
    assert [reason for reason in refusals(program()) if reason] == ["it has no lines"]


FRAGMENTS = (
    "G10",
    "G1X0",
    "G28.1",
    "X-1.5",
    " ",
    "",
    "$",
    "/",
    "(a)",
    "(!)",
    ";",
    "G",
    "1",
    "0",
    ".",
    "x" * 40,
    "\t",
    "g30",
)


@given(st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("".join), min_size=1, max_size=30))
def test_many_lines_together_are_refused_as_one_by_one(lines: list[str]) -> None:
    assert list(refusals(program(*lines, packed=True))) == list(refusals(program(*lines)))


def test_a_line_far_behind_is_found() -> None:
    lines = ["G1X1"] * 3_000
    lines[2_345] = "G10L2P1X0"
    found = list(refusals(program(*lines, packed=True)))
    assert len(found) == 3_000
    assert [number for number, reason in enumerate(found) if reason] == [2_345]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("line", "sets"),
    [
        *(("G43.1Z2", True), ("g043.1z2", True), ("G90 G+43.1 Z2", True), ("G(a)4(b)3.1Z2", True)),
        *(("G49", False), ("G0X43", False), ("G143", False), ("(G43.1)G0X1", False)),
    ],
)
async def test_a_tool_length_that_is_set_is_found(line: str, sets: bool, packed: bool) -> None:
    lines = ["G1X43"] * 1300
    assert await sets_tool_length(program(*lines, line, *lines, packed=packed)) is sets
