# SPDX-License-Identifier: GPL-3.0-or-later
"""The people of a school visit as HTTP clients: visitors at kiosks, the operator at the console, the office."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any, Self

import httpx
from websockets.asyncio.client import connect

Json = dict[str, Any]

OVER = ("FINISHED", "INTERRUPTED", "ABORTED", "FAILED", "DECLINED")
"""States in which nothing more happens to a job by itself."""


class Wrong(Exception):
    """Something answered otherwise than it should. The message says what."""


async def until(what: str, check: Callable[[], Any], *, seconds: float = 30.0, every: float = 0.05) -> Any:
    """Return the first true result of `check` (plain or awaitable); raises Wrong with `what` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                result = check()
                if asyncio.iscoroutine(result):
                    result = await result
                if result:
                    return result
                await asyncio.sleep(every)
    except TimeoutError:
        raise Wrong(f"{what}: not within {seconds:.0f} s") from None


class _Person:
    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.AsyncClient(base_url=url, timeout=60.0, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str, **query: object) -> Any:
        """Return the JSON of a GET."""
        answer = await self.client.get(path, params={key: str(value) for key, value in query.items()})
        if answer.status_code != 200:
            raise Wrong(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def post(self, path: str, body: object = None, *, expect: int | None = None) -> Any:
        """Return the JSON of a POST; raises Wrong for a status other than `expect` (default: any 2xx)."""
        answer = await self.client.post(path, json=body)
        good = answer.status_code == expect if expect else answer.is_success
        if not good:
            raise Wrong(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()


class Visitor(_Person):
    """A visitor at one kiosk."""

    def __init__(self, url: str, kiosk: str, language: str = "lt") -> None:
        super().__init__(url)
        self.kiosk = kiosk
        self.language = language
        self.session = str(uuid.uuid4())

    async def check_in(self) -> None:
        """Tap once; tap again, as people do."""
        body = {"kiosk": self.kiosk, "session": self.session, "language": self.language}
        await self.post("/api/kiosk/sessions", body, expect=201)
        await self.post("/api/kiosk/sessions", body, expect=201)

    async def wish(self, piece: str, guess_s: float, **extra: str) -> Json:
        """Ask for a piece; returns job and claim number."""
        body = {"kiosk": self.kiosk, "session": self.session, "piece": piece, "guess_s": guess_s, **extra}
        wished: Json = await self.post("/api/kiosk/requests", body, expect=201)
        return wished

    async def job(self, job_id: str) -> Json:
        """Look at the wish."""
        shown: Json = await self.get(f"/api/kiosk/jobs/{job_id}")
        return shown


class Operator(_Person):
    """The operator at the console."""

    async def login(self, pin: str) -> None:
        """Enter the PIN."""
        await self.post("/api/login", {"pin": pin})

    async def machine(self, machine_id: str) -> Json:
        """Look at a machine."""
        snapshot = await self.get("/api/snapshot")
        found: Json = next(item for item in snapshot["machines"] if item["id"] == machine_id)
        return found

    async def job(self, job_id: str) -> Json:
        """Look at a job."""
        snapshot = await self.get("/api/snapshot")
        found: Json = next(item for item in snapshot["jobs"] if item["id"] == job_id)
        return found

    async def upload(self, name: str, data: bytes, machine: str = "router") -> httpx.Response:
        """Upload a program; returns the answer as it is."""
        return await self.client.post("/api/programs", params={"name": name, "machine": machine}, content=data)

    async def until_machine(self, machine_id: str, what: str, check: Callable[[Json], bool]) -> Json:
        """Wait until a machine looks as `check` says."""

        async def look() -> Json | None:
            machine = await self.machine(machine_id)
            return machine if check(machine) else None

        found: Json = await until(what, look)
        return found

    async def ready_router(self) -> None:
        """Reset the interlock and home, as after each drive."""
        await self.until_machine("router", "the router answers", lambda m: m["availability"] == "AVAILABLE")
        await self.until_machine("router", "a reset is possible", lambda m: not m["refusals"]["reset"])
        await self.post("/api/machines/router/reset")
        await self.post("/api/machines/router/home", {"area_clear": True})

    async def run_job(self, job_id: str, progress: Callable[[float], None] = lambda _: None) -> Json:
        """Start an approved job and wait for its end; `progress` is told its part done."""
        await self.post(f"/api/jobs/{job_id}/start", {"area_clear": True})
        return await self.watch_job(job_id, progress)

    async def watch_job(self, job_id: str, progress: Callable[[float], None] = lambda _: None) -> Json:
        """Wait over the console's live view until nothing more happens to a job by itself."""
        cookie = "; ".join(f"{key}={value}" for key, value in self.client.cookies.items())
        address = self.url.replace("http://", "ws://") + "/api/live"
        async with asyncio.timeout(300), connect(address, additional_headers={"Cookie": cookie}) as socket:
            async for text in socket:
                message = json.loads(text)
                jobs = message.get("jobs") or message.get("snapshot", {}).get("jobs") or []
                if message["type"] == "machine" and message["machine"]["job"] == job_id:
                    progress(message["machine"]["progress"] or 0.0)
                for job in jobs:
                    if job["id"] == job_id and job["state"] in OVER:
                        progress(1.0 if job["state"] == "FINISHED" else job["progress"])
                        return dict(job)
        raise Wrong("the live view ended")


class Office(_Person):
    """Somebody who looks at the office's page."""

    async def login(self, name: str, password: str) -> None:
        """Log in, where the office asks for it."""
        self.client.headers["X-InfoMobil"] = "1"
        await self.post("/api/login", {"name": name, "password": password})

    async def progress(self) -> Json:
        """Return the number."""
        shown: Json = await self.get("/api/progress")
        return shown

    async def jobs(self) -> dict[str, Json]:
        """Return the office's jobs by id."""
        rows = (await self.get("/api/jobs", limit=500))["rows"]
        return {row["job"]: row for row in rows}
