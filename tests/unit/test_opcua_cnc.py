# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of OPC 40502 mean."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.machine import (
    Availability,
    ControllerMode,
    Execution,
    MachineState,
    Overrides,
    Position,
    SpindleCommand,
)
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models import cnc
from edge.drivers.opcua.models.model import AlarmSource, Item
from tests.support.opcua_shelf import ANYTHING, Shelf

NAMESPACES = ("ua", "app", "vendor", cnc.URIS[0])
CHANNEL = "CncChannelList/Channel_1"
CHANNEL_2 = "CncChannelList/Channel_2"
SPINDLE = "CncSpindleList/S1"
RESET = {f"{CHANNEL}/ActStatus": 2, f"{CHANNEL}/ActProgramStatus": 0}


def unit(code: str, name: str = "") -> SimpleNamespace:
    """Return an EUInformation."""
    number = int.from_bytes(code.encode(), "big") if code else 0
    return SimpleNamespace(UnitId=number, DisplayName=SimpleNamespace(Text=name or None))


def control(values: dict[str, Any], namespaces: tuple[str, ...] = NAMESPACES) -> Shelf:
    """Return a server with one CNC system that has these variables."""
    shelf = Shelf(namespaces)
    index = next(namespaces.index(uri) for uri in cnc.URIS if uri in namespaces)
    shelf.put("i=85", "Machines", "i=61", "machines")
    shelf.fill(shelf.put("machines", "CncInterface", f"ns={index};i=1007", "cnc"), values)
    return shelf


async def state_of(shelf: Shelf) -> MachineState:
    """Find the machine and return its state, as a driver does."""
    found = await cnc.find(shelf, None)
    return found.state_of({key: shelf.values.get(item.node_id) for key, item in found.monitored().items()}, 5)


@pytest.mark.parametrize(
    ("status", "program", "hold", "execution"),
    [
        (0, 1, False, Execution.ACTIVE),
        (0, 2, None, Execution.ACTIVE),
        (0, 1, True, Execution.FEED_HOLD),
        (0, 1, 1, Execution.ACTIVE),
        (0, None, False, Execution.ACTIVE),
        (1, 3, False, Execution.INTERRUPTED),
        (1, 0, True, Execution.INTERRUPTED),
        (2, 0, True, Execution.READY),
        (2, 4, False, Execution.STOPPED),
        (2, None, False, Execution.READY),
        (2, 1, False, Execution.READY),
        (2, 3, False, Execution.READY),
        (None, 1, False, Execution.ACTIVE),
        (None, 0, False, Execution.UNAVAILABLE),
        (7, 9, False, Execution.UNAVAILABLE),
    ],
)
async def test_execution_comes_from_the_channel_and_what_its_program_does(
    status: object, program: object, hold: object, execution: Execution
) -> None:
    values = {"ActStatus": status, "ActProgramStatus": program, "FeedHold": hold, "ActOperationMode": 2}
    state = await state_of(control({f"{CHANNEL}/{name}": value for name, value in values.items()}))
    assert state.execution is execution
    assert (state.availability, state.mode) == (Availability.AVAILABLE, ControllerMode.AUTOMATIC)


async def test_what_may_move_comes_first_and_names_the_program() -> None:
    values = {
        **RESET,
        f"{CHANNEL}/ActProgramName": "IDLE",
        f"{CHANNEL_2}/ActStatus": 0,
        f"{CHANNEL_2}/ActProgramStatus": 1,
        f"{CHANNEL_2}/ActProgramName": "PAWN",
    }
    state = await state_of(control(values))
    assert (state.execution, state.program) == (Execution.ACTIVE, "PAWN")


async def test_nothing_known_is_not_available() -> None:
    shelf = control(
        {f"{CHANNEL}/ActStatus": None, f"{CHANNEL}/ActProgramStatus": None, f"{CHANNEL}/ActProgramName": "P"}
    )
    assert await state_of(shelf) == MachineState(taken_ns=5)


async def test_positions_are_millimetres_whatever_the_unit() -> None:
    values: dict[str, Any] = {**RESET}
    for axis, code, direct, indirect in (("X", "INH", 2.0, 1.9), ("Y1", "MTR", 0.0, 0.05), ("Z", "", -5.0, 0.0)):
        values[f"CncAxisList/{axis}/PosDirect/ActPos"] = direct
        values[f"CncAxisList/{axis}/PosDirect/EngineeringUnits"] = unit(code)
        values[f"CncAxisList/{axis}/PosIndirect/ActPos"] = indirect
        values[f"CncAxisList/{axis}/PosIndirect/EngineeringUnits"] = unit(code)
    for axis, work in (("X", 1.0), ("Y", 2.0), ("Z", 3.0)):
        values[f"{CHANNEL}/PosTcpWcs{axis}/ActPos"] = work
        values[f"{CHANNEL}/PosTcpWcs{axis}/EngineeringUnits"] = unit("CMT")
    state = await state_of(control(values))
    # Y has no scale of its own, its 0 is none.
    assert state.machine_position == Position(pytest.approx(50.8), pytest.approx(50.0), -5.0)  # type: ignore[arg-type]
    assert state.work_position == Position(10.0, 20.0, 30.0)


async def test_an_axis_at_zero_is_at_zero() -> None:
    values: dict[str, Any] = {**RESET}
    for axis in "XYZ":
        values[f"CncAxisList/{axis}/PosDirect/ActPos"] = 0.0
        values[f"{CHANNEL}/PosTcpBcs{axis}/ActPos"] = 7.0
    assert (await state_of(control(values))).machine_position == Position(0.0, 0.0, 0.0)


async def test_without_axes_the_basic_coordinate_system_is_the_machines() -> None:
    values: dict[str, Any] = {**RESET, **{f"{CHANNEL}/PosTcpBcs{axis}/ActPos": 7.0 for axis in "XYZ"}}
    assert (await state_of(control(values))).machine_position == Position(7.0, 7.0, 7.0)
    values[f"{CHANNEL}/PosTcpBcsY/ActPos"] = None
    assert (await state_of(control(values))).machine_position is None


async def test_a_unit_of_something_else_is_named_and_its_value_unknown() -> None:
    values = {**RESET, f"{CHANNEL}/ActFeedrate": 3.0, f"{CHANNEL}/ActFeedrate/EngineeringUnits": unit("KGM", "kg")}
    shelf = control(values)
    found = await cnc.find(shelf, None)
    assert found.missing == (f"{CHANNEL}/ActFeedrate is in a unit that is not one of mm/min: it stays unknown",)
    assert (await state_of(shelf)).feed is None


@pytest.mark.parametrize(
    ("information", "feed"),
    [(unit("2X"), 1500.0), (unit("", "m/min"), 1500.0), (unit("C16"), 90.0), (unit(""), 1.5), (None, 1.5)],
)
async def test_feed_is_millimetres_per_minute(information: object, feed: float) -> None:
    values = {**RESET, f"{CHANNEL}/ActFeedrate": 1.5, f"{CHANNEL}/ActFeedrate/EngineeringUnits": information}
    assert (await state_of(control(values))).feed == pytest.approx(feed)


async def test_the_spindle_that_is_commanded_to_turn_is_shown() -> None:
    values = {
        **RESET,
        f"{CHANNEL}/ActOverride": 80.0,
        f"{SPINDLE}/ActTurnDirection": 0,
        f"{SPINDLE}/CmdSpeed": 0.0,
        f"{SPINDLE}/ActOverride": 50.0,
        "CncSpindleList/S2/ActTurnDirection": 2,
        "CncSpindleList/S2/CmdSpeed": 20.0,
        "CncSpindleList/S2/CmdSpeed/EngineeringUnits": unit("C97"),
        "CncSpindleList/S2/ActSpeed": 19.0,
        "CncSpindleList/S2/ActOverride": 110.0,
    }
    state = await state_of(control(values))
    assert (state.spindle, state.spindle_speed) == (SpindleCommand.COUNTER_CLOCKWISE, 1200.0)
    assert state.overrides == Overrides(80, 100, 110)
    values["CncSpindleList/S2/CmdSpeed"] = 0.0
    state = await state_of(control(values))
    assert (state.spindle, state.spindle_speed) == (SpindleCommand.OFF, 0.0)


@pytest.mark.parametrize(
    ("written", "offset", "line"),
    [
        ("12", None, 12),
        ("12", 99, 12),
        ("N120", 4, 5),
        ("0", None, None),
        ("", 7, 8),
        ("", 0, None),
        (None, None, None),
        ("²", None, None),
    ],
)
async def test_a_line_is_a_number(written: object, offset: object, line: int | None) -> None:
    values = {**RESET, f"{CHANNEL}/ActProgramLine": written, f"{CHANNEL}/ActProgramFileOffset": offset}
    assert (await state_of(control(values))).line == line


@pytest.mark.parametrize("uri", cnc.URIS)
async def test_either_spelling_of_the_namespace_is_known_at_any_index(uri: str) -> None:
    shelf = control({**RESET, "VendorName": "Maker", "CncTypeName": "8000"}, ("ua", uri, "vendor"))
    for name in ("CreateFile", "Delete"):
        shelf.put("cnc/FileSystem", name, "i=0")
    shelf.put("cnc", "FileSystem", "i=13353", "cnc/FileSystem")
    found = await cnc.find(shelf, "CncInterface")
    assert found.controller == "Maker 8000"
    assert found.alarms == AlarmSource("cnc", "ns=1;i=1006", ((1, "AlarmIdentifier"),))
    assert found.programs.directory is not None
    assert set(found.programs.directory.methods) == {"CreateFile", "Delete"}
    assert found.monitored()[f"{CHANNEL}/ActStatus"] == Item(f"cnc/{CHANNEL}/ActStatus")


async def test_the_empty_interface_of_the_node_set_itself_is_not_meant() -> None:
    shelf = control(RESET)
    shelf.fill(shelf.put("i=85", "test", "ns=3;i=1007", "test"), {"VendorName": ""})
    assert (await cnc.find(shelf, None)).node_id == "cnc"
    assert (await cnc.find(shelf, "test")).node_id == "test"
    shelf.fill("test", {f"{CHANNEL}/ActProgramStatus": 0})
    with pytest.raises(LinkError, match="several CncInterfaces, set `machine` to one of: CncInterface, test"):
        await cnc.find(shelf, None)


async def test_axes_and_spindles_of_a_channel_are_found_too() -> None:
    values = {
        **RESET,
        **{f"{CHANNEL}/{axis}/PosDirect/ActPos": 1.0 for axis in "XYZ"},
        f"{CHANNEL}/S1/ActTurnDirection": 1,
    }
    state = await state_of(control(values))
    assert (state.machine_position, state.spindle) == (Position(1.0, 1.0, 1.0), SpindleCommand.CLOCKWISE)


async def test_a_server_without_the_model_or_without_a_machine_is_said_so() -> None:
    with pytest.raises(LinkError, match=r"lacks the namespace http://opcfoundation\.org/UA/CNC/"):
        await cnc.find(Shelf(("ua",)), None)
    with pytest.raises(LinkError, match="no CncInterface among its Objects"):
        await cnc.find(Shelf(NAMESPACES), None)
    assert (await cnc.offer(Shelf(("ua",)))).machines == ()


async def test_a_control_without_a_channel_says_so() -> None:
    shelf = control({"VendorName": "Maker"})
    assert (await cnc.find(shelf, None)).missing == (
        "the CncInterface has no channel in its CncChannelList: what it does stays unknown",
    )
    assert await state_of(shelf) == MachineState(taken_ns=5)
    told = await cnc.offer(shelf)
    assert told.machines == ("CncInterface",)
    assert told.remarks[0] == "CncInterface: Maker; channels none; spindles none; axes none; file system none"


@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                f"{CHANNEL}/{word}"
                for word in ("ActStatus", "FeedHold", "ActFeedrate", "ActProgramLine", "ActProgramFileOffset")
            ]
            + [f"{SPINDLE}/{word}" for word in ("CmdSpeed", "ActTurnDirection", "ActOverride")]
            + ["CncAxisList/X/PosDirect/ActPos"]
        ),
        ANYTHING,
    )
)
def test_no_value_ends_a_driver(values: dict[str, object]) -> None:
    measured = [
        f"{CHANNEL}/ActFeedrate",
        f"{SPINDLE}/CmdSpeed",
        f"{SPINDLE}/ActOverride",
        "CncAxisList/X/PosDirect/ActPos",
    ]
    machine = cnc.CncMachine(
        "cnc",
        3,
        {},
        channels=(CHANNEL,),
        spindles=(SPINDLE,),
        axes=dict.fromkeys("XYZ", "CncAxisList/X"),
        factors=dict.fromkeys(measured, 1.0),
    )
    assert machine.state_of(values, 5).taken_ns == 5
