# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole service with a library in which pieces are broken: it starts, offers the others, and says which are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx

from edge.store.pin import write_pin
from tests.hardware_sim.lab.ports import free_port
from tests.hardware_sim.lab.processes import Process, port_answers, python
from tests.support.library import KEY, add_piece, flip

PIN = "482913"


async def test_a_broken_piece_keeps_the_service_from_nothing_but_that_piece(tmp_path: Path) -> None:
    pieces = tmp_path / "content" / "programs"
    for name in ("wheel", "cog", "badge"):
        add_piece(pieces, name)
    flip(pieces / "cog" / "program.nc")
    (pieces / "badge" / "piece.toml").unlink()
    (pieces / "empty").mkdir()
    console, kiosk = free_port(), free_port()
    write_pin(tmp_path / "pin", PIN)
    config = tmp_path / "edge.toml"
    config.write_text(
        f"""[lab]
id = "im-01"
name = "InfoMobil"
data_dir = "data"
content_dir = "content"
[library]
keys = ["{KEY}"]
[http]
console_port = {console}
kiosk_port = {kiosk}
[operator]
pin_file = "pin"
""",
        encoding="utf-8",
    )

    async def ready() -> bool:
        return await port_answers(console) and await port_answers(kiosk)

    service = Process("edge", python("edge", "run", "--config", config), tmp_path / "edge.log", ready)
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{kiosk}") as visitor:
            offered = (await visitor.get("/api/kiosk/pieces")).json()
        assert [piece["id"] for piece in offered] == ["wheel"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{console}") as operator:
            assert (await operator.get("/api/snapshot")).json()["left_out"] == []
            assert (await operator.post("/api/login", json={"pin": PIN})).status_code == 200
            said = {item["piece"]: item["why"] for item in (await operator.get("/api/snapshot")).json()["left_out"]}
            assert said == {
                "badge": "piece.toml is missing.",
                "cog": "program.nc was changed after the piece was approved.",
                "empty": "The office has not signed it: there is no piece.sig.",
            }
            # The disk goes away under the service.
            shutil.rmtree(pieces)
            gone = await operator.get("/api/programs/wheel/path")
            assert gone.status_code == 409
            assert gone.json()["error"]["code"] == "piece-changed"
            assert len((await operator.get("/api/snapshot")).json()["left_out"]) == len(said) + 1
    finally:
        await service.stop()
    logged = service.log.read_text(encoding="utf-8")
    for piece, why in said.items():
        assert logged.count(f"Left out: the piece {piece}: {why}") == 1
    assert "Traceback" not in logged
