# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of programs over HTTP: console and kiosk, compressed, remembered, and made by a worker process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from gzip import decompress
from pathlib import Path

import pytest

from edge.api.scene import twin_messages
from edge.domain.machine import MachineInfo, Position
from edge.domain.tool import Tool, ToolShape
from edge.gcode.following import Follower
from edge.services import effort
from edge.services import scenes as module
from edge.services.bus import EventBus
from edge.services.lab import Lab
from edge.services.programs import ProgramCatalog
from edge.services.scenes import NOBODY, Scenes, pack
from edge.services.twin import TwinStatus
from edge.services.workers import Workers, _no_result
from edge.store.shelf import ProgramShelf
from tests.support.job_bench import here
from tests.support.picture_lab import PIECES, TOOLS, UPLOAD, Place, picture_lab
from tests.support.scene import unpack


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with picture_lab(tmp_path) as made:
        yield made


async def test_the_console_draws_an_upload_with_the_tools_of_the_machine(place: Place) -> None:
    read = await place.get(f"/api/programs/{place.upload}/scene?machine=router")
    assert read.letters == "IMSC"
    assert [(tool["number"], tool["shape"], tool["known"]) for tool in read.header["tools"]] == [(1, "ball", True)]
    assert read.arrays["points"].reshape(-1, 3)[-1].tolist() == [50.0, 10.0, 39.0]
    stock = await place.get(f"/api/programs/{place.upload}/stock?machine=router&cells=128")
    assert stock.letters == "IMRL"
    assert max(stock.header["nx"], stock.header["ny"]) == 128
    assert stock.header["removed_mm3"] == stock.header["planned_mm3"] > 100
    whole = await place.get(f"/api/programs/{place.upload}/stock?machine=router")
    assert max(whole.header["nx"], whole.header["ny"]) == 512


async def test_a_piece_is_cut_out_of_its_own_block_by_its_own_cutter(place: Place) -> None:
    scene = await place.get("/api/programs/name-tag/scene")
    assert scene.header["block"] == {"low": [0.0, 0.0, -3.0], "high": [80.0, 30.0, 0.0]}
    assert [tool["shape"] for tool in scene.header["tools"]] == ["v"]
    answer = await place.kiosk.get("/api/kiosk/pieces/name-tag/scene")
    assert unpack(answer.content).header == scene.header


async def test_a_kiosk_gets_pieces_and_knows_no_uploads(place: Place) -> None:
    answer = await place.kiosk.get("/api/kiosk/pieces/gear/stock?cells=100")
    read = unpack(answer.content)
    assert (read.header["nx"], read.header["ny"]) == (128, 128)
    for what in ("scene", "stock"):
        assert (await place.kiosk.get(f"/api/kiosk/pieces/{place.upload}/{what}")).status_code == 404
        assert (await place.kiosk.get(f"/api/kiosk/pieces/nothing/{what}")).status_code == 404


async def test_a_kiosk_draws_though_no_machine_is_there(place: Place) -> None:
    place.lab.machines.clear()  # type: ignore[attr-defined]
    assert place.lab.standing() == (NOBODY, None)
    assert unpack((await place.kiosk.get("/api/kiosk/pieces/gear/scene")).content).header["segments"] > 100


async def test_strangers_see_nothing(place: Place) -> None:
    machine = ("machines/router/twin", "machines/router/scene")
    for path in (f"programs/{place.upload}/scene", f"programs/{place.upload}/stock", *machine):
        assert (await place.stranger.get(f"/api/{path}")).status_code == 401


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("programs/unknown/scene", 404, "not-found"),
        ("programs/unknown/stock", 404, "not-found"),
        ("programs/gear/scene?machine=lathe", 404, "not-found"),
        ("programs/gear/stock?machine=lathe", 404, "not-found"),
        ("programs/gear/stock?cells=63", 422, "invalid"),
        ("programs/gear/stock?cells=1025", 422, "invalid"),
        ("programs/gear/stock?cells=many", 422, "invalid"),
        ("machines/lathe/twin", 404, "not-found"),
        ("machines/router/twin", 404, "no-twin"),
        ("machines/lathe/scene", 404, "not-found"),
        ("machines/router/scene", 404, "no-twin"),
    ],
)
async def test_what_is_not_there_is_refused_in_one_form(place: Place, path: str, status: int, code: str) -> None:
    answer = await place.console.get(f"/api/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_it_is_compressed_where_the_client_takes_that_and_only_there(place: Place) -> None:
    path = "/api/programs/gear/stock?cells=256"
    packed = await place.console.get(path, headers={"accept-encoding": "br, gzip;q=0.8"})
    plain = await place.console.get(path, headers={"accept-encoding": "identity"})
    refused = await place.console.get(path, headers={"accept-encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(packed.content) / 3
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.content == plain.content == refused.content
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"


async def test_what_the_client_has_already_is_not_sent_again(place: Place) -> None:
    path = "/api/programs/gear/scene"
    first = await place.console.get(path)
    again = await place.console.get(path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await place.console.get(path, headers={"if-none-match": '"other"'})
    assert other.status_code == 200


async def test_a_picture_is_made_once_also_when_many_ask_at_once(place: Place) -> None:
    await asyncio.gather(*(place.kiosk.get("/api/kiosk/pieces/gear/stock") for _ in range(8)))
    await place.console.get("/api/programs/gear/stock?machine=router")
    assert place.made == ["cut_packed"]
    place.driver.show(work_offset=Position(-100.0, -150.0, -40.0))
    await place.kiosk.get("/api/kiosk/pieces/gear/stock")
    assert place.made == ["cut_packed", "cut_packed"]


async def followed(scenes: Scenes, lab: Lab) -> list[Follower]:
    """Return three that follow the gear."""
    info, offset = lab.standing("router")
    found = await asyncio.gather(*(scenes.path("gear", None, info, offset) for _ in range(3)))
    return [Follower(scene) for scene in found]


async def test_a_path_is_shared_as_long_as_somebody_follows_it(place: Place) -> None:
    three = await followed(place.lab.scenes, place.lab)
    assert place.made == ["draw"]
    assert len({id(one._scene) for one in three}) == 1
    three.clear()
    gc.collect()
    await followed(place.lab.scenes, place.lab)
    assert place.made == ["draw", "draw"]


async def test_the_oldest_pictures_are_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10_000)
    for cells in (512, 256, 512):
        await place.console.get(f"/api/programs/gear/stock?cells={cells}")
    assert place.made == ["cut_packed"] * 3
    assert len(place.lab.scenes._made) <= 2


async def test_a_picture_that_could_not_be_made_is_asked_for_again(place: Place) -> None:
    kept = place.file
    kept.write_bytes(UPLOAD.replace(b"X50", b"X51"))
    answer = await place.console.get(f"/api/programs/{place.upload}/scene")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "program")
    kept.write_bytes(UPLOAD)
    assert (await place.console.get(f"/api/programs/{place.upload}/scene")).status_code == 200


async def test_more_moves_than_can_be_reckoned_are_refused_with_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "BUDGET", 1_000.0)
    for client, path in ((place.console, f"programs/{place.upload}"), (place.kiosk, "kiosk/pieces/gear")):
        answer = await client.get(f"/api/{path}/stock")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "too-many-moves")
        assert error["what"] == "What this program leaves of the material is not shown."
        # Its path is drawn all the same.
        assert (await client.get(f"/api/{path}/scene")).status_code == 200


async def test_a_worker_that_died_of_a_picture_is_said(place: Place) -> None:
    async def lost(*_: object) -> object:
        raise _no_result()

    place.lab.scenes._offload = lost  # type: ignore[assignment]
    answer = await place.console.get("/api/programs/gear/stock")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no-result")


async def test_a_tool_that_does_not_mill_is_said(place: Place) -> None:
    lathe = Tool(1, "Turning tool", ToolShape.TURNING, diameter=0.8, flute_length=5.0)
    place.lab.programs._tables["router"] = {1: lathe}
    answer = await place.console.get(f"/api/programs/{place.upload}/stock?machine=router")
    assert answer.status_code == 422
    assert "Turning tool" in answer.json()["error"]["why"]


async def test_a_twin_is_shown_with_its_etag(place: Place) -> None:
    place.twin.told = TwinStatus("router", "job-7", 12.34567, None, 3)
    place.twin.packed = pack(b"IMRL what was cut")
    answer = await place.console.get("/api/machines/router/twin")
    assert answer.content == b"IMRL what was cut"
    assert decompress(place.twin.packed.gzipped) == answer.content
    again = await place.console.get("/api/machines/router/twin", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert twin_messages(place.lab, "router") == [
        {
            "type": "twin",
            "machine": "router",
            "job": "job-7",
            "removed_mm3": 12.346,
            "planned_mm3": None,
            "version": 3,
        }
    ]
    place.twin.told = replace(place.twin.told, planned_mm3=99.9999)
    assert twin_messages(place.lab, "router")[0]["planned_mm3"] == 100.0


async def test_a_twin_that_is_not_shown_any_more_is_told_so(place: Place) -> None:
    message = {"type": "twin", "machine": "router", "job": None}
    assert twin_messages(place.lab, "router") == [
        {**message, "removed_mm3": None, "planned_mm3": None, "version": None}
    ]


async def test_the_path_of_a_twin_is_shown_with_its_etag(place: Place) -> None:
    place.twin.path = pack(b"IMSC where it goes")
    answer = await place.console.get("/api/machines/router/scene")
    assert answer.content == b"IMSC where it goes"
    again = await place.console.get("/api/machines/router/scene", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("what", ["twin", "scene"])
async def test_a_twin_whose_path_is_still_being_made_is_waited_for(place: Place, what: str) -> None:
    place.twin.begun = True
    answer = await place.console.get(f"/api/machines/router/{what}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "twin-not-ready")


async def test_a_block_that_nobody_has_given_is_told_as_guessed(place: Place) -> None:
    assert (await place.get(f"/api/programs/{place.upload}/scene?machine=router")).header["guessed"] is True
    assert (await place.get("/api/programs/gear/scene")).header["guessed"] is False


async def test_a_tool_that_the_table_lacks_is_told_as_unknown_also_without_a_number(place: Place) -> None:
    place.lab.programs._tables["router"] = {}
    read = await place.get(f"/api/programs/{place.upload}/scene?machine=router")
    assert [(tool["number"], tool["known"]) for tool in read.header["tools"]] == [(1, False)]
    bare, prepared = await place.lab.programs.upload("b.nc", UPLOAD.replace(b"T1\n", b""), place.driver.info(), None)
    assert bare is not None, prepared.diagnostics
    read = await place.get(f"/api/programs/{bare.program_id}/scene?machine=router")
    assert [(tool["number"], tool["known"]) for tool in read.header["tools"]] == [(0, False)]
    piece = await place.get("/api/programs/gear/scene?machine=router")
    assert [tool["known"] for tool in piece.header["tools"]] == [True]


async def test_a_worker_process_makes_the_same_as_this_one(tmp_path: Path) -> None:
    info = MachineInfo("router", "Router", "router", "grbl")
    workers, bus = Workers(), EventBus()
    tables: Mapping[str, Mapping[int, Tool]] = {"router": TOOLS}

    near = Scenes(ProgramCatalog(PIECES, ProgramShelf(tmp_path), here, bus, tables), here)
    away = Scenes(ProgramCatalog(PIECES, ProgramShelf(tmp_path), workers, bus, tables), workers)
    try:
        for one in (await away.scene("gear", info, None), await away.stock("gear", info, None, 128)):
            unpack(decompress(one.gzipped))
        assert await away.scene("gear", info, None) == await near.scene("gear", info, None)
        assert await away.stock("gear", info, None, 128) == await near.stock("gear", info, None, 128)
        assert len(await away.path("gear", None, info, None)) == len(await near.path("gear", None, info, None))
    finally:
        workers.close()
