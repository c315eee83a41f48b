# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the van's own OPC UA server costs: itself, and whether its clients stand in the way of an interlock.

The whole edge runs in this process, as in the bench of the interlock, with the server in its own process. Trips are
measured first with nobody connected, then with CLIENTS clients that are each subscribed, signed and encrypted, to every
variable of every machine at the server's fastest period.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from benchmarks.bench_interlock import DROPPED, END_S, MeasuredEdge, Peer, Trips, as_usual, running
from benchmarks.stats import Row, latencies, row
from edge.domain.machine import Execution
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT, port_answers

CLIENTS = 20
TRIPS = 2_000
SECONDS = 15.0
ALONE = "the same edge, nobody connected to the server"
_TICKS = os.sysconf("SC_CLK_TCK")


def server_pid() -> int:
    """Return the id of the server's process. Raises LookupError."""
    me = os.getpid()
    for pid in Path(f"/proc/{me}/task/{me}/children").read_text(encoding="ascii").split():
        if b"edge.opcua_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise LookupError("the OPC UA server does not run")


def cpu_s(pid: int) -> float:
    """Return the seconds of computing that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} tells no memory")


@contextlib.asynccontextmanager
async def clients(lab: Laboratory) -> AsyncIterator[dict[str, Any]]:
    """Have clients subscribed inside; the value tells afterwards what they were told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.umati_load"),
        *(lab.server_endpoint, str(lab.data_dir / "opcua"), str(CLIENTS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=as_usual,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    heard: dict[str, Any] = {}
    try:
        if await process.stdout.readline() != b"ready\n":
            raise OSError("the clients were not let in")
        yield heard
        process.stdin.close()
        async with asyncio.timeout(END_S):
            heard.update(json.loads(await process.stdout.readline()))
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _listening(lab: Laboratory) -> None:
    async with asyncio.timeout(END_S):
        while not await port_answers(lab.server_port or 0):  # noqa: ASYNC110 - another process opens it
            await asyncio.sleep(0.01)


async def _trips(edge: MeasuredEdge, peer: Peer, count: int, seconds: float) -> tuple[int, float, float]:
    """Return how many trips there were, the server's share of a core in per cent, and its memory in MB."""
    pid, began = server_pid(), time.monotonic()
    before = cpu_s(pid)
    done = await Trips(edge, peer, []).run(count, seconds)
    return done, 100 * (cpu_s(pid) - before) / (time.monotonic() - began), resident_mb(pid)


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    count, seconds = (200, 3.0) if quick else (TRIPS, SECONDS)
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        lab = Laboratory(Options(folder, server_port=0))
        peer = Peer(lab.serial_link, folder / "trips.json")
        async with running(lab) as edge:
            began = time.monotonic()
            await edge.until(Execution.READY)
            await _listening(lab)
            start_ms = 1_000 * (time.monotonic() - began)
            alone, idle_cpu, idle_mb = await _trips(edge, peer, count, seconds)
            async with clients(lab) as heard:
                crowded, cpu, memory = await _trips(edge, peer, count, seconds)
        trips_ms = peer.trips_ms()
    print(f"    {alone} trips alone, {crowded} with {CLIENTS} clients: {heard}", file=sys.stderr)
    floor, found = trips_ms[DROPPED:alone], trips_ms[alone + DROPPED : alone + crowded]
    yield row("OPC UA server, start of the edge to listening", start_ms, "ms")
    yield row(f"OPC UA server, resident memory, {CLIENTS} clients", memory, "MB", "nobody connected", idle_mb)
    yield row(f"OPC UA server, of one core, {CLIENTS} clients", cpu, "%", "nobody connected", idle_cpu)
    rate = heard["notifications"] / heard["seconds"]
    yield row(f"OPC UA server, notifications to {CLIENTS} clients", rate, "1/s")
    for line in latencies(f"interlock input to `!`, {CLIENTS} umati clients", found, ALONE, floor):
        yield line


if __name__ == "__main__":

    async def show() -> None:
        async for line in run(quick="--quick" in sys.argv):
            print(line)

    asyncio.run(show())
