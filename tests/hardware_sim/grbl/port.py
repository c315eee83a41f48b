# SPDX-License-Identifier: GPL-3.0-or-later
"""The pseudo terminal that stands for the USB serial port, with its DTR line as far as a pty permits.

The last close drops DTR if HUPCL is set in the terminal's settings; an open while DTR is low raises it, which resets
the board. A fresh port has HUPCL set, raw mode and no echo, as a USB serial adapter that somebody configured. A host
that sets another speed than the controller's sends and receives nonsense.
"""

import contextlib
import ctypes
import os
import select
import struct
import termios
import tty
from pathlib import Path

from .baud import CONTROLLER_BAUD, baud_of, resample

_IN_CLOSE_WRITE, _IN_CLOSE_NOWRITE, _IN_OPEN = 0x08, 0x10, 0x20
_IN_EVENT = struct.Struct("iIII")
_READ_SIZE = 256


class OpenWatch:
    """Queued notices of opens and closes of a device node (inotify), so that none is missed."""

    def __init__(self, device: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify is not available")
        mask = _IN_OPEN | _IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE
        if libc.inotify_add_watch(self.fd, os.fsencode(device), mask) < 0:
            number = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(number, f"cannot watch {device}")

    def read(self) -> list[bool]:
        """Notices since the last call: True for an open, False for a close."""
        notices: list[bool] = []
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.fd, 65536)
            at = 0
            while at < len(data):
                _, mask, _, length = _IN_EVENT.unpack_from(data, at)
                at += _IN_EVENT.size + length
                if mask & (_IN_OPEN | _IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE):
                    notices.append(bool(mask & _IN_OPEN))
        return notices

    def close(self) -> None:
        os.close(self.fd)


class Port:
    """One plugged-in adapter. `link` is a symbolic link to the pty's slave side."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.fd, slave = os.openpty()
        os.set_blocking(self.fd, False)
        tty.setraw(slave)
        attributes = termios.tcgetattr(slave)
        attributes[2] |= termios.HUPCL | termios.CLOCAL | termios.CREAD
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.device = os.ttyname(slave)
        os.close(slave)
        self.watch = OpenWatch(self.device)
        self.held = False
        self._dtr = False
        self._holders = 0
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self.dropped = 0
        temporary = link.with_name(link.name + ".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self.device)
        temporary.replace(link)

    def check_holders(self) -> bool:
        """Look who holds the port; True if it was opened while DTR was low (the board must restart)."""
        reset = False
        for opened in self.watch.read():
            self._holders = self._holders + 1 if opened else max(0, self._holders - 1)
            if self._holders == 0 and self.held:
                self._released()
            elif opened and not self.held:
                reset |= self._taken()
        hung_up = any(event & select.POLLHUP for _, event in self._poll.poll(0))
        if hung_up and self.held:
            self._released()
        elif not hung_up and not self.held:
            reset |= self._taken()
        if hung_up:
            self._holders = 0
        return reset

    def _released(self) -> None:
        self.held = False
        attributes = termios.tcgetattr(self.fd)
        self._dtr = not attributes[2] & termios.HUPCL

    def _taken(self) -> bool:
        self.held = True
        self._holders = max(1, self._holders)
        was_low = not self._dtr
        self._dtr = True
        return was_low

    @property
    def baud(self) -> int:
        """The speed that the host has set, bits per second; 0 for none that is known."""
        return baud_of(termios.tcgetattr(self.fd)[5])

    def read(self) -> bytes:
        """What the controller hears of what the host wrote, at most 256 bytes; empty if nothing or nobody is there."""
        try:
            return resample(os.read(self.fd, _READ_SIZE), self.baud, CONTROLLER_BAUD)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        """Give `data` to the host; bytes that nobody reads are lost, as on a real line. Returns how many went."""
        if not self.held:
            return 0
        data = resample(data, CONTROLLER_BAUD, self.baud)
        try:
            written = os.write(self.fd, data)
        except OSError:
            written = 0
        self.dropped += len(data) - written
        return written

    def close(self) -> None:
        """Pull the plug: the device vanishes and the link with it."""
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(self.link) == self.device:
                self.link.unlink()
        self.watch.close()
        os.close(self.fd)
