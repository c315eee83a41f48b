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
MOST = 100
"""Alarms of one machine that are kept: the most urgent. Nobody reads more, and a server may never stop raising them."""
_REASONS = 5


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
        self._left_out = False

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
                    refresh = self._has_room(MOST) or refresh
                case Frame.REFRESH_NEEDED:
                    refresh = True
                case None:
                    self._note(event)
        # Not at each alarm that goes: asking costs the server all the others.
        return self._has_room(MOST // 2) or refresh

    def shown_in(self, state: MachineState) -> MachineState:
        """Return the state with the alarms; urgent ones are a fault."""
        if not self._active:
            return state
        alarms = tuple(Alarm(one.code, one.text, position_kept=True) for one in self._active.values())
        if self._left_out:
            alarms = (*alarms, Alarm("", f"It has more than {MOST} alarms: see its own panel.", position_kept=True))
        urgent = [one.text or one.code for one in self._active.values() if one.severity >= _URGENT]
        if not urgent:
            return replace(state, alarms=(*state.alarms, *alarms))
        reasons = [reason for reason in (state.fault_reason, *urgent[:_REASONS]) if reason]
        return replace(state, alarms=(*state.alarms, *alarms), fault=Fault.FAULT, fault_reason="; ".join(reasons))

    def _has_room(self, most: int) -> bool:
        """Return whether there is room now for those that were left out, once."""
        if not self._left_out or self._confirmed is not None or len(self._active) >= most:
            return False
        self._left_out = False
        return True

    def _note(self, event: ConditionEvent) -> None:
        if not event.active:
            self._drop(event.condition)
            return
        if event.condition not in self._active and len(self._active) >= MOST:
            self._left_out = True
            least = min(self._active.values(), key=lambda one: one.severity)
            if least.severity >= event.severity:
                return
            self._drop(least.condition)
        self._active[event.condition] = event
        if self._confirmed is not None:
            self._confirmed.add(event.condition)

    def _drop(self, condition: str) -> None:
        self._active.pop(condition, None)
        if self._confirmed is not None:
            self._confirmed.discard(condition)
