# SPDX-License-Identifier: GPL-3.0-or-later
"""A laser engraver on grblHAL over TCP: its programs, its lid, its refusals, its lost connections, its guardian."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from edge.app import Edge
from edge.config import EdgeSettings
from edge.domain.errors import DriverRefused, ProgramFailed, ProgramInterrupted
from edge.domain.hand import Displacement
from edge.domain.inputs import InputSample
from edge.domain.machine import Availability, Capability, EmergencyStop, Execution, Fault, MachineState
from edge.drivers.grbl import GrblPinInputs
from edge.drivers.laser_hal.driver import LaserDriver
from edge.drivers.laser_hal.settings import LaserSettings
from edge.guardian.client import GuardianClient
from edge.services.clock import SystemClock
from edge.services.recorder import Recorder
from tests.hardware_sim.lab.ports import free_port
from tests.support.fakes import FakeGuardian, MemoryStore
from tests.support.grbl import LONG, QuietGuardian, Simulator, eventually, program
from tests.support.laser import engraver, laser

MARK = program("G21G90", "M4S300", "G53G0X-10Y-10Z-5", "G1X-20F3000", "G1Y-20", "M5")


@asynccontextmanager
async def engraving(folder: Path, *options: str, speed: float = 40.0) -> AsyncIterator[tuple[Simulator, LaserDriver]]:
    """Run an engraver and its driver until the driver knows it."""
    number = free_port()
    async with engraver(folder, number, *options, speed=speed) as sim:
        driver = laser(number, QuietGuardian())
        task = asyncio.create_task(driver.run())
        try:
            await eventually(lambda: driver.state().availability is Availability.AVAILABLE)
            yield sim, driver
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_it_says_who_it_is(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1") as (_, driver):
        info = driver.info()
        assert info.driver == "grblhal-laser"
        assert info.controller.startswith("GrblHAL 1.1f")
        assert Capability.PROBE not in info.capabilities
        assert {Capability.RUN_PROGRAM, Capability.HOME, Capability.JOG, Capability.STOP} <= info.capabilities
        health = driver.state().link
        assert health is not None
        assert (health.damaged, health.unknown) == (0, 0)


async def test_it_engraves(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1") as (sim, driver):
        await driver.home()
        await driver.run_program(MARK)
        assert driver.state().execution in (Execution.READY, Execution.PROGRAM_COMPLETED)
        truth = await sim.truth()
        assert truth["mpos_steps_mm"] == [-20.0, -20.0, -5.0]
        assert truth["spindle"] == "off"


async def test_without_laser_mode_nothing_runs(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=0") as (sim, driver):
        await driver.home()
        with pytest.raises(DriverRefused, match="laser mode is off") as refused:
            await driver.run_program(MARK)
        assert refused.value.command == "run a program"
        assert "M4" not in sim.received()
        # Switched on, it runs.
        await driver.write_settings({32: "1"})
        await driver.run_program(MARK)


async def test_it_has_no_probe(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1") as (sim, driver):
        with pytest.raises(DriverRefused, match="no probe"):
            await driver.probe(Displacement(z=-1.0), 100)
        assert "G38" not in sim.received()


async def test_the_lid_is_an_input_of_its_interlock(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1") as (sim, driver):
        samples: dict[str, InputSample] = {}
        inputs = GrblPinInputs(driver, "the controller of Laser", SystemClock())
        task = asyncio.create_task(inputs.run(lambda sample: samples.update({sample.name: sample})))
        await eventually(lambda: samples["door"].healthy is True if "door" in samples else False)
        sim.ctl("door open")
        await eventually(lambda: samples["door"].healthy is False)
        sim.ctl("door closed")
        await eventually(lambda: samples["door"].healthy is True)
        assert driver.state().emergency_stop is EmergencyStop.UNAVAILABLE
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def cutting(driver: LaserDriver) -> asyncio.Task[None]:
    """Home, and return a program that runs."""
    await driver.home()
    job = asyncio.create_task(driver.run_program(LONG))
    await eventually(lambda: driver.state().execution is Execution.ACTIVE and (driver.state().line or 0) > 13)
    return job


async def test_a_connection_lost_in_a_cut_is_a_fault(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1", speed=5) as (sim, driver):
        job = await cutting(driver)
        states: list[MachineState] = []
        driver.subscribe(states.append)
        sim.ctl("unplug")
        with pytest.raises((ProgramFailed, ProgramInterrupted), match="closed the connection"):
            await job
        assert any(state.availability is Availability.UNAVAILABLE for state in states)
        sent = sim.received()
        sim.ctl("plug")
        await eventually(lambda: driver.state().availability is Availability.AVAILABLE)
        assert driver.state().fault is Fault.FAULT
        assert not driver.state().homed
        # What was found in motion was stopped, and nothing of the program came after.
        assert "G1" not in sim.received()[len(sent) :]
        await eventually(lambda: "\x18" in sim.received()[len(sent) :])


async def test_a_controller_that_is_stuck_ends_as_on_a_serial_port(tmp_path: Path) -> None:
    """Its network still acknowledges, so only its silence tells."""
    async with engraving(tmp_path, "--set", "$32=1", speed=5) as (sim, driver):
        job = await cutting(driver)
        sim.process.send_signal(signal.SIGSTOP)
        try:
            await eventually(lambda: driver.state().fault is Fault.FAULT)
            assert "stopped answering" in driver.state().fault_reason
        finally:
            sim.process.send_signal(signal.SIGCONT)
        with pytest.raises((ProgramFailed, ProgramInterrupted), match="stopped answering"):
            await job
        assert "!" in sim.received()


async def test_a_welcome_without_a_reset_is_no_fresh_start(tmp_path: Path) -> None:
    """It greets whoever connects, also in the midst of what a dead host left it to do."""
    number = free_port()
    async with engraver(tmp_path, number, speed=1) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        await reader.readuntil(b"help]\r\n")
        for line in (b"$X\n", b"G91G1X-100F600\n"):
            writer.write(line)
            await reader.readuntil(b"ok\r\n")
        writer.close()
        await writer.wait_closed()
        assert (await sim.truth())["moving"]
        driver = laser(number, QuietGuardian())
        task = asyncio.create_task(driver.run())
        await eventually(lambda: driver.state().availability is Availability.AVAILABLE)
        assert not (await sim.truth())["moving"]
        assert driver.state().fault is Fault.FAULT
        assert "found in Run" in driver.state().fault_reason
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_second_host_is_turned_away(tmp_path: Path) -> None:
    async with engraving(tmp_path, "--set", "$32=1") as (sim, driver):
        text = sim.port.read_text(encoding="ascii").strip()
        other = laser(int(text.rpartition(":")[2]), QuietGuardian())
        task = asyncio.create_task(other.run())
        await eventually(lambda: "closed the connection" in other.state().fault_reason)
        assert driver.state().availability is Availability.AVAILABLE
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def engraver_settings() -> EdgeSettings:
    """Return the settings of a van with one laser."""
    machine = {
        **{"id": "laser", "name": "Laser", "kind": "laser"},
        "connection": {"driver": "grblhal-laser", "host": "192.0.2.7", "port": 23},
        "interlock": [{"input": "door", "source": "controller", "label": "Lid", "remedy": "Close the lid."}],
    }
    lab = {"id": "van", "name": "Van", "data_dir": "/nowhere"}
    return EdgeSettings.model_validate({"lab": lab, "operator": {"pin_file": "/nowhere/pin"}, "machine": [machine]})


def test_it_is_configured_by_host_and_port() -> None:
    connection = engraver_settings().machine[0].connection
    assert isinstance(connection, LaserSettings)
    assert connection.grbl.port == "socket://192.0.2.7:23"
    assert connection.grbl.door_pin


async def test_the_house_plugs_it_in_with_its_guardian_and_its_lid(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.touch()
    edge = Edge(engraver_settings(), file)
    recorder = Recorder(MemoryStore(), SystemClock(), lambda: None)
    edge._plug_machines(cast(GuardianClient, FakeGuardian()), recorder)
    supervisor = edge._machines["laser"]
    assert isinstance(supervisor.driver, LaserDriver)
    assert supervisor.facts().guarded
    assert [name for name, _ in edge._sources] == ["controller:laser"]
