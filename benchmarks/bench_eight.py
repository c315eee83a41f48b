# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures one edge with eight machines in motion at once: how old a status gets, and how long an interlock takes.

Each machine is the small controller of the interlock bench at a pty of its own, in a process of its own. Inputs open
one after the other, each at a random moment, while the seven others move and are asked ten times a second. Beside it
stands the same edge with one machine in motion, before the others begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.bench_interlock import INPUT, Peer, deployed
from benchmarks.stats import Row, percentile, row
from edge.app import Edge
from edge.config import EdgeSettings, load_settings
from edge.domain.inputs import InputSample
from edge.domain.machine import Execution
from edge.services.supervisor import MachineSupervisor
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT

MACHINES = 8
ROUNDS = 25
ALONE = 100
LOOK_S = 0.002
UNDISTURBED_S = 2.0


class EdgeOfEight(Edge):
    """The edge, with a hand on the inputs of its machines and an eye on the age of what it knows of them."""

    def __init__(self, settings: EdgeSettings, config_path: Path) -> None:
        super().__init__(settings, config_path)
        self._reports = {one.id: self._router.reporter(f"controller:{one.id}") for one in settings.machine}
        self.ages_ms: list[float] = []

    def machine(self, number: int) -> MachineSupervisor | None:
        """Return one of the machines, once there is one."""
        return self._machines.get(f"router-{number}")

    def contact(self, number: int, *, healthy: bool) -> None:
        """Report the contact of one machine as an input source does."""
        sample = InputSample(INPUT.input, healthy, self._clock.boot_ns(), "the bench")
        self._reports[f"router-{number}"](sample)

    async def until(self, number: int, execution: Execution) -> MachineSupervisor:
        """Wait until a machine is in `execution`, and return it."""
        async with asyncio.timeout(20):
            while True:
                machine = self.machine(number)
                if machine is not None and machine.state.execution is execution:
                    return machine
                await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Note the age of the status of every machine in motion, again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock.boot_ns()
            moving = [one.state for one in self._machines.values() if one.state.execution is Execution.ACTIVE]
            if moving:
                self.ages_ms.append(max(now - state.taken_ns for state in moving) / 1e6)

    async def begin(self, number: int, peer: Peer) -> None:
        """Have a machine reset and in motion."""
        stops = [task for task in asyncio.all_tasks() if task.get_name() == f"stop router-{number}"]
        if stops:
            await asyncio.wait(stops)
        machine = await self.until(number, Execution.READY)
        self.contact(number, healthy=True)
        await machine.reset()
        peer.move()
        await self.until(number, Execution.ACTIVE)

    async def trip(self, number: int, peer: Peer, written_ms: list[float]) -> None:
        """Open the contact of a machine in motion, and have it in motion again."""
        tripped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def opened(moment_ns: int) -> None:
            self.contact(number, healthy=False)
            written_ms.append((time.monotonic_ns() - moment_ns) / 1e6)
            tripped.set_result(None)

        peer.listen(opened)
        peer.trip()
        await tripped
        await self.begin(number, peer)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[EdgeOfEight]:
    """Run the edge with its machines in this loop."""
    lab = Laboratory(Options(folder, with_lathe=False))
    settings = load_settings(lab.edge_config)
    (router,) = settings.machine
    machines = tuple(
        router.model_copy(
            update={
                "id": f"router-{number}",
                "connection": router.connection.model_copy(update={"port": str(folder / f"port-{number}")}),
                "interlock": (*router.interlock, INPUT),
            }
        )
        for number in range(MACHINES)
    )
    edge = EdgeOfEight(settings.model_copy(update={"machine": machines}), lab.edge_config)
    async with deployed(edge):
        yield edge


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    rounds, alone = (3, 20) if quick else (ROUNDS, ALONE)
    written_alone: list[float] = []
    written: list[float] = []
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        peers = [Peer(folder / f"port-{number}", folder / f"trips-{number}.json") for number in range(MACHINES)]
        async with running(folder) as edge:
            await edge.begin(0, peers[0])
            looking = asyncio.create_task(edge.look())
            for _ in range(alone):
                await edge.trip(0, peers[0], written_alone)
            await asyncio.sleep(UNDISTURBED_S)
            ages_alone, edge.ages_ms = edge.ages_ms, []
            for number in range(1, MACHINES):
                await edge.begin(number, peers[number])
            for _ in range(rounds):
                for number, peer in enumerate(peers):
                    await edge.trip(number, peer, written)
            await asyncio.sleep(UNDISTURBED_S)
            looking.cancel()
        first, *others = [peer.trips_ms() for peer in peers]
    eight_ms = [*first[alone:], *(trip for trips in others for trip in trips)]
    print(f"    {len(written_alone)} trips alone, {len(eight_ms)} among eight", file=sys.stderr)
    reference = "one machine in motion"
    yield row("eight machines: status age, worst", max(edge.ages_ms), "ms", reference, max(ages_alone))
    yield row("eight machines: interlock input to `!`, worst", max(eight_ms), "ms", reference, max(first[:alone]))
    median, alone_median = percentile(eight_ms, 0.5), percentile(first[:alone], 0.5)
    yield row("eight machines: interlock input to `!`, p50", median, "ms", reference, alone_median)
    worst, worst_alone = max(written), max(written_alone)
    yield row("eight machines: interlock input until written, worst", worst, "ms", reference, worst_alone)
