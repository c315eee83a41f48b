# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts that are recorded: each has a type, a stream and a flat body of JSON scalars.

The type names and bodies are the contract with the office (wire/schema); a body never holds personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Scalar = str | int | float | bool | None


class Stream(StrEnum):
    """Streams in order of priority towards the office."""

    VISITS = "visits"
    SAFETY = "safety"
    JOBS = "jobs"
    METRICS = "metrics"


class EventType(StrEnum):
    """Every kind of fact, by name."""

    LAB_STARTED = "lab.started"
    CLOCK_ANCHOR = "clock.anchor"
    CLOCK_QUALITY = "clock.quality"
    STREAM_GAP = "stream.gap"
    VISIT_OPENED = "visit.opened"
    VISIT_CLOSED = "visit.closed"
    HEADCOUNT = "visit.headcount"
    KIOSK_SESSION = "kiosk.session"
    SURVEY_ANSWERED = "survey.answered"
    INTERLOCK_TRIPPED = "interlock.tripped"
    INTERLOCK_RESET = "interlock.reset"
    MACHINE_FAULT = "machine.fault"
    STOP_COMMANDED = "stop.commanded"
    OPENING_ITEM = "opening.item"
    JOB_CHANGED = "job.changed"
    MACHINE_STATE = "machine.state"
    MACHINE_ROLLUP = "machine.rollup"
    MACHINE_GAP = "machine.gap"
    PARTS_MADE = "parts.made"
    PROGRAM_LOADED = "program.loaded"

    @property
    def stream(self) -> Stream:
        """Return the stream that carries facts of this type."""
        match self:
            case (
                EventType.VISIT_OPENED
                | EventType.VISIT_CLOSED
                | EventType.HEADCOUNT
                | EventType.KIOSK_SESSION
                | EventType.SURVEY_ANSWERED
            ):
                return Stream.VISITS
            case (
                EventType.LAB_STARTED
                | EventType.CLOCK_ANCHOR
                | EventType.CLOCK_QUALITY
                | EventType.STREAM_GAP
                | EventType.INTERLOCK_TRIPPED
                | EventType.INTERLOCK_RESET
                | EventType.MACHINE_FAULT
                | EventType.STOP_COMMANDED
                | EventType.OPENING_ITEM
            ):
                return Stream.SAFETY
            case EventType.JOB_CHANGED | EventType.MACHINE_GAP | EventType.PARTS_MADE | EventType.PROGRAM_LOADED:
                return Stream.JOBS
            case EventType.MACHINE_STATE | EventType.MACHINE_ROLLUP:
                return Stream.METRICS


@dataclass(frozen=True, slots=True)
class Event:
    """A fact before it is stored. boot_ns is the boot-time clock, wall_ns the raw wall clock, both nanoseconds."""

    type: EventType
    body: Mapping[str, Scalar]
    boot_ns: int
    wall_ns: int

    @property
    def stream(self) -> Stream:
        """Return the stream of the fact's type."""
        return self.type.stream


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A fact with its identity (lab is implied): stream, epoch and gapless seq from 1."""

    epoch: str
    seq: int
    event: Event
