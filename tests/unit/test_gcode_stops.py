# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops are taken out of a program, and the lines around them stay what they are, however many there are."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.lines import Lines
from edge.domain.ports import ProgramText
from edge.gcode.stops import MOST_STOPS, ProgramStop, stop_too_many, take_out_stops

LINES = st.lists(st.sampled_from("G0X1 T2 M6 T3M6 M0 X5M00 N7M0 M+0 M06S500 M3 M05 M30 M106 M?6 M600".split()))


def naive(lines: list[str]) -> tuple[list[str], list[tuple[int, str, int | None]]]:
    """Take the stops out one line at a time, for the few forms of LINES."""
    kept: list[str] = []
    stops: list[tuple[int, str, int | None]] = []
    tool: int | None = None
    for line in lines:
        tool = int(line[1]) if line.startswith("T") else tool
        if line in ("M6", "T3M6", "M06S500"):
            stops.append((len(kept), "tool", tool))
        kept += {"M6": [], "T3M6": ["T3"], "M06S500": ["S500"], "M0": [], "X5M00": ["X5"], "N7M0": [], "M+0": []}.get(
            line, [line]
        )
        if line in ("M0", "X5M00", "N7M0", "M+0"):
            stops.append((len(kept), "stop", tool))
    return kept, stops


@given(LINES)
@settings(max_examples=200, deadline=None)
def test_many_lines_at_a_time_are_what_they_are_one_by_one(lines: list[str]) -> None:
    whole = ProgramText("p", Lines.of(lines), array("I", range(1, len(lines) + 1)))
    text, stops = take_out_stops(whole, "\n".join(lines).encode())
    kept, expected = naive(lines)
    assert list(text.lines) == kept
    assert Lines.of(kept) == text.lines
    assert [(stop.before, stop.kind, stop.tool) for stop in stops] == expected
    assert len(text.source_lines) == len(kept)
    assert all(line in lines[number - 1] for number, line in zip(text.source_lines, kept, strict=True))


def test_a_long_program_with_one_stop_keeps_all_its_other_lines() -> None:
    count = 20_000
    lines = Lines.of([*(f"G1X{n}" for n in range(count)), "T4M6", "G0X0"])
    text, stops = take_out_stops(ProgramText("p", lines, array("I", range(1, count + 3))), b"\n" * (count + 2))
    assert stops == (ProgramStop(count, count + 1, "tool", 4, ""),)
    assert (len(text.lines), text.lines[count - 1], text.lines[count], text.lines[count + 1]) == (
        count + 2,
        f"G1X{count - 1}",
        "T4",
        "G0X0",
    )


def test_a_code_that_wraps_is_the_stop_that_the_controller_takes_it_for() -> None:
    """GRBL keeps the lowest eight bits of a number: M256 is its M0."""
    text, stops = take_out_stops(ProgramText("p", ("G0X1", "M256", "M262"), (1, 2, 3)), b"\n\n\n")
    assert [stop.kind for stop in stops] == ["stop", "tool"]
    assert tuple(text.lines) == ("G0X1",)


def test_of_too_many_stops_nothing_is_kept() -> None:
    """A megabyte of stops would be a hundred of objects, and such a program is refused as it is."""
    most = ProgramText("p", Lines.of(["M0", "G0X1"] * MOST_STOPS), array("I", range(1, 2 * MOST_STOPS + 1)))
    assert len(take_out_stops(most, b"\n" * 2 * MOST_STOPS)[1]) == MOST_STOPS
    assert stop_too_many(most) is None
    more = ProgramText("p", Lines.of([*most.lines, "M256"]), array("I", range(1, 2 * MOST_STOPS + 2)))
    assert take_out_stops(more, b"\n" * 2 * MOST_STOPS) == (more, ())
    assert stop_too_many(more) == 2 * MOST_STOPS + 1
