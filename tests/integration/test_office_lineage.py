# SPDX-License-Identifier: GPL-3.0-or-later
"""Epochs in order, copied cards, explained gaps and the chain over them: in any order of arrival, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from office import intake
from office.facts import Item
from office.ledger import Ledger, audit, reading
from office.ledger import relearn as relearning
from office.ledger.clocks import neighbours, starts
from office.ledger.database import Database
from office.ledger.lineage import KINDS
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.recount import recount
from office.ledger.standing import Explained, standings
from office.ledger.verify import verify
from office.ledger.writer import Recorded, record
from office.reports import figures
from tests.support.lineage import CARD, anchored, came, everything, gap, started
from tests.support.office import NOW_NS, Sender, headcount, opened, presence
from tests.support.van_clock import SECOND, YEAR_2026
from wire.batch import MAX_EXPLAINED, Ack, WireEvent
from wire.events import BODIES, VisitOpened

pytest_plugins = ("tests.support.office_fixtures",)

patient = settings(deadline=None, max_examples=40)
DAY = 86_400 * SECOND


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = connect(database_url)
    migrate(opened)
    yield opened
    opened.close()


def take(database: Database, *items: Item) -> Recorded:
    return record(database, items, NOW_NS)


def in_epoch(epoch: str, *events: WireEvent, boot: str | None = None, received_ns: int = NOW_NS) -> Item:
    """Return the first batch of the safety stream of an epoch, by default of a boot of its own."""
    return came(Sender(stream="safety", epoch=epoch, boot=boot or f"boot of {epoch}"), events, received_ns)


def begun(epoch: str, ordinal: int, previous: str | None, *more: WireEvent, install: str = CARD) -> Item:
    return in_epoch(epoch, started(ordinal, previous, f"boot of {epoch}", install), *more)


def seen(epoch: str, utc_ns: int) -> WireEvent:
    return anchored(10, utc_ns, boot=f"boot of {epoch}")


def ask(database: Database, sql: str) -> list[tuple[object, ...]]:
    with database.transaction(write=False):
        return database.query(sql)


def doubts(database: Database) -> list[tuple[object, ...]]:
    return ask(database, "select kind, mark from doubt order by kind, mark")


def acks(done: Recorded) -> dict[tuple[str, str], tuple[int, tuple[tuple[int, int], ...]]]:
    return {(ack.stream, ack.epoch): (ack.watermark, ack.missing) for _, ack in done.acks}


def test_epochs_are_put_in_order_also_over_one_that_never_came(database: Database) -> None:
    take(
        database, begun("e5", 5, "e4"), begun("e2", 2, "e1"), begun("e3", 3, "e2"), begun("x1", 1, None, install="new")
    )
    with database.transaction(write=False):
        before, after = neighbours(starts(database, "van-1"))
    assert before == {"e3": "e2", "e5": "e3"}
    assert after == {"e2": "e3", "e3": "e5"}
    assert doubts(database) == []


def test_two_epochs_after_the_same_one_are_a_copied_card(database: Database) -> None:
    take(database, begun("e1", 1, None))
    take(database, begun("e2", 2, "e1"))
    assert doubts(database) == []
    take(database, begun("f2", 2, "e1"))
    assert doubts(database) == [("clone", f"{CARD}/2")]
    take(database, begun("f3", 3, "f2"), begun("e3", 3, "e2"), begun("e4", 4, "e3"))
    assert doubts(database) == [("clone", f"{CARD}/2")]
    with database.transaction(write=False):
        (row,) = audit.page(database, 10, 0, "van-1")
        (status,) = reading.labs(database)
        assert reading.quality(database).alarms == 0
    assert row.what == "alarm"
    assert row.facts["kind"] == "clone"
    assert status.alarms == [row.text]
    assert "went on more than once from its run 1" in row.text


def test_a_card_that_was_over_before_its_copy_began_is_an_old_one_put_back(database: Database) -> None:
    life = [
        begun("e1", 1, None, seen("e1", YEAR_2026)),
        begun("e2", 2, "e1", seen("e2", YEAR_2026 + DAY)),
        begun("e3", 3, "e2", seen("e3", YEAR_2026 + 2 * DAY)),
        begun("f2", 2, "e1", seen("f2", YEAR_2026 + 5 * DAY)),
    ]
    take(database, *life)
    assert doubts(database) == [("rollback", f"{CARD}/2")]
    # The card that was over goes on after all: there are two of them.
    take(database, begun("e4", 4, "e3", seen("e4", YEAR_2026 + 9 * DAY)))
    assert doubts(database) == [("clone", f"{CARD}/2")]
    with database.transaction(write=False):
        kinds = [row.facts["kind"] for row in audit.page(database, 10, 0, "van-1")]
        alarms = database.query("select kind from alarm")
    assert kinds == ["clone", "rollback"]
    assert alarms == [(f"clone {CARD}/2",)]


def test_a_number_that_goes_back_is_a_doubt(database: Database) -> None:
    take(database, begun("e7", 7, "e6"), begun("e3", 3, "e7"))
    assert doubts(database) == [("rollback", f"{CARD}/e3")]


def test_a_fork_before_what_is_known_is_found_by_its_numbers(database: Database) -> None:
    take(database, begun("e6", 6, "e5"), begun("f6", 6, "f5"))
    assert doubts(database) == [("clone", f"{CARD}/6")]
    # Then it turns out where they parted.
    take(database, begun("e5", 5, "e4"), begun("f5", 5, "e4"))
    assert doubts(database) == [("clone", f"{CARD}/5")]


def test_two_cards_of_one_lab_are_no_fork(database: Database) -> None:
    take(database, begun("e1", 1, None), begun("x1", 1, None, install="new"), begun("x2", 2, "x1", install="new"))
    assert doubts(database) == []


def test_a_card_that_was_copied_before_its_first_run_is_a_fork(database: Database) -> None:
    take(database, begun("e1", 1, None), begun("f1", 1, None))
    assert doubts(database) == [("clone", f"{CARD}/1")]


def test_of_two_starts_in_one_epoch_the_first_counts(database: Database) -> None:
    take(database, in_epoch("e1", started(4, "e0"), started(9, "e8")))
    with database.transaction(write=False):
        assert starts(database, "van-1")["e1"].ordinal == 4


LIFE = [
    begun("e1", 1, None, seen("e1", YEAR_2026)),
    begun("e2", 2, "e1", seen("e2", YEAR_2026 + DAY)),
    begun("e3", 3, "e2", seen("e3", YEAR_2026 + 2 * DAY)),
    begun("f2", 2, "e1", seen("f2", YEAR_2026 + 5 * DAY)),
    begun("e4", 4, "e3", seen("e4", YEAR_2026 + 9 * DAY), anchored(20, YEAR_2026, boot="boot of e4")),
    begun("g6", 6, "g5"),
    begun("h6", 6, "h5"),
]


@patient
@given(st.permutations(LIFE), st.integers(1, 7))
def test_doubts_do_not_depend_on_the_order_of_arrival(items: list[Item], group: int) -> None:
    found = []
    for order, size in ((LIFE, 1), ([*items, *items[:3]], group)):
        database = connect("sqlite:///:memory:")
        migrate(database)
        for begin in range(0, len(order), size):
            record(database, order[begin : begin + size], NOW_NS)
        found.append(everything(database))
        database.close()
    assert found[0] == found[1]
    assert len(found[0]["doubt"]) == 3


# --- gaps ---


def metrics(n: int) -> list[WireEvent]:
    body = {"machine": "router", "availability": "AVAILABLE", "execution": "READY"}
    return [WireEvent("machine.state", dict(body), SECOND, 0) for _ in range(n)]


def dropped(sender: Sender, n: int) -> None:
    """Let the next `n` facts of a feed be dropped before they are cut: the chain goes on over them."""
    sender.next_seq += n


def test_the_watermark_passes_what_a_record_explains(database: Database) -> None:
    shop, safety = Sender(stream="metrics"), Sender(stream="safety")
    first = came(shop, metrics(4), NOW_NS)
    dropped(shop, 6)
    later = came(shop, metrics(5), NOW_NS)
    assert acks(take(database, first, later))["metrics", "e1"] == (4, ((5, 10),))
    done = take(database, came(safety, [gap("metrics", "e1", 5, 10)], NOW_NS))
    assert acks(done) == {("metrics", "e1"): (15, ()), ("safety", "e1"): (1, ())}
    with database.transaction(write=False):
        (status,) = reading.labs(database)
        assert reading.quality(database).alarms == 0
        (gaps,) = [standing.explained for standing in standings(database).values()]
    assert status.gaps == []
    assert gaps == [Explained("metrics", "e1", 5, 10, "rolled_up")]


def test_an_ack_that_was_lost_is_given_again(database: Database) -> None:
    """The end of a closed epoch was dropped: no batch of it would ever ask again."""
    shop = Sender(stream="metrics", epoch="e0")
    take(database, came(shop, metrics(4), NOW_NS))
    explained = came(Sender(stream="safety"), [gap("metrics", "e0", 5, 9)], NOW_NS)
    assert acks(take(database, explained))["metrics", "e0"] == (4, ()), "nobody said that there is a fact 9"
    word = presence(closed={"e0": {"metrics": 9}}, heads={"safety": 1})
    for _ in range(2):
        assert acks(take(database, word)) == {("metrics", "e0"): (9, ())}
        assert acks(take(database, explained))["metrics", "e0"] == (9, ())
    with database.transaction(write=False):
        (status,) = reading.labs(database)
    assert (status.gaps, status.waiting) == ([], 0)


def test_a_presence_is_not_answered_for_feeds_that_end_with_a_fact(database: Database) -> None:
    take(database, came(Sender(stream="metrics", epoch="e0"), metrics(4), NOW_NS))
    word = presence(closed={"e0": {"metrics": 4}})
    assert [take(database, word).acks for _ in range(2)] == [(), ()]


def test_what_waits_does_not_count_what_was_dropped(database: Database) -> None:
    shop = Sender(stream="metrics")
    dropped(shop, 10)
    take(database, came(shop, metrics(2), NOW_NS), presence(heads={"metrics": 15, "safety": 1}))
    with database.transaction(write=False):
        assert reading.labs(database)[0].waiting == 14
    take(database, came(Sender(stream="safety"), [gap("metrics", "e1", 1, 10, "quota")], NOW_NS))
    with database.transaction(write=False):
        assert reading.labs(database)[0].waiting == 3
    # Whatever is said of facts to come: those that are there now still wait.
    take(database, came(Sender(stream="safety", next_seq=2), [gap("metrics", "e1", 50, 10**9, "quota")], NOW_NS))
    with database.transaction(write=False):
        assert reading.labs(database)[0].waiting == 3


def test_a_fact_that_comes_after_all_counts_once(database: Database) -> None:
    lab, safety = Sender(), Sender(stream="safety")
    one, two = came(lab, [headcount("v1", 5)] * 3, NOW_NS), came(lab, [headcount("v1", 7)] * 3, NOW_NS)
    take(database, came(safety, [gap("visits", "e1", 1, 3, "lost")], NOW_NS), two)
    take(database, one, one)
    with database.transaction(write=False):
        assert reading.totals(database).ledger == 36
        assert reading.quality(database).alarms == 0
        assert recount(database).differences == ()


def test_a_record_explains_nothing_of_what_is_to_come(database: Database) -> None:
    shop, safety = Sender(stream="metrics"), Sender(stream="safety")
    take(database, came(shop, metrics(4), NOW_NS))
    done = take(database, came(safety, [gap("metrics", "e1", 5, 10**9)], NOW_NS))
    assert acks(done)["metrics", "e1"] == (4, ())
    assert acks(take(database, came(shop, metrics(2), NOW_NS)))["metrics", "e1"] == (6, ())
    dropped(shop, 3)
    assert acks(take(database, came(shop, metrics(1), NOW_NS)))["metrics", "e1"] == (10, ())
    with database.transaction(write=False):
        assert recount(database).differences == ()


@pytest.mark.parametrize("stream", ["visits", "safety"])
@pytest.mark.parametrize("reason", ["quota", "rolled_up"])
def test_no_lab_drops_visits_and_safety_on_purpose(database: Database, stream: str, reason: str) -> None:
    lab, safety = Sender(stream=stream, epoch="e0"), Sender(stream="safety")
    facts = [headcount("v1", 5)] if stream == "visits" else [started(1, None)]
    take(database, came(lab, facts, NOW_NS))
    lab.next_seq = 7
    take(database, came(lab, facts, NOW_NS))
    record_of = came(safety, [gap(stream, "e0", 2, 6, reason)], NOW_NS)
    for _ in range(2):
        take(database, record_of)
    assert ask(database, f"select watermark, explained from feed where epoch = 'e0' and stream = '{stream}'") == [
        (1, "[]")
    ]
    assert doubts(database) == [("gap", f"e0/{stream}/dropped")]
    with database.transaction(write=False):
        (row,) = audit.page(database, 10, 0, "van-1")
        assert recount(database).differences == ()
        (status,) = reading.labs(database)
    assert (row.what, row.facts["kind"]) == ("alarm", "gap")
    assert stream in row.text
    assert row.text in status.alarms
    assert [(hole.first, hole.last) for hole in status.gaps] == [(2, 6)]


def test_lost_visits_are_a_doubt_of_their_epoch(database: Database) -> None:
    safety = Sender(stream="safety")
    take(database, came(safety, [gap("safety", "e0", 1, 3, "lost"), gap("metrics", "e0", 1, 3, "quota")], NOW_NS))
    assert doubts(database) == []
    for first in (1, 7):
        take(database, came(safety, [gap("visits", "e0", first, first + 2, "lost")], NOW_NS + first))
    take(database, came(safety, [gap("visits", "e1", 1, 3, "lost")], NOW_NS))
    assert doubts(database) == [("gap", "e0/visits/lost"), ("gap", "e1/visits/lost")]
    with database.transaction(write=False):
        rows = audit.page(database, 10, 0, "van-1")
        assert recount(database).differences == ()
        assert len(standings(database)["van-1"].doubts) == 2
    assert [row.facts["mark"] for row in rows] == ["e1/visits/lost", "e0/visits/lost"]
    assert "people that were counted may be missing" in rows[0].text


def test_an_ack_names_what_is_explained_and_not_held(database: Database) -> None:
    """A copy of the card may hold what the disk of the original lost, and must not forget it."""
    lab, safety = Sender(), Sender(stream="safety")
    one, two = came(lab, [headcount("v1", 5)] * 3, NOW_NS), came(lab, [headcount("v1", 7)] * 2, NOW_NS)
    done = take(database, two, came(safety, [gap("visits", "e1", 1, 3, "lost"), gap("jobs", "e1", 1, 9)], NOW_NS))
    told = {ack.stream: (ack.watermark, ack.explained) for _, ack in done.acks}
    assert told == {"visits": (5, ((1, 3),)), "safety": (2, ()), "jobs": (0, ())}
    ((_, ack),) = take(database, one).acks
    assert (ack.watermark, ack.explained) == (5, ())
    with database.transaction(write=False):
        assert reading.totals(database).ledger == 29


def test_of_what_is_explained_no_more_is_acknowledged_than_can_be_named(database: Database) -> None:
    lab, safety = Sender(), Sender(stream="safety")
    lost = []
    for _ in range(MAX_EXPLAINED + 1):
        lost.append(gap("visits", "e1", lab.next_seq, lab.next_seq, "lost"))
        dropped(lab, 1)
        take(database, came(lab, [headcount("v1", 1)], NOW_NS))
    done = take(database, came(safety, lost, NOW_NS))
    (ack,) = (ack for _, ack in done.acks if ack.stream == "visits")
    assert ack.watermark == 2 * MAX_EXPLAINED
    assert ack.explained == tuple((seq, seq) for seq in range(1, 2 * MAX_EXPLAINED, 2))
    first = came(Sender(), [headcount("v1", 1)], NOW_NS)
    (ack,) = (ack for _, ack in take(database, first).acks)
    assert (ack.watermark, len(ack.explained)) == (2 * MAX_EXPLAINED + 2, MAX_EXPLAINED)


def told_and_dropped() -> list[Item]:
    shop, lab, safety = Sender(stream="metrics", epoch="e0"), Sender(epoch="e0"), Sender(stream="safety")
    records = [gap("metrics", "e0", 5, 9), gap("visits", "e0", 4, 6, "lost"), gap("visits", "e0", 7, 9, "quota")]
    return [
        came(shop, metrics(4), NOW_NS),
        came(lab, [headcount("v1", 1)] * 3, NOW_NS),
        came(safety, records[:2], NOW_NS),
        came(safety, [records[2], gap("metrics", "e0", 10, 99)], NOW_NS),
        presence(closed={"e0": {"metrics": 12, "visits": 9}}),
    ]


@patient
@given(st.permutations(range(5)), st.integers(1, 5))
def test_how_far_gaps_go_does_not_depend_on_the_order_of_arrival(order: list[int], group: int) -> None:
    found = []
    for places, size in ((range(5), 1), (order, group)):
        items = told_and_dropped()
        database = connect("sqlite:///:memory:")
        migrate(database)
        for begin in range(0, 5, size):
            record(database, [items[place] for place in places[begin : begin + size]], NOW_NS)
        found.append(everything(database))
        with database.transaction(write=False):
            assert recount(database).differences == ()
        database.close()
    assert found[0] == found[1]
    assert {row[1]: row[3] for row in found[0]["feeds"] if row[2] == "e0"} == {"metrics": 12, "visits": 6}


@pytest.mark.parametrize(("first", "last"), [(9, 5), (1, 2**53)])
def test_a_range_that_cannot_be_explains_nothing(database: Database, first: int, last: int) -> None:
    done = take(database, came(Sender(stream="safety"), [gap("metrics", "e1", first, last)], NOW_NS))
    assert acks(done) == {("safety", "e1"): (1, ())}
    assert ask(database, "select * from stream_gap") == []


def test_a_record_that_was_not_understood_explains_nothing(database: Database) -> None:
    odd = gap("metrics", "e1", 1, 5)
    done = take(database, came(Sender(stream="safety"), [WireEvent(odd.type, {**odd.body, "reason": 7}, 1, 1)], NOW_NS))
    assert acks(done) == {("safety", "e1"): (1, ())}


def test_other_content_at_the_place_of_a_record_explains_nothing(database: Database) -> None:
    take(database, came(Sender(stream="safety"), [started(1, None)], NOW_NS))
    done = take(database, came(Sender(stream="safety"), [gap("metrics", "e1", 1, 5)], NOW_NS))
    assert acks(done)["metrics", "e1"] == (0, ())
    assert "another content" in str(ask(database, "select detail from alarm"))


def chained(*, broken: bool = False, remnant: bool = False) -> list[Item]:
    """Return what a feed comes as that was dropped in the middle, or lost on the disk, with the record of it."""
    shop, safety = Sender(stream="metrics"), Sender(stream="safety")
    items = [came(shop, metrics(4), NOW_NS)]
    if remnant:
        # Of the batch 5..10 the disk kept 8..10; the one behind it follows the batch as it was cut.
        before = shop.prev
        cut = Sender(stream="metrics", next_seq=5, prev=before)
        cut.payload(metrics(6))
        items.append(came(Sender(stream="metrics", next_seq=8, prev=before), metrics(3), NOW_NS))
        shop.next_seq, shop.prev = 11, cut.prev
    else:
        dropped(shop, 6)
    if broken:
        shop.prev = bytes(32)
    items += [came(shop, metrics(5), NOW_NS), came(shop, metrics(2), NOW_NS)]
    record_of = gap("metrics", "e1", 5, 7, "lost") if remnant else gap("metrics", "e1", 5, 10)
    return [*items, came(safety, [record_of], NOW_NS)]


@pytest.mark.parametrize("remnant", [False, True])
@pytest.mark.parametrize("broken", [False, True])
def test_the_chain_goes_on_over_a_gap_in_every_order(broken: bool, remnant: bool) -> None:
    found = []
    orders = list(itertools.permutations(chained(broken=broken, remnant=remnant)))
    for order in orders[:: len(orders) // 24]:
        database = connect("sqlite:///:memory:")
        migrate(database)
        for item in order:
            record(database, [item], NOW_NS)
        found.append(everything(database))
        with database.transaction(write=False):
            assert verify(database).broken == (broken and not remnant)
        database.close()
    assert all(one == found[0] for one in found)
    # What the disk lost may explain any hash.
    assert len(found[0]["alarms"]) == (broken and not remnant)


def test_a_feed_whose_beginning_was_dropped_follows_nothing(database: Database) -> None:
    shop = Sender(stream="metrics")
    dropped(shop, 6)
    take(database, came(shop, metrics(5), NOW_NS), came(Sender(stream="safety"), [gap("metrics", "e1", 1, 6)], NOW_NS))
    assert ask(database, "select * from alarm") == []


def test_a_batch_that_came_whole_and_again_in_part_after_a_loss_is_no_alarm(database: Database) -> None:
    shop = Sender(stream="metrics")
    whole = came(shop, metrics(10), NOW_NS)
    rest = came(Sender(stream="metrics", next_seq=1), metrics(3), NOW_NS)
    lost = came(Sender(stream="safety"), [gap("metrics", "e1", 4, 6, "lost")], NOW_NS)
    take(database, whole, rest)
    assert len(ask(database, "select * from alarm")) == 1
    take(database, lost)
    assert ask(database, "select * from alarm") == []
    take(database, rest)
    assert ask(database, "select * from alarm") == []


# --- what the office shows, and the recount ---


def test_the_list_of_labs_tells_card_clock_doubts_and_gaps(database: Database) -> None:
    words = {"boot": "boot of e2", "stepped_us": None}
    take(
        database,
        begun("e1", 1, None),
        begun(
            "e2",
            2,
            "e1",
            seen("e2", YEAR_2026),
            WireEvent("clock.quality", {**words, "quality": "unset"}, SECOND, 0),
            WireEvent("clock.quality", {**words, "quality": "free"}, 30 * SECOND, 0),
            gap("jobs", "e1", 1, 3, "quota"),
        ),
        begun("f2", 2, "e1"),
        came(Sender(stream="visits"), [headcount("v1", 1)], NOW_NS),
        presence(epoch="e2", key="ab" * 32),
        presence("van-2"),
    )
    take(database, presence(epoch="e2", key="cd" * 32))
    with database.transaction(write=False):
        lab, other = figures.labs(database, broker_connected=True)
    assert (lab["install"], lab["ordinal"]) == (CARD, 2)
    assert lab["clock"] == {"quality": "free", "uncertainty_s": pytest.approx(0.2 + 20 * 200e-6, abs=0.001)}
    assert sorted(doubt["kind"] for doubt in lab["doubts"]) == ["clone", "key"]
    assert all(doubt["since"] for doubt in lab["doubts"])
    assert lab["gaps"] == [{"stream": "jobs", "epoch": "e1", "first": 1, "last": 3, "explained": "quota"}]
    assert (other["install"], other["ordinal"], other["doubts"], other["gaps"]) == ("", 0, [], [])
    assert other["clock"] == {"quality": "unknown", "uncertainty_s": None}


def test_the_recount_finds_a_row_that_was_touched(database: Database) -> None:
    take(database, *LIFE, *chained())
    with database.transaction(write=False):
        assert recount(database).differences == ()
    with database.transaction(write=True):
        database.query("update epoch_start set ordinal = 40 where epoch = 'e4'")
        database.query("delete from clock_anchor where epoch = 'e2'")
        database.query("update feed set explained = '[[1,3]]' where stream = 'metrics'")
        database.query("delete from doubt where kind = 'clone'")
    with database.transaction(write=False):
        found = {difference.figure.split()[0] for difference in recount(database).differences}
    assert found == {"clock.anchor", "doubt", "explained", "lab.started"}


def test_two_workers_see_the_fork_that_each_has_half_of(postgres: object) -> None:
    """Each has one of the two epochs in its transaction: the lab's row lets only one look at a time."""
    url = postgres.new_database()  # type: ignore[attr-defined]
    one, other = connect(url), connect(url)
    migrate(one)
    record(one, [begun("e1", 1, None)], NOW_NS)
    items = [begun("e2", 2, "e1"), begun("f2", 2, "e1")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: record(pair[0], [pair[1]], NOW_NS), zip((one, other), items, strict=True)))
    assert doubts(one) == [("clone", f"{CARD}/2")]
    one.close()
    other.close()


def test_an_ack_says_what_is_missing_beside_what_is_explained(database: Database) -> None:
    shop = Sender(stream="metrics", next_seq=20, prev=bytes(32))
    take(database, came(Sender(stream="safety"), [gap("metrics", "e1", 5, 10)], NOW_NS))
    done = take(database, came(shop, metrics(2), NOW_NS))
    assert done.acks == (("van-1", Ack("metrics", "e1", 0, ((1, 4), (11, 19)), NOW_NS)),)


def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the office be of a version that knows none of these types."""
    known = {kind: body for kind, body in BODIES.items() if kind not in (*KINDS, "visit.headcount")}
    monkeypatch.setattr(intake, "BODIES", known)
    monkeypatch.setattr(relearning, "BODIES", known)


def test_an_office_that_learns_new_types_adds_up_what_it_had_not_understood(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, lab = Sender(stream="metrics"), Sender()
    with monkeypatch.context() as old:
        forgetful(old)
        first = came(shop, metrics(4), NOW_NS)
        dropped(shop, 6)
        odd = WireEvent("visit.headcount", {"visit": "v1", "count": "many"}, 1, 1)
        done = take(
            database,
            first,
            came(shop, metrics(5), NOW_NS),
            begun("e1", 1, None, gap("metrics", "e1", 5, 10), seen("e1", YEAR_2026)),
            begun("e2", 2, "e1"),
            begun("f2", 2, "e1"),
            came(lab, [headcount("v1", 5), odd, WireEvent("coffee.brewed", {}, 1, 1)], NOW_NS),
        )
    assert acks(done)["metrics", "e1"] == (4, ((5, 10),))
    assert relearning.relearn(database, NOW_NS) == 7
    assert relearning.relearn(database, NOW_NS) == 0
    with database.transaction(write=False):
        assert reading.totals(database).ledger == 5
        assert recount(database).differences == ()
        quality = reading.quality(database)
        assert database.query("select unknown, invalid from lab") == [(1, 1)]
        assert database.query("select watermark from feed where stream = 'metrics'") == [(15,)]
    assert quality.invalid == 1
    assert doubts(database) == [("clone", f"{CARD}/2")]


class SomeLanguages(VisitOpened):
    """A visit as an office has it that knows two languages."""

    language: Literal["lt", "en"]


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the office be of a version that knows fewer words in a body."""
    known = {**BODIES, "visit.opened": SomeLanguages}
    monkeypatch.setattr(intake, "BODIES", known)
    monkeypatch.setattr(relearning, "BODIES", known)


def in_latvian(visit: str) -> WireEvent:
    event = opened(visit)
    return WireEvent(event.type, {**event.body, "language": "lv"}, event.boot_ns, event.wall_ns)


def test_an_office_that_learns_new_words_judges_again_what_it_had_called_wrong(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Sender()
    with monkeypatch.context() as old:
        narrow(old)
        events = [in_latvian("v1"), opened("v2", expected=-1), WireEvent("coffee.brewed", {}, 1, 1)]
        take(database, came(lab, events, NOW_NS))
        assert relearning.relearn(database, NOW_NS) == 0
    assert ask(database, "select invalid, unknown from lab") == [(2, 1)]
    assert relearning.relearn(database, NOW_NS) == 1
    assert ask(database, "select invalid, unknown from lab") == [(1, 1)]
    assert ask(database, "select visit, language from visit") == [("v1", "lv")]
    with database.transaction(write=False):
        assert recount(database).differences == ()
    # A program of the old version still runs, and marks what it does not understand.
    with monkeypatch.context() as old:
        narrow(old)
        take(database, came(lab, [in_latvian("v3")], NOW_NS))
    assert relearning.relearn(database, NOW_NS) == 1
    assert relearning.relearn(database, NOW_NS) == 0
    assert ask(database, "select visit, language from visit order by visit") == [("v1", "lv"), ("v3", "lv")]


def test_judging_again_goes_on_behind_what_stays_wrong(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relearning, "CHUNK", 2)
    with monkeypatch.context() as old:
        narrow(old)
        take(database, came(Sender(), [*[opened("v2", expected=-1)] * 4, in_latvian("v1")], NOW_NS))
    assert relearning.relearn(database, NOW_NS) == 1
    assert ask(database, "select invalid from lab") == [(4,)]


async def test_the_ledger_learns_when_it_is_opened(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as old:
        forgetful(old)
        ledger = Ledger(database_url)
        await ledger.record([begun("e1", 1, None)])
        await ledger.close()
    newer = Ledger(database_url)
    try:
        assert await newer.read(lambda database: database.query("select epoch from epoch_start")) == [("e1",)]
    finally:
        await newer.close()
