# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.grbl.codes import Firmware, alarm_code, error_text
from edge.drivers.grbl.protocol import (
    AlarmReport,
    BuildOptions,
    BuildVersion,
    ErrorReply,
    LineSplitter,
    Message,
    Noise,
    Ok,
    Parameter,
    ParserState,
    Setting,
    StartupResult,
    State,
    StatusReport,
    Welcome,
    parse,
)

NOISE = r"""
o k okok error: error:x ALARM: <Idle <Idle|MPos:0.000,0.0 <Idel|MPos:0,0,0> <Idle|MPos:0,0> <Idle|MPos:nan,0,0>
<Run|MPos:0,0,0|FS:1> <Idle|MPos:0,0,0|Pn:\xff> <> <Idle|MPos:0,0,0|Ov:1,2> <Idle:x|MPos:0,0,0> [G54:1,2,x] [MSG [MSG]
$x=1 Grbl start > G1X5 \xff\xfe echo:Unknown
""".split()

TRACES = Path(__file__).parents[1] / "data" / "grbl_traces"


def received(name: str) -> list[str]:
    events = [json.loads(line) for line in (TRACES / name).read_text(encoding="utf-8").splitlines()]
    return [event["data"] for event in events if event.get("dir") == "rx" and event["data"]]


@pytest.mark.parametrize("name", sorted(path.name for path in TRACES.glob("*.jsonl")))
def test_every_recorded_line_is_understood(name: str) -> None:
    assert [line for line in received(name) if isinstance(parse(line), Noise)] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ok", Ok()),
        ("error:20", ErrorReply(20)),
        ("ALARM:1", AlarmReport(1)),
        ("Grbl 1.1h ['$' for help]", Welcome(Firmware.GRBL, "1.1h")),
        ("GrblHAL 1.1f ['$' or '$HELP' for help]", Welcome(Firmware.GRBL_HAL, "1.1f")),
        ("Grbl 0.9j ['$' for help]", Welcome(Firmware.GRBL, "0.9j")),
        ("$110=3000.000", Setting(110, "3000.000")),
        ("$130=300.000 (X max travel, mm)", Setting(130, "300.000")),
        ("$N0=G54", Message("$N0=G54")),
        ("[VER:1.1h.20190830:]", BuildVersion("1.1h.20190830")),
        ("[OPT:V,15,128]", BuildOptions("V", 15, 128)),
        ("[OPT:VNMSL+,35,1024,3,0]", BuildOptions("VNMSL+", 35, 1024)),
        ("[OPT:V]", BuildOptions("V", None, None)),
        ("[GC:G0 G54 G17 F0 S0]", ParserState(("G0", "G54", "G17", "F0", "S0"))),
        ("[G54:1.000,-2.000,0.500]", Parameter("G54", (1.0, -2.0, 0.5))),
        ("[TLO:1.500]", Parameter("TLO", (1.5,))),
        ("[PRB:0.000,0.000,-10.000:1]", Parameter("PRB", (0.0, 0.0, -10.0))),
        ("[MSG:Check Door]", Message("Check Door")),
        (">G54:ok", StartupResult("G54", accepted=True)),
        (">:error:7", StartupResult("", accepted=False)),
    ],
)
def test_lines(line: str, message: object) -> None:
    assert parse(line) == message


@pytest.mark.parametrize(
    "line",
    NOISE,
)
def test_what_fits_nothing_is_noise(line: str) -> None:
    assert parse(line) == Noise(line)


def test_status_with_everything() -> None:
    line = "<Hold:1|WPos:1,2,3|Bf:15,128|Ln:7|FS:500,8000|Pn:XD|Ov:110,50,90|A:SFM|WCO:-1,-2,-3>"
    assert parse(line) == StatusReport(
        state=State.HOLD,
        substate=1,
        work=(1.0, 2.0, 3.0),
        offset=(-1.0, -2.0, -3.0),
        feed=500.0,
        speed=8000.0,
        overrides=(110, 50, 90),
        accessories="SFM",
        pins=frozenset("XD"),
    )


def test_status_tolerates_order_unknown_fields_and_more_axes() -> None:
    report = parse("<Run|New:1,2|F:100|Ov:100,100,100|MPos:1,2,3,4>")
    assert report == StatusReport(
        State.RUN, machine=(1.0, 2.0, 3.0), feed=100.0, overrides=(100, 100, 100), accessories=""
    )


def test_accessories_are_unknown_without_overrides() -> None:
    report = parse("<Idle|MPos:0,0,0|FS:0,0>")
    assert isinstance(report, StatusReport)
    assert report.accessories is None


@given(st.text(max_size=60))
def test_nothing_raises(text: str) -> None:
    parse(text)
    parse(f"<{text}>")
    parse(f"[{text}]")
    parse(f"${text}")


@given(st.lists(st.sampled_from(["ok", "error:2", "<Idle|MPos:0,0,0>", "[MSG:x]"]), max_size=20), st.data())
def test_lines_survive_any_cut(lines: list[str], data: st.DataObject) -> None:
    stream = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    splitter = LineSplitter()
    heard: list[str] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        heard += splitter.feed(stream[:size])
        stream = stream[size:]
    assert heard == lines


def test_splitter_drops_nul_and_keeps_other_bytes_visible() -> None:
    assert LineSplitter().feed(b"\x00ok\r\n\r\n\xe2k\n") == ["ok", "\\xe2k"]


def test_splitter_cuts_a_runaway_line() -> None:
    splitter = LineSplitter()
    assert [len(line) for line in splitter.feed(b"x" * 2100)] == [1024, 1024]
    assert splitter.feed(b"\nok\n") == ["x" * 52, "ok"]


def test_alarm_tables_are_keyed_by_firmware() -> None:
    assert alarm_code(Firmware.GRBL, 10) != alarm_code(Firmware.GRBL_HAL, 10)
    assert [code for code in range(1, 11) if alarm_code(Firmware.GRBL, code).position_kept] == [2, 4, 5]
    assert not alarm_code(Firmware.GRBL, 99).position_kept
    assert "99" in alarm_code(Firmware.GRBL, 99).text


def test_errors_have_words() -> None:
    assert error_text(20) == "the command is not supported"
    assert "250" in error_text(250)
