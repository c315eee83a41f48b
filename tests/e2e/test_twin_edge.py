# SPDX-License-Identifier: GPL-3.0-or-later
"""One edge with a simulated router: a piece is looked at, cut, and its material seen as it is cut, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor, until
from tests.support.scene import unpack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    lab = Laboratory(Options(tmp_path_factory.mktemp("lab"), speed=10, with_lathe=False))
    await lab.router.start()
    await asyncio.to_thread(lab.prepare_router)
    await lab.edge.start()
    yield lab
    await lab.edge.stop()
    await lab.router.stop()


async def twin_words(person: Operator, words: list[dict[str, Any]]) -> None:
    """Keep what the live view says of twins, until cancelled."""
    cookie = "; ".join(f"{name}={value}" for name, value in person.client.cookies.items())
    address = person.url.replace("http", "ws", 1) + "/api/live"
    async with connect(address, additional_headers={"cookie": cookie}, max_size=None) as socket:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "twin":
                words.append(message)


async def test_a_piece_is_seen_before_while_and_after_it_is_cut(lab: Laboratory) -> None:
    lab.tell_router("door closed")
    words: list[dict[str, Any]] = []
    async with Operator(lab.console_url) as person, httpx.AsyncClient(base_url=lab.kiosk_url, timeout=60.0) as kiosk:
        await person.login(lab.pin)
        await person.until_machine("router", "the router answers", lambda m: m["availability"] == "AVAILABLE")
        scene = unpack((await kiosk.get("/api/kiosk/pieces/name-tag/scene")).content)
        stock = unpack((await kiosk.get("/api/kiosk/pieces/name-tag/stock?cells=512")).content)
        planned = stock.header["removed_mm3"]
        assert scene.header["segments"] > 100
        assert (await person.client.get("/api/machines/router/twin")).json()["error"]["code"] == "no-twin"

        listening = asyncio.create_task(twin_words(person, words))
        await person.ready_router()
        await person.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])
        job = await person.post("/api/jobs", {"program": "name-tag", "machine": "router"})
        await person.post(f"/api/jobs/{job['id']}/approve")
        await person.post(f"/api/jobs/{job['id']}/start", {"area_clear": True})
        await until("something is cut", lambda: any(0 < word["removed_mm3"] < planned for word in words))
        first = await person.client.get("/api/machines/router/twin")
        assert unpack(first.content).letters == "IMRL"
        assert (await person.watch_job(job["id"]))["state"] == "FINISHED"
        await until("all is cut", lambda: abs(words[-1]["removed_mm3"] / planned - 1) < 0.01)
        assert words[-1]["planned_mm3"] == pytest.approx(planned, rel=1e-3)
        versions = [word["version"] for word in words]
        assert versions == sorted(versions)
        assert {word["job"] for word in words} == {job["id"]}

        last = await person.client.get("/api/machines/router/twin")
        again = await person.client.get("/api/machines/router/twin", headers={"if-none-match": last.headers["etag"]})
        assert again.status_code == 304
        assert last.headers["etag"] != first.headers["etag"]
        assert abs(unpack(last.content).heights() - stock.heights()).mean() < 0.002
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_the_next_job_is_another_piece_with_the_visitors_own_words(lab: Laboratory) -> None:
    words: list[dict[str, Any]] = []
    async with Operator(lab.console_url) as person, Visitor(lab.kiosk_url, "k1") as visitor:
        await person.login(lab.pin)
        before = unpack((await person.client.get("/api/machines/router/twin")).content)
        assert before.header["job"] is not None
        body = {"school": "Aukštaičių mokykla", "municipality": "Anykščių r.", "date": "2026-11-23", "group": "7b"}
        await person.post("/api/visits", {**body, "expected": 20, "language": "lt"}, expect=201)
        await visitor.check_in()
        job_id = (await visitor.wish("name-tag", 60, text="ŪLA"))["job"]
        own = f"/api/kiosk/jobs/{job_id}/scene"
        assert (await visitor.client.get(own)).status_code == 404
        await person.post(f"/api/jobs/{job_id}/approve")
        listening = asyncio.create_task(twin_words(person, words))
        await person.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])
        await person.post(f"/api/jobs/{job_id}/start", {"area_clear": True})
        await until("the twin is there", lambda: words)
        assert words[0]["job"] == job_id
        assert words[0]["removed_mm3"] < before.header["removed_mm3"] / 2

        scene = unpack((await person.client.get("/api/machines/router/scene")).content)
        sample = unpack((await person.client.get("/api/programs/name-tag/scene?machine=router")).content)
        assert (scene.header["job"], sample.header["job"]) == (job_id, None)
        assert 0 < scene.header["segments"] < sample.header["segments"]
        shown = await visitor.client.get(own)
        assert unpack(shown.content).arrays["points"].tolist() == scene.arrays["points"].tolist()

        await until("something is cut", lambda: words[-1]["removed_mm3"] > 1.0)
        relief = unpack((await person.client.get("/api/machines/router/twin")).content)
        assert relief.header["job"] == job_id
        assert (await person.watch_job(job_id))["state"] == "FINISHED"
        await until("all is cut", lambda: abs(words[-1]["removed_mm3"] / words[-1]["planned_mm3"] - 1) < 0.01)
        assert {word["job"] for word in words} == {job_id}
        # It can still be looked at in the hand when it is done.
        assert (await visitor.client.get(own)).status_code == 200
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
