# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections and the survey as the pages call them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from edge.api.access import COOKIE
from edge.api.app import create_app as create_console
from edge.kiosk.app import create_app as create_kiosk
from edge.services.bus import EventBus
from edge.services.operators import OperatorDesk
from edge.services.recorder import Recorder
from edge.services.survey import Survey
from edge.services.visits import VisitCounter
from tests.support.bare_lab import bare_lab
from tests.support.fakes import FakeClock, MemoryStore

VISIT = {
    "school": "Mokykla",
    "municipality": "Kretinga",
    "date": "2026-11-23",
    "group": "8a",
    "expected": 25,
    "language": "lt",
}


class AnyPin:
    def matches(self, pin: str) -> bool:
        return bool(pin)


@dataclass
class Pages:
    store: MemoryStore
    console: httpx.AsyncClient
    kiosk: httpx.AsyncClient

    async def closed_visit(self) -> str:
        visit = (await self.console.post("/api/visits", json=VISIT)).json()["id"]
        await self.console.post(f"/api/visits/{visit}/headcounts", json=count(24))
        await self.console.post(f"/api/visits/{visit}/close")
        return str(visit)


def count(number: int, **more: object) -> dict[str, object]:
    return {"entry": str(uuid.uuid4()), "group": "8a", "role": "pupil", "count": number, **more}


def answer(**more: object) -> dict[str, object]:
    base = {"kiosk": "k1", "answer": str(uuid.uuid4()), "card": "AB12-CD34", "moment": "before", "band": "13_up"}
    return {**base, "language": "de", "interest": 4, **more}


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    clock, store, bus = FakeClock(), MemoryStore(), EventBus()
    recorder = Recorder(store, clock, lambda: None)
    visits = VisitCounter(store, recorder, bus, clock)
    desk = OperatorDesk(AnyPin(), clock)
    lab = bare_lab({}, desk, bus, visits=visits, survey=Survey(store, recorder, lambda: visits.visit))
    cookies = {COOKIE: await desk.login("123456")}
    async with (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=create_console(lab)), base_url="http://lab", cookies=cookies
        ) as console,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=create_kiosk(lab)), base_url="http://kiosk") as kiosk,
    ):
        yield Pages(store, console, kiosk)


async def test_a_closed_visit_is_listed_and_corrected(pages: Pages) -> None:
    visit = await pages.closed_visit()
    (recent,) = (await pages.console.get("/api/visits/recent")).json()
    assert (recent["id"], recent["open"], recent["total"]) == (visit, False, 24)
    body = count(-2, reason=" counted twice ")
    for _ in range(2):
        answered = await pages.console.post(f"/api/visits/{visit}/corrections", json=body)
        assert answered.status_code == 201, answered.text
        shown = answered.json()
        assert (shown["open"], shown["total"], shown["bell_in_s"]) == (False, 22, None)
        assert [(entry["count"], entry["reason"]) for entry in shown["entries"]] == [(24, ""), (-2, "counted twice")]
    assert (await pages.console.get("/api/visits/recent")).json() == [shown]


async def test_refusals_of_a_correction(pages: Pages) -> None:
    visit = await pages.closed_visit()
    url = f"/api/visits/{visit}/corrections"
    assert (await pages.console.post(url, json=count(-1))).status_code == 422, "without a reason"
    assert (await pages.console.post(url, json=count(-1, reason="  "))).status_code == 422
    assert (await pages.console.post(url, json=count(1.5, reason="x"))).status_code == 422
    assert (await pages.console.post(url, json=count(-25, reason="x"))).status_code == 409
    assert (await pages.console.post("/api/visits/none/corrections", json=count(1, reason="x"))).status_code == 404
    pages.store.failing = "the disk is full"
    assert (await pages.console.post(url, json=count(-1, reason="x"))).status_code == 503
    pages.console.cookies.clear()
    assert (await pages.console.post(url, json=count(-1, reason="x"))).status_code == 401
    assert (await pages.console.get("/api/visits/recent")).status_code == 401
    assert pages.store.types().count("visit.headcount") == 1


async def test_the_school_type_is_told_or_not(pages: Pages) -> None:
    for given, status in ((None, 201), ("vocational", 201), ("university", 201), ("castle", 422)):
        visit = await pages.console.post("/api/visits", json={**VISIT, "school_type": given})
        assert visit.status_code == status
        if status == 201:
            assert pages.store.events[-1].body["school_type"] == given
            await pages.console.post(f"/api/visits/{visit.json()['id']}/close")


async def test_a_visitor_answers_once(pages: Pages) -> None:
    body = answer()
    for _ in range(2):
        answered = await pages.kiosk.post("/api/kiosk/survey", json=body)
        assert (answered.status_code, answered.json()) == (201, {"answer": body["answer"]})
    (fact,) = pages.store.events
    assert (fact.body["card"], fact.body["interest"], fact.body["career"]) == ("AB12-CD34", 4, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interest": 6},
        {"interest": 0},
        {"interest": True},
        {"interest": "4"},
        {"interest": None},
        {"band": "12"},
        {"moment": "during"},
        {"card": ""},
        {"card": "Jonas Jonaitis"},
        {"answer": "1"},
        {"language": "fr"},
        {"kiosk": "K 1"},
        {"session": str(uuid.uuid4())},
        {"claim": 7},
    ],
)
async def test_what_is_no_answer_is_refused(pages: Pages, wrong: dict[str, object]) -> None:
    assert (await pages.kiosk.post("/api/kiosk/survey", json=answer(**wrong))).status_code == 422
    assert pages.store.events == []


async def test_a_full_disk_thanks_no_visitor(pages: Pages) -> None:
    pages.store.failing = "the disk is full"
    assert (await pages.kiosk.post("/api/kiosk/survey", json=answer())).status_code == 503
