# SPDX-License-Identifier: GPL-3.0-or-later
"""A cable with a will of its own: lies between a driver and a controller, and lets through what a test says."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Change = Callable[[bytes], bytes]


def untouched(data: bytes) -> bytes:
    return data


class Meddler:
    """Passes the host's bytes on as `outward` makes them, and the controller's lines as `inward` makes them."""

    def __init__(self, controller: Path) -> None:
        self.outward: Change = untouched
        self.inward: Change = untouched
        self._controller = os.open(controller, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._controller)
        attributes = termios.tcgetattr(self._controller)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._controller, termios.TCSANOW, attributes)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = Path(os.ttyname(self._slave))
        self._rest = b""

    def __enter__(self) -> Meddler:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._from_host)
        loop.add_reader(self._controller, self._from_controller)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_reader(self._controller)
        for descriptor in (self._master, self._slave, self._controller):
            os.close(descriptor)

    def deaf(self, deaf: bool) -> None:
        """Stop taking bytes from the host, or take them again: they pile up in the port.

        What the port has given out by now still goes through: no host can take that back.
        """
        loop = asyncio.get_running_loop()
        if deaf:
            loop.remove_reader(self._master)
            with suppress(BlockingIOError):
                self._from_host()
        else:
            loop.add_reader(self._master, self._from_host)

    def _from_host(self) -> None:
        os.write(self._controller, self.outward(os.read(self._master, 4096)))

    def _from_controller(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._controller, 4096)).split(b"\n")
        for line in lines:
            os.write(self._master, self.inward(line + b"\n"))


class Swallow:
    """Loses the lines that begin so: `skip` of them pass, then `count` are lost."""

    def __init__(self, begin: bytes, *, skip: int = 0, count: int = 1) -> None:
        self._begin = begin
        self._skip = skip
        self._count = count
        self.lost = 0

    def __call__(self, line: bytes) -> bytes:
        if not line.startswith(self._begin):
            return line
        if self._skip:
            self._skip -= 1
            return line
        if self.lost == self._count:
            return line
        self.lost += 1
        return b""


def wrong_baud(data: bytes) -> bytes:
    """What is left of bytes at another rate: more and other bytes, no line end among them."""
    return bytes((byte * 7 + 0x83) & 0x7F | 0x80 for byte in data)
