# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lathe does, without a wire: a bar-fed turning cycle in time.

One part takes LOAD_S seconds of loading and TURN_S seconds of turning at 100 % feed override. Opening the door while
turning interrupts the program; closing it restarts nothing: only `start` does. A job order has one part made of a
program from the lathe's memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

LOAD_S = 4.0
TURN_S = 24.0
PROGRAMS = ("O2101_SHAFT", "O2102_BUSHING", "O2103_CHESS_PAWN")


class ChannelState(IntEnum):
    """OPC 40501-1, 12.1."""

    ACTIVE = 0
    INTERRUPTED = 1
    RESET = 2


class ChannelMode(IntEnum):
    """OPC 40501-1, 12.2; the modes that this lathe has."""

    AUTOMATIC = 0
    JOG_MANUAL = 2


class OperationMode(IntEnum):
    """OPC 40501-1, 12.5; the modes that this lathe has."""

    MANUAL = 0
    AUTOMATIC = 1


class ProgramState(IntEnum):
    """The states of OPC 40501-1, 8.4.8; the values are the numeric ids of the state nodes in that namespace."""

    INITIALIZING = 135
    RUNNING = 138
    INTERRUPTED = 139
    ENDED = 140
    ABORTED = 141


@dataclass
class Lathe:
    """The lathe's state; times are seconds, the override is per cent."""

    cycling: bool = True
    channel: ChannelState = ChannelState.RESET
    mode: ChannelMode = ChannelMode.AUTOMATIC
    program_state: ProgramState = ProgramState.INITIALIZING
    program: int = 0
    done_s: float = 0.0
    feed_override: float = 100.0
    parts: int = 1200
    door_closed: bool = True
    stop_circuit_closed: bool = True
    alarms: dict[str, str] = field(default_factory=dict)
    job_id: str = ""
    job_program: str = ""

    @property
    def operation_mode(self) -> OperationMode:
        """The mode of the whole machine."""
        return OperationMode.AUTOMATIC if self.mode is ChannelMode.AUTOMATIC else OperationMode.MANUAL

    @property
    def rotating(self) -> bool:
        """Whether the spindle has a commanded speed."""
        return self.channel is ChannelState.ACTIVE

    @property
    def program_name(self) -> str:
        """The active program."""
        return self.job_program or PROGRAMS[self.program]

    @property
    def may_run(self) -> bool:
        """Whether the lathe's own control lets a program run."""
        return self.door_closed and self.stop_circuit_closed

    def start(self) -> None:
        """Cycle start, as at the machine's panel."""
        self.cycling = True
        self.resume()

    def begin_job(self, job_id: str, program: str) -> bool:
        """Begin one part of a job order; return whether the lathe stood ready for it."""
        automatic = self.mode is ChannelMode.AUTOMATIC
        if self.channel is not ChannelState.RESET or self.cycling or not automatic or not self.may_run:
            return False
        self.job_id, self.job_program = job_id, program
        self.done_s = 0.0
        self._turn()
        return True

    def pause(self) -> None:
        """Interrupt the program, as the feed hold of the panel does."""
        if self.channel is ChannelState.ACTIVE:
            self.channel = ChannelState.INTERRUPTED
            self.program_state = ProgramState.INTERRUPTED

    def resume(self) -> None:
        """Go on with an interrupted program."""
        if self.channel is ChannelState.INTERRUPTED and self.may_run:
            self._turn()

    def stop(self) -> None:
        """Reset, as at the machine's panel: the program is aborted and no other starts."""
        self.cycling = False
        if self.channel is not ChannelState.RESET:
            self.channel = ChannelState.RESET
            self.program_state = ProgramState.ABORTED
            self.done_s = 0.0

    def set_door(self, *, closed: bool) -> None:
        """Open or close the door."""
        self.door_closed = closed
        self._interrupt_unless_permitted()

    def set_stop_circuit(self, *, closed: bool) -> None:
        """Press (False) or release (True) the lathe's own emergency stop."""
        self.stop_circuit_closed = closed
        self._interrupt_unless_permitted()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if self.channel is ChannelState.ACTIVE:
            self.done_s += seconds * self.feed_override / 100
            if self.done_s >= TURN_S:
                self.done_s = 0.0
                self.parts += 1
                self.channel = ChannelState.RESET
                self.program_state = ProgramState.ENDED
        elif self.channel is ChannelState.RESET and self.cycling and self.may_run:
            self.done_s += seconds
            if self.done_s >= LOAD_S:
                self.done_s = 0.0
                self.program = self.parts % len(PROGRAMS)
                self.job_id = self.job_program = ""
                self._turn()

    def _turn(self) -> None:
        self.channel = ChannelState.ACTIVE
        self.program_state = ProgramState.RUNNING

    def _interrupt_unless_permitted(self) -> None:
        if not self.may_run:
            self.pause()
