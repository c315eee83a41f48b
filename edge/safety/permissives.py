# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold before a command is sent to a machine. Every refusal says why, from which source, and what to do.

`refusals` is total: for each command and each set of facts it returns all the reasons against, in the order in which
a person should deal with them; an empty tuple permits. The truth table stands in tests/unit/test_permissives.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.domain.machine import Availability, Execution, Fault, MachineState
from edge.safety.interlock import InputStatus, Interlock, LatchState, Reading, first_bad

STATE_MAX_AGE_NS = 1_500_000_000


class Command(StrEnum):
    """Commands that have to be permitted. Hold and stop are not among them: they are never gated."""

    START = "start"
    RESUME = "resume"
    HOME = "home"
    UNLOCK = "unlock"
    RESET = "reset"
    JOG = "jog"
    PROBE = "probe"
    ZERO = "zero"
    OVERRIDE = "override"
    SETTINGS = "settings"
    LOAD = "load"
    START_LOADED = "start_loaded"
    SECOND_OPINION = "second_opinion"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason against a command: the permissive, why it does not hold, its source, its age, what to do."""

    permissive: str
    why: str
    source: str
    age_ms: float | None
    remedy: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the permissives look at, taken at one moment.

    guarded tells whether the machine needs the guardian (it has a descriptor to hold); busy whether a command of this
    service is under way on the machine; far whether the motion by hand that is asked for needs a known position: it is
    continuous, long, or goes to a place in machine coordinates; opening what is left of the checklist after a drive.
    """

    name: str
    state: MachineState
    state_age_ns: int | None
    interlock: Interlock
    readings: Sequence[Reading]
    guarded: bool
    guardian_alive: bool
    busy: bool
    own_fault: str = ""
    far: bool = False
    opening: Sequence[str] = ()


def _age_ms(age_ns: int | None) -> float | None:
    return None if age_ns is None else round(age_ns / 1e6, 1)


def _said(age_ns: int | None) -> str:
    return "never read" if age_ns is None else f"read {max(age_ns, 0) / 1e9:.1f} s ago"


def _input_refusal(reading: Reading) -> Refusal:
    rule = reading.rule
    word = "open" if reading.status is InputStatus.OPEN else "not known"
    why = f"{rule.label}: {word}, {_said(reading.age_ns)} from {rule.source}."
    return Refusal(f"input.{rule.name}", why, rule.source, _age_ms(reading.age_ns), rule.remedy)


def _available(facts: Facts) -> Iterator[Refusal]:
    age = facts.state_age_ns
    if facts.state.availability is not Availability.AVAILABLE:
        yield Refusal(
            "available",
            f"The controller does not answer: {facts.state.fault_reason}".removesuffix(": ").removesuffix(".") + ".",
            "controller",
            _age_ms(age),
            "Check that the machine is switched on and its cable is plugged in.",
        )
    elif age is None or not 0 <= age <= STATE_MAX_AGE_NS:
        yield Refusal(
            "fresh",
            f"The controller's state is stale: {_said(age)}.",
            "controller",
            _age_ms(age),
            "Wait a moment; if it stays, check the cable.",
        )


def _inputs(facts: Facts) -> Iterator[Refusal]:
    for reading in facts.readings:
        if reading.status is not InputStatus.HEALTHY:
            yield _input_refusal(reading)
    if not facts.readings:
        yield Refusal(
            "inputs",
            "No interlock input is configured for this machine.",
            "configuration",
            None,
            "Name the door and the stop circuit in the configuration file.",
        )


def _latch(facts: Facts) -> Iterator[Refusal]:
    if facts.interlock.state is LatchState.PERMITTED or first_bad(facts.readings) is not None or not facts.readings:
        return
    cause = facts.interlock.cause
    why = (
        f"The interlock has tripped: {cause.rule.label}."
        if facts.interlock.state is LatchState.TRIPPED and cause is not None
        else "Nobody has reset the interlock since the start of the controller."
    )
    yield Refusal("interlock", why, "interlock", None, "Look at the machine, then press Reset at the console.")


def _fault(facts: Facts) -> Iterator[Refusal]:
    reason = facts.own_fault or (facts.state.fault_reason if facts.state.fault is Fault.FAULT else "")
    if reason or facts.state.fault is Fault.FAULT:
        yield Refusal(
            "fault",
            f"The machine is in fault: {reason or 'no reason given'}",
            "supervisor",
            None,
            "Look at the machine, then press Reset at the console.",
        )


def _guardian(facts: Facts) -> Iterator[Refusal]:
    if facts.guarded and not facts.guardian_alive:
        yield Refusal(
            "guardian",
            "The guardian process does not answer.",
            "guardian",
            None,
            "Restart the controller; if it stays, do not use the machine.",
        )


def _idle(facts: Facts, *, allow_alarm: bool = False) -> Iterator[Refusal]:
    allowed = {Execution.READY, Execution.PROGRAM_COMPLETED}
    if allow_alarm:
        allowed.add(Execution.STOPPED)
    if facts.busy or facts.state.execution not in allowed:
        word = "busy" if facts.busy else facts.state.execution.value
        yield Refusal(
            "idle",
            f"The machine is not ready: {word}.",
            "controller",
            _age_ms(facts.state_age_ns),
            "Wait for the end of what it does, or use Stop machine. After an alarm, home the machine.",
        )


def _homed(facts: Facts) -> Iterator[Refusal]:
    if not facts.state.homed:
        yield Refusal(
            "homed",
            "The machine's position is not trusted: it has not been homed since power-up or since it was lost.",
            "controller",
            None,
            "Press Home.",
        )


def _held(facts: Facts) -> Iterator[Refusal]:
    if facts.state.execution not in (Execution.FEED_HOLD, Execution.INTERRUPTED):
        yield Refusal(
            "held",
            f"The machine is not in hold: {facts.state.execution.value}.",
            "controller",
            _age_ms(facts.state_age_ns),
            "Nothing to do.",
        )


def _alarm_kept(facts: Facts) -> Iterator[Refusal]:
    if facts.state.execution is not Execution.STOPPED or not facts.state.alarms:
        yield Refusal("alarm", "The machine is not in alarm.", "controller", None, "Nothing to do.")
    elif not all(alarm.position_kept for alarm in facts.state.alarms):
        yield Refusal(
            "position",
            "The alarm lost the position: unlocking would trust a place that nobody knows.",
            "controller",
            None,
            "Press Home.",
        )


def _opened(facts: Facts) -> Iterator[Refusal]:
    if facts.opening:
        yield Refusal(
            "opening",
            f"The lab was packed for the road. Still to be checked: {', '.join(facts.opening)}.",
            "opening checklist",
            None,
            "Walk the opening checklist at the console.",
        )


def _permitted_motion(facts: Facts) -> Iterator[Refusal]:
    """Yield what stands against any motion."""
    yield from _available(facts)
    yield from _inputs(facts)
    yield from _latch(facts)
    yield from _fault(facts)
    yield from _guardian(facts)


def refusals(command: Command, facts: Facts) -> tuple[Refusal, ...]:
    """Return all the reasons against `command`; an empty tuple permits it."""
    return tuple(_against(command, facts))


def _against(command: Command, facts: Facts) -> Iterator[Refusal]:
    match command:
        case Command.START | Command.PROBE:
            yield from _permitted_motion(facts)
            yield from _opened(facts)
            yield from _idle(facts)
            yield from _homed(facts)
        case Command.RESUME:
            yield from _permitted_motion(facts)
            yield from _opened(facts)
            yield from _held(facts)
        case Command.HOME:
            yield from _permitted_motion(facts)
            yield from _idle(facts, allow_alarm=True)
        case Command.JOG:
            yield from _permitted_motion(facts)
            yield from _idle(facts)
            if facts.far:
                yield from _homed(facts)
        case Command.UNLOCK:
            yield from _available(facts)
            yield from _inputs(facts)
            yield from _latch(facts)
            yield from _fault(facts)
            yield from _alarm_kept(facts)
        case Command.RESET:
            yield from _available(facts)
            yield from _inputs(facts)
        case Command.ZERO:
            yield from _available(facts)
            yield from _fault(facts)
            yield from _idle(facts)
        case Command.OVERRIDE:
            yield from _available(facts)
        case Command.SETTINGS:
            yield from _available(facts)
            yield from _idle(facts, allow_alarm=True)
        case Command.LOAD:
            yield from _available(facts)
            yield from _fault(facts)
            yield from _opened(facts)
            yield from _idle(facts, allow_alarm=True)
        case Command.START_LOADED:
            yield from _permitted_motion(facts)
            yield from _opened(facts)
            yield from _idle(facts, allow_alarm=True)
        case Command.SECOND_OPINION:
            # Nothing moves in check mode; but a controller that left it unnoticed would do what it is sent.
            yield from _permitted_motion(facts)
            yield from _opened(facts)
            yield from _idle(facts)
