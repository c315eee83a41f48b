# SPDX-License-Identifier: GPL-3.0-or-later
"""The OPC UA driver keeps the contract of machine drivers whatever the information model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from edge.domain.ports import Clock, MachineDriver
from edge.drivers.opcua.driver import OpcUaDriver
from edge.drivers.opcua.settings import OpcUaSettings
from edge.services.clock import SystemClock
from tests.contract.driver_suite import DriverSuite
from tests.support.opcua import settings
from tests.support.opcua_controls import Control, control_process

MAPPING = """
root = "Press"
[signal.execution]
node = "State/Word"
values = { 0 = "READY", 1 = "ACTIVE" }
[signal.door]
node = "State/DoorOpen"
healthy = false
"""


class ControlCase:
    """The driver beside a simulated control, whose wire falls silent."""

    def __init__(self, control: Control, chosen: OpcUaSettings) -> None:
        self.clock: Clock = SystemClock()
        self._control = control
        self.driver: MachineDriver = OpcUaDriver("control-1", "Control", "mill", chosen, self.clock)

    async def lose_link(self) -> None:
        await self._control.ctl("silence")

    async def restore_link(self) -> None:
        await self._control.ctl("talk")

    async def leftovers(self) -> str:
        facts = await self._control.ctl("state")
        held = {name: facts[name] for name in ("connections", "sessions", "subscriptions") if facts[name]}
        return str(held) if held else ""


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def cnc(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    async with control_process(tmp_path_factory.mktemp("cnc"), "cnc") as control:
        yield control


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def sinumerik(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    async with control_process(tmp_path_factory.mktemp("sinumerik"), "sinumerik") as control:
        yield control


@pytest_asyncio.fixture(loop_scope="class", scope="class")
async def press(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    async with control_process(tmp_path_factory.mktemp("press"), "generic") as control:
        yield control


@pytest.mark.asyncio(loop_scope="class")
class TestCncSystem(DriverSuite):
    """The contract, with a control of OPC 40502."""

    @pytest_asyncio.fixture(loop_scope="class")
    async def driver_case(self, cnc: Control) -> ControlCase:
        await cnc.ctl("talk")
        return ControlCase(cnc, settings(cnc.endpoint, model="cnc"))


@pytest.mark.asyncio(loop_scope="class")
class TestSinumerik(DriverSuite):
    """The contract, with a Sinumerik that programs may be put into."""

    @pytest_asyncio.fixture(loop_scope="class")
    async def driver_case(self, sinumerik: Control) -> ControlCase:
        await sinumerik.ctl("talk")
        return ControlCase(sinumerik, settings(sinumerik.endpoint, model="sinumerik", write=True))


@pytest.mark.asyncio(loop_scope="class")
class TestMappedMachine(DriverSuite):
    """The contract, with a press that is read through a mapping."""

    @pytest_asyncio.fixture(loop_scope="class")
    async def driver_case(self, press: Control, tmp_path: Path) -> ControlCase:
        await press.ctl("talk")
        (tmp_path / "press.toml").write_text(MAPPING, encoding="utf-8")
        return ControlCase(press, settings(press.endpoint, model="mapping", mapping_file=tmp_path / "press.toml"))
