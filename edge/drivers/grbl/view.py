# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the driver knows to what the house is told."""

from __future__ import annotations

from edge.domain.machine import LinkHealth, MachineState
from edge.drivers.grbl.condition import Condition
from edge.drivers.grbl.job import Job, JobPhase
from edge.drivers.grbl.state import Activity, Facts, machine_state, unavailable_state


def describe(
    condition: Condition,
    job: Job | None,
    *,
    known: bool,
    reason: str,
    door_pin: bool,
    stop_pin: bool,
    link: LinkHealth,
) -> MachineState:
    """Return the state to publish; where nothing is `known`, it says only since when and, in `reason`, why."""
    facts = Facts(
        activity=activity(condition, job),
        completed=job is not None and job.phase is JobPhase.FINISHED,
        homed=condition.homed,
        alarms=condition.alarms,
        fault=condition.fault,
        fault_reason=condition.fault_reason or reason,
        door_pin=door_pin,
        stop_pin=stop_pin,
        program=job.program.program_id if job else None,
        line=job.line if job else None,
        sent_line=job.sent_line if job else None,
        total_lines=job.program.source_lines[-1] if job else None,
        progress=job.progress if job else None,
        link=link,
    )
    reading = condition.reading
    if reading is None or not known:
        return unavailable_state(facts, reading.taken_ns if reading else 0)
    return machine_state(reading, facts)


def activity(condition: Condition, job: Job | None) -> Activity:
    """Return what the driver does with the machine."""
    if condition.homing:
        return Activity.HOMING
    if job is None or job.ended:
        return Activity.NONE
    # A person's hold on an M0 is the person's: the program goes on only where the person says so.
    return Activity.PROGRAM_STOP if job.paused_by_program and not condition.hold_asked else Activity.PROGRAM
