# SPDX-License-Identifier: GPL-3.0-or-later
"""What one machine is seen to be: values, inputs and alarms of a connection, as a state and as samples of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from edge.domain.inputs import InputSample
from edge.domain.machine import Availability, DoorState, EmergencyStop, Fault, MachineState
from edge.domain.ports import Clock
from edge.drivers.opcua.alarms import Alarms, ConditionEvent
from edge.drivers.opcua.models.model import FoundMachine
from edge.drivers.opcua.settings import OpcUaInputSettings, OpcUaSettings
from edge.drivers.opcua.values import Value, Values

Listener = TypeVar("Listener")


class View:
    """The newest state and samples, and who is told of them. Without a machine nothing is known but a reason."""

    def __init__(self, name: str, settings: OpcUaSettings, clock: Clock) -> None:
        self.state = MachineState()
        self._seen = self.state
        self._fault = ""
        self._name = name
        self._inputs = {input_key(one): one for one in settings.inputs}
        self._clock = clock
        self._machine: FoundMachine | None = None
        self._values = Values()
        self._alarms = Alarms()
        self._samples: dict[str, InputSample] = {}
        self._listeners: dict[object, Callable[[MachineState], None]] = {}
        self._input_listeners: dict[object, Callable[[InputSample], None]] = {}

    @property
    def known(self) -> Mapping[str, object]:
        """Return the newest values by key."""
        return self._values.known

    def report_fault(self, reason: str) -> None:
        """Show a fault of our own, whatever the machine says and the link does; an empty reason ends it."""
        self._fault = reason
        self._set_state(self._seen)

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` at each new state; return the call that ends it."""
        return _subscribe(self._listeners, listener)

    def subscribe_inputs(self, listener: Callable[[InputSample], None]) -> Callable[[], None]:
        """Report the newest sample of each input now, and each further one; return the call that ends it."""
        unsubscribe = _subscribe(self._input_listeners, listener)
        for sample in list(self._samples.values()):
            listener(sample)
        return unsubscribe

    def show(self, machine: FoundMachine) -> None:
        """Say from the next values on what `machine` does."""
        self._machine = machine

    def forget(self, reason: str) -> None:
        """Know nothing any more but the reason why."""
        self._machine = None
        self._values = Values()
        self._alarms = Alarms()
        state = MachineState(fault_reason=reason, taken_ns=self.state.taken_ns)
        if state != self._seen:
            self._set_state(state)
        now_ns = self._clock.boot_ns()
        for one in self._inputs.values():
            if (sample := self._samples.get(one.name)) is not None and sample.healthy is not None:
                self._sample(one, None, now_ns)

    def report(self, values: Mapping[str, Value], events: Sequence[ConditionEvent]) -> bool:
        """Take what the server reported by itself; return whether it has to be asked for all its alarms anew."""
        refresh = self._alarms.take(events)
        now_ns = self._clock.boot_ns()
        self._tell(self._values.report(values, now_ns, self._not_healthy(values)), now_ns)
        return refresh

    def read(self, values: Mapping[str, Value], asked_ns: int) -> None:
        """Take what was read, asked for at `asked_ns`."""
        taken = self._values.read(values, asked_ns, self._clock.boot_ns(), self._not_healthy(values))
        # An input that was reported meanwhile is confirmed by a reading that says the same.
        self._tell(taken, asked_ns)

    def _not_healthy(self, values: Mapping[str, Value]) -> set[str]:
        """Return the inputs that are not healthy: that counts though a clock was set back, or a reading overtook it."""
        return {key for key, one in self._inputs.items() if key in values and not _is_healthy(one, values[key].value)}

    def _tell(self, keys: set[str], taken_ns: int) -> None:
        for key, one in self._inputs.items():
            if key in keys:
                self._sample(one, self._values.known[key], taken_ns)
        if self._machine is None:
            return
        state = self._machine.state_of(self._values.known, max(taken_ns, self.state.taken_ns))
        state = self._alarms.shown_in(self._with_inputs(state))
        if state.availability is Availability.AVAILABLE:
            state = replace(state, source_ns=self._values.newest_ns)
        self._set_state(state)

    def _with_inputs(self, state: MachineState) -> MachineState:
        for key, one in self._inputs.items():
            value = self._values.known.get(key)
            if one.shows is None or not isinstance(value, bool):
                continue
            healthy = value == one.healthy_when
            if one.shows == "door":
                state = replace(state, door=DoorState.CLOSED if healthy else DoorState.OPEN)
            else:
                state = replace(state, emergency_stop=EmergencyStop.ARMED if healthy else EmergencyStop.TRIGGERED)
        return state

    def _sample(self, one: OpcUaInputSettings, value: object, taken_ns: int) -> None:
        before = self._samples.get(one.name)
        sample = InputSample(
            name=one.name,
            healthy=_is_healthy(one, value),
            # What was read now is not older than what was reported before, whenever it was asked for.
            taken_ns=taken_ns if before is None else max(taken_ns, before.taken_ns),
            source=f"{self._name}, OPC UA {one.node}",
        )
        self._samples[one.name] = sample
        for listener in list(self._input_listeners.values()):
            listener(sample)

    def _set_state(self, seen: MachineState) -> None:
        self._seen = self.state = seen
        if self._fault:
            reason = "; ".join(one for one in (self._fault, seen.fault_reason) if one)
            self.state = replace(seen, fault=Fault.FAULT, fault_reason=reason)
        for listener in list(self._listeners.values()):
            listener(self.state)


def input_key(one: OpcUaInputSettings) -> str:
    """Return the key of an input's value."""
    return f"input:{one.name}"


def _is_healthy(one: OpcUaInputSettings, value: object) -> bool | None:
    return value == one.healthy_when if isinstance(value, bool) else None


def _subscribe(listeners: dict[object, Listener], listener: Listener) -> Callable[[], None]:
    token = object()
    listeners[token] = listener

    def unsubscribe() -> None:
        listeners.pop(token, None)

    return unsubscribe
