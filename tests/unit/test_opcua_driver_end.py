# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver of a machine on OPC UA ends when it is told to, also where the link goes away at that very moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.errors import LinkLost
from edge.drivers.opcua.together import together
from edge.services.clock import SystemClock
from tests.support.opcua import settings


async def lost() -> None:
    raise LinkLost(reason="the link was lost")


def driven(live: Callable[[], Awaitable[None]]) -> OpcUaDriver:
    driver = OpcUaDriver("lathe", "Lathe", "lathe", settings("opc.tcp://127.0.0.1:4840"), SystemClock())
    driver._live = live  # type: ignore[method-assign, assignment]
    return driver


@pytest.mark.parametrize("turns", range(5))
async def test_a_link_that_is_lost_while_the_service_ends_does_not_keep_it(turns: int) -> None:
    begun = asyncio.Event()

    async def live() -> None:
        begun.set()
        await together(asyncio.Event().wait(), lost(), name="live")

    task = asyncio.create_task(driven(live).run(), name="driver")
    await begun.wait()
    # The failure and the cancel come before, together and after each other.
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    _, waiting = await asyncio.wait({task}, timeout=5)
    assert not waiting
    assert task.cancelled()


async def test_a_link_that_is_lost_again_and_again_ends_nothing() -> None:
    times = 0
    often = asyncio.Event()

    async def live() -> None:
        nonlocal times
        times += 1
        if times == 4:
            often.set()
        await together(asyncio.Event().wait(), lost(), name="live")

    task = asyncio.create_task(driven(live).run(), name="driver")
    async with asyncio.timeout(5):
        await often.wait()
    assert not task.done()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()


async def test_results_come_in_order_and_a_failure_ends_the_others() -> None:
    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await together(name="none") == []
    assert await together(after(3), after(1), after(2), name="three") == [3, 1, 2]
    ended = False

    async def long() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    with pytest.raises(LinkLost):
        await together(long(), lost(), name="two")
    assert ended
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
