# SPDX-License-Identifier: GPL-3.0-or-later
"""An approval holds for what was seen, and for nothing that came between it, the start and the motion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edge.domain.errors import JobTransitionRefused, MotionRefused
from edge.domain.inputs import InputSample
from edge.domain.job import Job, JobState
from edge.domain.machine import MachineInfo, Position
from edge.drivers.grbl.identity import Identity
from edge.safety.permissives import Refusal
from edge.services.checking import (
    CHANGED,
    FORGOTTEN,
    OTHER_PROGRAM,
    PERMISSIVE,
    REMEMBERED,
    UNKNOWN,
    Checked,
    Shown,
    changes,
)
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
    real, before, after = shop.catalog._prepare, asyncio.Event(), asyncio.Event()

    async def prepare(data: bytes, program_id: str, info: MachineInfo, offset: Position | None) -> Prepared:
        prepared = await real(data, program_id, info, offset)
        await (after if offset == MOVED else before).wait()
        return prepared

    with monkeypatch.context() as slowly:
        slowly.setattr(shop.catalog, "_prepare", prepare)
        first = asyncio.create_task(shop.jobs.approve(job.job_id))
        await asyncio.sleep(0)
        shop.driver.show(work_offset=MOVED)
        second = asyncio.create_task(shop.jobs.approve(job.job_id))
        await asyncio.sleep(0)
        before.set()
        assert (await first).state is JobState.APPROVED
        after.set()
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


# A job that has begun

STOPS = b"G21 G90\nG0 X0 Y0 Z5\nM3 S8000\nG1 X5 F300\nM0\nG0 X0 Y0 Z5\nG1 X20 F800\nM5\nM30\n"
TOOLS = STOPS.replace(b"M0", b"M6 T2")


async def held(shop: Shop, data: bytes = STOPS) -> Job:
    """Return a job that has come to the stop of its program."""
    shop.driver.learn(motion=MOTION)
    job = await shop.jobs.add(await shop.uploaded(data), "router")
    await shop.jobs.approve(job.job_id)
    await shop.jobs.start(job.job_id, area_clear=True)
    await ends(shop, 1)
    while shop.jobs.job(job.job_id).waits is None:
        await asyncio.sleep(0)
    return shop.jobs.job(job.job_id)


async def ends(shop: Shop, number: int) -> None:
    """Let the `number`th stretch that the machine runs come to its end."""
    while len(shop.driver.ran) < number or shop.driver.end is None:
        await asyncio.sleep(0)
    shop.driver.end.set_result(None)


async def test_what_has_changed_at_a_stop_is_confirmed_sentence_by_sentence(shop: Shop) -> None:
    job = await held(shop)
    shop.driver.show(work_offset=MOVED)
    shop.driver.learn(motion=SLOWER, controller="Grbl 1.1f")
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.continue_(job.job_id, area_clear=True)
    said = whys(refused.value, CHANGED)
    assert said == [
        "The controller was not known and is Grbl 1.1f.",
        "The zero of X was -150.000 and is -137.500 mm.",
        "The fastest motion of X was 3000 and is 300 mm/min.",
    ]
    assert shop.jobs.job(job.job_id).state is JobState.HELD
    shop.driver.show(work_offset=replace(MOVED, x=-130))
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.continue_(job.job_id, area_clear=True, changes=said)
    assert whys(refused.value, CHANGED) == ["The zero of X was -150.000 and is -130.000 mm."]
    shop.driver.show(work_offset=MOVED)
    running = await shop.jobs.continue_(job.job_id, area_clear=True, changes=said)
    assert running.state is JobState.RUNNING
    await ends(shop, 2)
    await comes_to(shop, job, JobState.FINISHED)


async def test_a_new_tool_may_have_another_length_and_nothing_else(shop: Shop) -> None:
    job = await held(shop, TOOLS)
    shop.driver.show(work_offset=Position(-150, -148, -38))
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.continue_(job.job_id, area_clear=True)
    assert whys(refused.value, CHANGED) == ["The zero of Y was -150.000 and is -148.000 mm."]
    shop.driver.show(work_offset=Position(-150, -150, -38))
    assert (await shop.jobs.continue_(job.job_id, area_clear=True)).state is JobState.RUNNING


async def test_what_changes_while_going_on_is_checked_is_a_reason_against_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await held(shop)
    after_check(shop, monkeypatch, lambda: shop.driver.show(work_offset=MOVED))
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.continue_(job.job_id, area_clear=True)
    assert whys(refused.value, CHANGED) == ["The zero of X was -150.000 and is -137.500 mm."]


async def interrupted(shop: Shop) -> Job:
    """Return a job that a tripped interlock, which is reset, has interrupted."""
    shop.driver.learn(motion=MOTION)
    job = await shop.jobs.add(await shop.uploaded(STOPS.replace(b"M0", b"G1 X10")), "router")
    await shop.jobs.approve(job.job_id)
    await shop.jobs.start(job.job_id, area_clear=True)
    while not shop.driver.ran:
        await asyncio.sleep(0)
    shop.driver.show(line=5, sent_line=6, machine_position=Position(-142, -150, -35))
    shop.supervisor.on_input(InputSample("door", False, shop.clock.boot_ns(), "controller"))
    ended = await comes_to(shop, job, JobState.INTERRUPTED)
    shop.supervisor.on_input(InputSample("door", True, shop.clock.boot_ns(), "controller"))
    await shop.supervisor.reset()
    return ended


async def test_a_recovery_tells_what_has_changed_and_takes_a_persons_word_for_it(shop: Shop) -> None:
    job = await interrupted(shop)
    assert (await shop.jobs.recovery_plan(job.job_id)).changes == ()
    shop.driver.learn(motion=SLOWER)
    plan = await shop.jobs.recovery_plan(job.job_id)
    assert plan.refusals == ()
    assert plan.changes == ("The fastest motion of X was 3000 and is 300 mm/min.",)
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True)
    assert whys(refused.value, CHANGED) == list(plan.changes)
    await shop.jobs.recover(job.job_id, plan.line, area_clear=True, approved=True, changes=plan.changes)
    await comes_to(shop, job, JobState.RUNNING)
    assert shop.jobs._runner.changed(job) == ()


async def test_what_changes_while_a_recovery_is_checked_is_a_reason_against_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await interrupted(shop)
    after_check(shop, monkeypatch, lambda: shop.driver.learn(motion=SLOWER))
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.recover(job.job_id, 5, area_clear=True, approved=True)
    assert whys(refused.value, CHANGED) == ["The fastest motion of X was 3000 and is 300 mm/min."]


async def test_after_a_restart_of_the_service_nobody_knows_what_a_job_was_approved_for(shop: Shop) -> None:
    job = await interrupted(shop)
    shop.jobs._book.checked.clear()
    assert (await shop.jobs.recovery_plan(job.job_id)).changes == (UNKNOWN,)


# What was looked at


async def test_an_approval_is_for_the_check_that_was_seen(shop: Shop) -> None:
    job = await shop.jobs.add(await shop.uploaded(), "router")
    offset = shop.driver.state().work_offset
    prepared = await shop.catalog.prepare(job.program_id, shop.driver.info(), offset)
    digest = shop.jobs.shown(prepared)
    shop.driver.show(work_offset=MOVED)
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.approve(job.job_id, digest)
    assert whys(refused.value) == ["The zero of X was -150.000 and is -137.500 mm."]
    assert shop.jobs.job(job.job_id).state is JobState.REQUESTED
    again = await shop.jobs.recheck(job.job_id)
    fresh = shop.jobs.rechecked(job.job_id)
    assert again.state is JobState.REQUESTED
    assert fresh not in (None, digest)
    assert (await shop.jobs.approve(job.job_id, fresh)).state is JobState.APPROVED
    await shop.jobs.decline(job.job_id, "enough")
    assert shop.jobs.rechecked(job.job_id) is None


async def test_the_check_of_another_program_or_of_another_day_was_not_this_one(shop: Shop) -> None:
    job = await shop.jobs.add(await shop.uploaded(), "router")
    offset = shop.driver.state().work_offset
    other = await shop.catalog.prepare(await shop.uploaded(STOPS), shop.driver.info(), offset)
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.approve(job.job_id, shop.jobs.shown(other))
    assert whys(refused.value) == [OTHER_PROGRAM]
    with pytest.raises(MotionRefused) as refused:
        await shop.jobs.approve(job.job_id, "0" * 64)
    assert whys(refused.value) == [FORGOTTEN]
    assert (await shop.jobs.approve(job.job_id)).state is JobState.APPROVED


def test_the_same_check_has_the_same_digest_and_old_ones_are_forgotten() -> None:
    shown = Shown()
    checked = Checked("a", replace(BASIS, banned=frozenset({"G10", "M6", "$"})))
    first = shown.keep(checked)
    assert shown.keep(replace(checked, basis=replace(BASIS, banned=frozenset({"$", "M6", "G10"})))) == first
    assert shown.differs(first, checked) == ()
    for number in range(REMEMBERED):
        shown.keep(Checked(str(number), BASIS))
    assert [reason.why for reason in shown.differs(first, checked)] == [FORGOTTEN]
