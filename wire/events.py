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
SchoolType = Literal["primary", "progymnasium", "basic", "gymnasium", "vocational", "special", "university", "other"]
Seq = Annotated[int, Field(ge=1)]
Microseconds = Annotated[int, Field(ge=0, le=2**53)]
"""Whole microseconds: a reader in JavaScript must not lose digits, as it would of nanoseconds since 1970."""


class Body(BaseModel):
    """Base of all bodies: unknown fields of a newer lab are kept aside, never an error."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class LabStarted(Body):
    """The service began an epoch: the first fact of each, so that the office can put epochs in order.

    install is made with the database file and goes where the file goes; ordinal counts the epochs of that file,
    previous is the one before. Two epochs of one install that name the same previous one tell that the card was cloned,
    or an old copy put back. set_aside tells that a damaged database was put aside and this one is new.
    """

    install: Id
    ordinal: Annotated[int, Field(ge=1)]
    previous: Id | None = None
    boot: Id
    software: Name
    set_aside: bool = False


class ClockAnchor(Body):
    """At at_boot_us of the boot's clock it was utc_us, give or take uncertainty_us.

    source says who knew: the network's time service, the office by its acknowledgement, or the operator's wrist watch.
    """

    boot: Id
    source: Literal["ntp", "ack", "operator"]
    at_boot_us: Microseconds
    utc_us: Microseconds
    uncertainty_us: Microseconds


class ClockQuality(Body):
    """What the raw wall clock of the facts after this one is worth, until the next such fact of the boot.

    unset: it may show any year; free: it was set once and runs by itself; synchronised: a time service disciplines it.
    stepped_us is by how much it jumped when the quality changed, null where it did not.
    """

    boot: Id
    quality: Literal["unset", "free", "synchronised"]
    stepped_us: int | None = None


class StreamGap(Body):
    """The facts first..last of (stream, epoch) will never come, on purpose or because the disk lost them.

    Written in the transaction that drops them; the office takes them for explained. rolled_up: what they said is in
    machine.rollup facts; quota: the disk had no room; lost: the disk gave back something else than was written.
    """

    stream: Literal["visits", "safety", "jobs", "metrics"]
    epoch: Id
    first: Seq
    last: Seq
    reason: Literal["rolled_up", "quota", "lost"]
    began_boot_us: Microseconds | None = None
    ended_boot_us: Microseconds | None = None


class VisitOpened(Body):
    """The operator opened a visit. date is the day on the wall, ISO 8601."""

    visit: Id
    school: Name
    municipality: Name
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    group: Name
    expected: Annotated[int, Field(ge=0, le=10_000)]
    language: LanguageCode
    school_type: SchoolType | None = None


class VisitClosed(Body):
    """The operator closed a visit."""

    visit: Id


class Headcount(Body):
    """The operator counted people. count adds to what was counted before; a correction has a reason.

    entry is the id under which it was entered; by says in which role somebody did: never who it was.
    """

    visit: Id
    group: Name
    role: RoleName
    count: Annotated[int, Field(ge=-10_000, le=10_000)]
    reason: str = ""
    entry: Id | None = None
    by: Literal["operator", "office"] | None = None


class KioskSession(Body):
    """A visitor checked in at a kiosk. A session is not a person: it is a figure of its own."""

    session: Id
    kiosk: Id
    language: LanguageCode
    visit: Id | None = None


class SurveyAnswered(Body):
    """A visitor's three answers before or after the visit, 1 (no) to 5 (yes), null where one was left out.

    card is the random number that links the two; band decides how the question was asked, and is no age.
    """

    card: Id
    moment: Literal["before", "after"]
    band: Literal["under_11", "11_12", "13_up"]
    visit: Id | None = None
    language: LanguageCode
    interest: Annotated[int, Field(ge=1, le=5)] | None = None
    confidence: Annotated[int, Field(ge=1, le=5)] | None = None
    career: Annotated[int, Field(ge=1, le=5)] | None = None


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


class MachineRollup(Body):
    """What many machine.state facts of one machine said, over period_s seconds of the boot's clock from began_boot_us.

    samples is how many they were, active_s how long of that the machine ran a program; feed and spindle are means over
    the samples that had them, part_count the last one seen. boot names the boot of that clock where it is not the
    batch's own: what waited through a restart is rolled up in a later epoch. Two facts of one period add up.
    """

    machine: Id
    period_s: Literal[60, 3600]
    began_boot_us: Microseconds
    samples: Annotated[int, Field(ge=1)]
    active_s: Annotated[float, Field(ge=0, le=3600)]
    feed: float | None = None
    spindle: float | None = None
    part_count: int | None = None
    link_damaged: Annotated[int, Field(ge=0)] | None = None
    boot: Id | None = None


BODIES: dict[str, type[Body]] = {
    "lab.started": LabStarted,
    "clock.anchor": ClockAnchor,
    "clock.quality": ClockQuality,
    "stream.gap": StreamGap,
    "survey.answered": SurveyAnswered,
    "machine.rollup": MachineRollup,
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
