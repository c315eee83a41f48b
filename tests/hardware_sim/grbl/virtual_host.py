# SPDX-License-Identifier: GPL-3.0-or-later
"""A host without a port: streams a program by character counting on the virtual clock."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from .board import Board
from .builds import STOCK
from .kernel import INFINITY
from .settings import prepare
from .uart import RX_SIZE

_WINDOW = RX_SIZE - 1


@dataclass
class JobRun:
    """`seconds` from the first byte until the last line is acknowledged and the last step is done."""

    seconds: float
    lines: int
    blocks: int
    distance_mm: float
    errors: list[tuple[int, int]] = field(default_factory=list)


class VirtualHost:
    """Streams one program to one controller in its own virtual time."""

    def __init__(self, settings: dict[str, str], *, line_cost: float, host_delay: float = 0.0) -> None:
        self._board = Board(STOCK, self._hear, boot_delay=0.0, line_cost=line_cost)
        prepare(self._board.eeprom, settings)
        # Far from the switches, so that no program meets one.
        self._board.world.physical = [-5000.0] * 3
        self._host_delay = host_delay
        self._waiting: deque[bytes] = deque()
        self._unacknowledged: deque[int] = deque()
        self._window = 0
        self._answered = 0
        self._last = 0.0
        self._errors: list[tuple[int, int]] = []

    def run(self, lines: Sequence[str]) -> JobRun:
        """Stream `lines` (without line ends) and run until everything stands."""
        board = self._board
        board.restart()
        while board.kernel.next_time < INFINITY:
            board.kernel.run_until(board.kernel.next_time)
        started = self._last = board.kernel.now
        self._watch_steps()
        self._waiting.extend(line.encode("ascii") + b"\n" for line in lines)
        self._send()
        while board.kernel.next_time < INFINITY:
            board.kernel.run_until(board.kernel.next_time)
        firmware = board.firmware
        if firmware is None or self._answered != len(lines):
            raise RuntimeError(f"{len(lines)} lines were sent and {self._answered} answered")
        planner = firmware.planner
        return JobRun(self._last - started, len(lines), planner.count, planner.length_mm, self._errors)

    def _watch_steps(self) -> None:
        firmware = self._board.firmware
        if firmware is None:
            raise RuntimeError("the controller did not start")
        ended = firmware.stepper.on_empty

        def last_step() -> None:
            self._last = self._board.kernel.now
            ended()

        firmware.stepper.on_empty = last_step

    def _hear(self, data: bytes) -> None:
        text = data.decode("ascii").strip()
        if text == "ok" or text.startswith("error:"):
            self._last = self._board.kernel.now
            self._answered += 1
            if text != "ok":
                self._errors.append((self._answered, int(text[6:])))
            self._board.kernel.at(self._last + self._host_delay, self._acknowledged)

    def _acknowledged(self) -> None:
        if self._unacknowledged:
            self._window -= self._unacknowledged.popleft()
        self._send()

    def _send(self) -> None:
        while self._waiting and self._window + len(self._waiting[0]) <= _WINDOW:
            line = self._waiting.popleft()
            self._window += len(line)
            self._unacknowledged.append(len(line))
            self._board.rx.feed(line)
