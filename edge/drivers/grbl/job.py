# SPDX-License-Identifier: GPL-3.0-or-later
"""One program on its way through the controller: pure, told what comes in, returns what goes out.

A program has ended when all acknowledgements are in, a final dwell is acknowledged (so the planner is empty), and a
status report after that says Idle. It fails at the first error, and when for some seconds nothing is acknowledged
and nothing moves: a reply lost to interference would else leave the job waiting for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from edge.domain.ports import ProgramText
from edge.drivers.grbl.codes import error_text
from edge.drivers.grbl.protocol import ErrorReply, Ok, State
from edge.drivers.grbl.state import Reading
from edge.drivers.grbl.streamer import JobStreamer

DRAIN = "G4 P0.01"
"""A dwell waits for the planner, so its acknowledgement says that all motion before it has ended."""

_DWELL = re.compile(r"G0*4(?![\d.]).*?P(\d*\.?\d+)|P(\d*\.?\d+).*?G0*4(?![\d.])", re.IGNORECASE)
_PAUSE = re.compile(r"M0+(?!\d)", re.IGNORECASE)


class JobPhase(Enum):
    """How far a program is."""

    STREAMING = "lines are sent"
    DRAINING = "all lines are acknowledged, the final dwell is on its way"
    SETTLING = "the final dwell is over, waiting for Idle"
    FINISHED = "the last motion has ended"
    FAILED = "it ended before its end"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program ended before its end.

    source_line is the line as the operator sees it, where one is to blame; stop says that the machine may still be
    moving by what it has buffered, and has to be stopped; interrupted that neither the program nor a person ended it,
    but the link or the controller, so that it may be taken up again.
    """

    reason: str
    source_line: int | None = None
    stop: bool = False
    interrupted: bool = False


class Job:
    """One run of a program. Times are nanoseconds of the boot-time clock."""

    def __init__(self, program: ProgramText, window: int, stall_ns: int, now_ns: int) -> None:
        self.program = program
        self.phase = JobPhase.STREAMING
        self.failure: Failure | None = None
        self._streamer = JobStreamer(window)
        self._stall_ns = stall_ns
        self._alive_ns = now_ns
        self._last: Reading | None = None
        self._noise = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen."""
        return self.phase in (JobPhase.FINISHED, JobPhase.FAILED)

    @property
    def line(self) -> int | None:
        """Return the last acknowledged line, as the operator counts, or None before the first."""
        done = self._streamer.acknowledged
        return self.program.source_lines[done - 1] if done else None

    @property
    def sent_line(self) -> int | None:
        """Return the last line that was handed to the port, as the operator counts, or None before the first."""
        sent = self._streamer.sent
        return self.program.source_lines[sent - 1] if sent else None

    @property
    def progress(self) -> float:
        """Return the acknowledged part of the program, 0 to 1."""
        return self._streamer.acknowledged / len(self.program.lines)

    @property
    def paused_by_program(self) -> bool:
        """Whether the controller works on an M0: its `ok` comes only after a resume (trace program_stops)."""
        waiting = self._streamer.in_flight
        return bool(waiting) and _PAUSE.search(waiting[0]) is not None

    def start(self) -> bytes:
        """Return the first bytes."""
        return self._streamer.start(self.program.lines)

    def replied(self, reply: Ok | ErrorReply, now_ns: int) -> bytes:
        """Take the answer to the oldest line in flight; return the next bytes."""
        self._alive_ns = now_ns
        match self.phase, reply:
            case JobPhase.STREAMING, Ok():
                data = self._streamer.acknowledge()
                if self._streamer.complete:
                    self.phase = JobPhase.DRAINING
                    return f"{DRAIN}\n".encode("ascii")
                return data
            case JobPhase.DRAINING, Ok():
                self.phase = JobPhase.SETTLING
            case ((JobPhase.STREAMING | JobPhase.DRAINING), ErrorReply(code)):
                self._refused(code)
            case _:
                pass
        return b""

    def reported(self, reading: Reading) -> None:
        """Take a status report: see the end, or signs of life, or none for too long."""
        idle = reading.state is State.IDLE
        if self.phase is JobPhase.SETTLING and idle:
            self.phase = JobPhase.FINISHED
            return
        before, self._last = self._last, reading
        quiet = idle or reading.state is State.RUN
        moved = before is None or before.machine_position != reading.machine_position or bool(reading.feed)
        if moved or not quiet:
            self._alive_ns = reading.taken_ns
        elif reading.taken_ns - self._alive_ns > self._stall_ns + self._dwell_ns():
            self.fail(
                f"for {(reading.taken_ns - self._alive_ns) / 1e9:.0f} s nothing moved and none of"
                f" {len(self._streamer.in_flight) or 1} lines was acknowledged",
                stop=True,
                interrupted=True,
            )

    def unreadable(self) -> None:
        """Count a line that is none of GRBL's: the reason of a later failure names it."""
        self._noise += 1

    def fail(
        self, reason: str, source_line: int | None = None, *, stop: bool = False, interrupted: bool = False
    ) -> None:
        """End the run before its end; the first reason stays."""
        if self.ended:
            return
        if self._noise:
            reason += f"; {self._noise} unreadable lines came in: look for interference on the cable"
        self.phase = JobPhase.FAILED
        self.failure = Failure(reason, source_line, stop, interrupted)

    def _refused(self, code: int) -> None:
        """Fail by error:`code` at the oldest line in flight."""
        if self.phase is JobPhase.DRAINING:
            self.fail(f"the controller refused the final dwell: {error_text(code)} (error:{code})", stop=True)
            return
        index = self._streamer.acknowledged
        source = self.program.source_lines[index]
        text = self.program.lines[index]
        self.fail(f"line {source} {text!r}: {error_text(code)} (error:{code})", source, stop=True)

    def _dwell_ns(self) -> int:
        """Return how long the lines in flight may keep everything still by themselves."""
        dwells = (_DWELL.search(line) for line in self._streamer.in_flight)
        return int(sum(float(found[1] or found[2]) for found in dwells if found) * 1e9)
