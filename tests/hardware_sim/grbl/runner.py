# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the virtual clock at the wall clock times the speed and serves port and control pipe meanwhile."""

import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .board import Board
from .control import ControlError, ControlPipe, obey
from .firmware import Build
from .kernel import INFINITY
from .port import Port
from .wirelog import WireLog

# Unread bytes above this stay with the operating system, as in the buffers of a real adapter.
_WIRE_BACKLOG = 512
# Events closer together than this are served in one go; their virtual times stay exact.
_QUANTUM_S = 0.0004


class Runner:
    """One simulated controller with its port, until :meth:`stop`."""

    def __init__(
        self, link: Path, build: Build, *, speed: float, boot_delay: float, line_cost: float, wirelog: Path | None
    ) -> None:
        self.board = Board(build, self._write, boot_delay=boot_delay * speed, line_cost=line_cost)
        self.link = link
        self.speed = speed
        self.log = WireLog(wirelog)
        self.port: Port | None = None
        self.control: ControlPipe | None = None
        self._started = time.monotonic()
        self._stalled_until = 0.0
        self._running = True
        self._wakeup, self._signals = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)

    def plug(self, link: Path | None) -> None:
        """Make the port appear, perhaps under another name."""
        if self.port is None:
            self.link = link or self.link
            self.port = Port(self.link)

    def unplug(self) -> None:
        """Make the port vanish; the controller has its own supply and goes on."""
        if self.port is not None:
            self.port.close()
            self.port = None
            self.board.rx.clear_wire()

    def stall(self, seconds: float) -> None:
        """Do not read from the port for `seconds` of wall time."""
        self._stalled_until = time.monotonic() + seconds

    def stop(self) -> None:
        self._running = False

    def truth(self) -> dict[str, Any]:
        """The true state with the port's side."""
        return {
            **self.board.truth(),
            "virtual_s": round(self.board.kernel.now, 6),
            "plugged": self.port is not None,
            "held": self.port is not None and self.port.held,
            "link": str(self.link),
            "tx_dropped": self.port.dropped if self.port is not None else 0,
        }

    def default_state_file(self) -> Path:
        base = self.control.path if self.control is not None else self.link
        return base.with_name(base.name + ".state")

    def close(self) -> None:
        self.unplug()
        if self.control is not None:
            self.control.close()
        self.log.close()
        signal.set_wakeup_fd(-1)
        os.close(self._wakeup)
        os.close(self._signals)

    def run(self) -> None:
        """Serve until :meth:`stop` is called (by a signal handler)."""
        self.board.restart()
        self.board.restarts = 0
        while self._running:
            self._catch_up()
            readable = self._wait()
            if readable:
                self._catch_up()
                self._serve(readable)

    def _catch_up(self) -> None:
        self.board.kernel.run_until((time.monotonic() - self._started) * self.speed)

    def _wait(self) -> list[int]:
        fds = [self._wakeup]
        now = time.monotonic()
        timeout: float | None = None
        due = self.board.kernel.next_time
        if due < INFINITY:
            timeout = max(_QUANTUM_S, due / self.speed - (now - self._started))
        if self.control is not None:
            fds.append(self.control.fd)
        if self.port is not None:
            fds.append(self.port.watch.fd)
            if self.port.held:
                if now < self._stalled_until:
                    timeout = min(timeout or INFINITY, self._stalled_until - now)
                elif self.board.rx.backlog < _WIRE_BACKLOG:
                    fds.append(self.port.fd)
        return select.select(fds, [], [], timeout)[0]

    def _serve(self, readable: list[int]) -> None:
        if self.control is not None and self.control.fd in readable:
            for line in self.control.lines():
                self.log.write("ctl", line)
                try:
                    obey(self, line)
                except ControlError as error:
                    sys.stderr.write(f"{error}\n")
        port = self.port
        if port is not None:
            if port.check_holders():
                self.log.write("ctl", "port opened (DTR reset)")
                self.board.restart()
            if port.fd in readable:
                self._receive(port)

    def _receive(self, port: Port) -> None:
        data = port.read()
        if data:
            self.log.write("rx", data.decode("latin-1"))
            self.board.rx.feed(data)

    def _write(self, data: bytes) -> None:
        if self.port is not None:
            self.log.write("tx", data.decode("latin-1"))
            self.port.write(data)
