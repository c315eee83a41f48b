# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that are started, awaited until they answer, and ended by their own process id."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
PR_SET_PDEATHSIG = 1
VAN_PRIORITY = 20
"""Of SCHED_RR: what the service of a van runs with."""
READY_S = 30.0
END_S = 8.0
_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Let the kernel end the child when whoever started it is gone, however it went."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _as_in_a_van() -> None:
    """End with the parent, and keep real time on a busy computer too, where this user may ask for that."""
    _end_with_parent()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(VAN_PRIORITY))


class NotReady(Exception):
    """A process ended, or did not answer in time. The message holds the end of its log."""


def find(program: str) -> str | None:
    """Return the path of a program, also where only root's path has it."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


@dataclass
class Process:
    """One process with its log file. `ready` tells whether it answers, realtime whether it runs as in a van.

    environment replaces that of this process where it is given.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    realtime: bool = False
    environment: dict[str, str] | None = None
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Return the process id."""
        if self.process is None:
            raise NotReady(f"{self.name} was not started")
        return self.process.pid

    @property
    def running(self) -> bool:
        """Return whether the process lives."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start and wait until it answers. Raises NotReady."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_as_in_a_van if self.realtime else _end_with_parent,
            )
        try:
            async with asyncio.timeout(READY_S):
                while not await self.ready():
                    if self.process.returncode is not None:
                        raise NotReady(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await self.stop()
            raise NotReady(f"{self.name} did not answer in {READY_S:.0f} s:\n{self.tail()}") from None

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def signal(self, number: int) -> None:
        """Send a signal, where the process lives."""
        if self.running:
            os.kill(self.pid, number)

    async def stop(self) -> None:
        """Ask it to end, and end it where it does not within END_S."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_S):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it without a word, as a power cut would."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


def python(module: str, *arguments: object) -> list[str]:
    """Return the command line that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


async def port_answers(port: int) -> bool:
    """Return whether something listens on a loopback port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
