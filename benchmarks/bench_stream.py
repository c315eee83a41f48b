# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures streaming to a simulated controller at its own pace: real time, 115,200 baud, 15 blocks, 128 bytes.

A spiral of short segments must never let the planner run empty: the simulator counts the time for which everything
stood between two motions. A program of much shorter segments is bound by the line: what counts is how much of it is
used from the first byte of the program to the last `ok`. Beside both stands the plainest loop of pyserial.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import serial

from benchmarks.bench_grbl import WINDOW
from benchmarks.bench_interlock import as_deployed
from benchmarks.stats import Row, row
from edge.app import NEVER
from edge.domain.ports import ProgramText
from tests.hardware_sim.grbl.uart import BYTE_TIME
from tests.support.grbl import Simulator, running, simulator

SPIRAL = 2_000
TINY = 2_000
FEED = 3_000
STARTED_S = 0.5
PREPARE = ("G21G90", f"G1X-100Y-100Z-10F{FEED}")
REFERENCE = "bare pyserial, character counting"


def spiral(count: int, step_mm: float, *, words: str = "") -> tuple[str, ...]:
    """Return `count` segments of `step_mm` outwards from a radius of 10 mm, machine coordinates."""
    angle, lines = 0.0, []
    for n in range(count):
        radius = 10.0 + 5.0 * n / count
        angle += step_mm / radius
        lines.append(f"{words}X{-110 + radius * math.cos(angle):.3f}Y{-100 + radius * math.sin(angle):.3f}")
    return tuple(lines)


@dataclass
class Streamed:
    """What one run was like: seconds from the first byte to the last `ok`, bytes sent, seconds of starvation."""

    seconds: float
    sent: int
    starved_s: float

    @property
    def starved(self) -> float:
        """Return the share of the time for which the planner was empty, %."""
        return 100 * self.starved_s / self.seconds

    @property
    def unused(self) -> float:
        """Return the share of the line that was not used, %."""
        return 100 * (1 - self.sent * BYTE_TIME / self.seconds)


async def measured(
    device: Simulator, lines: tuple[str, ...], stream: Callable[[], Coroutine[None, None, None]]
) -> Streamed:
    """Stream by `stream`; return what the wire and the controller say about it."""
    seen = len(device.wire())
    streaming = asyncio.create_task(stream())
    await asyncio.sleep(STARTED_S)
    before = float(str((await device.truth())["starved_s"]))
    await streaming
    starved = float(str((await device.truth())["starved_s"])) - before
    wire = [(float(entry["t"]), entry["dir"], entry["data"]) for entry in device.wire()[seen:]]
    begun = next(at for at, direction, data in wire if direction == "rx" and lines[0] in data)
    acknowledged = [(at, data.count("ok")) for at, direction, data in wire if direction == "tx" and at >= begun]
    missing, ended = len(lines), begun
    for at, count in acknowledged:
        if missing > 0:
            missing, ended = missing - count, at
    sent = sum(len(data) for at, direction, data in wire if direction == "rx" and begun <= at <= ended)
    return Streamed(ended - begun, sent, starved)


async def by_driver(folder: Path, lines: tuple[str, ...]) -> Streamed:
    """Stream by the driver."""
    async with simulator(folder, "--set", "$22=0", "--set", "$20=0", speed=1.0) as device, running(device.port) as edge:
        await edge.available()
        await edge.driver.run_program(ProgramText("prepare", PREPARE, (1, 2)))

        async def stream() -> None:
            await edge.driver.run_program(ProgramText("bench", lines, tuple(range(1, len(lines) + 1))))

        return await measured(device, lines, stream)


async def by_pyserial(folder: Path, lines: tuple[str, ...]) -> Streamed:
    """Stream by the plainest loop there is."""
    async with simulator(folder, "--set", "$22=0", "--set", "$20=0", speed=1.0) as device:
        with serial.Serial(str(device.port), 115200, timeout=0.5) as port:
            while b"Grbl" not in port.readline():
                pass
            counted(port, (*PREPARE, "G4P0.01"))

            async def stream() -> None:
                await asyncio.to_thread(counted, port, lines)

            return await measured(device, lines, stream)


def counted(port: serial.Serial, lines: tuple[str, ...]) -> None:
    """Send `lines` by character counting and wait for the last answer. Blocks."""
    waiting: deque[int] = deque()
    rest = b""
    for text in (*lines, ""):
        data = text.encode("ascii") + b"\n"
        while waiting and (not text or sum(waiting) + len(data) > WINDOW):
            *answers, rest = (rest + port.read(max(1, port.in_waiting))).split(b"\n")
            for answer in answers:
                if answer.strip() == b"ok":
                    waiting.popleft()
        if text:
            port.write(data)
            waiting.append(len(data))


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    share = 4 if quick else 1
    # The simulator, too, which takes it over: it stands for hardware, which does not wait for a processor.
    as_deployed()
    gc.set_threshold(*gc.get_threshold()[:2], NEVER)
    paced = (f"G1F{FEED}", *spiral(SPIRAL // share, 0.2))
    bound = spiral(TINY // share, 0.01, words=f"G1F{FEED}")
    found: list[Streamed] = []
    for how, lines in (
        (by_driver, paced),
        (by_pyserial, paced[: len(paced) // 3]),
        (by_driver, bound),
        (by_pyserial, bound[: len(bound) // 2]),
    ):
        with tempfile.TemporaryDirectory() as name:
            found.append(await how(Path(name), lines))
        print(f"    {how.__name__}: {found[-1]}", file=sys.stderr)
    ours, bare, ours_bound, bare_bound = found
    title = f"GRBL, {SPIRAL // share:,} segments of 0.2 mm at {FEED:,} mm/min"
    yield row(f"{title}: planner empty", ours.starved, "% of the time", REFERENCE, bare.starved)
    yield row("GRBL, line-bound: line left unused", ours_bound.unused, "%", REFERENCE, bare_bound.unused)
