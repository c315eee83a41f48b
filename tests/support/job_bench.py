# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on the simulated controller, with the real driver, check and disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import Job, JobState
from edge.domain.piece import Piece
from edge.domain.tool import Tool
from edge.services.bus import EventBus
from edge.services.clock import SystemClock
from edge.services.jobs import JobService
from edge.services.programs import ProgramCatalog
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.store.database import Database
from edge.store.journal import SqliteJournal
from edge.store.settings import StoreSettings
from edge.store.shelf import ProgramShelf
from edge.store.sqlite_store import SqliteStore
from tests.support.grbl import Simulator, Watched, eventually, running, simulator

P = ParamSpec("P")
T = TypeVar("T")
RULE = InputRule("door", "Door", "controller", 10**15, "Close the door.")


async def here(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the work of a worker on the spot."""
    return function(*args, **kwargs)


@dataclass
class Bench:
    """A machine, its simulated controller, and the jobs of a laboratory."""

    sim: Simulator
    machine: Watched
    supervisor: MachineSupervisor
    catalog: ProgramCatalog
    jobs: JobService
    bus: EventBus

    def door(self, *, closed: bool) -> None:
        """Open or close the door."""
        self.supervisor.on_input(InputSample("door", closed, SystemClock().boot_ns(), "controller"))

    async def ready(self) -> None:
        """Home the machine, close its door and reset its interlock."""
        await self.machine.homed()
        self.door(closed=True)
        await self.supervisor.reset()

    async def started(self, program: bytes) -> Job:
        """Make the machine ready, and start a program that is uploaded, queued and approved."""
        await self.ready()
        info, offset = self.supervisor.info, self.supervisor.state.work_offset
        entry, prepared = await self.catalog.upload("a.nc", program, info, offset)
        assert entry is not None, prepared.diagnostics
        return await self.begun(entry.program_id)

    async def begun(self, program_id: str) -> Job:
        """Start a program of the list."""
        job = await self.jobs.add(program_id, "router")
        await self.jobs.approve(job.job_id)
        return await self.jobs.start(job.job_id, area_clear=True)

    async def comes_to(self, job: Job, state: JobState) -> Job:
        """Wait until a job is in `state`."""
        await eventually(lambda: self.jobs.job(job.job_id).state is state, f"{state} of {self.jobs.job(job.job_id)}")
        return self.jobs.job(job.job_id)

    def motions(self) -> list[str]:
        """Return the lines that the controller was sent."""
        return [line for line in self.sim.received().replace("?", "").split("\n") if line and line[0] in "GXYZSM"]


@asynccontextmanager
async def bench(
    folder: Path,
    speed: float = 20.0,
    *,
    pieces: Mapping[str, Piece] | None = None,
    tools: Mapping[int, Tool] | None = None,
    arguments: Sequence[str] = (),
) -> AsyncIterator[Bench]:
    """Run a controller at `speed` times the true one, its driver, and the jobs that it is given."""
    bus, clock = EventBus(), SystemClock()
    database = Database.open(folder / "lab.db", StoreSettings(ballast_mb=0), "boot")
    try:
        async with simulator(folder, *arguments, speed=speed) as sim, running(sim.port) as machine:
            store = SqliteStore(database)
            recorder = Recorder(store, clock, lambda: None)
            supervisor = MachineSupervisor(
                machine.driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=machine.guardian
            )
            shelf, tables = ProgramShelf(folder / "programs"), {"router": tools or {}}
            catalog = ProgramCatalog(pieces or {}, shelf, here, bus, tables)
            jobs = JobService(
                {"router": supervisor},
                catalog,
                store=store,
                journal=SqliteJournal(database),
                recorder=recorder,
                bus=bus,
                clock=clock,
                visit_id=lambda: None,
            )
            tasks = [asyncio.create_task(recorder.run()), asyncio.create_task(jobs.run())]
            try:
                yield Bench(sim, machine, supervisor, catalog, jobs, bus)
            finally:
                for task in reversed(tasks):
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
    finally:
        database.close()
