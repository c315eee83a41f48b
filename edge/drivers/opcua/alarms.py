# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms that a machine has, kept from the events of its conditions (OPC 10000-9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from edge.domain.machine import Alarm, Fault, MachineState

ALARMS = "alarms"
"""The key under which a subscription tells that a server refuses to report alarms."""

# OPC 10000-5, 6.4.2 recommends 667 to 1000 for what is urgent.
_URGENT = 667


class Frame(Enum):
    """What a server says about its events themselves."""

    REFRESH_BEGINS = auto()
    REFRESH_ENDS = auto()
    REFRESH_NEEDED = auto()


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    """An alarm that came or went; severity is 1 to 1000 (OPC 10000-5). frame is set instead for what is no alarm."""

    condition: str
    code: str
    text: str
    severity: int
    active: bool
    frame: Frame | None = None


class Alarms:
    """The active alarms of one connection."""

    def __init__(self) -> None:
        self._active: dict[str, ConditionEvent] = {}
        self._confirmed: set[str] | None = None

    def take(self, events: Sequence[ConditionEvent]) -> bool:
        """Take events in their order; return whether the server has to be asked for all its alarms anew."""
        refresh = False
        for event in events:
            match event.frame:
                case Frame.REFRESH_BEGINS:
                    self._confirmed = set()
                case Frame.REFRESH_ENDS:
                    if self._confirmed is not None:
                        self._active = {key: one for key, one in self._active.items() if key in self._confirmed}
                    self._confirmed = None
                case Frame.REFRESH_NEEDED:
                    refresh = True
                case None:
                    self._note(event)
        return refresh

    def shown_in(self, state: MachineState) -> MachineState:
        """Return the state with the alarms; urgent ones are a fault."""
        if not self._active:
            return state
        alarms = tuple(Alarm(one.code, one.text, position_kept=True) for one in self._active.values())
        urgent = [one.text or one.code for one in self._active.values() if one.severity >= _URGENT]
        if not urgent:
            return replace(state, alarms=(*state.alarms, *alarms))
        reasons = [reason for reason in (state.fault_reason, *urgent) if reason]
        return replace(state, alarms=(*state.alarms, *alarms), fault=Fault.FAULT, fault_reason="; ".join(reasons))

    def _note(self, event: ConditionEvent) -> None:
        if self._confirmed is not None:
            self._confirmed.add(event.condition)
        if event.active:
            self._active[event.condition] = event
        else:
            self._active.pop(event.condition, None)
