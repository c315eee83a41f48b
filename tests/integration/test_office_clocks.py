# SPDX-License-Identifier: GPL-3.0-or-later
"""When facts happened, as the office derives it from a van with clocks that cannot be trusted: the truth is inside."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from office.ledger.clocks import Clocks, Interval
from office.ledger.database import Database
from office.ledger.migrations import migrate
from office.ledger.opening import connect
from office.ledger.writer import record
from tests.support.lineage import Truth, Van, anchored, came, everything, started
from tests.support.office import Sender, headcount
from tests.support.van_clock import SECOND, YEAR_1970, YEAR_2026, YEAR_2038, VanClock, WatchedVan
from wire.batch import WireEvent

pytest_plugins = ("tests.support.office_fixtures",)

patient = settings(deadline=None, max_examples=60)
HOUR_S = 3_600
HOUR = HOUR_S * SECOND
JANUARY = YEAR_2026


def ledger_of(items: list, url: str = "sqlite:///:memory:") -> Database:  # type: ignore[type-arg]
    """Return a ledger that has taken `items` in, one by one."""
    database = connect(url)
    migrate(database)
    for item in items:
        record(database, [item], YEAR_2026)
    return database


def intervals(database: Database, truths: list[Truth]) -> list[Interval]:
    with database.transaction(write=False):
        clocks = Clocks(database, "van-1")
        return [clocks.interval(fact.epoch, fact.boot_ns, fact.wall_ns, fact.received_ns) for fact in truths]


def inside(interval: Interval, true_ns: int) -> bool:
    low = interval.from_ns is None or interval.from_ns <= true_ns
    return low and (interval.to_ns is None or true_ns <= interval.to_ns)


def work(van: Van, what: str, value: float) -> None:
    """Let one thing happen to a van."""
    match what:
        case "count":
            van.count()
            van.clock.pass_s(value)
        case "ack":
            van.watched.ack(value / 50, value / 100)
        case "sync":
            van.watched.synchronise(error_us=round(value * 1_000))
            van.watched.watch.look()
            van.watched.kernel = None
        case "jump":
            van.clock.ahead_ns -= HOUR
            van.watched.watch.look()
        case "service":
            van.start()
        case "power":
            drift = van.clock.drift_ppm
            begins = (YEAR_1970, YEAR_2038, YEAR_2026)[round(value) % 3]
            van.clock.restart(f"boot-{van.epochs + 1}", after_s=value, ahead_ns=begins)
            van.clock.drift_ppm = -drift
            van.start()
        case _:
            van.deliver(value)


happenings = st.lists(
    st.tuples(
        st.sampled_from(("count", "count", "count", "ack", "sync", "jump", "service", "power", "power", "deliver")),
        st.floats(0, 2 * HOUR_S),
    ),
    max_size=30,
)


@patient
@given(drift=st.floats(-200, 200), life=happenings, order=st.randoms(use_true_random=False))
def test_the_true_time_is_inside_whatever_the_clocks_show_and_in_whatever_order_facts_come(
    drift: float, life: list[tuple[str, float]], order: random.Random
) -> None:
    van = Van(watched=WatchedVan(VanClock(drift_ppm=drift)))
    van.start()
    for what, value in life:
        work(van, what, value)
    van.count()
    van.deliver()
    database = ledger_of(van.items)
    found = intervals(database, van.truths)
    assert all(inside(interval, fact.true_ns) for interval, fact in zip(found, van.truths, strict=True))
    assert not {interval.quality for interval in found} & {"contradictory", "unknown", "office"}
    assert all(interval.raw_ns == fact.wall_ns for interval, fact in zip(found, van.truths, strict=True))
    shuffled = van.items * 2
    order.shuffle(shuffled)
    again = ledger_of(shuffled)
    assert everything(again) == everything(database)
    assert intervals(again, van.truths) == found
    database.close()
    again.close()


@pytest.mark.parametrize("begins", [YEAR_1970, YEAR_2038, YEAR_2026 - 40 * 24 * HOUR])
@pytest.mark.parametrize("drift_ppm", [-200, 0, 200])
def test_a_school_day_with_one_ack_in_the_morning_is_known_to_seconds(
    database_url: str, begins: int, drift_ppm: int
) -> None:
    van = Van(watched=WatchedVan(VanClock(drift_ppm=drift_ppm, ahead_ns=begins)))
    van.start()
    van.watched.ack()
    for _ in range(6):
        van.count()
        van.clock.pass_s(HOUR_S)
    van.clock.ahead_ns -= HOUR
    van.count()
    van.deliver()
    database = ledger_of(van.items, database_url)
    for interval, fact in zip(intervals(database, van.truths), van.truths, strict=True):
        assert inside(interval, fact.true_ns)
        assert interval.quality == "anchored"
        assert interval.from_ns is not None
        assert interval.to_ns is not None
        assert interval.to_ns - interval.from_ns < 10 * SECOND
    database.close()


def three_boots(middle: Callable[[Van], None]) -> tuple[Van, Database]:
    """Return a van whose boot in the middle heard of nobody, between two that did."""
    van = Van()
    van.start()
    van.watched.ack()
    van.count()
    van.clock.restart("dark", after_s=600, ahead_ns=YEAR_2038)
    van.start()
    middle(van)
    van.clock.restart("late", after_s=900)
    van.start()
    van.clock.pass_s(5)
    van.watched.ack()
    van.clock.pass_s(3 * 24 * HOUR_S)
    van.deliver()
    return van, ledger_of(van.items)


def test_a_boot_without_an_anchor_lies_between_its_neighbours() -> None:
    def middle(van: Van) -> None:
        van.clock.pass_s(1_000)
        van.count()
        van.clock.pass_s(2_000)
        van.count()

    van, database = three_boots(middle)
    for interval, fact in zip(intervals(database, van.truths), van.truths, strict=True):
        assert inside(interval, fact.true_ns)
        if fact.epoch.endswith("-2"):
            assert interval.quality == "neighbours"
            assert interval.from_ns is not None
            assert interval.to_ns is not None
            # What is not known is when in the 1,500 s of darkness around it the boot began.
            assert interval.to_ns - interval.from_ns == pytest.approx(1_500 * SECOND, rel=0.01)
    database.close()


def test_a_boot_whose_neighbour_was_lost_reaches_to_the_next_one() -> None:
    van = Van()
    van.start()
    van.watched.ack()
    for name in ("dark-1", "dark-2", "dark-3"):
        van.clock.restart(name, after_s=100)
        van.start()
        van.clock.pass_s(50)
        van.count()
    van.clock.restart("late", after_s=100)
    van.start()
    van.watched.ack()
    van.deliver()
    lost = [item for item in van.items if item.epoch != "0123-3"]
    database = ledger_of(lost)
    kept = [fact for fact in van.truths if fact.epoch != "0123-3"]
    for interval, fact in zip(intervals(database, kept), kept, strict=True):
        assert inside(interval, fact.true_ns)
        assert interval.from_ns is not None
        assert interval.to_ns is not None
        assert interval.to_ns - interval.from_ns < 600 * SECOND
    database.close()


def test_without_any_anchor_a_fact_happened_before_it_came() -> None:
    van = Van()
    van.start()
    van.count()
    van.clock.pass_s(HOUR_S)
    van.count()
    van.deliver()
    database = ledger_of(van.items)
    for interval, fact in zip(intervals(database, van.truths), van.truths, strict=True):
        assert (interval.from_ns, interval.quality) == (None, "received")
        assert inside(interval, fact.true_ns)
        assert interval.to_ns is not None
        assert interval.to_ns - fact.true_ns < 10 * SECOND
    database.close()


def test_a_lab_of_version_1_0_says_nothing_of_its_clock_and_is_bounded_by_receipt() -> None:
    lab = Sender()
    database = ledger_of([came(lab, [headcount("v1", 3)], JANUARY)])
    with database.transaction(write=False):
        found = Clocks(database, "van-1").interval("e1", 5 * SECOND, 7, JANUARY)
        of_nobody = Clocks(database, "van-1").interval("never heard of", 5 * SECOND, 7, JANUARY)
        cannot_be = Clocks(database, "van-1").interval("e1", -1, 7, JANUARY)
    assert found == Interval(None, JANUARY, 7, "received")
    assert of_nobody == cannot_be == Interval(None, JANUARY, 7, "unknown")
    database.close()


def test_what_the_office_wrote_itself_has_its_own_time() -> None:
    database = ledger_of([])
    with database.transaction(write=False):
        assert Clocks(database, "van-1").interval("office-1", 0, 7, 9) == Interval(9, 9, 7, "office")
    database.close()


def safety(*events: WireEvent, received_ns: int = JANUARY + 9 * HOUR) -> Database:
    return ledger_of([came(Sender(stream="safety"), [started(1, None), *events], received_ns)])


def test_anchors_that_contradict_are_a_doubt_and_leave_the_widest_interval() -> None:
    wrong = anchored(200, JANUARY + 5 * HOUR)
    database = safety(anchored(100, JANUARY), wrong)
    with database.transaction(write=False):
        found = Clocks(database, "van-1").interval("e1", 150 * SECOND, 0, JANUARY + 9 * HOUR)
        ((kind, mark, text),) = database.query("select kind, mark, text from doubt")
        (alarm,) = database.query("select detail from alarm")
    assert found.quality == "contradictory"
    assert inside(found, JANUARY + 50 * SECOND)
    assert inside(found, JANUARY + 5 * HOUR - 50 * SECOND)
    assert (kind, mark) == ("clock", "b1")
    assert "does not fit together" in text
    assert alarm == (text,)
    database.close()


def test_facts_that_came_before_they_can_have_happened_contradict() -> None:
    database = safety(anchored(100, JANUARY), received_ns=JANUARY - HOUR)
    with database.transaction(write=False):
        found = Clocks(database, "van-1").interval("e1", 100 * SECOND, 0, JANUARY - HOUR)
    assert found.quality == "contradictory"
    assert inside(found, JANUARY)
    database.close()


def test_a_neighbour_that_cannot_be_is_left_out() -> None:
    def in_boot(boot: str, epoch: str, *events: WireEvent) -> object:
        return came(Sender(stream="safety", epoch=epoch, boot=boot), events, JANUARY + HOUR)

    database = ledger_of(
        [
            in_boot("b1", "e1", started(1, None), anchored(10, JANUARY + 90 * HOUR)),
            in_boot("b2", "e2", started(2, "e1", "b2")),
        ]
    )
    with database.transaction(write=False):
        found = Clocks(database, "van-1").interval("e2", SECOND, 0, JANUARY + HOUR)
    assert found == Interval(None, JANUARY + HOUR, 0, "received")
    database.close()


def test_after_a_fork_only_the_start_of_the_original_is_surely_before_the_copy() -> None:
    """The card was copied while the original ran on: its later facts say nothing of when the copy began."""

    def of(boot: str, epoch: str, *events: WireEvent) -> object:
        return came(Sender(stream="safety", epoch=epoch, boot=boot), events, JANUARY + 90 * HOUR)

    went_on = anchored(20 * HOUR_S, JANUARY + 20 * HOUR)
    database = ledger_of(
        [
            of("b1", "e1", started(1, None), anchored(10, JANUARY + 10 * SECOND), went_on),
            of("b2", "e2", started(2, "e1", "b2")),
            of("b3", "e3", started(2, "e1", "b3"), anchored(5, JANUARY + 30 * HOUR, boot="b3")),
        ]
    )
    copied_at = JANUARY + 2 * HOUR
    with database.transaction(write=False):
        found = Clocks(database, "van-1").interval("e2", SECOND, 0, JANUARY + 90 * HOUR)
        original = Clocks(database, "van-1").interval("e1", 19 * HOUR, 0, JANUARY + 90 * HOUR)
    assert found.quality == "neighbours"
    assert found.from_ns is not None
    assert JANUARY <= found.from_ns <= copied_at
    assert inside(original, JANUARY + 19 * HOUR)
    database.close()


def test_a_ledger_of_before_knows_no_boot_clock_of_its_receipts_until_the_next_batch() -> None:
    lab = Sender()
    database = ledger_of([came(lab, [headcount("v1", 3)], JANUARY)])
    with database.transaction(write=True):
        database.query("update feed set anchor_boot_ns = null, last_boot_ns = null")
    with database.transaction(write=False):
        before = Clocks(database, "van-1").interval("e1", 5 * SECOND, 0, JANUARY + HOUR)
    record(database, [came(lab, [headcount("v1", 3)], JANUARY + 60 * SECOND)], YEAR_2026)
    with database.transaction(write=False):
        after = Clocks(database, "van-1").interval("e1", 5 * SECOND, 0, JANUARY + HOUR)
        ((anchor_ns, at_ns, last_ns),) = database.query("select anchor_ns, anchor_boot_ns, last_boot_ns from feed")
    assert (before.to_ns, after.to_ns) == (JANUARY + HOUR, JANUARY + 60 * SECOND)
    assert (anchor_ns, at_ns, last_ns) == (JANUARY + 55 * SECOND, 5 * SECOND, 5 * SECOND)
    database.close()
