# SPDX-License-Identifier: GPL-3.0-or-later
"""Kiosks at work, consoles that watch, an operator who clears the queue and has a program checked: HTTP clients.

Usage: python -m benchmarks.kiosk_load CONSOLE_PORT KIOSK_PORT PIN KIOSKS PAUSE_S. Each kiosk keeps a live view open,
checks visitors in, looks at pieces, wishes and watches, with a pause of PAUSE_S on average (exponential) before each
request. Ten consoles hold the live view, and a program of 200,000 lines is checked over and over. Says `ready` once
all are at work, ends when standard input closes, and then says what was done as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.bench_million import spiral
from benchmarks.plain_http import PlainHttp
from benchmarks.stats import percentile

PIECES = ("name-tag", "gear", "bolt")
NAMES = ("ĄŽUOLAS", "EGLĖ", "MĒNESS", "KÄRT", "JÜRGEN", "ŽYDRŪNAS")
QUEUE_FULL = 409
NOT_TAKEN = 422
CONSOLES = 10
CHECKED_LINES = 200_000


@dataclass
class Work:
    """What was done."""

    requests: int = 0
    messages: int = 0
    wishes: int = 0
    full: int = 0
    checks: int = 0
    taps_ms: list[float] = field(default_factory=list)


class Kiosk:
    """One kiosk and the visitors in front of it, one after the other."""

    def __init__(self, number: int, ports: tuple[int, int], pause_s: float, work: Work) -> None:
        self._name = f"k{number}"
        self._console, self._port = ports
        self._pause_s = pause_s
        self._work = work
        self._watching: asyncio.Task[None] | None = None

    async def run(self, decline: Callable[[str], Awaitable[None]], begun: asyncio.Event) -> None:
        """Serve visitors until cancelled."""
        try:
            async with PlainHttp(self._port) as http:
                await self._watch("")
                await asyncio.sleep(random.uniform(0, self._pause_s))
                begun.set()
                while True:
                    await self._visitor(http, decline)
        finally:
            if self._watching is not None:
                self._watching.cancel()

    async def _visitor(self, http: PlainHttp, decline: Callable[[str], Awaitable[None]]) -> None:
        session = str(uuid.uuid4())
        await self._ask(http.get(f"/api/kiosk/state?kiosk={self._name}"))
        await self._ask(self._check_in(http, session))
        await self._ask(http.get("/api/kiosk/pieces"))
        piece = random.choice(PIECES)
        wish = {"kiosk": self._name, "session": session, "piece": piece, "guess_s": 60}
        if piece == "name-tag":
            wish["text"] = random.choice(NAMES)
        wished = await self._ask(http.post("/api/kiosk/requests", wish, also=(QUEUE_FULL,)))
        if "job" not in wished:
            self._work.full += 1
            return
        self._work.wishes += 1
        await self._watch(wished["job"])
        for _ in range(2):
            await self._ask(http.get(f"/api/kiosk/jobs/{wished['job']}"))
        await decline(wished["job"])

    async def _check_in(self, http: PlainHttp, session: str) -> None:
        begin = time.perf_counter()
        await http.post("/api/kiosk/sessions", {"kiosk": self._name, "session": session, "language": "lt"})
        self._work.taps_ms.append((time.perf_counter() - begin) * 1e3)

    async def _ask(self, asking: Awaitable[Any]) -> Any:
        answer = await asking
        self._work.requests += 1
        await asyncio.sleep(random.expovariate(1 / self._pause_s) if self._pause_s else 0)
        return answer

    async def _watch(self, job: str) -> None:
        """Open the live view again, on `job`."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        address = f"ws://127.0.0.1:{self._port}/api/kiosk/live?job={job}"
        self._watching = asyncio.create_task(_drain(await connect(address, compression=None), self._work))


async def _check(port: int, cookie: str, work: Work) -> None:
    """Have programs checked one after the other: each is new, and none is kept, for its last line is bad."""
    text = spiral(CHECKED_LINES)
    async with PlainHttp(port) as desk:
        desk.cookie = cookie
        while True:
            program = b"(%d)\n%bG1 X\n" % (work.checks, text)
            await desk.post("/api/programs?name=check.nc&machine=router", program, also=(NOT_TAKEN,))
            work.checks += 1


async def _drain(socket: ClientConnection, work: Work) -> None:
    async with socket:
        async for _ in socket:
            work.messages += 1


async def main(console: int, kiosk: int, pin: str, kiosks: int, pause_s: float) -> None:
    """Work until standard input closes."""
    loop, work, ended = asyncio.get_running_loop(), Work(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    async with PlainHttp(console) as desk:
        await desk.post("/api/login", {"pin": pin})
        live, cookie = f"ws://127.0.0.1:{console}/api/live", {"Cookie": desk.cookie}
        watching = [await connect(live, additional_headers=cookie, max_size=None) for _ in range(CONSOLES)]
        turn = asyncio.Lock()

        async def decline(job: str) -> None:
            async with turn:
                await desk.post(f"/api/jobs/{job}/decline", {"reason": "The bell rings."})

        begun = [asyncio.Event() for _ in range(kiosks)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_drain(socket, work)) for socket in watching]
            tasks.append(group.create_task(_check(console, desk.cookie, work)))
            for number, event in enumerate(begun):
                tasks.append(group.create_task(Kiosk(number, (console, kiosk), pause_s, work).run(decline, event)))
            for event in begun:
                await event.wait()
            print("ready", flush=True)
            begin, before = time.perf_counter(), work.requests
            await ended.wait()
            seconds, requests = time.perf_counter() - begin, work.requests - before
            for task in tasks:
                task.cancel()
    said = {
        "requests_per_s": round(requests / seconds, 1),
        "live_messages": work.messages,
        "wishes": work.wishes,
        "refused_as_full": work.full,
        "checks": work.checks,
        "check_in_p50_ms": round(percentile(work.taps_ms, 0.5), 2),
        "check_in_p99_ms": round(percentile(work.taps_ms, 0.99), 2),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
