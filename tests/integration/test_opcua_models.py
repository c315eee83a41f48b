# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that speak OPC UA otherwise than umati, watched by the driver: OPC 40502, a Sinumerik, a mapped press."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.domain.errors import DriverRefused, TransferFailed
from edge.domain.machine import (
    Availability,
    Capability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    Fault,
    Overrides,
    Position,
    SpindleCommand,
)
from edge.domain.transfer import ProgramFile, TransferStep
from edge.drivers.opcua.connection import open_connection
from edge.drivers.opcua.models.find import find, offer
from tests.support.opcua import settings, watched
from tests.support.opcua_controls import Control, control_process

U = "[u1,1]"
PROGRAM = "Sinumerik/FileSystem/Part Program/PAWN.MPF"
MAPPING = """
controller = "Press of no standard"
root = "Press"

[signal.execution]
node = "State/Word"
values = { 0 = "READY", 1 = "ACTIVE", 2 = "INTERRUPTED" }
[signal.mode]
node = "nsu=urn:infomobil:simulator:press;s=State/Mode"
values = { AUTO = "AUTOMATIC", HAND = "MANUAL" }
[signal.emergency_stop]
node = "State/CircuitClosed"
healthy = true
[signal.door]
node = "State/DoorOpen"
healthy = false
[signal.machine_x]
node = "Axes/X"
unit = "in"
[signal.machine_y]
node = "Axes/Y"
[signal.machine_z]
node = "Axes/Z"
[signal.feed]
node = "Axes/Feed"
unit = "m/min"
[signal.feed_override]
node = "Axes/Override"
unit = "ratio"
[signal.spindle_speed]
node = "Spindle/Speed"
unit = "rev/s"
[signal.program]
node = "Program/Name"
[signal.line]
node = "Program/Block"
[signal.part_count]
node = "Program/Parts"

[alarms]
node = "nsu=urn:infomobil:simulator:press;s=Press"
code = "nsu=urn:infomobil:simulator:press;Number"
code_type = "nsu=urn:infomobil:simulator:press;i=3001"
"""


@pytest.fixture
async def cnc(tmp_path: Path) -> AsyncIterator[Control]:
    async with control_process(tmp_path, "cnc") as control:
        yield control


@pytest.fixture
async def sinumerik(tmp_path: Path) -> AsyncIterator[Control]:
    async with control_process(tmp_path, "sinumerik") as control:
        yield control


@pytest.fixture
async def press(tmp_path: Path) -> AsyncIterator[Control]:
    async with control_process(tmp_path, "generic") as control:
        yield control


async def test_a_cnc_system_is_watched(cnc: Control) -> None:
    async with watched(cnc.endpoint, model="cnc") as watch:
        state = await watch.until_available()
        assert (state.execution, state.mode, state.program) == (Execution.READY, ControllerMode.AUTOMATIC, "ROOK.NC")
        assert watch.driver.info().controller == "InfoMobil Simulated 40502"
        await cnc.set(ActFeedrate=1.5, ActOverride=80.0, ActProgramLine="12", ActProgramStatus=1, ActStatus=0)
        for name, value in (("X/PosDirect", 2.0), ("Y/PosIndirect", 30.5), ("Z/PosDirect", -4.0)):
            await cnc.ctl(f"set {name}/ActPos {value}")
        for axis in "XYZ":
            await cnc.ctl(f"set PosTcpWcs{axis}/ActPos 1.0")
        for name, value in (("CmdSpeed", 1200.0), ("ActTurnDirection", 2), ("ActOverride", 90.0)):
            await cnc.ctl(f"set S1/{name} {value}")
        state = await watch.until(lambda seen: seen.overrides == Overrides(80, 100, 90), "the last value set")
        assert state.execution is Execution.ACTIVE
        assert state.machine_position == Position(50.8, 30.5, -4.0)
        assert state.work_position == Position(1.0, 1.0, 1.0)
        assert (state.feed, state.line) == (1500.0, 12)
        assert (state.spindle, state.spindle_speed) == (SpindleCommand.COUNTER_CLOCKWISE, 1200.0)
        await cnc.set(FeedHold=True)
        await watch.until(lambda seen: seen.execution is Execution.FEED_HOLD)
        await cnc.ctl("alarm Z axis: following error")
        state = await watch.until(lambda seen: bool(seen.alarms))
        assert [(one.code, one.text) for one in state.alarms] == [("700000", "Z axis: following error")]
        assert state.fault is Fault.FAULT
        await cnc.ctl("alarm")
        await watch.until(lambda seen: not seen.alarms)
        await cnc.ctl("bad ActStatus")
        await cnc.ctl("bad ActProgramStatus")
        state = await watch.until(lambda seen: seen.execution is Execution.UNAVAILABLE)
        assert state.availability is Availability.AVAILABLE


async def test_a_sinumerik_is_watched(sinumerik: Control) -> None:
    await sinumerik.ctl("alarm 25050 axis X1 contour monitoring")
    async with watched(sinumerik.endpoint, model="sinumerik") as watch:
        state = await watch.until(lambda seen: bool(seen.alarms), "what was raised before")
        assert [one.code for one in state.alarms] == ["700000"]
        assert (state.execution, state.mode, state.program) == (Execution.STOPPED, ControllerMode.AUTOMATIC, "ROOK.MPF")
        assert (state.part_count, state.spindle) == (1200, SpindleCommand.OFF)
        assert watch.driver.info().controller == "Siemens SINUMERIK, NCK type 14000, version 48.05"
        for path, value in (
            ("State/chanStatus", 1),
            ("State/progStatus", 3),
            ("State/actFeedRateIpo", 640.0),
            ("State/feedRateIpoOvr", 70.0),
            ("Spindle/cmdSpeed", 900.0),
            ("Spindle/turnState", 0),
            ("ProgramInfo/actLineNumber", 44),
            ("MachineAxis/actToolBasePos", 12.5),
            ("GeometricAxis/actProgPos", -3.5),
            ("State/totalParts", 1201.0),
        ):
            await sinumerik.ctl(f"set /Channel/{path}{U} {value}")
        state = await watch.until(lambda seen: seen.part_count == 1201, "the last value set")
        assert state.execution is Execution.ACTIVE
        assert (state.feed, state.spindle_speed, state.spindle) == (640.0, 900.0, SpindleCommand.CLOCKWISE)
        assert state.overrides == Overrides(70, 100, 100)
        assert state.line == 44
        assert state.machine_position == Position(12.5, 0.0, 0.0)
        assert state.work_position == Position(-3.5, 0.0, 0.0)


async def test_a_program_is_brought_into_a_sinumerik_and_selected(sinumerik: Control) -> None:
    content = bytes(range(256)) * 40
    told: list[TransferStep] = []
    async with watched(sinumerik.endpoint, model="sinumerik", write=True) as watch:
        await watch.until_available()
        assert Capability.LOAD_PROGRAM in watch.driver.info().capabilities
        assert await watch.driver.load(ProgramFile("PAWN.MPF", content), lambda step, _: told.append(step))
        assert (await sinumerik.ctl("state"))["files"] == {PROGRAM: len(content)}
        assert TransferStep.VERIFYING in told
        await watch.until(lambda seen: seen.program == "PAWN.MPF")
        # What is there is written over: no second program of that name is made.
        assert await watch.driver.load(ProgramFile("PAWN.MPF", b"M30"), lambda *_: None)
        assert (await sinumerik.ctl("state"))["files"] == {PROGRAM: 3}


async def test_a_program_too_large_for_one_call_goes_into_a_sinumerik_in_pieces(sinumerik: Control) -> None:
    content = bytes(range(256)) * 10_000
    async with watched(sinumerik.endpoint, model="sinumerik", write=True) as watch:
        await watch.until_available()
        assert await watch.driver.load(ProgramFile("PAWN.MPF", content), lambda *_: None)
        assert (await sinumerik.ctl("state"))["files"] == {PROGRAM: len(content)}
        await watch.until(lambda seen: seen.program == "PAWN.MPF")


async def test_a_sinumerik_that_keeps_something_else_never_has_it_selected(sinumerik: Control) -> None:
    await sinumerik.ctl("garble on")
    async with watched(sinumerik.endpoint, model="sinumerik", write=True) as watch:
        await watch.until_available()
        with pytest.raises(TransferFailed, match="differs"):
            await watch.driver.load(ProgramFile("PAWN.MPF", b"G1 X1\nM30\n"), lambda *_: None)
        state = await sinumerik.ctl("state")
        assert state["values"][f"/Channel/ProgramInfo/selectedWorkPProg{U}"] == "/_N_MPF_DIR/_N_ROOK_MPF"


@pytest.mark.parametrize(
    ("line", "channel", "why"),
    [
        (f"set /Channel/State/chanStatus{U} 2", 1, "does not stand in reset"),
        ("reject on", 1, "rejected it"),
        ("set /Nck/Configuration/numChannels 2", 2, "has no such channel"),
    ],
)
async def test_a_program_that_is_not_selected_is_said_so(sinumerik: Control, line: str, channel: int, why: str) -> None:
    await sinumerik.ctl(line)
    await sinumerik.ctl("set /Channel/State/progStatus[u1,1] 3")
    async with watched(sinumerik.endpoint, model="sinumerik", write=True, channel=channel) as watch:
        await watch.until_available()
        with pytest.raises((DriverRefused, TransferFailed), match=why):
            await watch.driver.load(ProgramFile("PAWN.MPF", b"M30"), lambda *_: None)
        state = await sinumerik.ctl("state")
        assert state["values"][f"/Channel/ProgramInfo/selectedWorkPProg{U}"] == "/_N_MPF_DIR/_N_ROOK_MPF"


async def test_a_press_of_no_standard_is_watched_through_its_mapping(press: Control, tmp_path: Path) -> None:
    path = tmp_path / "press.toml"
    path.write_text(MAPPING, encoding="utf-8")
    async with watched(press.endpoint, model="mapping", mapping_file=path) as watch:
        state = await watch.until_available()
        assert (state.execution, state.mode, state.program) == (Execution.READY, ControllerMode.AUTOMATIC, "P1")
        assert (state.emergency_stop, state.door, state.line) == (EmergencyStop.ARMED, DoorState.CLOSED, None)
        assert watch.driver.info().controller == "Press of no standard"
        for name, value in (
            ("State/Word", "2"),
            ("State/Mode", '"HAND"'),
            ("State/CircuitClosed", "false"),
            ("State/DoorOpen", "true"),
            ("Axes/X", "2.0"),
            ("Axes/Feed", "0.25"),
            ("Axes/Override", "0.5"),
            ("Spindle/Speed", "10.0"),
            ("Program/Parts", "8"),
        ):
            await press.ctl(f"set {name} {value}")
        state = await watch.until(lambda seen: seen.part_count == 8, "the last value set")
        assert (state.execution, state.mode) == (Execution.INTERRUPTED, ControllerMode.MANUAL)
        assert (state.emergency_stop, state.door) == (EmergencyStop.TRIGGERED, DoorState.OPEN)
        assert state.machine_position == Position(50.8, 0.0, 0.0)
        assert (state.feed, state.spindle_speed, state.overrides) == (250.0, 600.0, Overrides(50, 100, 100))
        await press.ctl("alarm oil is low")
        state = await watch.until(lambda seen: bool(seen.alarms))
        assert [(one.code, one.text) for one in state.alarms] == [("700000", "oil is low")]
        await press.ctl("cut")
        await watch.until_unavailable()
        await watch.until(lambda seen: seen.execution is Execution.INTERRUPTED and bool(seen.alarms))


async def test_what_a_mapped_machine_lacks_is_named_and_the_probe_says_what_is_there(
    press: Control, tmp_path: Path
) -> None:
    path = tmp_path / "press.toml"
    path.write_text(MAPPING, encoding="utf-8")
    chosen = settings(press.endpoint, model="mapping", mapping_file=path)
    async with open_connection(chosen, None) as connection:
        found = await find(connection, chosen)
        assert tuple(found.missing) == ("signal line: the server has no node Program/Block",)
        offers = await offer(connection)
        assert {name: one.machines for name, one in offers.items()} == {"umati": (), "cnc": (), "sinumerik": ()}
