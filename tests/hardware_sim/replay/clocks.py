# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ways to let time pass while a trace is played: the wall clock, or a simulator that waits for its host.

With the wall clock any serial port can be judged, but a busy computer adds its own delays. In lockstep the simulator
(its own process, a real pty) goes on only when it is told to, so the result is the same on every computer.
"""

import os
import select
import termios
import time
import tty
from pathlib import Path
from typing import Protocol

_PATIENCE_S = 10.0


class Line:
    """The host's end of the serial port. Counts are over all opens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self.sent = self.received = 0

    @property
    def fd(self) -> int:
        """File descriptor, -1 when closed."""
        return self._fd

    def open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._fd)
        attributes = termios.tcgetattr(self._fd)
        attributes[2] |= termios.CLOCAL | termios.CREAD
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def send(self, data: bytes) -> None:
        if self._fd >= 0:
            self.sent += os.write(self._fd, data)

    def receive(self, timeout: float) -> bytes:
        """What is there within `timeout` seconds."""
        if self._fd < 0:
            time.sleep(timeout)
            return b""
        if not select.select([self._fd], [], [], timeout)[0]:
            return b""
        data = os.read(self._fd, 4096)
        self.received += len(data)
        return data


class Clock(Protocol):
    """Time as the player sees it: seconds since :meth:`start`."""

    @property
    def now(self) -> float: ...

    def start(self) -> None: ...

    def close(self) -> None: ...

    def listen(self, line: Line, until: float) -> bytes:
        """Let time pass until second `until` or until something arrives, which is returned."""
        ...


class WallClock:
    """Real time. `late_s` is the worst delay of this program's own making."""

    def __init__(self) -> None:
        self._zero = 0.0
        self.late_s = 0.0

    @property
    def now(self) -> float:
        return time.monotonic() - self._zero

    def start(self) -> None:
        self._zero = time.monotonic()

    def close(self) -> None:
        """Nothing to give back."""

    def listen(self, line: Line, until: float) -> bytes:
        data = line.receive(max(0.0, until - self.now))
        if not data:
            self.late_s = max(self.late_s, self.now - until)
        return data


class LockstepClock:
    """Virtual time of a simulator started with ``--lockstep``, moved by control lines."""

    def __init__(self, control: Path) -> None:
        self._control = os.open(control, os.O_WRONLY)
        answers = control.with_name(control.name + ".clock")
        if not answers.exists():
            os.mkfifo(answers)
        self._answers = os.open(answers, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""
        self._zero = self._virtual = 0.0

    @property
    def now(self) -> float:
        return self._virtual - self._zero

    def start(self) -> None:
        self._zero = self._virtual

    def close(self) -> None:
        os.close(self._control)
        os.close(self._answers)

    def listen(self, line: Line, until: float) -> bytes:
        os.write(self._control, f"advance {self._zero + until!r} {line.sent}\n".encode())
        reached, _, total = self._answer().partition(" ")
        self._virtual = float(reached)
        data = b""
        deadline = time.monotonic() + _PATIENCE_S
        while line.fd >= 0 and line.received < int(total) and time.monotonic() < deadline:
            data += line.receive(_PATIENCE_S)
        return data

    def _answer(self) -> str:
        deadline = time.monotonic() + _PATIENCE_S
        while b"\n" not in self._rest:
            if not select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the simulator does not answer in lockstep")
            self._rest += os.read(self._answers, 4096)
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer.decode()
