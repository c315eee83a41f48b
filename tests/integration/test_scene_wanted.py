# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that pages ask for and then do without, and the path of a wish at the kiosk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from edge.api.app import create_app as create_console
from edge.domain.job import Job, JobState
from edge.kiosk.app import create_app as create_kiosk
from edge.services.scenes import pack
from edge.services.twin import TwinStatus
from tests.support.grbl import eventually
from tests.support.picture_lab import Place, picture_lab

KNOWN = {"mine": "name-tag", "other": "gear"}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with picture_lab(tmp_path) as made:
        yield made


@dataclass
class Reader:
    """A page that asks for something and may leave before it has the answer."""

    gone: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Any] = field(default_factory=list)
    begun: bool = False

    async def receive(self) -> Any:
        if not self.begun:
            self.begun = True
            return {"type": "http.request", "body": b""}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def asks(self, app: Any, client: httpx.AsyncClient, path: str) -> asyncio.Task[None]:
        request = client.build_request("GET", path)
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        scope = {"type": "http", "method": "GET", "path": request.url.path, "query_string": request.url.query}
        scope |= {"http_version": "1.1", "scheme": "http", "server": ("van", 80), "client": ("127.0.0.1", 1)}
        return asyncio.create_task(app({**scope, "headers": headers}, self.receive, self.send))


async def test_a_picture_that_nobody_wants_any_more_is_not_made(place: Place) -> None:
    may, begun, given_up = asyncio.Event(), list[str](), list[str]()
    make = place.lab.scenes._offload

    async def slowly(function: Any, *arguments: Any) -> Any:
        begun.append(function.__name__)
        try:
            await may.wait()
        except asyncio.CancelledError:
            given_up.append(function.__name__)
            raise
        return await make(function, *arguments)

    place.lab.scenes._offload = slowly  # type: ignore[assignment]
    app = create_console(place.lab)
    path = "/api/programs/gear/stock?machine=router"
    async with asyncio.timeout(20):
        first, second = Reader(), Reader()
        asked = [page.asks(app, place.console, path) for page in (first, second)]
        await eventually(lambda: begun == ["cut_packed"], "the work has begun")
        first.gone.set()
        await asked[0]
        # Somebody else still waits for it.
        assert (first.sent[0]["status"], given_up) == (499, [])
        second.gone.set()
        await asked[1]
        await eventually(lambda: given_up == ["cut_packed"], "the work is given up")
        may.set()
        assert (await place.console.get(path)).status_code == 200
        assert begun == ["cut_packed"] * 2
        kiosk, kept = Reader(), Reader()
        may.clear()
        path = "/api/kiosk/pieces/gear/scene"
        asked = [page.asks(create_kiosk(place.lab), place.kiosk, path) for page in (kiosk, kept)]
        await eventually(lambda: begun[2:] == ["draw_packed"], "the work has begun")
        kiosk.gone.set()
        await asked[0]
        may.set()
        await asked[1]
        assert (kept.sent[0]["status"], len(begun), len(given_up)) == (200, 3, 1)


async def test_a_wish_is_shown_while_its_machine_has_its_path(place: Place) -> None:
    jobs = {name: Job(name, 1, "router", program, "kiosk", JobState.RUNNING) for name, program in KNOWN.items()}
    jobs["upload"] = replace(jobs["mine"], job_id="upload", program_id=place.upload)
    nothing: Any = SimpleNamespace(job=jobs.__getitem__)
    lab = replace(place.lab, jobs=nothing)
    place.twin.path, place.twin.told = pack(b"IMSC Rasa"), TwinStatus("router", "mine", 0.0, None, 0)
    wire = httpx.ASGITransport(app=create_kiosk(lab))
    async with httpx.AsyncClient(transport=wire, base_url="http://lab") as kiosk:
        answer = await kiosk.get("/api/kiosk/jobs/mine/scene")
        assert (answer.status_code, answer.content) == (200, b"IMSC Rasa")
        other = await kiosk.get("/api/kiosk/jobs/other/scene")
        assert (other.status_code, other.json()["error"]["code"]) == (404, "no-twin")
        place.twin.told = TwinStatus("router", "upload", 0.0, None, 0)
        assert (await kiosk.get("/api/kiosk/jobs/mine/scene")).status_code == 404
        unknown = await kiosk.get("/api/kiosk/jobs/upload/scene")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not-found")
        place.twin.told = None
        assert (await kiosk.get("/api/kiosk/jobs/mine/scene")).status_code == 404
