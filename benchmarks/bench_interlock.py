# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures from an interlock input opening to `!` coming out of the serial port, beside a bare loop that does no more.

The whole edge runs in this process as in a van: recorder, relay to a broker and an office, lathe over OPC UA,
guardian, console and kiosk. Only the router is replaced by a peer that opens the input and sees the hold, so that
both moments come from one clock outside the loop that is measured. Three conditions: nobody there; at work, which is
50 kiosks with a pause of a second before each touch, 10 consoles that watch, and checks of a program of 200,000 lines
one after the other; and the same with kiosks without any pause, which keeps the loop busy all the time.
A pty hands bytes on in a kernel worker of ordinary priority, which a busy machine keeps waiting. What the edge itself
takes is therefore measured, too: until the report of the input returns, and by then the hold has been written.
Edge and floor run under the real-time scheduling that the van's systemd unit gives, where the system permits it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stats import Row, latencies
from edge.app import Edge
from edge.config import EdgeSettings, InterlockSettings, load_settings
from edge.domain.inputs import InputSample
from edge.domain.machine import Execution
from edge.services.bus import MachineChanged, Message
from edge.services.supervisor import MachineSupervisor
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT

FLOOR = "bare asyncio loop: a future, a byte to a pty"
INPUT = InterlockSettings(
    input="contact", source="controller", label="Contact of the bench", remedy="None.", max_age_ms=5_000
)
KIOSKS = 50
TRIPS = 10_000
CONDITIONS: dict[str, tuple[float | None, float]] = {
    "idle": (None, 60.0),
    "at work": (1.0, 90.0),
    "without pause": (0.0, 10.0),
}
"""Mean pause of a kiosk before each request, and for how long there are trips at most, s."""
FLOOR_TRIPS = 2_000
END_S = 15.0
RR_PRIORITY = 20
"""As in the unit of the service."""
DROPPED = 20
"""Trips at the start of each condition that are not counted: caches, the first compilation of a piece."""


def as_deployed() -> None:
    """Take the scheduling of the van's service for this thread and what it starts from now on, where permitted."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(RR_PRIORITY))


def as_usual() -> None:
    """Take the scheduling of any program: what is not in the van must not compete with it."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Peer:
    """The process with the contact and the port."""

    def __init__(self, link: Path, result: Path) -> None:
        self._result = result
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("interlock_peer.py")), str(link), str(result)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.read(self._output, 64)

    def listen(self, opened: Callable[[int], None]) -> None:
        """Call `opened` on the loop with the moment at which the contact opened, each time it does."""
        asyncio.get_running_loop().add_reader(self._output, lambda: opened(int(os.read(self._output, 64))))

    def move(self) -> None:
        """Begin a motion."""
        os.write(self._input, b"r")

    def trip(self) -> None:
        """Open the contact soon."""
        os.write(self._input, b"t")

    def trips_ms(self) -> list[float]:
        """End the process; return the milliseconds of all trips."""
        asyncio.get_running_loop().remove_reader(self._output)
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
        return [(held - opened) / 1e6 for opened, held in json.loads(self._result.read_text(encoding="ascii"))]


class MeasuredEdge(Edge):
    """The edge, with a hand on its input and an eye on its router."""

    def __init__(self, settings: EdgeSettings, config_path: Path) -> None:
        super().__init__(settings, config_path)
        self._news = asyncio.Event()
        self._bus.subscribe(self._noticed)
        self._report = self._router.reporter("controller:router")

    @property
    def router(self) -> MachineSupervisor:
        """Return the router."""
        return self._machines["router"]

    def contact(self, *, healthy: bool) -> None:
        """Report the contact as an input source does."""
        self._report(InputSample(INPUT.input, healthy, self._clock.boot_ns(), "the bench"))

    def _noticed(self, message: Message) -> None:
        if isinstance(message, MachineChanged):
            self._news.set()

    async def until(self, execution: Execution) -> None:
        """Wait until the router is in `execution`."""
        async with asyncio.timeout(10):
            while self._machines.get("router") is None or self.router.state.execution is not execution:
                self._news.clear()
                await self._news.wait()

    async def stopped(self) -> None:
        """Wait until the stop that follows a trip has come to its end."""
        stops = [task for task in asyncio.all_tasks() if task.get_name() == "stop router"]
        if stops:
            await asyncio.wait(stops)
        await self.until(Execution.READY)


@dataclass
class Trips:
    """Trips of one condition, and how long each took until the report of the input returned, ms."""

    edge: MeasuredEdge
    peer: Peer
    written_ms: list[float]

    async def run(self, count: int, seconds: float) -> int:
        """Trip up to `count` times in up to `seconds`; return how often it was."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        done = 0
        while done < DROPPED or (done < count and loop.time() < end):
            await self._trip(loop.create_future())
            done += 1
        return done

    async def _trip(self, tripped: asyncio.Future[None]) -> None:
        def opened(moment_ns: int) -> None:
            self.edge.contact(healthy=False)
            self.written_ms.append((time.monotonic_ns() - moment_ns) / 1e6)
            tripped.set_result(None)

        await self.edge.stopped()
        self.edge.contact(healthy=True)
        await self.edge.router.reset()
        self.peer.move()
        await self.edge.until(Execution.ACTIVE)
        self.peer.listen(opened)
        self.peer.trip()
        await tripped


async def bare(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the barest loop that can do it: until the byte is written, and until it is out."""
    link = folder / "bare"
    peer = Peer(link, folder / "bare.json")
    loop = asyncio.get_running_loop()
    port = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    written: list[float] = []
    for _ in range(count + DROPPED):
        tripped: asyncio.Future[int] = loop.create_future()
        peer.listen(tripped.set_result)
        peer.trip()
        moment_ns = await tripped
        os.write(port, b"!")
        written.append((time.monotonic_ns() - moment_ns) / 1e6)
    found = peer.trips_ms()
    os.close(port)
    return written[DROPPED:], found[DROPPED:]


@contextlib.asynccontextmanager
async def kiosks(lab: Laboratory, pause_s: float) -> AsyncIterator[dict[str, Any]]:
    """Have kiosks at work inside; the value tells afterwards what they did."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.kiosk_load"),
        *(str(lab.console_port), str(lab.kiosk_port), lab.pin, str(KIOSKS), str(pause_s)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=as_usual,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    work: dict[str, Any] = {}
    try:
        if await process.stdout.readline() != b"ready\n":
            raise OSError("the kiosks did not begin")
        yield work
        process.stdin.close()
        async with asyncio.timeout(END_S):
            said = await process.stdout.readline()
            if await process.wait() or not said:
                raise OSError("the kiosks ended before the measurement")
        work.update(json.loads(said))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def deployed(edge: Edge) -> AsyncIterator[None]:
    """Run an edge in this loop with the scheduling of a van, and end it as a service is ended."""
    as_deployed()
    try:
        life = asyncio.create_task(edge.run())
        try:
            yield
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await life
    finally:
        as_usual()


@contextlib.asynccontextmanager
async def running(lab: Laboratory, *, with_office: bool = True) -> AsyncIterator[MeasuredEdge]:
    """Run the edge in this loop, and what is around the van in processes of their own."""
    parts = [part for part in (lab.broker, lab.office, lab.lathe) if part is not None] if with_office else []
    settings = load_settings(lab.edge_config)
    router, *others = settings.machine
    router = router.model_copy(update={"interlock": (*router.interlock, INPUT)})
    edge = MeasuredEdge(settings.model_copy(update={"machine": (router, *others)}), lab.edge_config)
    try:
        for part in parts:
            await part.start()
        async with deployed(edge):
            yield edge
    finally:
        for part in reversed(parts):
            await part.stop()


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    count, share = (300, 12) if quick else (TRIPS, 1)
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        as_deployed()
        floor_written, floor = await bare(folder, min(count, FLOOR_TRIPS))
        as_usual()
        lab = Laboratory(Options(folder))
        peer = Peer(lab.serial_link, folder / "trips.json")
        said: list[tuple[str, int, Trips]] = []
        async with running(lab) as edge:
            await edge.until(Execution.READY)
            for title, (pause_s, seconds) in CONDITIONS.items():
                trips = Trips(edge, peer, [])
                async with contextlib.nullcontext({}) if pause_s is None else kiosks(lab, pause_s) as work:
                    done = await trips.run(count, seconds / share)
                said.append((title, done, trips))
                print(f"    {title}: {done} trips", work or "", file=sys.stderr)
        trips_ms = peer.trips_ms()
    for title, done, trips in said:
        counted, trips_ms = trips_ms[DROPPED:done], trips_ms[done:]
        for found in latencies(f"interlock input to `!`, {title}", counted, FLOOR, floor):
            yield found
        written = trips.written_ms[DROPPED:]
        for found in latencies(
            f"interlock input until written, {title}", written, FLOOR, floor_written, ("p99", "p99.9")
        ):
            yield found


if __name__ == "__main__":

    async def show() -> None:
        async for line in run(quick="--quick" in sys.argv):
            print(line)

    asyncio.run(show())
