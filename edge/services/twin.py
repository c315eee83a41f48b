# SPDX-License-Identifier: GPL-3.0-or-later
"""The live twin: the material of a running job, cut by the positions that its machine reports.

What listens only notes where the machine is: it runs on the stack of whoever read the wire. The cutting is done some
times a second in a thread, and the path that it follows is made by a worker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.domain.job import Job, JobState
from edge.domain.machine import Execution, MachineState, Position, SpindleCommand
from edge.gcode.following import Report
from edge.gcode.resume import HELD_BLOCKS
from edge.gcode.scene import Scene, scene_bytes
from edge.services.bus import EventBus, JobsChanged, MachineChanged, Message, TwinChanged
from edge.services.contained import contained
from edge.services.cutting import Cut, Done, Mark, News
from edge.services.jobs import JobService
from edge.services.preparing import Wish
from edge.services.programs import HELD_BLOCKS_ELSEWHERE
from edge.services.scenes import Packed, Scenes, pack
from edge.services.supervisor import MachineSupervisor

PACE_S = 0.5
WAITING = 4_000
"""Reports that are kept while the path is being made: the oldest are given up, for the path leads past them too."""
NO_MATERIAL = ("laser", "printer", "lathe")
"""Kinds of machines that do not mill."""


@dataclass(frozen=True, slots=True)
class TwinStatus:
    """How much a job has cut, and how much it cuts in all, mm3; version rises from 0 with every change of its material.

    job_id is the newest that has begun at the machine, which may have ended.
    """

    machine_id: str
    job_id: str
    removed_mm3: float
    planned_mm3: float | None
    version: int


@dataclass(slots=True)
class _Twin:
    """One job at its machine. zero is that of the program, mm; turn is that of the job; paused: nothing is followed.

    wish is what the visitor asked for, which is forgotten here as soon as the path is made. refused: something went
    wrong with the picture, so it is not shown, and the job runs on. scene is the path that is followed, and packed the
    same for screens, once one has asked for it.
    """

    job: Job
    zero: Position | None
    taken_ns: int
    turn: int
    held_blocks: int
    wish: Wish | None
    reports: deque[News] = field(default_factory=lambda: deque(maxlen=WAITING))
    paused: bool = False
    refused: bool = False
    made: Cut | None = None
    scene: Scene | None = None
    packed: Packed | None = None
    packing: asyncio.Lock = field(default_factory=asyncio.Lock)
    planned_mm3: float | None = None


class Twins:
    """The twins of all machines: of each the newest job that has begun since the start of the service."""

    def __init__(
        self, machines: Mapping[str, MachineSupervisor], jobs: JobService, scenes: Scenes, bus: EventBus
    ) -> None:
        self._machines = machines
        self._jobs = jobs
        self._scenes = scenes
        self._bus = bus
        self._twins: dict[str, _Twin] = {}
        self._wake = {key: asyncio.Event() for key in machines}

    def status(self, machine_id: str) -> TwinStatus | None:
        """Return how far a machine has cut; None where no job has begun, or its path is still being made."""
        twin = self._twins.get(machine_id)
        if twin is None or twin.made is None:
            return None
        return TwinStatus(machine_id, twin.job.job_id, twin.made.removed_mm3, twin.planned_mm3, twin.made.version)

    def coming(self, machine_id: str) -> bool:
        """Return whether a job has begun whose path is still being made: `TwinChanged` is published when it is."""
        twin = self._twins.get(machine_id)
        return twin is not None and twin.made is None and not twin.refused

    async def relief(self, machine_id: str) -> Packed | None:
        """Return the material as it is now; None as `status`."""
        twin = self._twins.get(machine_id)
        if twin is None or twin.made is None:
            return None
        return await twin.made.relief(twin.planned_mm3)

    async def scene(self, machine_id: str) -> Packed | None:
        """Return the path that the twin follows, which may be of a visitor's own words; None as `status`."""
        twin = self._twins.get(machine_id)
        if twin is None or twin.made is None or twin.scene is None:
            return None
        async with twin.packing:
            if twin.packed is None:
                twin.packed = await asyncio.to_thread(_packed, twin.scene, twin.job.job_id)
            return twin.packed

    def _listen(self, message: Message) -> None:
        if isinstance(message, MachineChanged):
            self._report(message.machine_id)
        elif isinstance(message, JobsChanged):
            for machine_id in self._machines:
                self._look(machine_id)

    def _look(self, machine_id: str) -> None:
        """Follow the jobs of a machine: a new one begins a twin, one that goes on begins its next stretch."""
        machine, twin = self._machines[machine_id], self._twins.get(machine_id)
        job = self._jobs.running_on(machine_id)
        if job is None:
            if twin is not None and not twin.paused:
                self._pause(machine_id, twin, Done(None) if self._finished(twin.job.job_id) else None)
        elif twin is None or twin.job.job_id != job.job_id:
            if machine.info.kind not in NO_MATERIAL:
                self._twins[machine_id] = _begun(job, machine, self._jobs.wish(job.job_id))
                self._wake[machine_id].set()
        elif job.waits is not None:
            if not twin.paused:
                self._pause(machine_id, twin, Done(job.waits.line))
        elif twin.paused:
            # A zero that a person has set since is the program's from here on.
            twin.zero, twin.taken_ns, twin.paused = machine.state.work_offset, machine.state.taken_ns, False
            twin.reports.append(Mark.BREAK if twin.turn == job.turn else Mark.AGAIN)
            twin.turn = job.turn

    def _finished(self, job_id: str) -> bool:
        return any(job.job_id == job_id and job.state is JobState.FINISHED for job in self._jobs.jobs())

    def _pause(self, machine_id: str, twin: _Twin, done: Done | None) -> None:
        """Follow no further: the job waits at a stop, was interrupted or has ended."""
        twin.paused = True
        if done is not None:
            twin.reports.append(done)
            self._wake[machine_id].set()

    def _report(self, machine_id: str) -> None:
        twin = self._twins.get(machine_id)
        if twin is None or twin.paused or twin.refused:
            return
        state = self._machines[machine_id].state
        twin.zero = twin.zero or state.work_offset
        if state.taken_ns == twin.taken_ns or state.machine_position is None or twin.zero is None:
            return
        twin.taken_ns = state.taken_ns
        twin.reports.append(report_of(state, state.machine_position, twin.zero))
        self._wake[machine_id].set()

    async def run(self) -> None:
        """Cut what is reported, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                for machine_id in self._machines:
                    group.create_task(self._tend(machine_id), name=f"twin {machine_id}")
                await asyncio.get_running_loop().create_future()
        finally:
            unsubscribe()

    async def _tend(self, machine_id: str) -> None:
        plan: asyncio.Task[bool] | None = None
        try:
            while True:
                await self._wake[machine_id].wait()
                self._wake[machine_id].clear()
                twin = self._twins.get(machine_id)
                if twin is None or twin.refused:
                    continue
                if twin.made is None:
                    # What the job before would have cut in all is of no use any more.
                    await _given_up(plan)
                    if await contained(self._make(machine_id, twin), f"{machine_id}: its cut is not shown"):
                        self._bus.publish(TwinChanged(machine_id))
                        work = contained(self._plan(machine_id, twin), f"{machine_id}: what it will cut is not told")
                        plan = asyncio.create_task(work, name=f"plan of the twin {machine_id}")
                if twin.made is None or not await contained(
                    self._cut(machine_id, twin, twin.made), f"{machine_id}: its cut is not shown any more"
                ):
                    twin.refused, twin.made, twin.scene, twin.packed = True, None, None, None
                    twin.reports.clear()
                    self._bus.publish(TwinChanged(machine_id))
        finally:
            await _given_up(plan)

    async def _cut(self, machine_id: str, twin: _Twin, made: Cut) -> None:
        """Cut what has been reported."""
        version = made.version
        while twin.reports:
            news, twin.reports = tuple(twin.reports), deque(maxlen=WAITING)
            await made.take(news)
        if made.version != version:
            self._bus.publish(TwinChanged(machine_id))
            # Reports come some times a second: they are cut together, and a page is told twice.
            await asyncio.sleep(PACE_S)

    async def _make(self, machine_id: str, twin: _Twin) -> None:
        """Get the whole material and the path that is to be followed. Raises whatever makes that impossible."""
        machine, job, wish = self._machines[machine_id], twin.job, twin.wish
        twin.wish = None
        scene = await self._scenes.path(job.program_id, wish, machine.info, twin.zero)
        twin.made = await asyncio.to_thread(Cut.whole, scene, twin.held_blocks, job.job_id)
        twin.scene = scene

    async def _plan(self, machine_id: str, twin: _Twin) -> None:
        """Find out how much there is to cut: the machine is followed meanwhile."""
        if twin.made is not None:
            twin.planned_mm3 = await twin.made.planned_mm3()
            self._bus.publish(TwinChanged(machine_id))


async def _given_up(task: asyncio.Task[bool] | None) -> None:
    """Cancel a task, where there is one, and wait until it has ended."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


def _packed(scene: Scene, job_id: str) -> Packed:
    return pack(scene_bytes(scene, job=job_id))


def _begun(job: Job, machine: MachineSupervisor, wish: Wish | None) -> _Twin:
    held = HELD_BLOCKS if machine.info.controller.startswith("Grbl ") else HELD_BLOCKS_ELSEWHERE
    state = machine.state
    return _Twin(job, state.work_offset, state.taken_ns, job.turn, held, wish)


def report_of(state: MachineState, machine: Position, zero: Position) -> Report:
    """Return what a reading says of the place on the path; machine and zero are machine coordinates, mm."""
    pace = (state.overrides.feed if state.overrides else 100) / 100
    return Report(
        place=(machine.x - zero.x, machine.y - zero.y, machine.z - zero.z),
        line=state.line,
        seconds=state.taken_ns / 1e9,
        pace=pace if state.execution is Execution.ACTIVE else 0.0,
        cutting=state.spindle is not SpindleCommand.OFF,
    )
