# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is watched over OPC UA and, where its server and its settings allow it, given programs.

The state is AVAILABLE only while the server is heard. Each connection is a fresh one; between two of them lies a
jittered pause that doubles up to a ceiling, so that a server with few sessions is never stormed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.inputs import InputSample
from edge.domain.machine import Capability, MachineInfo, MachineState
from edge.domain.ports import Clock, ProgramText
from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua.alarms import ALARMS
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.find import find
from edge.drivers.opcua.models.model import FoundMachine, Item
from edge.drivers.opcua.models.paths import resolve
from edge.drivers.opcua.names import Names
from edge.drivers.opcua.pauses import Pauses
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.together import together
from edge.drivers.opcua.values import Value
from edge.drivers.opcua.view import View, input_key

if TYPE_CHECKING:
    from edge.drivers.opcua.alarms import ConditionEvent
    from edge.drivers.opcua.connection import Connection
    from edge.drivers.opcua.leftover import Leftover
    from edge.pki import Pki

_log = logging.getLogger(__name__)

_CLOSED = "the link is closed"
_WATCHED_ONLY = "it is only watched over OPC UA; use its own panel"
# After reports were lost everything is read again, but not more often than that.
_REREAD_S = 0.2


class ProgramWork(Protocol):
    """The program path of one connection: what its machine offers and its settings allow. Made anew with each."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return LOAD_PROGRAM, JOB_CONTROL, HOLD and STOP as far as they work on this connection."""
        ...

    async def prepare(self) -> None:
        """Get ready for the first load. Raises LinkError."""
        ...

    def monitored(self) -> Mapping[str, Item]:
        """Return the nodes whose values `take` wants, by key."""
        ...

    def take(self, values: Mapping[str, object]) -> None:
        """Look at the newest values, by key."""
        ...

    async def close(self) -> None:
        """Wait, on a closed connection, until everything under way has ended."""
        ...

    async def load(self, file: ProgramFile, tell: Callable[[TransferStep, int], None]) -> bool:
        """As ProgramReceiver.load."""
        ...

    async def start_loaded(self) -> None:
        """As ProgramReceiver.start_loaded."""
        ...

    def hold(self) -> None:
        """As MachineDriver.hold."""
        ...

    async def resume(self) -> None:
        """As MachineDriver.resume."""
        ...

    async def stop(self) -> None:
        """As MachineDriver.stop."""
        ...


class OpcUaDriver:
    """One machine on an OPC UA server; implements ProgramReceiver and InputReporter."""

    def __init__(
        self,
        machine_id: str,
        name: str,
        kind: str,
        settings: OpcUaSettings,
        clock: Clock,
        *,
        pki: Pki | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._pki = pki
        self._leftover: Leftover | None = None
        self._names = Names()
        self._info = MachineInfo(machine_id=machine_id, name=name, kind=kind, driver=settings.driver)
        self._view = View(name, settings, clock)
        self._programs: ProgramWork | None = None
        self._work_under_way: ProgramWork | None = None
        self._missing: tuple[str, ...] = ()
        self._announced_loss = False
        self._live_since: float | None = None
        self._reread = asyncio.Event()
        self._refresh_alarms = False
        self._told_gap = False

    @property
    def missing(self) -> tuple[str, ...]:
        """Return, in a person's words, what the newest connection lacked of what the model or the settings name."""
        return self._missing

    def info(self) -> MachineInfo:
        """Return who the machine is; `controller` and capabilities are known once the machine was available."""
        return self._info

    def state(self) -> MachineState:
        """Return the newest reading. Without a link nothing is known but the reason, in `fault_reason`."""
        return self._view.state

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` at each sign of life and at the loss of the link; return the call that ends it."""
        return self._view.subscribe(listener)

    def subscribe_inputs(self, listener: Callable[[InputSample], None]) -> Callable[[], None]:
        """Report the newest sample of each input now, and each further one; return the call that ends it."""
        return self._view.subscribe_inputs(listener)

    async def run(self) -> None:
        """Keep connected until cancelled; then leave no session on the server."""
        pauses = Pauses(self._settings)
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._live_since = None
                try:
                    await self._live()
                except LinkError as error:
                    self._lose(str(error.reason))
                    lived_s = 0.0 if self._live_since is None else loop.time() - self._live_since
                    await asyncio.sleep(pauses.after(error, lived_s))
        finally:
            self._view.forget(_CLOSED)

    async def load(self, file: ProgramFile, tell: Callable[[TransferStep, int], None]) -> bool:
        """Bring a program into the machine's memory; see ProgramReceiver."""
        return await self._work("load", Capability.LOAD_PROGRAM).load(file, tell)

    async def start_loaded(self) -> None:
        """Let the machine's job control begin what was loaded; see ProgramReceiver."""
        await self._work("start", Capability.JOB_CONTROL).start_loaded()

    def hold(self) -> None:
        """Let the machine's job control pause. Raises StopNotDelivered where there is none."""
        self._stopping(Capability.HOLD).hold()

    async def stop(self) -> None:
        """Let the machine's job control stop. Raises StopNotDelivered where there is none."""
        await self._stopping(Capability.STOP).stop()

    async def resume(self) -> None:
        """Let the machine's job control go on. Raises DriverRefused where there is none."""
        await self._work("resume", Capability.HOLD).resume()

    async def home(self) -> None:
        """Raise DriverRefused."""
        self._refuse("home")

    async def unlock(self) -> None:
        """Raise DriverRefused."""
        self._refuse("unlock")

    def clear_fault(self) -> None:
        """Let a hold go that was not confirmed. The machine's own alarms are cleared at its panel."""
        self._view.report_fault("")

    async def run_program(self, program: ProgramText) -> None:
        """Raise DriverRefused."""
        self._refuse(f"program {program.program_id}")

    def _work(self, command: str, capability: Capability) -> ProgramWork:
        # Where there is a connection, its programs say best why something is not offered.
        if self._programs is None:
            if capability not in self._info.capabilities:
                self._refuse(command)
            reason = self._view.state.fault_reason or _CLOSED
            raise DriverUnavailable(machine_id=self._info.machine_id, reason=reason)
        return self._programs

    def _stopping(self, capability: Capability) -> ProgramWork:
        if capability not in self._info.capabilities:
            raise StopNotDelivered(machine_id=self._info.machine_id, reason=_WATCHED_ONLY)
        if self._programs is None:
            reason = self._view.state.fault_reason or _CLOSED
            raise StopNotDelivered(machine_id=self._info.machine_id, reason=reason)
        return self._programs

    def _refuse(self, command: str) -> NoReturn:
        raise DriverRefused(machine_id=self._info.machine_id, command=command, reason=_WATCHED_ONLY)

    async def _live(self) -> None:
        # Here and not above: the library costs 23 MB that a van without such a machine need not carry.
        from edge.drivers.opcua.connection import open_connection
        from edge.drivers.opcua.leftover import Leftover

        self._leftover = self._leftover or Leftover()
        try:
            async with open_connection(self._settings, self._pki, self._leftover, self._names) as connection:
                # What was lost is unknown before the closing, which may take its time.
                try:
                    await self._follow(connection)
                except LinkError as error:
                    self._lose(str(error.reason))
                    raise
                except asyncio.CancelledError:
                    self._forget(_CLOSED)
                    raise
        finally:
            if self._work_under_way is not None:
                # Its calls have ended with the connection.
                await self._work_under_way.close()
                self._work_under_way = None

    async def _follow(self, connection: Connection) -> None:
        machine = await find(connection, self._settings, self._info.part_counter)
        missing = list(machine.missing)
        inputs = await self._resolve_inputs(connection, machine, missing)
        programs = self._programs_of(connection, machine)
        self._work_under_way = programs
        await programs.prepare()
        monitored = {**machine.monitored(), **inputs, **programs.monitored()}
        self._reread.clear()
        self._refresh_alarms = False
        self._told_gap = False
        refused = await connection.subscribe(monitored, machine.alarms, self._on_report)
        if (status := refused.pop(ALARMS, None)) is not None:
            missing.append(f"an alarm is not reported on change ({status})")
        missing += [f"{key} is not reported on change ({status})" for key, status in refused.items()]
        self._name_missing(missing)
        # A subscription may report its items one by one: the first state is of everything, read at once.
        self._info = replace(
            self._info,
            controller=machine.controller,
            capabilities=programs.capabilities,
            lacks=self._missing,
            part_counter=machine.part_counter,
        )
        await self._read(connection, monitored, machine)
        self._recover()
        await together(
            connection.watch(),
            self._refresh(connection, monitored),
            self._refresh_inputs(connection, inputs),
            name=self._info.machine_id,
        )

    def _programs_of(self, connection: Connection, machine: FoundMachine) -> ProgramWork:
        from edge.drivers.opcua.programs import Programs

        return Programs(
            self._info.machine_id, self._settings, machine.programs, connection, self.state, self._view.report_fault
        )

    async def _refresh(self, connection: Connection, monitored: Mapping[str, Item]) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.refresh_s):
                    await self._reread.wait()
                await asyncio.sleep(_REREAD_S)
            except TimeoutError:
                pass  # in its time
            self._reread.clear()
            if self._refresh_alarms:
                self._refresh_alarms = False
                await connection.refresh_conditions()
            await self._read(connection, monitored)

    async def _refresh_inputs(self, connection: Connection, inputs: Mapping[str, Item]) -> None:
        while inputs:
            await asyncio.sleep(self._settings.input_refresh_s)
            await self._read(connection, inputs)

    async def _read(
        self, connection: Connection, items: Mapping[str, Item], machine: FoundMachine | None = None
    ) -> None:
        asked_ns = self._clock.boot_ns()
        values = await connection.read_values([item.node_id for item in items.values()])
        told = dict(zip(items, values, strict=True))
        if machine is not None:
            self._view.show(machine)
            # Whoever sees the first state may have to hold at once what it shows.
            if self._work_under_way is not None:
                self._work_under_way.take({key: value.value for key, value in told.items()})
            self._programs = self._work_under_way
        self._view.read(told, asked_ns)
        self._tell_programs()

    async def _resolve_inputs(
        self, connection: Connection, machine: FoundMachine, missing: list[str]
    ) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for one in self._settings.inputs:
            node_id = await resolve(connection, machine.node_id, one.node)
            if node_id is None:
                missing.append(f"input {one.name}: the server has no node {one.node}")
            else:
                items[input_key(one)] = Item(node_id)
        return items

    def _name_missing(self, missing: Sequence[str]) -> None:
        for sentence in missing:
            if sentence not in self._missing:
                _log.warning("%s: %s", self._info.machine_id, sentence)
        self._missing = tuple(missing)

    def _on_report(self, values: Mapping[str, Value], events: Sequence[ConditionEvent], *, gap: bool) -> None:
        refresh = self._view.report(values, events)
        self._tell_programs()
        if gap and not self._told_gap:
            # Once per connection: there are servers that do not count their messages well.
            self._told_gap = True
            _log.info("%s: reports were lost: everything is read anew", self._info.machine_id)
        if gap or refresh:
            self._refresh_alarms = True
            self._reread.set()

    def _tell_programs(self) -> None:
        if self._work_under_way is not None:
            self._work_under_way.take(self._view.known)

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
        self._programs = None
        self._view.forget(reason)
