# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver of a machine on OPC UA ends when it is told to, also where the link goes away at that very moment."""

from __future__ import annotations

import asyncio

from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.errors import LinkLost
from edge.services.clock import SystemClock
from tests.support.opcua import settings


async def test_a_link_that_is_lost_while_the_service_ends_does_not_keep_it() -> None:
    driver = OpcUaDriver("lathe", "Lathe", "lathe", settings("opc.tcp://127.0.0.1:4840"), SystemClock())
    begun = asyncio.Event()

    async def lost() -> None:
        raise LinkLost(reason="the link was lost")

    async def live() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                begun.set()
                await asyncio.sleep(0)
                group.create_task(lost())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    driver._live = live  # type: ignore[method-assign]
    task = asyncio.create_task(driver.run(), name="driver")
    await begun.wait()
    # The group begins to wait for its child: both the failure and the cancel come before it looks again.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    _, waiting = await asyncio.wait({task}, timeout=5)
    assert not waiting
    assert task.cancelled()
