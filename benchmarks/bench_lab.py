# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a running laboratory takes of memory, and how long an edge takes from nothing to its first page.

The laboratory is the demo's: edge with a simulated router and a lathe over OPC UA, broker, office. Memory is what the
kernel counts as resident, shared pages included, so that the sum of several processes is an upper bound. The
reference of memory and of the start is the smallest FastAPI service under uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.plain_http import PlainHttp
from benchmarks.stats import Row, row
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor, until
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import ROOT

CHECK_INS = 500
SPEED = 20.0
SETTLE_S = 3.0
PATIENCE_S = 30.0
REFERENCE = "the smallest FastAPI service under uvicorn"
SMALLEST = """
import sys
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def page() -> str:
    return "page"
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_ms(pid: int) -> float:
    """Return the processor time that a process has taken, in ms: what a busy machine does not change."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return 1e3 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> dict[int, str]:
    """Return the command lines of the children of a process."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found[int(child)] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def guardian_of(pid: int) -> int:
    """Return the process id of an edge's guardian."""
    return next(child for child, command in children(pid).items() if "guardian" in command)


def helpers_mb(pid: int) -> float:
    """Return the resident memory of the other processes that an edge has started, MB."""
    guardian = guardian_of(pid)
    return sum(resident_mb(child) for child in children(pid) if child != guardian)


@contextlib.contextmanager
def until_page(command: list[str], port: int, times_ms: list[float]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a service, note the milliseconds until its page is there, and end it after the body."""
    begin = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            while not page_answers(port):
                if process.poll() is not None or time.perf_counter() - begin > PATIENCE_S:
                    raise OSError(f"no page came from {' '.join(command)[:200]}")
                time.sleep(0.001)
            times_ms.append((time.perf_counter() - begin) * 1e3)
            yield process
        finally:
            process.terminate()


def page_answers(port: int) -> bool:
    """Return whether `/` is there. Raises OSError for an answer that is no page."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            answer = connection.recv(4096)
    except OSError:
        return False
    if not answer.startswith(b"HTTP/1.1 200"):
        raise OSError(f"the page was answered with {answer[:40]!r}; were the pages built (make web)?")
    return True


def smallest(repeats: int) -> tuple[float, float, float]:
    """Return start in ms, processor time of the start in ms and resident memory in MB of the reference."""
    times: list[float] = []
    cpu: list[float] = []
    memory = 0.0
    for _ in range(repeats):
        port = free_port()
        with until_page([sys.executable, "-c", SMALLEST, str(port)], port, times) as process:
            cpu.append(cpu_ms(process.pid))
            memory = resident_mb(process.pid)
    return statistics.median(times), statistics.median(cpu), memory


def edge_start(lab: Laboratory, repeats: int) -> tuple[float, float]:
    """Return the ms and the processor ms from the start of an edge to the console's page; its database exists."""
    times: list[float] = []
    cpu: list[float] = []
    for _ in range(repeats):
        with until_page(list(lab.edge.command), lab.console_port, times) as process:
            cpu.append(cpu_ms(process.pid))
    return statistics.median(times), statistics.median(cpu)


async def visit(lab: Laboratory) -> None:
    """Let a school come: 500 check-ins, one wish that is approved and cut."""
    async with Operator(lab.console_url) as operator, PlainHttp(lab.kiosk_port) as kiosk:
        await operator.login(lab.pin)
        opened = {"school": "Bench", "municipality": "Bench", "date": "2026-09-01", "group": "8a", "expected": 500}
        await operator.post("/api/visits", {**opened, "language": "lt"})
        for number in range(CHECK_INS):
            entered = {"kiosk": f"k{number % 3}", "session": str(uuid.uuid4()), "language": "lt"}
            await kiosk.post("/api/kiosk/sessions", entered)
        await operator.ready_router()
        async with Visitor(lab.kiosk_url, "k1") as visitor:
            await visitor.check_in()
            wished = await visitor.wish("name-tag", 60, text="ĄŽUOLAS")
        await operator.post(f"/api/jobs/{wished['job']}/approve")
        ended = await operator.run_job(wished["job"])
        if ended["state"] != "FINISHED":
            raise OSError(f"the job ended as {ended['state']}: {ended['reason']}")

        async def sent() -> bool:
            sync = (await operator.get("/api/snapshot"))["sync"]
            return bool(sync["connected"]) and not sync["waiting_total"]

        await until("the office has everything", sent)


async def connected(lab: Laboratory) -> None:
    """Wait until router and lathe answer, and a little longer."""
    async with Operator(lab.console_url) as operator:
        for machine in ("router", "lathe"):
            await operator.until_machine(machine, f"the {machine} answers", lambda m: m["availability"] == "AVAILABLE")
    await asyncio.sleep(SETTLE_S)


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    repeats = 3 if quick else 7
    start_floor, cpu_floor, memory_floor = await asyncio.to_thread(smallest, repeats)
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        async with Laboratory(Options(Path(name), speed=SPEED)) as lab:
            await connected(lab)
            edge, office = lab.edge.pid, lab.office.pid
            idle, guardian = resident_mb(edge), resident_mb(guardian_of(edge))
            yield row("edge, resident memory, idle", idle, "MB", REFERENCE, memory_floor)
            yield row("its guardian, resident memory", guardian, "MB")
            yield row("office, resident memory, idle", resident_mb(office), "MB", REFERENCE, memory_floor)
            await visit(lab)
            after = f"after {CHECK_INS} check-ins and a job"
            yield row(f"edge, resident memory, {after}", resident_mb(edge), "MB", REFERENCE, memory_floor)
            yield row(f"its worker, resident memory, {after}", helpers_mb(edge), "MB")
            yield row(f"office, resident memory, {after}", resident_mb(office), "MB", REFERENCE, memory_floor)
            await lab.edge.stop()
            start, cpu = await asyncio.to_thread(edge_start, lab, repeats)
    yield row("edge, start to first page", start, "ms", REFERENCE, start_floor)
    yield row("edge, processor time of its start", cpu, "ms", REFERENCE, cpu_floor)
