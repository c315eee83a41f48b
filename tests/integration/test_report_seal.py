# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of the ledger, and whether a report that names it still stands."""

import asyncio
import uuid

import httpx
import pytest
from typer.testing import CliRunner

from office.api import create_app, report_calls
from office.cli import app as cli
from office.config import OfficeSettings
from office.ledger import Ledger, figures, seals
from office.ledger.corrections import Correction, correct
from office.ledger.figures import Period
from tests.support.office import NOW_NS, Sender, headcount, tap
from tests.support.reports import season

pytest_plugins = ("tests.support.office_fixtures",)


@pytest.fixture(autouse=True)
def _always_anew(monkeypatch):
    monkeypatch.setattr(report_calls, "FRESH_NS", 0)


async def digest(ledger):
    app = create_app(OfficeSettings(), ledger, lambda: True, None)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090") as client:
        return (await client.get("/api/digest")).json()


def ask(database_url, tmp_path, digest):
    config = tmp_path / "office.toml"
    config.write_text(f'database = "{database_url}"\n', encoding="utf-8")
    return CliRunner().invoke(cli, ["verify", digest, "--config", str(config)])


async def verdict(ledger, name):
    def question(database):
        return seals.verify(database, seals.find(database, bytes.fromhex(name)))

    return await ledger.read(question)


async def test_the_digest_is_the_same_in_whatever_order_the_facts_came(database_url, ledger, tmp_path):
    await ledger.record(season())
    found = await digest(ledger)
    assert (len(found["digest"]), found["events"]) == (64, 39)
    other = Ledger(f"sqlite:///{tmp_path / 'other.sqlite3'}", now_ns=lambda: NOW_NS)
    for batch in reversed(season()):
        await other.record([batch])
    assert (await digest(other))["digest"] == found["digest"]
    await other.close()


async def test_a_report_still_stands_when_the_ledger_has_grown(database_url, ledger, tmp_path):
    lab = Sender(epoch="e9")
    await ledger.record([*season(), lab.batch(headcount("v1", 5))])
    lost = lab.batch(headcount("v1", 7))
    await ledger.record([lab.batch(headcount("v1", 9)), *season("van-2")])
    found = await digest(ledger)
    await ledger.record([lost, lab.batch(tap("s9"))])
    assert (await digest(ledger))["digest"] != found["digest"]
    result = await asyncio.to_thread(ask, database_url, tmp_path, found["digest"])
    assert result.exit_code == 0, result.output
    assert "It stands: the facts are those that came, and add up to 82 again." in result.output


async def test_a_page_that_asks_over_and_over_makes_one_seal(ledger, monkeypatch):
    monkeypatch.setattr(report_calls, "FRESH_NS", 600_000_000_000)
    first = await digest(ledger)
    await ledger.record(season())
    assert await digest(ledger) == first
    monkeypatch.setattr(report_calls, "FRESH_NS", 0)
    assert (await digest(ledger))["events"] == 39
    assert await ledger.read(lambda database: database.query("select count(*) from seal")) == [(2,)]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("update event set body = replace(body, '20', '21') where type = 'visit.headcount'", "add up to 35 people"),
        ("update event set body = replace(body, '20', '21') where type = 'visit.headcount'", "are not those that came"),
        ("delete from event where type = 'kiosk.session'", "facts are there"),
        ("delete from batch", "the batch that ended with"),
        ("update feed set lab = 'van-7'", "is not there"),
        (
            "update seal set heads = (select heads from seal where events = 0) where events > 0",
            "was changed in the ledger",
        ),
    ],
)
async def test_whatever_was_altered_is_found(ledger, statement, words):
    empty = (await digest(ledger))["digest"]
    await ledger.record(season())
    found = (await digest(ledger))["digest"]
    assert (await verdict(ledger, found)).faults == (await verdict(ledger, empty)).faults == ()
    await ledger.change(lambda database: database.query(statement))
    assert words in " ".join((await verdict(ledger, found)).faults)


async def test_a_correction_of_the_office_is_sealed_and_told_like_any_other(ledger):
    await ledger.record(season())
    wanted = Correction("van-1", "v1", str(uuid.uuid4()), "5a", "pupil", 3, "a group was forgotten")
    await ledger.change(lambda database: correct(database, wanted, "ona", NOW_NS))
    found = await verdict(ledger, (await digest(ledger))["digest"])
    assert (found.faults, found.counted) == ((), 37)
    rows = await ledger.read(lambda database: figures.corrections(database, Period(), 10))
    assert {(row.by, row.people, row.first, row.corrected) for row in rows} == {
        ("operator", -1, 20, 22),
        ("office", 3, 20, 22),
    }
    assert (await ledger.recount()).differences == ()


async def test_the_command_says_what_does_not_stand(database_url, ledger, tmp_path):
    await ledger.record(season())
    found = (await digest(ledger))["digest"]
    await ledger.change(lambda database: database.query("delete from event where type = 'visit.closed'"))
    result = await asyncio.to_thread(ask, database_url, tmp_path, found)
    assert result.exit_code == 1
    assert "It does not stand" in result.output


def test_a_digest_that_is_none_and_a_ledger_that_is_away_are_said(tmp_path):
    url = f"sqlite:///{tmp_path / 'office.sqlite3'}"
    assert "No report with this digest" in ask(url, tmp_path, "ab" * 32).output
    assert ask(url, tmp_path, "ab" * 32).exit_code == 1
    assert ask(url, tmp_path, "none").exit_code == 2
    result = ask(f"postgresql://postgres@/office?host={tmp_path}", tmp_path, "ab" * 32)
    assert result.exit_code == 2
    assert "cannot be reached" in result.output
