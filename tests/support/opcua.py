# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated lathe in its own process, and what tests of the OPC UA driver need around it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge.domain.machine import Availability, MachineState
from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.settings import OpcUaSettings
from edge.services.clock import SystemClock
from tests.hardware_sim.lab.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


def settings(endpoint: str, **changes: Any) -> OpcUaSettings:
    """Return settings with short times, of a server without security."""
    quick = {
        "driver": "opcua",
        "endpoint": endpoint,
        "security": "none",
        "publishing_ms": 50,
        "sampling_ms": 20,
        "watchdog_s": 1.5,
        "timeout_s": 2.0,
        "retry_min_s": 0.1,
        "retry_max_s": 0.3,
        "refresh_s": 0.4,
        "input_refresh_s": 0.2,
    }
    return OpcUaSettings.model_validate({**quick, **changes})


class Lathe:
    """The process of `python -m tests.hardware_sim.opcua_lathe` and its control lines."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/lathe"
        self._control = folder / "lathe.control"
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.hardware_sim.opcua_lathe", "--endpoint", self.endpoint, "--ctl", str(self._control)),
            *self._arguments,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        await self._line()

    async def ctl(self, line: str) -> dict[str, Any]:
        """Do something to the lathe; return its state after that."""
        self.ask(line)
        facts = await self._line()
        assert facts.get("done") == line, facts
        return facts

    def ask(self, line: str) -> None:
        """Write a control line; `answer` reads what becomes of it."""
        with self._control.open("w", encoding="utf-8") as pipe:
            pipe.write(f"{line}\n")

    async def answer(self) -> dict[str, Any]:
        """Return what became of a control line."""
        return await self._line()

    async def kill(self) -> None:
        """End the process at once, as a loss of power does."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()
        self._process = None

    async def stop(self) -> None:
        """End the process in order."""
        if self._process is not None:
            self._process.terminate()
            await self._process.communicate()
            assert self._process.returncode == 0, self._process.returncode
            self._process = None

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        facts: dict[str, Any] = json.loads(line)
        return facts


@asynccontextmanager
async def lathe_process(folder: Path, *arguments: str) -> AsyncIterator[Lathe]:
    """Run a lathe on a free port of loopback."""
    lathe = Lathe(folder, free_port(), *arguments)
    await lathe.start()
    try:
        yield lathe
    finally:
        await lathe.stop()


class Watched:
    """A driver that runs, and every state that it reported."""

    def __init__(self, driver: OpcUaDriver) -> None:
        self.driver = driver
        self.states: list[MachineState] = []
        self._changed = asyncio.Condition()
        self._arrived = asyncio.Event()
        driver.subscribe(self._note)

    def _note(self, state: MachineState) -> None:
        self.states.append(state)
        self._arrived.set()

    async def until(self, predicate: Callable[[MachineState], bool], what: str = "") -> MachineState:
        """Wait until the driver's state is as told; return it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not predicate(self.driver.state()):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"never came: {what or predicate}; last: {self.driver.state()}") from None
        return self.driver.state()

    async def until_available(self) -> MachineState:
        """Wait until the machine is heard."""
        return await self.until(lambda state: state.availability is Availability.AVAILABLE, "available")

    async def until_unavailable(self) -> MachineState:
        """Wait until the machine is not heard."""
        return await self.until(lambda state: state.availability is Availability.UNAVAILABLE, "unavailable")


@asynccontextmanager
async def watched(endpoint: str, **changes: Any) -> AsyncIterator[Watched]:
    """Run a driver for `endpoint`, and cancel it at the end."""
    driver = OpcUaDriver("lathe-1", "Lathe", "lathe", settings(endpoint, **changes), SystemClock())
    watch = Watched(driver)
    task = asyncio.create_task(driver.run(), name="lathe-1")
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
