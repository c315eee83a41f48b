# SPDX-License-Identifier: GPL-3.0-or-later
"""A job is neither taken, approved nor started once its program differs by one byte; uploads are the operator's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import httpx
import pytest

from edge.api.access import COOKIE
from edge.api.app import create_app as create_console
from edge.domain.errors import NotFound, ProgramRejected, Refused
from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import JobState
from edge.kiosk.app import create_app as create_kiosk
from edge.services.bus import EventBus, LiveView, ProgramsChanged
from edge.services.jobs import JobService
from edge.services.lab import Lab
from edge.services.operators import OperatorDesk
from edge.services.programs import ProgramCatalog, Wish
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.visits import VisitCounter
from edge.store.library import PieceLibrary
from edge.store.shelf import ProgramShelf
from tests.support.bare_lab import bare_lab
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryJournal, MemoryStore
from tests.support.library import KEY, add_piece, flip, sign

P = ParamSpec("P")
T = TypeVar("T")
RULE = InputRule("door", "Door", "controller", 10**12, "Close the door.")
SQUARE = b"G21 G90\nG0 Z5\nM3 S8000\nG1 Z-0.5 F300\nG1 X20 F800\nG1 Y20\nM5\nM30\n"
CHANGED = "program.nc was changed after the piece was approved."
VISIT = {"school": "Mokykla", "municipality": "Kretinga", "date": "2026-11-23", "group": "8a", "expected": 25}


async def here(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return function(*args, **kwargs)


class AnyPin:
    def matches(self, pin: str) -> bool:
        return bool(pin)


@dataclass
class Shop:
    folder: Path
    driver: FakeDriver
    supervisor: MachineSupervisor
    catalog: ProgramCatalog
    jobs: JobService
    bus: EventBus
    lab: Lab
    console: httpx.AsyncClient
    kiosk: httpx.AsyncClient

    @property
    def program(self) -> Path:
        return self.folder / "pieces" / "wheel" / "program.nc"

    async def upload(self) -> str:
        state = self.supervisor
        entry, _ = await self.catalog.upload("square.nc", SQUARE, state.info, state.state.work_offset)
        assert entry is not None
        return entry.program_id


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock, store, bus = FakeClock(), MemoryStore(), EventBus()
    driver = FakeDriver(clock)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=FakeGuardian())
    add_piece(tmp_path / "pieces")
    add_piece(tmp_path / "pieces", "badge", of="name-tag")
    library = PieceLibrary(tmp_path / "pieces", [KEY])
    catalog = ProgramCatalog(library.pieces, ProgramShelf(tmp_path / "uploads"), here, bus, library=library)
    visits = VisitCounter(store, recorder, bus, clock)
    jobs = JobService(
        {"router": supervisor},
        catalog,
        store=store,
        journal=MemoryJournal(),
        recorder=recorder,
        bus=bus,
        clock=clock,
        visit_id=lambda: "visit",
    )
    desk = OperatorDesk(AnyPin(), clock)
    nothing: Any = SimpleNamespace(lines=dict, needed=False, last_gap=lambda _: None, clock_off_s=lambda _: None)
    nothing.transfer = None
    lab = bare_lab(
        {"router": supervisor},
        desk,
        bus,
        jobs=jobs,
        programs=catalog,
        visits=visits,
        transfers={"router": nothing},
        nothing=nothing,
    )
    task = asyncio.create_task(jobs.run())
    driver.ready()
    supervisor.on_input(InputSample("door", True, clock.boot_ns(), "controller"))
    await supervisor.reset()
    await asyncio.sleep(0)
    cookies = {COOKIE: await desk.login("123456")}
    transport = httpx.ASGITransport
    async with (
        httpx.AsyncClient(transport=transport(create_console(lab)), base_url="http://lab", cookies=cookies) as console,
        httpx.AsyncClient(transport=transport(create_kiosk(lab)), base_url="http://kiosk") as kiosk,
    ):
        await console.post("/api/visits", json={**VISIT, "language": "lt"})
        yield Shop(tmp_path, driver, supervisor, catalog, jobs, bus, lab, console, kiosk)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_wish_for_a_changed_piece_is_refused_and_the_piece_is_offered_no_longer(shop: Shop) -> None:
    flip(shop.program)
    session = str(uuid4())
    checked_in = await shop.kiosk.post(
        "/api/kiosk/sessions", json={"kiosk": "k1", "session": session, "language": "lt"}
    )
    assert checked_in.status_code == 201
    wish = {"kiosk": "k1", "session": session, "piece": "wheel", "guess_s": 60}
    refused = await shop.kiosk.post("/api/kiosk/requests", json=wish)
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert (error["code"], error["why"]) == ("piece-changed", CHANGED)
    assert shop.jobs.jobs() == []
    assert [piece["id"] for piece in (await shop.kiosk.get("/api/kiosk/pieces")).json()] == ["badge"]
    shown = (await shop.console.get("/api/snapshot")).json()["left_out"]
    assert shown == [{"piece": "wheel", "flaw": "changed", "file": "program.nc", "why": CHANGED}]
    flip(shop.program)
    assert (await shop.kiosk.post("/api/kiosk/requests", json=wish)).status_code == 201
    assert (await shop.console.get("/api/snapshot")).json()["left_out"] == []


async def test_a_job_whose_piece_was_changed_is_not_approved(shop: Shop) -> None:
    job = await shop.jobs.request("wheel", Wish(), guess_s=60)
    heard = LiveView(shop.bus)
    flip(shop.program)
    refused = await shop.console.post(f"/api/jobs/{job.job_id}/approve")
    assert (refused.status_code, refused.json()["error"]["why"]) == (409, CHANGED)
    assert shop.jobs.job(job.job_id).state is JobState.REQUESTED
    assert ProgramsChanged() in await heard.take(1)
    heard.close()
    flip(shop.program)
    assert (await shop.console.post(f"/api/jobs/{job.job_id}/approve")).status_code == 200


async def test_a_job_whose_piece_was_changed_after_its_approval_does_not_start(shop: Shop) -> None:
    job = await shop.jobs.request("wheel", Wish(), guess_s=60)
    await shop.jobs.approve(job.job_id)
    (shop.program.parent / "more.nc").touch()
    refused = await shop.console.post(f"/api/jobs/{job.job_id}/start", json={"area_clear": True})
    assert refused.status_code == 409
    assert refused.json()["error"]["why"] == "more.nc was added after the piece was approved."
    assert shop.jobs.job(job.job_id).state is JobState.APPROVED
    assert "start" not in shop.driver.wire
    (shop.program.parent / "more.nc").unlink()
    assert (await shop.jobs.start(job.job_id, area_clear=True)).state is JobState.RUNNING


async def test_a_text_of_the_visitors_own_needs_the_piece_as_it_was_approved_too(shop: Shop) -> None:
    job = await shop.jobs.request("badge", Wish(text="ADA"), guess_s=60)
    await shop.jobs.approve(job.job_id)
    flip(shop.folder / "pieces" / "badge" / "piece.toml")
    with pytest.raises(Refused, match=r"piece\.toml was changed"):
        await shop.jobs.start(job.job_id, area_clear=True)
    with pytest.raises(Refused, match=r"piece\.toml was changed"):
        await shop.jobs.request("badge", Wish(text="BOB"), guess_s=60)


async def test_another_version_is_told_apart_from_a_changed_one(shop: Shop) -> None:
    shop.program.write_bytes(SQUARE)
    sign(shop.program.parent)
    refused = await shop.console.post("/api/jobs", json={"program": "wheel", "machine": "router"})
    assert refused.json()["error"]["code"] == "piece-newer"


async def test_an_upload_that_was_changed_is_neither_approved_nor_started(shop: Shop) -> None:
    program = await shop.upload()
    path = shop.folder / "uploads" / f"{program}.nc"
    first, second = [await shop.jobs.add(program, "router") for _ in range(2)]
    await shop.jobs.approve(second.job_id)
    flip(path, 20)
    with pytest.raises(ProgramRejected, match="the file was changed after it had been checked"):
        await shop.jobs.approve(first.job_id)
    with pytest.raises(ProgramRejected, match="the file was changed after it had been checked"):
        await shop.jobs.start(second.job_id, area_clear=True)
    assert "start" not in shop.driver.wire
    flip(path, 20)
    assert (await shop.jobs.start(second.job_id, area_clear=True)).state is JobState.RUNNING


async def test_an_upload_is_unknown_at_the_kiosk(shop: Shop) -> None:
    program = await shop.upload()
    session = str(uuid4())
    await shop.kiosk.post("/api/kiosk/sessions", json={"kiosk": "k1", "session": session, "language": "lt"})
    wish = {"kiosk": "k1", "session": session, "piece": program, "guess_s": 60}
    assert (await shop.kiosk.post("/api/kiosk/requests", json=wish)).status_code == 404
    for part in ("path", "scene", "stock"):
        assert (await shop.kiosk.get(f"/api/kiosk/pieces/{program}/{part}")).status_code == 404
    assert program not in (await shop.kiosk.get("/api/kiosk/pieces")).text
    assert shop.jobs.jobs() == []


async def test_only_the_operators_session_queues_approves_and_starts_an_upload(shop: Shop) -> None:
    program = await shop.upload()
    wanted = {"program": program, "machine": "router"}
    added = await shop.console.post("/api/jobs", json=wanted)
    assert added.status_code == 201
    job = added.json()
    assert (job["origin"], job["program"], job["title"]) == ("operator", program, {"": "square.nc"})
    listed = {item["id"]: item["origin"] for item in (await shop.console.get("/api/programs")).json()}
    assert listed == {"badge": "library", "wheel": "library", program: "upload"}
    cookies = dict(shop.console.cookies)
    shop.console.cookies.clear()
    for url, body in (
        ("/api/jobs", wanted),
        (f"/api/jobs/{job['id']}/approve", None),
        (f"/api/jobs/{job['id']}/start", {"area_clear": True}),
        ("/api/programs?name=x.nc&machine=router", None),
    ):
        assert (await shop.console.post(url, json=body)).status_code == 401, url
    assert (await shop.console.get("/api/snapshot")).json()["left_out"] == []
    shop.console.cookies.update(cookies)
    assert (await shop.console.post(f"/api/jobs/{job['id']}/approve")).status_code == 200
    started = await shop.console.post(f"/api/jobs/{job['id']}/start", json={"area_clear": True})
    assert started.json()["state"] == "RUNNING"


async def test_a_job_whose_piece_is_here_no_longer_is_still_shown(shop: Shop) -> None:
    job = await shop.jobs.request("wheel", Wish(), guess_s=60)
    for shelf in (shop.catalog.pieces, shop.catalog._library):
        shelf.pop("wheel")
    shown = (await shop.console.get("/api/snapshot")).json()["jobs"]
    assert [item["title"] for item in shown] == [{"": "wheel"}]
    assert (await shop.console.post(f"/api/jobs/{job.job_id}/approve")).status_code == 404


async def test_a_job_whose_piece_is_left_out_since_a_restart_is_told_why(shop: Shop) -> None:
    job = await shop.jobs.request("badge", Wish(text="ADA"), guess_s=60)
    flip(shop.program.parent.parent / "badge" / "program.nc")
    library = PieceLibrary(shop.program.parent.parent, [KEY])
    shop.catalog.pieces, shop.catalog._approved = dict(library.pieces), library
    assert "badge" not in shop.catalog.pieces
    refused = await shop.console.post(f"/api/jobs/{job.job_id}/approve")
    assert (refused.status_code, refused.json()["error"]["why"]) == (409, CHANGED)
    with pytest.raises(Refused, match=r"program\.nc was changed"):
        await shop.jobs.add("badge", "router")
    with pytest.raises(NotFound):
        await shop.jobs.add("nothing", "router")


async def test_a_piece_goes_to_no_machine_that_it_is_not_made_for(shop: Shop) -> None:
    shop.driver._info = replace(shop.driver.info(), kind="laser")
    with pytest.raises(Refused, match="No machine is connected that could cut it"):
        await shop.jobs.request("wheel", Wish(), guess_s=60)
    with pytest.raises(Refused, match="made for another kind of machine than Router"):
        await shop.jobs.add("wheel", "router")
    program = await shop.upload()
    assert (await shop.jobs.add(program, "router")).program_id == program
    assert shop.lab.standing()[0].machine_id == "router"
    assert shop.lab.standing(kinds=("router", "mill"))[0].machine_id != "router"
    drawn = (await shop.kiosk.get("/api/kiosk/pieces/wheel/path")).json()
    assert drawn["seconds"][-1] > 0
