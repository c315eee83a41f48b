# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab whose disk is full: taps are refused in words, machines stop, what waits is sent, and then all goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.school import School, options, school_of
from tests.hardware_sim.lab.laboratory import Laboratory
from tests.hardware_sim.lab.people import Json, Office, until
from tests.hardware_sim.lab.processes import find
from tests.support.disk import fill

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(find("mosquitto") is None, reason="Mosquitto is not installed"),
]

SQUARE = b"G21 G90\nG0 Z5\nG0 X5 Y5\nM3 S8000\nG1 Z-0.5 F300\nG1 X85 F600\nG1 Y45\nG1 X5\nG1 Y5\nG0 Z5\nM5\nM30\n"


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 40 MB, empty."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    # Lazy, so that a test that failed with files open leaves no mount behind.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def tap_until_refused(school: School) -> tuple[str, Json]:
    """Check in until the disk refuses; return the session that was refused, and why."""
    for _ in range(5_000):
        session = school.page.session()
        body = {"kiosk": "k1", "session": session, "language": "lt"}
        answer = await school.page.client.post("/api/kiosk/sessions", json=body)
        if answer.status_code == 503:
            refusal: Json = answer.json()["error"]
            return session, refusal
        assert answer.status_code == 201, answer.text
        school.tally.sessions[school.visit] += 1
    raise AssertionError("the disk never filled up")


async def test_a_full_disk_refuses_taps_in_words_and_machines_still_stop(
    tmp_path_factory: pytest.TempPathFactory, small_disk: Path
) -> None:
    lab = Laboratory(
        options(tmp_path_factory.mktemp("full"), data_dir=small_disk, store_extra="reserve_mb = 0\nballast_mb = 8")
    )
    assert lab.broker is not None
    async with lab, school_of(lab) as school:
        await school.people(visitors=5, pupils=9)
        await school.require_exact()
        await school.operator.ready_router()
        taken = await school.operator.upload("square.nc", SQUARE)
        wanted = {"program": taken.json()["program"]["id"], "machine": "router"}
        job = (await school.operator.post("/api/jobs", wanted))["id"]
        await school.operator.post(f"/api/jobs/{job}/approve")
        await school.operator.post(f"/api/jobs/{job}/start", {"area_clear": True})
        await school.operator.until_machine("router", "it cuts", lambda m: (m["progress"] or 0) > 0.05)
        await lab.broker.kill()
        filler = await asyncio.to_thread(fill, small_disk)
        await school.operator.post("/api/machines/router/hold")
        await school.operator.until_machine("router", "it holds", lambda m: m["execution"] == "FEED_HOLD")
        session, refusal = await tap_until_refused(school)
        assert refusal["code"] == "disk"
        assert "the disk is full" in refusal["why"]
        assert "Nothing was counted." in refusal["remedy"]
        # More than the ballast and the log of the database give back for a moment.
        remark = b"(" + b"x" * 400 + b")\n"
        upload = await school.operator.upload("big.nc", b"G21 G90\nG1 X1 Y1 F500\n" + remark * 40_000)
        assert upload.status_code == 503, upload.text
        assert "disk" in upload.json()["error"]["why"] or "space" in upload.json()["error"]["why"]
        await school.operator.post("/api/machines/router/stop")
        await school.operator.until_machine("router", "it stands", lambda m: m["execution"] == "READY")
        assert (await lab.router_truth())["moving"] is False
        # What waits can still be sent: the ballast is room for that alone.
        await lab.broker.start()
        await school.until_sync("the backlog goes out", "drained")
        await asyncio.to_thread(os.remove, filler)
        ended = await school.operator.watch_job(job)
        assert (ended["state"], ended["reason"]) == ("ABORTED", "stopped by console")
        assert await school.page.tap(session) == 201
        school.tally.sessions[school.visit] += 1
        await school.people(visitors=5, pupils=2)
        await school.require_exact()
        async with Office(lab.office_url) as office:

            async def told() -> bool:
                return (await office.jobs())[job]["state"] == "ABORTED"

            await until("the office knows how the job ended", told)
        again = (await school.operator.post("/api/jobs", wanted))["id"]
        await school.operator.post(f"/api/jobs/{again}/approve")
        ended = await school.operator.run_job(again)
        assert (ended["state"], ended["reason"]) == ("FINISHED", "")


async def test_an_edge_starts_on_a_full_disk_and_can_send_what_it_has(
    tmp_path_factory: pytest.TempPathFactory, small_disk: Path
) -> None:
    lab = Laboratory(
        options(tmp_path_factory.mktemp("again"), data_dir=small_disk, store_extra="reserve_mb = 0\nballast_mb = 8")
    )
    assert lab.broker is not None
    async with lab, school_of(lab) as school:
        await school.require_exact()
        await lab.broker.kill()
        filler = await asyncio.to_thread(fill, small_disk)
        await tap_until_refused(school)
        await lab.edge.kill()
        await lab.edge.start()
        assert (await school.desk.snapshot())["visit"]["kiosk_sessions"] == school.tally.confirmed
        await lab.broker.start()
        await school.until_sync("the backlog goes out", "drained")
        await asyncio.to_thread(os.remove, filler)
        await school.people(visitors=5, pupils=2)
        await school.require_exact()
