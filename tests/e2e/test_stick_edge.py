# SPDX-License-Identifier: GPL-3.0-or-later
"""A van without a network, as people use it: sticks written at work, corrections, and at last the line as well."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.e2e.school import School, school_of, small_lab
from tests.e2e.test_exact_count import require_recount
from tests.hardware_sim.lab.laboratory import LAB_ID
from tests.hardware_sim.lab.people import Json, Office
from tests.hardware_sim.lab.processes import ROOT, find, python

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def school(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[School]:
    """A school in a lab whose broker does not run."""
    async with small_lab(tmp_path_factory.mktemp("lab"), broker=False) as lab, school_of(lab) as school:
        yield school


async def told(module: str, *words: object) -> list[str]:
    """Run a command to its good end; return the lines that it prints."""
    command = await asyncio.create_subprocess_exec(
        *python(module, *words), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await command.communicate()
    assert command.returncode == 0, output.decode()
    return output.decode().splitlines()


async def write_stick(school: School) -> Path:
    folder = school.lab.folder / "stick"
    folder.mkdir(exist_ok=True)
    return Path((await told("edge", "export", folder, "-c", school.lab.edge_config))[0])


async def shown(school: School) -> tuple[int, int]:
    async with Office(school.lab.office_url) as office:
        await sign_in(school, office)
        progress = await office.progress()
        return progress["ledger"], progress["sessions"]


async def sign_in(school: School, office: Office) -> None:
    if not school.lab.office_password:
        await school.lab.make_office_account("ona")
    await office.login("ona", school.lab.office_password)


async def test_a_stick_that_is_written_at_work_brings_what_was_confirmed(school: School) -> None:
    await school.people(visitors=12, pupils=20)
    writing = asyncio.create_task(write_stick(school))
    await school.people(visitors=6, pupils=3)
    await writing
    path = await write_stick(school)
    (key,) = await told("edge", "key", "-c", school.lab.edge_config)
    await told("office", "key", "trust", LAB_ID, key, "-c", school.lab.office_config)
    await told("office", "import", path, "-c", school.lab.office_config)
    assert await shown(school) == (23, 18)


async def test_a_stick_is_sent_by_a_page_and_once_more_is_no_harm(school: School) -> None:
    await school.people(visitors=4, pupils=2)
    content = (await write_stick(school)).read_bytes()
    async with Office(school.lab.office_url) as office:
        await sign_in(school, office)
        first: Json = (await office.client.post("/api/import", content=content)).json()
        again: Json = (await office.client.post("/api/import", content=content)).json()
    assert (first["lab"], first["new"], first["rejected"]) == (LAB_ID, again["new"] + first["new"], 0)
    assert (again["new"], again["duplicates"]) == (0, again["batches"])
    assert await shown(school) == (25, 22)


async def test_a_count_is_corrected_after_the_visit_at_the_van_and_in_the_office(school: School) -> None:
    await school.desk.close_visit(school.visit)
    (recent,) = await school.operator.get("/api/visits/recent")
    group = recent["entries"][0]["group"]
    order = {"entry": str(uuid.uuid4()), "group": group, "role": "pupil", "count": -1, "reason": "counted twice"}
    for _ in range(2):
        corrected = await school.operator.post(f"/api/visits/{school.visit}/corrections", order)
        assert corrected["people"]["pupil"] == 24
    path = await write_stick(school)
    async with Office(school.lab.office_url) as office:
        await sign_in(school, office)
        await office.client.post("/api/import", content=path.read_bytes())
        url = f"/api/visits/{LAB_ID}/{school.visit}"
        order = {"id": str(uuid.uuid4()), "group": group, "role": "pupil", "count": -2, "reason": "the school wrote"}
        for _ in range(2):
            answer: httpx.Response = await office.client.post(f"{url}/corrections", json=order)
            assert answer.status_code == 201, answer.text
        detail = await office.get(url)
        audit = await office.get("/api/audit")
    assert detail["people"]["pupil"] == 22
    taken = [(entry["count"], entry["by"], entry["who"]) for entry in detail["entries"] if entry["count"] < 0]
    assert taken == [(-1, "operator", None), (-2, "office", "ona")]
    assert [(row["what"], row["who"]) for row in audit["rows"]][:2] == [("correction", "ona"), ("import", "ona")]
    assert await shown(school) == (22, 22)


async def test_the_line_comes_back_and_everything_is_there_once(school: School) -> None:
    assert school.lab.broker is not None
    await school.page.serve(5, "", gap_s=0.01)
    await school.lab.broker.start()
    sync = await school.until_sync("the outbox is empty", "drained")
    assert sync["waiting_total"] == 0
    assert await shown(school) == (22, 27)
    async with Office(school.lab.office_url) as office:
        await sign_in(school, office)
        (lab,) = await office.get("/api/labs")
        quality = await office.get("/api/quality")
        keys = await office.get("/api/keys")
    assert (lab["gaps"], lab["alarms"], lab["doubts"]) == ([], [], [])
    assert (quality["quarantined"], quality["invalid"], quality["chain_alarms"]) == (0, 0, 0)
    assert [(key["lab"], key["said"]) for key in keys] == [(LAB_ID, None)]
    await require_recount(school.lab)
