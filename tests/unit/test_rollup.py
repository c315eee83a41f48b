# SPDX-License-Identifier: GPL-3.0-or-later
"""What many readings said, in few: sums that stay, means that are weighted, time that is shared between periods."""

from __future__ import annotations

import random

from edge.domain.events import Scalar
from edge.store.rollup import HOUR_S, MINUTE_S, Reading, roll_up
from wire.events import BODIES

S = 1_000_000_000


def state(at_s: float, execution: str = "ACTIVE", boot: str = "b", machine: str = "router", **more: Scalar) -> Reading:
    body: dict[str, Scalar] = {"machine": machine, "availability": "AVAILABLE", "execution": execution, **more}
    return Reading(boot, "machine.state", body, round(at_s * S))


def again(body: dict[str, Scalar], boot: str = "later") -> Reading:
    return Reading(boot, "machine.rollup", body, 9_999 * S)


def test_ten_minutes_of_a_machine_that_runs_are_ten_facts() -> None:
    readings = [state(10 * n, feed=600.0, spindle=8000.0 + n, part_count=n) for n in range(60)]
    bodies = roll_up(readings, MINUTE_S)
    assert [body["began_boot_us"] for body in bodies] == [n * 60_000_000 for n in range(10)]
    assert [body["samples"] for body in bodies] == [6] * 10
    assert [body["active_s"] for body in bodies] == [60.0] * 9 + [50.0]
    assert bodies[0]["feed"] == 600.0
    assert bodies[1]["spindle"] == 8008.5
    assert [body["part_count"] for body in bodies] == [5, 11, 17, 23, 29, 35, 41, 47, 53, 59]
    for body in bodies:
        BODIES["machine.rollup"].model_validate(body)


def test_time_counts_from_an_active_reading_to_the_next_and_is_shared_at_the_border() -> None:
    readings = [state(50), state(65, "FEED_HOLD"), state(70), state(72, "READY"), state(100), state(400, "READY")]
    first, second, last = roll_up(readings, MINUTE_S)
    assert first["active_s"] == 10.0
    assert second["active_s"] == 5.0 + 2.0 + 15.0
    assert last["active_s"] == 0.0
    assert last["feed"] is last["part_count"] is last["link_damaged"] is None


def test_time_that_nobody_saw_end_is_cut_at_the_border() -> None:
    first, _ = roll_up([state(50), state(200, "READY")], MINUTE_S)
    assert first["active_s"] == 10.0


def test_machines_and_boots_are_kept_apart() -> None:
    readings = [state(1), state(1, machine="lathe"), state(1, boot="c"), state(2), state(2, boot="c", link_damaged=3)]
    bodies = roll_up(readings, MINUTE_S)
    assert [(body["boot"], body["machine"], body["samples"]) for body in bodies] == [
        ("b", "lathe", 1),
        ("b", "router", 2),
        ("c", "router", 2),
    ]
    assert [body["link_damaged"] for body in bodies] == [None, None, 3]


def test_minutes_become_hours_of_their_own_boot_with_weighted_means() -> None:
    minutes = roll_up([state(0, feed=100.0), *(state(60 + n, feed=400.0) for n in range(3))], MINUTE_S)
    (hour,) = roll_up([again(body) for body in minutes], HOUR_S)
    assert hour == {
        "machine": "router",
        "period_s": 3600,
        "began_boot_us": 0,
        "samples": 4,
        "active_s": 17.0,
        "feed": 325.0,
        "spindle": None,
        "part_count": None,
        "link_damaged": None,
        "boot": "b",
    }


def test_samples_and_active_time_survive_any_mixture() -> None:
    rng = random.Random(5)
    for _ in range(50):
        at, readings = 0.0, []
        for _ in range(rng.randrange(2, 300)):
            at += rng.choice([0.2, 1.0, 10.0, 14.0])
            readings.append(state(at, rng.choice(["ACTIVE", "READY"]), machine=rng.choice(["router", "lathe"])))
        minutes = roll_up(readings, MINUTE_S)
        hours = roll_up([again(body) for body in minutes], HOUR_S)
        for rolled in (minutes, hours):
            assert sum(int(body["samples"] or 0) for body in rolled) == len(readings)
        active = [sum(float(body["active_s"] or 0) for body in rolled) for rolled in (minutes, hours)]
        assert abs(active[0] - active[1]) < 0.01


def test_what_is_no_reading_of_a_machine_cannot_shrink() -> None:
    assert not Reading("b", "machine.state", {"machine": 3}, 1).can_shrink
    assert not Reading("b", "coffee.level", {"machine": "kettle"}, 1).can_shrink
    (hour,) = roll_up([state(1)], HOUR_S)
    assert not again(hour).can_shrink
    assert not again({**hour, "period_s": 60, "active_s": None}).can_shrink
    assert again({**hour, "period_s": 60}).can_shrink
