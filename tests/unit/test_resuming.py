# SPDX-License-Identifier: GPL-3.0-or-later
"""A person lets a held machine go on, and a hold or stop comes while that order is on its way."""

from __future__ import annotations

import asyncio

import pytest

from edge.domain.errors import (
    DriverRefused,
    StopNotDelivered,
)
from edge.domain.machine import Execution
from tests.support.loading import Bench

pytest_plugins = ["tests.support.loading_fixtures"]


class Resuming:
    """A person's word to go on, whose order is on its way."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.answer = asyncio.Event()
        self.refusal: Exception | None = None

    async def __call__(self) -> None:
        self.bench.driver.wire.append("resume")
        await self.answer.wait()
        if self.refusal is not None:
            raise self.refusal

    async def begin(self) -> asyncio.Task[None]:
        self.bench.driver.resume = self  # type: ignore[method-assign]
        await self.bench.permit()
        self.bench.driver.show(execution=Execution.FEED_HOLD)
        asked = asyncio.create_task(self.bench.supervisor.resume())
        await self.bench.until(lambda: "resume" in self.bench.driver.wire)
        return asked


REFUSED = DriverRefused(machine_id="lathe", command="resume", reason="a hold came in between")


@pytest.mark.parametrize("refusal", [None, REFUSED])
async def test_a_hold_that_comes_while_a_machine_is_asked_to_go_on_wins(
    bench: Bench, refusal: DriverRefused | None
) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    resuming.refusal = refusal
    resuming.answer.set()
    await asyncio.wait([asked])
    assert asked.exception() is refusal
    assert bench.driver.wire == ["resume", "hold"]
    # The machine took the hold before the order: it moves.
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold", "hold"]
    bench.driver.show(execution=Execution.FEED_HOLD)
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold", "hold"]


async def test_a_hold_of_an_earlier_time_holds_nobody_who_goes_on_at_the_machine(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    resuming.answer.set()
    await asked
    bench.clock.pass_s(6)
    bench.door(True)
    bench.driver.show(execution=Execution.ACTIVE)
    assert bench.driver.wire == ["resume", "hold"]


async def test_a_hold_that_cannot_be_repeated_is_a_fault(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.supervisor.hold("console")
    bench.driver.show(execution=Execution.ACTIVE)
    bench.driver.reachable = False
    resuming.answer.set()
    await asked
    assert "did not reach" in bench.supervisor.view().fault


@pytest.mark.parametrize("way", ["stop", "trip"])
async def test_a_stop_that_is_lost_while_a_machine_is_asked_to_go_on_is_sent_again(bench: Bench, way: str) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    bench.driver.reachable = False
    if way == "stop":
        with pytest.raises(StopNotDelivered):
            await bench.supervisor.stop("console")
    else:
        bench.door(False)
        await bench.until(lambda: bench.store_stops() == 1)
    bench.driver.reachable = True
    resuming.answer.set()
    await asked
    assert bench.driver.wire == ["resume", "hold", "reset"]


async def test_a_stop_that_arrived_is_not_sent_again_after_a_resume(bench: Bench) -> None:
    resuming = Resuming(bench)
    asked = await resuming.begin()
    await bench.supervisor.stop("console")
    resuming.answer.set()
    await asked
    assert bench.driver.wire == ["resume", "hold", "reset"]
