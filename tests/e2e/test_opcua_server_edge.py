# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole edge with a simulated router, seen by umati clients over the lab's own OPC UA server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from edge.domain.machine import ControllerMode, Execution
from tests.hardware_sim.lab.laboratory import LAB_ID, Laboratory, Options
from tests.hardware_sim.lab.people import Operator, until
from tests.support.grbl import eventually
from tests.support.opcua import watched
from tests.support.opcua_server import START_S, Umati, umati

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

SQUARE = b"G21 G90\nG0 Z5\nG0 X5 Y5\nM3 S8000\nG1 Z-0.5 F300\nG1 X85 F600\nG1 Y45\nG1 X5\nG1 Y5\nG0 Z5\nM5\nM30\n"
OWN = f"urn:infomobil:{LAB_ID}"
CHANNEL = "router/Monitoring/Channel/ChannelState"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    lab = Laboratory(
        Options(tmp_path_factory.mktemp("lab"), speed=10, with_lathe=False, server_port=0, server_niceness=0)
    )
    await lab.router.start()
    await asyncio.to_thread(lab.prepare_router)
    await lab.edge.start()
    yield lab
    await lab.edge.stop()
    await lab.router.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def operator(lab: Laboratory) -> AsyncIterator[Operator]:
    if not lab.edge.running:
        await lab.edge.start()
    lab.tell_router("door closed")
    async with Operator(lab.console_url) as person:
        await person.login(lab.pin)
        await until("the OPC UA server listens", lambda: listening(person), seconds=START_S)
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def client(lab: Laboratory, operator: Operator) -> AsyncIterator[Umati]:
    async with umati(lab.server_endpoint, own=OWN) as client:
        yield client


async def status(person: Operator) -> dict[str, Any]:
    found: dict[str, Any] = (await person.get("/api/snapshot"))["opcua_server"]
    return found


async def listening(person: Operator) -> bool:
    return bool((await status(person))["listening"])


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def server_of(lab: Laboratory) -> int | None:
    """Return the id of the server's process, a child of the edge, None while there is none."""
    for pid in children_of(lab.edge.pid):
        if b"edge.opcua_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def process_of(lab: Laboratory) -> int:
    """Return the id of the server's process, which is there."""
    pid = server_of(lab)
    assert pid is not None
    return pid


def has_ended(pid: int) -> bool:
    """Return whether a process is gone, or waits to be buried by whoever took it over."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


async def test_a_cut_is_seen_from_its_start_to_its_end(lab: Laboratory, operator: Operator, client: Umati) -> None:
    await client.subscribe(CHANNEL, "router/Production/ActiveProgram/Name")
    await operator.ready_router()
    await operator.until_machine("router", "a start is permitted", lambda m: not m["refusals"]["start"])
    program = (await operator.upload("square.nc", SQUARE)).json()["program"]["id"]
    job = await operator.post("/api/jobs", {"program": program, "machine": "router"})
    await operator.post(f"/api/jobs/{job['id']}/approve")
    await operator.post(f"/api/jobs/{job['id']}/start", {"area_clear": True})
    await client.until("router/Production/ActiveProgram/JobIdentifier", str(job["claim"]))
    await client.until(CHANNEL, 0)
    assert (await operator.watch_job(job["id"]))["state"] == "FINISHED"
    await client.until(CHANNEL, 2)
    assert ("router/Production/ActiveProgram/Name", program, "Good") in client.changes
    assert (CHANNEL, 0, "Good") in client.changes


async def test_an_opened_door_is_an_alarm(lab: Laboratory, operator: Operator, client: Umati) -> None:
    await operator.ready_router()
    await client.subscribe(alarms_of="router")
    lab.tell_router("door open")
    await eventually(lambda: any(one.ErrorCode == "interlock" for one in client.events), "the alarm arrives")
    assert "Staklių durelės" in next(one.Message.Text for one in client.events if one.ErrorCode == "interlock")
    state = "router/MachineryBuildingBlocks/MachineryItemState/CurrentState"
    async with asyncio.timeout(20):
        while (await client.value(state)).Text != "OutOfService":
            await asyncio.sleep(0.02)
    lab.tell_router("door closed")
    await operator.ready_router()
    await eventually(lambda: client.events[-1].Retain is False, "the alarm goes with a person's reset")


async def test_the_labs_own_driver_reads_the_labs_own_server(lab: Laboratory, operator: Operator) -> None:
    async with watched(lab.server_endpoint, machine="router", security="none") as machine:
        await machine.until_available()
        await machine.until(lambda state: state.execution is Execution.READY, "the router stands")
        await machine.until(lambda state: state.mode is ControllerMode.MANUAL, "and waits for a person")


async def test_the_console_counts_the_clients(lab: Laboratory, operator: Operator) -> None:
    async with umati(lab.server_endpoint, own=OWN):
        await until("one client", lambda: clients(operator, 1))
    await until("no client", lambda: clients(operator, 0))
    found = await status(operator)
    assert (found["endpoint"], found["error"]) == (lab.server_endpoint, "")


async def clients(person: Operator, wanted: int) -> bool:
    return bool((await status(person))["clients"] == wanted)


async def test_a_server_that_is_killed_comes_back(lab: Laboratory, operator: Operator) -> None:
    first = process_of(lab)
    os.kill(first, signal.SIGKILL)
    await until("it is missed", lambda: missed(operator))
    await until("it listens again", lambda: listening(operator), seconds=START_S)
    assert process_of(lab) != first
    async with umati(lab.server_endpoint, own=OWN) as client:
        await client.until(CHANNEL, 2)
    assert (await operator.machine("router"))["availability"] == "AVAILABLE"


async def missed(person: Operator) -> bool:
    found = await status(person)
    return not found["listening"] and bool(found["error"])


async def test_an_edge_that_hangs_leaves_no_old_value_behind(lab: Laboratory, operator: Operator) -> None:
    async with umati(lab.server_endpoint, own=OWN) as client:
        await client.until(CHANNEL, 2)
        lab.edge.signal(signal.SIGSTOP)
        try:
            await client.until_code(CHANNEL, "BadNoCommunication")
        finally:
            lab.edge.signal(signal.SIGCONT)
        await client.until(CHANNEL, 2)


async def test_it_ends_with_an_edge_that_is_killed(lab: Laboratory, operator: Operator) -> None:
    pid = process_of(lab)
    await lab.edge.kill()
    await eventually(lambda: has_ended(pid), "the server ends")


async def test_it_ends_with_an_edge_that_is_stopped(lab: Laboratory) -> None:
    """Not even a server that is still starting stays behind."""
    await lab.edge.start()
    await eventually(lambda: server_of(lab), "the server has a process")
    pid = process_of(lab)
    await lab.edge.stop()
    assert has_ended(pid)
