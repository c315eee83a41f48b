# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from edge.domain.machine import (
    Alarm,
    Availability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    Overrides,
    Position,
    SpindleCommand,
)
from edge.drivers.grbl.protocol import State, StatusReport, parse
from edge.drivers.grbl.state import Activity, Facts, Reading, fold, machine_state, unavailable_state


def read(*reports: str, inches: bool = False) -> Reading:
    reading = None
    for number, report in enumerate(reports, 1):
        message = parse(report)
        assert isinstance(message, StatusReport)
        reading = fold(reading, message, number, inches=inches)
    assert reading is not None
    return reading


def test_offset_overrides_and_spindle_are_remembered() -> None:
    reading = read(
        "<Idle|MPos:1,2,3|FS:0,0|WCO:10,20,30>", "<Run|MPos:4,5,6|FS:9,800|Ov:90,50,110|A:C>", "<Run|MPos:7,8,9>"
    )
    assert reading.machine_position == Position(7, 8, 9)
    assert reading.work_position == Position(-3, -12, -21)
    assert reading.overrides == Overrides(90, 50, 110)
    assert reading.spindle is SpindleCommand.COUNTER_CLOCKWISE
    assert reading.taken_ns == 3


def test_work_positions_become_machine_positions_once_the_offset_is_known() -> None:
    assert read("<Idle|WPos:1,2,3>").machine_position is None
    reading = read("<Idle|WPos:1,2,3|WCO:10,20,30>", "<Idle|WPos:2,2,3>")
    assert reading.machine_position == Position(12, 22, 33)


def test_inches_become_millimetres() -> None:
    reading = read("<Run|MPos:1,0,0|FS:10,500|WCO:2,0,0>", inches=True)
    assert reading.machine_position == Position(25.4, 0, 0)
    assert reading.work_position == Position(-25.4, 0, 0)
    assert (reading.feed, reading.speed) == (254.0, 500.0)


def test_spindle_is_unknown_until_told_and_off_when_overrides_come_without() -> None:
    assert read("<Idle|MPos:0,0,0>").spindle is SpindleCommand.UNAVAILABLE
    assert read("<Idle|MPos:0,0,0|Ov:100,100,100|A:S>").spindle is SpindleCommand.CLOCKWISE
    assert read("<Run|MPos:0,0,0|Ov:100,100,100|A:S>", "<Run|MPos:0,0,0|Ov:1,1,1>").spindle is SpindleCommand.OFF


@pytest.mark.parametrize(
    ("report", "activity", "execution", "mode"),
    [
        ("Idle", Activity.NONE, Execution.READY, ControllerMode.MANUAL),
        ("Idle", Activity.PROGRAM, Execution.ACTIVE, ControllerMode.AUTOMATIC),
        ("Run", Activity.PROGRAM, Execution.ACTIVE, ControllerMode.AUTOMATIC),
        ("Run", Activity.NONE, Execution.ACTIVE, ControllerMode.MANUAL_DATA_INPUT),
        ("Hold:0", Activity.PROGRAM, Execution.FEED_HOLD, ControllerMode.AUTOMATIC),
        ("Hold:1", Activity.PROGRAM, Execution.FEED_HOLD, ControllerMode.AUTOMATIC),
        ("Hold:0", Activity.PROGRAM_STOP, Execution.INTERRUPTED, ControllerMode.AUTOMATIC),
        ("Door:1", Activity.PROGRAM, Execution.INTERRUPTED, ControllerMode.AUTOMATIC),
        ("Door:3", Activity.NONE, Execution.INTERRUPTED, ControllerMode.MANUAL),
        ("Jog", Activity.NONE, Execution.ACTIVE, ControllerMode.MANUAL),
        ("Home", Activity.HOMING, Execution.ACTIVE, ControllerMode.MANUAL),
        ("Alarm", Activity.HOMING, Execution.ACTIVE, ControllerMode.MANUAL),
        ("Alarm", Activity.NONE, Execution.STOPPED, ControllerMode.MANUAL),
        ("Sleep", Activity.NONE, Execution.STOPPED, ControllerMode.MANUAL),
        ("Check", Activity.NONE, Execution.STOPPED, ControllerMode.MANUAL),
        ("Tool", Activity.PROGRAM, Execution.INTERRUPTED, ControllerMode.AUTOMATIC),
    ],
)
def test_words(report: str, activity: Activity, execution: Execution, mode: ControllerMode) -> None:
    state = machine_state(read(f"<{report}|MPos:0,0,0>"), Facts(activity=activity))
    assert (state.execution, state.mode, state.availability) == (execution, mode, Availability.AVAILABLE)


def test_an_alarm_counts_more_than_the_last_report() -> None:
    facts = Facts(activity=Activity.PROGRAM, alarms=(Alarm("ALARM:1", "x", position_kept=False),))
    assert machine_state(read("<Run|MPos:0,0,0>"), facts).execution is Execution.STOPPED


def test_completed_is_said_once_idle() -> None:
    assert machine_state(read("<Idle|MPos:0,0,0>"), Facts(completed=True)).execution is Execution.PROGRAM_COMPLETED


def test_pins() -> None:
    closed, opened = read("<Idle|MPos:0,0,0>"), read("<Door:1|MPos:0,0,0|Pn:DR>")
    assert machine_state(closed, Facts()).door is DoorState.UNAVAILABLE
    assert machine_state(closed, Facts(door_pin=True)).door is DoorState.CLOSED
    assert machine_state(opened, Facts()).door is DoorState.OPEN
    assert machine_state(closed, Facts()).emergency_stop is EmergencyStop.UNAVAILABLE
    assert machine_state(closed, Facts(stop_pin=True)).emergency_stop is EmergencyStop.ARMED
    assert machine_state(opened, Facts()).emergency_stop is EmergencyStop.TRIGGERED
    assert machine_state(opened, Facts()).pins == {"D", "R"}


@pytest.mark.parametrize(
    ("report", "standing", "moving"),
    [
        ("Idle", False, False),
        ("Run", False, True),
        ("Hold:0", True, False),
        ("Hold:1", False, True),
        ("Door:0", True, False),
        ("Door:1", True, False),
        ("Door:2", False, True),
        ("Door:3", False, True),
        ("Alarm", True, False),
        ("Home", False, True),
        ("Jog", False, True),
        ("Sleep", True, False),
    ],
)
def test_standing(report: str, standing: bool, moving: bool) -> None:
    reading = read(f"<{report}|MPos:0,0,0>")
    assert (reading.standing, reading.moving) == (standing, moving)


def test_unavailable_knows_nothing() -> None:
    state = unavailable_state(Facts(fault_reason="gone", homed=True), 5)
    assert state.availability is Availability.UNAVAILABLE
    assert state.machine_position is None
    assert not state.homed
    assert (state.fault_reason, state.taken_ns) == ("gone", 5)


def test_every_state_has_a_word() -> None:
    for state in State:
        assert machine_state(read(f"<{state}|MPos:0,0,0>"), Facts()).execution is not Execution.UNAVAILABLE
