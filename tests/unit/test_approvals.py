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
from edge.safety.permissives import Refusal
from edge.services.checking import PERMISSIVE
from edge.services.programs import Prepared
from tests.support.fakes import TRAVEL
from tests.unit.test_job_checks import MOTION, Shop
from tests.unit.test_job_checks import shop as shop

MOVED = Position(-137.5, -150, -40)
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


async def comes_to(shop: Shop, job: Job, state: JobState) -> Job:
    """Wait until a job is in `state`."""
    while shop.jobs.job(job.job_id).state is not state:
        await asyncio.sleep(0)
    return shop.jobs.job(job.job_id)
