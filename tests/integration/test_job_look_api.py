# SPDX-License-Identifier: GPL-3.0-or-later
"""What is cut for a job, over HTTP: its path, what it leaves and its check, also where a visitor's text makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.domain.machine import Position
from edge.services.preparing import Wish
from tests.support.picture_lab import Place, picture_lab

PARTS = ("scene", "stock?cells=128", "check")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with picture_lab(tmp_path) as made:
        yield made


async def wished(place: Place, text: str, piece: str = "name-tag") -> str:
    """Return the id of a job for a visitor's wish."""
    job = await place.lab.jobs.request(piece, Wish(text), guess_s=None)
    place.made.clear()
    return job.job_id


async def test_own_words_draw_another_path_than_the_program_of_the_list(place: Place) -> None:
    job = await wished(place, "Jonas")
    own, listed = [await place.get(f"/api/{path}/scene") for path in (f"jobs/{job}", "programs/name-tag")]
    assert own.header["block"] == listed.header["block"]
    assert own.header["segments"] != listed.header["segments"]
    left, other = [await place.get(f"/api/{path}/stock?cells=128") for path in (f"jobs/{job}", "programs/name-tag")]
    assert left.header["removed_mm3"] != other.header["removed_mm3"]
    checks = [
        (await place.console.get(f"/api/{path}")).json()
        for path in (f"jobs/{job}/check", "programs/name-tag/check?machine=router")
    ]
    assert checks[0]["lines"] == place.lab.jobs.job(job).total_lines != checks[1]["lines"]
    assert checks[0]["errors"] == 0


async def test_two_wishes_have_pictures_of_their_own_which_are_not_kept(place: Place) -> None:
    first, second = await wished(place, "Ugnė"), await wished(place, "Jonas")
    one = await place.console.get(f"/api/jobs/{first}/scene")
    other = await place.console.get(f"/api/jobs/{second}/scene")
    assert one.content != other.content
    assert place.made == ["compile_wish", "draw_packed"] * 2
    again = await place.console.get(f"/api/jobs/{first}/scene", headers={"if-none-match": one.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert place.lab.scenes._made == {}
    assert place.lab.scenes._asked_for == {}


@pytest.mark.parametrize("part", PARTS)
async def test_a_job_of_the_list_equals_its_program(place: Place, part: str) -> None:
    for program in (place.upload, "name-tag"):
        job = (await place.lab.jobs.add(program, "router")).job_id
        sign = "&" if "?" in part else "?"
        answer = await place.console.get(f"/api/jobs/{job}/{part}")
        same = await place.console.get(f"/api/programs/{program}/{part}{sign}machine=router")
        assert (answer.status_code, answer.content) == (200, same.content)
        for header in ("etag", "vary", "content-type", "content-encoding"):
            assert answer.headers.get(header) == same.headers.get(header)


async def test_a_wish_without_words_is_the_program_of_the_list(place: Place) -> None:
    job = await wished(place, "")
    scene = await place.console.get(f"/api/jobs/{job}/scene")
    assert scene.content == (await place.console.get("/api/programs/name-tag/scene?machine=router")).content
    assert place.made == ["draw_packed"]


async def test_it_is_drawn_and_checked_for_the_machine_as_it_stands_now(place: Place) -> None:
    job = await wished(place, "Jonas")
    assert (await place.console.get(f"/api/jobs/{job}/check")).json()["errors"] == 0
    place.driver.show(work_offset=Position(-1.0, -1.0, -1.0))
    found = (await place.console.get(f"/api/jobs/{job}/check")).json()
    assert "out-of-travel" in {item["code"] for item in found["diagnostics"]}


async def test_an_approval_names_the_check_of_the_own_words_that_was_seen(place: Place) -> None:
    job = await wished(place, "Jonas")
    seen = (await place.console.get(f"/api/jobs/{job}/check")).json()["digest"]
    listed = (await place.console.get("/api/programs/name-tag/check?machine=router")).json()["digest"]
    assert seen != listed
    other = await place.console.post(f"/api/jobs/{job}/approve", json={"check_digest": listed})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "check-outdated")
    place.driver.show(work_offset=Position(-187.5, -150.0, -40.0))
    moved = await place.console.post(f"/api/jobs/{job}/approve", json={"check_digest": seen})
    assert moved.json()["error"]["why"] == "The zero of X was -200.000 and is -187.500 mm."
    now = (await place.console.get(f"/api/jobs/{job}/check")).json()["digest"]
    approved = await place.console.post(f"/api/jobs/{job}/approve", json={"check_digest": now})
    assert approved.json()["state"] == "APPROVED"


@pytest.mark.parametrize("part", PARTS)
async def test_a_wish_that_is_forgotten_is_said_and_no_other_program_is_shown(place: Place, part: str) -> None:
    job = await wished(place, "Jonas")
    await place.lab.jobs.decline(job, "Not today.")
    answer = await place.console.get(f"/api/jobs/{job}/{part}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "wish-forgotten")
    assert error["why"] == "The visitor's text was kept only until the job had ended."
    assert place.made == []


async def test_the_controller_reads_no_other_program_for_a_wish_that_is_forgotten(place: Place) -> None:
    job = await wished(place, "Jonas")
    await place.lab.jobs.decline(job, "Not today.")
    answer = await place.console.post("/api/machines/router/second-opinion", json={"job": job})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "wish-forgotten")


@pytest.mark.parametrize("part", PARTS)
async def test_strangers_and_the_kiosk_see_nothing_of_a_job(place: Place, part: str) -> None:
    job = await wished(place, "Jonas")
    assert (await place.stranger.get(f"/api/jobs/{job}/{part}")).status_code == 401
    assert (await place.kiosk.get(f"/api/jobs/{job}/{part}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("none/scene", 404, "not-found"),
        ("none/stock", 404, "not-found"),
        ("none/check", 404, "not-found"),
        ("{job}/stock?cells=63", 422, "invalid"),
        ("{job}/stock?cells=1025", 422, "invalid"),
    ],
)
async def test_what_is_not_there_is_refused_in_one_form(place: Place, path: str, status: int, code: str) -> None:
    job = await wished(place, "Jonas")
    answer = await place.console.get(f"/api/jobs/{path.format(job=job)}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
