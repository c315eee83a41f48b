# SPDX-License-Identifier: GPL-3.0-or-later
"""What was set aside, looked at by a person, over a ledger of each kind."""

import httpx
import pytest
from fastapi import FastAPI

from office import intake
from office.api.access import AccessGate, Visitor
from office.api.errors import add_handlers
from office.api.quarantine_calls import add_quarantine_calls, readable
from office.ledger import audit
from tests.support.office import message

pytest_plugins = ("tests.support.office_fixtures",)


class Known:
    """A door that knows one visitor."""

    def __init__(self, visitor):
        self._visitor = visitor

    async def visitor(self, _scope):
        return self._visitor


def client(ledger, name="ann", role="office"):
    app = FastAPI()
    add_handlers(app)
    add_quarantine_calls(app, ledger)
    app.add_middleware(AccessGate, door=Known(Visitor(name, role)))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"X-InfoMobil": "1"})


@pytest.fixture
async def filled(ledger):
    for payload in (b"garbage", "ąž\n\x00\xff".encode("latin-1", "replace") + b"\x07" * 2_000, b""):
        await ledger.record([intake.read(message("im/v1/van-1/up/visits", payload))])
    await ledger.record([intake.read(message("elsewhere", b"{}"))])
    return ledger


async def test_the_list_is_newest_first_and_in_pages(filled):
    async with client(filled, role="viewer") as http:
        found = (await http.get("/api/quarantine", params={"limit": 2, "offset": 1})).json()
        everything = (await http.get("/api/quarantine")).json()["rows"]
    assert found["total"] == 4
    assert [row["id"] for row in everything] == [4, 3, 2, 1]
    assert [row["id"] for row in found["rows"]] == [3, 2]
    assert set(everything[0]) == {
        *("id", "topic", "lab", "stream", "reason", "size", "head", "text", "received", "seen"),
    }
    assert (everything[0]["topic"], everything[0]["lab"]) == ("elsewhere", "")
    garbage = everything[-1]
    assert (garbage["lab"], garbage["stream"], garbage["size"]) == ("van-1", "visits", 7)
    assert (bytes.fromhex(garbage["head"]), garbage["text"], garbage["seen"]) == (b"garbage", "garbage", None)
    assert everything[2]["size"] > 2_000
    assert len(everything[2]["head"]) == 2 * 1024


async def test_a_look_is_noted_with_who_and_stands_in_the_audit(filled):
    async with client(filled) as http:
        row = (await http.post("/api/quarantine/1/seen", json={"note": " a test of ours \x00"})).json()
        assert (row["id"], row["seen"]["who"], row["seen"]["note"]) == (1, "ann", "a test of ours \ufffd")
        assert row["seen"]["at"].endswith("Z")
        again = (await http.post("/api/quarantine/1/seen", json={"note": "again"})).json()
        assert again["seen"]["note"] == "again"
        assert (await http.post("/api/quarantine/4/seen", json={})).is_success
        for seen, ids in ((True, [4, 1]), (False, [3, 2])):
            found = (await http.get("/api/quarantine", params={"seen": seen})).json()
            assert (found["total"], [item["id"] for item in found["rows"]]) == (len(ids), ids)
    rows = await filled.read(lambda database: audit.page(database, 10, 0))
    assert [(row.who, row.what, row.lab, row.text) for row in rows] == [
        ("ann", "quarantine", None, "What came on elsewhere was looked at."),
        ("ann", "quarantine", "van-1", "What came on im/v1/van-1/up/visits was looked at: again"),
        ("ann", "quarantine", "van-1", "What came on im/v1/van-1/up/visits was looked at: a test of ours \ufffd"),
    ]


@pytest.mark.parametrize(
    ("number", "body", "status", "code"),
    [
        ("99", {"note": "x"}, 404, "unknown"),
        ("many", {"note": "x"}, 422, "value"),
        ("0", {"note": "x"}, 422, "value"),
        ("1", {"note": "x" * 501}, 422, "value"),
        ("1", {"remark": "x"}, 422, "value"),
    ],
)
async def test_a_look_that_cannot_be_is_refused(filled, number, body, status, code):
    async with client(filled) as http:
        refused = await http.post(f"/api/quarantine/{number}/seen", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert (await http.get("/api/quarantine", params={"seen": True})).json()["total"] == 0
    assert await filled.read(audit.count) == 0


async def test_a_viewer_may_not_note_anything(filled):
    async with client(filled, "ben", "viewer") as http:
        assert (await http.post("/api/quarantine/1/seen", json={"note": ""})).status_code == 403


def test_what_no_screen_shows_is_a_dot():
    assert readable(b'{"a":\x00\xff\n\x1b}') == '{"a":··\n·}'
