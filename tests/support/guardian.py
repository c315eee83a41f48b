# SPDX-License-Identifier: GPL-3.0-or-later
"""A guardian process, and ports of which a test is the other end."""

from __future__ import annotations

import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from edge.guardian.client import GuardianClient
from tests.support.grbl import eventually


class Port:
    """A pty of which the test is the controller."""

    def __init__(self) -> None:
        self.controller, self.host = os.openpty()
        os.set_blocking(self.controller, False)
        os.set_blocking(self.host, False)
        tty.setraw(self.host)

    def heard(self) -> bytes:
        """Return what has arrived since the last call."""
        data = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self.controller, 65536):
                data += chunk
        return data

    async def hears(self, last: bytes) -> bytes:
        """Return what arrives up to a chunk that ends with `last`: the kernel hands bytes over in its own time."""
        data = b""

        def arrived() -> bool:
            nonlocal data
            data += self.heard()
            return data.endswith(last)

        await eventually(arrived, f"the port hears {last!r}")
        return data

    def close(self) -> None:
        for descriptor in (self.controller, self.host):
            with suppress(OSError):
                os.close(descriptor)


@asynccontextmanager
async def guarding(trips: list[str], gone: list[str] | None = None) -> AsyncIterator[GuardianClient]:
    client = GuardianClient(trips.append, ([] if gone is None else gone).append)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


def about(client: GuardianClient, what: str) -> str:
    """Return what the kernel says about the process."""
    return Path(f"/proc/{client.pid}/{what}").read_text(encoding="utf-8")


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that waits for its parent counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
