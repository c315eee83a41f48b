# SPDX-License-Identifier: GPL-3.0-or-later
"""The material of a job, as it is cut by what its machine reports. All work runs in a thread, a little at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import ParamSpec, Self, TypeVar

import numpy as np

from edge.domain.block import Block
from edge.domain.tool import Tool
from edge.gcode.following import Follower, Moves, Report
from edge.gcode.scene import Scene, relief_bytes
from edge.gcode.stock import Erosion
from edge.services.effort import effort
from edge.services.scenes import Packed, pack

P = ParamSpec("P")
T = TypeVar("T")

CELLS = 512
NEWS_AT_ONCE = 50
MOVES_AT_ONCE = 200
EFFORT_AT_ONCE = 5e6
REST = 2.0
"""Reports that are placed and moves that are cut in one go, which costs at most so much (edge.services.effort) or is a
single move, some 20 ms; and the rest after it, in shares of what it took.

The thread has the real-time priority of the service: a long backlog without rests would use up what the kernel grants
to such threads, and then all of them stand still for 50 ms (sched_rt_runtime_us), also the one that holds machines.
"""


class Mark(Enum):
    """What comes between reports."""

    BREAK = "the machine was moved otherwise, or stood"
    AGAIN = "the job goes on from another line"


@dataclass(frozen=True, slots=True)
class Done:
    """The machine has done all before a line of the source; None for the whole program."""

    line: int | None


News = Report | Mark | Done


class Cut:
    """The material of a job, and its machine's place on the path.

    removed_mm3 is the volume that is gone; version rises with every change of the material.
    """

    def __init__(self, tools: Sequence[Tool], block: Block, follower: Follower, job: str | None = None) -> None:
        """Begin with the whole `block`. Raises NotMaterial."""
        self._job = job
        self._tools = tuple(tools)
        self._radius = np.array([tool.diameter / 2 for tool in tools], dtype=np.float64)
        self._block = block
        self._erosion = Erosion(block, CELLS)
        self._follower = follower
        self._lock = threading.Lock()
        self._packed: tuple[tuple[int, float | None], Packed] | None = None
        self.removed_mm3 = 0.0
        self.version = 0

    @classmethod
    def whole(cls, scene: Scene, held_blocks: int, job: str | None = None) -> Self:
        """Return the material before the first cut, of the job with that id. Raises NotMaterial, NotMilling."""
        made = cls(scene.tools, scene.block, Follower(scene, held_blocks=held_blocks), job)
        nothing = np.zeros((0, 3))
        for tool in scene.tools:
            # What cannot cut is found here and not in mid job.
            made._erosion.cut(nothing, nothing, tool)
        return made

    async def take(self, news: Sequence[News]) -> None:
        """Cut what some reports say, in order. For one caller at a time."""
        for first in range(0, len(news), NEWS_AT_ONCE):
            await self.cut(await _gently(self._follow, news[first : first + NEWS_AT_ONCE]))

    async def cut(self, moves: Moves) -> None:
        """Cut along `moves`. For one caller at a time."""
        done = 0
        while done < len(moves):
            done = await _gently(self._erode, moves, done)

    async def planned_mm3(self) -> float | None:
        """Return how much the whole path takes away; None where nobody knows where a part of it leads."""
        if self._follower.adrift:
            return None
        other = Cut(self._tools, self._block, self._follower)
        await other.cut(self._follower.path())
        return other.removed_mm3

    async def relief(self, planned_mm3: float | None) -> Packed:
        """Return the material as it is now, for a screen."""
        if self._packed is None or self._packed[0] != (self.version, planned_mm3):
            self._packed = await asyncio.to_thread(self._pack, planned_mm3)
        return self._packed[1]

    def _follow(self, news: Sequence[News]) -> Moves:
        moves = [self._one(item) for item in news]
        return Moves(
            np.concatenate([one.start for one in moves]),
            np.concatenate([one.end for one in moves]),
            np.concatenate([one.tool for one in moves]),
        )

    def _one(self, item: News) -> Moves:
        match item:
            case Report():
                return self._follower.follow(item)
            case Done():
                return self._follower.finish(item.line)
            case Mark.AGAIN:
                return self._follower.begin_again()
            case Mark.BREAK:
                return self._follower.lift()

    def _erode(self, moves: Moves, at: int) -> int:
        """Cut some moves from the number `at` on, and return the number of the first that is left."""
        tools = moves.tool[at : at + self._many(moves, at)]
        edges = np.flatnonzero(np.diff(tools.astype(np.int64), prepend=-1, append=-1)) + at
        taken = 0.0
        with self._lock:
            for first, last in pairwise(edges.tolist()):
                tool = self._tools[int(moves.tool[first])]
                start, end = moves.start[first:last].astype(np.float64), moves.end[first:last].astype(np.float64)
                taken += float(self._erosion.cut(start, end, tool).sum())
            self.removed_mm3 += taken
            self.version += taken > 0.0
        return at + len(tools)

    def _many(self, moves: Moves, at: int) -> int:
        """Return how many moves are cut in one go."""
        part = slice(at, at + MOVES_AT_ONCE)
        start, end = moves.start[part].astype(np.float64), moves.end[part].astype(np.float64)
        costs = effort(start, end, self._radius[moves.tool[part]], self._block, CELLS)
        return max(1, int(np.searchsorted(np.cumsum(costs), EFFORT_AT_ONCE, side="right")))

    def _pack(self, planned_mm3: float | None) -> tuple[tuple[int, float | None], Packed]:
        with self._lock:
            version, relief, seconds = self.version, self._erosion.relief(), self._follower.seconds
        data = relief_bytes(relief, planned_mm3=planned_mm3, seconds=seconds, job=self._job)
        return (version, planned_mm3), pack(data)


async def _gently(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `function` returns, which runs in a thread, and after a rest."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    result = await asyncio.to_thread(function, *args, **kwargs)
    await asyncio.sleep((loop.time() - began) * REST)
    return result
