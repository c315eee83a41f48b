# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's side of the server's process: starts it, writes to it without ever waiting, reads what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from edge.opcua_server.facts import Plan, Report, report_of, to_line

COMMAND = (sys.executable, "-m", "edge.opcua_server")
_FULL = 65_536
_END_S = 3.0


class Child:
    """One life of the process."""

    def __init__(self, process: asyncio.subprocess.Process, on_report: Callable[[Report], None]) -> None:
        self._process = process
        self._on_report = on_report

    @classmethod
    async def start(cls, plan: Plan, on_report: Callable[[Report], None]) -> Child:
        """Start a process and tell it the plan. Raises OSError."""
        # A session of its own: a Ctrl-C at the terminal is for the service, whose end closes the pipe.
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        child = cls(process, on_report)
        child.write(to_line(plan))
        return child

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    @property
    def has_room(self) -> bool:
        """Return whether more may be written: a process that does not read must not fill this one's memory."""
        stdin = self._process.stdin
        return stdin is not None and not stdin.is_closing() and stdin.transport.get_write_buffer_size() < _FULL

    def write(self, line: bytes) -> None:
        """Hand over a line."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    async def ended(self) -> int:
        """Pass on what the process reports until it has ended; return its exit status."""
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            with contextlib.suppress(ValueError):
                self._on_report(report_of(line))
        return await self._process.wait()

    async def stop(self) -> None:
        """Close the pipe, which ends the process; one that does not end by itself is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._process.stdout is not None:
            # What is left of its reports, so that the pipe's transport closes.
            await self._process.stdout.read()
