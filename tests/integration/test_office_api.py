# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's HTTP contract, over a ledger of each kind."""

import csv
import io
import sqlite3

import httpx
import pytest

from office import intake
from office.api import create_app
from office.api import pages as office_pages
from office.config import HttpSettings, OfficeSettings
from office.ledger import Ledger, reading, sqlite
from tests.support import facts
from tests.support.office import Sender, closed, headcount, job, message, opened, presence, tap, watched

pytest_plugins = ("tests.support.office_fixtures",)


def client(ledger, pages=None, *, connected=True, client_ip="127.0.0.1", host="127.0.0.1:8090", **http):
    settings = OfficeSettings(http=HttpSettings(**http))
    app = create_app(settings, ledger, lambda: connected, pages)
    transport = httpx.ASGITransport(app, client=(client_ip, 5000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


@pytest.fixture
async def filled(ledger):
    lab, shop = Sender(), Sender(stream="jobs")
    for day in range(4):
        visit = f"v{day}"
        await ledger.record(
            [
                lab.batch(
                    opened(visit, school=f"School {day}", date=f"2026-03-0{day + 2}"),
                    headcount(visit, 10),
                    headcount(visit, 2, "vet_trainer"),
                    tap(f"s{day}", visit),
                    closed(visit),
                ),
                shop.batch(job(f"j{day}", "FINISHED", guess_s=30.0, actual_s=61.5, visit=visit, lines=900)),
            ]
        )
    totals = {"e1": {"people": 55, "corrected": 0, "sessions": 4}}
    await ledger.record([presence(totals=totals, heads={"visits": 23, "jobs": 4}, closed={"e0": {"visits": 3}})])
    await ledger.record([intake.read(message("im/v1/van-1/up/visits", b"garbage"))])
    return ledger


async def test_progress(filled):
    async with client(filled) as http:
        found = (await http.get("/api/progress")).json()
    assert (found["target"], found["reached"], found["ledger"], found["not_yet_received"]) == (6_000, 55, 40, 15)
    assert found["sessions"] == 4
    assert found["as_of"].endswith("Z")
    assert set(found["forecast"]) == {"low", "mid", "high"}
    assert found["daily"][-1] == {"date": "2026-03-05", "people": 10, "cumulative": 40}
    values = {item["id"]: (item["target"], item["value"]) for item in found["indicators"]}
    assert values == {
        "people": (6_000, 55),
        "vet_trainers": (50, 8),
        "trainees": (100, 0),
        "programmes": (1, 0),
        "elearning": (None, 0),
        "schools": (None, 4),
        "pieces": (None, 4),
    }


async def test_labs(filled):
    async with client(filled) as http:
        (found,) = (await http.get("/api/labs")).json()
    assert (found["lab"], found["state"], found["epoch"]) == ("van-1", "online", "e1")
    assert (found["ledger_people"], found["presence_people"]) == (40, 55)
    assert found["waiting"] == 3 + 3
    assert found["gaps"] == [{"stream": "visits", "epoch": "e0", "first": 1, "last": 3}]
    assert found["last_seen"].endswith("Z")


async def test_labs_are_unknown_while_the_broker_is_away(filled):
    async with client(filled, connected=False) as http:
        assert (await http.get("/api/labs")).json()[0]["state"] == "unknown"


async def test_visits_and_their_pages(filled):
    async with client(filled) as http:
        found = (await http.get("/api/visits", params={"limit": 1, "offset": 1})).json()
        none = (await http.get("/api/visits", params={"lab": "van-9"})).json()
    assert found["total"] == 4
    (row,) = found["rows"]
    assert (row["visit"], row["date"], row["total"], row["sessions"], row["open"]) == ("v2", "2026-03-04", 12, 1, False)
    assert row["people"] == {"pupil": 10, "teacher": 0, "vet_trainer": 2, "trainee": 0}
    assert none == {"total": 0, "rows": []}


async def test_jobs(filled):
    async with client(filled) as http:
        found = (await http.get("/api/jobs", params={"limit": 1})).json()
    assert found["total"] == 4
    row = found["rows"][0]
    assert set(row) == {
        *("lab", "job", "claim", "machine", "program", "origin", "state", "estimate_s", "guess_s", "actual_s"),
        *("lines", "visit", "reason", "received"),
    }
    assert (row["state"], row["actual_s"], row["estimate_s"]) == ("FINISHED", 61.5, None)


async def test_machines(filled):
    shop = Sender(stream="jobs", epoch="e7")
    await filled.record([shop.batch(watched(facts.parts(4, 9)), watched(facts.gap(90.4, 0)))])
    async with client(filled) as http:
        assert (await http.get("/api/machines")).json() == [
            {
                "lab": "van-1",
                "machine": "lathe",
                "parts": 4,
                "unseen": 0,
                "doubtful": 0,
                "gaps": 1,
                "gap_s": 90,
                "loads": 0,
                "loads_failed": 0,
            }
        ]


async def test_quality(filled):
    async with client(filled) as http:
        found = (await http.get("/api/quality")).json()
    assert (found["quarantined"], found["invalid"], found["duplicates"], found["chain_alarms"]) == (1, 0, 0, 0)
    assert found["last_quarantine"]["lab"] == "van-1"
    assert "zstd" in found["last_quarantine"]["reason"]


async def test_exports_hold_every_row(filled, monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 3)
    async with client(filled) as http:
        visits, jobs = await http.get("/api/export/visits.csv"), await http.get("/api/export/jobs.csv")
    assert visits.content.startswith(b"\xef\xbb\xbflab,")
    assert visits.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="visits.csv"' in visits.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(visits.content.decode("utf-8-sig"))))
    assert [(row["visit"], row["pupil"]) for row in rows] == [(f"v{n}", "10") for n in range(4)]
    rows = list(csv.DictReader(io.StringIO(jobs.content.decode("utf-8-sig"))))
    assert [(row["job"], row["actual_s"]) for row in rows] == [(f"j{n}", "61.5") for n in range(4)]


async def test_an_empty_ledger_has_answers(ledger):
    async with client(ledger) as http:
        assert (await http.get("/api/progress")).json()["forecast"] is None
        for path in ("labs", "visits", "jobs", "quality", "export/visits.csv", "export/jobs.csv"):
            assert (await http.get(f"/api/{path}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/visits?limit=0", 422, "value"),
        ("/api/visits?limit=many", 422, "value"),
        ("/api/visits?offset=-1", 422, "value"),
        ("/api/visits?lab=';drop table visit--", 422, "value"),
        ("/api/nothing", 404, "unknown"),
        ("/../../etc/passwd", 404, "unknown"),
    ],
)
async def test_refusals_have_one_form(ledger, path, status, code):
    async with client(ledger) as http:
        answer = await http.get(path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert set(error) == {"code", "what", "why", "remedy", "retry_after_s", "reasons"}


async def test_a_ledger_that_is_away_is_503(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    path = tmp_path / "office.sqlite3"
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("begin exclusive")
    ledger = Ledger(f"sqlite:///{path}")
    async with client(ledger) as http:
        answer = await http.get("/api/progress")
    blocker.close()
    await ledger.close()
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "ledger"
    assert answer.headers["retry-after"]


async def test_every_answer_carries_the_security_headers(ledger):
    async with client(ledger) as http:
        for path in ("/", "/api/progress", "/api/nothing"):
            headers = (await http.get(path)).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        assert (await http.get("/api/progress")).headers["cache-control"] == "no-store"
        assert (await http.post("/api/progress")).status_code == 403


async def test_pages_are_served_and_explained_when_not_built(ledger, tmp_path):
    async with client(ledger) as http:
        assert "were not built" in (await http.get("/")).text
    (tmp_path / "index.html").write_text("<title>the dashboard</title>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app-1a2b.js").write_text("export {}")
    async with client(ledger, tmp_path) as http:
        assert "the dashboard" in (await http.get("/")).text
        assert (await http.get("/assets/app-1a2b.js")).headers["content-type"].startswith("text/javascript")
        missing = await http.get("/assets/none.js")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown")
        assert (await http.get("/..%2f..%2fetc/passwd")).status_code == 404


def test_pages_are_looked_for_in_the_package_and_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(office_pages, "PACKAGED", tmp_path / "packaged")
    monkeypatch.setattr(office_pages, "BUILT", tmp_path / "built")
    assert office_pages.find_pages() is None
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "index.html").touch()
    assert office_pages.find_pages() == tmp_path / "built"


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8090", 200), ("localhost", 200), ("[::1]:8090", 200), ("evil.example", 400), ("Office.LT", 401)],
)
async def test_it_answers_to_its_own_names_only(ledger, host, status):
    async with client(ledger, hosts=("office.lt",)) as http:
        answer = await http.get("/api/quality", headers={"host": host})
    assert answer.status_code == status
