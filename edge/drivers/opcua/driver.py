# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is watched over OPC UA: nothing here commands or decides.

The state is AVAILABLE only while the server is heard. Each connection is a fresh one; between two of them lies a
jittered pause that doubles up to a ceiling, so that a server with few sessions is never stormed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeVar

from edge.domain.errors import DriverRefused, StopNotDelivered
from edge.domain.inputs import InputSample
from edge.domain.machine import Alarm, DoorState, EmergencyStop, Fault, MachineInfo, MachineState
from edge.domain.ports import Clock, ProgramText
from edge.drivers.opcua.errors import CredentialsRefused, LinkError
from edge.drivers.opcua.models import umati
from edge.drivers.opcua.settings import OpcUaInputSettings, OpcUaSettings

if TYPE_CHECKING:
    from edge.drivers.opcua.connection import Connection, Item
    from edge.drivers.opcua.translate import ConditionEvent

Listener = TypeVar("Listener")

_log = logging.getLogger(__name__)

_CLOSED = "the link is closed"
_WATCHED_ONLY = "it is only watched over OPC UA; use its own panel"
# OPC 10000-5, 6.4.2 recommends 667 to 1000 for what is urgent.
_URGENT = 667


class OpcUaDriver:
    """One machine on an OPC UA server; implements MachineDriver and InputReporter, read-only."""

    def __init__(self, machine_id: str, name: str, kind: str, settings: OpcUaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._info = MachineInfo(machine_id=machine_id, name=name, kind=kind, driver=settings.driver)
        self._state = MachineState()
        self._listeners: dict[object, Callable[[MachineState], None]] = {}
        self._input_listeners: dict[object, Callable[[InputSample], None]] = {}
        self._values: dict[str, object] = {}
        self._alarms: dict[str, ConditionEvent] = {}
        self._nodes: umati.MachineNodes | None = None
        self._samples: dict[str, InputSample] = {}
        self._announced_loss = False
        self._live_since: float | None = None

    def info(self) -> MachineInfo:
        """Return who the machine is; `controller` is known once the machine was available."""
        return self._info

    def state(self) -> MachineState:
        """Return the newest reading. Without a link nothing is known but the reason, in `fault_reason`."""
        return self._state

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` at each sign of life and at the loss of the link; return the call that ends it."""
        return _subscribe(self._listeners, listener)

    def subscribe_inputs(self, listener: Callable[[InputSample], None]) -> Callable[[], None]:
        """Report the newest sample of each input now, and each further one; return the call that ends it."""
        unsubscribe = _subscribe(self._input_listeners, listener)
        for sample in list(self._samples.values()):
            listener(sample)
        return unsubscribe

    async def run(self) -> None:
        """Keep connected until cancelled; then leave no session on the server."""
        pause_s = self._settings.retry_min_s
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._live_since = None
                try:
                    await self._live()
                except LinkError as error:
                    self._lose(str(error.reason))
                    if self._live_since is not None and loop.time() - self._live_since > self._settings.watchdog_s:
                        pause_s = self._settings.retry_min_s
                    if isinstance(error, CredentialsRefused):
                        # Servers lock users out after a few tries.
                        pause_s = self._settings.retry_max_s
                await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)
                pause_s = min(2 * pause_s, self._settings.retry_max_s)
        finally:
            self._forget(_CLOSED)

    def hold(self) -> None:
        """Raise StopNotDelivered: a watched machine cannot be stopped from here."""
        raise StopNotDelivered(machine_id=self._info.machine_id, reason=_WATCHED_ONLY)

    async def stop(self) -> None:
        """Raise StopNotDelivered: a watched machine cannot be stopped from here."""
        raise StopNotDelivered(machine_id=self._info.machine_id, reason=_WATCHED_ONLY)

    async def resume(self) -> None:
        """Raise DriverRefused."""
        self._refuse("resume")

    async def home(self) -> None:
        """Raise DriverRefused."""
        self._refuse("home")

    async def unlock(self) -> None:
        """Raise DriverRefused."""
        self._refuse("unlock")

    def clear_fault(self) -> None:
        """Do nothing: the fault follows the machine's own alarms, which are cleared at its panel."""

    async def run_program(self, program: ProgramText) -> None:
        """Raise DriverRefused."""
        self._refuse(f"program {program.program_id}")

    def _refuse(self, command: str) -> NoReturn:
        raise DriverRefused(machine_id=self._info.machine_id, command=command, reason=_WATCHED_ONLY)

    async def _live(self) -> None:
        # Here and not above: the library costs 23 MB that a van without such a machine need not carry.
        from edge.drivers.opcua.connection import open_connection

        async with open_connection(self._settings, self._password()) as connection:
            # What was lost is unknown before the closing, which may take its time.
            try:
                await self._follow(connection)
            except LinkError as error:
                self._lose(str(error.reason))
                raise
            except asyncio.CancelledError:
                self._forget(_CLOSED)
                raise

    async def _follow(self, connection: Connection) -> None:
        from edge.drivers.opcua.connection import Item

        nodes = await umati.discover(connection, self._settings.machine)
        inputs = await self._resolve_inputs(connection, nodes)
        monitored = {path: Item(node, path == umati.PART_COUNT) for path, node in nodes.monitored().items()}
        monitored |= inputs
        await connection.subscribe(monitored, nodes.messages, nodes.tool_namespace, self._on_report)
        # A subscription may report its items one by one: the first state is of everything, read at once.
        asked_ns = self._clock.boot_ns()
        values = await connection.read([item.node_id for item in monitored.values()])
        self._nodes = nodes
        self._info = replace(self._info, controller=nodes.controller)
        self._recover()
        self._take(dict(zip(monitored, values, strict=True)), asked_ns)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.watch(), name=f"{self._info.machine_id}-watchdog")
                group.create_task(self._refresh(connection, inputs), name=f"{self._info.machine_id}-inputs")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _refresh(self, connection: Connection, inputs: Mapping[str, Item]) -> None:
        while inputs:
            await asyncio.sleep(self._settings.input_refresh_s)
            asked_ns = self._clock.boot_ns()
            values = await connection.read([item.node_id for item in inputs.values()])
            self._take(dict(zip(inputs, values, strict=True)), asked_ns)

    async def _resolve_inputs(self, connection: Connection, nodes: umati.MachineNodes) -> dict[str, Item]:
        from edge.drivers.opcua.connection import Item

        items: dict[str, Item] = {}
        for one in self._settings.inputs:
            node_id = await umati.resolve(connection, nodes.node_id, one.node)
            if node_id is None:
                _log.warning("%s: input %s: the server has no node %s", self._info.machine_id, one.name, one.node)
            else:
                items[_input_key(one)] = Item(node_id)
        return items

    def _on_report(self, values: Mapping[str, object], events: Sequence[ConditionEvent]) -> None:
        for event in events:
            if event.active:
                self._alarms[event.condition] = event
            else:
                self._alarms.pop(event.condition, None)
        self._take(values, self._clock.boot_ns())

    def _take(self, values: Mapping[str, object], taken_ns: int) -> None:
        self._values.update(values)
        for one in self._settings.inputs:
            if (key := _input_key(one)) in values:
                self._sample(one, values[key], taken_ns)
        if self._nodes is not None:
            state = umati.state_of(self._nodes, self._values, max(taken_ns, self._state.taken_ns))
            self._set_state(self._with_alarms(self._with_inputs(state)))

    def _with_inputs(self, state: MachineState) -> MachineState:
        for one in self._settings.inputs:
            value = self._values.get(_input_key(one))
            if one.shows is None or not isinstance(value, bool):
                continue
            healthy = value == one.healthy_when
            if one.shows == "door":
                state = replace(state, door=DoorState.CLOSED if healthy else DoorState.OPEN)
            else:
                state = replace(state, emergency_stop=EmergencyStop.ARMED if healthy else EmergencyStop.TRIGGERED)
        return state

    def _with_alarms(self, state: MachineState) -> MachineState:
        if not self._alarms:
            return state
        alarms = tuple(Alarm(one.code, one.text, position_kept=True) for one in self._alarms.values())
        urgent = [one.text for one in self._alarms.values() if one.severity >= _URGENT]
        return replace(
            state,
            alarms=alarms,
            fault=Fault.FAULT if urgent else Fault.NONE,
            fault_reason="; ".join(urgent),
        )

    def _sample(self, one: OpcUaInputSettings, value: object, taken_ns: int) -> None:
        before = self._samples.get(one.name)
        sample = InputSample(
            name=one.name,
            healthy=value == one.healthy_when if isinstance(value, bool) else None,
            # What was read now is not older than what was reported before, whenever it was asked for.
            taken_ns=taken_ns if before is None else max(taken_ns, before.taken_ns),
            source=f"{self._info.name}, OPC UA {one.node}",
        )
        self._samples[one.name] = sample
        for listener in list(self._input_listeners.values()):
            listener(sample)

    def _recover(self) -> None:
        self._live_since = asyncio.get_running_loop().time()
        if self._announced_loss:
            _log.warning("%s: link is back", self._info.machine_id)
        self._announced_loss = False

    def _lose(self, reason: str) -> None:
        if not self._announced_loss:
            _log.warning("%s: no link: %s", self._info.machine_id, reason)
        self._announced_loss = True
        self._forget(reason)

    def _forget(self, reason: str) -> None:
        self._nodes = None
        self._values = {}
        self._alarms = {}
        state = MachineState(fault_reason=reason, taken_ns=self._state.taken_ns)
        if state != self._state:
            self._set_state(state)
        now_ns = self._clock.boot_ns()
        for one in self._settings.inputs:
            if (sample := self._samples.get(one.name)) is not None and sample.healthy is not None:
                self._sample(one, None, now_ns)

    def _set_state(self, state: MachineState) -> None:
        self._state = state
        for listener in list(self._listeners.values()):
            listener(state)

    def _password(self) -> str | None:
        if self._settings.password_file is None:
            return None
        try:
            return self._settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise LinkError(reason=f"the password file {self._settings.password_file} cannot be read") from error


def _input_key(one: OpcUaInputSettings) -> str:
    return f"input:{one.name}"


def _subscribe(listeners: dict[object, Listener], listener: Listener) -> Callable[[], None]:
    token = object()
    listeners[token] = listener

    def unsubscribe() -> None:
        listeners.pop(token, None)

    return unsubscribe
