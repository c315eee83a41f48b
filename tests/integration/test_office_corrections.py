# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections by the office on both databases: a new fact in its own feed, counted once, told with its name."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from office import intake
from office.facts import Rejected
from office.ledger import Ledger, audit, reading
from office.ledger.corrections import Correction, CorrectionRefused, VisitUnknown, correct, entries, ledger_id
from tests.support.office import NOW_NS, Sender, closed, headcount, message, opened, presence
from wire.batch import Batch, WireEvent
from wire.codec import batch_hash

pytest_plugins = ("tests.support.office_fixtures",)

WANTED = Correction("van-1", "v1", "c-1", "5a", "pupil", -2, "Two went home before.")


async def visit_of(ledger, *more):
    lab = Sender()
    await ledger.record([lab.batch(opened("v1"), headcount("v1", 20), *more, closed("v1"))])
    return lab


def put(wanted, who="ona", now_ns=NOW_NS):
    return lambda database: correct(database, wanted, who, now_ns)


def told(database):
    return entries(database, "van-1", "v1")


async def test_both_values_stay_in_sight(ledger):
    await visit_of(ledger)
    assert await ledger.change(put(WANTED, now_ns=NOW_NS + 10**9))
    rows = await ledger.read(told)
    assert [(row.seq, row.count, row.reason, row.by, row.who) for row in rows] == [
        (2, 20, "", "operator", None),
        (1, -2, "Two went home before.", "office", "ona"),
    ]
    assert rows[1].at.quality == "office"
    assert rows[1].at.from_ns == rows[1].at.to_ns == NOW_NS + 10**9
    (visit,) = await ledger.read(lambda database: reading.visits(database, 9, 0, None))
    assert visit.people == {"pupil": 18}
    assert await ledger.read(reading.totals) == reading.Totals(18, 18, 0)


async def test_a_correction_is_counted_again_and_chained_like_every_fact(ledger):
    await visit_of(ledger)
    for number, count in enumerate((-2, 1, -3), 1):
        await ledger.change(put(replace(WANTED, id=f"c-{number}", count=count)))
    assert (await ledger.recount()).differences == ()
    assert (await ledger.read(reading.quality)).alarms == 0
    chain = await ledger.read(
        lambda database: database.query(
            "select batch.first, batch.last, batch.sha256, batch.prev from batch join feed on feed.id = batch.feed"
            " where feed.boot = 'office' order by batch.first"
        )
    )
    assert [(first, last) for first, last, *_ in chain] == [(1, 1), (2, 2), (3, 3)]
    assert [prev for *_, prev in chain] == [None, *(sha for *_, sha, _ in chain[:-1])]
    (lab,) = await ledger.read(reading.labs)
    assert (lab.gaps, lab.ledger_people) == ([], 16)


async def test_the_chain_is_made_of_what_the_wire_would_carry(ledger):
    await visit_of(ledger)
    await ledger.change(put(WANTED))
    epoch = "office-" + await ledger.change(ledger_id)
    body = {
        "visit": "v1",
        "group": "5a",
        "role": "pupil",
        "count": -2,
        "reason": "Two went home before.",
        "entry": "c-1",
        "by": "office",
    }
    event = WireEvent("visit.headcount", body, NOW_NS, NOW_NS)
    expected = batch_hash(Batch("van-1", "visits", epoch, "office", 1, None, (event,)))
    rows = await ledger.read(
        lambda database: database.query(
            "select batch.sha256 from batch join feed on feed.id = batch.feed where feed.epoch = ?", (epoch,)
        )
    )
    assert [bytes(sha) for (sha,) in rows] == [expected]


async def test_the_same_id_counts_once(ledger):
    await visit_of(ledger)
    assert await ledger.change(put(WANTED))
    assert not await ledger.change(put(WANTED))
    assert not await ledger.change(put(replace(WANTED, count=-5)))
    assert (await ledger.read(reading.totals)).ledger == 18
    assert await ledger.read(audit.count) == 1


async def test_who_and_when_stand_in_the_audit_and_not_in_the_fact(ledger):
    await visit_of(ledger)
    await ledger.change(put(WANTED, who="ona"))
    (row,) = await ledger.read(lambda database: audit.page(database, 9, 0))
    assert (row.who, row.what, row.lab, row.at_ns) == ("ona", "correction", "van-1", NOW_NS)
    assert (row.facts["before"], row.facts["after"]) == (20, 18)
    assert WANTED.reason not in f"{row.text} {row.facts}"
    bodies = await ledger.read(lambda database: database.query("select body from event"))
    assert not any("ona" in body for (body,) in bodies)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"count": -21}, "20 people"),
        ({"count": -1, "group": "5b"}, "0 people"),
        ({"count": -1, "role": "teacher"}, "0 people"),
        ({"count": 0}, "1 to 10000"),
        ({"count": 10_001}, "1 to 10000"),
        ({"reason": "  "}, "no reason"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(ledger, changes, why):
    await visit_of(ledger)
    with pytest.raises(CorrectionRefused, match=why):
        await ledger.change(put(replace(WANTED, **changes)))
    assert await ledger.read(audit.count) == 0
    assert len(await ledger.read(told)) == 1
    assert (await ledger.recount()).differences == ()
    assert await ledger.change(put(replace(WANTED, count=-20)))


async def test_an_unknown_visit_is_refused(ledger):
    for lab, visit in (("van-1", "v1"), ("van-2", "v1")):
        with pytest.raises(VisitUnknown, match=f"{lab} has told of no visit {visit}"):
            await ledger.change(put(replace(WANTED, lab=lab, visit=visit)))
    await visit_of(ledger)
    with pytest.raises(VisitUnknown):
        await ledger.change(put(replace(WANTED, visit="v2")))


async def test_labs_do_not_share_a_feed_but_the_ledger_has_one_id(ledger):
    for name in ("van-1", "van-2"):
        await ledger.record([Sender(lab=name).batch(opened("v1"), headcount("v1", 20))])
        await ledger.change(put(replace(WANTED, lab=name)))
    rows = await ledger.read(
        lambda database: database.query("select lab, epoch, newest, watermark from feed where boot = 'office'")
    )
    assert sorted(lab for lab, *_ in rows) == ["van-1", "van-2"]
    assert {row[1:] for row in rows} == {("office-" + await ledger.change(ledger_id), 1, 1)}


async def test_a_correction_does_not_make_a_lab_look_alive(ledger):
    await ledger.record([presence(epoch="e1")])
    await visit_of(ledger)
    await ledger.change(put(WANTED, now_ns=NOW_NS + 10**12))
    (lab,) = await ledger.read(reading.labs)
    assert (lab.seen_ns, lab.epoch) == (NOW_NS, "e1")


async def test_the_vans_word_and_the_offices_correction_add_up(ledger):
    """Presence counts what the van counted, and knows nothing of the office's feed."""
    await visit_of(ledger)
    await ledger.record([presence(totals={"e1": {"people": 45, "corrected": 0, "sessions": 0}})])
    await ledger.change(put(WANTED))
    assert await ledger.read(reading.totals) == reading.Totals(43, 18, 0)


async def test_many_at_once_are_one_gapless_feed(database_url):
    one, two = Ledger(database_url, now_ns=lambda: NOW_NS), Ledger(database_url, now_ns=lambda: NOW_NS)
    try:
        await visit_of(one)
        await two.read(reading.totals)
        turns = itertools.cycle((one, two))
        await asyncio.gather(
            *(next(turns).change(put(replace(WANTED, id=f"c-{number % 10}", count=-1))) for number in range(20))
        )
        assert (await one.read(reading.totals)).ledger == 10
        rows = await one.read(told)
        assert sorted(row.seq for row in rows if row.by == "office") == list(range(1, 11))
        assert (await one.recount()).differences == ()
        assert (await one.read(audit.verify)).rows == 10
        assert (await one.read(reading.quality)).alarms == 0
    finally:
        await one.close()
        await two.close()


@pytest.mark.parametrize("visit", ["v%1", "v_1", "v!1", 'v"1', "v\\1", "vė1", "v'1"])
async def test_entries_of_a_visit_are_found_whatever_its_id_holds(ledger, visit):
    await ledger.record([Sender().batch(opened(visit), headcount(visit, 20), headcount("v1", 3), headcount("vx1", 4))])
    assert [entry.count for entry in await ledger.read(lambda database: entries(database, "van-1", visit))] == [20]


async def test_no_lab_can_claim_an_epoch_of_the_office():
    claim = intake.read(message("im/v1/van-1/up/visits", Sender(epoch="office-0123").payload([headcount("v1", 3)])))
    assert isinstance(claim, Rejected)
    assert "office's own" in claim.reason
    counters = {"people": 1, "corrected": 0, "sessions": 0}
    for word in (
        presence(epoch="office-1"),
        presence(closed={"office-1": {"visits": 3}}),
        presence(totals={"office-1": counters}),
    ):
        assert isinstance(word, Rejected)
        assert "office's own" in word.reason
