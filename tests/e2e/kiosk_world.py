# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab made of plain values: what the kiosk service would answer, with the library's pieces and their true paths."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Request

from edge.gcode.planner import MotionSettings, plan
from edge.gcode.preview import path_preview
from edge.gcode.program import interpret
from tests.e2e.driving import Answer, Json, Van

LIBRARY = Path(__file__).resolve().parents[2] / "content" / "programs"
PIECES = ("name-tag", "gear", "bolt")
JOB = "0191c0de-0000-7000-8000-000000000008"
CLAIM = 8


@cache
def _piece(piece_id: str) -> Json:
    table = tomllib.loads((LIBRARY / piece_id / "piece.toml").read_text(encoding="utf-8"))
    return {
        "id": piece_id,
        "title": table["title"],
        "description": table["description"],
        "svg": (LIBRARY / piece_id / "preview.svg").read_text(encoding="utf-8"),
        "stock": table["stock_mm"],
        "guess_choices_s": table["guess_choices_s"],
        "fields": table.get("fields", []),
        "depths": table.get("depths", []),
    }


@cache
def _path(piece_id: str) -> Json:
    program = interpret((LIBRARY / piece_id / "program.nc").read_bytes(), program_id=piece_id)
    until = np.cumsum(plan(program, MotionSettings()).line_seconds)
    points = path_preview(program)
    return {
        "points": [[p.x, p.y, p.z] for p in points],
        "rapid": [p.rapid for p in points],
        "seconds": [round(float(until[p.line - 1]), 2) for p in points],
        "stock": _piece(piece_id)["stock"],
    }


def now(job: Json | None = None, queue: int = 0) -> Json:
    """Return what the lab makes at this moment."""
    return {"job": job, "queue": queue, "last": None}


def making(claim: int = 5, piece: str = "gear", progress: float = 0.6, state: str = "RUNNING") -> Json:
    """Return the job that is being cut, as everybody may see it."""
    return {"claim": claim, "piece": piece, "progress": progress, "remaining_s": 31.0, "state": state}


@dataclass
class Lab:
    """The kiosk's server: answers per the contract, changed by a test through its fields."""

    page: Page
    is_open: bool = True
    language: str = "lt"
    ahead: int = 3
    wait_s: float = 340.0

    def __post_init__(self) -> None:
        self.now = now()
        self.job: Json = {}
        self.van = Van(self.page, "kiosk", "/api/kiosk/live")
        self.van.answers |= {
            ("GET", "/api/kiosk/state"): self._state,
            ("GET", "/api/kiosk/pieces"): (200, [_piece(piece) for piece in PIECES]),
            ("POST", "/api/kiosk/sessions"): lambda request: (201, {"session": _body(request)["session"]}),
            ("POST", "/api/kiosk/requests"): self.take,
            ("POST", "/api/kiosk/survey"): lambda request: (201, {"answer": _body(request)["answer"]}),
            ("GET", f"/api/kiosk/jobs/{JOB}"): lambda _: (200, self.job) if self.job else (404, {}),
        }
        for piece in PIECES:
            self.van.answers["GET", f"/api/kiosk/pieces/{piece}/path"] = (200, _path(piece))

    def _state(self, _request: Request) -> Answer:
        return 200, {
            "lab": "van-1",
            "lab_name": "InfoMobil 1",
            "visit": {"open": self.is_open, "language": self.language},
            "idle": {"warn_after_s": 45, "countdown_s": 15},
            "now": self.now,
        }

    def take(self, request: Request) -> Answer:
        body = _body(request)
        seconds = _path(body["piece"])["seconds"][-1]
        self.job = {
            "job": JOB,
            "claim": CLAIM,
            "piece": body["piece"],
            "state": "REQUESTED",
            "ahead": self.ahead,
            "progress": 0.0,
            "remaining_s": None,
            "guess_s": body["guess_s"],
            "estimate_s": seconds,
            "actual_s": None,
            "reason": "",
        }
        return 201, {"job": JOB, "claim": CLAIM, "ahead": self.ahead, "wait_s": self.wait_s}

    def remember(self, claims: list[Json]) -> None:
        """Open the page again with these numbers given out at it earlier, as old as a minute."""
        for claim in claims:
            self.van.answers["GET", f"/api/kiosk/jobs/{claim['job']}"] = (200, {"state": "REQUESTED"})
        self.page.evaluate(
            "all => localStorage.setItem('infomobil.claims.k1', JSON.stringify(all.map("
            "(one) => ({ ...one, given: new Date(Date.now() - 60000).toISOString() }))))",
            claims,
        )
        self.page.reload()
        self.page.wait_for_selector(".plate canvas")

    def fail(self, path: str, answer: Answer | Callable[[Request], Answer | None]) -> None:
        """Answer the posts to `path` in this way from now on."""
        self.van.answers["POST", f"/api/kiosk/{path}"] = answer

    def away(self) -> None:
        """Answer nothing any more: the server is gone."""
        for key in list(self.van.answers):
            self.van.answers[key] = (0, None)
        for socket in self.van.sockets:
            socket.close()
        self.van.sockets.clear()

    def tell(self, **changes: Any) -> None:
        """Change the visitor's job and send it over the socket, with what the lab makes."""
        self.job |= changes
        if self.job["state"] in ("RUNNING", "HELD"):
            self.now = now(making(CLAIM, self.job["piece"], self.job["progress"], self.job["state"]), self.now["queue"])
        self.van.send({"now": self.now, "job": self.job})


def _body(request: Request) -> Json:
    body: Json = request.post_data_json
    return body
