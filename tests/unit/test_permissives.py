# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth table of the permissives: which fact refuses which command. A change here needs a decision page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.domain.inputs import InputRule
from edge.domain.machine import Alarm, Availability, Execution, Fault, MachineState
from edge.safety.interlock import InputStatus, Interlock, LatchState, Reading
from edge.safety.permissives import Command, Facts, refusals

RULE = InputRule("door", "Door", "the router's door pin", 10**9, "Close the door.")


def reading(status: InputStatus = InputStatus.HEALTHY) -> Reading:
    return Reading(RULE, status, 200_000_000)


GOOD_STATE = MachineState(availability=Availability.AVAILABLE, execution=Execution.READY, homed=True, taken_ns=1)
GOOD = Facts(
    name="Router",
    state=GOOD_STATE,
    state_age_ns=100_000_000,
    interlock=Interlock(LatchState.PERMITTED),
    readings=(reading(),),
    guarded=True,
    guardian_alive=True,
    busy=False,
)
HELD = replace(GOOD, state=replace(GOOD_STATE, execution=Execution.FEED_HOLD), busy=True)
KEPT = Alarm("2", "Soft limit", position_kept=True)
LOST = Alarm("1", "Hard limit", position_kept=False)
ALARM = replace(GOOD, state=replace(GOOD_STATE, execution=Execution.STOPPED, alarms=(KEPT,)))
BASE = {
    Command.START: GOOD,
    Command.RESUME: HELD,
    Command.HOME: GOOD,
    Command.UNLOCK: ALARM,
    Command.RESET: replace(GOOD, interlock=Interlock(LatchState.TRIPPED, reading())),
    Command.JOG: GOOD,
    Command.PROBE: GOOD,
    Command.ZERO: GOOD,
    Command.OVERRIDE: replace(GOOD, state=replace(GOOD_STATE, execution=Execution.ACTIVE), busy=True),
    Command.SETTINGS: GOOD,
    Command.LOAD: GOOD,
    Command.START_LOADED: GOOD,
    Command.SECOND_OPINION: GOOD,
}
ALL = frozenset(Command)
MOTION = frozenset(
    {
        *(Command.START, Command.RESUME, Command.HOME, Command.JOG, Command.PROBE, Command.START_LOADED),
        Command.SECOND_OPINION,
    }
)
LATCHED = MOTION | {Command.UNLOCK}
GUARDED_BY_INPUTS = LATCHED | {Command.RESET}
UNFAULTED = LATCHED | {Command.ZERO, Command.LOAD}
IDLE = ALL - {Command.RESUME, Command.UNLOCK, Command.RESET, Command.OVERRIDE}
STOPPED_TOO = frozenset({Command.HOME, Command.SETTINGS, Command.LOAD, Command.START_LOADED})
PROGRAMMED = frozenset(
    {Command.START, Command.RESUME, Command.PROBE, Command.LOAD, Command.START_LOADED, Command.SECOND_OPINION}
)


@pytest.mark.parametrize("command", Command)
def test_with_everything_in_order_each_command_is_permitted(command: Command) -> None:
    assert refusals(command, BASE[command]) == ()


ROWS: list[tuple[str, dict[str, Any], dict[str, Any], frozenset[Command]]] = [
    ("available", {}, {"availability": Availability.UNAVAILABLE}, ALL),
    ("fresh", {"state_age_ns": 2_000_000_000}, {}, ALL),
    ("fresh", {"state_age_ns": None}, {}, ALL),
    ("fresh", {"state_age_ns": -1}, {}, ALL),
    ("input.door", {"readings": (reading(InputStatus.OPEN),)}, {}, GUARDED_BY_INPUTS),
    ("input.door", {"readings": (reading(InputStatus.UNKNOWN),)}, {}, GUARDED_BY_INPUTS),
    ("inputs", {"readings": ()}, {}, GUARDED_BY_INPUTS),
    ("interlock", {"interlock": Interlock()}, {}, LATCHED),
    ("interlock", {"interlock": Interlock(LatchState.TRIPPED, reading())}, {}, LATCHED),
    ("fault", {"own_fault": "the cable was pulled"}, {}, UNFAULTED),
    ("fault", {}, {"fault": Fault.FAULT, "fault_reason": "restarted"}, UNFAULTED),
    ("guardian", {"guardian_alive": False}, {}, MOTION),
    ("opening", {"opening": ("door", "clamps")}, {}, PROGRAMMED),
    ("idle", {"busy": True}, {}, IDLE),
    ("idle", {}, {"execution": Execution.ACTIVE}, IDLE),
    ("idle", {}, {"execution": Execution.FEED_HOLD}, IDLE),
    ("idle", {}, {"execution": Execution.INTERRUPTED}, IDLE),
    ("idle", {}, {"execution": Execution.UNAVAILABLE}, IDLE),
    ("idle", {}, {"execution": Execution.STOPPED}, IDLE - STOPPED_TOO),
    ("homed", {}, {"homed": False}, frozenset({Command.START, Command.PROBE})),
    ("homed", {"far": True}, {"homed": False}, frozenset({Command.START, Command.PROBE, Command.JOG})),
    ("held", {}, {"execution": Execution.READY}, frozenset({Command.RESUME})),
    ("alarm", {}, {"execution": Execution.READY}, frozenset({Command.UNLOCK})),
    ("alarm", {}, {"alarms": ()}, frozenset({Command.UNLOCK})),
    ("position", {}, {"alarms": (KEPT, LOST)}, frozenset({Command.UNLOCK})),
]


@pytest.mark.parametrize(("permissive", "facts", "state", "against"), ROWS)
@pytest.mark.parametrize("command", Command)
def test_truth_table(
    permissive: str, facts: dict[str, Any], state: dict[str, Any], against: frozenset[Command], command: Command
) -> None:
    base = BASE[command]
    changed = replace(base, **facts, state=replace(base.state, **state))
    named = [refusal.permissive for refusal in refusals(command, changed)]
    assert (permissive in named) == (command in against)


@pytest.mark.parametrize("command", Command)
def test_every_refusal_says_why_from_where_and_what_to_do(command: Command) -> None:
    nothing_known = Facts(
        "Router", MachineState(), None, Interlock(), (reading(InputStatus.UNKNOWN),), True, False, False
    )
    found = refusals(command, nothing_known)
    assert found
    for refusal in found:
        assert refusal.why.endswith((".", "given"))
        assert refusal.source
        assert refusal.remedy.endswith(".")


def test_what_is_left_of_the_opening_checklist_is_named() -> None:
    refusal = refusals(Command.START, replace(GOOD, opening=("door", "clamps")))[0]
    assert refusal.why == "The lab was packed for the road. Still to be checked: door, clamps."


def test_an_input_is_named_with_its_age() -> None:
    facts = replace(GOOD, readings=(reading(InputStatus.OPEN),))
    refusal = refusals(Command.START, facts)[0]
    assert refusal.why == "Door: open, read 0.2 s ago from the router's door pin."
    assert refusal.age_ms == 200.0
    assert refusal.remedy == "Close the door."


@pytest.mark.parametrize("execution", [Execution.READY, Execution.PROGRAM_COMPLETED, Execution.STOPPED])
def test_a_program_is_loaded_into_a_machine_that_stands_even_with_its_door_open(execution: Execution) -> None:
    door_open = replace(GOOD, state=replace(GOOD_STATE, execution=execution), readings=(reading(InputStatus.OPEN),))
    assert refusals(Command.LOAD, door_open) == ()


def test_an_alarm_that_a_machine_calls_urgent_is_a_fault_and_begins_nothing() -> None:
    urgent = replace(GOOD, state=replace(GOOD_STATE, execution=Execution.STOPPED, fault=Fault.FAULT))
    assert [item.permissive for item in refusals(Command.START_LOADED, urgent)] == ["fault"]


def test_whether_a_machine_with_a_memory_of_its_own_is_homed_is_its_own_business() -> None:
    assert refusals(Command.START_LOADED, replace(GOOD, state=replace(GOOD_STATE, homed=False))) == ()


def test_a_machine_without_a_descriptor_needs_no_guardian() -> None:
    assert refusals(Command.START, replace(GOOD, guarded=False, guardian_alive=False)) == ()
