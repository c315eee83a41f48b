# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a program of a million lines on its way through a running edge: uploaded, checked, queued, started.

Memory is the edge process's resident memory over what it had idle; the peak is the kernel's own high-water mark, reset
before the upload, so that nothing is missed between two looks. The first motion is the first status report with
Run that the controller says after the start was asked for. Beside it stands a program of ten lines.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from benchmarks.bench_lab import helpers_mb, resident_mb
from benchmarks.stats import Row, row
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Wrong, until
from tests.hardware_sim.lab.processes import ROOT

LINES = 1_000_000
SETTLE_S = 1.0
SETTINGS = {"$110": "6000", "$111": "6000"}
WORDS = re.compile(rb"([A-Z])([+-]?[0-9.]+)")


def spiral(lines: int) -> bytes:
    """Return a program of `lines` lines within the simulated router's travel, as a CAM program writes it."""

    def each() -> Iterator[str]:
        yield from ("G21 G90 G17", "M3 S8000", "G0 Z5", "G1 X100 Y70 F2400")
        for n in range(lines - 6):
            angle, radius = n * 0.02, 5.0 + 55.0 * n / lines
            yield f"G1 X{100 + radius * math.cos(angle):.3f} Y{70 + radius * math.sin(angle):.3f}"
        yield from ("M5", "M30")

    return "\n".join([*each(), ""]).encode()


def peak_mb(pid: int) -> float:
    """Return the high-water mark of resident memory, MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 / 1e6  # type: ignore[index]


def forget_peak(pid: int) -> None:
    """Let the high-water mark begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


async def first_run_s(lab: Laboratory, since: float) -> float:
    """Return the seconds from `since` (monotonic) to the first report of Run, once there is one."""
    async with asyncio.timeout(30):
        while True:
            with lab.wirelog.open(encoding="utf-8") as log:
                for line in log:
                    if '"tx"' in line and "<Run" in line and (said := json.loads(line)["t"]) > since:
                        return float(said) - since
            await asyncio.sleep(0.1)


async def started(operator: Operator, lab: Laboratory, name: str, text: bytes) -> tuple[float, float, str]:
    """Upload, queue and start a program; return the seconds of the check, those to the first motion, and the job."""
    begin = time.monotonic()
    answer = await operator.upload(name, text)
    if answer.status_code != 201:
        raise Wrong(f"the program was not taken: {answer.text[:300]}")
    checked_s = time.monotonic() - begin
    job = (await operator.post("/api/jobs", {"program": answer.json()["program"]["id"], "machine": "router"}))["id"]
    await operator.post(f"/api/jobs/{job}/approve")
    begin = time.monotonic()
    await operator.post(f"/api/jobs/{job}/start", {"area_clear": True})
    return checked_s, await first_run_s(lab, begin), job


async def stopped(operator: Operator, job: str) -> None:
    """Stop the machine and wait until its job has ended."""

    async def ended() -> bool:
        return (await operator.job(job))["state"] in ("ABORTED", "FAILED", "FINISHED", "INTERRUPTED")

    await operator.post("/api/machines/router/stop")
    await until("the job ends", ended)


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    lines = 100_000 if quick else LINES
    text = spiral(lines)
    begin = time.perf_counter()
    for line in text.split(b"\n"):
        WORDS.findall(line)
    bare_s = time.perf_counter() - begin
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        lab = Laboratory(Options(Path(name), with_lathe=False, router_settings=SETTINGS))
        async with lab, Operator(lab.console_url) as operator:
            await operator.login(lab.pin)
            await operator.ready_router()
            edge = lab.edge.pid
            _, short_s, job = await started(operator, lab, "short.nc", spiral(2_000))
            await stopped(operator, job)
            await operator.ready_router()
            await asyncio.sleep(SETTLE_S)
            idle = resident_mb(edge)
            forget_peak(edge)
            checked_s, first_s, job = await started(operator, lab, "long.nc", text)
            await asyncio.sleep(SETTLE_S)
            held, peak = resident_mb(edge) - idle, peak_mb(edge) - idle
            print(f"    worker {helpers_mb(edge):.0f} MB", file=sys.stderr)
            await stopped(operator, job)
    size_mb, title = len(text) / 1e6, f"{lines:,} lines"
    yield row(f"{title}: upload and check", checked_s, "s", "bare regular expression over the lines", bare_s)
    yield row(f"{title}: start to first motion", first_s * 1e3, "ms", "a program of 2,000 lines", short_s * 1e3)
    yield row(f"{title}: edge's memory over idle, running", held, "MB", "the program's text", size_mb)
    yield row(f"{title}: edge's memory over idle, peak", peak, "MB", "the program's text", size_mb)
