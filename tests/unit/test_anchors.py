# SPDX-License-Identifier: GPL-3.0-or-later
"""Anchors and the wall clock's quality: what is noted, how sparingly, and that it is true."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.events import Event, EventType, Scalar
from edge.services import anchors
from edge.services.anchors import Anchor, ClockWatch
from edge.services.clock import KernelTime
from edge.services.recorder import Recorder
from tests.support.fakes import FakeClock, MemoryStore
from tests.support.van_clock import SECOND, YEAR_1970, YEAR_2026, YEAR_2038, VanClock, WatchedVan
from wire.events import BODIES

patient = settings(deadline=None)
HOUR_S = 3600


def true_inside(van: WatchedVan) -> bool:
    """Say whether every anchor noted holds the true time, the drift between its making and its noting included."""
    for event, true_ns in van.noted.events:
        if event.type == "clock.anchor":
            body = event.body
            anchor = Anchor(body["at_boot_us"], body["utc_us"], body["uncertainty_us"]).after(event.boot_ns // 1000)
            if abs(anchor.utc_us - true_ns // 1000) > anchor.uncertainty_us:
                return False
    return True


def test_the_first_ack_of_a_boot_is_an_anchor_and_the_next_hundred_are_not() -> None:
    van = WatchedVan()
    van.watch.look()
    assert van.watch.uncertainty_s is None
    for _ in range(100):
        van.ack()
        van.pass_and_look(5)
    (body,) = van.noted.bodies("clock.anchor")
    assert (body["source"], body["boot"], body["uncertainty_us"]) == ("ack", "boot-1", 575_001)
    assert van.watch.uncertainty_s == pytest.approx(0.575 + 515 * 200e-6, abs=0.01)
    assert true_inside(van)


def test_one_anchor_an_hour_is_enough() -> None:
    van = WatchedVan(VanClock(drift_ppm=200))
    for _ in range(24 * 12):
        van.ack()
        van.pass_and_look(300, every_s=100)
    assert 23 <= len(van.noted.bodies("clock.anchor")) <= 25
    assert van.watch.uncertainty_s is not None
    assert van.watch.uncertainty_s < 1.5
    assert true_inside(van)


def test_an_anchor_that_halves_a_wide_interval_does_not_wait_for_its_time() -> None:
    van = WatchedVan()
    van.ack(20, 20)
    van.ack(15, 15)
    assert len(van.noted.bodies("clock.anchor")) == 1
    van.ack(4, 4)
    assert len(van.noted.bodies("clock.anchor")) == 2
    van.ack(0.1, 0.1)
    assert len(van.noted.bodies("clock.anchor")) == 3
    # Known to a fraction of a second: better is not worth a fact.
    van.ack(0.001, 0.001)
    assert len(van.noted.bodies("clock.anchor")) == 3


@pytest.mark.parametrize("begins", [YEAR_1970, YEAR_2038, YEAR_2026 - 400 * 86_400 * SECOND])
def test_a_clock_that_nobody_set_is_unset_until_a_time_service_sets_it(begins: int) -> None:
    van = WatchedVan(VanClock(ahead_ns=begins))
    van.watch.look()
    assert van.noted.bodies("clock.quality") == [{"boot": "boot-1", "quality": "unset", "stepped_us": None}]
    van.ack()
    van.pass_and_look(30)
    assert van.watch.quality == "unset"
    van.synchronise()
    van.pass_and_look(2)
    words = van.noted.bodies("clock.quality")
    assert [word["quality"] for word in words] == ["unset", "synchronised"]
    assert words[1]["stepped_us"] == pytest.approx((van.clock.ahead_ns - begins) // 1000, abs=2)
    assert [body["source"] for body in van.noted.bodies("clock.anchor")] == ["ack", "ntp"]
    assert true_inside(van)


def test_a_synchronised_clock_that_loses_its_network_runs_free() -> None:
    van = WatchedVan()
    van.synchronise()
    van.pass_and_look(20)
    van.kernel = KernelTime(synchronised=False, uncertainty_us=16_000_000)
    van.pass_and_look(20)
    assert [word["quality"] for word in van.noted.bodies("clock.quality")] == ["synchronised", "free"]


def test_a_clock_that_agrees_with_the_office_was_set_by_somebody() -> None:
    van = WatchedVan()
    van.clock.ahead_ns = van.clock.true_ns - van.clock.now_ns
    van.watch.look()
    assert van.watch.quality == "unset"
    van.pass_and_look(20)
    van.ack()
    van.pass_and_look(2)
    assert van.watch.quality == "free"


def test_a_jump_back_by_an_hour_is_seen_and_the_anchors_stay_true() -> None:
    van = WatchedVan()
    van.synchronise()
    van.pass_and_look(20)
    van.kernel = None
    van.clock.ahead_ns -= HOUR_S * SECOND
    van.pass_and_look(2)
    words = van.noted.bodies("clock.quality")
    assert words[-1]["stepped_us"] == -HOUR_S * 1_000_000
    assert words[-1]["quality"] == "unset"
    van.ack()
    assert true_inside(van)
    van.synchronise()
    van.pass_and_look(20)
    assert van.noted.bodies("clock.quality")[-1]["stepped_us"] == pytest.approx(HOUR_S * 1_000_000, abs=2)
    assert true_inside(van)


def test_a_wall_clock_that_jumps_all_the_time_does_not_fill_the_record() -> None:
    van = WatchedVan()
    van.synchronise()
    for turn in range(600):
        van.clock.ahead_ns += HOUR_S * SECOND * (-1) ** turn
        van.pass_and_look(1)
    assert len(van.noted.bodies("clock.quality")) <= 62
    assert len(van.noted.bodies("clock.anchor")) <= 3


def test_a_time_service_that_was_put_right_is_believed_again() -> None:
    van = WatchedVan()
    van.synchronise(error_us=3_600_000_000, told_us=1_000)
    van.pass_and_look(5)
    van.synchronise()
    van.pass_and_look(5)
    wrong, right = van.noted.bodies("clock.anchor")
    assert wrong["utc_us"] - right["utc_us"] == pytest.approx(3_600_000_000, abs=5_000_000)
    assert van.watch.uncertainty_s == pytest.approx(0.5, abs=0.01)


def test_a_kernel_that_says_nothing_leaves_the_office_as_the_only_source() -> None:
    van = WatchedVan()
    van.kernel = None
    van.pass_and_look(3)
    van.ack()
    assert [body["source"] for body in van.noted.bodies("clock.anchor")] == ["ack"]


@pytest.mark.parametrize(
    ("sent_ns", "heard_ns", "office_ns"),
    [(2, 1, YEAR_2026), (1, 2, 0), (1, 2, 2**63 - 1), (-2 * SECOND, -SECOND, YEAR_2026)],
)
def test_an_ack_that_cannot_be_is_no_anchor(sent_ns: int, heard_ns: int, office_ns: int) -> None:
    van = WatchedVan()
    van.watch.heard(sent_ns, heard_ns, office_ns)
    assert van.noted.events == []


@patient
@given(
    drift=st.floats(-200, 200),
    begins=st.sampled_from([YEAR_1970, YEAR_2038, YEAR_2026]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.floats(1, 20_000)),
            st.tuples(st.just("ack"), st.floats(0, 30)),
            st.tuples(st.just("sync"), st.integers(-400_000, 400_000)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("jump"), st.integers(-7_200, 7_200)),
        ),
        max_size=40,
    ),
)
def test_every_anchor_holds_the_true_time_and_every_body_is_what_the_wire_says(
    drift: float, begins: int, steps: list[tuple[str, float]]
) -> None:
    van = WatchedVan(VanClock(drift_ppm=drift, ahead_ns=begins))
    for what, value in steps:
        match what:
            case "pass":
                # Under a time service the wall clock is slewed, so it stays right.
                van.clock.drift_ppm = 0.0 if van.kernel is not None and van.kernel.synchronised else drift
                van.pass_and_look(value, every_s=max(1.0, value / 20))
            case "ack":
                van.ack(value, value / 3)
            case "sync":
                van.synchronise(error_us=int(value))
            case "lose":
                van.kernel = None
            case _:
                van.kernel = None
                van.clock.ahead_ns += int(value) * SECOND
    assert true_inside(van)
    for event, _ in van.noted.events:
        BODIES[event.type].model_validate(event.body)


async def test_it_looks_by_itself_and_notes_in_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "POLL_S", 0.001)
    store, clock = MemoryStore(), FakeClock()
    recorder = Recorder(store, clock, lambda: None)
    watch = ClockWatch(recorder, clock, lambda: KernelTime(synchronised=True, uncertainty_us=2_000))
    tasks = [asyncio.create_task(watch.run()), asyncio.create_task(recorder.run())]
    async with asyncio.timeout(10):
        while len(store.events) < 2:
            await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    kinds: list[Event] = store.events
    assert [event.type for event in kinds] == [EventType.CLOCK_ANCHOR, EventType.CLOCK_QUALITY]


def _steps_at_call(van: WatchedVan, number: int, *, synchronised_before: bool) -> None:
    """Let a time service set the wall clock right before the kernel is asked for the `number`-th time."""
    calls = 0

    def kernel() -> KernelTime:
        nonlocal calls
        calls += 1
        if calls == number:
            van.synchronise()
        return KernelTime(synchronised_before or calls >= number, 0)

    van.watch = ClockWatch(van.noted, van.clock, kernel)  # type: ignore[arg-type]


@pytest.mark.parametrize("synchronised_before", [False, True])
def test_a_step_while_the_clocks_are_read_gives_no_anchor_of_the_time_before(synchronised_before: bool) -> None:
    van = WatchedVan()
    _steps_at_call(van, 2, synchronised_before=synchronised_before)
    van.watch.look()
    assert van.noted.bodies("clock.anchor") == []
    van.pass_and_look(1)
    (body,) = van.noted.bodies("clock.anchor")
    assert body["utc_us"] == van.clock.true_ns // 1000
    assert true_inside(van)


def test_a_kernel_that_says_nothing_the_second_time_vouches_for_nothing() -> None:
    van = WatchedVan()
    words = [KernelTime(synchronised=True, uncertainty_us=0), None]
    van.watch = ClockWatch(van.noted, van.clock, lambda: words.pop(0))  # type: ignore[arg-type]
    van.watch.look()
    assert van.noted.bodies("clock.anchor") == []


def ntp_uncertainties(van: WatchedVan) -> list[Scalar]:
    return [body["uncertainty_us"] for body in van.noted.bodies("clock.anchor") if body["source"] == "ntp"]


@pytest.mark.parametrize(("there_s", "least_us"), [(0.05, 500_000), (3.0, 1_550_000), (600.0, 5_000_000)])
def test_a_time_service_over_a_filled_uplink_is_trusted_to_half_a_round_trip(there_s: float, least_us: int) -> None:
    van = WatchedVan()
    van.watch.heard(0, round((there_s + 0.1) * SECOND), 0)
    van.clock.pass_s(there_s + 0.1)
    # What an answer on that uplink makes a time service believe.
    van.synchronise(error_us=least_us - 1_000, told_us=0)
    van.watch.look()
    (uncertainty_us,) = ntp_uncertainties(van)
    assert least_us <= uncertainty_us <= least_us + 1_000
    assert true_inside(van)


def test_a_slow_round_trip_counts_for_as_long_as_the_time_service_may_have_used_it() -> None:
    van = WatchedVan()
    van.watch.heard(0, 8 * SECOND, 0)
    van.clock.pass_s(8)
    van.synchronise(error_us=3_900_000, told_us=0)
    van.pass_and_look(anchors.NTP_POLL_US / 1e6, every_s=100)
    assert ntp_uncertainties(van) == [pytest.approx(4_000_000, abs=10)]
    van.synchronise(told_us=0)
    van.pass_and_look(2 * anchors.NTP_POLL_US / 1e6, every_s=100)
    assert ntp_uncertainties(van)[-1] == pytest.approx(500_000, abs=10)
    assert true_inside(van)
