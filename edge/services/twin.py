# SPDX-License-Identifier: GPL-3.0-or-later
"""The live twin: the material of a running job, cut by the positions that its machine reports.

What listens only notes where the machine is: it runs on the stack of whoever read the wire. The cutting is done some
times a second in a thread, and the path that it follows is made by a worker.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import ParamSpec, TypeVar

import numpy as np

from edge.domain.errors import InfoMobilError
from edge.domain.job import Job, JobState
from edge.domain.machine import Execution, MachineState, Position, SpindleCommand
from edge.domain.tool import Tool
from edge.gcode.following import Follower, Moves, Report
from edge.gcode.resume import HELD_BLOCKS
from edge.gcode.scene import Scene, relief_bytes
from edge.gcode.stock import Erosion
from edge.services.bus import EventBus, JobsChanged, MachineChanged, Message, TwinChanged
from edge.services.jobs import JobService
from edge.services.preparing import Wish
from edge.services.programs import HELD_BLOCKS_ELSEWHERE
from edge.services.scenes import Packed, Scenes, pack
from edge.services.supervisor import MachineSupervisor

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

CELLS = 512
PACE_S = 0.5
WAITING = 4_000
"""Reports that are kept while the path is being made: the oldest are given up, for the path leads past them too."""
NEWS_AT_ONCE = 50
MOVES_AT_ONCE = 200
REST = 2.0
"""Reports that are placed and moves that are cut in one go, and the rest after it, in shares of what it took.

The thread has the real-time priority of the service: a long backlog without rests would use up what the kernel grants
to such threads, and then all of them stand still for 50 ms (sched_rt_runtime_us), also the one that holds machines.
"""
NO_MATERIAL = ("laser", "printer", "lathe")
"""Kinds of machines that do not mill."""
FAILURES = (InfoMobilError, BrokenExecutor, OSError)
"""What can go wrong with a picture: it is not shown then, and the job runs on."""


@dataclass(frozen=True, slots=True)
class TwinStatus:
    """How much was cut, and how much the whole program cuts, mm3; version rises with every change of the material."""

    machine_id: str
    removed_mm3: float
    planned_mm3: float | None
    version: int


@dataclass(slots=True)
class _Cut:
    """The material of a job, and the machine's place on its path; whoever holds `lock` may look at the material."""

    tools: tuple[Tool, ...]
    erosion: Erosion
    follower: Follower
    lock: threading.Lock = field(default_factory=threading.Lock)
    removed_mm3: float = 0.0
    version: int = 0
    packed: tuple[tuple[int, float | None], Packed] | None = None


class _Mark(Enum):
    """What comes between reports."""

    BREAK = "the machine was moved otherwise, or stood"
    AGAIN = "the job goes on from another line"


@dataclass(frozen=True, slots=True)
class _Done:
    """The machine has done all before a line of the source; None for the whole program."""

    line: int | None


_News = Report | _Mark | _Done


@dataclass(slots=True)
class _Twin:
    """One job at its machine. zero is that of the program, mm; turn is that of the job; paused: nothing is followed.

    wish is what the visitor asked for, which is forgotten here as soon as the path is made.
    """

    job: Job
    zero: Position | None
    taken_ns: int
    turn: int
    held_blocks: int
    wish: Wish | None
    reports: deque[_News] = field(default_factory=lambda: deque(maxlen=WAITING))
    paused: bool = False
    refused: bool = False
    made: _Cut | None = None
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
        return TwinStatus(machine_id, twin.made.removed_mm3, twin.planned_mm3, twin.made.version)

    async def relief(self, machine_id: str) -> Packed | None:
        """Return the material as it is now; None as `status`."""
        twin = self._twins.get(machine_id)
        if twin is None or twin.made is None:
            return None
        made = twin.made
        if made.packed is None or made.packed[0] != (made.version, twin.planned_mm3):
            made.packed = await asyncio.to_thread(_packed, made, twin.planned_mm3)
        return made.packed[1]

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
                self._pause(machine_id, twin, _Done(None) if self._finished(twin.job.job_id) else None)
        elif twin is None or twin.job.job_id != job.job_id:
            if machine.info.kind not in NO_MATERIAL:
                self._twins[machine_id] = _begun(job, machine, self._jobs.wish(job.job_id))
                self._wake[machine_id].set()
        elif job.waits is not None:
            if not twin.paused:
                self._pause(machine_id, twin, _Done(job.waits.line))
        elif twin.paused:
            # A zero that a person has set since is the program's from here on.
            twin.zero, twin.taken_ns, twin.paused = machine.state.work_offset, machine.state.taken_ns, False
            twin.reports.append(_Mark.BREAK if twin.turn == job.turn else _Mark.AGAIN)
            twin.turn = job.turn

    def _finished(self, job_id: str) -> bool:
        return any(job.job_id == job_id and job.state is JobState.FINISHED for job in self._jobs.jobs())

    def _pause(self, machine_id: str, twin: _Twin, done: _Done | None) -> None:
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
        twin.reports.append(_report(state, state.machine_position, twin.zero))
        self._wake[machine_id].set()

    async def run(self) -> None:
        """Cut what is reported, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                for machine_id in self._machines:
                    group.create_task(self._tend(machine_id, group), name=f"twin {machine_id}")
                await asyncio.get_running_loop().create_future()
        finally:
            unsubscribe()

    async def _tend(self, machine_id: str, group: asyncio.TaskGroup) -> None:
        while True:
            await self._wake[machine_id].wait()
            self._wake[machine_id].clear()
            twin = self._twins.get(machine_id)
            if twin is None or twin.refused:
                continue
            if twin.made is None:
                wish, twin.wish = twin.wish, None
                twin.made = await self._make(machine_id, twin, wish)
                if twin.made is None:
                    twin.refused = True
                    continue
                group.create_task(self._plan(machine_id, twin, wish), name=f"plan of the twin {machine_id}")
            version = twin.made.version
            while twin.reports:
                news = [twin.reports.popleft() for _ in range(min(len(twin.reports), NEWS_AT_ONCE))]
                moves = await _gently(_follow, twin.made.follower, news)
                for at in range(0, len(moves), MOVES_AT_ONCE):
                    await _gently(_erode, twin.made, moves, at)
            if twin.made.version != version:
                self._bus.publish(TwinChanged(machine_id))
                # Reports come some times a second: they are cut together, and a page is told twice.
                await asyncio.sleep(PACE_S)

    async def _make(self, machine_id: str, twin: _Twin, wish: Wish | None) -> _Cut | None:
        """Return the whole material and the path that is to be followed; None where there is nothing to follow."""
        machine, job = self._machines[machine_id], twin.job
        try:
            scene = await self._scenes.path(job.program_id, wish, machine.info, twin.zero)
            return await asyncio.to_thread(_whole, scene, twin.held_blocks)
        except FAILURES as error:
            log.warning("%s: the material is not shown while it is cut: %s", machine_id, error)
            return None

    async def _plan(self, machine_id: str, twin: _Twin, wish: Wish | None) -> None:
        """Find out how much the whole program takes away: the path is followed meanwhile."""
        machine, job = self._machines[machine_id], twin.job
        try:
            twin.planned_mm3 = await self._scenes.removed_mm3(job.program_id, wish, machine.info, twin.zero, CELLS)
        except FAILURES as error:
            log.warning("%s: how much there is to cut is not known: %s", machine_id, error)
            return
        self._bus.publish(TwinChanged(machine_id))


def _begun(job: Job, machine: MachineSupervisor, wish: Wish | None) -> _Twin:
    held = HELD_BLOCKS if machine.info.controller.startswith("Grbl ") else HELD_BLOCKS_ELSEWHERE
    state = machine.state
    return _Twin(job, state.work_offset, state.taken_ns, job.turn, held, wish)


def _report(state: MachineState, machine: Position, zero: Position) -> Report:
    pace = (state.overrides.feed if state.overrides else 100) / 100
    return Report(
        place=(machine.x - zero.x, machine.y - zero.y, machine.z - zero.z),
        line=state.line,
        seconds=state.taken_ns / 1e9,
        pace=pace if state.execution is Execution.ACTIVE else 0.0,
        cutting=state.spindle is not SpindleCommand.OFF,
    )


def _whole(scene: Scene, held_blocks: int) -> _Cut:
    """Return the material before the first cut. Runs in a thread. Raises NotMaterial, NotMilling."""
    erosion, nothing = Erosion(scene.block, CELLS), np.zeros((0, 3))
    for tool in scene.tools:
        # What can not cut is found here and not in mid job.
        erosion.cut(nothing, nothing, tool)
    return _Cut(scene.tools, erosion, Follower(scene, held_blocks=held_blocks))


def _follow(follower: Follower, news: Sequence[_News]) -> Moves:
    """Return the moves between some reports. Runs in a thread."""
    moves = [_one(follower, mark) for mark in news]
    return Moves(
        np.concatenate([one.start for one in moves]),
        np.concatenate([one.end for one in moves]),
        np.concatenate([one.tool for one in moves]),
    )


def _one(follower: Follower, mark: _News) -> Moves:
    match mark:
        case Report():
            return follower.follow(mark)
        case _Done():
            return follower.finish(mark.line)
        case _Mark.AGAIN:
            return follower.begin_again()
        case _Mark.BREAK:
            return follower.lift()


def _erode(made: _Cut, moves: Moves, at: int) -> None:
    """Cut some of the moves. Runs in a thread."""
    tools = moves.tool[at : at + MOVES_AT_ONCE]
    edges = np.flatnonzero(np.diff(tools.astype(np.int64), prepend=-1, append=-1)) + at
    taken = 0.0
    with made.lock:
        for first, last in pairwise(edges.tolist()):
            tool = made.tools[int(moves.tool[first])]
            taken += float(made.erosion.cut(moves.start[first:last], moves.end[first:last], tool).sum())
        made.removed_mm3 += taken
        made.version += taken > 0.0


def _packed(made: _Cut, planned_mm3: float | None) -> tuple[tuple[int, float | None], Packed]:
    """Return the material for a screen, and what it was packed for. Runs in a thread."""
    with made.lock:
        version, relief, seconds = made.version, made.erosion.relief(), made.follower.seconds
    return (version, planned_mm3), pack(relief_bytes(relief, planned_mm3=planned_mm3, seconds=seconds))


async def _gently(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `function` returns, which runs in a thread, and after a rest."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    result = await asyncio.to_thread(function, *args, **kwargs)
    await asyncio.sleep((loop.time() - began) * REST)
    return result
