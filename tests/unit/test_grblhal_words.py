# SPDX-License-Identifier: GPL-3.0-or-later
"""What grblHAL says beyond GRBL 1.1 (grblHAL core: alarms.h, errors.h, report.c)."""

from __future__ import annotations

import pytest

from edge.drivers.grbl.codes import Firmware, alarm_code, error_text
from edge.drivers.grbl.protocol import BuildOptions, BuildVersion, Message, Noise, StatusReport, Welcome, parse
from tests.hardware_sim.grblhal.dialect import to_hal


@pytest.mark.parametrize("line", ["GrblHAL 1.1f ['$' for help]", "GrblHAL 1.1f ['$' or '$HELP' for help]"])
def test_its_welcome(line: str) -> None:
    assert parse(line) == Welcome(Firmware.GRBL_HAL, "1.1f")


def test_its_build_info() -> None:
    assert parse("[VER:1.1f.20240928:]") == BuildVersion("1.1f.20240928")
    assert parse("[OPT:VNMGSL,100,1024,3,0]") == BuildOptions("VNMGSL", 100, 1024)
    for line in ("[NEWOPT:ENUMS,RT+,HOME,SED]", "[FIRMWARE:grblHAL]", "[BOARD:T41U5XBB]", "[G59.1:0.000,0.000,0.000]"):
        assert isinstance(parse(line), Message), line


def test_its_report() -> None:
    line = "<Alarm:10|MPos:1.000,2.000,3.000,0.000|Bf:100,1023|FS:0,0,0|Pn:PE|WCS:G54|In:-1|FW:grblHAL|H:0,3|MPG:0>"
    report = parse(line)
    assert isinstance(report, StatusReport)
    assert (report.substate, report.pins, report.machine) == (10, frozenset("PE"), (1.0, 2.0, 3.0))


@pytest.mark.parametrize("pins", ["D", "R", "H", "S", "E", "L", "T", "M", "F", "Q", "O", "XYZA", "PDRHSELTMF"])
def test_its_pins(pins: str) -> None:
    report = parse(f"<Idle|MPos:0,0,0|FS:0,0|Pn:{pins}>")
    assert isinstance(report, StatusReport)
    assert report.pins == frozenset(pins)


def test_every_alarm_is_named() -> None:
    unknown = alarm_code(Firmware.GRBL_HAL, 200).text.replace("200", "{}")
    for number in range(1, 19):
        text = alarm_code(Firmware.GRBL_HAL, number).text
        assert text != unknown.format(number)
    assert alarm_code(Firmware.GRBL, 10).text != alarm_code(Firmware.GRBL_HAL, 10).text
    assert "stop circuit" in alarm_code(Firmware.GRBL_HAL, 10).text


@pytest.mark.parametrize("number", [*range(1, 59), *range(60, 67), *range(70, 85)])
def test_every_error_is_named(number: int) -> None:
    assert "answered error" not in error_text(number)


def test_an_alarm_that_nobody_knows_trusts_no_position() -> None:
    assert not any(alarm_code(Firmware.GRBL_HAL, number).position_kept for number in (*range(10, 19), 77))


@pytest.mark.parametrize(
    "line",
    [
        *("Grbl 1.1h ['$' for help]", "[VER:1.1h.20190830:]", "[OPT:VNMH+,15,128]", "$132=80.000", "ok", "$32=1"),
        *("<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>", "<Hold:0|MPos:0,0,0|FS:0,0|Pn:D>"),
    ],
)
def test_the_simulated_dialect_is_understood(line: str) -> None:
    said = to_hal(line.encode("ascii") + b"\r\n")
    assert said.endswith(b"\r\n")
    for part in said.decode("ascii").split("\r\n")[:-1]:
        assert not isinstance(parse(part), Noise), part
