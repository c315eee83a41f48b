# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs over HTTP: uploads with their progress and their limits, checks, the controller's own check."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from edge.api.access import COOKIE
from edge.api.app import UPLOAD_LIMIT, create_app
from edge.api.live import _messages
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Position
from edge.domain.ports import ProgramText, RefusedLine
from edge.http.limits import DISCARDED
from edge.services.bus import CheckProgress, EventBus, Message
from edge.services.jobs import JobService
from edge.services.lab import Lab
from edge.services.operators import OperatorDesk
from edge.services.programs import ProgramCatalog
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.workers import Workers
from edge.store.shelf import ProgramShelf
from tests.support.bare_lab import bare_lab
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryJournal, MemoryStore

RULE = InputRule("door", "Door", "controller", 10**12, "Close the door.")
SQUARE = b"G21 G90\nG0 Z5\nM3 S8000\nG1 Z-0.5 F300\nG1 X20 F800\nG1 Y20\nM5\nM30\n"
PIECE = b"G1 X1 F100\n" * 6_000
TWO_GB = 2 << 30
UPLOAD = "/api/programs?name=a.nc&machine=router"


class AnyPin:
    def matches(self, pin: str) -> bool:
        return bool(pin)


class Reader(FakeDriver):
    """A machine whose controller refuses line 3 of every program, once it may answer."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.may, self.reads, self.given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.may.set()
        self.refused: tuple[RefusedLine, ...] = (RefusedLine(3, 20, "the word is not supported"),)

    async def check_program(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        self.reads.set()
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        for number in range(len(program.lines)):
            tell(number + 1)
        return self.refused


@dataclass
class Place:
    lab: Lab
    driver: Reader
    supervisor: MachineSupervisor
    page: httpx.AsyncClient
    stranger: httpx.AsyncClient
    heard: list[Message]

    def progress(self) -> list[CheckProgress]:
        return [message for message in self.heard if isinstance(message, CheckProgress)]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    clock, bus, workers, heard = FakeClock(), EventBus(), Workers(), list[Message]()
    driver, store = Reader(clock), MemoryStore()
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=FakeGuardian())
    driver.ready()
    supervisor.on_input(InputSample("door", True, clock.boot_ns(), "controller"))
    await supervisor.reset()
    visits: Any = SimpleNamespace(bell_in_s=lambda: None)
    machines, catalog = {"router": supervisor}, ProgramCatalog({}, ProgramShelf(tmp_path), workers, bus)
    jobs = JobService(
        machines,
        catalog,
        store=store,
        journal=MemoryJournal(),
        recorder=recorder,
        bus=bus,
        clock=clock,
        visit_id=lambda: None,
    )
    desk = OperatorDesk(AnyPin(), clock)
    lab = bare_lab(machines, desk, bus, jobs=jobs, programs=catalog, visits=visits)
    bus.subscribe(heard.append)
    transport = httpx.ASGITransport(create_app(lab))
    cookies = {COOKIE: await desk.login("123456")}
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://van", cookies=cookies) as page,
        httpx.AsyncClient(transport=transport, base_url="http://van") as stranger,
    ):
        yield Place(lab, driver, supervisor, page, stranger, heard)
    workers.close()


async def test_an_upload_is_checked_in_another_process_and_its_progress_is_told(place: Place) -> None:
    answer = await place.page.post(f"{UPLOAD}&check=check-1", content=SQUARE)
    assert answer.status_code == 201
    check = answer.json()["check"]
    assert (check["lines"], check["errors"], check["tools"]) == (8, 0, [0])
    assert check["cut_mm"] == pytest.approx(45.5)
    told = place.progress()[-1]
    assert told == CheckProgress("check-1", "planning", 1.0)
    said = {"type": "check", "check": "check-1", "stage": "planning", "done": 1.0}
    assert _messages(place.lab, [told], operator=True) == [said]
    assert _messages(place.lab, [told], operator=False) == []


async def test_a_check_is_for_the_machine_as_it_stands_now(place: Place) -> None:
    program = (await place.page.post(UPLOAD, content=SQUARE)).json()["program"]["id"]
    assert place.progress() == []
    path = f"/api/programs/{program}/check?machine=router"
    assert (await place.page.get(path)).json()["errors"] == 0
    place.driver.show(work_offset=Position(-1, -1, -1))
    found = (await place.page.get(path)).json()
    assert found["errors"] > 0
    beyond = next(item for item in found["diagnostics"] if item["severity"] == "error")
    assert (beyond["code"], beyond["line"]) == ("out-of-travel", 2)
    assert beyond["remedy"]
    assert "words" in beyond
    assert (await place.page.get(f"/api/programs/{program}/check?machine=lathe")).status_code == 404
    assert (await place.page.get("/api/programs/other/check?machine=router")).status_code == 404
    assert (await place.stranger.get(path)).status_code == 401


async def test_an_approval_names_the_check_that_was_seen(place: Place) -> None:
    uploaded = (await place.page.post(UPLOAD, content=SQUARE)).json()
    program = uploaded["program"]["id"]
    job = (await place.page.post("/api/jobs", json={"program": program, "machine": "router"})).json()
    assert job["check_digest"] is None
    path = f"/api/jobs/{job['id']}"
    place.driver.show(work_offset=Position(-137.5, -150, -40))
    answer = await place.page.post(f"{path}/approve", json={"check_digest": uploaded["check"]["digest"]})
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["code"], error["what"]) == ("check-outdated", "Router does not take the approval.")
    assert error["why"] == "The zero of X was -150.000 and is -137.500 mm."
    seen = (await place.page.get(f"/api/programs/{program}/check?machine=router")).json()["digest"]
    again = (await place.page.post(f"{path}/recheck")).json()
    assert again["check_digest"] == seen != uploaded["check"]["digest"]
    assert (await place.page.post(f"{path}/approve", json={"check_digest": "?"})).status_code == 422
    approved = await place.page.post(f"{path}/approve", json={"check_digest": seen})
    assert approved.json()["state"] == "APPROVED"


async def test_a_page_that_names_no_check_approves_the_one_of_now(place: Place) -> None:
    program = (await place.page.post(UPLOAD, content=SQUARE)).json()["program"]["id"]
    job = (await place.page.post("/api/jobs", json={"program": program, "machine": "router"})).json()
    assert (await place.page.post(f"/api/jobs/{job['id']}/approve")).json()["state"] == "APPROVED"


async def test_what_the_controller_says_is_told(place: Place) -> None:
    program = (await place.page.post(UPLOAD, content=SQUARE)).json()["program"]["id"]
    path, wanted = "/api/machines/router/second-opinion", {"program": program, "check": "check-2"}
    answer = (await place.page.post(path, json=wanted)).json()
    refused = [{"line": 3, "error": 20, "text": "the word is not supported"}]
    assert answer == {"lines": 8, "refused": refused, "refused_lines": 1, "agrees": False}
    assert place.progress()[-1] == CheckProgress("check-2", "controller", 1.0)
    assert (await place.stranger.post(path, json=wanted)).status_code == 401
    place.driver.refused *= 201
    many = (await place.page.post(path, json=wanted)).json()
    assert (len(many["refused"]), many["refused_lines"]) == (200, 201)
    place.supervisor.on_input(InputSample("door", False, place.supervisor.state.taken_ns, "controller"))
    closed = await place.page.post(path, json=wanted)
    assert (closed.status_code, closed.json()["error"]["code"]) == (409, "input.door")
    assert (await place.page.post("/api/machines/lathe/second-opinion", json=wanted)).status_code == 404


async def test_the_controller_reads_a_job_of_its_machine(place: Place) -> None:
    path = "/api/machines/router/second-opinion"
    program = (await place.page.post(UPLOAD, content=SQUARE)).json()["program"]["id"]
    job = (await place.page.post("/api/jobs", json={"program": program, "machine": "router"})).json()["id"]
    assert (await place.page.post(path, json={"job": job})).json()["lines"] == 8
    assert place.progress()[-1] == CheckProgress(job, "controller", 1.0)
    for wanted, status in (({"job": "none"}, 404), ({}, 422), ({"job": job, "program": program}, 422)):
        assert (await place.page.post(path, json=wanted)).status_code == status
    # Only the machine that the job is for knows what its program was checked for.
    machines: Any = place.lab.machines
    machines["mill"] = place.supervisor
    assert (await place.page.post("/api/machines/mill/second-opinion", json={"job": job})).status_code == 404


async def test_the_controller_reads_no_further_when_the_page_has_gone(place: Place) -> None:
    program = (await place.page.post(UPLOAD, content=SQUARE)).json()["program"]["id"]
    place.driver.may.clear()
    wanted = json.dumps({"program": program}).encode()
    leaves, messages, sent = asyncio.Event(), [{"type": "http.request", "body": wanted}], list[Any]()

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    request = place.page.build_request("POST", "/api/machines/router/second-opinion", content=wanted)
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    headers.append((b"content-type", b"application/json"))
    scope = {"type": "http", "method": "POST", "path": request.url.path, "query_string": b"", "headers": headers}
    scope |= {"http_version": "1.1", "scheme": "http", "server": ("van", 80), "client": ("127.0.0.1", 1)}
    app: Any = create_app(place.lab)
    asked = asyncio.create_task(app(scope, receive, send))
    async with asyncio.timeout(10):
        await place.driver.reads.wait()
        assert not asked.done()
        leaves.set()
        await asked
    assert place.driver.given_up.is_set()
    assert sent[0]["status"] == 499
    # It is there for the next one at once.
    place.driver.may.set()
    answer = await place.page.post("/api/machines/router/second-opinion", json={"program": program})
    assert answer.status_code == 200


class Sender:
    """A body that is made as it is read."""

    def __init__(self) -> None:
        self.sent = 0

    async def body(self) -> AsyncIterator[bytes]:
        while self.sent < TWO_GB:
            self.sent += len(PIECE)
            yield PIECE


async def test_two_gigabytes_are_refused_before_they_are_read(place: Place) -> None:
    sender = Sender()
    declared = {"content-length": str(TWO_GB)}
    answer = await place.page.post(UPLOAD, content=sender.body(), headers=declared)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
    assert sender.sent <= DISCARDED + len(PIECE)


async def test_two_gigabytes_that_nobody_declared_are_refused_at_the_limit(place: Place) -> None:
    sender = Sender()
    answer = await place.page.post(UPLOAD, content=sender.body())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too-large")
    assert sender.sent <= UPLOAD_LIMIT + 2 * len(PIECE)
    assert (await place.page.post(UPLOAD, content=SQUARE)).status_code == 201


async def test_a_stranger_sends_nothing_that_is_kept(place: Place) -> None:
    assert (await place.stranger.post(UPLOAD, content=SQUARE)).status_code == 401


async def test_only_few_uploads_are_in_memory_at_a_time(place: Place) -> None:
    gate, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow() -> AsyncIterator[bytes]:
        yield SQUARE
        begun.release()
        await gate.wait()

    waiting = [asyncio.create_task(place.page.post(UPLOAD, content=slow())) for _ in range(2)]
    for _ in waiting:
        await begun.acquire()
    answer = await place.page.post(UPLOAD, content=SQUARE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
    gate.set()
    assert [(await task).status_code for task in waiting] == [201, 201]
    assert (await place.page.post(UPLOAD, content=SQUARE)).status_code == 201
