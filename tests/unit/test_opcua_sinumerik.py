# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of a Sinumerik mean."""

from __future__ import annotations

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
from edge.drivers.opcua.models import sinumerik
from edge.drivers.opcua.models.model import AlarmSource, Item, Methods
from tests.support.opcua_shelf import ANYTHING, Shelf

NAMESPACES = ("ua", "app", sinumerik.URI, "http://opcfoundation.org/UA/CNC/")
MACHINE = sinumerik.SinumerikMachine("ns=2;s=Sinumerik", 2, 1, others=(2,))
AXES = {"X": 1, "Y": 2, "Z": 3}


def control(values: dict[str, object], namespaces: tuple[str, ...] = NAMESPACES) -> Shelf:
    """Return a control's server with these variables."""
    shelf = Shelf(namespaces)
    index = namespaces.index(sinumerik.URI)
    shelf.put("i=85", "Sinumerik", "i=58", f"ns={index};s=Sinumerik")
    shelf.values = {f"ns={index};s={path}": value for path, value in values.items()}
    return shelf


@pytest.mark.parametrize(
    ("status", "program", "other", "execution"),
    [
        (0, 5, 0, Execution.STOPPED),
        (0, 1, 0, Execution.READY),
        (0, None, None, Execution.READY),
        (1, 3, 0, Execution.ACTIVE),
        (1, 5, 0, Execution.ACTIVE),
        (2, 2, 0, Execution.INTERRUPTED),
        (0, 5, 1, Execution.ACTIVE),
        (0, 5, 2, Execution.INTERRUPTED),
        (None, 3, 0, Execution.ACTIVE),
        (None, 5, 0, Execution.UNAVAILABLE),
        (9, 9, 0, Execution.UNAVAILABLE),
    ],
)
def test_execution_comes_from_the_channel_and_any_that_moves(
    status: object, program: object, other: object, execution: Execution
) -> None:
    values = {"chanStatus": status, "progStatus": program, "chanStatus 2": other, "opMode": 2}
    state = MACHINE.state_of(values, 5)
    assert state.execution is execution
    assert (state.availability, state.mode) == (Availability.AVAILABLE, ControllerMode.AUTOMATIC)


def test_nothing_known_is_not_available() -> None:
    assert MACHINE.state_of({"chanStatus 2": 0, "progName": "PAWN"}, 5) == MachineState(taken_ns=5)


def test_feed_speed_overrides_line_and_parts() -> None:
    values = {
        "chanStatus": 1,
        "opMode": 1,
        "feedRateIpoOvr": 70.0,
        "rapFeedRateOvr": 25.0,
        "speedOvr": 105.0,
        "actFeedRateIpo": 12.0,
        "feedRateIpoUnit": 2,
        "cmdSpeed": 1500.0,
        "actSpeed": 1498.7,
        "turnState": 0,
        "actLineNumber": 17,
        "totalParts": 1204.0,
        "progName": "/_N_SPF_DIR/_N_L6_SPF",
        "selectedWorkPProg": "/_N_WKS_DIR/_N_CHESS_WPD/_N_PAWN_MPF",
    }
    state = MACHINE.state_of(values, 5)
    assert state.mode is ControllerMode.MANUAL_DATA_INPUT
    assert state.overrides == Overrides(70, 25, 105)
    assert state.feed == pytest.approx(304.8)
    assert (state.spindle_speed, state.spindle) == (1500.0, SpindleCommand.CLOCKWISE)
    assert (state.line, state.part_count, state.program) == (17, 1204, "PAWN.MPF")
    values |= {"feedRateIpoUnit": 1, "actLineNumber": -1, "selectedWorkPProg": ""}
    state = MACHINE.state_of(values, 5)
    assert (state.feed, state.line, state.program) == (None, None, "L6.SPF")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/_N_MPF_DIR/_N_PAWN_MPF", "PAWN.MPF"),
        ("_N_L6_SPF", "L6.SPF"),
        ("PAWN.MPF", "PAWN.MPF"),
        ("/user/sinumerik/data/prog/queen.mpf", "queen.mpf"),
        ("/", None),
        ("", None),
        (7, None),
    ],
)
def test_a_program_is_called_as_on_the_panel(path: object, name: str | None) -> None:
    assert MACHINE.state_of({"chanStatus": 0, "progName": path}, 5).program == name


def test_positions_are_millimetres() -> None:
    machine = sinumerik.SinumerikMachine("ns=2;s=Sinumerik", 2, 1, machine_axes=AXES, work_axes=AXES)
    values: dict[str, object] = {"chanStatus": 0}
    for axis in "XYZ":
        values |= {f"machine {axis}": 2.0, f"machine {axis} unit": 1, f"work {axis}": 3.0, f"work {axis} unit": 0}
    state = machine.state_of(values, 5)
    assert state.machine_position == Position(50.8, 50.8, 50.8)
    assert state.work_position == Position(3.0, 3.0, 3.0)
    values["work Y unit"] = 2
    assert machine.state_of(values, 5).work_position is None


async def test_a_control_is_found_with_its_axes_methods_and_alarms_at_any_namespace_index() -> None:
    namespaces = ("ua", "app", "csom", sinumerik.URI, "cnc")
    shelf = control(
        {
            "/Nck/Configuration/nckVersion": 48.05,
            "/Nck/Configuration/nckType": 14000,
            "/Nck/Configuration/numChannels": 2,
            "/Channel/State/chanStatus[u2,1]": 0,
            "/Channel/State/progStatus[u2,1]": 5,
            "/Bag/State/opMode[u1,1]": 2,
            "/Channel/MachineAxis/name[u2,1]": "MX1",
            "/Channel/MachineAxis/name[u2,2]": "MZ1",
            "/Channel/MachineAxis/name[u2,3]": "MY1",
            "/Channel/MachineAxis/name[u2,4]": "MSP1",
            "/Channel/GeometricAxis/name[u2,1]": "X",
        },
        namespaces,
    )
    root = "ns=3;s=Sinumerik"
    handling = shelf.put(shelf.put(root, "Methods"), "Filehandling")
    for name in ("CopyFileToServer", "CopyFileFromServer", "Select", "Unselect"):
        shelf.put(handling, name, "i=0")
    programs = shelf.put(shelf.put(root, "FileSystem"), "Part Program")
    shelf.put(programs, "CreateFile", "i=0")
    shelf.put("i=10523", "CNCAlarmType", "i=0", "ns=4;i=1006")
    found = await sinumerik.find(shelf, 2)
    assert (found.node_id, found.channel, found.others) == (root, 2, (1,))
    assert found.machine_axes == {"X": 1, "Z": 2, "Y": 3}
    assert found.work_axes == {"X": 1}
    assert found.controller == "Siemens SINUMERIK, NCK type 14000, version 48.05"
    assert found.alarms == AlarmSource(root, "ns=4;i=1006", ((4, "AlarmIdentifier"),))
    copies = {name: f"{handling}/{name}" for name in ("CopyFileToServer", "CopyFileFromServer")}
    assert found.programs.files == Methods(handling, copies)
    assert found.programs.select == Methods(handling, {"Select": f"{handling}/Select"})
    assert found.programs.directory is not None
    assert found.programs.directory.node_id == programs
    assert found.missing == ()
    items = found.monitored()
    assert items["progStatus"] == Item("ns=3;s=/Channel/State/progStatus[u2,1]")
    assert items["totalParts"] == Item("ns=3;s=/Channel/State/totalParts[u2,1]", counter=True)
    assert items["machine Y"] == Item("ns=3;s=/Channel/MachineAxis/actToolBasePos[u2,3]")
    assert items["chanStatus 1"] == Item("ns=3;s=/Channel/State/chanStatus[u1,1]")


async def test_an_older_server_has_its_file_methods_in_methods_and_no_select() -> None:
    shelf = control({"/Channel/State/chanStatus[u1,1]": 0, "/Channel/State/progStatus[u1,1]": 5})
    methods = shelf.put("ns=2;s=Sinumerik", "Methods")
    for name in ("CopyFileToServer", "CopyFileFromServer"):
        shelf.put(methods, name, "i=0")
    found = await sinumerik.find(shelf, 1)
    assert found.programs.files is not None
    assert found.programs.files.node_id == methods
    assert found.programs.select is None
    assert found.alarms == AlarmSource("ns=2;s=Sinumerik")
    assert found.missing == (
        "the control tells nothing in opMode: has the user of the connection the right SinuReadAll?",
        "the control offers no Select: a program that was brought over is selected at the panel",
    )
    told = await sinumerik.offer(shelf)
    assert told.machines == ("Sinumerik",)
    assert "file methods CopyFileToServer, CopyFileFromServer; Select none" in told.remarks[0]


async def test_a_control_without_file_methods_says_so() -> None:
    found = await sinumerik.find(control({}), 1)
    assert (
        found.missing[-1]
        == "the control offers no CopyFileToServer and CopyFileFromServer: programs cannot be brought over"
    )
    assert found.controller == "Siemens SINUMERIK"


async def test_the_namespace_is_that_of_the_control_where_its_uri_is_another() -> None:
    shelf = Shelf(("ua", "app", "other"))
    shelf.put("i=85", "Sinumerik", "i=58", "ns=2;s=Sinumerik")
    shelf.values["ns=2;s=/Nck/Configuration/numChannels"] = 1
    assert (await sinumerik.find(shelf, 1)).namespace == 2
    with pytest.raises(LinkError, match="the control has no channel 2, it has 1"):
        await sinumerik.find(shelf, 2)


async def test_another_server_is_no_sinumerik() -> None:
    with pytest.raises(LinkError, match="not a SINUMERIK's"):
        await sinumerik.find(Shelf(("ua",)), 1)
    assert (await sinumerik.offer(Shelf(("ua",)))).machines == ()


@given(values=st.dictionaries(st.sampled_from([*MACHINE.monitored(), "machine X", "machine X unit"]), ANYTHING))
def test_no_value_ends_a_driver(values: dict[str, object]) -> None:
    machine = sinumerik.SinumerikMachine("ns=2;s=Sinumerik", 2, 1, others=(2,), machine_axes=dict.fromkeys("XYZ", 1))
    assert machine.state_of(values, 5).taken_ns == 5
