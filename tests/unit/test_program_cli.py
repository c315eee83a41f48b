# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge program`: what it answers, in which form, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from edge.cli import cli
from edge.gcode.program import MAX_BYTES
from edge.services.profile import PROFILE_KEY
from edge.store.database import Database
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore

GOOD = "G21 G90\nM3 S900\nG0 Z5\nG0 X10 Y10\nG1 Z-1 F200\nG1 X60 F900\nY40\nG3 X50 Y50 I-10 J0\nG0 Z5\nM5\nM30\n"
DUMP = """\
$0=10
$1=25
$11=0.010
$12=0.002
$30=1000
$31=0
$100=250.000
$101=250.000
$102=250.000
$110=3000.000
$111=3000.000
$112=1500.000
$120=200.000
$121=200.000
$122=200.000
$130=300.000 (x max travel, mm)
$131=200.000
$132=80.000
ok
"""
LAB = """\
[lab]
id = "im-01"
name = "InfoMobil 1"
data_dir = "{folder}"
[operator]
pin_file = "{folder}/pin"
[[machine]]
id = "router"
name = "Router"
kind = "router"
[machine.connection]
driver = "grbl"
port = "/dev/null"
[[machine.tools]]
number = 1
name = "End mill 2 mm"
shape = "flat"
diameter_mm = 2.0
flute_mm = 0.5
[[machine]]
id = "laser"
name = "Laser"
kind = "laser"
[machine.connection]
driver = "grbl"
port = "/dev/zero"
[[machine]]
id = "lathe"
name = "Lathe"
kind = "lathe"
[machine.connection]
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4841"
security = "none"
"""
KEYS = {"lines", "errors", "seconds", "distance_mm", "cut_mm", "bounds", "tools", "line_seconds"}


def run(*words: object) -> Result:
    result = CliRunner().invoke(cli, ["program", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def asked(*words: object) -> tuple[int, dict[str, Any]]:
    result = run("check", *words, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "part.nc"
    path.write_text(GOOD)
    return path


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "settings.txt"
    path.write_text(DUMP)
    return path


async def _keep(database_path: Path, machines: list[str]) -> None:
    settings = StoreSettings(reserve_mb=0, ballast_mb=0)
    database = Database.open(database_path, settings, "boot-1")
    rows = [line.split()[0][1:].split("=") for line in DUMP.splitlines() if line.startswith("$")]
    profile = json.dumps([{"number": int(key), "value": value, "name": "", "unit": ""} for key, value in rows])
    await SqliteStore(database).append([], {PROFILE_KEY + machine: profile for machine in machines})
    database.close()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(LAB.format(folder=tmp_path))
    asyncio.run(_keep(tmp_path / "infomobil.db", ["router", "laser"]))
    return path


def test_a_program_that_fits_is_told_as_one_json_object(program: Path, dump: Path) -> None:
    code, found = asked(program, "--settings", dump, "--offset", "-150,-100,-40")
    assert (code, found["errors"], found["lines"]) == (0, [], 11)
    assert found.keys() == KEYS
    assert found["bounds"] == {"x": [0.0, 60.0], "y": [0.0, 50.0], "z": [-1.0, 5.0]}
    assert found["tools"] == [0]
    assert found["cut_mm"] == pytest.approx(6 + 50 + 30 + np.pi * 5, abs=11)
    assert found["cut_mm"] < found["distance_mm"]
    assert sum(found["line_seconds"]) == pytest.approx(found["seconds"], abs=0.01)
    assert len(found["line_seconds"]) == 11


def test_findings_have_place_code_severity_and_words(program: Path, dump: Path) -> None:
    program.write_text(GOOD + "G1 X..5\nG1 Q1 X10\n")
    code, found = asked(program, "--settings", dump, "--offset", "-150,-100,-40")
    assert code == 1
    first, second = found["errors"]
    assert {key: first[key] for key in ("line", "column", "code", "severity")} == {
        "line": 12,
        "column": 4,
        "code": "error:2",
        "severity": "error",
    }
    assert (second["line"], second["code"], second["words"]) == (13, "error:20", ["Q1"])
    assert all(item["message"] for item in found["errors"])


def test_a_program_beyond_the_travel_is_refused_and_says_where(program: Path, dump: Path) -> None:
    code, found = asked(program, "--settings", dump, "--offset", "-50,-100,-40")
    assert code == 1
    assert [(item["line"], item["code"]) for item in found["errors"]] == [(6, "out-of-travel"), (7, "out-of-travel")]


def test_without_a_machine_there_is_a_warning_and_no_error(program: Path) -> None:
    code, found = asked(program)
    assert code == 0
    assert [(item["severity"], item["code"]) for item in found["errors"]] == [("warning", "travel-unchecked")]


def test_the_help_says_what_0_does_not_say() -> None:
    """The travel that nobody gave, and the block of a piece."""
    said = " ".join(run("check", "--help").stdout.replace("│", " ").split())
    assert "the travel is not checked: 0 then says nothing of it." in said
    assert "The block is guessed from the cuts, also for a piece of the library" in said
    assert "Whether it fits a machine is what check answers." in " ".join(run("time", "--help").stdout.split())


def test_what_the_controller_runs_at_its_limit_is_a_warning(program: Path, dump: Path) -> None:
    program.write_text(GOOD.replace("S900", "S1100").replace("F900", "F4500"))
    code, found = asked(program, "--settings", dump, "--offset", "-150,-100,-40")
    assert code == 0
    assert [(item["line"], item["severity"], item["name"]) for item in found["errors"]] == [
        (2, "warning", "spindle-over-limit"),
        (6, "warning", "feed-over-limit"),
    ]


def test_notes_are_no_errors(program: Path, dump: Path) -> None:
    program.write_text("%\n" + GOOD + "%\n")
    code, found = asked(program, "--settings", dump, "--offset", "-150,-100,-40")
    assert (code, found["errors"]) == (0, [])


@pytest.mark.parametrize("content", [b"", b"\0\1\2\xff\xfe", b"(never moves)\n", b"G1", "\ufeffG21\n".encode("utf-16")])
def test_whatever_is_in_the_file_there_is_an_answer(program: Path, content: bytes) -> None:
    program.write_bytes(content)
    code, found = asked(program)
    assert code in (0, 1)
    assert (found["bounds"], found["seconds"], found["tools"]) == (None, 0.0, [])


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    large = tmp_path / "large.nc"
    with large.open("wb") as file:
        os.truncate(file.fileno(), 2_000_000_000)
    code, found = asked(large)
    assert code == 1
    assert [item["code"] for item in found["errors"]] == ["too-large"]
    assert large.stat().st_size > MAX_BYTES
    for command in (("time",), ("preview", "-o", tmp_path / "o.png"), ("stock", "-o", tmp_path / "o.stl")):
        assert run(command[0], large, *command[1:]).exit_code == 1


def test_long_programs_leave_the_seconds_of_each_line_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.program_report.MOST_LINE_SECONDS", 10)
    path = tmp_path / "long.nc"
    path.write_text("G1 F600\n" + "X1\nX0\n" * 20)
    assert "line_seconds" not in asked(path)[1]
    assert len(json.loads(run("time", path, "--json").stdout)["line_seconds"]) == 41


def test_people_read_sentences(program: Path, dump: Path) -> None:
    said = run("check", program, "--settings", dump, "--offset=-150,-100,-40")
    assert said.exit_code == 0
    assert "reaches X 0 to 60, Y 0 to 50, Z -1 to 5 mm" in said.stdout
    assert "No error." in said.stdout
    program.write_text("G1 X1\nG1 X[bold]\n")
    said = run("check", program)
    assert said.exit_code == 1
    assert "line 1" in said.stdout
    assert "2 errors: the program is refused." in said.stdout


def test_time_is_told_by_what_it_is_for(program: Path, dump: Path) -> None:
    program.write_text(GOOD.replace("M5\n", "G4 P60\nM5\nQ7\n"))
    found = json.loads(run("time", program, "--settings", dump, "--json").stdout)
    assert found["stops_and_dwells_s"] == pytest.approx(60.075, abs=0.06)
    total = found["at_feed_s"] + found["rapids_s"] + found["stops_and_dwells_s"]
    assert total == pytest.approx(found["seconds"], abs=0.01)
    assert found["refused"] == 1
    said = run("time", program, "--settings", dump)
    assert said.exit_code == 1
    assert said.stdout.startswith(f"{found['seconds']:.1f} s (1 min ")
    [sentence] = said.stderr.splitlines()
    assert sentence.startswith("line 12, column 1: ")
    assert "error:20" in sentence


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "has no line that does anything."),
        ("(nothing)\n%\n", "has no line that does anything."),
        ("Q1\nG0 X5\nQ2\nQ3\n", "(2 more) The lines that are refused take no time: see program check."),
    ],
)
def test_time_of_what_is_refused_ends_with_1(program: Path, content: str, why: str) -> None:
    program.write_text(content)
    said = run("time", program)
    assert said.exit_code == 1
    assert said.stderr.strip().endswith(why)
    assert run("time", program, "--json").exit_code == 1


@pytest.mark.parametrize("command", ["preview", "stock"])
def test_what_is_refused_is_missing_in_a_picture_and_told(command: str, program: Path, tmp_path: Path) -> None:
    program.write_text(GOOD + "Q7\nQ8\n")
    said = run(command, program, "-o", tmp_path / "out.png")
    assert said.exit_code == 0
    assert (tmp_path / "out.png").is_file()
    assert said.stderr.strip().endswith("(1 more) What is refused is not shown: see program check.")
    program.write_text("Q7\nM3\n")
    said = run(command, program, "-o", tmp_path / "none.png")
    assert said.exit_code == 1
    assert "never moves" in said.stderr
    assert not (tmp_path / "none.png").exists()


def test_cuts_at_places_that_nobody_knows_are_missing_and_told(program: Path, tmp_path: Path) -> None:
    program.write_text("G0 Z5\nG1 Z-1 F100\nX20\n")
    said = run("stock", program, "-o", tmp_path / "out.png", "--cells", 50)
    assert said.exit_code == 0
    assert "removed 0.0 mm3" in said.stdout
    assert "was not cut: see program check." in said.stderr


def test_slower_settings_take_longer(program: Path, dump: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.txt"
    slow.write_text(DUMP.replace("=200.000\n$121", "=20.000\n$121").replace("$110=3000", "$110=300"))
    times = [json.loads(run("time", program, "--settings", one, "--json").stdout)["seconds"] for one in (dump, slow)]
    assert times[0] * 1.5 < times[1]


def test_the_path_is_drawn(program: Path, tmp_path: Path) -> None:
    picture = tmp_path / "part.png"
    assert run("preview", program, "-o", picture).exit_code == 0
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert 1000 < height < width < 1400


def test_a_program_that_never_moves_has_no_picture(program: Path, tmp_path: Path) -> None:
    program.write_text("M5\n")
    said = run("preview", program, "-o", tmp_path / "part.png")
    assert said.exit_code == 1
    assert "never moves" in said.stderr
    assert not (tmp_path / "part.png").exists()


def test_what_is_left_is_written_as_solid_arrays_and_picture(program: Path, tmp_path: Path) -> None:
    for name in ("a.stl", "a.npz", "a.png"):
        said = run("stock", program, "-o", tmp_path / name, "--cells", 64)
        assert said.exit_code == 0
        assert "lowest cut 1.00 mm under the upper face" in said.stdout
    with np.load(tmp_path / "a.npz") as arrays:
        assert max(arrays["heights"].shape) == 64
        assert float(arrays["top"]) - float(arrays["heights"].min()) == pytest.approx(1.0)
    triangles = struct.unpack("<I", (tmp_path / "a.stl").read_bytes()[80:84])[0]
    assert (tmp_path / "a.stl").stat().st_size == 84 + 50 * triangles > 84
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_bar_is_turned(program: Path, tmp_path: Path) -> None:
    program.write_text("G21 G90 G18\nM3 S800\nG0 X12 Z2\nG1 X10 Z0 F100\nZ-20\nX12\nG0 Z2\nM5\n")
    said = run("stock", program, "--turning", "-o", tmp_path / "bar.npz", "--cells", 220)
    assert said.exit_code == 0, said.output
    assert "bar 24.00 mm thick, 22.00 mm long" in said.stdout
    with np.load(tmp_path / "bar.npz") as arrays:
        assert float(np.median(arrays["radii"])) == pytest.approx(10.0, abs=0.01)
    assert "bar 12.00 mm thick" in run("stock", program, "--diameters", "-o", tmp_path / "bar.stl").stdout
    program.write_text("G0 X1\n")
    assert run("stock", program, "--turning", "-o", tmp_path / "bar.stl").exit_code == 1


def test_a_machine_of_the_lab_brings_its_settings_and_tools(program: Path, lab: Path, dump: Path) -> None:
    program.write_text("T1 M6\n" + GOOD)
    code, found = asked(program, "--machine", "router", "-c", lab, "--offset", "-150,-100,-40")
    assert code == 0
    assert (found["tools"], [item["code"] for item in found["errors"]]) == ([1], ["depth-over-flute"])
    assert found["seconds"] == asked(program, "--settings", dump, "--offset", "-150,-100,-40")[1]["seconds"]
    assert run("time", program, "--machine", "router", "-c", lab).exit_code == 0


def test_a_laser_cuts_with_no_tool(program: Path, lab: Path, dump: Path) -> None:
    program.write_text(GOOD.replace("M3 S900", "M5"))
    asked_for = (program, "--offset", "-150,-100,-40")
    assert asked(*asked_for, "--settings", dump)[1]["errors"]
    assert asked(*asked_for, "--machine", "laser", "-c", lab)[1]["errors"] == []
    dump.write_text(DUMP + "$32=1\n")
    assert asked(*asked_for, "--settings", dump)[1]["errors"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--machine", "mill", "-c", "{lab}"), "has these machines: router, laser, lathe"),
        (("--machine", "lathe", "-c", "{lab}"), "does not tell how it plans"),
        (("--machine", "router", "-c", "{nowhere}"), "nowhere.toml"),
        (("--machine", "router", "--settings", "{nowhere}"), "not both"),
        (("--settings", "{nowhere}"), "No such file"),
        (("--settings", "{program}"), "no line like $110=3000.000"),
        (("--offset", "1,2"), "three numbers"),
        (("--offset", "1,2,x"), "three numbers"),
        (("--offset", "1,2,nan"), "finite"),
    ],
)
def test_a_wrong_question_ends_with_2_and_says_why(
    words: tuple[str, ...], why: str, program: Path, lab: Path, tmp_path: Path
) -> None:
    names = {"{lab}": lab, "{nowhere}": tmp_path / "nowhere.toml", "{program}": program}
    said = run("check", program, *(names.get(word, word) for word in words))
    assert said.exit_code == 2
    assert why in said.stderr


def test_a_machine_whose_settings_nobody_kept_is_not_guessed(program: Path, lab: Path, tmp_path: Path) -> None:
    (tmp_path / "infomobil.db").unlink()
    asyncio.run(_keep(tmp_path / "infomobil.db", ["laser"]))
    said = run("check", program, "--machine", "router", "-c", lab)
    assert said.exit_code == 2
    assert "keep its settings once" in said.stderr


@pytest.mark.parametrize("command", [("check",), ("time",), ("preview", "-o", "a.png"), ("stock", "-o", "a.stl")])
def test_a_file_that_is_not_there_ends_with_2(command: tuple[str, ...], tmp_path: Path) -> None:
    said = run(command[0], tmp_path / "missing.nc", *command[1:])
    assert said.exit_code == 2
    assert "There is no file" in said.stderr


@pytest.mark.parametrize(("command", "name"), [("preview", "a.jpg"), ("stock", "a.obj"), ("stock", "a")])
def test_an_output_of_another_form_is_refused(command: str, name: str, program: Path) -> None:
    said = run(command, program, "-o", name)
    assert said.exit_code == 2
    assert "does not end in" in said.stderr


def test_an_output_that_cannot_be_written_ends_with_2(program: Path, tmp_path: Path) -> None:
    said = run("preview", program, "-o", tmp_path / "no-folder" / "a.png")
    assert said.exit_code == 2
    assert "cannot be written" in said.stderr
