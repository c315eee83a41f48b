# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are no programs, and programs that nobody means: each is answered, with a place where it has one."""

from __future__ import annotations

import math
import mmap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge.domain.machine import Position, Travel
from edge.gcode import Diagnostic, MotionSettings, Program, Severity, check, interpret, plan
from edge.gcode import program as program_module
from edge.gcode.model import Kind, StopKind
from edge.gcode.program import MAX_BYTES, too_large
from edge.gcode.source import LONGEST_LINE

TRAVEL = Travel(Position(-150, -100, -40), Position(0, 0, 0), 2000, 12000)
OFFSET = Position(-140, -90, -20)


def judged(data: bytes) -> tuple[Program, list[Diagnostic]]:
    """Return the program and its errors, after everything that is computed of a program has been."""
    program = interpret(data)
    findings = check(program, TRAVEL, OFFSET)
    planned = plan(program, MotionSettings(), OFFSET)
    assert np.isfinite(planned.line_seconds).all()
    return program, [item for item in findings if item.severity is Severity.ERROR]


def errors(data: bytes) -> list[tuple[int, int, str, int | None, tuple[str, ...]]]:
    return [(item.line, item.column, item.code, item.grbl, item.words) for item in judged(data)[1]]


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\r\n \r\n", b"(nothing)\n;else", b"%\n%\n", b"\x00\x00", b"\xef\xbb\xbf"]
)
def test_nothing_is_refused_as_empty(data: bytes) -> None:
    assert [code for _, _, code, _, _ in errors(data)] == ["empty"]


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 20,
        b"\x7fELF\x02\x01\x01" + bytes(60) + b"\x03\x00\x3e\x00",
        b"\x89PNG\r\n\x1a\n" + bytes(range(200)),
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00",
        "G0 X1 (žyma)\n".encode("utf-16"),
        "G0 X1 (žyma)\n".encode(),
        "G0 X1 (žyma)\n".encode("cp1257"),
        "G0 X１\n".encode(),
    ],
    ids=["bytes", "elf", "png", "zip", "utf-16", "utf-8", "cp1257", "fullwidth"],
)
def test_what_is_no_plain_text_is_refused_with_a_place(data: bytes) -> None:
    found = errors(data)
    assert found
    assert all(line > 0 and column > 0 for line, column, *_ in found)


def test_two_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.nc"
    with file.open("wb") as sparse:
        sparse.truncate(2 << 30)
    with file.open("rb") as sparse, mmap.mmap(sparse.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tracemalloc.start()
        program = interpret(data)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20
    assert (program.complete, program.sha256, len(program.segments)) == (False, "", 0)
    assert [item.code for item in program.diagnostics] == ["too-large"]
    assert [item.code for item in check(program, TRAVEL, OFFSET) if item.line] == []
    assert "2147 MB" in program.diagnostics[0].text


def test_the_largest_size_is_read_and_one_byte_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert too_large(MAX_BYTES) is None
    assert too_large(MAX_BYTES + 1) is not None
    monkeypatch.setattr(program_module, "MAX_BYTES", 10)
    assert interpret(b"G0 X1 Y22\n").complete
    assert not interpret(b"G0 X1 Y222\n").complete


@pytest.mark.parametrize("filling", [b"X", b" ", b"(", b"X1", b";%", b"\x00"])
@pytest.mark.parametrize(("before", "after"), [(b"G0 X1\n", b"\nG0 X2\n"), (b"", b"\nG0 X2"), (b"G0 X1\n", b"")])
def test_a_giant_line_is_too_long_and_takes_no_memory(filling: bytes, before: bytes, after: bytes) -> None:
    data = before + filling * (4 * LONGEST_LINE // len(filling)) + after
    tracemalloc.start()
    program = interpret(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LONGEST_LINE + (1 << 20)
    number = before.count(b"\n") + 1
    assert [(item.line, item.grbl) for item in program.diagnostics if item.severity is Severity.ERROR] == [(number, 11)]
    assert program.diagnostics[0].column >= 1
    assert len(program.segments) == bool(before) + bool(after)
    assert program.total_lines == 1 + bool(before) + bool(after)


def test_a_hundred_megabytes_in_one_line_are_answered() -> None:
    data = b"X1" * 50_000_000
    tracemalloc.start()
    program = interpret(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    (found,) = program.diagnostics
    assert (found.line, found.column, found.grbl) == (1, 80, 11)


def test_the_last_line_needs_no_end() -> None:
    program, found = judged(b"G21\nG0 X1")
    assert (program.text.lines, program.total_lines, found) == (("G21", "G0X1"), 2, [])


def test_nul_bytes_are_dropped_as_by_the_controller() -> None:
    program, found = judged(b"G\x000 X\x001\x00\n\x00\nG0 X2\x00")
    assert (program.text.lines, tuple(program.text.source_lines), found) == (("G0X1", "G0X2"), (1, 3), [])


@pytest.mark.parametrize(
    ("line", "column", "grbl", "words"),
    [
        ("G1 X1..2 F100", 7, 1, ("X1..2",)),
        ("G1 X1.2.3 F100", 8, 1, ("X1.2.3",)),
        ("G1 X- F100", 4, 2, ("X-",)),
        ("G1 X F100", 4, 2, ("X",)),
        ("G1 X+-1 F100", 4, 2, ("X+-1",)),
        ("G1 X. F100", 4, 2, ("X.",)),
        ("G1 X1e5 F100", 6, 20, ("E5",)),
        ("G1 X1E-3 F100", 6, 20, ("E-3",)),
        ("G1 XNaN F100", 4, 2, ("X",)),
        ("G1 Xinf F100", 4, 2, ("X",)),
        ("G1 X1,5 F100", 6, 1, ("X1,5",)),
        ("G1 X#1 F100", 4, 2, ("X#1",)),
        ("G1 X[1+2] F100", 4, 2, ("X[1+2]",)),
        ("1 G0 X1", 1, 1, ("1",)),
        ("G0 X" + "1" * 400, 81, 11, ("X" + "1" * 78,)),
        ("G0 X" + "0" * 400 + "1", 81, 11, ("X" + "0" * 78,)),
        ("G1 X1 X2 F100", 7, 25, ("X2", "X1")),
        ("G17 G1 X1 F100 G18", 16, 21, ("G18", "G17")),
        ("G0 X1 G1", 7, 24, ("G1", "G0")),
        ("G90 G92 X1 G1 F10", 12, 24, ("G1", "G92")),
        ("G1 X1", 1, 22, ("G1", "X1")),
        ("G1 X1 P3 I2 F100", 7, 36, ("P3", "I2")),
        ("G4", 1, 28, ("G4",)),
        ("F10 G10 P1", 5, 26, ("G10",)),
        ("F10 G10 X1", 5, 28, ("G10",)),
        ("G10 L2 P9 X1", 8, 29, ("P9",)),
        ("G53 G2 X1 I1 F9", 1, 30, ("G53", "G2")),
        ("G80 X1 Y2", 5, 31, ("X1", "Y2")),
        ("G43.1 X1 Z2", 1, 37, ("G43.1", "X1")),
        ("G2 Z1 I1 F9", 1, 32, ("G2", "Z1", "I1")),
        ("G2 X5 F9", 1, 35, ("G2", "X5")),
        ("G3 X9 Y9 I1 J1 F100", 1, 33, ("G3", "X9", "Y9", "I1", "J1")),
        ("G2 X50 R5 F100", 8, 34, ("R5", "G2", "X50")),
        ("N10000001 G0 X1", 1, 27, ("N10000001",)),
        ("G0 X1 T256", 7, 38, ("T256",)),
        ("G1 X1 F-100", 7, 4, ("F-100",)),
        ("G1.5 X1 F9", 1, 23, ("G1.5",)),
        ("G0 X1 M6", 7, 20, ("M6",)),
        ("O1000", 1, 20, ("O1000",)),
    ],
)
@pytest.mark.parametrize("batches", [True, False])
def test_a_bad_line_names_column_word_and_error(
    line: str, column: int, grbl: int, words: tuple[str, ...], batches: bool
) -> None:
    good = "G0 X0 Y0 F0\n" * 40
    program = interpret(f"{good}{line}\n{good}".encode(), batches=batches)
    found = [(item.line, item.column, item.grbl, item.words) for item in program.diagnostics]
    assert found == [(41, column, grbl, words)]
    assert len(program.segments) == 80


@pytest.mark.parametrize("digits", [9, 20, 40, 70])
def test_of_a_long_number_eight_digits_count(digits: int) -> None:
    program, _ = judged(b"G0 X0." + b"1" * digits + b"\nY" + b"0" * digits + b"5\n")
    assert program.segments.end[-1].tolist() == [0.1111111, 0.0, 0.0]


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (b"G0 (a (b) X1", "G0X1"),
        (b"G0 (a (b) X1 (c) Y2", "G0X1Y2"),
        (b"G0 (a ; b) X1 ; (c) Y2", "G0X1"),
        (b"G0 ((((( X1", "G0"),
        (b"G0 X1 ;;(;)", "G0X1"),
    ],
)
def test_comments_do_not_nest(line: bytes, clean: str) -> None:
    for data in (line + b"\n", line + b"\n" + b"G0 X0\n" * 2_000):
        assert interpret(data).text.lines[0] == clean


def test_a_bracket_that_closes_nothing_is_an_error() -> None:
    assert errors(b"G0 (a (b) c) X1\n") == [(1, 11, "number-expected", 2, ("C)",))]
    assert errors(b"G0 X1)\n") == [(1, 6, "letter-expected", 1, ("X1)",))]


@pytest.mark.parametrize("line", ["G2 X0 Y0 I0 J0 F100", "G3 I0 J0 X0 F100"])
def test_an_arc_of_no_radius_is_what_the_controller_makes_of_it(line: str) -> None:
    program, found = judged(f"{line}\n".encode())
    assert found == []
    assert program.segments.arc_centre.tolist() == [[0, 0]]


def test_an_arc_by_a_radius_of_zero_is_refused() -> None:
    assert [item[3] for item in errors(b"G2 X5 R0 F100\n")] == [34]
    assert [item[3] for item in errors(b"G2 X0 Y0 R5 F100\n")] == [33]


@pytest.mark.parametrize("batches", [True, False])
def test_an_arc_by_radius_that_only_rises_is_one_straight_move(batches: bool) -> None:
    text = b"G0 X1\n" * 20 + b"G2 X1 Z5 R5 F100\n" + b"G0 X1\n" * 20
    program = interpret(text, batches=batches)
    assert program.diagnostics == ()
    assert program.segments.kind[20] == Kind.LINEAR
    assert len(program.segments.arc) == 0


def test_an_arc_of_an_enormous_radius_is_out_of_travel_and_does_not_take_forever() -> None:
    program, found = judged(b"G2 X1000000 Y0 I500000 J0 F100\nG3 X0 Y0 R99999999\n")
    assert {item.code for item in found} == {"out-of-travel"}
    assert math.isfinite(float(program.segments.arc_centre.max()))


def test_an_arc_that_closes_only_almost_is_refused_whatever_the_zero_rounds() -> None:
    assert errors(b"G2 X10.0048 I5 F100\n") == []
    assert [item[3] for item in errors(b"G2 X10.0098 I5 F100\n")] == [33]
    assert [item[3] for item in errors(b"G2 X0.00495 I0 J0 F100\n")] == [33]


@pytest.mark.parametrize("batches", [True, False])
def test_half_a_circle_by_its_radius_is_warned_of(batches: bool) -> None:
    text = b"G0 X0\n" * 20 + b"G2 X10 R5 F100\nX0 R5.001\nG18 G3 Z20 R-10\nZ0 R20\nG17\n" * 20
    found = interpret(text, batches=batches).diagnostics
    assert {(item.severity, item.code, item.grbl) for item in found} == {(Severity.WARNING, "arc-radius-tight", None)}
    assert [(item.line, item.column, item.words) for item in found[:2]] == [(21, 8, ("R5",)), (23, 12, ("R-10",))]
    assert found == interpret(text, batches=not batches).diagnostics


def test_of_many_arcs_that_only_just_reach_the_first_are_named() -> None:
    found = interpret(b"G2 F100 X10 R5\nX0 R5\n" * 5_000).diagnostics
    assert [item.line for item in found] == list(range(1, 51))


def test_a_program_that_never_moves_is_asked_about() -> None:
    program = interpret(b"G21\nM3 S100\nG4 P1\nM5\nM30\n")
    assert [(item.code, item.severity) for item in check(program, TRAVEL, OFFSET)] == [("no-motion", Severity.WARNING)]
    assert [stop.kind for stop in program.stops] == [StopKind.SPINDLE, StopKind.DWELL, StopKind.SPINDLE, StopKind.END]


def test_a_program_that_ends_in_g91_leaves_nothing_to_the_next() -> None:
    relative = b"G91\nG1 X5 F100\nX5\n"
    assert judged(relative)[0].segments.end[:, 0].tolist() == [5, 10]
    # The controller starts each job in the modes that the interpreter begins with.
    assert judged(b"G1 X5 F100\nX5\n")[0].segments.end[:, 0].tolist() == [5, 5]
    assert judged(relative + b"M30\nG1 X5 F100\n")[0].segments.end[-1, 0] == 5


def test_a_tape_mark_is_found_beside_comments_and_far_from_the_ends() -> None:
    far = b"(head % of it)\n" * 40_000
    program = interpret(far + b" % (begin %)\nG0 X1\n%;%\n" + b"; 100 % done\n" * 40_000)
    assert [(item.code, item.line) for item in program.diagnostics] == [("tape-mark", 40_001), ("tape-mark", 40_003)]
    assert program.text.lines == ("G0X1",)


def test_columns_and_lines_are_right_far_into_a_text() -> None:
    text = b"G1 X1 F100\r\n" * 60_000 + b"  g1 (a) x1 p2\r\n" + b"\r\n/G0 X0 (hm?)\r\n" + b"G1 X2\r\n" * 60_000
    found = interpret(text).diagnostics
    assert [(item.line, item.column, item.code) for item in found] == [
        (60_001, 13, "word-unused"),
        (60_003, 0, "slash-ignored"),
        (60_003, 11, "realtime-byte"),
    ]
