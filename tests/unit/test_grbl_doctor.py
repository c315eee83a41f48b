# SPDX-License-Identifier: GPL-3.0-or-later
"""What the link doctor makes of lines, bytes and times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.domain.machine import LinkGrade
from edge.drivers.grbl.doctor import Finding, LinkDoctor, finding
from edge.drivers.grbl.protocol import LineSplitter, parse

TRACES = sorted((Path(__file__).parents[1] / "data" / "grbl_traces").glob("*.jsonl"))
REPORT = "<Idle|MPos:0.000,0.000,0.000|FS:0,0>"
MS = 1_000_000


def look(line: str) -> Finding:
    return finding(line, parse(line))


def hear(doctor: LinkDoctor, line: str, at_ms: float = 0.0, *, spindle: bool = False) -> Finding:
    doctor.received(f"{line}\r\n".encode())
    return doctor.heard(line, parse(line), round(at_ms * MS), spindle=spindle)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_nothing_that_a_controller_ever_said_is_damage(path: Path) -> None:
    for entry in map(json.loads, path.read_text(encoding="utf-8").splitlines()[1:-1]):
        if entry["dir"] == "rx" and entry["data"]:
            assert look(entry["data"]) is Finding.SOUND, entry


@pytest.mark.parametrize(
    "line",
    [
        *("o", "k", "gk", "oj", "ok*ok", "okok", "errr:9", "error:", "rror:9", "q", "\\xefk", "\\xff\\xfe"),
        "ok\x0b<Idle|MPos:0,0,0|FS:0,0>",
        "o<Idle|MPos:0.000,0.000,0.000|FS:0,0>",
        "<Idle|MPos:0.000,0.000,0.000|FS:0,0>*ok",
    ],
)
def test_what_may_have_been_an_acknowledgement_cannot_be_counted(line: str) -> None:
    assert look(line) is Finding.UNCOUNTABLE


@pytest.mark.parametrize(
    "line",
    [
        "<Idle|MPos:0.0x0,0.000,0.000|FS:0,0>",
        "<Idne|MPos:0.000,0.000,0.000|FS:0,0>",
        "[MSG:Pgm End",
        ";Idle|MPos:0.000,0.000,0.000|FS:0,0>",
        "<Idle|MPos:0.000,0.000,0.000|FS:0,0~",
        "<Idle|MP\\xefs:0,0,0|FS:0,0>",
    ],
)
def test_a_broken_report_costs_no_acknowledgement(line: str) -> None:
    assert look(line) is Finding.DAMAGED


@pytest.mark.parametrize("line", ["echo:Unknown command", "Marlin 2.0.9", "start", "T:21.3 B:22.0"])
def test_another_device_is_not_damage(line: str) -> None:
    assert look(line) is Finding.UNKNOWN


def test_every_flipped_bit_of_an_acknowledgement_is_seen() -> None:
    for position, bit in ((p, b) for p in range(4) for b in range(8)):
        data = bytearray(b"ok\r\nok\r\n")
        data[position] ^= 1 << bit
        lines = LineSplitter().feed(bytes(data))
        if lines != ["ok", "ok"]:
            assert Finding.UNCOUNTABLE in map(look, lines), data


def test_grades() -> None:
    doctor = LinkDoctor()
    assert doctor.health().grade is LinkGrade.UNKNOWN
    for _ in range(30):
        hear(doctor, REPORT)
    assert doctor.health().grade is LinkGrade.GOOD
    hear(doctor, "o")
    health = doctor.health()
    assert (health.grade, health.lines, health.damaged, health.unknown) == (LinkGrade.DAMAGED, 31, 1, 0)
    for _ in range(4):
        hear(doctor, "o")
    assert doctor.health().grade is LinkGrade.BAD
    doctor.opened(115200)
    assert doctor.health().grade is LinkGrade.UNKNOWN
    assert doctor.health().damaged == 0


def test_damage_with_the_spindle_is_interference() -> None:
    doctor = LinkDoctor()
    for number in range(100):
        hear(doctor, "ok")
        hear(doctor, "k" if number % 20 == 0 else "ok", spindle=True)
    assert "interference" in doctor.health().cause
    for number in range(100):
        hear(doctor, "k" if number % 20 == 0 else "ok")
    assert "bad cable" in doctor.health().cause


def test_garbage_from_the_start_is_a_wrong_baud_rate_even_without_a_line() -> None:
    doctor = LinkDoctor()
    doctor.opened(9600)
    doctor.received(b"\x98\xe6\xfe\x00\x9f\x80\xe0\xff\x18\xf8")
    assert doctor.unreadable
    assert doctor.health().grade is LinkGrade.BAD
    assert "9600 baud" in doctor.health().cause
    hear(doctor, "ok")
    assert not doctor.unreadable


def test_latency_is_a_median_for_each_state_of_the_spindle() -> None:
    doctor = LinkDoctor()
    for number, wait in enumerate((4, 5, 900)):
        doctor.asked(number * 2000 * MS)
        doctor.asked((number * 2000 + 1) * MS)
        hear(doctor, REPORT, number * 2000 + wait)
    doctor.asked(10_000 * MS)
    hear(doctor, REPORT, 10_009, spindle=True)
    hear(doctor, REPORT, 10_400, spindle=True)
    assert (doctor.health().latency_ms, doctor.health().latency_spindle_ms) == (5.0, 9.0)


def test_an_answer_that_never_came_is_not_taken_for_a_slow_one() -> None:
    doctor = LinkDoctor()
    doctor.asked(0)
    hear(doctor, REPORT, 30_000)
    assert doctor.health().latency_ms is None
    doctor.asked(0)
    doctor.asked(30_000 * MS)
    hear(doctor, REPORT, 30_004)
    assert doctor.health().latency_ms == 4.0


def test_three_broken_reports_in_a_minute_are_too_much_for_a_program() -> None:
    doctor = LinkDoctor()
    second = 1_000_000_000
    assert doctor.too_much(Finding.UNCOUNTABLE, 0)
    assert not doctor.too_much(Finding.SOUND, 0)
    assert not LinkDoctor().too_much(Finding.UNKNOWN, 0)
    assert [doctor.too_much(Finding.DAMAGED, at * second) for at in (0, 40, 80, 90)] == [False, False, False, True]
