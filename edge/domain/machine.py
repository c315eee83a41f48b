# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as everybody in the house sees it, in the words of MTConnect.

Execution, ControllerMode, Availability, EmergencyStop and DoorState carry the values that the MTConnect
standard (part 2) defines for the data items of the same names. Lengths are millimetres, feeds millimetres per
minute, spindle speeds revolutions per minute, overrides per cent, times nanoseconds of the boot-time clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Availability(StrEnum):
    """Whether the controller can be heard."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"


class Execution(StrEnum):
    """What the controller does with the program."""

    READY = "READY"
    ACTIVE = "ACTIVE"
    INTERRUPTED = "INTERRUPTED"
    FEED_HOLD = "FEED_HOLD"
    STOPPED = "STOPPED"
    PROGRAM_COMPLETED = "PROGRAM_COMPLETED"
    UNAVAILABLE = "UNAVAILABLE"


class ControllerMode(StrEnum):
    """Who moves the axes."""

    AUTOMATIC = "AUTOMATIC"
    MANUAL = "MANUAL"
    MANUAL_DATA_INPUT = "MANUAL_DATA_INPUT"
    UNAVAILABLE = "UNAVAILABLE"


class EmergencyStop(StrEnum):
    """The copy of the hard-wired stop circuit that the controller reports."""

    ARMED = "ARMED"
    TRIGGERED = "TRIGGERED"
    UNAVAILABLE = "UNAVAILABLE"


class DoorState(StrEnum):
    """The copy of the door switch that the controller reports."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    UNLATCHED = "UNLATCHED"
    UNAVAILABLE = "UNAVAILABLE"


class SpindleCommand(StrEnum):
    """What the spindle was told. Whether it turns is not known to software."""

    OFF = "OFF"
    CLOCKWISE = "CLOCKWISE"
    COUNTER_CLOCKWISE = "COUNTER_CLOCKWISE"
    UNAVAILABLE = "UNAVAILABLE"


class Fault(StrEnum):
    """Whether a person has to look at the machine before anything moves."""

    NONE = "NONE"
    FAULT = "FAULT"


class Capability(StrEnum):
    """What a driver can be asked for."""

    RUN_PROGRAM = "run_program"
    HOLD = "hold"
    STOP = "stop"
    HOME = "home"
    UNLOCK = "unlock"
    JOG = "jog"
    PROBE = "probe"
    WORK_ZERO = "work_zero"
    OVERRIDE = "override"
    SETTINGS = "settings"
    LOAD_PROGRAM = "load_program"
    JOB_CONTROL = "job_control"
    CHECK_MODE = "check_mode"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in millimetres."""

    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class Overrides:
    """Feed, rapid and spindle override in per cent of the programmed value."""

    feed: int = 100
    rapid: int = 100
    spindle: int = 100


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of the controller: its own code, and what it means for a person."""

    code: str
    text: str
    position_kept: bool


class LinkGrade(StrEnum):
    """What the doctor thinks of a link."""

    UNKNOWN = "UNKNOWN"
    GOOD = "GOOD"
    DAMAGED = "DAMAGED"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """How well the wire to a controller carries bytes, since it was opened.

    lines were read, damaged ones among them were broken forms of known lines, unknown ones nothing that the controller
    says; latency_ms is the median time from `?` to its report while the spindle is commanded off, latency_spindle_ms
    while it is commanded on; cause is the likely reason of damage in a person's words, empty where there is none.
    """

    grade: LinkGrade = LinkGrade.UNKNOWN
    lines: int = 0
    damaged: int = 0
    unknown: int = 0
    latency_ms: float | None = None
    latency_spindle_ms: float | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Travel:
    """Reachable machine coordinates, mm, and the limits of feed (mm/min) and spindle (rev/min).

    A spindle that is told to turn slower than min_spindle turns at that speed; 0 where it has no least speed.
    """

    low: Position
    high: Position
    max_feed: float
    max_spindle: float
    min_spindle: float = 0.0


@dataclass(frozen=True, slots=True)
class Motion:
    """How a controller plans: mm/min and mm/s2 and steps/mm per axis, junction deviation and arc tolerance in mm.

    stop_delay_s is the time that the controller waits whenever its planner has run empty. laser: M3, M4 and S
    drive a beam, and a new S in a line that moves makes it stop nowhere.
    """

    max_rate: Position
    acceleration: Position
    junction_deviation: float = 0.01
    arc_tolerance: float = 0.002
    stop_delay_s: float = 0.025
    steps_per_mm: Position = Position(250.0, 250.0, 250.0)
    laser: bool = False


@dataclass(frozen=True, slots=True)
class MachineState:
    """One reading of a machine. The default is what is known before anything was heard: nothing.

    machine_position and work_position are mm; work_offset is machine minus work position; feed is mm/min as
    reported; spindle_speed is the *commanded* rev/min; line is the last line of the program whose receipt the
    controller acknowledged (1-based in the program as the operator sees it), sent_line the last one that was
    written to the wire; part_count is the machine's own cumulative counter; taken_ns is the boot-time clock at which
    the last report of the controller was read, source_ns the newest time that the machine itself gave a value (UTC
    nanoseconds since 1970, as its own clock says, which may be wrong by years), None where it gives none.
    """

    availability: Availability = Availability.UNAVAILABLE
    execution: Execution = Execution.UNAVAILABLE
    mode: ControllerMode = ControllerMode.UNAVAILABLE
    emergency_stop: EmergencyStop = EmergencyStop.UNAVAILABLE
    door: DoorState = DoorState.UNAVAILABLE
    machine_position: Position | None = None
    work_position: Position | None = None
    work_offset: Position | None = None
    homed: bool = False
    feed: float | None = None
    spindle: SpindleCommand = SpindleCommand.UNAVAILABLE
    spindle_speed: float | None = None
    overrides: Overrides | None = None
    program: str | None = None
    line: int | None = None
    sent_line: int | None = None
    total_lines: int | None = None
    progress: float | None = None
    part_count: int | None = None
    alarms: tuple[Alarm, ...] = ()
    fault: Fault = Fault.NONE
    fault_reason: str = ""
    pins: frozenset[str] = frozenset()
    link: LinkHealth | None = None
    taken_ns: int = 0
    source_ns: int | None = None

    @property
    def in_motion(self) -> bool:
        """Whether the controller says that it executes or decelerates: it may move at any moment."""
        return self.execution in (Execution.ACTIVE, Execution.INTERRUPTED, Execution.FEED_HOLD)


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """Who a machine is: set once at connect.

    lacks says, in a person's words, what the machine should tell or offer and does not: the rest works. part_counter is
    which of its counters part_count is, as its driver names it, the same name after each connect: the totals of two
    counters have nothing to do with each other. settings are the controller's own by their numbers, as it says them,
    without those that travel and motion tell.
    """

    machine_id: str
    name: str
    kind: str
    driver: str
    controller: str = ""
    capabilities: frozenset[Capability] = frozenset()
    travel: Travel | None = None
    motion: Motion | None = None
    lacks: tuple[str, ...] = ()
    part_counter: str = ""
    settings: tuple[tuple[int, str], ...] = ()
