# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on the virtual clock that talks with one controller line by line, without a process or a port, for tests."""

from typing import Any

from .board import Board
from .builds import STOCK, Build
from .kernel import INFINITY
from .settings import prepare
from .state import State

_PATIENCE_S = 120.0


class Conversation:
    """One controller, already started. Times are virtual seconds."""

    def __init__(
        self, settings: dict[str, str] | None = None, *, build: Build = STOCK, physical: list[float] | None = None
    ) -> None:
        self.lines: list[tuple[float, str]] = []
        self._taken = 0
        self._rest = b""
        self.board = Board(build, self._hear, boot_delay=0.0, line_cost=0.0015)
        prepare(self.board.eeprom, settings or {})
        if physical is not None:
            self.board.world.physical = physical
        self.board.restart()
        self.wait(0.1)

    @property
    def now(self) -> float:
        return self.board.kernel.now

    def is_in(self, state: State) -> bool:
        """The controller thinks that it is in `state`."""
        firmware = self.board.firmware
        return firmware is not None and firmware.state is state

    def truth(self) -> dict[str, Any]:
        """The true state now."""
        return self.board.truth()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.board.kernel.run_until(self.now + seconds)

    def send(self, text: str) -> None:
        """Put bytes on the wire (latin-1); they take their time."""
        self.board.rx.feed(text.encode("latin-1"))

    def heard(self) -> list[str]:
        """The lines that came since the last call."""
        new = [line for _, line in self.lines[self._taken :]]
        self._taken = len(self.lines)
        return new

    def say(self, text: str, seconds: float = 0.2) -> list[str]:
        """Send bytes and return what comes within `seconds`."""
        self.heard()
        self.send(text)
        self.wait(seconds)
        return self.heard()

    def ask(self, line: str) -> list[str]:
        """Send a line and return everything up to its answer.

        Raises:
            TimeoutError: no answer within two minutes.
        """
        self.heard()
        self.send(line + "\n")
        start, end = len(self.lines), self.now + _PATIENCE_S
        while not any(text == "ok" or text.startswith("error:") for _, text in self.lines[start:]):
            due = self.board.kernel.next_time
            if due == INFINITY or due > end:
                raise TimeoutError(f"{line!r} was not answered")
            self.board.kernel.run_until(due)
        return self.heard()

    def answer(self, line: str) -> str:
        """``ok`` or ``error:N``."""
        return self.ask(line)[-1]

    def status(self) -> str:
        """A status report now; empty if none comes within 50 ms."""
        return next((line for line in self.say("?", 0.05) if line.startswith("<")), "")

    def reset(self) -> list[str]:
        """Soft reset and what it brings."""
        return self.say("\x18", 1.0)

    def until(self, state: State) -> None:
        """Let time pass until the controller is in `state`.

        Raises:
            TimeoutError: not within two minutes.
        """
        end = self.now + _PATIENCE_S
        while not self.is_in(state):
            if self.now > end:
                raise TimeoutError(f"the state never became {state}")
            self.wait(0.01)

    def control(self, name: str, *, pressed: bool) -> None:
        """Press or release a button."""
        buttons = self.board.world.buttons
        (buttons.add if pressed else buttons.discard)(name)
        self.board.controls_changed()

    def door(self, *, is_open: bool) -> None:
        """Open or close the door."""
        self.board.world.door_open = is_open
        self.board.inputs_changed()

    def _hear(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [(self.now, line.rstrip(b"\r").decode("latin-1")) for line in lines]
