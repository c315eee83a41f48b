# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a live twin costs: processor time for each report of a machine, and how long it holds up the loop.

The path is a surface of 200,000 short moves with a ball, the reports come ten times a second of a machine that makes
75 moves between them. Beside a report stands what it would cost to cut the program anew up to there, once in a second
of its run. The loop is asked to wake every 2 ms, at the priority that the van's unit gives it where the system permits
that: with no twin, with one that follows a machine, and with one that cuts a backlog without an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import numpy as np

from benchmarks.stats import Row, latencies, row
from edge.domain.block import Block
from edge.domain.tool import Tool, ToolShape
from edge.gcode import MotionSettings, interpret, plan
from edge.gcode.following import Follower, Moves, Report
from edge.gcode.scene import Scene, scene_bytes, scene_of
from edge.gcode.stock import CELLS, Erosion
from edge.gcode.tooling import tool_of
from edge.services.cutting import MOVES_AT_ONCE, Cut
from edge.services.scenes import pack
from edge.services.twin import PACE_S

BALL = Tool(0, "Ball 3 mm", ToolShape.BALL, diameter=3.0, flute_length=12.0)
BLOCK = Block.behind_zero((100.0, 100.0, 6.0))
ROWS, COLUMNS = 200, 1000
BETWEEN, HELD = 75, 14
REPORTS = 400
AWAKE_S = 5
RR_PRIORITY = 20
NAPS_S = 0.002


def surface() -> bytes:
    """Return a program that mills a waved surface row by row."""
    across = np.linspace(0.0, 100.0, COLUMNS)
    lines = ["G21 G90", "G0 Z5", "G0 X0 Y0", "G1 Z-1 F600"]
    for number in range(ROWS):
        y = number * 100.0 / ROWS
        x = across if number % 2 == 0 else across[::-1]
        z = -2.0 + np.sin(x / 9.0 + y / 7.0)
        lines += [f"X{a:.3f} Y{y:.3f} Z{b:.3f}" for a, b in zip(x.tolist(), z.tolist(), strict=True)]
    return "\n".join([*lines, "G0 Z5", "M30", ""]).encode()


def drawn() -> Scene:
    """Return the scene of the surface."""
    program = interpret(surface())
    return scene_of(program, program.segments, plan(program, MotionSettings()), tool_of(program, {0: BALL}), {}, BLOCK)


def reports(scene: Scene) -> list[Report]:
    """Return what a machine says ten times a second."""
    places = range(BETWEEN, BETWEEN * REPORTS, BETWEEN)
    found = []
    for at in places:
        x, y, z = scene.points[at].tolist()
        found.append(Report((x, y, z), int(scene.line[min(at + HELD, len(scene) - 1)]), float(scene.seconds[at - 1])))
    return found


def cost(scene: Scene) -> list[Row]:
    """Return what a report costs, and what cutting anew would."""
    follower, erosion = Follower(scene), Erosion(BLOCK, CELLS)
    began = time.process_time()
    for report in reports(scene):
        moves = follower.follow(report)
        erosion.cut(moves.start.astype(np.float64), moves.end.astype(np.float64), BALL)
    each = (time.process_time() - began) / REPORTS * 1e3
    points, middle = scene.points.astype(np.float64), BETWEEN * REPORTS // 2
    began = time.process_time()
    Erosion(BLOCK, CELLS).cut(points[:middle], points[1 : middle + 1], BALL)
    anew = (time.process_time() - began) * 1e3
    began = time.process_time()
    shown = pack(scene_bytes(scene))
    packing = (time.process_time() - began) * 1e3
    return [
        row("live twin: processor time of a report", each, "ms", "cutting anew up to there", anew),
        row(f"scene of {len(scene):,} motions: packed", packing, "ms"),
        row(f"scene of {len(scene):,} motions: on the wire", len(shown.gzipped) / 1e6, "MB"),
    ]


async def late() -> list[float]:
    """Return by how many ms each nap of the loop was too long."""
    loop, found = asyncio.get_running_loop(), []
    end = loop.time() + AWAKE_S
    while loop.time() < end:
        due = loop.time() + NAPS_S
        woken = loop.create_future()
        loop.call_at(due, woken.set_result, None)
        await woken
        found.append((loop.time() - due) * 1e3)
    return found


async def cutting(scene: Scene, moves: int, pause: float) -> None:
    """Cut `moves` moves, wait `pause` seconds, and so on until cancelled."""
    cut = Cut((BALL,), BLOCK, Follower(scene))
    points = scene.points.astype(np.float64)
    at = 0
    while True:
        part = slice(at, at + moves)
        await cut.cut(Moves(points[:-1][part], points[1:][part], scene.tool[part]))
        at = (at + moves) % (len(scene) - moves)
        await asyncio.sleep(pause)


async def run() -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    scene = drawn()
    for found in cost(scene):
        yield found
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(RR_PRIORITY))
    idle = await late()
    cases = {"following": (round(BETWEEN * 10 * PACE_S), PACE_S), "a backlog": (20 * MOVES_AT_ONCE, 0.0)}
    for name, (moves, pause) in cases.items():
        task = asyncio.create_task(cutting(scene, moves, pause))
        found_late = await late()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for found in latencies(f"loop wakes late beside a twin, {name}", found_late, "no twin", idle, ("p50", "p99")):
            yield found
