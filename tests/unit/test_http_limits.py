# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that hold before any handler: size of a body, requests under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from edge.http.limits import BodyLimit, InFlightLimit, SecurityHeaders


class Service:
    def __init__(self) -> None:
        self.app = FastAPI()
        self.gate = asyncio.Event()
        self.begun = asyncio.Semaphore(0)

        @self.app.post("/size")
        async def size(request: Request) -> int:
            return len(await request.body())

        @self.app.get("/slow")
        async def slow() -> str:
            self.begun.release()
            await self.gate.wait()
            return "done"


@pytest.fixture
def service() -> Service:
    return Service()


def client(app: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t")  # type: ignore[arg-type]


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_a_declared_length_over_the_limit_is_refused_unread(service: Service) -> None:
    async with client(BodyLimit(service.app, 100)) as people:
        assert (await people.post("/size", content=b"x" * 100)).json() == 100
        refused = await people.post("/size", content=b"x" * 101)
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "too-large"


async def test_a_length_that_is_not_declared_is_counted(service: Service) -> None:
    async with client(BodyLimit(service.app, 100)) as people:
        assert (await people.post("/size", content=pieces(2, 50))).json() == 100
        assert (await people.post("/size", content=pieces(20, 50))).status_code == 413


async def test_a_length_that_is_no_number_is_refused(service: Service) -> None:
    async with client(BodyLimit(service.app, 100)) as people:
        answer = await people.post("/size", content=b"x", headers={"Content-Length": "-1"})
    assert answer.status_code == 413


async def test_some_paths_take_more(service: Service) -> None:
    async with client(BodyLimit(service.app, 100, {"/size": 1000})) as people:
        assert (await people.post("/size", content=b"x" * 500)).json() == 500


async def test_nobody_waits_without_an_end(service: Service) -> None:
    async with client(InFlightLimit(service.app, 2)) as people:
        waiting = [asyncio.create_task(people.get("/slow")) for _ in range(2)]
        for _ in waiting:
            await service.begun.acquire()
        refused = await people.get("/slow")
        service.gate.set()
        answers = await asyncio.gather(*waiting)
        again = await people.get("/slow")
    assert refused.status_code == 429
    assert refused.json()["error"]["retry_after_s"] == 1.0
    assert [answer.status_code for answer in (*answers, again)] == [200, 200, 200]


async def test_every_answer_is_kept_to_its_own_origin(service: Service) -> None:
    async with client(SecurityHeaders(service.app)) as people:
        answer = await people.get("/nothing")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
