# SPDX-License-Identifier: GPL-3.0-or-later
"""From the events of a recording to what matters in them: lines sent and acknowledged, what happened, what was done.

A recording of the driver brings marks, which are believed. One without them (a trace) is read from its bytes alone.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from edge.story.export import HOST, OPENED, Event, Recording

_REPORT = re.compile(r"<([A-Za-z]+(?::\d)?)\|(?:[^>|]*\|)*?([MW])Pos:(-?\d+\.\d+),(-?\d+\.\d+),(-?\d+\.\d+)[^>]*>")
_KNOWN = re.compile(
    r"ok|error:\d{1,3}|ALARM:\d{1,3}|<[ -~]*>|\[[ -~]*\]|\$\w+=[ -~]*|>[ -~]*:(ok|error:\d+)|Grbl(HAL)? [ -~]*|"
)
_STANDING = {"Hold:0", "Door:0", "Door:1", "Idle", "Alarm", "Sleep", "Check"}
_KEPT = {"ALARM:2", "ALARM:4", "ALARM:5"}
_RESTART_S = 4.0
"""A welcome this long after a reset or an alarm is the answer to it."""
_SILENCE_S = 0.9
"""Without a line for so long, although one was asked for."""


class What(Enum):
    """What can happen to a conversation."""

    NOISE = "noise"
    ALARM = "alarm"
    ERROR = "error"
    UNPLUGGED = "unplugged"
    RESTART = "restart"
    SILENCE = "silence"
    DOOR = "door"
    HELD_UP = "held up"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that ended or disturbed what ran, `t` seconds after the begin; text is a sentence or a word of it."""

    t: float
    what: What
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was sent."""

    t: float
    text: str


@dataclass
class Reading:
    """What stands in a recording. Times are seconds after its begin; None is what did not happen."""

    version: str = ""
    opened: dict[str, object] = field(default_factory=dict)
    began: float | None = None
    program: str = ""
    lines: int | None = None
    ended: float | None = None
    outcome: str = ""
    reason: str = ""
    sent: Line | None = None
    acknowledged: Line | None = None
    unacknowledged: int = 0
    happenings: list[Happening] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    resets: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    welcomes: list[float] = field(default_factory=list)
    state: str = ""
    place: tuple[float, float, float] | None = None
    machine_place: bool = True
    standing_at_reset: bool | None = None
    lost: bool = False
    trusted: bool | None = None
    fault: str = ""
    damaged: int = 0
    duration: float = 0.0

    @property
    def first(self) -> Happening | None:
        """Return what came first."""
        return min(self.happenings, key=lambda happening: happening.t) if self.happenings else None


def read(record: Recording) -> Reading:
    """Return what stands in a recording."""
    reader = _Reader()
    for event in record.events:
        reader.take(event)
    return reader.finish()


class _Reader:
    """Goes through the events in their order."""

    def __init__(self) -> None:
        self.found = Reading()
        self._waiting: deque[Line] = deque()
        self._asked: float | None = None
        self._partial = ""
        self._calm_until = 0.0
        self._marked = False
        self._over = False

    def take(self, event: Event) -> None:
        """Take one event."""
        self.found.duration = event.t
        match event.direction:
            case "rx":
                self._silence(event.t)
                self._asked = None
                self._heard(event.t, event.data)
            case "tx":
                for byte in event.data:
                    self._written(event.t, byte)
            case _:
                self._happened(event)

    def finish(self) -> Reading:
        """Return what was found."""
        self._silence(self.found.duration)
        if self.found.ended is None:
            self.found.unacknowledged = len(self._waiting) or self.found.unacknowledged
        return self.found

    @property
    def _running(self) -> bool:
        """Whether a program runs; where no marks are, every line counts as one of a program."""
        return self.found.ended is None and (self.found.began is not None or not self._marked)

    def _forget(self) -> None:
        """Wait for no more answers: what was sent before a start of the controller gets none."""
        if self._running and self._waiting:
            self.found.unacknowledged = len(self._waiting)
        self._waiting.clear()

    def _note(self, t: float, what: What, text: str) -> None:
        """Keep what happened, each kind once; after the end of the program only what belongs to it."""
        if self._running and all(before.what is not what for before in self.found.happenings):
            self.found.happenings.append(Happening(t, what, text))

    def _silence(self, t: float) -> None:
        """Note that questions stayed without an answer."""
        if self._asked is not None and t - self._asked > _SILENCE_S and t > self._calm_until:
            self._note(self._asked, What.SILENCE, "the controller answered nothing any more")

    def _written(self, t: float, byte: str) -> None:
        """Take a byte of the host."""
        found = self.found
        match byte:
            case "?":
                self._asked = t if self._asked is None else self._asked
            case "!":
                found.holds.append(t)
            case "~":
                found.resumes.append(t)
            case "\x18":
                found.resets.append(t)
                found.standing_at_reset = found.state in _STANDING
                self._calm_until = t + _RESTART_S
                self._forget()
            case "\n":
                line = Line(t, self._partial)
                self._partial = ""
                self._waiting.append(line)
                if self._running:
                    found.sent = line
            case _ if byte >= " ":
                self._partial += byte
            case _:
                pass

    def _heard(self, t: float, text: str) -> None:
        """Take a line of the controller."""
        found = self.found
        if _KNOWN.fullmatch(text) is None:
            found.damaged += 1
            self._note(t, What.NOISE, f"a reply came in damaged: {text!r}")
        elif text == "ok" or text.startswith("error:"):
            line = self._waiting.popleft() if self._waiting else None
            if line is not None and text == "ok" and self._running:
                found.acknowledged = line
            elif line is not None and text != "ok":
                self._note(t, What.ERROR, f"the controller refused the line {line.text!r} ({text})")
        elif text.startswith("ALARM:"):
            self._calm_until = t + _RESTART_S
            found.state = "Alarm"
            found.lost |= text not in _KEPT
            self._note(t, What.ALARM, f"the controller raised {text}")
        elif text.startswith("Grbl"):
            found.version = text.split(" [")[0]
            if found.welcomes and t > self._calm_until:
                # It said nothing while it started: that was no other fault.
                found.happenings = [
                    before
                    for before in found.happenings
                    if before.what is not What.SILENCE or t - before.t > _RESTART_S
                ]
                self._note(t, What.RESTART, "the controller restarted by itself")
                found.lost = True
            found.welcomes.append(t)
            self._calm_until = t
            self._forget()
        elif report := _REPORT.fullmatch(text):
            found.state, found.machine_place = report[1], report[2] == "M"
            found.place = (float(report[3]), float(report[4]), float(report[5]))
            if report[1].startswith("Door"):
                self._note(t, What.DOOR, "the door was opened")

    def _happened(self, event: Event) -> None:
        """Take a mark, or what a hand did in a trace."""
        found, facts = self.found, event.facts
        match event.data:
            case data if data == OPENED:
                found.opened = facts
                self._calm_until = event.t + _RESTART_S
                self._forget()
                self._asked = None
            case "unplug":
                found.lost = True
                self._note(event.t, What.UNPLUGGED, "the USB cable was unplugged")
            case data if data.startswith(HOST):
                self._marked |= bool(facts)
                self._mark(event.t, data.removeprefix(HOST), facts)
            case _:
                pass

    def _mark(self, t: float, name: str, facts: dict[str, object]) -> None:
        """Take a mark of the driver."""
        found = self.found
        match name:
            case "program begins":
                lines = facts.get("lines")
                found.began, found.program = t, str(facts.get("program", ""))
                found.lines = lines if isinstance(lines, int) else None
                found.ended, found.sent, found.acknowledged = None, None, None
                found.happenings.clear()
                found.holds.clear()
                found.resets.clear()
                found.resumes.clear()
            case "program ends":
                found.outcome, found.reason = str(facts.get("outcome", "")), str(facts.get("reason", ""))
                self._because(t)
                found.unacknowledged = len(self._waiting) or found.unacknowledged
                found.ended = t
            case "alarm":
                self._note(t, What.ALARM, f"{facts.get('code')}: {facts.get('text')}")
            case "port closed":
                if not facts.get("meant"):
                    self._note(t, What.UNPLUGGED, f"the connection ended: {facts.get('reason')}")
                self._asked = None
                self._over |= bool(facts.get("meant"))
            case "position" if not self._over:
                found.trusted = bool(facts.get("trusted"))
            case "fault":
                found.fault = found.fault or str(facts.get("reason", ""))
            case _:
                pass

    def _because(self, t: float) -> None:
        """Note what only the driver knows of the end."""
        reason = self.found.reason
        if "held up" in reason:
            # What was read late was the guardian's doing: its bytes are not among those recorded here.
            self.found.happenings.clear()
            self._note(t, What.HELD_UP, "this service was held up, so that the guardian may have stopped the machine")
        elif "stopped answering" in reason:
            self._silence(t)
        elif reason == "it was stopped":
            self._note(t, What.STOPPED, "somebody stopped the machine")
