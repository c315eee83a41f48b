# SPDX-License-Identifier: GPL-3.0-or-later
"""What a screen may know of a machine at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.domain.errors import MotionRefused
from edge.domain.machine import Fault, MachineInfo, MachineState
from edge.safety.interlock import Interlock, Reading
from edge.safety.permissives import Command, Facts, Refusal, refusals


@dataclass(frozen=True, slots=True)
class MachineView:
    """A machine, its interlock, and what stands against each command now."""

    info: MachineInfo
    state: MachineState
    age_ns: int | None
    interlock: Interlock
    readings: tuple[Reading, ...]
    fault: str
    busy: bool
    refusals: dict[Command, tuple[Refusal, ...]]


def view_of(info: MachineInfo, facts: Facts) -> MachineView:
    """Return what a screen may know of the facts."""
    return MachineView(
        info=info,
        state=facts.state,
        age_ns=facts.state_age_ns,
        interlock=facts.interlock,
        readings=tuple(facts.readings),
        fault=facts.own_fault or (facts.state.fault_reason if facts.state.fault is Fault.FAULT else ""),
        busy=facts.busy,
        refusals={command: refusals(command, facts) for command in Command},
    )


def refused(info: MachineInfo, command: Command, reasons: Sequence[Refusal]) -> MotionRefused:
    """Return the refusal of a command with all its reasons."""
    return MotionRefused(
        machine_id=info.machine_id,
        command=command.value,
        reasons=" ".join(reason.why for reason in reasons),
        refusals=tuple(reasons),
        machine=info.name,
    )
