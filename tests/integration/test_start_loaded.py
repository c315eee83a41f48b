# SPDX-License-Identifier: GPL-3.0-or-later
"""A program loaded into a simulated lathe and begun by its own job control: what stops it, over real OPC UA."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.domain.errors import MotionRefused, ProgramAborted, Refused, StopNotDelivered
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Availability, Capability, Execution
from edge.domain.transfer import TransferStep
from edge.drivers.opcua.driver import OpcUaDriver
from edge.safety.interlock import LatchState
from edge.services.bus import EventBus
from edge.services.clock import SystemClock
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.transfer import ProgramTransfer
from edge.store.machine_files import MachineFiles
from tests.support.fakes import MemoryStore
from tests.support.opcua import PATIENCE_S, Lathe, lathe_process, settings
from tests.support.proxy import Proxy, proxied

RULE = InputRule("curtain", "Light curtain", "gpio:curtain", 60_000_000_000, "Step back.")


@dataclass
class Cell:
    """The lathe, and the services around its driver; the light curtain is a test's hand."""

    lathe: Lathe
    proxy: Proxy
    clock: SystemClock
    supervisor: MachineSupervisor
    transfer: ProgramTransfer
    store: MemoryStore

    def curtain(self, *, free: bool) -> None:
        self.supervisor.on_input(InputSample("curtain", free, self.clock.boot_ns(), "gpio"))

    async def until(self, check: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not check():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came: {what}; last: {self.supervisor.state}") from None

    async def load(self) -> None:
        await self.until(lambda: not self.supervisor.view().refusals["load"], "may be loaded")  # type: ignore[index]
        await self.transfer.begin("SHAFT.MPF")
        over = (TransferStep.LOADED, TransferStep.FAILED)
        await self.until(lambda: self.transfer.transfer is not None and self.transfer.transfer.step in over, "loaded")
        assert self.transfer.transfer is not None
        assert (self.transfer.transfer.step, self.transfer.transfer.reason) == (TransferStep.LOADED, "")
        assert self.transfer.transfer.startable

    async def channel(self) -> str:
        return str((await self.lathe.ctl("state"))["channel"])


@pytest.fixture
async def cell(tmp_path: Path) -> AsyncIterator[Cell]:
    async with lathe_process(tmp_path, "--idle") as lathe, proxied(lathe.endpoint) as proxy:
        clock, store, bus = SystemClock(), MemoryStore(), EventBus()
        connection = settings(proxy.endpoint, write=True, job_control=True)
        driver = OpcUaDriver("lathe", "Lathe", "lathe", connection, clock)
        recorder = Recorder(store, clock, lambda: None)
        supervisor = MachineSupervisor(driver, [RULE], clock=clock, bus=bus, recorder=recorder, guardian=None)
        shelf = MachineFiles(tmp_path / "machine-files")
        await shelf.put("lathe", "SHAFT.MPF", b"G0 X100\nM30\n" * 1000)
        transfer = ProgramTransfer(supervisor, shelf, recorder, bus)
        tasks = [asyncio.create_task(part.run()) for part in (recorder, transfer, supervisor)]
        cell = Cell(lathe, proxy, clock, supervisor, transfer, store)
        try:
            await cell.until(lambda: supervisor.state.availability is Availability.AVAILABLE, "available")
            cell.curtain(free=True)
            await supervisor.reset()
            yield cell
        finally:
            await transfer.shut_down()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_was_loaded_is_started_once_and_a_trip_stops_it(cell: Cell) -> None:
    assert {Capability.JOB_CONTROL, Capability.STOP, Capability.HOLD} <= cell.supervisor.info.capabilities
    await cell.load()
    await cell.transfer.start_loaded()
    await cell.until(lambda: cell.supervisor.state.execution is Execution.ACTIVE, "active")
    assert await cell.channel() == "ACTIVE"
    with pytest.raises(MotionRefused):
        await cell.transfer.begin("SHAFT.MPF")
    cell.curtain(free=False)
    assert cell.supervisor.interlock.state is LatchState.TRIPPED
    await cell.until(lambda: not cell.supervisor.state.in_motion, "it stands")
    assert await cell.channel() == "RESET"
    assert cell.supervisor.view().fault == ""
    cell.curtain(free=True)
    await cell.supervisor.reset()
    with pytest.raises(Refused, match="waits to be started"):
        await cell.transfer.start_loaded()
    await asyncio.sleep(0.3)
    assert await cell.channel() == "RESET"


async def test_nothing_starts_behind_a_curtain_that_is_broken(cell: Cell) -> None:
    await cell.load()
    cell.curtain(free=False)
    with pytest.raises(MotionRefused, match="Light curtain: open"):
        await cell.transfer.start_loaded()
    assert await cell.channel() == "RESET"


async def test_a_stop_while_the_order_is_on_its_way_wins(cell: Cell) -> None:
    await cell.load()
    await cell.lathe.ctl("delay Start 300")
    started = asyncio.create_task(cell.transfer.start_loaded())
    await cell.until(lambda: cell.supervisor.view().busy, "the order is on its way")
    await asyncio.sleep(0.05)
    await cell.supervisor.stop("console")
    with pytest.raises(ProgramAborted):
        await started
    await cell.until(lambda: not cell.supervisor.state.in_motion, "it stands")
    assert await cell.channel() == "RESET"


async def test_an_order_that_waits_for_the_machines_own_door_is_taken_back(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.services.transfer.BEGIN_S", 0.3)
    await cell.load()
    await cell.lathe.ctl("door open")
    with pytest.raises(ProgramAborted, match="did not begin"):
        await cell.transfer.start_loaded()
    assert cell.supervisor.view().fault == ""
    cell.curtain(free=False)
    await cell.lathe.ctl("door closed")
    await asyncio.sleep(0.5)
    assert await cell.channel() == "RESET"
    assert cell.supervisor.view().fault == ""


async def test_what_begins_late_behind_a_tripped_latch_is_stopped(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.transfer.BEGIN_S", 0.3)
    await cell.load()
    await cell.lathe.ctl("door open")
    await cell.lathe.ctl("refuse Cancel 4")
    await cell.lathe.ctl("refuse RevokeStart 4")
    with pytest.raises(StopNotDelivered):
        await cell.transfer.start_loaded()
    assert cell.supervisor.may_move
    cell.curtain(free=False)
    # The trip tries it once more, in vain.
    await cell.until(lambda: "hold is not confirmed" in cell.supervisor.state.fault_reason, "the trip is refused")
    await cell.lathe.ctl("door closed")
    await cell.until(lambda: cell.supervisor.state.execution is Execution.STOPPED, "it begins late and is stopped")
    assert await cell.channel() == "RESET"
    assert (await cell.lathe.ctl("state"))["program_state"] == "ABORTED"


async def test_a_trip_takes_an_order_back_that_could_not_be_before(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.transfer.BEGIN_S", 0.3)
    await cell.load()
    await cell.lathe.ctl("door open")
    await cell.lathe.ctl("refuse Cancel 4")
    with pytest.raises(StopNotDelivered):
        await cell.transfer.start_loaded()
    await cell.lathe.ctl("refuse Cancel")
    cell.curtain(free=False)
    await cell.until(lambda: not cell.supervisor.may_move, "it is taken back")
    await cell.lathe.ctl("door closed")
    await asyncio.sleep(0.5)
    assert await cell.channel() == "RESET"


async def test_what_runs_on_without_its_link_is_stopped_when_the_link_is_back(cell: Cell) -> None:
    await cell.load()
    await cell.transfer.start_loaded()
    await cell.until(lambda: cell.supervisor.state.in_motion, "it moves")
    await cell.proxy.refuse()
    cell.proxy.cut()
    await cell.until(lambda: cell.supervisor.state.availability is Availability.UNAVAILABLE, "the link is lost")
    assert await cell.channel() == "ACTIVE"
    cell.curtain(free=False)
    assert "did not reach" in cell.supervisor.view().fault
    assert await cell.channel() == "ACTIVE"
    await cell.proxy.accept()
    await cell.until(lambda: cell.supervisor.state.availability is Availability.AVAILABLE, "the link is back")
    await cell.until(lambda: not cell.supervisor.state.in_motion, "it is stopped")
    assert await cell.channel() == "RESET"


async def test_the_end_of_the_service_stops_what_it_began(cell: Cell) -> None:
    await cell.load()
    await cell.transfer.start_loaded()
    await cell.until(lambda: cell.supervisor.state.in_motion, "it moves")
    await cell.supervisor.shut_down()
    assert await cell.channel() == "RESET"


async def test_the_end_of_the_service_leaves_what_was_begun_at_the_machine(cell: Cell) -> None:
    await cell.lathe.ctl("start")
    await cell.until(lambda: cell.supervisor.state.in_motion, "it moves")
    await cell.supervisor.shut_down()
    assert await cell.channel() == "ACTIVE"
