# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a running job is and how long it will take yet: by where its machine is, at the overrides that are set.

The receipt of a line says little: a controller holds motions that it has taken and not done, and one line may last for
minutes. So the reported position is looked for on the path, and what is left is planned anew for other overrides, for
an axis that cannot go faster or a corner that must be slow is so at 200 % too. While a machine is held its place stays
where it is, and so does what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.domain.job import Job, JobState
from edge.domain.machine import Execution, MachineState, Overrides, Position
from edge.gcode import interpret, plan
from edge.gcode.following import Follower, Report
from edge.gcode.resume import HELD_BLOCKS
from edge.services.bus import EventBus, JobsChanged, MachineChanged, Message
from edge.services.checking import Basis
from edge.services.contained import contained
from edge.services.preparing import Prepared, Wish, dialect_of, motion_settings
from edge.services.programs import HELD_BLOCKS_ELSEWHERE, Offload, ProgramCatalog
from edge.services.scenes import Scenes
from edge.services.supervisor import MachineSupervisor

Seconds = NDArray[np.float32]
SETTLE_S = 0.3
"""How long overrides stand still before a program is planned for them: a person turns them in steps."""


class Jobs(Protocol):
    """What is asked of the queue."""

    def running_on(self, machine_id: str) -> Job | None:
        """Return the job that the machine works on."""
        ...

    def jobs(self) -> Sequence[Job]:
        """Return all jobs that are known."""
        ...

    def wish(self, job_id: str) -> Wish | None:
        """Return what the visitor asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Left:
    """done_s: seconds of the plan (at 100 %) up to where the machine is; remaining_s: what is left at its overrides."""

    done_s: float
    remaining_s: float


@dataclass(slots=True)
class _Run:
    """One job at its machine; zero is that of the program, mm; curve is the time at the end of each line at overrides.

    paused: the machine waits at a stop of the program, and a person moves it. sought: the path has been asked for;
    where there is none, the receipts of lines are what is left to go by.
    """

    job_id: str
    turn: int
    zero: Position | None
    held_blocks: int
    paused: bool = False
    sought: bool = False
    follower: Follower | None = None
    taken_ns: int = 0
    overrides: Overrides = field(default_factory=Overrides)
    curve: Seconds | None = None


def time_by_line(data: bytes, basis: Basis, overrides: Overrides) -> Seconds:
    """Return the planned second (total lines,) at which each source line has ended, at overrides. For a worker."""
    program = interpret(data, dialect=dialect_of(basis))
    planned = plan(program, motion_settings(basis.motion), basis.offset, overrides=overrides)
    return np.cumsum(planned.line_seconds).astype(np.float32)


class Estimates:
    """The estimates of all machines that run a job."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        jobs: Jobs,
        catalog: ProgramCatalog,
        scenes: Scenes,
        offload: Offload,
        bus: EventBus,
    ) -> None:
        self._machines = machines
        self._jobs = jobs
        self._catalog = catalog
        self._scenes = scenes
        self._offload = offload
        self._bus = bus
        self._runs: dict[str, _Run] = {}
        self._wake = {key: asyncio.Event() for key in machines}

    def left(self, job: Job, prepared: Prepared) -> Left | None:
        """Return how far a running job is; None where its path is not known (yet), or no position is reported."""
        run = self._runs.get(job.machine_id)
        if run is None or run.job_id != job.job_id or run.follower is None or job.waits is not None:
            return None
        state = self._machines[job.machine_id].state
        self._look_at(run, run.follower, state)
        if not run.taken_ns:
            return None
        done_s = min(run.follower.seconds, prepared.seconds)
        return Left(done_s, _remaining(run, prepared, done_s, _overrides(state)))

    @staticmethod
    def _look_at(run: _Run, follower: Follower, state: MachineState) -> None:
        """Find the machine on the path. Reports between two questions tell nothing more: each says where it is."""
        run.zero = run.zero or state.work_offset
        place, zero = state.machine_position, run.zero
        if state.taken_ns == run.taken_ns or place is None or zero is None or run.paused:
            return
        run.taken_ns = state.taken_ns
        moving = state.execution is Execution.ACTIVE
        report = Report(
            place=(place.x - zero.x, place.y - zero.y, place.z - zero.z),
            line=state.line,
            seconds=state.taken_ns / 1e9,
            pace=_overrides(state).feed / 100 if moving else 0.0,
        )
        follower.follow(report)

    def _listen(self, message: Message) -> None:
        if isinstance(message, JobsChanged):
            for machine_id in self._machines:
                self._look(machine_id)
        elif isinstance(message, MachineChanged):
            run = self._runs.get(message.machine_id)
            if run is None or run.paused or run.follower is None:
                return
            if run.overrides != _overrides(self._machines[message.machine_id].state):
                self._wake[message.machine_id].set()

    def _look(self, machine_id: str) -> None:
        """Take up a job that begins, goes on or ends."""
        job, run, machine = self._jobs.running_on(machine_id), self._runs.get(machine_id), self._machines[machine_id]
        if job is None:
            if run is not None and self._may_go_on(run.job_id):
                run.paused = True
            else:
                self._runs.pop(machine_id, None)
            return
        if run is None or run.job_id != job.job_id:
            held = HELD_BLOCKS if machine.info.controller.startswith("Grbl ") else HELD_BLOCKS_ELSEWHERE
            self._runs[machine_id] = _Run(job.job_id, job.turn, machine.state.work_offset, held)
            self._wake[machine_id].set()
        elif job.waits is not None:
            run.paused = True
        elif run.paused:
            run.paused, run.zero, run.taken_ns = False, machine.state.work_offset, 0
            if run.follower is not None:
                run.follower.lift() if run.turn == job.turn else run.follower.begin_again()
            run.turn = job.turn
            self._wake[machine_id].set()

    def _may_go_on(self, job_id: str) -> bool:
        return any(job.job_id == job_id and job.state is JobState.INTERRUPTED for job in self._jobs.jobs())

    async def run(self) -> None:
        """Make paths of jobs that begin and plan them for new overrides, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                for machine_id in self._machines:
                    group.create_task(self._tend(machine_id), name=f"estimate {machine_id}")
                # In a laboratory without machines there is nothing to tend, and this must not end all the same.
                await asyncio.Event().wait()
        finally:
            unsubscribe()

    async def _tend(self, machine_id: str) -> None:
        while True:
            await self._wake[machine_id].wait()
            self._wake[machine_id].clear()
            run = self._runs.get(machine_id)
            if run is not None:
                await contained(self._serve(machine_id, run), f"{machine_id}: its time goes by the receipts of lines")

    async def _serve(self, machine_id: str, run: _Run) -> None:
        if not run.sought:
            await self._find_path(machine_id, run)
        if run.follower is not None:
            await asyncio.sleep(SETTLE_S)
            await self._plan_anew(machine_id, run)

    async def _find_path(self, machine_id: str, run: _Run) -> None:
        job = self._jobs.running_on(machine_id)
        if job is None or job.job_id != run.job_id:
            return
        run.sought = True
        wish, info = self._jobs.wish(job.job_id), self._machines[machine_id].info
        scene = await self._scenes.path(job.program_id, wish, info, run.zero)
        if scene.whole:
            run.follower = await asyncio.to_thread(Follower, scene, held_blocks=run.held_blocks)

    async def _plan_anew(self, machine_id: str, run: _Run) -> None:
        """Plan the program for the overrides that are set now; at 100 % that was done at its check."""
        job, machine = self._jobs.running_on(machine_id), self._machines[machine_id]
        overrides = _overrides(machine.state)
        if job is None or job.job_id != run.job_id or overrides == run.overrides:
            return
        # Whatever becomes of it, it is asked for once: a program that cannot be had now would be read at each report.
        run.overrides, run.curve = overrides, None
        if overrides != Overrides():
            basis, wish = self._catalog.basis(job.program_id, machine.info, run.zero), self._jobs.wish(job.job_id)
            # The bytes have no name here: a long program is in memory only until the worker has been given it.
            data = self._catalog.data(job.program_id, wish)
            run.curve = await self._offload(time_by_line, await data, basis, overrides)


def _overrides(state: MachineState) -> Overrides:
    """Return the overrides of motion; the spindle's takes no time."""
    now = state.overrides
    return Overrides() if now is None else Overrides(feed=now.feed, rapid=now.rapid)


def _remaining(run: _Run, prepared: Prepared, done_s: float, overrides: Overrides) -> float:
    left = prepared.seconds - done_s
    if overrides == Overrides():
        return left
    if overrides != run.overrides or run.curve is None or len(run.curve) != len(prepared.cumulative_s):
        # For as long as the plan for new overrides takes.
        return left * 100 / max(overrides.feed, 1)
    passed = float(np.interp(done_s, prepared.cumulative_s, run.curve))
    return max(0.0, float(run.curve[-1]) - passed)
