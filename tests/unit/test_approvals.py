# SPDX-License-Identifier: GPL-3.0-or-later
"""An approval holds for what was seen, and for nothing that came between it, the start and the motion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge.domain.errors import JobTransitionRefused, MotionRefused
from edge.domain.job import Job, JobState
from edge.domain.machine import Position
from edge.drivers.grbl.identity import Identity
from edge.safety.permissives import Refusal
from edge.services.checking import PERMISSIVE, changes
from edge.services.preparing import prepare_text
from edge.services.programs import Prepared
from tests.support.fakes import TRAVEL
from tests.unit.test_job_checks import BASIS, MOTION, Shop
from tests.unit.test_job_checks import shop as shop

MOVED = Position(-137.5, -150, -40)
SET = replace(BASIS, settings=((3, "0"), (20, "1")))
ROUTER = {1: "25", 11: "0.010", 12: "0.002", 30: "1000", 31: "0"} | {
    base + axis: "200" for base in (100, 110, 120, 130) for axis in range(3)
}
SLOWER = replace(MOTION, max_rate=Position(300, 3000, 1500))


def whys(error: MotionRefused, permissive: str = PERMISSIVE) -> list[str]:
    """Return why the check does not count any more."""
    reasons = error.refusals
    assert isinstance(reasons, tuple)
    return [item.why for item in reasons if isinstance(item, Refusal) and item.permissive == permissive]


def after_check(shop: Shop, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Any]) -> None:
    """Let `then` happen when a check is done, before anybody has its result."""
    real = shop.catalog._prepare

    async def prepare(*args: Any, **kwargs: Any) -> Prepared:
        prepared = await real(*args, **kwargs)
        await asyncio.sleep(0)
        then()
        return prepared

    monkeypatch.setattr(shop.catalog, "_prepare", prepare)


async def test_an_approval_that_is_refused_leaves_the_one_that_holds(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tablets: the second one's check is for another zero, and comes after the first has approved."""
    job = await shop.jobs.add(await shop.uploaded(), "router")
    real, gates = shop.catalog._prepare, [asyncio.Event(), asyncio.Event()]
    waiting = iter(gates)

    async def prepare(*args: Any, **kwargs: Any) -> Prepared:
        gate = next(waiting)
        prepared = await real(*args, **kwargs)
        await gate.wait()
        return prepared

    with monkeypatch.context() as slowly:
        slowly.setattr(shop.catalog, "_prepare", prepare)
        first = asyncio.create_task(shop.jobs.approve(job.job_id))
        await asyncio.sleep(0)
        shop.driver.show(work_offset=MOVED)
        second = asyncio.create_task(shop.jobs.approve(job.job_id))
        await asyncio.sleep(0)
        gates[0].set()
        assert (await first).state is JobState.APPROVED
        gates[1].set()
        with pytest.raises(JobTransitionRefused):
            await second
    assert await shop.refused(job) == ["The zero of X was -150.000 and is -137.500 mm."]


async def test_what_changes_while_a_start_checks_is_a_reason_against_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.driver.learn(motion=MOTION)
    job = await shop.approved()
    after_check(shop, monkeypatch, lambda: shop.driver.learn(motion=SLOWER))
    assert await shop.refused(job) == ["The fastest motion of X was 3000 and is 300 mm/min."]


async def test_what_changes_before_the_first_line_keeps_the_program_from_beginning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await shop.approved()
    journal = shop.jobs._runner._journal
    real = journal.flush

    async def slowly() -> None:
        await real()
        shop.driver.learn(travel=replace(TRAVEL, low=Position(-150, -150, -60)))

    monkeypatch.setattr(journal, "flush", slowly)
    await shop.jobs.start(job.job_id, area_clear=True)
    ended = await comes_to(shop, job, JobState.INTERRUPTED)
    assert "the machine was set differently after the check" in ended.reason
    assert "start" not in shop.driver.wire


@pytest.mark.parametrize(
    ("other", "sentences"),
    [
        ({"motion": replace(MOTION, laser=True)}, ("The laser mode was off and is on.",)),
        ({"settings": ((3, "0"), (20, "0"))}, ("The setting $20 of the controller was 1 and is 0.",)),
        (
            {"settings": ((3, "1"), (22, "1"))},
            (
                "The setting $3 of the controller was 0 and is 1.",
                "The setting $20 of the controller was 1 and is not known.",
                "The setting $22 of the controller was not known and is 1.",
            ),
        ),
        ({"settings": ()}, ("What the controller is set to is not known any more.",)),
    ],
)
def test_each_setting_that_has_changed_is_named_by_its_number(
    other: dict[str, Any], sentences: tuple[str, ...]
) -> None:
    assert changes(SET, replace(SET, **other)) == sentences
    assert len(changes(replace(SET, **other), SET)) == len(sentences)


async def test_soft_limits_that_were_switched_off_are_a_reason_against_a_start(shop: Shop) -> None:
    shop.driver.learn(motion=MOTION, settings=((3, "0"), (20, "1")))
    job = await shop.approved()
    shop.driver.learn(motion=replace(MOTION, laser=True), settings=((3, "0"), (20, "0")))
    assert await shop.refused(job) == [
        "The laser mode was off and is on.",
        "The setting $20 of the controller was 1 and is 0.",
    ]


def test_every_setting_of_a_controller_is_told_once() -> None:
    identity = Identity(settings={3: "0", 20: "1", 32: "1", **ROUTER})
    motion, travel = identity.motion(), identity.travel()
    assert motion is not None
    assert travel is not None
    assert motion.laser
    assert identity.other_settings() == ((3, "0"), (20, "1"))
    identity.settings |= {32: "2", 12: "what"}
    assert identity.motion() is None
    assert {number for number, _ in identity.other_settings()} == identity.settings.keys() - {30, 31, 130, 131, 132}
    identity.settings[12] = "0.002"
    motion = identity.motion()
    assert motion is not None
    assert not motion.laser


def test_a_laser_does_not_wait_where_its_power_changes() -> None:
    lines = [f"X{step * 0.1:.1f}S{step % 2 * 500 + 100}" for step in range(1, 200)]
    data = "\n".join(["G21G90M4S0", "G0X0Y0Z0", "G1F3000", *lines, "M5"]).encode()
    spindle = prepare_text(data, "x", BASIS).seconds
    laser = prepare_text(data, "x", replace(BASIS, motion=replace(MOTION, laser=True))).seconds
    assert laser < spindle / 5


async def comes_to(shop: Shop, job: Job, state: JobState) -> Job:
    """Wait until a job is in `state`."""
    while shop.jobs.job(job.job_id).state is not state:
        await asyncio.sleep(0)
    return shop.jobs.job(job.job_id)
