# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status reports add up to: a Reading folded from reports, and its MTConnect words.

GRBL sends the work offset and the overrides only now and then and leaves out what is off, so each report is folded
into what was known before. Everything here is a pure function of its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from edge.domain.machine import (
    Alarm,
    Availability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    Fault,
    LinkHealth,
    MachineState,
    Overrides,
    Position,
    SpindleCommand,
)
from edge.drivers.grbl.protocol import Axes, State, StatusReport

INCH = 25.4


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest report with what earlier ones said; mm, mm/min, rev/min; taken_ns of the boot-time clock."""

    state: State
    substate: int | None
    machine_position: Position | None
    work_position: Position | None
    work_offset: Position | None
    feed: float | None
    speed: float | None
    spindle: SpindleCommand
    overrides: Overrides | None
    pins: frozenset[str]
    taken_ns: int
    overrides_ns: int = 0
    """When a report last said the overrides."""

    @property
    def standing(self) -> bool:
        """Whether the controller says that axes stand and stay: a reset now keeps the position (reset_after_hold).

        Idle is not among them: with lines still in the receive buffer it may turn into Run.
        """
        match self.state:
            case State.HOLD:
                return self.substate in (0, None)
            case State.DOOR:
                return self.substate in (0, 1)
            case State.ALARM | State.SLEEP | State.CHECK:
                return True
            case _:
                return False

    @property
    def moving(self) -> bool:
        """Whether axes may be in motion."""
        return not self.standing and self.state is not State.IDLE


def fold(before: Reading | None, report: StatusReport, taken_ns: int, *, inches: bool) -> Reading:
    """Return `report` completed by what `before` knew. `inches` is `$13`."""
    scale = INCH if inches else 1.0
    offset = _position(report.offset, scale) or (before.work_offset if before else None)
    machine = _position(report.machine, scale)
    work = _position(report.work, scale)
    if offset is not None and machine is not None:
        work = Position(machine.x - offset.x, machine.y - offset.y, machine.z - offset.z)
    elif offset is not None and work is not None:
        machine = Position(work.x + offset.x, work.y + offset.y, work.z + offset.z)
    return Reading(
        state=report.state,
        substate=report.substate,
        machine_position=machine,
        work_position=work,
        work_offset=offset,
        feed=None if report.feed is None else report.feed * scale,
        speed=report.speed,
        spindle=_spindle(report.accessories, before),
        overrides=Overrides(*report.overrides) if report.overrides else (before.overrides if before else None),
        pins=report.pins,
        taken_ns=taken_ns,
        overrides_ns=taken_ns if report.overrides else (before.overrides_ns if before else 0),
    )


def _position(axes: Axes | None, scale: float) -> Position | None:
    """Return `axes` in mm."""
    return None if axes is None else Position(axes[0] * scale, axes[1] * scale, axes[2] * scale)


def _spindle(accessories: str | None, before: Reading | None) -> SpindleCommand:
    """Return what the spindle was told; `accessories` None means that this report does not say."""
    if accessories is None:
        return before.spindle if before else SpindleCommand.UNAVAILABLE
    if "S" in accessories:
        return SpindleCommand.CLOCKWISE
    return SpindleCommand.COUNTER_CLOCKWISE if "C" in accessories else SpindleCommand.OFF


class Activity(Enum):
    """What the driver itself does with the machine, as far as it changes the meaning of a report."""

    NONE = "none"
    PROGRAM = "program"
    PROGRAM_STOP = "program stop"
    HOMING = "homing"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the driver knows beside the reports. door_pin and stop_pin: whether such an input exists."""

    activity: Activity = Activity.NONE
    completed: bool = False
    homed: bool = False
    alarms: tuple[Alarm, ...] = ()
    fault: Fault = Fault.NONE
    fault_reason: str = ""
    door_pin: bool = False
    stop_pin: bool = False
    program: str | None = None
    line: int | None = None
    sent_line: int | None = None
    total_lines: int | None = None
    progress: float | None = None
    link: LinkHealth | None = None


def machine_state(reading: Reading, facts: Facts) -> MachineState:
    """Return the reading in the house's words."""
    return MachineState(
        availability=Availability.AVAILABLE,
        execution=_execution(reading, facts),
        mode=_mode(reading, facts),
        emergency_stop=_stop_circuit(reading, facts),
        door=_door(reading, facts),
        machine_position=reading.machine_position,
        work_position=reading.work_position,
        work_offset=reading.work_offset,
        homed=facts.homed,
        feed=reading.feed,
        spindle=reading.spindle,
        spindle_speed=reading.speed,
        overrides=reading.overrides,
        program=facts.program,
        line=facts.line,
        sent_line=facts.sent_line,
        total_lines=facts.total_lines,
        progress=facts.progress,
        alarms=facts.alarms,
        fault=facts.fault,
        fault_reason=facts.fault_reason,
        pins=reading.pins,
        link=facts.link,
        taken_ns=reading.taken_ns,
    )


def unavailable_state(facts: Facts, taken_ns: int) -> MachineState:
    """Return the state of a controller that is not heard: nothing but the fault and the age of the last word."""
    return replace(
        MachineState(),
        fault=facts.fault,
        fault_reason=facts.fault_reason,
        alarms=facts.alarms,
        link=facts.link,
        taken_ns=taken_ns,
    )


def _execution(reading: Reading, facts: Facts) -> Execution:
    """Return MTConnect's Execution.

    A program between two motions (dwell, waiting for the last acknowledgement) is reported Idle and stays ACTIVE.
    MTConnect's PROGRAM_STOPPED (M0) is shown as INTERRUPTED: the program itself asked for a person. An alarm that
    the controller can only tell by ALARM:N, because it answers no `?`, counts more than the last report; and so does
    homing, in which it answers none either.
    """
    if facts.activity is Activity.HOMING:
        return Execution.ACTIVE
    if facts.alarms:
        return Execution.STOPPED
    match reading.state:
        case State.IDLE if facts.activity is Activity.PROGRAM:
            return Execution.ACTIVE
        case State.IDLE:
            return Execution.PROGRAM_COMPLETED if facts.completed else Execution.READY
        case State.RUN | State.JOG | State.HOME:
            return Execution.ACTIVE
        case State.HOLD if facts.activity is Activity.PROGRAM_STOP:
            return Execution.INTERRUPTED
        case State.HOLD:
            return Execution.FEED_HOLD
        case State.DOOR | State.TOOL:
            return Execution.INTERRUPTED
        case State.ALARM | State.SLEEP | State.CHECK:
            return Execution.STOPPED


def _mode(reading: Reading, facts: Facts) -> ControllerMode:
    """Return who moves the axes: a program, a person's single line, or nobody and a person next."""
    if facts.activity in (Activity.PROGRAM, Activity.PROGRAM_STOP):
        return ControllerMode.AUTOMATIC
    if reading.state is State.RUN and facts.activity is Activity.NONE:
        return ControllerMode.MANUAL_DATA_INPUT
    return ControllerMode.MANUAL


def _door(reading: Reading, facts: Facts) -> DoorState:
    """Return the door as its pin says; without a pin nobody knows, whatever Door:0 claims (door_byte_stock)."""
    if "D" in reading.pins:
        return DoorState.OPEN
    return DoorState.CLOSED if facts.door_pin else DoorState.UNAVAILABLE


def _stop_circuit(reading: Reading, facts: Facts) -> EmergencyStop:
    """Return the copy of the stop circuit: the reset pin where it is wired so, or the E of grblHAL."""
    if reading.pins & {"R", "E"}:
        return EmergencyStop.TRIGGERED
    return EmergencyStop.ARMED if facts.stop_pin else EmergencyStop.UNAVAILABLE
