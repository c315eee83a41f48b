# SPDX-License-Identifier: GPL-3.0-or-later
"""The OPC UA driver keeps the contract of machine drivers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from edge.domain.ports import Clock, MachineDriver
from edge.drivers.opcua.driver import OpcUaDriver
from edge.services.clock import SystemClock
from tests.contract.driver_suite import DriverSuite
from tests.support.opcua import Lathe, lathe_process, settings
from tests.support.opcua_node import node_lathe_process


class LatheCase:
    """The driver beside the simulated lathe, whose wire falls silent."""

    def __init__(self, lathe: Lathe) -> None:
        self.clock: Clock = SystemClock()
        self._lathe = lathe
        inputs = ({"name": "door", "node": "Interlock/DoorClosed", "shows": "door"},)
        self.driver: MachineDriver = OpcUaDriver(
            "lathe-1", "Lathe", "lathe", settings(lathe.endpoint, inputs=inputs), self.clock
        )

    async def lose_link(self) -> None:
        await self._lathe.ctl("silence")

    async def restore_link(self) -> None:
        await self._lathe.ctl("talk")

    async def leftovers(self) -> str:
        facts = await self._lathe.ctl("state")
        held = {name: facts[name] for name in ("connections", "sessions", "subscriptions") if facts[name]}
        return str(held) if held else ""


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def lathe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lathe]:
    async with lathe_process(tmp_path_factory.mktemp("lathe"), "--idle") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def node_lathe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lathe]:
    async with node_lathe_process(tmp_path_factory.mktemp("node-lathe"), "--idle") as lathe:
        yield lathe


@pytest.mark.asyncio(loop_scope="class")
class TestOpcUaDriver(DriverSuite):
    """The contract, with the lathe on asyncua."""

    @pytest_asyncio.fixture(loop_scope="class")
    async def driver_case(self, lathe: Lathe) -> LatheCase:
        await lathe.ctl("reset")
        return LatheCase(lathe)


@pytest.mark.asyncio(loop_scope="class")
class TestOpcUaDriverOnNodeOpcua(DriverSuite):
    """The contract, with the lathe on node-opcua and the published nodesets."""

    @pytest_asyncio.fixture(loop_scope="class")
    async def driver_case(self, node_lathe: Lathe) -> LatheCase:
        await node_lathe.ctl("reset")
        return LatheCase(node_lathe)
