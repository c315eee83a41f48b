# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures a visitor's tap from the touch to the thanks: HTTP request, commit with fsync, answer.

The edge is the demo's, in its own process, with router and broker; 64 clients tap one after the other without a
pause, far more than a van has, from this process. The floor is a bare sqlite3 commit of one row on the same disk.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.bench_store import bare_commits
from benchmarks.plain_http import PlainHttp
from benchmarks.stats import Row, latencies, row
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.processes import ROOT

FLOOR = "bare sqlite3 commit, WAL, synchronous=FULL"


async def taps_ms(port: int, clients: int, each: int) -> list[float]:
    """Return the milliseconds of all taps of `clients` at once."""
    taken: list[float] = []

    async def client(number: int) -> None:
        async with PlainHttp(port) as http:
            for _ in range(each):
                entered = {"kiosk": f"k{number}", "session": str(uuid.uuid4()), "language": "lv"}
                begin = time.perf_counter()
                await http.post("/api/kiosk/sessions", entered)
                taken.append((time.perf_counter() - begin) * 1e3)

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    return taken


async def run(*, quick: bool = False) -> AsyncIterator[Row]:
    """Yield the rows of the table."""
    taps = 1_280 if quick else 6_400
    (ROOT / ".run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".run") as name:
        folder = Path(name)
        floor = await asyncio.to_thread(bare_commits, folder)
        async with Laboratory(Options(folder, with_lathe=False)) as lab:
            await taps_ms(lab.kiosk_port, 8, 8)
            alone = await taps_ms(lab.kiosk_port, 1, taps // 8)
            begin = time.perf_counter()
            many = await taps_ms(lab.kiosk_port, 64, taps // 64)
            rate = len(many) / (time.perf_counter() - begin)
    for title, values in (("one kiosk", alone), ("64 at once", many)):
        for found in latencies(f"tap over HTTP to committed, {title}", values, FLOOR, floor, ("p50", "p99")):
            yield found
    yield row("taps over HTTP committed, 64 at once", rate, "1/s", FLOOR, 1e3 * len(floor) / sum(floor))
