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


class MachineGap(Body):
    """Nobody saw the machine for a while: the fact is written when it is seen again.

    began_boot_ns is the boot-time clock at which it was seen last, seconds how long ago that was; both are null where
    that was in another boot of the lab. parts is how much the machine's own counter rose meanwhile, null where that is
    not known; the fact parts.made with after_gap says the same number, so that the two are never added up.
    """

    machine: Id
    began_boot_ns: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    reason: Name
    parts: Annotated[int, Field(ge=0)] | None = None


class PartsMade(Body):
    """The machine's own counter rose by count to total; never counted otherwise than as a difference of totals.

    program is what the machine called its program when the counter was read. after_gap tells that nobody saw the parts
    being made, doubtful that the counter rose faster than machines do.
    """

    machine: Id
    count: Annotated[int, Field(ge=1)]
    total: Annotated[int, Field(ge=1)]
    program: Name | None = None
    after_gap: bool = False
    doubtful: bool = False


class ProgramLoaded(Body):
    """A program file was brought into a machine's own memory (step LOADED), or was not, and why.

    selected tells whether the machine has it selected; bytes and sha256 are those of the file as the lab keeps it.
    """

    machine: Id
    file: Name
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    selected: bool
    step: Literal["LOADED", "FAILED"]
    reason: str = ""


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
    "machine.gap": MachineGap,
    "parts.made": PartsMade,
    "program.loaded": ProgramLoaded,
    "interlock.tripped": InterlockTripped,
    "interlock.reset": InterlockReset,
    "machine.fault": MachineFault,
    "stop.commanded": StopCommanded,
    "opening.item": OpeningItem,
    "machine.state": MachineMetrics,
}

REACHED_ROLES = ("pupil", "teacher")
