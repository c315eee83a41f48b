# SPDX-License-Identifier: GPL-3.0-or-later
"""Program files on their way into one machine that keeps them, and the start of what was loaded. One at a time.

What is loaded is a file of the lab's shelf in the dialect of the machine's maker. Nothing moves meanwhile, so that
neither a trip nor a stop ends a load; each that ends, well or not, is one fact.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, cast

from edge.domain.errors import DriverRefused, DriverUnavailable, InfoMobilError, ProgramFailed, Refused, TransferFailed
from edge.domain.events import EventType, Scalar
from edge.domain.machine import Availability, Capability
from edge.domain.ports import ProgramReceiver
from edge.domain.transfer import KeptFile, ProgramFile, Transfer, TransferStep
from edge.safety.permissives import Command
from edge.services.bus import EventBus, MachineChanged, Message, Notice
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

PACE_S = 0.2
BEGIN_S = 5.0
END_S = 3.0
LOOK_S = 0.02
CANCELLED = "it was cancelled"
ENDED_SERVICE = "the service ended"
LATE = "it did not begin to move, and the order was taken back"
LINK_LOST = "the link to the machine was lost after the load"
FAULT_SINCE = "the machine was in fault after the load"
MOVED_SINCE = "the machine has moved since the load"
OTHER_SINCE = "another program was chosen at the machine after the load"


class FileShelf(Protocol):
    """What the lab keeps for its machines. Raises StoreUnavailable."""

    async def files(self, machine_id: str) -> Sequence[KeptFile]:
        """Return what is kept for a machine, newest first."""
        ...

    async def read(self, machine_id: str, name: str) -> bytes:
        """Return a file. Raises NotFound."""
        ...

    async def put(self, machine_id: str, name: str, data: bytes) -> KeptFile:
        """Keep a file; one of the same name is replaced. Raises FileRefused."""
        ...

    async def remove(self, machine_id: str, name: str) -> None:
        """Forget a file. Raises NotFound."""
        ...


class ProgramTransfer:
    """The way of programs into one machine."""

    def __init__(self, supervisor: MachineSupervisor, shelf: FileShelf, recorder: Recorder, bus: EventBus) -> None:
        self._supervisor = supervisor
        self._shelf = shelf
        self._recorder = recorder
        self._bus = bus
        self._task: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._looked = asyncio.Event()
        self._told_s = 0.0
        self._active: str | None = None
        self.transfer: Transfer | None = None
        """The newest transfer."""

    @property
    def _receiver(self) -> ProgramReceiver:
        # What has LOAD_PROGRAM implements the protocol: tests/contract/driver_suite.py.
        return cast(ProgramReceiver, self._supervisor.driver)

    def _require_able(self, capability: Capability, command: str) -> None:
        if capability not in self._supervisor.info.capabilities:
            raise DriverRefused(
                machine_id=self._supervisor.machine_id, command=command, reason="it cannot do that from here"
            )

    async def begin(self, name: str) -> None:
        """Begin to load a file of the shelf; returns as soon as that is under way.

        Raises NotFound, MotionRefused, DriverRefused, Refused, StoreUnavailable.
        """
        self._require_permitted()
        file = ProgramFile(name, await self._shelf.read(self._supervisor.machine_id, name))
        digest = await asyncio.to_thread(lambda: file.sha256)
        # Reading took its time: the machine may have begun something, or another load.
        self._require_permitted()
        if self._group is None:
            raise Refused(what="Nothing is loaded.", why="The service is ending.", remedy="Wait for its restart.")
        self.transfer = Transfer(file.name, len(file.content), digest)
        self._task = self._group.create_task(self._carry(file), name=f"load {self._supervisor.machine_id}")
        # Before anything else runs, so that of two at once the second finds the machine busy.
        await asyncio.sleep(0)
        self._supervisor.changed()

    def _require_permitted(self) -> None:
        self._require_able(Capability.LOAD_PROGRAM, "load")
        self._supervisor.require(Command.LOAD)
        if self._task is not None:
            raise Refused(
                what=f"{self._supervisor.info.name} does not take a program.",
                why="Another one is on its way into it.",
                remedy="Wait for its end, or cancel it.",
            )

    async def _carry(self, file: ProgramFile) -> None:
        try:
            selected = await self._supervisor.guarded(f"load {file.name}", self._load(file), still=True)
            self._end(TransferStep.LOADED, selected=selected)
        except asyncio.CancelledError:
            self._end(TransferStep.FAILED, reason=CANCELLED if self._group else ENDED_SERVICE)
            raise
        except TransferFailed as error:
            # A cancel may come too late: then it is told that the machine has selected the program.
            selected = bool(error.facts.get("selected"))
            self._end(TransferStep.FAILED, selected=selected, reason=str(error.facts["reason"]))
        except InfoMobilError as error:
            self._end(TransferStep.FAILED, reason=str(error))
        except Exception as error:
            # One machine's defect must not take the other machines along.
            log.exception("the load into %s failed", self._supervisor.machine_id)
            self._end(TransferStep.FAILED, reason=f"its driver failed: {error}")
        finally:
            self._task = None
            self._supervisor.changed()

    async def _load(self, file: ProgramFile) -> bool:
        try:
            return await self._receiver.load(file, self._tell)
        except DriverUnavailable as error:
            # A link that goes away while nothing moves leaves nothing that a person has to look at.
            raise TransferFailed(
                name=file.name, machine_id=self._supervisor.machine_id, reason=error.facts["reason"]
            ) from error

    def _tell(self, step: TransferStep, done: int) -> None:
        if self.transfer is None:
            return
        before, self.transfer = self.transfer, replace(self.transfer, step=step, done=done)
        now = asyncio.get_running_loop().time()
        if before.step is not step or now - self._told_s >= PACE_S:
            self._told_s = now
            self._supervisor.changed()

    def _end(self, step: TransferStep, *, selected: bool = False, reason: str = "") -> None:
        if self.transfer is None:
            return
        loaded = step is TransferStep.LOADED
        able = {Capability.JOB_CONTROL, Capability.STOP} <= self._supervisor.info.capabilities
        startable = loaded and selected and able
        done = self.transfer.size if loaded else self.transfer.done
        ended = replace(self.transfer, step=step, done=done, selected=selected, startable=startable, reason=reason)
        self.transfer = ended
        self._active = self._supervisor.state.program
        self._withdraw_start()
        body: dict[str, Scalar] = {
            "machine": self._supervisor.machine_id,
            "file": ended.name,
            "bytes": ended.size,
            "sha256": ended.sha256,
            "selected": ended.selected,
            "step": step.value,
            "reason": reason[:200],
        }
        self._recorder.note(EventType.PROGRAM_LOADED, body)
        name = self._supervisor.info.name
        facts = (("machine", name), ("file", ended.name), ("reason", reason))
        if step is TransferStep.FAILED:
            self._bus.publish(Notice("attention", f"{name}: {ended.name} is not loaded: {reason}.", "load", facts))

    async def cancel(self) -> None:
        """End the load that is under way, and wait for its end. Raises Refused where none is."""
        task = self._task
        if task is None:
            raise Refused(what="Nothing is cancelled.", why="Nothing is being loaded.", remedy="Nothing to do.")
        task.cancel()
        await asyncio.wait([task])

    async def start_loaded(self) -> None:
        """Let the machine's own job control begin what was loaded, where permitted; returns once it moves.

        Where it does not move within 5 s the order is taken back. Raises MotionRefused, DriverRefused (also where it
        could not be stopped from here), DriverUnavailable, Refused, StopNotDelivered, ProgramAborted (a stop came in
        between, or it did not move).
        """
        stops = self._supervisor.stops
        for capability in (Capability.JOB_CONTROL, Capability.STOP):
            self._require_able(capability, "start")
        self._supervisor.require(Command.START_LOADED)
        loaded = self.transfer
        if loaded is None or not loaded.startable:
            raise Refused(
                code="nothing-loaded",
                what=f"{self._supervisor.info.name} does not start.",
                why="Nothing that was loaded from here over this connection waits to be started.",
                remedy="Load the program again, or start it at the machine.",
            )
        # One start per load: before the next part somebody reaches in.
        self.transfer = replace(loaded, startable=False)
        await self._supervisor.guarded(loaded.name, self._order(loaded.name, stops), by_hand=True)

    async def _order(self, name: str, stops: int) -> None:
        self._supervisor.require_no_stop_since(stops, name)
        self._supervisor.begun.ordered()
        try:
            await self._receiver.start_loaded()
            await self._until_moving(stops)
        except DriverRefused:
            self._supervisor.begun.refused()
            raise
        finally:
            if self._supervisor.stops != stops and self._supervisor.begun.here:
                # That stop may have reached the machine before the order did.
                self._supervisor.begun.ordered()
                await self._supervisor.stop("the stop before")
        if self._supervisor.stops != stops:
            raise ProgramFailed(program_id=name, reason="stopped as it began")
        if not self._supervisor.begun.awaited:
            return
        state = self._supervisor.state
        if state.availability is not Availability.AVAILABLE:
            reason = state.fault_reason or "the link was lost before it moved"
            raise DriverUnavailable(machine_id=self._supervisor.machine_id, reason=reason)
        # What waits for its door begins when somebody closes it, or opens the next one: nobody looks at it then.
        await self._supervisor.stop("start", LATE)
        raise ProgramFailed(program_id=name, reason=LATE)

    async def _until_moving(self, stops: int) -> None:
        """Wait until the machine says that it moves, or has moved."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BEGIN_S
        while loop.time() < until and self._supervisor.stops == stops and self._waits():
            self._looked.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._looked.wait()

    def _waits(self) -> bool:
        return self._supervisor.begun.awaited and self._supervisor.state.availability is Availability.AVAILABLE

    def _listen(self, message: Message) -> None:
        if not isinstance(message, MachineChanged) or message.machine_id != self._supervisor.machine_id:
            return
        self._looked.set()
        self._withdraw_start()

    def _withdraw_start(self) -> None:
        """Offer the start of what was loaded no more where the machine is not as the load left it."""
        if self.transfer is not None and self.transfer.startable and (reason := self._changed(self.transfer.name)):
            self.transfer = replace(self.transfer, startable=False, reason=reason)

    def _changed(self, loaded: str) -> str:
        state = self._supervisor.state
        if state.availability is not Availability.AVAILABLE:
            return LINK_LOST
        if state.in_motion:
            return MOVED_SINCE
        if self._supervisor.in_fault:
            return FAULT_SINCE
        if state.program and state.program != self._active:
            self._active = state.program
            return "" if _same_program(state.program, loaded) else OTHER_SINCE
        return ""

    async def run(self) -> None:
        """Carry what is begun, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None
            unsubscribe()

    async def shut_down(self) -> None:
        """End a load, and begin none: the service ends."""
        self._group = None
        if self._task is not None:
            self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=END_S)
            if late:
                log.error("the load into %s does not end", self._supervisor.machine_id)


def _same_program(shown: str, loaded: str) -> bool:
    """Return whether a machine shows a loaded program: with or without its path and its ending, in its own case."""
    name = shown.replace("\\", "/").rpartition("/")[2].casefold()
    return name in (loaded.casefold(), loaded.casefold().rpartition(".")[0])
