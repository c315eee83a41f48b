# SPDX-License-Identifier: GPL-3.0-or-later
"""In-memory stand-ins that implement the ports: for tests of the services alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from edge.domain.errors import DriverUnavailable, ProgramFailed, StopNotDelivered, StoreUnavailable
from edge.domain.events import Event, StoredEvent
from edge.domain.machine import (
    Availability,
    Capability,
    Execution,
    Fault,
    MachineInfo,
    MachineState,
    Position,
    Travel,
)
from edge.domain.ports import JobMark, ProgramText
from edge.domain.transfer import ProgramFile, TransferStep

TRAVEL = Travel(Position(-200, -200, -60), Position(0, 0, 0), 3000, 12000)


class FakeClock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000
        self.boot = "boot-1"

    def boot_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return 1_800_000_000_000_000_000 + self.now

    def boot_id(self) -> str:
        return self.boot

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


class MemoryStore:
    """An EventStore without a disk. `failing` makes it full; `gate` holds commits back until set."""

    def __init__(self) -> None:
        self.epoch = "epoch-1"
        self.events: list[Event] = []
        self.state: dict[str, str] = {}
        self.failing = ""
        self.gate: asyncio.Event | None = None

    async def append(self, events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.failing:
            raise StoreUnavailable(reason=self.failing)
        stored = []
        for event in events:
            self.events.append(event)
            stored.append(StoredEvent(self.epoch, len(self.events), event))
        for key, value in (saves or {}).items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        return stored

    async def load(self, prefix: str) -> dict[str, str]:
        return {key: value for key, value in self.state.items() if key.startswith(prefix)}

    def types(self) -> list[str]:
        return [event.type.value for event in self.events]


class MemoryJournal:
    """A Journal without a disk. `failing` makes it full."""

    def __init__(self) -> None:
        self.marks: list[JobMark] = []
        self.failing = ""

    async def write(self, marks: Sequence[JobMark]) -> None:
        if self.failing:
            raise StoreUnavailable(reason=self.failing)
        self.marks += marks

    async def last(self, job_id: str) -> JobMark | None:
        return next((mark for mark in reversed(self.marks) if mark.job_id == job_id), None)

    async def keep_only(self, job_ids: Collection[str]) -> None:
        if self.failing:
            raise StoreUnavailable(reason=self.failing)
        self.marks = [mark for mark in self.marks if mark.job_id in job_ids]


class FakeDriver:
    """A MachineDriver whose wire is a list."""

    def __init__(self, clock: FakeClock, machine_id: str = "router") -> None:
        self._clock = clock
        self._info = MachineInfo(
            machine_id,
            "Router",
            "router",
            "fake",
            capabilities=frozenset(Capability),
            travel=TRAVEL,
        )
        self._state = MachineState()
        self._listeners: list[Callable[[MachineState], None]] = []
        self.wire: list[str] = []
        self.reachable = True
        self.end: asyncio.Future[None] | None = None
        self.crash: Exception | None = None
        self.ran: list[ProgramText] = []

    def info(self) -> MachineInfo:
        return self._info

    def state(self) -> MachineState:
        return self._state

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def show(self, **changes: object) -> None:
        """Report a new reading."""
        self._state = replace(self._state, taken_ns=self._clock.boot_ns(), **changes)  # type: ignore[arg-type]
        for listener in tuple(self._listeners):
            listener(self._state)

    def ready(self) -> None:
        self.show(
            availability=Availability.AVAILABLE,
            execution=Execution.READY,
            homed=True,
            work_offset=Position(-150, -150, -40),
            machine_position=Position(0, 0, 0),
        )

    async def run(self) -> None:
        if self.crash is not None:
            crash, self.crash = self.crash, None
            raise crash
        await asyncio.Event().wait()

    def hold(self) -> None:
        if not self.reachable:
            raise StopNotDelivered(machine_id="router", reason="unplugged")
        self.wire.append("hold")

    async def stop(self) -> None:
        self.hold()
        self.wire.append("reset")
        if self.end is not None and not self.end.done():
            self.end.set_exception(ProgramFailed(program_id="p", reason="reset"))
        self.show(execution=Execution.READY)

    async def resume(self) -> None:
        self.wire.append("resume")

    async def home(self) -> None:
        if not self.reachable:
            raise DriverUnavailable(machine_id="router", reason="unplugged")
        self.wire.append("home")
        self.show(homed=True)

    async def unlock(self) -> None:
        self.wire.append("unlock")

    def clear_fault(self) -> None:
        self.wire.append("clear")
        self._state = replace(self._state, fault=Fault.NONE, fault_reason="")

    async def run_program(self, program: ProgramText) -> None:
        self.wire.append("start")
        self.ran.append(program)
        self.end = asyncio.get_running_loop().create_future()
        self.show(execution=Execution.ACTIVE)
        await self.end
        self.show(execution=Execution.READY)


class FakeReceiver(FakeDriver):
    """A machine that keeps programs: `load` goes on step by step, as a test lets it; `gate` holds it back."""

    def __init__(self, clock: FakeClock, machine_id: str = "lathe", *, job_control: bool = True) -> None:
        super().__init__(clock, machine_id)
        able = {Capability.LOAD_PROGRAM}
        if job_control:
            able |= {Capability.JOB_CONTROL, Capability.HOLD, Capability.STOP}
        self._info = replace(self._info, name="Lathe", kind="lathe", capabilities=frozenset(able))
        self.loaded: list[ProgramFile] = []
        self.selects = True
        self.failing: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.order_gate = asyncio.Event()
        self.order_gate.set()

    async def load(self, file: ProgramFile, tell: Callable[[TransferStep, int], None]) -> bool:
        tell(TransferStep.UPLOADING, len(file.content) // 2)
        self.begun.set()
        await self.gate.wait()
        if self.failing is not None:
            raise self.failing
        tell(TransferStep.VERIFYING, len(file.content))
        if self.selects:
            tell(TransferStep.SELECTING, len(file.content))
        self.loaded.append(file)
        return self.selects

    async def start_loaded(self) -> None:
        self.wire.append("order")
        self.begun.set()
        await self.order_gate.wait()
        if self.failing is not None:
            raise self.failing
        self.wire.append("started")


class FakeGuardian:
    """A Guardian that only remembers."""

    def __init__(self) -> None:
        self.alive = True
        self.armed: list[str] = []

    def in_time(self, machine_id: str) -> bool:
        return True

    def watch(self, machine_id: str, descriptor: int) -> None:
        raise NotImplementedError

    def unwatch(self, machine_id: str) -> None:
        raise NotImplementedError

    async def arm(self, machine_id: str) -> None:
        if not self.alive:
            raise DriverUnavailable(machine_id=machine_id, reason="the guardian does not answer")
        self.armed.append(machine_id)

    async def disarm(self, machine_id: str) -> None:
        if machine_id in self.armed:
            self.armed.remove(machine_id)
