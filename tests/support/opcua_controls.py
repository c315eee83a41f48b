# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated control in its own process, and its control lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.hardware_sim.lab.ports import free_port
from tests.support.opcua import PATIENCE_S, ROOT


class Control:
    """The process of `python -m tests.hardware_sim.opcua_controls`."""

    def __init__(self, folder: Path, model: str) -> None:
        self.endpoint = f"opc.tcp://127.0.0.1:{free_port()}/control"
        self._ctl = folder / f"{model}.control"
        self._model = model
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.hardware_sim.opcua_controls", "--model", self._model),
            *("--endpoint", self.endpoint, "--ctl", str(self._ctl)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        await self._line()

    async def ctl(self, line: str) -> dict[str, Any]:
        """Do something to the control; return its state after that."""
        with self._ctl.open("w", encoding="utf-8") as pipe:
            pipe.write(f"{line}\n")
        facts = await self._line()
        assert facts.get("done") == line, facts
        return facts

    async def set(self, **values: object) -> None:
        """Set variables by names without a path."""
        for name, value in values.items():
            await self.ctl(f"set {name} {json.dumps(value)}")

    async def stop(self) -> None:
        """End the process in order."""
        assert self._process is not None
        self._process.terminate()
        await self._process.communicate()
        assert self._process.returncode == 0, self._process.returncode

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        facts: dict[str, Any] = json.loads(line)
        return facts


@asynccontextmanager
async def control_process(folder: Path, model: str) -> AsyncIterator[Control]:
    """Run a control on a free port of loopback."""
    control = Control(folder, model)
    await control.start()
    try:
        yield control
    finally:
        await control.stop()
