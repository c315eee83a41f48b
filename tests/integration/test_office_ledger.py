# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger on SQLite and on PostgreSQL: the same tests, because it is the same promise."""

import asyncio
import itertools
import sqlite3
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from office import intake
from office.errors import LedgerUnavailable
from office.facts import ReceivedBatch
from office.ledger import Ledger, reading, sqlite, writer
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from tests.support import facts
from tests.support.office import (
    NOW_NS,
    Sender,
    closed,
    headcount,
    job,
    message,
    opened,
    presence,
    tap,
    watched,
)
from wire.batch import WireEvent

pytest_plugins = ("tests.support.office_fixtures",)


def people(count: int, corrected: int = 0, sessions: int = 0) -> dict[str, int]:
    return {"people": count, "corrected": corrected, "sessions": sessions}


async def test_a_batch_is_counted_and_acknowledged(ledger):
    lab = Sender()
    done = await ledger.record([lab.batch(opened("v1"), headcount("v1", 20), headcount("v1", 2, "teacher"), tap("s1"))])
    ((name, ack),) = done.acks
    assert (name, ack.stream, ack.epoch, ack.watermark, ack.missing, ack.office_ns) == (
        "van-1",
        "visits",
        "e1",
        4,
        (),
        NOW_NS,
    )
    assert await ledger.read(reading.totals) == reading.Totals(22, 22, 1)
    assert await ledger.read(reading.daily) == [("2026-03-02", 22)]


async def test_a_duplicate_is_acknowledged_again_and_counted_once(ledger):
    lab = Sender()
    item = lab.batch(headcount("v1", 20))
    first = await ledger.record([item, item])
    again = await ledger.record([item])
    assert again.acks == first.acks
    assert (first.new, first.duplicates, again.new, again.duplicates) == (1, 1, 0, 1)
    assert (await ledger.read(reading.totals)).ledger == 20
    assert (await ledger.read(reading.quality)).duplicates == 2


async def test_a_hole_is_named_and_the_watermark_waits_for_it(ledger):
    lab = Sender()
    one, two, three, four = (lab.batch(headcount("v1", 1), headcount("v1", 1)) for _ in range(4))
    assert (await ledger.record([one])).acks[0][1].watermark == 2
    ((_, ack),) = (await ledger.record([four])).acks
    assert (ack.watermark, ack.missing) == (2, ((3, 6),))
    status = (await ledger.read(reading.labs))[0]
    assert status.gaps == [reading.Gap("visits", "e1", 3, 6)]
    ((_, ack),) = (await ledger.record([three, two])).acks
    assert (ack.watermark, ack.missing) == (8, ())
    assert (await ledger.read(reading.labs))[0].gaps == []
    assert (await ledger.read(reading.quality)).alarms == 0


async def test_two_epochs_stand_apart(ledger):
    old, new = Sender(epoch="e1"), Sender(epoch="e2")
    done = await ledger.record([new.batch(headcount("v1", 5)), old.batch(headcount("v1", 7))])
    assert [(ack.epoch, ack.watermark) for _, ack in done.acks] == [("e1", 1), ("e2", 1)]
    assert (await ledger.read(reading.totals)).ledger == 12


async def test_the_number_is_right_one_presence_after_connecting(ledger):
    lab = Sender()
    await ledger.record([lab.batch(headcount("v1", 20))])
    await ledger.record([presence(totals={"e0": people(100, 4, 9), "e1": people(45, 5, 3)})])
    assert await ledger.read(reading.totals) == reading.Totals(136, 20, 12)
    # An old word, or one of the past, takes nothing back.
    await ledger.record([presence(totals={"e1": people(1)})])
    assert (await ledger.read(reading.totals)).reached == 136
    await ledger.record([lab.batch(headcount("v1", 30), headcount("v1", -5))])
    assert await ledger.read(reading.totals) == reading.Totals(141, 45, 12)


async def test_only_the_pledged_roles_are_people_reached(ledger):
    await ledger.record([Sender().batch(*(headcount("v1", 3, role) for role in ("pupil", "teacher", "vet_trainer")))])
    assert (await ledger.read(reading.totals)).ledger == 6
    assert await ledger.read(reading.roles) == {"pupil": 3, "teacher": 3, "vet_trainer": 3}


async def test_closed_epochs_show_what_never_came(ledger):
    lab = Sender(epoch="e0")
    await ledger.record([lab.batch(headcount("v1", 1), headcount("v1", 1))])
    word = presence(epoch="e1", heads={"visits": 7}, closed={"e0": {"visits": 5, "jobs": 2}}, waiting=3)
    await ledger.record([word])
    status = (await ledger.read(reading.labs))[0]
    assert {(gap.stream, gap.epoch, gap.first, gap.last) for gap in status.gaps} == {
        ("visits", "e0", 3, 5),
        ("jobs", "e0", 1, 2),
    }
    assert status.waiting == 7 + 3 + 2
    await ledger.record([word, lab.batch(*(headcount("v1", 1) for _ in range(3)))])
    assert [gap.stream for gap in (await ledger.read(reading.labs))[0].gaps] == ["jobs"]


async def test_presence_of_a_lab_goes_online_and_offline(ledger):
    await ledger.record([presence(waiting=3, received_ns=NOW_NS)])
    gone = message("im/v1/van-1/presence", b'{"v":1,"state":"offline"}', NOW_NS + 5)
    await ledger.record([intake.read(gone)])
    status = (await ledger.read(reading.labs))[0]
    assert (status.state, status.software, status.waiting, status.seen_ns) == ("offline", "1.0", 3, NOW_NS)
    # A worker that was held up brings an older word: it does not win.
    await ledger.record([presence(received_ns=NOW_NS + 1)])
    assert (await ledger.read(reading.labs))[0].state == "offline"


async def test_the_late_will_of_an_epoch_that_was_left_behind_takes_no_lab_offline(ledger):
    await ledger.record([presence(epoch="e2")])
    for epoch, state in (("e1", "online"), ("e2", "offline")):
        will = b'{"v":1,"state":"offline","epoch":"%s"}' % epoch.encode()
        await ledger.record([intake.read(message("im/v1/van-1/presence", will, NOW_NS + 5))])
        assert (await ledger.read(reading.labs))[0].state == state


async def test_invalid_and_unknown_facts_are_kept_and_do_not_stall(ledger):
    lab = Sender()
    done = await ledger.record(
        [
            lab.batch(
                headcount("v1", 3),
                headcount("v1", 99_999),
                WireEvent("coffee.brewed", {"cups": 2}, 1, 1),
                headcount("v1", 4),
            )
        ]
    )
    assert done.acks[0][1].watermark == 4
    assert (await ledger.read(reading.totals)).ledger == 7
    assert (await ledger.read(reading.quality)).invalid == 1
    rows = await ledger.read(lambda db: db.query("select seq, standing from event order by seq"))
    assert rows == [(1, "understood"), (2, "invalid"), (3, "unknown"), (4, "understood")]


async def test_text_that_a_database_cannot_hold_does_not_stall(ledger):
    lab = Sender()
    done = await ledger.record([lab.batch(opened("v1", school="A\x00B"), headcount("v1", 3))])
    assert done.acks[0][1].watermark == 2
    (row,) = await ledger.read(lambda db: reading.visits(db, 10, 0, None))
    assert (row.school, row.people) == ("A\ufffdB", {"pupil": 3})


async def test_a_broken_chain_raises_an_alarm_and_is_taken_in(ledger):
    lab = Sender()
    first = lab.batch(headcount("v1", 1))
    lab.prev = bytes(32)
    second = lab.batch(headcount("v1", 1))
    await ledger.record([first, second])
    assert (await ledger.read(reading.totals)).ledger == 2
    (alarm,) = (await ledger.read(reading.labs))[0].alarms
    assert "visits 2-2 of epoch e1" in alarm


async def test_a_broken_chain_is_found_in_any_order(ledger):
    lab = Sender()
    first = lab.batch(headcount("v1", 1))
    lab.prev = bytes(32)
    second = lab.batch(headcount("v1", 1))
    await ledger.record([second])
    assert (await ledger.read(reading.quality)).alarms == 0
    await ledger.record([first])
    assert (await ledger.read(reading.quality)).alarms == 1


async def test_other_content_at_a_known_place_is_an_alarm_and_the_first_stays(ledger):
    await ledger.record([Sender().batch(headcount("v1", 1))])
    done = await ledger.record([Sender().batch(headcount("v1", 9))])
    assert done.acks[0][1].watermark == 1
    assert (await ledger.read(reading.totals)).ledger == 1
    assert "another content" in (await ledger.read(reading.labs))[0].alarms[0]


async def test_a_moved_cut_counts_only_what_is_new(ledger):
    await ledger.record([Sender().batch(headcount("v1", 1), headcount("v1", 2))])
    other = Sender(next_seq=2, prev=bytes(32))
    done = await ledger.record([other.batch(headcount("v1", 2), headcount("v1", 4))])
    assert done.acks[0][1].watermark == 3
    assert (await ledger.read(reading.totals)).ledger == 7
    assert any("the cut has moved" in alarm for alarm in (await ledger.read(reading.labs))[0].alarms)


async def test_visits_and_jobs_are_projected(ledger):
    lab, shop = Sender(), Sender(stream="jobs")
    await ledger.record(
        [
            lab.batch(headcount("v1", 20), tap("s1", "v1"), opened("v1", expected=24), closed("v1")),
            shop.batch(
                job("j1", "REQUESTED", guess_s=40.0), job("j1", "FINISHED", guess_s=40.0, actual_s=61.5, lines=900)
            ),
            lab.batch(opened("v2", school="Kauno mokykla", date="2026-03-03")),
        ]
    )
    newest, oldest = await ledger.read(lambda db: reading.visits(db, 10, 0, None))
    assert (newest.school, newest.open, newest.people) == ("Kauno mokykla", True, {})
    assert (oldest.expected, oldest.open, oldest.people, oldest.sessions) == (24, False, {"pupil": 20}, 1)
    assert await ledger.read(lambda db: reading.count_visits(db, "van-2")) == 0
    (made,) = await ledger.read(lambda db: reading.jobs(db, 10, 0))
    assert (made.state, made.guess_s, made.actual_s, made.lines) == ("FINISHED", 40.0, 61.5, 900)
    assert await ledger.read(reading.schools) == 2
    assert await ledger.read(reading.pieces) == 1


async def test_parts_gaps_and_loads_of_machines_are_added_up(ledger):
    shop = Sender(stream="jobs")
    jump = replace(facts.parts(5_000, 5_100), body={**facts.parts(5_000, 5_100).body, "doubtful": True})
    first = shop.batch(
        *map(watched, (facts.parts(2, 12), facts.gap(12.5, 3), facts.parts(3, 15, after_gap=True), jump))
    )
    second = shop.batch(*map(watched, (facts.gap(None), facts.loaded(), facts.loaded(reason="cut off"))))
    await ledger.record([first, second])
    await ledger.record([second, first])
    (row,) = await ledger.read(reading.machines)
    assert (row.lab, row.machine, row.parts, row.unseen, row.doubtful) == ("van-1", "lathe", 5, 3, 5_000)
    assert (row.gaps, row.gap_ms, row.loads, row.failed) == (2, 12_500, 1, 1)
    assert (await ledger.recount()).differences == ()
    assert (await ledger.read(reading.quality)).invalid == 0


async def test_numbers_that_no_machine_has_do_not_stall(ledger):
    shop = Sender(stream="jobs")
    most = 2**53
    longest = replace(facts.gap(1.0), body={**facts.gap(1.0).body, "seconds": 1e300})
    done = await ledger.record([shop.batch(*[watched(facts.parts(most, most))] * 3, watched(longest))])
    assert done.acks[0][1].watermark == 4
    (row,) = await ledger.read(reading.machines)
    assert (row.parts, row.gap_ms) == (3 * 10**9, 10**11)


async def test_what_is_set_aside_is_counted_and_bounded(ledger, monkeypatch):
    monkeypatch.setattr(writer, "QUARANTINE_ROWS", 3)
    bad = intake.read(message("im/v1/van-1/up/visits", b"\x00" * 5_000))
    for _ in range(3):
        await ledger.record([bad, bad])
    quality = await ledger.read(reading.quality)
    assert quality.quarantined == 6
    assert quality.last is not None
    assert quality.last[:2] == ("van-1", "visits")
    rows = await ledger.read(lambda db: db.query("select size, head from quarantine"))
    assert len(rows) == 3
    assert (rows[0][0], bytes(rows[0][1])) == (5_000, bytes(1_024))


async def test_recount_agrees_and_finds_a_figure_that_was_touched(ledger, database_url):
    lab, shop = Sender(), Sender(stream="jobs", epoch="e9")
    await ledger.record(
        [lab.batch(opened("v1"), headcount("v1", 20), headcount("v1", -2), tap("s1", "v1"), closed("v1"))]
    )
    await ledger.record([shop.batch(job("j1", "RUNNING"), job("j1", "REQUESTED")), presence()])
    result = await ledger.recount()
    assert (result.facts, result.differences) == (7, ())
    other = connect(database_url)
    with other.transaction(write=True):
        other.query("update lab_role set people = people + 1")
        other.query("delete from visit_count")
    other.close()
    result = await ledger.recount()
    assert {d.figure for d in result.differences} == {"role van-1/pupil", "visit van-1/v1/5a/pupil"}


async def test_migrating_twice_is_harmless_and_a_newer_schema_is_refused(database_url):
    database = connect(database_url)
    assert migrate(database) == migrate(database)
    with database.transaction(write=True):
        database.query("insert into migration values (999, 'of the future')")
    with pytest.raises(LedgerUnavailable, match="999"):
        migrate(database)
    database.close()


async def test_a_failed_group_leaves_nothing_behind(ledger, monkeypatch):
    def fail(*_: object) -> None:
        raise LedgerUnavailable(reason="power went out")

    lab = Sender()
    item = lab.batch(opened("v1"), headcount("v1", 20))
    with monkeypatch.context() as patch:
        patch.setattr(writer, "apply", fail)
        with pytest.raises(LedgerUnavailable):
            await ledger.record([item])
    assert await ledger.read(reading.totals) == reading.Totals(0, 0, 0)
    done = await ledger.record([item])
    assert done.new == 2


EVENTS = [
    opened("v1"),
    *(headcount("v1", count) for count in (5, 7, -2, 11)),
    tap("s1", "v1"),
    tap("s2"),
    opened("v1", school="Corrected name"),
    headcount("v2", 3, "vet_trainer"),
    closed("v1"),
    opened("v2"),
    headcount("v2", 99_999),
]


def everything(database):
    return {
        "totals": reading.totals(database),
        "daily": reading.daily(database),
        "roles": reading.roles(database),
        "visits": reading.visits(database, 100, 0, None),
        "machines": reading.machines(database),
        "jobs": [(row.job, row.state, row.reason) for row in reading.jobs(database, 100, 0)],
        "gaps": [lab.gaps for lab in reading.labs(database)],
    }


def feeds() -> list[ReceivedBatch]:
    """Two epochs of visits and one of jobs, cut in batches of several sizes."""
    items = []
    for epoch, step in (("e1", 2), ("e2", 5)):
        lab = Sender(epoch=epoch)
        items += [lab.batch(*EVENTS[i : i + step]) for i in range(0, len(EVENTS), step)]
    shop = Sender(stream="jobs")
    states = ("REQUESTED", "APPROVED", "RUNNING", "HELD", "RUNNING", "FAILED")
    items += [shop.batch(job("j1", state, reason=f"{n}")) for n, state in enumerate(states)]
    made = (facts.parts(2, 12), facts.gap(12.345, 3), facts.parts(3, 15, after_gap=True), facts.loaded())
    items += [shop.batch(watched(event)) for event in made]
    return items


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_order_and_multiplicity_gives_the_same_figures(kind, tmp_path, request):
    cluster = request.getfixturevalue("postgres") if kind == "postgresql" else None
    numbers = itertools.count()
    items = feeds()

    async def figures(delivery: list[int], group: int) -> object:
        url = cluster.new_database() if cluster else f"sqlite:///{tmp_path / f'{next(numbers)}.sqlite3'}"
        opened_ledger = Ledger(url)
        try:
            for i in range(0, len(delivery), group):
                await opened_ledger.record([items[n] for n in delivery[i : i + group]])
            assert (await opened_ledger.recount()).differences == ()
            return await opened_ledger.read(everything)
        finally:
            await opened_ledger.close()

    expected = asyncio.run(figures(list(range(len(items))), 100))

    @settings(max_examples=12 if cluster else 40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.permutations(range(len(items))),
        st.lists(st.sampled_from(range(len(items))), max_size=12),
        st.integers(1, 6),
    )
    def check(order, again, group):
        assert asyncio.run(figures([*again, *order], group)) == expected

    check()


async def test_two_workers_with_the_same_batches_count_once(postgres):
    url = postgres.new_database()
    one, two = Ledger(url), Ledger(url)
    items = []
    for name in ("van-1", "van-2", "van-3"):
        for epoch in ("e1", "e2"):
            lab = Sender(lab=name, epoch=epoch)
            items += [lab.batch(opened("v1"), *(headcount("v1", 1) for _ in range(40))) for _ in range(4)]
        items.append(presence(name, totals={"e1": people(1)}))

    async def deliver(worker: Ledger, order: list) -> int:
        new = 0
        for i in range(0, len(order), 5):
            while True:
                try:
                    new += (await worker.record(order[i : i + 5])).new
                    break
                except LedgerUnavailable:
                    continue
        return new

    try:
        counts = await asyncio.gather(deliver(one, items), deliver(two, items[::-1]))
        assert sum(counts) == 3 * 2 * 4 * 41
        assert (await one.read(reading.totals)).ledger == 3 * 2 * 4 * 40
        assert (await one.recount()).differences == ()
        assert (await one.read(reading.quality)).alarms == 0
    finally:
        await one.close()
        await two.close()


async def test_a_locked_file_is_unavailable_and_then_works(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "office.sqlite3"
    opened_ledger = Ledger(f"sqlite:///{path}")
    lab = Sender()
    await opened_ledger.record([lab.batch(headcount("v1", 1))])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("begin immediate")
    item = lab.batch(headcount("v1", 1))
    with pytest.raises(LedgerUnavailable, match="locked"):
        await opened_ledger.record([item])
    assert (await opened_ledger.read(reading.totals)).ledger == 1
    blocker.execute("rollback")
    blocker.close()
    assert (await opened_ledger.record([item])).acks[0][1].watermark == 2
    await opened_ledger.close()


async def test_a_full_disk_is_unavailable_and_nothing_of_the_group_stays(tmp_path):
    path = tmp_path / "office.sqlite3"
    opened_ledger = Ledger(f"sqlite:///{path}")
    lab = Sender()
    await opened_ledger.record([lab.batch(headcount("v1", 1))])
    connection = opened_ledger._writer._connection()
    (pages,) = connection.execute("pragma page_count").fetchone()
    connection.execute(f"pragma max_page_count = {pages}")
    item = lab.batch(*(headcount(f"visit-{n}", 1) for n in range(500)))
    with pytest.raises(LedgerUnavailable, match="full"):
        await opened_ledger.record([item])
    assert (await opened_ledger.read(reading.totals)).ledger == 1
    connection.execute("pragma max_page_count = 1000000")
    assert (await opened_ledger.record([item])).acks[0][1].watermark == 501
    await opened_ledger.close()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    path = tmp_path / "office.sqlite3"
    await asyncio.to_thread(path.write_bytes, b"this is a shopping list, not a database" * 50)
    opened_ledger = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailable, match="not a database"):
        await opened_ledger.record([])
    await opened_ledger.close()


async def test_a_server_that_went_away_is_unavailable_and_comes_back(postgres):
    url = postgres.new_database()
    opened_ledger = Ledger(url)
    lab = Sender()
    await opened_ledger.record([lab.batch(headcount("v1", 1))])
    await opened_ledger.read(reading.totals)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            (url.split("/")[3].split("?")[0],),
        )
    item = lab.batch(headcount("v1", 1))
    with pytest.raises(LedgerUnavailable):
        await opened_ledger.record([item])
    assert (await opened_ledger.record([item])).acks[0][1].watermark == 2
    with pytest.raises(LedgerUnavailable):
        await opened_ledger.read(reading.totals)
    assert (await opened_ledger.read(reading.totals)).ledger == 2
    await opened_ledger.close()


async def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    opened_ledger = Ledger(f"postgresql://postgres@/office?host={tmp_path}")
    with pytest.raises(LedgerUnavailable):
        await opened_ledger.record([])
    await opened_ledger.close()


def test_an_unknown_url_is_refused():
    with pytest.raises(ValueError, match="sqlite"):
        connect("mysql://office")


async def test_when_a_job_ended_is_bounded_by_the_batch_that_came_soonest(ledger):
    """A van without a clock, a day offline: another batch of the same boot that came at once says when it booted."""
    hour = 3_600_000_000_000
    shop = Sender(stream="jobs")

    def at(event: WireEvent, boot_ns: int) -> WireEvent:
        return replace(event, boot_ns=boot_ns, wall_ns=1)

    late = shop.payload([at(job("j1", "FINISHED"), 2 * hour)])
    soon = shop.payload([at(job("j2", "FINISHED"), 26 * hour)])
    topic = "im/v1/van-1/up/jobs"
    await ledger.record([intake.read(message(topic, late, NOW_NS + 26 * hour))])
    (row,) = await ledger.read(lambda db: reading.jobs(db, 10, 0))
    assert (row.wall_ns, row.latest_ns) == (1, NOW_NS + 26 * hour)
    await ledger.record([intake.read(message(topic, soon, NOW_NS + 26 * hour))])
    rows = await ledger.read(lambda db: reading.jobs(db, 10, 0))
    assert {row.job: row.latest_ns for row in rows} == {"j1": NOW_NS + 2 * hour, "j2": NOW_NS + 26 * hour}


@pytest.mark.parametrize("boot_ns", [-(2**63), -1, 2**63 - 1])
async def test_a_clock_that_cannot_be_stalls_nothing(ledger, boot_ns):
    shop = Sender(stream="jobs")
    event = replace(job("j1", "FINISHED"), boot_ns=boot_ns, wall_ns=boot_ns)
    done = await ledger.record([shop.batch(event)])
    assert done.acks[0][1].watermark == 1
    (row,) = await ledger.read(lambda db: reading.jobs(db, 10, 0))
    assert row.latest_ns == NOW_NS
