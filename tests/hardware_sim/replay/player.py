# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a trace: the same bytes at the same times, and what came back with its time."""

import json
import os
import select
import termios
import time
import tty
from pathlib import Path
from typing import Any

from .trace import OPENED, Event, Trace, control_line

_ACK_PATIENCE_S = 1.0
_LAST_WORDS_S = 0.3
_STATE_PATIENCE_S = 2.0


def is_ack(line: str) -> bool:
    """The line answers one line of the host."""
    return line == "ok" or line.startswith("error:")


class Player:
    """Plays one trace once.

    The recorded host often waited for an answer before it went on. So does this one: a byte is sent at its recorded
    time, or later if fewer acknowledgements have come than at that point of the recording (one second at most).
    """

    def __init__(self, trace: Trace, port: Path, control: Path | None) -> None:
        self._trace = trace
        self._port = port
        self._control = control
        self._fd = -1
        self._rest = b""
        self._start = 0.0
        self._acks = 0
        self.replies: list[Event] = []

    def play(self) -> list[Event]:
        """Run the scenario; returns the replies with their times."""
        try:
            expected_acks = 0
            for event in self._trace.events:
                if event.direction == "rx":
                    expected_acks += is_ack(event.data)
                    continue
                self._listen_until(event.t)
                if not self._trace.damaged:
                    self._await_acks(expected_acks)
                if event.direction == "tx":
                    self._send(event.data.encode("latin-1"))
                else:
                    self._control_event(event)
            self._listen_until(self._trace.duration + _LAST_WORDS_S)
        finally:
            self._close()
        return self.replies

    def true_state(self) -> dict[str, Any] | None:
        """The simulator's true state, None without a control pipe."""
        if self._control is None:
            return None
        file = self._control.with_name(self._control.name + ".replay-state")
        file.unlink(missing_ok=True)
        self._command(f"state {file}")
        deadline = time.monotonic() + _STATE_PATIENCE_S
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return state

    @property
    def _now(self) -> float:
        return time.monotonic() - self._start

    def _control_event(self, event: Event) -> None:
        if event.data == OPENED:
            self._open()
            if not event.t:
                self._start = time.monotonic()
        line = control_line(event)
        if line is not None:
            if line == "unplug":
                self._close()
            self._command(line)

    def _command(self, line: str) -> None:
        if self._control is not None:
            fd = os.open(self._control, os.O_WRONLY)
            try:
                os.write(fd, line.encode() + b"\n")
            finally:
                os.close(fd)

    def _open(self) -> None:
        self._fd = os.open(self._port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._fd)
        attributes = termios.tcgetattr(self._fd)
        attributes[2] |= termios.CLOCAL | termios.CREAD
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._rest = b""

    def _send(self, data: bytes) -> None:
        if self._fd >= 0:
            os.write(self._fd, data)

    def _listen_until(self, t: float) -> None:
        while (left := t - self._now) > 0:
            self._listen(left)

    def _await_acks(self, count: int) -> None:
        deadline = self._now + _ACK_PATIENCE_S
        while self._acks < count and (left := deadline - self._now) > 0:
            self._listen(left)

    def _listen(self, timeout: float) -> None:
        if self._fd < 0:
            time.sleep(timeout)
            return
        if not select.select([self._fd], [], [], timeout)[0]:
            return
        *lines, self._rest = (self._rest + os.read(self._fd, 4096)).split(b"\n")
        now = self._now
        for line in lines:
            text = line.rstrip(b"\r").decode("latin-1")
            self.replies.append(Event(now, "rx", text))
            self._acks += is_ack(text)
