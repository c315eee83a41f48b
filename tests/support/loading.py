# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that keeps programs, with the services that load it and stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Execution
from edge.domain.transfer import TransferStep
from edge.services.bus import EventBus, Message
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.transfer import ProgramTransfer
from edge.store.machine_files import MachineFiles
from tests.support.fakes import FakeClock, FakeReceiver, MemoryStore

RULE = InputRule("door", "Door", "opcua:lathe/door", 500_000_000, "Close the door.")
CONTENT = b"N10 G0 X100\nN20 M30\n"


@dataclass
class Bench:
    clock: FakeClock
    driver: FakeReceiver
    store: MemoryStore
    recorder: Recorder
    supervisor: MachineSupervisor
    transfer: ProgramTransfer
    shelf: MachineFiles
    heard: list[Message]

    def door(self, healthy: bool | None) -> None:
        self.supervisor.on_input(InputSample("door", healthy, self.clock.boot_ns(), "opcua"))

    async def permit(self) -> None:
        self.driver.ready()
        self.door(True)
        await self.supervisor.reset()

    async def load(self, name: str = "SHAFT.MPF") -> None:
        await self.transfer.begin(name)
        await self.until(lambda: self.step in (TransferStep.LOADED, TransferStep.FAILED))

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not check():
                await asyncio.sleep(0.001)

    async def order(self) -> asyncio.Task[None]:
        """Load, and order the start; the machine has the order and has not begun."""
        await self.permit()
        await self.load()
        started = asyncio.create_task(self.transfer.start_loaded())
        await self.until(lambda: "started" in self.driver.wire)
        return started

    async def run_loaded(self) -> None:
        """Load, start, and let the machine say that it moves."""
        started = await self.order()
        self.driver.show(execution=Execution.ACTIVE)
        await started

    def store_stops(self) -> int:
        """Return how many stops were recorded."""
        stops = [event for event in self.store.events if event.type.value == "stop.commanded"]
        return sum(event.body["command"] == "stop" for event in stops)

    @property
    def step(self) -> TransferStep | None:
        return self.transfer.transfer.step if self.transfer.transfer else None

    @property
    def reason(self) -> str:
        return self.transfer.transfer.reason if self.transfer.transfer else ""

    async def facts(self, kind: str = "program.loaded") -> list[dict[str, object]]:
        assert await self.recorder.drain(5)
        return [dict(event.body) for event in self.store.events if event.type.value == kind]


def make(tmp_path: Path, *, job_control: bool = True) -> Bench:
    clock, store, bus = FakeClock(), MemoryStore(), EventBus()
    driver = FakeReceiver(clock, job_control=job_control)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=None)
    shelf = MachineFiles(tmp_path / "machine-files")
    heard: list[Message] = []
    bus.subscribe(heard.append)
    transfer = ProgramTransfer(supervisor, shelf, recorder, bus)
    return Bench(clock, driver, store, recorder, supervisor, transfer, shelf, heard)
