# SPDX-License-Identifier: GPL-3.0-or-later
"""The nightly check: when it runs, what it finds, and what it leaves behind, over a ledger of each kind."""

import asyncio
import sqlite3
import time as system_time
from datetime import UTC, datetime, time, timedelta

import pytest
import zstandard
from typer.testing import CliRunner

from office import nightly
from office.cli import app as cli
from office.errors import LedgerUnavailable
from office.ledger import Ledger, audit, checks, verify
from office.ledger.checks import Checked
from office.nightly import Nightly, due
from tests.support.office import NOW_NS, Sender, headcount, job, opened, tap
from wire.batch import Batch, WireEvent
from wire.codec import batch_json

pytest_plugins = ("tests.support.office_fixtures",)

AT = time(3, 15)
VISITS = "(select id from feed where stream = 'visits')"


@pytest.fixture
async def filled(ledger):
    lab, shop = Sender(), Sender(stream="jobs")
    batches = [lab.batch(opened("v1"), headcount("v1", n), tap(f"s{n}", "v1")) for n in range(1, 5)]
    # In any order, and one of them twice: that is no fault.
    for batch in (batches[2], batches[0], batches[3], batches[1], batches[1]):
        await ledger.record([batch])
    await ledger.record([shop.batch(job("j1", "FINISHED", actual_s=61.5, lines=2**40, reason="ąžuolas"))])
    return ledger


async def found(ledger):
    result = await ledger.check()
    return result.chains.broken, result.sentences()


async def test_facts_give_the_very_bytes_that_came(filled):
    result = await filled.check()
    assert (result.good, result.sentences()) == (True, [])
    assert (result.recount.facts, result.chains.batches) == (13, 5)


@pytest.mark.parametrize(
    ("sql", "broken", "words"),
    [
        (
            "update event set body = replace(body, '\"count\":3', '\"count\":4') where feed = {visits}",
            1,
            "are not those that came",
        ),
        (
            "update event set wall_ns = wall_ns + 1 where feed = {visits} and seq = 12",
            1,
            "the facts 10-12 are not those",
        ),
        ("update event set body = '[]' where feed = {visits} and seq = 12", 1, "the facts 10-12 are not those"),
        (
            "update event set body = '' where feed = {visits} and seq = 12",
            1,
            "10-12",
        ),
        ("delete from event where feed = {visits} and seq = 5", 2, "11 facts are there, 12 came"),
        (
            "update batch set sha256 = prev where feed = {visits} and first = 4",
            2,
            "batch 7-9 does not follow the one before",
        ),
        ("delete from batch where feed = {visits} and first = 1", 0, ""),
        (
            "update batch set prev = null where feed = {visits} and first = 7",
            2,
            "batch 7-9 does not follow the one before",
        ),
    ],
)
async def test_whoever_alters_the_past_is_found_out(filled, sql, broken, words):
    await filled.change(lambda database: database.query(sql.replace("{visits}", VISITS)))
    if "'[]'" in sql or "body = ''" in sql:
        # Such a body stops no check of the chains; the recount has its own to say about it.
        chains = await filled.read(verify.verify)
        assert (chains.broken, words in str(chains.named)) == (broken, True)
        return
    count, sentences = await found(filled)
    assert count == broken
    assert any(words in sentence for sentence in sentences) or not words


async def test_an_altered_audit_is_found_out(filled):
    await filled.change(lambda database: audit.write(database, "ann", "account", None, "Account ben was made."))
    await filled.change(lambda database: database.query("update audit set who = 'cat'"))
    result = await filled.check()
    assert (result.good, result.broken, result.audit_broken_at) == (False, 1, 1)
    assert "the audit is not as it was written from row 1 on" in result.sentences()


async def test_a_long_list_is_cut(filled, monkeypatch):
    monkeypatch.setattr(verify, "MOST_NAMED", 1)
    await filled.change(lambda database: database.query("update event set wall_ns = 0"))
    chains = (await filled.check()).chains
    assert (chains.broken, len(chains.named)) == (5, 1)


async def test_batches_are_looked_at_in_pages(filled, monkeypatch):
    monkeypatch.setattr(verify, "CHUNK", 2)
    assert (await filled.check()).chains.batches == 5


class Clock:
    """A UTC clock that moves when told."""

    def __init__(self, text):
        self.now = datetime.fromisoformat(text)

    def __call__(self):
        return self.now


@pytest.fixture
def vilnius(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Vilnius")
    system_time.tzset()
    yield
    monkeypatch.undo()
    system_time.tzset()


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T01:15:00+00:00", "2026-11-23T01:15:00+00:00"),
        ("2026-11-23T01:14:59+00:00", "2026-11-22T01:15:00+00:00"),
        ("2026-11-23T22:30:00+00:00", "2026-11-23T01:15:00+00:00"),
        ("2026-07-01T12:00:00+00:00", "2026-07-01T00:15:00+00:00"),
        # Summer time began at 03:00: this night had no 03:15, and is not left out for that.
        ("2026-03-29T12:00:00+00:00", "2026-03-29T00:15:00+00:00"),
        ("2026-03-30T12:00:00+00:00", "2026-03-30T00:15:00+00:00"),
    ],
)
def test_it_is_due_at_the_local_time_of_day(vilnius, now, expected):
    assert due(AT, datetime.fromisoformat(now)).astimezone(UTC) == datetime.fromisoformat(expected)


async def test_it_runs_once_a_night_and_makes_up_what_was_missed(database_url):
    clock = Clock("2030-03-17T18:00:00+00:00")
    ledger = Ledger(database_url, now_ns=lambda: round(clock.now.timestamp() * 1e9))
    task = Nightly(ledger, AT, now=clock)
    try:
        # A new office has nothing to make up, and waits for its first night.
        assert [await task.look(), await task.look()] == [False, False]
        clock.now += timedelta(days=1)
        assert [await task.look(), await task.look()] == [True, False]
        # Off for a week: one check makes up for all of them.
        clock.now += timedelta(days=7)
        assert [await Nightly(ledger, AT, now=clock).look(), await task.look()] == [True, False]
        # A clock that was set back asks for no check of a night that had one.
        clock.now -= timedelta(days=3)
        assert not await task.look()
        rows = await ledger.read(lambda database: audit.page(database, 10, 0))
    finally:
        await ledger.close()
    assert [(row.who, row.what) for row in rows] == [("", "recount")] * 2
    assert rows[0].text == "0 facts, 0 figures and 0 batches were checked: all agree."


async def test_what_does_not_agree_is_an_alarm(filled, caplog):
    clock = Clock("2030-03-17T18:00:00+00:00")
    task = Nightly(filled, AT, now=clock)
    assert not await task.look()
    assert await filled.read(checks.last) is None
    await filled.change(lambda database: database.query("update lab_role set people = people + 1"))
    await filled.change(
        lambda database: database.query(f"update event set wall_ns = 0 where feed = {VISITS} and seq = 12")
    )
    clock.now += timedelta(days=1)
    assert await task.look()
    kept = await filled.read(checks.last)
    assert isinstance(kept, Checked)
    assert (kept.at_ns, kept.facts, kept.batches, kept.differences, kept.broken) == (NOW_NS, 13, 5, 1, 1)
    assert "role van-1/pupil: (11, 0) is kept, (10, 0) was counted" in kept.detail
    alarm, row = await filled.read(lambda database: audit.page(database, 2, 0))
    assert (alarm.what, row.what) == ("alarm", "recount")
    assert row.text.endswith("1 figures differ and 1 links are broken.")
    assert alarm.facts == row.facts
    assert "the facts 10-12 are not those that came" in caplog.text
    assert (await filled.read(audit.verify)).broken_at is None


async def test_only_so_many_records_are_kept(filled, monkeypatch):
    monkeypatch.setattr(checks, "KEPT", 2)
    result = await filled.check()
    for _ in range(4):
        await filled.change(lambda database: checks.save(database, result))
    ((count,),) = await filled.read(lambda database: database.query("select count(*) from recount"))
    assert count == 2


async def test_a_ledger_that_is_away_is_asked_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(nightly, "RETRY_S", 0.01)
    monkeypatch.setattr(nightly, "LOOK_S", 0.01)
    monkeypatch.setattr("office.ledger.sqlite.BUSY_TIMEOUT_MS", 10)
    path = tmp_path / "office.sqlite3"
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("begin exclusive")
    ledger = Ledger(f"sqlite:///{path}")
    clock = Clock("2030-03-17T18:00:00+00:00")
    task = asyncio.create_task(Nightly(ledger, AT, now=clock).run())
    try:
        async with asyncio.timeout(20):
            while "the nightly check waits" not in caplog.text:
                await asyncio.sleep(0.01)
            blocker.execute("rollback")
            while (await ledger.read(lambda database: database.query("select 1 from figure"))) == []:
                await asyncio.sleep(0.01)
            clock.now += timedelta(days=1)
            while await ledger.read(checks.last) is None:
                await asyncio.sleep(0.01)
    finally:
        blocker.close()
        task.cancel()
        await asyncio.wait({task})
        await ledger.close()


async def test_a_check_under_way_ends_with_the_office(filled, monkeypatch):
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def endless(database):
        while True:
            database.query("select 1")
            loop.call_soon_threadsafe(begun.set)

    monkeypatch.setattr(checks, "recount", endless)
    task = asyncio.create_task(filled.check())
    await begun.wait()
    await filled.close()
    with pytest.raises(LedgerUnavailable, match="the office ends"):
        await task


async def test_the_command_says_what_does_not_agree(tmp_path):
    config = tmp_path / "office.toml"
    config.touch()
    ledger = Ledger(f"sqlite:///{tmp_path / 'office.sqlite3'}")
    await ledger.record([Sender().batch(headcount("v1", 3))])
    good = await asyncio.to_thread(CliRunner().invoke, cli, ["recount", "-c", str(config)])
    assert (good.exit_code, "1 batches: all agree" in good.output) == (0, True)
    await ledger.change(lambda database: database.query("update event set boot_ns = 1"))
    bad = await asyncio.to_thread(CliRunner().invoke, cli, ["recount", "-c", str(config)])
    assert bad.exit_code == 1
    assert "van-1, visits of epoch e1: the facts 1-1 are not those that came" in bad.output
    assert "counted again" not in bad.output
    await ledger.close()


def state(**more):
    body = {"machine": "router", "availability": "AVAILABLE", "execution": "ACTIVE", **more}
    return WireEvent("machine.state", body, 1, 1)


async def test_facts_that_came_again_cut_otherwise_are_those_that_came(ledger):
    """The lab's disk lost what lay between, so it cut the facts behind it anew, without the column of the first one."""
    lab = Sender(stream="metrics")
    await ledger.record([lab.batch(state(x=1.0), state(), state())])
    lost = {"stream": "metrics", "epoch": "e1", "first": 2, "last": 2, "reason": "lost"}
    await ledger.record([Sender(stream="safety", epoch="e2").batch(WireEvent("stream.gap", lost, 1, 1))])
    await ledger.record([Sender(stream="metrics", next_seq=3).batch(state(), state())])
    result = await ledger.check()
    assert (result.chains.batches, result.sentences()) == (3, [])
    # The second batch is watched like any other: its own fact, and the one that it shares with the first.
    for seq, broken in ((4, 1), (3, 2)):
        await ledger.change(
            lambda database, seq=seq: database.query("update event set wall_ns = wall_ns + 1 where seq = ?", (seq,))
        )
        assert (await ledger.check()).chains.broken == broken


@pytest.mark.parametrize(
    "column",
    [
        '{"machine":["router"],"reason":["unknown"],"seconds":[1e999]}',
        '{"machine":["router"],"reason":["unknown"],"seconds":[NaN]}',
        '{"reason":["unknown"], "machine":["router"],"seconds":[1.50]}',
        '{"machine":["router"],"reason":["\\ud800"]}',
    ],
)
async def test_what_no_lab_of_ours_writes_is_no_alarm_each_night(ledger, column):
    lab = Sender(stream="jobs")
    raw = batch_json(Batch("van-1", "jobs", "e1", "b1", 1, None, (WireEvent("machine.gap", {}, 1, 1),)))
    foreign = raw.replace(b'"machine.gap":{}', b'"machine.gap":' + column.encode())
    assert foreign != raw
    await ledger.record([lab.read(zstandard.ZstdCompressor().compress(foreign))])
    result = await ledger.check()
    assert (result.chains.batches, result.sentences()) == (1, [])
    # It is watched like any other, and so is what is kept of it beside its facts.
    for sql, broken in (
        ("update event set wall_ns = 2", 1),
        ("update event set wall_ns = 1", 0),
        ("update batch set payload = substr(payload, 2)", 1),
        ("update batch set payload = null", 1),
        ("delete from event", 2),
    ):
        await ledger.change(lambda database, sql=sql: database.query(sql))
        assert (await ledger.check()).chains.broken == broken
