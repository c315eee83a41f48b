# SPDX-License-Identifier: GPL-3.0-or-later
"""`/metrics`, read as Prometheus reads it, over a ledger of each kind."""

from dataclasses import replace

import httpx
from prometheus_client.parser import text_string_to_metric_families

from office import intake
from office.api import create_app
from office.config import OfficeSettings
from office.facts import IngestFigures
from office.ledger import Ledger, checks
from tests.support.office import NOW_NS, Sender, headcount, message, presence

pytest_plugins = ("tests.support.office_fixtures",)


async def gathered(ledger, figures=None, *, connected=True):
    app = create_app(OfficeSettings(), ledger, lambda: connected, None, lambda: figures or IngestFigures())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_what_a_monitor_reads(ledger):
    await ledger.record([Sender().batch(headcount("v1", 3)), Sender("van-2").batch(headcount("v2", 4))])
    totals = {"e1": {"people": 9, "corrected": 0, "sessions": 2}}
    await ledger.record([presence(totals=totals, heads={"visits": 5}, waiting=4)])
    await ledger.record([intake.read(message("im/v1/van-1/up/visits", b"garbage"))])
    found = await ledger.check()
    await ledger.change(lambda database: checks.save(database, found))
    await ledger.change(lambda database: database.query("update recount set broken = 2, differences = 5"))
    told = await gathered(ledger, IngestFigures(10, 8, 1, 1, 2, workers=3, restarts=4))
    assert told["infomobil_people_reached",] == 13
    assert told["infomobil_people_in_ledger",] == 7
    assert told["infomobil_lab_online", "van-1"] == 1
    assert told["infomobil_lab_online", "van-2"] == 0
    assert told["infomobil_lab_seen_timestamp_seconds", "van-1"] == NOW_NS / 1e9
    assert told["infomobil_lab_waiting_facts", "van-1"] == 4
    assert (told["infomobil_quarantined_total",], told["infomobil_quarantine_unseen",]) == (1, 1)
    assert (told["infomobil_ingest_messages_total",], told["infomobil_ingest_facts_total",]) == (10, 8)
    assert (told["infomobil_ingest_workers",], told["infomobil_ingest_restarts_total",]) == (3, 4)
    assert (told["infomobil_check_differences",], told["infomobil_check_broken_links",]) == (5, 2)
    assert told["infomobil_check_timestamp_seconds",] == NOW_NS / 1e9
    assert (told["infomobil_ledger_up",], told["infomobil_broker_up",]) == (1, 1)


async def test_before_the_first_check_nothing_is_said_of_one(ledger):
    told = await gathered(ledger, connected=False)
    assert told["infomobil_broker_up",] == 0
    assert not any(name[0].startswith("infomobil_check_") for name in told)


async def test_a_ledger_that_is_away_is_told(tmp_path):
    token = tmp_path / "token"
    token.write_text("a token for the collector")
    ledger = Ledger(f"postgresql://postgres@/office?host={tmp_path}")
    settings = OfficeSettings.model_validate({"http": {"metrics_token_file": str(token)}})
    app = create_app(settings, ledger, lambda: True, None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        told = (await http.get("/metrics", headers={"authorization": f"Bearer {token.read_text()}"})).text
    await ledger.close()
    assert "infomobil_ledger_up 0.0" in told
    assert "infomobil_people_reached" not in told


async def test_a_labs_health_is_shown_as_it_said_it_last(ledger):
    app = create_app(OfficeSettings(), ledger, lambda: True, None)
    first = {"disk_free_mb": 900, "disk_state": "tight", "bad": float("inf"), "text": "x" * 300, "half": "\ud800"}
    said = presence()
    await ledger.record([replace(said, presence=replace(said.presence, health=first))])
    await ledger.record([presence("van-2")])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        one, two = (await http.get("/api/labs")).json()
        assert one["health"] == {"disk_free_mb": 900, "disk_state": "tight", "text": "x" * 200, "half": "\ufffd"}
        assert two["health"] == {}
        await ledger.record([presence(health={"disk_free_mb": 5}, received_ns=NOW_NS + 1)])
        assert (await http.get("/api/labs")).json()[0]["health"] == {"disk_free_mb": 5}
