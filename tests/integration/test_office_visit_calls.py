# SPDX-License-Identifier: GPL-3.0-or-later
"""A visit's detail, corrections, the audit and keys, as the pages call them, over a ledger of each kind."""

import uuid

import httpx
import pytest
from fastapi import FastAPI

from office.api.access import AccessGate, Visitor
from office.api.audit_calls import add_audit_calls
from office.api.errors import add_handlers
from office.api.visit_calls import add_visit_calls
from tests.support.office import Sender, headcount, opened, presence, tap

pytest_plugins = ("tests.support.office_fixtures",)

KEY, OTHER = "a1" * 32, "b2" * 32


class Known:
    """A door that knows who comes."""

    def __init__(self, visitor):
        self._visitor = visitor

    async def visitor(self, _scope):
        return self._visitor


def client(ledger, role="office", name="ona"):
    app = FastAPI()
    add_handlers(app)
    add_visit_calls(app, ledger)
    add_audit_calls(app, ledger)
    app.add_middleware(AccessGate, door=Known(Visitor(name, role)))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"X-InfoMobil": "1"})


@pytest.fixture
async def filled(ledger):
    lab = Sender()
    await ledger.record([lab.batch(opened("v1"), headcount("v1", 20), headcount("v1", 2, "teacher"), tap("s1", "v1"))])
    return ledger


def body(**changes):
    base = {"id": str(uuid.uuid4()), "group": "5a", "role": "pupil", "count": -2, "reason": " two went home "}
    return {**base, **changes}


async def test_a_visit_shows_all_that_was_counted(filled):
    async with client(filled, "viewer") as http:
        found = (await http.get("/api/visits/van-1/v1")).json()
    assert {name: found[name] for name in ("lab", "visit", "school", "date", "total", "sessions", "open")} == {
        "lab": "van-1",
        "visit": "v1",
        "school": "Vilniaus gimnazija",
        "date": "2026-03-02",
        "total": 22,
        "sessions": 1,
        "open": True,
    }
    assert found["people"] == {"pupil": 20, "teacher": 2, "vet_trainer": 0, "trainee": 0}
    first = found["entries"][0]
    assert {name: first[name] for name in first if name != "at"} == {
        "epoch": "e1",
        "seq": 2,
        "group": "5a",
        "role": "pupil",
        "count": 20,
        "reason": "",
        "by": "operator",
        "who": None,
    }
    assert set(first["at"]) == {"from", "to", "raw", "quality"}
    assert first["at"]["to"].endswith("Z")


async def test_a_correction_is_entered_once_and_told_with_its_name(filled):
    order = body()
    async with client(filled) as http:
        for _ in range(2):
            answer = await http.post("/api/visits/van-1/v1/corrections", json=order)
            assert answer.status_code == 201, answer.text
            found = answer.json()
            assert found["people"]["pupil"] == 18
            assert {(e["count"], e["by"], e["who"]) for e in found["entries"] if e["role"] == "pupil"} == {
                (20, "operator", None),
                (-2, "office", "ona"),
            }
            assert len(found["entries"]) == 3
        assert (await http.get("/api/visits/van-1/v1")).json() == found
        audit = (await http.get("/api/audit")).json()
    assert (audit["total"], len(audit["head"])) == (1, 64)
    (row,) = audit["rows"]
    assert (row["who"], row["what"], row["lab"]) == ("ona", "correction", "van-1")
    assert (row["facts"]["before"], row["facts"]["after"]) == (20, 18)
    assert "two went home" not in str(row)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"count": -21}, 409, "correction"),
        ({"count": 0}, 409, "correction"),
        ({"count": 10_001}, 422, "value"),
        ({"count": 1.0}, 422, "value"),
        ({"reason": "   "}, 422, "value"),
        ({"group": ""}, 422, "value"),
        ({"role": "driver"}, 422, "value"),
        ({"id": "1"}, 422, "value"),
        ({"who": "jonas"}, 422, "value"),
    ],
)
async def test_what_cannot_be_is_refused(filled, changes, status, code):
    async with client(filled) as http:
        answer = await http.post("/api/visits/van-1/v1/corrections", json=body(**changes))
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert (await http.get("/api/visits/van-1/v1")).json()["total"] == 22
        assert (await http.get("/api/audit")).json()["total"] == 0


async def test_who_may_not_and_what_is_not_there(filled):
    async with client(filled, "viewer") as http:
        assert (await http.post("/api/visits/van-1/v1/corrections", json=body())).status_code == 403
        assert (await http.get("/api/keys")).status_code == 403
    async with client(filled, "office") as http:
        assert (await http.put("/api/keys/van-1", json={"key": KEY})).status_code == 403
        for path in ("van-1/v2", "van-2/v1"):
            assert (await http.get(f"/api/visits/{path}")).status_code == 404
            assert (await http.post(f"/api/visits/{path}/corrections", json=body())).status_code == 404
        assert (await http.get("/api/visits/V/v1")).status_code == 422


async def test_keys_are_shown_and_taken_by_an_admin(ledger):
    await ledger.record([presence(key=KEY)])
    await ledger.record([presence(key=OTHER)])
    async with client(ledger, "admin") as http:
        (key,) = (await http.get("/api/keys")).json()
        assert (key["lab"], key["key"], key["said"]) == ("van-1", KEY, OTHER)
        assert key["since"].endswith("Z")
        for wrong in ("", "zz" * 32, KEY.upper(), KEY + "0"):
            assert (await http.put("/api/keys/van-1", json={"key": wrong})).status_code == 422
        (taken,) = (await http.put("/api/keys/van-1", json={"key": OTHER})).json()
        assert (taken["key"], taken["said"]) == (OTHER, None)
        page = (await http.get("/api/audit", params={"lab": "van-1", "limit": 2})).json()
        assert [(row["who"], row["what"]) for row in page["rows"]] == [("ona", "key"), ("", "alarm")]
        assert page["total"] == 3
        older = (await http.get("/api/audit", params={"offset": 2})).json()["rows"]
        assert [row["text"] for row in older] == ["The lab's first key was heard and kept."]


async def test_an_altered_row_is_shown_all_the_same(filled):
    async with client(filled) as http:
        await http.post("/api/visits/van-1/v1/corrections", json=body())
        await filled.change(lambda database: database.query("update audit set what = 'x', facts = '{\"a\":[1]}'"))
        (row,) = (await http.get("/api/audit")).json()["rows"]
        assert (row["what"], row["facts"]) == ("x", {"a": [1]})
