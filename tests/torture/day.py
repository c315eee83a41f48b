# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad day: some vans with their schedules, one office, and a verdict at the end."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.judge import Case, verdict
from tests.torture.plan import Hands, Schedule
from tests.torture.van import Van
from tests.torture.world import KilledPostgres, World

SHARED = ("broker", "office", "worker", "postgres", "office noise")
DAY_S = 150.0


@dataclass
class Outcome:
    """What came of a day: what is wrong, what really struck, and how much was told and asked."""

    wrong: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    told: int = 0
    posts: int = 0
    unanswered: int = 0
    schedules: int = 0


async def live(folder: Path, seed: str, vans: int, postgres: KilledPostgres | None) -> Outcome:
    """Live through the day of `seed`. Its files stay in `folder` where something is wrong."""
    world = World(folder, seed, postgres)
    hands: list[Hands] = []
    for number in range(vans):
        schedule = Schedule.draw(f"{seed} {number}")
        van = Van(folder / f"van{number}", f"van{number}", world.broker.port, schedule.seed)
        drawn = {name for _, name in schedule.faults}
        van.small, van.recorded = "full" in drawn, "power" in drawn
        hands.append(Hands(van, schedule, world.config))
    outcome = Outcome(schedules=vans)
    try:
        async with asyncio.timeout(DAY_S):
            await world.begin()
            await _together(hand.van.begin() for hand in hands)
            done = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(_chaos(world, done))
                await _together(hand.run() for hand in hands)
                done.set()
            everybody = [van for hand in hands for van in (hand.van, *hand.twins)]
            await _together(van.people.leave() for van in everybody)
            await _together(van.drained() for van in everybody)
    except* (TimeoutError, Exception) as errors:  # noqa: BLE001 - whatever ends a day is the day's result
        outcome.wrong += [f"the day ended: {error!r}" for error in errors.exceptions]
    finally:
        for hand in hands:
            await _together(van.end() for van in (hand.van, *hand.twins))
        await world.end()
    cases = {hand.van.lab: _case(hand) for hand in hands}
    if not outcome.wrong:
        outcome.wrong += await verdict(world.database, cases)
    _count(outcome, world, hands)
    if not outcome.wrong:
        shutil.rmtree(folder)
    return outcome


async def _together(works: Iterable[Coroutine[object, object, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def _chaos(world: World, done: asyncio.Event) -> None:
    """Strike what all share, now and then, until the day is done."""
    while not done.is_set():
        await asyncio.sleep(world.random.uniform(0.3, 1.5))
        await world.strike(world.random.choice(SHARED))


def _case(hand: Hands) -> Case:
    vans = (hand.van, *hand.twins)
    told = {key: value for van in vans for key, value in van.ledger.told.items()}
    refused = [sentence for van in vans for sentence in van.ledger.refused]
    return Case(told, hand.maybe_lost, hand.forked, hand.branches, refused)


def _count(outcome: Outcome, world: World, hands: list[Hands]) -> None:
    outcome.struck += world.struck
    outcome.struck += Counter({f"{name} at the office": count for name, count in world.air.struck.items()})
    for hand in hands:
        outcome.struck += hand.struck
        for van in (hand.van, *hand.twins):
            outcome.struck += van.air.struck
            outcome.told += len(van.ledger.told)
            outcome.posts += van.ledger.posts
            outcome.unanswered += van.ledger.unanswered
