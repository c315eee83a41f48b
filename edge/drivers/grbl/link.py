# SPDX-License-Identifier: GPL-3.0-or-later
"""An open port, serial or a connection: its descriptor on the asyncio loop, no thread.

Lines may wait in a buffer when the port takes only part of them; real-time bytes never do. They overtake the
buffer, which GRBL permits between any two bytes, and if the port does not take them at once that is an error that
the caller hears of before the call returns.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import termios
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from edge.drivers.grbl.opening import LinkError, Port
from edge.drivers.grbl.protocol import LineSplitter, RealTime

_CHUNK = 4096


class Direction(StrEnum):
    """Which way bytes went, as the host sees it."""

    IN = "rx"
    OUT = "tx"


Tap = Callable[[Direction, bytes], None]
"""Is shown all bytes that crossed the port: read ones before their lines are handled, written ones once written."""


def _unseen(direction: Direction, data: bytes) -> None:
    """Look at no bytes."""


class Link:
    """An open port. `on_line` gets each line, `on_lost` once the reason when the port dies; both on the loop."""

    def __init__(
        self, opened: Port, on_line: Callable[[str], None], on_lost: Callable[[str], None], tap: Tap = _unseen
    ) -> None:
        """Take over an open port. Needs a running loop."""
        self._on_line = on_line
        self._on_lost = on_lost
        self._tap = tap
        self._splitter = LineSplitter()
        self._unsent = bytearray()
        self._lost = False
        self._closed = False
        self._opened = opened
        self._descriptor: int = opened.fileno()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def descriptor(self) -> int:
        """Return the descriptor of the port."""
        return self._descriptor

    def now(self, byte: RealTime) -> None:
        """Write one real-time byte before this returns. Raises LinkError where the port does not take it."""
        if self._lost:
            raise LinkError("the port is gone")
        try:
            os.write(self._descriptor, byte.value)
        except BlockingIOError:
            raise LinkError("the port takes no more bytes") from None
        except OSError as error:
            self._fail(error)
            raise LinkError(_sentence(error)) from error
        self._tap(Direction.OUT, byte.value)

    def send(self, data: bytes) -> None:
        """Write lines, now or as soon as the port takes them. Raises LinkError where the port is gone."""
        if self._lost:
            raise LinkError("the port is gone")
        if self._unsent:
            self._unsent += data
            return
        written = self._written(data)
        if written < len(data) and not self._lost:
            self._unsent += data[written:]
            self._loop.add_writer(self._descriptor, self._writable)

    def discard_unsent(self) -> None:
        """Forget lines that the port has not taken: after a reset nobody waits for them."""
        self._unsent.clear()
        if not self._lost:
            self._loop.remove_writer(self._descriptor)

    def flush(self) -> None:
        """Throw away all that was written and has not left: a stop must not wait behind it."""
        self.discard_unsent()
        # A connection over the network has no such queue of ours.
        with suppress(termios.error):
            termios.tcflush(self._descriptor, termios.TCOFLUSH)

    def close(self) -> None:
        """Close the port; nothing is called back afterwards. May be repeated."""
        if self._closed:
            return
        self._closed = self._lost = True
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        try:
            self._opened.close()
        except (OSError, termios.error) as error:
            # A port that was pulled out can refuse even to be closed; its descriptor is gone all the same.
            if error.args[0] not in (errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF):
                raise

    def _readable(self) -> None:
        """Read what is there and hand out its lines."""
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if not data:
            self._fail(_end_of(self._opened))
            return
        self._tap(Direction.IN, data)
        for line in self._splitter.feed(data):
            if self._lost:
                return
            self._on_line(line)

    def _writable(self) -> None:
        """Write what waits."""
        written = self._written(bytes(self._unsent))
        del self._unsent[:written]
        if not self._unsent:
            self._loop.remove_writer(self._descriptor)

    def _written(self, data: bytes) -> int:
        """Return how many bytes the port took."""
        try:
            count = os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail(error)
            return 0
        self._tap(Direction.OUT, data[:count])
        return count

    def _fail(self, error: OSError) -> None:
        """Tell once that the port is gone. The caller may be in mid decision, so the news comes in its own turn."""
        if self._lost:
            return
        self._lost = True
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._loop.call_soon(self._tell, _sentence(error))

    def _tell(self, reason: str) -> None:
        """Hand on why the port died, unless it was closed meanwhile."""
        if not self._closed:
            self._on_lost(reason)


def _end_of(opened: Port) -> OSError:
    """Return what the end of the bytes means: a serial port has none, a connection is closed by the other side."""
    if isinstance(opened, socket.socket):
        return OSError(errno.ECONNRESET, "end of file")
    return OSError(errno.EIO, "end of file")


def _sentence(error: OSError) -> str:
    """Return why the port died."""
    match error.errno:
        case errno.ECONNRESET | errno.EPIPE:
            return "the controller closed the connection"
        case errno.ETIMEDOUT | errno.EHOSTUNREACH | errno.ENETUNREACH:
            return "the network does not reach the controller any more"
        case _:
            return f"the port is gone ({error.strerror or error})"
