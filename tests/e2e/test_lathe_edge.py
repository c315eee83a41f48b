# SPDX-License-Identifier: GPL-3.0-or-later
"""A lathe that keeps programs, behind the whole service: what it made is at the office once, whatever went away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.hardware_sim.lab.laboratory import SHAFT, SHAFT_PROGRAM, Laboratory, Options
from tests.hardware_sim.lab.people import Json, Office, Operator, until
from tests.hardware_sim.lab.processes import find

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    async with Laboratory(Options(tmp_path_factory.mktemp("lab"), speed=20)) as running:
        yield running
        await running.edge.stop()
        for part in (running.edge, running.office):
            assert "Traceback" not in part.tail(100_000), part.tail(60)


@pytest_asyncio.fixture(loop_scope="module")
async def operator(lab: Laboratory) -> AsyncIterator[Operator]:
    async with Operator(lab.console_url) as person:
        await person.login(lab.pin)
        yield person


async def until_told(lab: Laboratory, operator: Operator) -> Json:
    """Let the lathe stand until its last part is at the office; return what the office knows of it, and the truth."""
    lab.tell_lathe("stop")
    truth = await lab.lathe_truth()
    await operator.until_machine("lathe", "the last part is seen", lambda m: m["part_count"] == truth["parts"])

    async with Office(lab.office_url) as office:

        async def told() -> Json | None:
            sync = (await operator.get("/api/snapshot"))["sync"]
            rows = [row for row in await office.get("/api/machines") if row["machine"] == "lathe"]
            if not sync["connected"] or sync["waiting"]["jobs"] or not rows:
                return None
            first: Json = {**rows[0], "truth": truth["parts"]}
            return first

        before: Any = None
        # A fact may still be on its way to the disk: what is told twice with a pause between is all.
        while (found := await until("the office hears of it", told)) != before:
            before = found
            await asyncio.sleep(1.5)
    return dict(found)


async def make_parts(lab: Laboratory, operator: Operator, count: int) -> None:
    lab.tell_lathe("start")
    wanted = (await lab.lathe_truth())["parts"] + count
    await operator.until_machine("lathe", "parts are made", lambda m: (m["part_count"] or 0) >= wanted)


async def test_each_part_is_at_the_office_once_over_a_kill_and_a_silent_link(
    lab: Laboratory, operator: Operator
) -> None:
    await operator.until_machine("lathe", "the lathe answers", lambda m: m["part_count"] is not None)
    await make_parts(lab, operator, 1)
    first = await until_told(lab, operator)

    await make_parts(lab, operator, 2)
    await lab.edge.kill()
    killed_at = (await lab.lathe_truth())["parts"]

    async def made() -> bool:
        return bool((await lab.lathe_truth())["parts"] >= killed_at + 2)

    await until("parts are made that nobody sees", made)
    await lab.edge.start()
    await operator.login(lab.pin)
    await operator.until_machine("lathe", "the lathe answers", lambda m: m["part_count"] is not None)
    machine = await operator.machine("lathe")
    assert machine["last_gap"]["reason"] == "the service was not running"
    assert machine["last_gap"]["parts"] >= 2
    assert machine["last_gap"]["seconds"] > 0

    await make_parts(lab, operator, 1)
    lab.tell_lathe("silence")
    await operator.until_machine("lathe", "the lathe is lost", lambda m: m["availability"] == "UNAVAILABLE")
    lab.tell_lathe("talk")
    await operator.until_machine("lathe", "the lathe is back", lambda m: m["availability"] == "AVAILABLE")
    await make_parts(lab, operator, 1)

    last = await until_told(lab, operator)
    assert last["parts"] - first["parts"] == last["truth"] - first["truth"]
    assert last["gaps"] - first["gaps"] == 2
    assert last["unseen"] - first["unseen"] >= 2
    assert last["doubtful"] == 0
    assert last["gap_s"] > 0


async def test_a_program_is_loaded_while_the_lathe_stands_only(lab: Laboratory, operator: Operator) -> None:
    lab.tell_lathe("start")
    machine = await operator.until_machine("lathe", "the lathe turns", lambda m: m["execution"] == "ACTIVE")
    assert [reason["permissive"] for reason in machine["refusals"]["load"]] == ["idle"]
    refused = await operator.client.post("/api/machines/lathe/load", json={"file": SHAFT})
    assert refused.status_code == 409
    lab.tell_lathe("stop")
    await operator.until_machine("lathe", "the lathe stands", lambda m: not m["refusals"]["load"])
    await operator.post("/api/machines/lathe/load", {"file": SHAFT}, expect=202)
    over = ("LOADED", "FAILED")
    machine = await operator.until_machine("lathe", "the load ends", lambda m: m["transfer"]["step"] in over)
    assert (machine["transfer"]["step"], machine["transfer"]["startable"]) == ("LOADED", False)
    (kept,) = (await lab.lathe_truth())["files"]
    assert kept["sha256"] == hashlib.sha256(SHAFT_PROGRAM).hexdigest()
    refused = await operator.client.post("/api/machines/lathe/start-loaded", json={"area_clear": True})
    assert refused.status_code == 409
    assert (await operator.machine("lathe"))["execution"] != "ACTIVE"


async def test_sixteen_megabytes_arrive_whole(lab: Laboratory, operator: Operator) -> None:
    data = bytes(range(256)) * 65_536
    put = await operator.client.put("/api/machines/lathe/files/LARGE.MPF", content=data)
    assert put.status_code == 201
    await operator.until_machine("lathe", "the lathe stands", lambda m: not m["refusals"]["load"])
    await operator.post("/api/machines/lathe/load", {"file": "LARGE.MPF"}, expect=202)
    over = ("LOADED", "FAILED")
    machine = await operator.until_machine(
        "lathe", "the load ends", lambda m: m["transfer"]["file"] == "LARGE.MPF" and m["transfer"]["step"] in over
    )
    assert (machine["transfer"]["step"], machine["transfer"]["reason"]) == ("LOADED", "")
    kept = {file["name"].lstrip("/"): file["sha256"] for file in (await lab.lathe_truth())["files"]}
    assert kept["LARGE.MPF"] == hashlib.sha256(data).hexdigest()


async def test_the_service_ends_in_the_middle_of_a_load_and_says_so_afterwards(
    lab: Laboratory, operator: Operator
) -> None:
    lab.tell_lathe("slow 200")
    await operator.post("/api/machines/lathe/load", {"file": "LARGE.MPF"}, expect=202)
    async with Office(lab.office_url) as office:
        before = (await office.get("/api/machines"))[0]["loads_failed"]
        await lab.edge.stop()
        assert not lab.edge.running
        lab.tell_lathe("slow 0")
        await lab.edge.start()

        async def told() -> bool:
            return bool((await office.get("/api/machines"))[0]["loads_failed"] == before + 1)

        await until("the office hears of the load that failed", told)
