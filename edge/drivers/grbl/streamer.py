# SPDX-License-Identifier: GPL-3.0-or-later
"""grbl-streamer's character-counting window and progress, without its threads, port and clean-up.

docs/decisions/0002-grbl-streamer.md says what was tried and measured. In short: the window is right, and is used as
it is; the clean-up drops and splits lines, so a preprocessor that changes nothing stands in its place; the base
class never gets a port, so it never starts a thread. It is fed nothing but the acknowledgements of job lines.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence

from grbl_streamer import GrblStreamer


class VerbatimPreprocessor:
    """Stands in for GcodeMachine and leaves every line as it is.

    GcodeMachine sorts words, rounds S, separates G53 from its move, and goes on dropping modal coordinate lines
    after one word that it does not know.
    """

    def __init__(self) -> None:
        self.line = ""
        self.vars: dict[str, str] = {}
        self.position_m: Sequence[float] = ()

    def set_line(self, line: str) -> None:
        """Take the line that is sent next."""
        self.line = line

    def substitute_vars(self) -> None:
        """Leave the line: programs arrive expanded."""

    def parse_state(self) -> None:
        """Leave the line: the modal state is the program check's business."""

    def override_feed(self) -> None:
        """Leave the line: overrides are real-time bytes."""

    def scale_spindle(self) -> None:
        """Leave the line."""

    def done(self) -> None:
        """Leave the line."""


class JobStreamer(GrblStreamer):  # type: ignore[misc]
    """Decides which bytes of a job may go out now.

    `start` and `acknowledge` return the bytes to write; nothing is written from here. At most `window` bytes are
    unacknowledged at any time.
    """

    def __init__(self, window: int) -> None:
        self._out: list[str] = []
        self.acknowledged = 0
        """Lines whose acknowledgement has come in."""
        super().__init__(self._on_event)
        # The base class would be kept, with its program, until the process ends.
        atexit.unregister(self.disconnect)
        self.preprocessor = VerbatimPreprocessor()
        self._rx_buffer_size = window

    def start(self, lines: Sequence[str]) -> bytes:
        """Begin a job of ASCII lines, each shorter than the window, and return its first bytes."""
        # The base class empties its buffer in place: it gets the lines, which are nobody's to change, after that.
        self.buffer: Sequence[str] = []
        self.job_new()
        self.acknowledged = 0
        self.buffer = lines
        self.buffer_size = len(self.buffer)
        self.job_run()
        return self._taken()

    def acknowledge(self) -> bytes:
        """Count the acknowledgement of the oldest line in flight; return the bytes that fit now."""
        self._handle_ok()
        return self._taken()

    @property
    def in_flight(self) -> Sequence[str]:
        """Lines that wait for their acknowledgement, oldest first."""
        lines: list[str] = self._rx_buffer_backlog
        return lines

    @property
    def sent(self) -> int:
        """Return how many lines were given out."""
        return self.acknowledged + len(self.in_flight)

    @property
    def complete(self) -> bool:
        """Whether every line is acknowledged."""
        return self.acknowledged == self.buffer_size

    def _on_event(self, event: str, *data: object) -> None:
        """Take the progress out of the base class's events."""
        if event == "on_processed_command":
            self.acknowledged += 1

    def _iface_write(self, line: str) -> None:
        """Collect what the base class would write to its port."""
        self._out.append(line)

    def _taken(self) -> bytes:
        """Return the collected bytes."""
        data = "".join(self._out).encode("ascii")
        self._out.clear()
        return data
