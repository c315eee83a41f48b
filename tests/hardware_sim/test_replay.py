# SPDX-License-Identifier: GPL-3.0-or-later
"""The replay tool notices what differs, and says so."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .grbl.launch import Simulator
from .replay.compare import compare
from .replay.trace import Event, Trace, load

ROOT = Path(__file__).parents[2]
TRACES = ROOT / "tests" / "data" / "grbl_traces"


@pytest.fixture(scope="module")
def hold() -> Trace:
    return load(TRACES / "hold_resume.jsonl")


def changed(events: list[Event], old: str, new: str) -> list[Event]:
    assert any(old in event.data for event in events)
    return [replace(event, data=event.data.replace(old, new)) for event in events]


def test_a_recording_agrees_with_itself(hold: Trace) -> None:
    result = compare(hold, hold.replies, hold.truth)
    assert result.agrees
    assert result.equal == len(hold.replies)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("S800]", "S700]"),
        ("Hold:0|MPos:22.000", "Hold:0|MPos:25.000"),
        ("Hold:1|MPos:21.892", "Jog|MPos:21.892"),
        ("Idle|MPos:60.000", "Idle|MPos:61.700"),
        ("FS:2400,800|WCO:0.000,0.000,0.000", "FS:2400,800"),
        ("FS:2400,800|WCO", "FS:900,800|WCO"),
    ],
)
def test_a_changed_line_is_found(hold: Trace, old: str, new: str) -> None:
    assert not compare(hold, changed(hold.replies, old, new), None).agrees


def test_a_missing_line_is_found(hold: Trace) -> None:
    assert any("recorded" in line for line in compare(hold, hold.replies[:-1], None).differences)


def test_a_late_answer_is_found(hold: Trace) -> None:
    late = [replace(event, t=event.t + 0.2) if event.data == "ok" else event for event in hold.replies]
    assert any("+200 ms" in line for line in compare(hold, late, None).differences)


def test_a_wrong_end_state_is_found(hold: Trace) -> None:
    truth = {**hold.truth, "spindle": "ccw"}
    assert compare(hold, hold.replies, truth).differences == ["at the end: spindle: recorded off, seen ccw"]


def test_missing_damage_is_found() -> None:
    trace = load(TRACES / "stream_overflow_220.jsonl")
    lines = sum(event.data.count("\n") for event in trace.events if event.direction == "tx")
    perfect = [Event(1.0, "rx", "ok")] * lines + trace.replies
    assert any("nothing was lost" in line for line in compare(trace, perfect, None).differences)


def replay(trace: Path, simulator: Simulator) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.hardware_sim.replay", str(trace), "--port", str(simulator.port)]
    command += ["--ctl", str(simulator.control), "--lockstep", "--all"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


def test_the_command_prints_a_table(hold: Trace, tmp_path: Path) -> None:
    good = TRACES / "hold_resume.jsonl"
    with Simulator(tmp_path / "good", "--boot-delay", "1.2", "--lockstep", settings=hold.settings) as simulator:
        agreed = replay(good, simulator)
    assert agreed.returncode == 0
    assert "agrees" in agreed.stdout
    bad = tmp_path / "bad.jsonl"
    bad.write_text(good.read_text(encoding="utf-8").replace("M3 M9 T0", "M4 M9 T0"), encoding="utf-8")
    with Simulator(tmp_path / "bad", "--boot-delay", "1.2", "--lockstep", settings=hold.settings) as simulator:
        differs = replay(bad, simulator)
    assert differs.returncode == 1
    assert "the first: reply at 3.349 s: text: recorded '[GC:G1 G54 G17 G21 G90 G94 M4 M9" in differs.stdout


def test_every_recording_ends_with_the_true_state() -> None:
    for path in TRACES.glob("*.jsonl"):
        last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        assert last["end"]
        assert load(path).truth == last["truth"]
