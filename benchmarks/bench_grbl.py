# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the GRBL driver's streaming against bare pyserial, and its window against the ones that were not chosen."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import serial
from grbl_streamer import GrblStreamer

from edge.domain.machine import Execution
from edge.domain.ports import ProgramText
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.drivers.grbl.streamer import JobStreamer
from edge.services.clock import SystemClock

LINES = tuple(f"G1X{n % 97 + n / 1000 % 1:.3f}Y{n % 89 + n / 1000 % 1:.3f}F1500" for n in range(20_000))
WINDOW = 127
REPEATS = 3


class NoGuardian:
    """Minds nothing."""

    alive = True

    def in_time(self, machine_id: str) -> bool:
        """Never late: nobody stops this machine."""
        return True

    def watch(self, machine_id: str, descriptor: int) -> None:
        """Forget it."""

    def unwatch(self, machine_id: str) -> None:
        """Forget it."""

    async def arm(self, machine_id: str) -> None:
        """Forget it."""

    async def disarm(self, machine_id: str) -> None:
        """Forget it."""


class OwnWindow:
    """The window that was not chosen: forty lines of our own."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self._lines: Sequence[str] = ()
        self._next = self._fill = 0
        self._in_flight: deque[int] = deque()

    def start(self, lines: Sequence[str]) -> bytes:
        """Begin."""
        self._lines = lines
        return self._more()

    def acknowledge(self) -> bytes:
        """Go on."""
        self._fill -= self._in_flight.popleft()
        self.acknowledged += 1
        return self._more()

    def _more(self) -> bytes:
        out = bytearray()
        while self._next < len(self._lines):
            data = self._lines[self._next].encode("ascii") + b"\n"
            if self._fill + len(data) > WINDOW:
                break
            self._fill += len(data)
            self._in_flight.append(len(data))
            self._next += 1
            out += data
        return bytes(out)


class WithCleanUp(GrblStreamer):  # type: ignore[misc]
    """grbl-streamer as it comes, without its port."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self._out: list[str] = []
        super().__init__(self._event)

    def _event(self, event: str, *_: object) -> None:
        self.acknowledged += event == "on_processed_command"

    def _iface_write(self, line: str) -> None:
        self._out.append(line)

    def start(self, lines: Sequence[str]) -> bytes:
        """Begin."""
        self.write(list(lines))
        self.job_run()
        return self._taken()

    def acknowledge(self) -> bytes:
        """Go on."""
        self._handle_ok()
        return self._taken()

    def _taken(self) -> bytes:
        data = "".join(self._out).encode("ascii")
        self._out.clear()
        return data


@contextlib.contextmanager
def responder() -> Iterator[Path]:
    """Run a controller that answers at once; yield its port."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "port"
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("grbl_responder.py")), str(link)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            yield link
            assert process.stdin is not None
            process.stdin.close()


def by_pyserial(port: Path) -> tuple[float, float]:
    """Stream by the plainest loop there is; return wall and CPU seconds."""
    with serial.Serial(str(port), 115200, timeout=1) as line:
        wall, cpu = time.perf_counter(), time.process_time()
        in_flight: deque[int] = deque()
        fill = acknowledged = 0
        rest = b""
        for text in LINES:
            data = text.encode("ascii") + b"\n"
            while fill + len(data) > WINDOW or (not in_flight and fill):
                *lines, rest = (rest + line.read(max(1, line.in_waiting))).split(b"\n")
                for answer in lines:
                    if answer.strip() == b"ok":
                        fill -= in_flight.popleft()
                        acknowledged += 1
            line.write(data)
            in_flight.append(len(data))
            fill += len(data)
        while acknowledged < len(LINES):
            *lines, rest = (rest + line.read(max(1, line.in_waiting))).split(b"\n")
            acknowledged += sum(answer.strip() == b"ok" for answer in lines)
        return time.perf_counter() - wall, time.process_time() - cpu


async def by_driver(port: Path) -> tuple[float, float]:
    """Stream by the driver; return wall and CPU seconds, checks and final dwell included."""
    settings = GrblSettings(port=str(port), welcome_s=0.1)
    driver = GrblDriver("bench", "Bench", "router", settings, SystemClock(), NoGuardian())
    ready = asyncio.Event()
    driver.subscribe(lambda state: ready.set() if state.execution is Execution.READY else None)
    running = asyncio.create_task(driver.run())
    try:
        await ready.wait()
        program = ProgramText("bench", LINES, tuple(range(1, len(LINES) + 1)))
        wall, cpu = time.perf_counter(), time.process_time()
        await driver.run_program(program)
        return time.perf_counter() - wall, time.process_time() - cpu
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def by_streamer(port: Path) -> float:
    """Stream by grbl-streamer as it comes, threads and clean-up included; return CPU seconds."""
    booted, completed = threading.Event(), threading.Event()

    def heard(event: str, *_: object) -> None:
        if event == "on_boot":
            booted.set()
        elif event == "on_job_completed":
            completed.set()

    streamer = GrblStreamer(heard)
    cpu = time.process_time()
    streamer.cnect(str(port))
    try:
        if not booted.wait(10):
            raise OSError("grbl-streamer saw no welcome")
        streamer.write(list(LINES))
        streamer.job_run()
        if not completed.wait(60):
            raise OSError("grbl-streamer did not come to the end")
        return time.process_time() - cpu
    finally:
        streamer.disconnect()


def window_ms(make: Callable[[], JobStreamer | OwnWindow | WithCleanUp]) -> float:
    """Return the CPU time of a window per 1000 lines, in ms; best of some runs."""
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        window = make()
        window.start(LINES)
        while window.acknowledged < len(LINES):
            window.acknowledge()
        best = min(best, time.process_time() - begin)
    return best * 1e6 / len(LINES)


def run() -> list[dict[str, object]]:
    """Return the rows of the table."""
    bare_wall = bare_cpu = wall = cpu = float("inf")
    for _ in range(REPEATS):
        with responder() as port:
            bare_wall, bare_cpu = min((bare_wall, bare_cpu), by_pyserial(port))
        with responder() as port:
            wall, cpu = min((wall, cpu), asyncio.run(by_driver(port)))
    with responder() as port:
        streamer_cpu = by_streamer(port)
    lines, scale = len(LINES), 1e6 / len(LINES)
    chosen, own, whole = window_ms(lambda: JobStreamer(WINDOW)), window_ms(OwnWindow), window_ms(WithCleanUp)
    return [
        row("GRBL: lines streamed", lines / wall, "lines/s", "bare pyserial, character counting", lines / bare_wall),
        row("GRBL: CPU of streaming", cpu * scale, "ms/1000 lines", "bare pyserial", bare_cpu * scale),
        row("GRBL: CPU of streaming", cpu * scale, "ms/1000 lines", "grbl-streamer as it comes", streamer_cpu * scale),
        row("GRBL: CPU of the window", chosen, "ms/1000 lines", "grbl-streamer with its clean-up", whole),
        row("GRBL: CPU of the window", chosen, "ms/1000 lines", "forty lines of our own", own),
    ]


def row(name: str, value: float, unit: str, reference: str, reference_value: float) -> dict[str, object]:
    """Return one row."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": value / reference_value,
    }


if __name__ == "__main__":
    for line in run():
        print(line)
