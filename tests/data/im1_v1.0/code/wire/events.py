# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of the facts, one model per CloudEvents type. `wire/schema` holds the JSON Schemas made from them.

Bodies are flat and hold no personal data. A later field is optional; a change of meaning is a new type.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
RoleName = Literal["pupil", "teacher", "vet_trainer", "trainee"]
LanguageCode = Literal["lt", "en", "lv", "et", "de"]


class Body(BaseModel):
    """Base of all bodies: unknown fields of a newer lab are kept aside, never an error."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class VisitOpened(Body):
    """The operator opened a visit. date is the day on the wall, ISO 8601."""

    visit: Id
    school: Name
    municipality: Name
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    group: Name
    expected: Annotated[int, Field(ge=0, le=10_000)]
    language: LanguageCode


class VisitClosed(Body):
    """The operator closed a visit."""

    visit: Id


class Headcount(Body):
    """The operator counted people. count adds to what was counted before; a correction is negative, with a reason."""

    visit: Id
    group: Name
    role: RoleName
    count: Annotated[int, Field(ge=-10_000, le=10_000)]
    reason: str = ""


class KioskSession(Body):
    """A visitor checked in at a kiosk. A session is not a person: it is a figure of its own."""

    session: Id
    kiosk: Id
    language: LanguageCode
    visit: Id | None = None


class JobChanged(Body):
    """A job came into a state. Seconds are machine time; guess_s is the visitor's guess.

    turn counts how often it was taken up again after an interruption: it orders the changes of one job over restarts of
    the lab, whose epochs have no order.
    """

    job: Id
    claim: Annotated[int, Field(ge=0)]
    machine: Id
    program: Id
    origin: Literal["kiosk", "operator"]
    state: Literal[
        "REQUESTED", "APPROVED", "DECLINED", "RUNNING", "HELD", "FINISHED", "INTERRUPTED", "ABORTED", "FAILED"
    ]
    reason: str = ""
    visit: Id | None = None
    estimate_s: float | None = None
    guess_s: float | None = None
    actual_s: float | None = None
    lines: int | None = None
    turn: Annotated[int, Field(ge=0, le=100_000)] = 0


class InterlockTripped(Body):
    """An interlock latched: which input, from which source, how old the sample was in ms, and whether it was open."""

    machine: Id
    input: Name
    source: Name
    status: Literal["OPEN", "UNKNOWN"]
    age_ms: float | None = None
    in_motion: bool


class InterlockReset(Body):
    """A person reset an interlock at the console."""

    machine: Id


class MachineFault(Body):
    """A machine went into FAULT, or a person cleared it (reason empty)."""

    machine: Id
    fault: Literal["NONE", "FAULT"]
    reason: str = ""


class StopCommanded(Body):
    """Someone asked a machine to hold or to stop, and whether the request reached the wire."""

    machine: Id
    command: Literal["hold", "stop"]
    origin: Name
    delivered: bool


class OpeningItem(Body):
    """The lab was packed for the road, or an item of the checklist after the drive was seen or told to be in order."""

    machine: Id
    item: Literal["packed", "stop_circuit", "door", "home", "clamps"]
    by: Literal["input", "person"]


class MachineMetrics(Body):
    """A machine's state, on change of a word and every so often while it runs.

    link_grade is what the link doctor thinks of the wire, link_damaged the damaged lines since it was opened.
    """

    machine: Id
    availability: Name
    execution: Name
    x: float | None = None
    y: float | None = None
    z: float | None = None
    feed: float | None = None
    spindle: float | None = None
    line: int | None = None
    part_count: int | None = None
    link_grade: Name | None = None
    link_damaged: Annotated[int, Field(ge=0)] | None = None


BODIES: dict[str, type[Body]] = {
    "visit.opened": VisitOpened,
    "visit.closed": VisitClosed,
    "visit.headcount": Headcount,
    "kiosk.session": KioskSession,
    "job.changed": JobChanged,
    "interlock.tripped": InterlockTripped,
    "interlock.reset": InterlockReset,
    "machine.fault": MachineFault,
    "stop.commanded": StopCommanded,
    "opening.item": OpeningItem,
    "machine.state": MachineMetrics,
}

REACHED_ROLES = ("pupil", "teacher")
