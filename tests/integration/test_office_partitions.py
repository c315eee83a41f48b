# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts and batches on PostgreSQL are split by lab, and what was there before is moved."""

import pytest

from office.ledger import Ledger, migrations, reading
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.steps import MIGRATIONS
from office.ledger.steps.partitions import PARTITIONS
from tests.support.office import Sender, headcount, tap

pytest_plugins = ("tests.support.office_fixtures",)

LABS = [f"van-{number}" for number in range(40)]


@pytest.fixture
async def ledger(postgres):
    opened = Ledger(postgres.new_database())
    yield opened
    await opened.close()


async def test_a_lab_is_in_one_partition_and_labs_are_spread(ledger):
    for lab in LABS:
        for epoch in ("e1", "e2"):
            feeds = Sender(lab, epoch=epoch), Sender(lab, "safety", epoch)
            await ledger.record([feed.batch(headcount("v1", 1)) for feed in feeds])

    def places(database):
        return {
            table: database.query(
                f"select feed.lab, count(distinct {table}.tableoid) from {table}"
                f" join feed on feed.id = {table}.feed group by feed.lab"
            )
            for table in ("event", "batch")
        }

    for rows in (await ledger.read(places)).values():
        assert sorted(rows) == sorted((lab, 1) for lab in LABS)
    for table in ("event", "batch"):
        sql = f"select count(distinct tableoid) from {table}"
        ((used,),) = await ledger.read(lambda database, sql=sql: database.query(sql))
        assert PARTITIONS / 2 < used <= PARTITIONS
    assert (await ledger.check()).good


async def test_a_question_by_feed_looks_into_one_partition(ledger):
    await ledger.record([Sender().batch(headcount("v1", 1), tap("s1", "v1"))])

    def plan(database):
        ((feed,),) = database.query("select id from feed")
        return str(database.query("explain select body from event where feed = ? and seq > 0 order by seq", (feed,)))

    told = await ledger.read(plan)
    assert sum(f"event_{number:02}" in told for number in range(PARTITIONS)) == 1


async def test_what_was_there_before_is_moved(postgres, monkeypatch):
    url = postgres.new_database()
    database = connect(url)
    monkeypatch.setattr(migrations, "MIGRATIONS", [step for step in MIGRATIONS if step.number < 7])
    migrate(database)
    batches = {}
    with database.transaction(write=True):
        for number, lab in enumerate(LABS, start=1):
            batch = batches[lab] = Sender(lab).batch(headcount("v1", number), tap("s1", "v1"))
            database.query(
                "insert into feed (lab, stream, epoch, boot, watermark, newest, ranges)"
                " values (?, 'visits', 'e1', 'b1', 2, 2, '[[1,2]]')",
                (lab,),
            )
            for fact in batch.facts:
                database.query(
                    "insert into event values (?, ?, ?, 'understood', ?, ?, 1, ?)",
                    (number, fact.seq, fact.type, fact.boot_ns, fact.wall_ns, fact.body_json),
                )
            database.query("insert into batch values (?, 1, 2, ?, null, 1)", (number, batch.sha256))
            database.query("insert into alarm values (?, 'chain', 1, ?, 1)", (number, f"of {lab}"))
    monkeypatch.undo()
    assert migrate(database) == MIGRATIONS[-1].number
    database.close()
    ledger = Ledger(url)
    try:
        chains = (await ledger.check()).chains
        assert (chains.batches, chains.broken) == (len(LABS), 0)
        alarms = await ledger.read(
            lambda found: found.query("select feed.lab, detail from alarm join feed on feed.id = alarm.feed")
        )
        assert sorted(alarms) == sorted((lab, f"of {lab}") for lab in LABS)
        # What comes again is known, what follows goes beside it, and no number is given twice.
        assert (await ledger.record([batches["van-7"]])).duplicates == 1
        feed = Sender("van-7", next_seq=3, prev=batches["van-7"].sha256)
        done = await ledger.record([feed.batch(headcount("v1", 5)), Sender("van-7", epoch="e2").batch(tap("s9"))])
        assert [ack.watermark for _, ack in done.acks] == [3, 1]
        ((count, tables),) = await ledger.read(
            lambda found: found.query(
                "select count(*), count(distinct event.tableoid) from event join feed on feed.id = event.feed"
                " where lab = 'van-7'"
            )
        )
        assert (count, tables) == (4, 1)
        assert (await ledger.read(reading.totals)).ledger >= 5
        assert (await ledger.check()).chains.broken == 0
        # The keys hold: no fact twice.
        indexes = await ledger.read(
            lambda found: found.query("select indexname from pg_indexes where tablename in ('event', 'batch')")
        )
        assert {"event_pkey", "batch_pkey", "batch_last"} <= {name for (name,) in indexes}
        references = await ledger.read(
            lambda found: found.query(
                "select conrelid::regclass::text from pg_constraint where confrelid = 'feed'::regclass"
                " and contype = 'f' and conparentid = 0"
            )
        )
        # Facts are only written while their feed's row is locked; to look it up for each costs as much as writing it.
        assert {"batch", "alarm"} <= {name for (name,) in references}
        assert "event" not in {name for (name,) in references}
    finally:
        await ledger.close()
