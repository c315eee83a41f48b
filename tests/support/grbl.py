# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated GRBL controller in its own process, and what tests of its driver need around it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from edge.domain.machine import Availability, MachineState
from edge.domain.ports import ProgramText
from edge.drivers.grbl import GrblDriver, GrblSettings
from edge.services.clock import SystemClock

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0

NEAR = ("--physical=-3,-3,-3", "--set", "$24=1000")
"""Near the switches, which are looked for quickly: homing takes a second at real speed. Most tests are not about it."""


async def eventually(predicate: Callable[[], object], what: str = "", seconds: float = PATIENCE_S) -> None:
    """Wait until `predicate` is true; fail after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not predicate():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never came true: {what or predicate}") from None


class QuietGuardian:
    """A Guardian that keeps what it is told."""

    alive = True

    def __init__(self) -> None:
        self.watched: dict[str, int] = {}

    def in_time(self, machine_id: str) -> bool:
        return True

    def watch(self, machine_id: str, descriptor: int) -> None:
        os.fstat(descriptor)
        self.watched[machine_id] = descriptor

    def unwatch(self, machine_id: str) -> None:
        os.fstat(self.watched.pop(machine_id))

    async def arm(self, machine_id: str) -> None:
        assert machine_id in self.watched

    async def disarm(self, machine_id: str) -> None:
        assert machine_id


class Simulator:
    """The process of `python -m tests.hardware_sim.grbl`, its control lines and its wire log."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.port = folder / "port"
        self._control = folder / "control"
        self._wirelog = folder / "wire.jsonl"
        self._truth = folder / "truth.json"
        self.process = process

    def ctl(self, line: str) -> None:
        """Do something physical to the machine."""
        with self._control.open("w", encoding="ascii") as pipe:
            pipe.write(f"{line}\n")

    def received(self) -> str:
        """Return all bytes that the controller received so far, as latin-1 text."""
        return "".join(entry["data"] for entry in self.wire() if entry["dir"] == "rx")

    def wire(self) -> list[dict[str, str]]:
        """Return all chunks that crossed the port so far."""
        if not self._wirelog.exists():
            return []
        lines = self._wirelog.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    async def truth(self) -> dict[str, object]:
        """Return the true state of the machine."""
        self._truth.unlink(missing_ok=True)
        self.ctl(f"state {self._truth}")
        await eventually(self._truth.exists, "the simulator tells its state")
        answer: dict[str, object] = json.loads(self._truth.read_text(encoding="utf-8"))
        return answer


@asynccontextmanager
async def simulator(
    folder: Path, *arguments: str, speed: float = 20.0, module: str = "tests.hardware_sim.grbl"
) -> AsyncIterator[Simulator]:
    """Run a simulated controller with homing switched on, and its axes near the switches."""
    place = () if "$22=0" in arguments else NEAR
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, "--link", str(folder / "port"), "--ctl", str(folder / "control")),
        *("--wirelog", str(folder / "wire.jsonl"), "--speed", str(speed), "--set", "$22=1", *place, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        yield Simulator(folder, process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.communicate(), PATIENCE_S)


class Watched:
    """A driver that runs, and every state that it published."""

    def __init__(self, driver: GrblDriver, guardian: QuietGuardian) -> None:
        self.driver = driver
        self.guardian = guardian
        self.states: list[MachineState] = []
        driver.subscribe(self.states.append)

    @property
    def state(self) -> MachineState:
        return self.driver.state()

    async def until(self, predicate: Callable[[MachineState], object], what: str = "") -> MachineState:
        """Wait until the newest state fulfils `predicate`, and return it."""
        await eventually(lambda: predicate(self.driver.state()), what or "a machine state")
        return self.driver.state()

    async def available(self) -> MachineState:
        return await self.until(lambda state: state.availability is Availability.AVAILABLE, "available")

    async def homed(self) -> MachineState:
        await self.available()
        await self.driver.home()
        return self.state


@asynccontextmanager
async def running(port: Path, **settings: object) -> AsyncIterator[Watched]:
    """Run a driver at `port` until the block ends."""
    chosen = GrblSettings.model_validate({"port": str(port), "retry_s": 0.3, **settings})
    guardian = QuietGuardian()
    watched = Watched(GrblDriver("router", "Router", "router", chosen, SystemClock(), guardian), guardian)
    task = asyncio.create_task(watched.driver.run(), name="driver under test")
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not guardian.watched


class Stranger:
    """Some other device behind a pty: answers each line as `answer` says."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = Path(os.ttyname(self._slave))
        self.heard = b""

    def __enter__(self) -> Stranger:
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def _readable(self) -> None:
        data = os.read(self._master, 4096)
        self.heard += data
        os.write(self._master, self._answer(data))


def program(*lines: str, name: str = "test") -> ProgramText:
    """Return a program whose first line stands in line 11 of its source."""
    return ProgramText(name, lines, tuple(range(11, 11 + len(lines))))


LONG = program("G21G90", "M3S800", "G53G0X-10Y-10Z-5", "G1X-250F800", "G1Y-150", "G1X-10", "G1Y-10", "M5")
"""A program of 80 s of motion."""
