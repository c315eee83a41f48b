# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a trace: the same bytes at the same times, and what came back with its time."""

import json
import os
import time
from pathlib import Path
from typing import Any

from .clocks import Clock, Line
from .trace import OPENED, Event, Trace, control_line

_ACK_PATIENCE_S = 1.0
_LAST_WORDS_S = 0.3
_STATE_PATIENCE_S = 10.0


def is_ack(line: str) -> bool:
    """The line answers one line of the host."""
    return line == "ok" or line.startswith("error:")


class Player:
    """Plays one trace once.

    The recorded host often waited for an answer before it went on. So does this one: a byte is sent at its recorded
    time, or later if fewer acknowledgements have come than at that point of the recording (one second at most).
    """

    def __init__(self, trace: Trace, port: Path, control: Path | None, clock: Clock) -> None:
        self._trace = trace
        self._line = Line(port)
        self._control = control
        self._clock = clock
        self._rest = b""
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
                    self._line.send(event.data.encode("latin-1"))
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
            time.sleep(0.005)
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return state

    def _control_event(self, event: Event) -> None:
        if event.data == OPENED:
            self._line.open()
            if not event.t:
                self._clock.start()
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

    def _close(self) -> None:
        self._line.close()
        self._rest = b""

    def _listen_until(self, t: float) -> None:
        while self._clock.now < t:
            self._take(self._clock.listen(self._line, t))

    def _await_acks(self, count: int) -> None:
        deadline = self._clock.now + _ACK_PATIENCE_S
        while self._acks < count and self._clock.now < deadline:
            self._take(self._clock.listen(self._line, deadline))

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode("latin-1")
            self.replies.append(Event(self._clock.now, "rx", text))
            self._acks += is_ack(text)
