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
from .builds import Build
from .control import ControlError, ControlPipe, obey
from .kernel import INFINITY
from .port import Port
from .wirelog import WireLog

# Unread bytes above this stay with the operating system, as in the buffers of a real adapter.
_WIRE_BACKLOG = 512
# Events closer together than this are served in one go; their virtual times stay exact.
_QUANTUM_S = 0.0004
_BACKLOG_LOOK_S = 0.005
_LOCKSTEP_PATIENCE_S = 2.0


class Runner:
    """One simulated controller with its port, until :meth:`stop`."""

    def __init__(
        self,
        link: Path,
        build: Build,
        *,
        speed: float,
        boot_delay: float,
        line_cost: float,
        wirelog: Path | None,
        lockstep: bool,
    ) -> None:
        self.board = Board(build, self._write, boot_delay=boot_delay * speed, line_cost=line_cost)
        self.link = link
        self.speed = speed
        self.log = WireLog(wirelog)
        self.port: Port | None = None
        self.control: ControlPipe | None = None
        self._started = time.monotonic()
        self._stalled_until = 0.0
        self._lockstep = lockstep
        self._received = self._sent = 0
        self.late_s = 0.0
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

    def advance(self, when: float, received: int) -> None:
        """Let virtual time go to second `when`, or to the next line sent to the host, whichever comes first.

        Only in lockstep. Before that, wait for the host's bytes up to `received` in total. The answer is a line
        ``T BYTES`` in the FIFO ``<ctl>.clock``: the virtual second reached, and the bytes sent to the host so far.
        """
        if not self._lockstep or self.control is None:
            raise ValueError(when)
        deadline = time.monotonic() + _LOCKSTEP_PATIENCE_S
        self._check_port()
        while self.port is not None and self._received < received and time.monotonic() < deadline:
            if select.select([self.port.fd], [], [], _LOCKSTEP_PATIENCE_S)[0]:
                self._receive(self.port)
        kernel, sent = self.board.kernel, self._sent
        while kernel.next_time <= when and self._sent == sent:
            kernel.run_until(kernel.next_time)
        if self._sent == sent:
            kernel.run_until(when)
        self.control.answer(f"{kernel.now!r} {self._sent}")

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
            "late_s": round(self.late_s, 4),
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
        if self._lockstep:
            return
        kernel = self.board.kernel
        now = (time.monotonic() - self._started) * self.speed
        due = kernel.next_time
        if due < now:
            self.late_s = max(self.late_s, (now - due) / self.speed)
        kernel.run_until(now)
        self.board.rx.pump()

    def _wait(self) -> list[int]:
        fds = [self._wakeup]
        now = time.monotonic()
        timeout: float | None = None
        due = self.board.kernel.next_time
        if due < INFINITY and not self._lockstep:
            timeout = max(_QUANTUM_S, due / self.speed - (now - self._started))
        if self.control is not None:
            fds.append(self.control.fd)
        if self.port is not None:
            fds.append(self.port.watch.fd)
            if self.port.held and not self._lockstep:
                if now < self._stalled_until:
                    timeout = min(timeout or INFINITY, self._stalled_until - now)
                elif self.board.rx.backlog < _WIRE_BACKLOG:
                    fds.append(self.port.fd)
                else:
                    timeout = min(timeout or INFINITY, _BACKLOG_LOOK_S)
        return select.select(fds, [], [], timeout)[0]

    def _serve(self, readable: list[int]) -> None:
        if self.control is not None and self.control.fd in readable:
            for line in self.control.lines():
                self.log.write("ctl", line)
                try:
                    obey(self, line)
                except ControlError as error:
                    sys.stderr.write(f"{error}\n")
        self._check_port()
        port = self.port
        if port is not None and port.fd in readable:
            self._receive(port)

    def _check_port(self) -> None:
        if self.port is not None and self.port.check_holders():
            self.log.write("ctl", "port opened (DTR reset)")
            self.board.restart()

    def _receive(self, port: Port) -> None:
        data = port.read()
        if data:
            self._received += len(data)
            self.log.write("rx", data.decode("latin-1"))
            self.board.rx.feed(data)

    def _write(self, data: bytes) -> None:
        if self.port is not None:
            self.log.write("tx", data.decode("latin-1"))
            self._sent += self.port.write(data)
