# SPDX-License-Identifier: GPL-3.0-or-later
"""The black box on real conversations: what it keeps, that it can be played again, and the story that it tells."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.domain.errors import NotFound, ProgramFailed, ProgramInterrupted
from edge.domain.machine import Execution, MachineState
from edge.domain.ports import ProgramText
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.drivers.grbl.blackbox import KEPT, SIZE, BlackBox
from edge.drivers.grbl.link import Direction
from edge.services.clock import SystemClock
from edge.store.recordings import Recordings, UnreadableRecording, load
from edge.story.export import to_json_lines
from edge.story.ring import RING_AT
from edge.story.tell import story
from tests.hardware_sim.grbl.launch import Simulator as Lockstep
from tests.integration.test_guardian import holding
from tests.support.grbl import ROOT, QuietGuardian, Simulator, Watched, eventually, program, simulator


def cut(lines: int = 1500) -> ProgramText:
    """Return a program of short moves, no two lines alike."""
    text = [f"G1X{-10 - (number % 100) / 2:.1f}Y{-10 - number / 10:.1f}F1500" for number in range(lines)]
    return program("G21G90", "M3S800", "G53G0X-10Y-10Z-5", *text, "M5", name="gear")


@asynccontextmanager
async def recorded(port: Path, folder: Path) -> AsyncIterator[Watched]:
    """Run a driver with a black box."""
    settings = GrblSettings(port=str(port), retry_s=0.3)
    guardian = QuietGuardian()
    driver = GrblDriver("router", "Router", "router", settings, SystemClock(), guardian, folder)
    watched = Watched(driver, guardian)
    task = asyncio.create_task(driver.run(), name="driver under test")
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Told:
    """A fault, and sentences that its story has to hold, in their order."""

    do: Callable[[Simulator], None]
    sentences: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    text: ProgramText = cut()  # noqa: RUF009 - a program never changes


def control(line: str) -> Callable[[Simulator], None]:
    return lambda sim: sim.ctl(line)


STORIES = {
    "unplug": Told(
        control("unplug"),
        ("the connection ended: the port is gone", "No stop was sent", "cannot be trusted", "Plug the cable in"),
    ),
    "brown-out": Told(
        control("powercycle"),
        ("the controller restarted by itself", "cannot be trusted", "Look at the supply"),
    ),
    "noise": Told(
        control("noise 0.02"),
        ("First, at", "A hold was sent", "A reset was sent", "Look at the USB cable"),
    ),
    "alarm 1": Told(
        control("limit x on"),
        ("ALARM:1", "A reset was sent", "cannot be trusted", "limit switches"),
        ("--set", "$21=1"),
    ),
    "error": Told(
        lambda _sim: None,
        (
            "the controller refused the line 'G1X' (error:2)",
            "A hold was sent",
            "The position can be trusted",
            "Correct",
        ),
        text=program("G21G90", "G53G0X-10", "G1X", "G1X-20F500", name="gear"),
    ),
    "door": Told(
        control("door open"),
        ("the door was opened", "The last report says Door:", "Close the door"),
        ("--build", "door"),
    ),
    "stop circuit": Told(
        control("estop on"),
        ("the controller answered nothing any more", "A hold was sent", "cannot be trusted", "Look whether the stop"),
    ),
}


def door_stands(state: MachineState) -> bool:
    return state.execution is Execution.INTERRUPTED and not state.feed


@pytest.mark.parametrize("name", STORIES)
async def test_the_story_of_a_fault(tmp_path: Path, name: str) -> None:
    fault = STORIES[name]
    async with simulator(tmp_path, *fault.arguments, speed=5) as sim:
        async with recorded(sim.port, tmp_path / "recordings") as machine:
            await machine.homed()
            job = asyncio.create_task(machine.driver.run_program(fault.text))
            if len(fault.text.lines) > 100:
                await machine.until(lambda s: s.feed and s.line and s.line > 20)
            fault.do(sim)
            if name == "door":
                await machine.until(door_stands)
                await machine.driver.stop()
            with pytest.raises((ProgramFailed, ProgramInterrupted)):
                await job
            if name == "alarm 1":
                await eventually(lambda: "\x18" in sim.received())
    newest = Recordings(tmp_path / "recordings").newest_first("router")[0]
    assert newest.program == "gear"
    assert newest.ended
    sentences = " ".join(story(Recordings(tmp_path / "recordings").load("router", newest.name)))
    places = [sentences.find(sentence) for sentence in fault.sentences]
    assert -1 not in places, sentences
    assert places == sorted(places), sentences
    assert "the program 'gear'" in sentences


async def test_a_recording_can_be_played_again(tmp_path: Path) -> None:
    """A whole connection with a program in it is answered by a fresh controller as it was by the recorded one."""
    text = program("G21G90", "M3S500", "G1X20Y5F900", "G1X0Y0", "G4P0.2", "M5", name="gear")
    async with simulator(tmp_path, "--set", "$22=0", "--boot-delay", "1.2", speed=1) as sim:
        async with recorded(sim.port, tmp_path / "recordings") as machine:
            await machine.available()
            await machine.driver.run_program(text)
            await asyncio.sleep(0.2)
    newest = Recordings(tmp_path / "recordings").newest_first("router")[0]
    assert newest.ended == "finished"
    record = Recordings(tmp_path / "recordings").load("router", newest.name)
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join(to_json_lines(record)) + "\n", encoding="utf-8")
    settings = record.header["settings"]
    assert isinstance(settings, dict)
    with Lockstep(tmp_path / "again", "--boot-delay", "1.2", "--lockstep", settings=settings) as again:
        command = [sys.executable, "-m", "tests.hardware_sim.replay", str(export), "--port", str(again.port)]
        command += ["--ctl", str(again.control), "--lockstep", "--all"]
        played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)  # noqa: ASYNC221
    # The recorded simulator ran in real time: a busy computer delays its answers, and shifts what a moving machine
    # reports, and with their number the report that carries the overrides; what the last `?` asked for may come after
    # the recording's end. All else that was said must be equal.
    differences = [line for line in played.stdout.splitlines() if line.startswith("gear:")]
    now_and_then = r"(?:\|(?:WCO|Ov|A):[^|>]*)*>'"
    same = rf"recorded '(<.*?\|FS:[^|>]*){now_and_then}, seen '\1{now_and_then}"
    bearable = rf": [+-]\d+ ms: |recorded '<Run|seen '<Run|{same}|: \d+ reports recorded, \d+ seen"
    assert all(re.search(bearable, line) for line in differences), played.stdout + played.stderr
    replies, seen = played.stdout.splitlines()[1].split()[1:3]
    assert int(seen) - int(replies) in (0, 1)
    assert int(replies) > 60


KILLED = """
import asyncio, sys
from pathlib import Path
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.services.clock import SystemClock
from tests.integration.test_grbl_blackbox import cut
from tests.support.grbl import QuietGuardian

async def main():
    port, folder = sys.argv[1:]
    driver = GrblDriver("router", "R", "router", GrblSettings(port=port), SystemClock(), QuietGuardian(), Path(folder))
    running = asyncio.create_task(driver.run())
    while not driver.state().machine_position:
        await asyncio.sleep(0.02)
    await driver.home()
    await driver.run_program(cut())

asyncio.run(main())
"""


async def test_a_recording_survives_the_death_of_the_service(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim:
        command = (sys.executable, "-c", KILLED, str(sim.port), str(tmp_path / "recordings"))
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        await eventually(lambda: "G1X-20.0Y" in sim.received())
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        received = sim.received()
    newest = Recordings(tmp_path / "recordings").newest_first("router")[0]
    record = Recordings(tmp_path / "recordings").load("router", newest.name)
    sent = "".join(event.data for event in record.events if event.direction == "tx")
    assert received.startswith(sent) or sent.startswith(received)
    sentences = " ".join(story(record))
    assert "The recording ends while the program runs" in sentences


async def test_the_story_of_a_service_that_was_stopped_by_its_guardian(tmp_path: Path) -> None:
    async with simulator(tmp_path, speed=5) as sim, holding(sim) as holder:
        holder.process.send_signal(signal.SIGSTOP)
        await eventually(lambda: "\x18" in sim.received())
        holder.process.send_signal(signal.SIGCONT)
        await holder.hears("fault")
        assert await holder.process.wait() == 0
    newest = Recordings(tmp_path / "recordings").newest_first("router")[0]
    sentences = " ".join(story(Recordings(tmp_path / "recordings").load("router", newest.name)))
    assert "this service was held up, so that the guardian may have stopped the machine" in sentences
    assert "cannot be trusted" in sentences
    assert "What to do: Look at the machine. The computer was busy" in sentences


def test_a_few_newest_recordings_of_programs_are_kept(tmp_path: Path) -> None:
    box = BlackBox(tmp_path, "router", SystemClock())
    for number in range(KEPT + 3):
        box.opened("/dev/x", 115200)
        box.seen(Direction.OUT, b"?")
        box.begin(f"p{number}", 10, "Grbl 1.1h")
    for _ in range(5):
        box.opened("/dev/x", 115200)
    box.close()
    box.close()
    box.seen(Direction.IN, b"ok\r\n")
    kept = Recordings(tmp_path).newest_first("router")
    assert [entry.program for entry in kept] == [None, *(f"p{number}" for number in range(KEPT + 2, 3, -1))]
    assert len(list((tmp_path / "router").iterdir())) == KEPT
    record = Recordings(tmp_path).load("router", kept[1].name)
    assert [event.data for event in record.events][:2] == ["port opened (DTR reset)", "?"]


def test_a_long_connection_is_not_carried_into_the_recording_of_a_program(tmp_path: Path) -> None:
    box = BlackBox(tmp_path, "router", SystemClock())
    box.opened("/dev/x", 115200)
    for _ in range(SIZE // 1000):
        box.seen(Direction.IN, b"x" * 1000)
    box.begin("gear", 10, "Grbl 1.1h")
    box.close()
    sizes = [path.stat().st_size for path in (tmp_path / "router").iterdir()]
    assert sizes == [RING_AT + SIZE, RING_AT + SIZE]
    newest = Recordings(tmp_path).newest_first("router")[0]
    assert [event.data for event in Recordings(tmp_path).load("router", newest.name).events] == ["host: program begins"]


def test_a_disk_that_refuses_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "router").write_text("in the way", encoding="ascii")
    box = BlackBox(tmp_path, "router", SystemClock())
    for _ in range(2):
        box.opened("/dev/x", 115200)
        box.seen(Direction.OUT, b"?")
        box.mark("alarm", code="ALARM:1")
    box.close()
    assert caplog.text.count("does not record") == 1
    BlackBox(None, "router", SystemClock()).opened("/dev/x", 115200)
    (tmp_path / "router").unlink()
    box.opened("/dev/x", 115200)
    box.close()
    assert len(Recordings(tmp_path).newest_first("router")) == 1


def test_a_full_disk_leaves_no_half_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, before[1]))
    try:
        box = BlackBox(tmp_path, "router", SystemClock())
        box.opened("/dev/x", 115200)
        box.seen(Direction.OUT, b"?")
        box.ended("finished")
        box.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "No space left" in caplog.text
    assert list((tmp_path / "router").iterdir()) == []


def test_what_is_no_recording_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "router"
    folder.mkdir()
    (folder / "000001.ring").write_bytes(b"IMRING1\n")
    (folder / "notes.txt").write_text("G0X1", encoding="ascii")
    assert Recordings(tmp_path).newest_first("router") == []
    assert Recordings(tmp_path).newest_first("laser") == []
    for name in ("000002", "../router/000001", ""):
        with pytest.raises(NotFound):
            Recordings(tmp_path).load("router", name)
    for path in (folder / "000001.ring", folder / "notes.txt", tmp_path / "nothing", tmp_path):
        with pytest.raises(UnreadableRecording, match="cannot be read"):
            load(path)


def test_the_command_line_explains_and_exports(tmp_path: Path) -> None:
    trace = ROOT / "tests" / "data" / "grbl_traces" / "unplug_in_motion.jsonl"
    run = (sys.executable, "-m", "edge", "explain")
    told = subprocess.run([*run, str(trace)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert "the USB cable was unplugged" in told.stdout
    lines = subprocess.run(
        [*run, "--export", str(trace)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert lines.stdout.splitlines()[-1] == '{"end": true, "truth": {}}'
    refused = subprocess.run([*run, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert refused.returncode == 2
    assert "cannot be read: Is a directory" in refused.stderr
