# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` starts: the tour passes, Ctrl-C ends everything, and no process is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.hardware_sim.lab.people import until
from tests.hardware_sim.lab.processes import ROOT

pytestmark = pytest.mark.timeout(240)


async def demo(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.hardware_sim.lab", "--folder", str(folder), *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "160"},
    )


def belonging_to(folder: Path) -> list[str]:
    """Return the command lines of all processes that name `folder`, and of guardians whose edge does."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if str(folder) in line:
            found.append(line)
    return found


def descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [deeper for child in children for deeper in descendants(child)]


async def test_the_tour_of_a_school_visit_is_right(tmp_path: Path) -> None:
    process = await demo(tmp_path / "lab", "--tour")
    output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    assert "every step and the final count are right" in text
    assert belonging_to(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_the_end_of_the_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    process = await demo(tmp_path / "lab")
    assert process.stdout is not None
    async for line in process.stdout:
        if b"Ctrl-C ends all" in line:
            break
    started = descendants(process.pid)
    assert len(started) >= 6
    process.send_signal(number)
    await process.communicate()
    assert process.returncode == (0 if number is signal.SIGINT else -number)
    await until("every process has ended", lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert belonging_to(tmp_path) == []
