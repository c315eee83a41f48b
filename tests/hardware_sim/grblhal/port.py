# SPDX-License-Identifier: GPL-3.0-or-later
"""The TCP port of the controller in the place of a pseudo terminal: one host at a time, no reset by opening.

grblHAL greets whoever connects, in whatever state it is, once it has started (core, stream.c).
"""

import contextlib
import socket
from pathlib import Path

from .dialect import WELCOME, to_hal

_READ_SIZE = 256


class Listening:
    """The socket whose readiness says that somebody connects."""

    def __init__(self, sock: socket.socket) -> None:
        self.fd = sock.fileno()


class TcpPort:
    """What the simulated controller's runner uses of a port. `link` is a file that stands while the port does."""

    started = False
    """Whether the controller has said its own welcome; it outlives a cable that was pulled."""

    def __init__(self, number: int, link: Path) -> None:
        self.link = link
        self._server = socket.create_server(("127.0.0.1", number))
        self._server.setblocking(False)
        self._host: socket.socket | None = None
        self._rest = b""
        self.watch = Listening(self._server)
        self.dropped = 0
        link.write_text(f"socket://127.0.0.1:{number}\n", encoding="ascii")

    @property
    def held(self) -> bool:
        """Whether a host is connected."""
        return self._host is not None

    @property
    def fd(self) -> int:
        """The connection, or -1."""
        return self._host.fileno() if self._host is not None else -1

    def check_holders(self) -> bool:
        """Accept a host; a second one is turned away. Never resets the board."""
        with contextlib.suppress(BlockingIOError):
            while True:
                newcomer, _ = self._server.accept()
                if self._host is not None:
                    newcomer.close()
                    continue
                newcomer.setblocking(False)
                newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._host, self._rest = newcomer, b""
                if self.started:
                    newcomer.send(b"\r\n" + WELCOME)
        return False

    def read(self) -> bytes:
        """What the host wrote, at most 256 bytes; empty if nothing or nobody is there."""
        if self._host is None:
            return b""
        try:
            data = self._host.recv(_READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._host.close()
            self._host = None
        return data

    def write(self, data: bytes) -> int:
        """Give the lines in `data` to the host in grblHAL's words. Returns how many bytes of `data` were taken."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if any(line.startswith(b"Grbl") for line in lines):
            TcpPort.started = True
        if self._host is None:
            return 0
        said = b"".join(to_hal(line + b"\n") for line in lines)
        try:
            written = self._host.send(said) if said else 0
        except OSError:
            written = 0
        self.dropped += len(said) - written
        return len(data)

    def close(self) -> None:
        """Take the controller off the network."""
        self.link.unlink(missing_ok=True)
        self._server.close()
        if self._host is not None:
            self._host.close()
            self._host = None
