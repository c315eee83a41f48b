# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's endpoints for program files, loads and the start of what was loaded, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from edge.api.access import COOKIE
from edge.api.app import create_app
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Availability, Execution, MachineState
from edge.domain.transfer import MAX_BYTES
from edge.services.bus import EventBus
from edge.services.lab import Lab
from edge.services.observation import Observation
from edge.services.operators import OperatorDesk
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.transfer import ProgramTransfer
from edge.store.machine_files import MachineFiles
from tests.support.bare_lab import bare_lab
from tests.support.fakes import FakeClock, FakeReceiver, MemoryStore

RULE = InputRule("door", "Door", "opcua:lathe/door", 10**12, "Close the door.")
CONTENT = b"N10 G0 X100\nN20 M30\n"
FILE = "/api/machines/lathe/files/SHAFT.MPF"


class AnyPin:
    """A PIN that takes everything."""

    def matches(self, pin: str) -> bool:
        return bool(pin)


@dataclass
class Console:
    lab: Lab
    clock: FakeClock
    driver: FakeReceiver
    supervisor: MachineSupervisor
    people: httpx.AsyncClient

    async def permit(self) -> None:
        self.driver.ready()
        self.supervisor.on_input(InputSample("door", healthy=True, taken_ns=self.clock.boot_ns(), source="opcua"))
        await self.supervisor.reset()

    async def machine(self) -> dict[str, Any]:
        shown = (await self.people.get("/api/snapshot")).json()
        machine: dict[str, Any] = shown["machines"][0]
        return machine

    async def until_step(self, step: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                transfer: dict[str, Any] = (await self.machine())["transfer"]
                if transfer["step"] == step:
                    return transfer
                await asyncio.sleep(0.005)


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    clock, store, bus = FakeClock(), MemoryStore(), EventBus()
    driver = FakeReceiver(clock)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=None)
    files = MachineFiles(tmp_path / "machine-files")
    transfer = ProgramTransfer(supervisor, files, recorder, bus)
    machines = {"lathe": supervisor}
    observation = Observation(machines, store=store, recorder=recorder, bus=bus, clock=clock)
    desk = OperatorDesk(AnyPin(), clock)
    nothing: Any = SimpleNamespace(
        running_on=lambda _: None, jobs=list, entries=list, record=None, needed=False, lines=dict, left_out=()
    )
    lab = bare_lab(
        machines, desk, bus, transfers={"lathe": transfer}, files=files, observation=observation, nothing=nothing
    )
    tasks = [asyncio.create_task(part.run()) for part in (recorder, supervisor, transfer, observation)]
    await asyncio.sleep(0)
    driver.ready()
    wire = httpx.ASGITransport(app=create_app(lab))
    cookies = {COOKIE: await desk.login("123456")}
    async with httpx.AsyncClient(transport=wire, base_url="http://lab", cookies=cookies) as people:
        yield Console(lab, clock, driver, supervisor, people)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_file_is_put_listed_and_removed(console: Console) -> None:
    put = await console.people.put(FILE, content=CONTENT)
    assert put.status_code == 201, put.text
    assert put.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (await console.people.get("/api/machines/lathe/files")).json() == [put.json()]
    assert set(put.json()) == {"name", "size", "sha256", "kept"}
    assert console.driver.loaded == []
    assert (await console.people.delete(FILE)).json() == {"done": True}
    assert (await console.people.get("/api/machines/lathe/files")).json() == []
    assert (await console.people.delete(FILE)).status_code == 404


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 1 << 20):
        yield bytes(1 << 20)


async def test_sixteen_megabytes_are_taken_and_one_more_is_not(console: Console) -> None:
    assert (await console.people.put(FILE, content=pieces(MAX_BYTES))).status_code == 201
    assert (await console.people.put(FILE, content=bytes(MAX_BYTES + 1))).status_code == 413
    assert (await console.people.put(FILE, content=pieces(MAX_BYTES + 1))).status_code == 413
    assert [file["size"] for file in (await console.people.get("/api/machines/lathe/files")).json()] == [MAX_BYTES]


@pytest.mark.parametrize("name", ["a%20b", "%C4%85.mpf", ".hidden", "a" * 65, "..%5Cpin"])
async def test_a_name_that_no_control_takes_is_422(console: Console, name: str) -> None:
    answer = await console.people.put(f"/api/machines/lathe/files/{name}", content=b"x")
    assert answer.status_code == 422
    assert "is not taken" in answer.json()["error"]["why"]


@pytest.mark.parametrize("name", ["..%2F..%2Fpin", "%2Fetc%2Fpasswd"])
async def test_no_path_leads_out_of_the_shelf(console: Console, name: str) -> None:
    assert (await console.people.put(f"/api/machines/lathe/files/{name}", content=b"x")).status_code in (404, 405)


CALLS = [
    ("GET", "/api/machines/lathe/files"),
    ("PUT", FILE),
    ("DELETE", FILE),
    ("POST", "/api/machines/lathe/load"),
    ("POST", "/api/machines/lathe/load/cancel"),
    ("POST", "/api/machines/lathe/start-loaded"),
]
BODIES = {"/load": {"file": "SHAFT.MPF"}, "/start-loaded": {"area_clear": True}}


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_everything_needs_the_operator_and_a_known_machine(console: Console, method: str, path: str) -> None:
    body = next((body for end, body in BODIES.items() if path.endswith(end)), None)
    unknown = await console.people.request(method, path.replace("lathe", "mill"), json=body)
    assert unknown.status_code == 404
    console.people.cookies.clear()
    assert (await console.people.request(method, path, json=body)).status_code == 401
    assert console.driver.loaded == []


async def test_a_file_is_loaded_with_its_progress_and_started_by_a_person(console: Console) -> None:
    await console.permit()
    await console.people.put(FILE, content=CONTENT)
    console.driver.gate.clear()
    begun = await console.people.post("/api/machines/lathe/load", json={"file": "SHAFT.MPF"})
    assert begun.status_code == 202, begun.text
    uploading = begun.json()["transfer"]
    assert (uploading["file"], uploading["size"], uploading["step"]) == ("SHAFT.MPF", 20, "UPLOADING")
    again = await console.people.post("/api/machines/lathe/load", json={"file": "SHAFT.MPF"})
    assert again.status_code == 409
    assert [reason["permissive"] for reason in again.json()["error"]["reasons"]] == ["idle"]
    assert [reason["permissive"] for reason in (await console.machine())["refusals"]["load"]] == ["idle"]
    console.driver.gate.set()
    loaded = await console.until_step("LOADED")
    assert loaded == {
        "file": "SHAFT.MPF",
        "size": 20,
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "step": "LOADED",
        "done": 20,
        "selected": True,
        "startable": True,
        "reason": "",
    }
    unclear = await console.people.post("/api/machines/lathe/start-loaded", json={"area_clear": False})
    assert (unclear.status_code, console.driver.wire) == (409, [])
    started = asyncio.create_task(
        console.people.post("/api/machines/lathe/start-loaded", json={"area_clear": True}), name="start"
    )
    while "started" not in console.driver.wire:
        await asyncio.sleep(0.001)
    console.driver.show(execution=Execution.ACTIVE)
    assert (await started).status_code == 200
    assert (await console.machine())["transfer"]["startable"] is False


async def test_a_start_without_permission_names_all_reasons(console: Console) -> None:
    answer = await console.people.post("/api/machines/lathe/start-loaded", json={"area_clear": True})
    assert answer.status_code == 409
    assert [reason["permissive"] for reason in answer.json()["error"]["reasons"]] == ["input.door"]
    shown = await console.machine()
    assert [reason["permissive"] for reason in shown["refusals"]["start_loaded"]] == ["input.door"]
    assert shown["refusals"]["load"] == []


async def test_a_load_is_cancelled(console: Console) -> None:
    assert (await console.people.post("/api/machines/lathe/load/cancel")).status_code == 409
    await console.people.put(FILE, content=CONTENT)
    console.driver.gate.clear()
    await console.people.post("/api/machines/lathe/load", json={"file": "SHAFT.MPF"})
    cancelled = await console.people.post("/api/machines/lathe/load/cancel")
    transfer = cancelled.json()["transfer"]
    assert (transfer["step"], transfer["selected"], transfer["reason"]) == ("FAILED", False, "it was cancelled")


async def test_a_file_that_is_not_there_is_not_loaded(console: Console) -> None:
    answer = await console.people.post("/api/machines/lathe/load", json={"file": "OTHER.MPF"})
    assert answer.status_code == 404
    assert (await console.machine())["transfer"] is None


async def test_the_machines_clock_and_the_last_gap_are_shown(console: Console) -> None:
    machine = await console.machine()
    assert (machine["source_time"], machine["clock_off_s"], machine["last_gap"]) == (None, None, None)
    far = 4_000_000_000_000_000_000
    console.driver.show(part_count=5, source_ns=far)
    console.driver.show(part_count=6, source_ns=far + 1_000_000_000)
    machine = await console.machine()
    assert machine["source_time"] == "2096-10-02T07:06:41+00:00"
    assert machine["clock_off_s"] == round((far + 1_000_000_000 - console.clock.wall_ns()) / 1e9, 1)
    kept = console.driver.state()
    console.driver._state = MachineState(fault_reason="silent")
    console.driver.show()
    console.clock.pass_s(3)
    console.driver._state = replace(kept, part_count=8)
    console.driver.show(availability=Availability.AVAILABLE)
    gap = (await console.machine())["last_gap"]
    assert (gap["seconds"], gap["parts"], gap["reason"]) == (3.0, 2, "silent")
    assert gap["ended"].endswith("+00:00")


@pytest.mark.parametrize("source_ns", [-(2**63), 2**63 - 1])
async def test_a_time_that_no_calendar_has_is_left_out(console: Console, source_ns: int) -> None:
    console.driver.show(source_ns=source_ns)
    assert (await console.people.get("/api/snapshot")).status_code == 200


async def test_the_labs_own_server_is_shown_to_the_operator(console: Console) -> None:
    shown = (await console.people.get("/api/snapshot")).json()
    assert shown["opcua_server"] is None
    status = SimpleNamespace(endpoint="opc.tcp://van:4840", listening=True, clients=2, error="")
    server: Any = SimpleNamespace(status=lambda: status)
    served = replace(console.lab, opcua_server=server)
    wire = httpx.ASGITransport(app=create_app(served))
    async with httpx.AsyncClient(transport=wire, base_url="http://lab", cookies=console.people.cookies) as people:
        shown = (await people.get("/api/snapshot")).json()
        assert shown["opcua_server"] == vars(status)
        people.cookies.clear()
        assert (await people.get("/api/snapshot")).json()["opcua_server"] is None
