# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay's parts without a network: pacing, ages for the console, and when presence is said again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.air import Outgoing
from edge.domain.events import Scalar, Stream
from edge.domain.ports import StreamHead
from edge.sync import presence as presence_module
from edge.sync.pacing import (
    FIRST_BYTES,
    JITTER,
    LEAST_BYTES,
    MOST_BYTES,
    RESEND_MAX_S,
    ByteWindow,
    RoundTrip,
    TokenBucket,
)
from edge.sync.presence import PresenceKeeper
from edge.sync.status import LabIdentity, oldest_waiting_s, waiting
from wire.batch import Presence
from wire.codec import decode_presence

# A busy computer is slow, not wrong.
patient = settings(deadline=None)

QUIET_S = 1.0
"""A pause that is longer than this has nothing due."""

HEAD = StreamHead(Stream.VISITS, "e1", "boot-1", 10, 4, oldest_boot_ns=3_000_000_000)


@patient
@given(st.floats(0.5, 1_000), st.lists(st.floats(0, 2), min_size=1, max_size=60))
def test_the_bucket_never_lets_through_more_than_its_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(rate), 100.0, 0
    begin = now
    for pause in pauses:
        now += pause
        while bucket.wait(now) == 0 and taken < 10_000:
            bucket.take()
            taken += 1
    assert taken <= (now - begin) * rate + max(1.0, rate) + 1


def test_the_bucket_says_how_long_to_wait() -> None:
    bucket = TokenBucket(2.0)
    for _ in range(2):
        assert bucket.wait(10.0) == 0
        bucket.take()
    assert bucket.wait(10.0) == pytest.approx(0.5)
    assert bucket.wait(10.25) == pytest.approx(0.25)
    assert bucket.wait(10.5) == 0


@patient
@given(st.lists(st.floats(0.001, 20), max_size=20), st.integers(1, 40))
def test_the_time_out_is_three_round_trips_within_bounds(samples: list[float], tries: int) -> None:
    trip = RoundTrip(resend_min_s=1.0)
    for sample in samples:
        trip.sample(sample)
    base = max(1.0, 3 * (trip.smoothed_s or 0.0))
    low = min(base * 2.0 ** (tries - 1), RESEND_MAX_S)
    assert low <= trip.timeout_s(tries) <= low * (1 + JITTER)
    if samples:
        assert min(samples) * 0.999 <= (trip.smoothed_s or 0.0) <= max(samples) * 1.001


def test_waiting_names_every_stream_and_age_is_a_lower_bound_across_boots() -> None:
    metrics = replace(HEAD, stream=Stream.METRICS, boot="boot-0", watermark=9)
    assert waiting([HEAD, metrics]) == {"visits": 6, "safety": 0, "jobs": 0, "metrics": 1}
    assert oldest_waiting_s([], "boot-1", 5_000_000_000) is None
    assert oldest_waiting_s([replace(HEAD, oldest_boot_ns=None)], "boot-1", 5_000_000_000) is None
    assert oldest_waiting_s([HEAD], "boot-1", 5_000_000_000) == 2.0
    assert oldest_waiting_s([HEAD, metrics], "boot-1", 5_000_000_000) == 5.0


class Desk:
    """Stands for outbox and publisher of a PresenceKeeper."""

    def __init__(self) -> None:
        self.said: list[Presence] = []
        self.counts = {"people": 0, "corrected": 0, "sessions": 0}
        self.away = False

    async def totals(self) -> dict[str, dict[str, int]]:
        return {"e1": dict(self.counts)}

    async def closed_epochs(self) -> dict[str, dict[str, int]]:
        return {}

    def publish(self, message: Outgoing) -> None:
        if self.away:
            raise ConnectionError("away")
        assert message.retain
        self.said.append(decode_presence("lab-1", message.payload))


async def test_presence_follows_counts_soon_and_heads_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "CHECK_S", 0.02)
    monkeypatch.setattr(presence_module, "HEADS_S", 0.3)
    desk = Desk()
    keeper = PresenceKeeper(desk, desk, LabIdentity("lab-1", "boot-1", "e1", "0.1", "c"))  # type: ignore[arg-type]
    await keeper.greet([HEAD])
    assert (len(desk.said), desk.said[0].heads, desk.said[0].waiting) == (1, {"visits": 10}, 6)
    assert await keeper.keep([HEAD]) > QUIET_S

    async def settle(head: StreamHead) -> int:
        """Look until there is nothing to do; return how often it was looked."""
        keeper.touch()
        looks = 0
        while (pause := await keeper.keep([head])) < QUIET_S:
            looks += 1
            await asyncio.sleep(pause)
        return looks

    await settle(HEAD)
    assert len(desk.said) == 1
    desk.counts["people"] += 25
    await settle(HEAD)
    assert (len(desk.said), desk.said[-1].totals["e1"]["people"]) == (2, 25)
    later = replace(HEAD, last_seq=11)
    assert await settle(later) > 3
    assert (len(desk.said), desk.said[-1].heads) == (3, {"visits": 11})


async def test_presence_that_could_not_be_said_is_said_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "CHECK_S", 0.01)
    desk = Desk()
    keeper = PresenceKeeper(desk, desk, LabIdentity("lab-1", "boot-1", "e1", "0.1", "c"))  # type: ignore[arg-type]
    desk.away = True
    with pytest.raises(ConnectionError):
        await keeper.greet([HEAD])
    assert await keeper.keep([HEAD]) == 0.01
    desk.away = False
    await asyncio.sleep(0.02)
    assert await keeper.keep([HEAD]) > QUIET_S
    assert len(desk.said) == 1


async def test_presence_says_who_the_lab_is_and_follows_its_health_without_a_fact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence_module, "CHECK_S", 0.01)
    monkeypatch.setattr(presence_module, "HEADS_S", 0.05)
    monkeypatch.setattr(presence_module, "HEALTH_S", 0.05)
    desk = Desk()
    lab = LabIdentity("lab-1", "boot-1", "e1", "0.1", "c", install="card-1", ordinal=7, key="ab" * 32)
    health: dict[str, Scalar] = {"disk_free_mb": 900, "clock": "unset"}

    async def words() -> dict[str, Scalar]:
        return health

    keeper = PresenceKeeper(desk, desk, lab, words)  # type: ignore[arg-type]
    await keeper.greet([HEAD])
    first = desk.said[0]
    assert (first.install, first.ordinal, first.key, first.health) == ("card-1", 7, "ab" * 32, health)
    health["clock"] = "synchronised"
    while len(desk.said) < 2:
        await asyncio.sleep(await keeper.keep([HEAD]))
    assert desk.said[1].health["clock"] == "synchronised"


def test_the_window_of_bytes_grows_on_an_idle_line_and_yields_to_a_queue() -> None:
    window = ByteWindow()
    for _ in range(10):
        window.sample(0.15, 10_000)
    assert window.size == FIRST_BYTES + 100_000
    while window.size > LEAST_BYTES:
        window.sample(0.6, 10_000)
    for _ in range(20):
        window.sample(0.15, 10_000)
    size = window.size
    assert size > 2 * LEAST_BYTES
    window.lost()
    assert window.size == max(size / 2, LEAST_BYTES)


def test_a_way_that_became_longer_is_no_queue_for_ever() -> None:
    window = ByteWindow()
    window.sample(0.05, 10_000)
    while window.size > LEAST_BYTES:
        window.sample(0.8, 10_000)
    for _ in range(100):
        window.sample(0.8, 10_000)
    assert window.size > LEAST_BYTES


@patient
@given(st.lists(st.one_of(st.none(), st.tuples(st.floats(0, 100), st.integers(0, 1 << 20))), max_size=300))
def test_the_window_of_bytes_stays_within_its_bounds(happened: list[tuple[float, int] | None]) -> None:
    window = ByteWindow()
    for what in happened:
        if what is None:
            window.lost()
        else:
            window.sample(*what)
        assert LEAST_BYTES <= window.size <= MOST_BYTES
