# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import pytest

from edge.domain.machine import Position, Travel
from edge.gcode import VISITOR_BANNED, Diagnostic, Dialect, Severity, check, interpret, path_preview
from edge.gcode.limits import OPERATOR_BANNED

TRAVEL = Travel(Position(-150, -100, -40), Position(0, 0, 0), 2000, 12000)
OFFSET = Position(-140, -90, -20)


def findings(text: bytes, offset: Position = OFFSET) -> list[Diagnostic]:
    return check(interpret(text), TRAVEL, offset)


def errors(text: bytes) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in findings(text) if item.severity is Severity.ERROR]


GOOD = b"G21 G90\nM3 S10000\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F200\nG2 X20 Y10 I5 J0 F600\nG0 Z5\nM5\nM30\n"


def test_a_good_program_has_no_finding() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize("byte", [b"!", b"~", b"?", b"\x18", b"\x80", b"\x85", b"\xff"])
@pytest.mark.parametrize("line", [b"G0 X1 %s", b"G0 X1 (a %s b)", b"; %s"])
def test_bytes_that_act_at_once_are_found_everywhere(byte: bytes, line: bytes) -> None:
    (found,) = findings(b"G21\n" + line.replace(b"%s", byte) + b"\nG0 X2\n")
    assert (found.severity, found.line, found.code) == (Severity.ERROR, 2, "realtime-byte")
    assert found.column == line.index(b"%s") + 1


@pytest.mark.parametrize(
    ("text", "code", "grbl"),
    [
        (b"%\n", "empty", None),
        (b"G0 X1\n%\nG0 X2", "letter-expected", 1),
        (b"G1 X1 F100 " + b"X1" * 35 + b"\n", "repeated-word", 25),
        (b"G1 X0." + b"0" * 75, "line-too-long", 11),
        (b"G2 X5 F100", "arc-no-centre", 35),
        (b"G2 X5 R0 F100", "arc-radius", 34),
        (b"G2 X5 R1 F100", "arc-radius", 34),
        (b"G2 X0 Y0 R1 F100", "arc-end", 33),
        (b"G3 X9 Y9 I1 J1 F100", "arc-end", 33),
        (b"G1 X1", "no-feed", 22),
        (b"G1 X", "number-expected", 2),
        (b"G1 X1 X2 F1", "repeated-word", 25),
        (b"G17 G18", "modal-group", 21),
        (b"G0 G1 X1", "two-axis-commands", 24),
        (b"G99", "unsupported", 20),
        (b"M6", "unsupported", 20),
        (b"T300", "tool-number", 38),
        (b"$H", "banned-word", None),
        (b"G10 L2 P1 X0", "banned-word", None),
        (b"G10 L20 P1 X0", "banned-word", None),
        (b"G28.1", "banned-word", None),
        (b"G30.1", "banned-word", None),
        (b"G53 G0 X-1", "banned-word", None),
        (b"G0 X200", "out-of-travel", None),
        (b"G1 X5 F2001", "feed-over-limit", None),
        (b"M3 S12001", "spindle-over-limit", None),
    ],
)
def test_each_bad_line_is_refused_with_its_reason(text: bytes, code: str, grbl: int | None) -> None:
    found = [item for item in findings(text) if item.severity is Severity.ERROR]
    assert [(item.code, item.grbl) for item in found] == [(code, grbl)]
    assert found[0].text.endswith(".")
    assert found[0].remedy.endswith(".")
    assert str(found[0]).startswith("line " if found[0].line else "program")


def test_79_characters_pass_and_80_do_not_and_comments_do_not_count() -> None:
    assert errors(b"G0X0." + b"0" * 74 + b" (a comment)\n") == []
    assert errors(b"G0X0." + b"0" * 75) == [(1, "line-too-long")]


def test_travel_counts_from_the_work_offset() -> None:
    assert errors(b"G0 X140\n") == []
    assert errors(b"G0 X140.01\n") == [(1, "out-of-travel")]
    assert errors(b"G0 Z-20.5\n") == [(1, "out-of-travel")]
    (found,) = findings(b"G0 X141 Y95\n")
    assert "Y 5.000 mm, 5.000 mm beyond" in found.text


def test_with_the_text_every_finding_has_its_column() -> None:
    text = (
        b"\xef\xbb\xbfG1 (F) X5 F 9999\r\n X6\r\nG1 X5 F0.1\r\nG2 X5 I60\r\n(X1) n5 g0 x1 (X3) Y 999\r\nG0 Y0\r\nG0 Z99"
    )
    program = interpret(text)
    found = [item for item in check(program, TRAVEL, OFFSET, source=text) if item.code != "byte-order-mark"]
    assert [(item.line, item.column, item.code, item.words) for item in found] == [
        (1, 11, "feed-over-limit", ("F9999",)),
        (3, 7, "feed-under-limit", ("F0.1",)),
        (4, 7, "out-of-travel", ("I60",)),
        (5, 20, "out-of-travel", ("Y999",)),
        (7, 4, "out-of-travel", ("Z99",)),
    ]
    without = [item for item in check(program, TRAVEL, OFFSET) if item.code != "byte-order-mark"]
    assert [item.words for item in without] == [item.words for item in found]
    assert {item.column for item in without} == {0}


def test_an_arc_counts_by_its_true_extent() -> None:
    inside = b"G0 X10 Y5\nG2 X20 Y5 I5 J0 F100\n"
    outside = b"G0 X10 Y-8\nG3 X20 Y-8 I5 J0 F100\n"
    assert errors(inside) == []
    assert errors(outside) == [(2, "out-of-travel")]


def test_machine_coordinates_do_not_count_from_the_work_offset() -> None:
    program = interpret(b"G53 G0 Z0\nG53 G0 X-151\n")
    found = [item for item in check(program, TRAVEL, OFFSET, banned=OPERATOR_BANNED) if item.severity is Severity.ERROR]
    assert [(item.line, item.code) for item in found] == [(2, "out-of-travel")]


def test_what_is_banned_is_for_the_caller_to_say() -> None:
    program = interpret(b"G0 X1\nG28\nM0\n")
    assert {item.severity for item in check(program, TRAVEL, OFFSET)} == {Severity.ERROR}
    assert [(item.line, item.severity) for item in check(program, TRAVEL, OFFSET, banned=OPERATOR_BANNED)] == [
        (2, Severity.WARNING)
    ]


@pytest.mark.parametrize("word", sorted(word for word in VISITOR_BANNED if "-" not in word))
def test_every_banned_word_says_what_to_do_instead(word: str) -> None:
    line = {"$": "$H", "G10": "G10 L2 P1 X0", "G92": "G92 X0", "G43.1": "G43.1 Z1", "G93": "G93"}.get(word, word)
    motion = " Z-1 F50" if word.startswith("G38") else " G0 X1" if word == "G53" else ""
    program = interpret(f"{line}{motion}\n".encode(), dialect=Dialect(tool_change=True))
    (item,) = [item for item in check(program, TRAVEL, OFFSET) if item.code == "banned-word"]
    assert item.words == (word,)
    assert len(item.remedy) > len("Remove it.")


def test_a_role_may_have_words_of_its_own() -> None:
    """Nothing is added to what is banned for visitors only because it is for operators."""
    assert OPERATOR_BANNED < VISITOR_BANNED
    (item,) = check(interpret(b"G0 X1\nM8\n"), TRAVEL, OFFSET, banned=frozenset({"M8"}))
    assert (item.code, item.remedy) == ("banned-word", "Remove it.")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"G1 X5 F2001", "feed-over-limit"),
        (b"M3 S12001\nG0 X1", "spindle-over-limit"),
        (b"M3 S400\nG0 X1", "spindle-under-limit"),
    ],
)
def test_what_the_controller_runs_at_its_limit_refuses_a_visitor_and_warns_an_operator(text: bytes, code: str) -> None:
    program, travel = interpret(text), replace(TRAVEL, min_spindle=500)
    for banned, severity in ((VISITOR_BANNED, Severity.ERROR), (OPERATOR_BANNED, Severity.WARNING)):
        (item,) = check(program, travel, OFFSET, banned=banned)
        assert (item.line, item.code, item.severity) == (1, code, severity)
        assert " The controller will run " in item.text


def test_nobody_stands_at_a_machine_more_than_a_thousand_times() -> None:
    dialect = Dialect(tool_change=True)
    fits = interpret(b"G0 X1\n" + b"M0\n" * 600 + b"T1 M6\n" * 400 + b"M03 S9\nM05\n" * 2000, dialect=dialect)
    assert check(fits, TRAVEL, OFFSET, banned=frozenset()) == []
    more = interpret(b"G0 X1\n" + b"M0\n" * 600 + b"T1 M6\n" * 900, dialect=dialect)
    (item,) = check(more, TRAVEL, OFFSET, banned=frozenset())
    assert (item.line, item.code, item.severity) == (1002, "too-many-stops", Severity.ERROR)


def test_what_is_not_known_is_said_and_not_passed_over() -> None:
    for travel, offset in ((None, OFFSET), (TRAVEL, None)):
        found = check(interpret(GOOD), travel, offset)
        assert [(item.severity, item.code) for item in found] == [(Severity.WARNING, "travel-unchecked")]


def test_a_slash_does_not_skip_and_says_so() -> None:
    (found,) = findings(b"G0 X1 (1/2)\n /G0 X2\n")
    assert (found.severity, found.line, found.code) == (Severity.WARNING, 2, "slash-ignored")


def test_an_unused_feed_is_no_matter() -> None:
    assert errors(b"G0 X1 F99999\n") == []


def test_findings_are_bounded_and_errors_come_first() -> None:
    text = b"%\n" + b"G0 X999\nG0 X0\n" * 5000
    found = findings(text)
    assert len(found) <= 200
    assert all(item.severity is Severity.ERROR for item in found)
    assert check(interpret(b"G0 X\n" * 300), TRAVEL, OFFSET)[0].code == "too-many-errors"


def test_a_program_without_motion_is_asked_about() -> None:
    assert [(item.code, item.severity) for item in findings(b"G21\n")] == [("no-motion", Severity.WARNING)]


def test_ten_megabytes_of_garbage_are_answered_soon() -> None:
    assert findings(bytes(range(256)) * 40_000)
    assert findings(b"X" * 10_000_000)
    assert findings(b"(" * 10_000_000)


def test_the_preview_has_few_points_and_keeps_the_ends() -> None:
    program = interpret(GOOD)
    points = path_preview(program, 1000)
    assert points[0][:3] == (0, 0, 0)
    assert points[-1][:3] == (20, 10, 5)
    assert [point.rapid for point in points[1:4]] == [True, True, False]
    assert max(point.y for point in points) == pytest.approx(15, abs=0.1)
    assert {point.line for point in points} == {3, 4, 5, 6, 7}
    long = interpret(b"G1 F100\n" + b"".join(b"X%d Y%d\n" % (n, n % 7) for n in range(20_000)))
    short = path_preview(long, 300)
    assert 250 <= len(short) <= 300
    assert short[-1].x == 19_999
    assert path_preview(interpret(b"G21\n")) == []
