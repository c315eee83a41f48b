# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's own pins as inputs of an interlock: reported as they are, interpreted elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from edge.domain.inputs import InputSample
from edge.domain.machine import Availability, DoorState, EmergencyStop, MachineState
from edge.domain.ports import Clock

DOOR = "door"
STOP_CIRCUIT = "stop-circuit"

_DOOR_ALARM = "ALARM:7"


class PinSource(Protocol):
    """What is read: a GrblDriver."""

    @property
    def homing(self) -> bool:
        """Whether the controller answers no status because it homes."""
        ...

    def state(self) -> MachineState:
        """Return the newest reading."""
        ...

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` at each new reading."""
        ...


class GrblPinInputs:
    """The SafetyInputSource of one controller: `door` and `stop-circuit`, with each status report.

    A pin that the controller has not, or whose wiring is not declared, is None: nobody knows. While homing no report
    comes; the controller then watches door and reset pin itself and says ALARM:7 or ALARM:6 at once, so the last
    sample is repeated with the present time. A connection that is away makes both None.
    """

    def __init__(self, driver: PinSource, source: str, clock: Clock) -> None:
        self._driver = driver
        self._source = source
        self._clock = clock

    async def run(self, report: Callable[[InputSample], None]) -> None:
        """Report samples on each reading until cancelled."""

        def on_state(state: MachineState) -> None:
            for sample in self._samples(state):
                report(sample)

        unsubscribe = self._driver.subscribe(on_state)
        try:
            on_state(self._driver.state())
            await asyncio.Event().wait()
        finally:
            unsubscribe()

    def _samples(self, state: MachineState) -> tuple[InputSample, InputSample]:
        """Return door and stop circuit as `state` has them."""
        heard = state.availability is Availability.AVAILABLE and not self._driver.homing
        taken_ns = state.taken_ns if heard else self._clock.boot_ns()
        return (
            InputSample(DOOR, _door(state), taken_ns, self._source),
            InputSample(STOP_CIRCUIT, _stop_circuit(state), taken_ns, self._source),
        )


def _door(state: MachineState) -> bool | None:
    """Return whether the door switch says closed."""
    if any(alarm.code == _DOOR_ALARM for alarm in state.alarms):
        return False
    match state.door:
        case DoorState.CLOSED:
            return True
        case DoorState.OPEN | DoorState.UNLATCHED:
            return False
        case DoorState.UNAVAILABLE:
            return None


def _stop_circuit(state: MachineState) -> bool | None:
    """Return whether the copy of the stop circuit says closed."""
    match state.emergency_stop:
        case EmergencyStop.ARMED:
            return True
        case EmergencyStop.TRIGGERED:
            return False
        case EmergencyStop.UNAVAILABLE:
            return None
