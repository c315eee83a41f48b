# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of OPC 40501-1 mean, and how a machine is found among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState, Overrides
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models import jobs, umati
from edge.drivers.opcua.models.model import AlarmSource, Item, Reference
from tests.support.opcua_shelf import ANYTHING, Child, Shelf

TOOL, MACHINERY = 6, 5
NAMESPACES = ("ua", "app", "di", "ia", "vendor", umati.MACHINERY_URI, umati.MACHINE_TOOL_URI)
CHANNEL = "Monitoring/Channel1"
CHANNEL_2 = "Monitoring/Channel2"
SPINDLE = "Monitoring/Spindle"
ITEM_STATE = "Monitoring/MachineTool/MachineryItemState"
TOOL_MODE = "Monitoring/MachineTool/MachineryOperationMode"
PROGRAM_STATE = "Production/ActiveProgram/State"
ORDERS = "MachineryBuildingBlocks/JobManagement/JobOrderControl/JobOrderList"
PARTS = "Monitoring/MachineTool/OperationCounters/PartsProducedInLifetime"
OLD_PARTS = "Production/Statistics/PartsProducedInLifetime"


def machine(*channels: str, **facts: Any) -> umati.UmatiMachine:
    return umati.UmatiMachine("Lathe", "ns=4;s=Lathe", TOOL, MACHINERY, {}, channels=channels, **facts)


def shelf_with(values: Mapping[str, object], namespaces: tuple[str, ...] = NAMESPACES) -> Shelf:
    """Return a server with one machine that has these variables."""
    shelf = Shelf(namespaces)
    tool, machinery = namespaces.index(umati.MACHINE_TOOL_URI), namespaces.index(umati.MACHINERY_URI)
    root = shelf.put(f"ns={machinery};i=1001", "Lathe", f"ns={tool};i=13", "lathe")
    shelf.fill(root, values)
    return shelf


async def state_of(shelf: Shelf) -> MachineState:
    """Find the machine and return its state, as a driver does."""
    found = await umati.find(shelf, None)
    return found.state_of({key: shelf.values.get(item.node_id) for key, item in found.monitored().items()}, 5)


def order(number: int, name: str = "J1", master: str | None = "PAWN") -> dict[str, object]:
    masters = [] if master is None else [{"ID": master}]
    return {"JobOrder": {"JobOrderID": name, "WorkMasterID": masters}, "State": [{"StateNumber": number}]}


@pytest.mark.parametrize(
    ("states", "program_state", "execution"),
    [
        ((0,), None, Execution.ACTIVE),
        ((1,), None, Execution.INTERRUPTED),
        ((2,), None, Execution.READY),
        ((2,), f"ns={TOOL};i=135", Execution.READY),
        ((2,), f"ns={TOOL};i=140", Execution.PROGRAM_COMPLETED),
        ((2,), f"ns={TOOL};i=5038", Execution.PROGRAM_COMPLETED),
        ((2,), f"ns={TOOL};i=141", Execution.STOPPED),
        ((2,), f"ns={TOOL};i=5037", Execution.STOPPED),
        ((2,), f"ns={MACHINERY};i=140", Execution.READY),
        ((0,), f"ns={TOOL};i=140", Execution.ACTIVE),
        ((2, 0), None, Execution.ACTIVE),
        ((1, 2), None, Execution.INTERRUPTED),
        ((None, 0), None, Execution.ACTIVE),
        ((None, 2), None, Execution.UNAVAILABLE),
        ((None,), None, Execution.UNAVAILABLE),
        ((7,), None, Execution.UNAVAILABLE),
        (("0",), None, Execution.UNAVAILABLE),
        ((True,), None, Execution.UNAVAILABLE),
    ],
)
def test_execution_comes_from_channels_and_the_active_program(
    states: tuple[object, ...], program_state: str | None, execution: Execution
) -> None:
    channels = (CHANNEL, CHANNEL_2)[: len(states)]
    values: dict[str, object] = {f"{channel}/ChannelState": one for channel, one in zip(channels, states, strict=True)}
    values |= {f"{PROGRAM_STATE}/CurrentState/Id": program_state, "Monitoring/MachineTool/OperationMode": 1}
    state = machine(*channels).state_of(values, 5)
    assert state.execution is execution
    assert state.availability is Availability.AVAILABLE
    assert state.taken_ns == 5


@pytest.mark.parametrize(
    ("item_state", "execution"),
    [
        ({"Id": f"ns={MACHINERY};i=5006"}, Execution.ACTIVE),
        ({"Id": f"ns={MACHINERY};i=5007"}, Execution.READY),
        ({"Id": f"ns={MACHINERY};i=5004"}, Execution.UNAVAILABLE),
        ({"Id": f"ns={MACHINERY};i=5005"}, Execution.UNAVAILABLE),
        ({"Id": f"ns={TOOL};i=5006"}, Execution.UNAVAILABLE),
        ({"Id": "ns=9;s=Executing", "Number": 3}, Execution.ACTIVE),
        ({"Number": 2}, Execution.READY),
        ({"": "Executing"}, Execution.ACTIVE),
        ({"": "Not Executing"}, Execution.READY),
        ({"": "Wird ausgeführt"}, Execution.UNAVAILABLE),
        ({}, Execution.UNAVAILABLE),
    ],
)
def test_a_machine_without_channels_tells_by_it(item_state: dict[str, object], execution: Execution) -> None:
    values: dict[str, object] = {"Monitoring/MachineTool/OperationMode": 0}
    values |= {f"{ITEM_STATE}/CurrentState/{name}".rstrip("/"): value for name, value in item_state.items()}
    state = machine(item_state=ITEM_STATE).state_of(values, 5)
    assert (state.execution, state.mode) == (execution, ControllerMode.MANUAL)


def test_a_machine_without_channels_that_waits_says_how_its_program_ended() -> None:
    values = {f"{ITEM_STATE}/CurrentState/Number": 2, f"{PROGRAM_STATE}/CurrentState/Number": 2}
    assert machine(item_state=ITEM_STATE).state_of(values, 5).execution is Execution.PROGRAM_COMPLETED


def test_a_machine_with_neither_tells_by_its_program_or_its_job() -> None:
    values: dict[str, object] = {f"{PROGRAM_STATE}/CurrentState": "Running"}
    assert machine().state_of(values, 5).execution is Execution.ACTIVE
    assert machine().state_of({ORDERS: [order(3)]}, 5).execution is Execution.ACTIVE


def test_nothing_known_is_not_available() -> None:
    values = {f"{CHANNEL}/ChannelState": None, "Production/ActiveProgram/Name": "O1"}
    assert machine(CHANNEL).state_of(values, 5) == MachineState(taken_ns=5)


@pytest.mark.parametrize(
    ("modes", "mode"),
    [
        ((0,), ControllerMode.AUTOMATIC),
        ((1,), ControllerMode.MANUAL_DATA_INPUT),
        ((2,), ControllerMode.MANUAL),
        ((6,), ControllerMode.MANUAL),
        ((7,), ControllerMode.UNAVAILABLE),
        ((None,), ControllerMode.UNAVAILABLE),
        ((0, 0), ControllerMode.AUTOMATIC),
        ((0, 2), ControllerMode.UNAVAILABLE),
        ((0, 7), ControllerMode.UNAVAILABLE),
    ],
)
def test_mode_is_what_all_channels_agree_on(modes: tuple[object, ...], mode: ControllerMode) -> None:
    channels = (CHANNEL, CHANNEL_2)[: len(modes)]
    values: dict[str, object] = {f"{channel}/ChannelState": 2 for channel in channels}
    values |= {f"{channel}/ChannelMode": one for channel, one in zip(channels, modes, strict=True)}
    assert machine(*channels).state_of(values, 5).mode is mode


@pytest.mark.parametrize(
    ("state", "mode"),
    [
        (f"ns={TOOL};i=5060", ControllerMode.AUTOMATIC),
        (f"ns={TOOL};i=5061", ControllerMode.MANUAL),
        (f"ns={TOOL};i=5059", ControllerMode.UNAVAILABLE),
        (f"ns={MACHINERY};i=5026", ControllerMode.AUTOMATIC),
        (f"ns={MACHINERY};i=5027", ControllerMode.MANUAL),
    ],
)
def test_without_an_operation_mode_the_add_in_tells(state: str, mode: ControllerMode) -> None:
    values = {f"{TOOL_MODE}/CurrentState/Id": state, f"{ITEM_STATE}/CurrentState/Number": 2}
    assert machine(item_state=ITEM_STATE, tool_mode=TOOL_MODE).state_of(values, 5).mode is mode
    values["Monitoring/MachineTool/OperationMode"] = 2
    assert machine(item_state=ITEM_STATE, tool_mode=TOOL_MODE).state_of(values, 5).mode is ControllerMode.MANUAL


def test_overrides_are_of_the_channel_before_the_machine() -> None:
    values: dict[str, object] = {
        f"{CHANNEL}/ChannelState": 0,
        f"{CHANNEL}/FeedOverride": 79.6,
        f"{CHANNEL}/RapidOverride": 50.0,
        f"{SPINDLE}/Override": 110.0,
        "Monitoring/MachineTool/FeedOverride": 33.0,
    }
    assert machine(CHANNEL, spindles=(SPINDLE,)).state_of(values, 5).overrides == Overrides(80, 50, 110)
    for unknown in (None, float("nan"), float("inf"), True, "80"):
        values[f"{CHANNEL}/FeedOverride"] = unknown
        assert machine(CHANNEL).state_of(values, 5).overrides == Overrides(33, 50, 100)
    values["Monitoring/MachineTool/FeedOverride"] = None
    assert machine(CHANNEL).state_of(values, 5).overrides is None


@pytest.mark.parametrize(
    ("orders", "program"),
    [
        ([order(3)], "PAWN"),
        ([order(4)], "PAWN"),
        ([order(3, master=None)], "J1"),
        ([order(2, master="NEXT"), order(3)], "PAWN"),
        ([order(4, master="HELD"), order(3)], "PAWN"),
        ([order(2), order(5)], "O1"),
        ([], "O1"),
        (None, "O1"),
        ([None, {"State": 3}, {"State": []}, {"JobOrder": 1, "State": [{"StateNumber": "3"}]}], "O1"),
    ],
)
def test_the_program_is_the_work_master_of_the_job_that_runs(orders: object, program: str) -> None:
    values = {f"{CHANNEL}/ChannelState": 0, "Production/ActiveProgram/Name": "O1", ORDERS: orders}
    assert machine(CHANNEL).state_of(values, 5).program == program


def test_job_orders_are_read_from_their_binary_encoding() -> None:
    from edge.drivers.opcua import isa95
    from edge.drivers.opcua.translate import ua

    path = ua.RelativePath(Elements=[])
    state = {"BrowsePath": path, "StateText": ua.LocalizedText("Running"), "StateNumber": 3}
    job = {"JobOrderID": "J7", "WorkMasterID": [{"ID": "BISHOP.NC"}]}
    body = isa95.encode("JobOrderAndState", {"JobOrder": job, "State": [state]})
    entries = [ua.ExtensionObject(Body=b"\x07nonsense"), ua.ExtensionObject(Body=body)]
    assert jobs.active(entries) == jobs.Job("BISHOP.NC", Execution.ACTIVE)


async def test_the_only_machine_tool_is_found_by_its_type_or_a_subtype() -> None:
    shelf = Shelf(NAMESPACES, supertypes={"ns=4;i=1": f"ns={TOOL};i=13", "ns=4;i=2": "i=58"})
    shelf.put(f"ns={MACHINERY};i=1001", "Robot", "ns=4;i=2")
    root = shelf.put(f"ns={MACHINERY};i=1001", "Lathe", "ns=4;i=1", "lathe")
    shelf.fill(
        root,
        {
            "Identification/Model": "2000",
            "Identification/Manufacturer": "Maker",
            "Monitoring/NC/ChannelState": 0,
            "Monitoring/S1/IsRotating": False,
            "Monitoring/S1/Override": 100.0,
            "Monitoring/Stacklight/Lamp/SignalOn": True,
            "Production/ProductionPlan/Job1/Identifier": "plan",
            "Production/ActiveProgram/Name": "O1",
            "Notification/Messages/Alert": None,
            "Notification/Prognoses/Guess": None,
            "Equipment/Tools/T1": None,
        },
    )
    found = await umati.find(shelf, None)
    assert (found.name, found.channels, found.spindles) == ("Lathe", ("Monitoring/NC",), ("Monitoring/S1",))
    assert found.alarms == AlarmSource("lathe/Notification/Messages", f"ns={TOOL};i=39", ((TOOL, "ErrorCode"),))
    assert found.controller == "Maker 2000"
    assert found.monitored() == {
        "Monitoring/NC/ChannelState": Item("lathe/Monitoring/NC/ChannelState"),
        "Monitoring/S1/Override": Item("lathe/Monitoring/S1/Override"),
        "Production/ActiveProgram/Name": Item("lathe/Production/ActiveProgram/Name"),
    }
    assert found.missing == ("the machine has no Monitoring/MachineTool/OperationMode, which OPC 40501-1 demands",)
    unvisited = {"Equipment", "Monitoring/Stacklight", "Production/ProductionPlan", "Notification/Prognoses"}
    assert not {f"lathe/{path}" for path in unvisited} & set(shelf.browsed)


@pytest.mark.parametrize("namespaces", [NAMESPACES, (*NAMESPACES[:2], *reversed(NAMESPACES[2:]))])
async def test_a_machine_of_1_01_is_read_whatever_the_order_of_namespaces(namespaces: tuple[str, ...]) -> None:
    machinery, tool = namespaces.index(umati.MACHINERY_URI), namespaces.index(umati.MACHINE_TOOL_URI)
    shelf = shelf_with(
        {
            "Monitoring/MachineTool/OperationMode": 1,
            "Monitoring/MachineTool/PowerOnDuration": 77,
            f"{ITEM_STATE}/CurrentState/Id": f"ns={machinery};i=5007",
            "Production/ActiveProgram/Name": "O2101",
            "Production/ActiveProgram/NumberInList": 0,
            f"{PROGRAM_STATE}/CurrentState/Id": f"ns={tool};i=5037",
            OLD_PARTS: 41,
        },
        namespaces,
    )
    state = await state_of(shelf)
    assert (state.execution, state.mode) == (Execution.STOPPED, ControllerMode.AUTOMATIC)
    assert (state.program, state.part_count) == ("O2101", 41)
    assert (await umati.find(shelf, "Lathe")).monitored()[OLD_PARTS] == Item(f"lathe/{OLD_PARTS}", counter=True)


async def test_a_machine_of_1_02_offers_jobs_files_and_counters_of_operation() -> None:
    control = "MachineryBuildingBlocks/JobManagement/JobOrderControl"
    shelf = shelf_with(
        {
            "Monitoring/MachineTool/OperationMode": 1,
            f"{CHANNEL}/ChannelState": 0,
            "Production/ActiveProgram/Name": "",
            PARTS: 12_000_000_000,
            OLD_PARTS: 41,
            ORDERS: [order(3)],
            f"{control}/MaxDownloadableJobOrders": 5,
            "MachineryBuildingBlocks/Components/Spindle": None,
        }
    )
    for name in ("Store", "Start", "Stop"):
        shelf.put(f"lathe/{control}", name, "i=0")
    for name in ("CreateFile", "Delete"):
        shelf.put("lathe/FileSystem", name, "i=0")
    shelf.put("lathe/FileSystem", "O2101.NC", "i=11575")
    shelf.put("lathe", "FileSystem", "i=13353", "lathe/FileSystem")
    found = await umati.find(shelf, None)
    state = await state_of(shelf)
    assert (state.program, state.part_count) == ("PAWN", 12_000_000_000)
    assert found.programs.directory is not None
    assert dict(found.programs.directory.methods) == {
        "CreateFile": "lathe/FileSystem/CreateFile",
        "Delete": "lathe/FileSystem/Delete",
    }
    assert found.programs.jobs is not None
    assert found.programs.jobs.node_id == f"lathe/{control}"
    assert set(found.programs.jobs.methods) == {"Store", "Start", "Stop"}
    assert found.missing == ()
    assert OLD_PARTS not in found.monitored()
    assert not {"lathe/FileSystem/O2101.NC", "lathe/MachineryBuildingBlocks/Components"} & set(shelf.browsed)


async def test_a_counter_that_says_nothing_is_not_preferred() -> None:
    shelf = shelf_with({f"{CHANNEL}/ChannelState": 2, PARTS: None, OLD_PARTS: 7})
    assert (await umati.find(shelf, None)).parts == OLD_PARTS
    shelf.values[f"lathe/{OLD_PARTS}"] = None
    assert (await umati.find(shelf, None)).parts == PARTS


async def test_the_counter_stays_the_same_over_connections_though_it_is_silent() -> None:
    shelf = shelf_with({f"{CHANNEL}/ChannelState": 2, PARTS: 5000, OLD_PARTS: 200})
    counter, counts = "", []
    for value in (5000, None, 5003):
        shelf.values[f"lathe/{PARTS}"] = value
        found = await umati.find(shelf, None, counter)
        counter = found.part_counter
        values = {key: shelf.values.get(item.node_id) for key, item in found.monitored().items()}
        counts.append(found.state_of(values, 5).part_count)
    assert counts == [5000, None, 5003]
    assert counter == PARTS


async def test_another_counter_bears_another_name() -> None:
    shelf = shelf_with({f"{CHANNEL}/ChannelState": 2, OLD_PARTS: 200})
    assert (await umati.find(shelf, None, PARTS)).part_counter == OLD_PARTS
    assert (await umati.find(shelf_with({f"{CHANNEL}/ChannelState": 2}), None, PARTS)).part_counter == ""


async def test_add_ins_may_stand_with_the_other_building_blocks() -> None:
    shelf = shelf_with({"MachineryBuildingBlocks/MachineryItemState/CurrentState": "Executing"})
    assert (await state_of(shelf)).execution is Execution.ACTIVE


async def test_a_machine_that_hardly_tells_anything_says_what_is_missing() -> None:
    found = await umati.find(shelf_with({"Identification/Manufacturer": "Maker"}), None)
    assert found.missing == (
        "the machine has no Monitoring/MachineTool/OperationMode, which OPC 40501-1 demands",
        "the machine has no Production/ActiveProgram/Name, which OPC 40501-1 demands",
        "the machine has neither channels nor a MachineryItemState: only its program tells what it does",
    )
    assert found.alarms is None
    assert found.programs.directory is None
    assert found.programs.jobs is None


@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                f"{CHANNEL}/ChannelState",
                f"{CHANNEL}/ChannelMode",
                f"{CHANNEL}/FeedOverride",
                f"{SPINDLE}/Override",
                f"{ITEM_STATE}/CurrentState",
                f"{TOOL_MODE}/CurrentState/Number",
                f"{PROGRAM_STATE}/CurrentState/Id",
                "Monitoring/MachineTool/OperationMode",
                "Production/ActiveProgram/Name",
                PARTS,
                ORDERS,
            ]
        ),
        ANYTHING,
    ),
    channels=st.sampled_from([(), (CHANNEL,)]),
)
def test_no_value_ends_a_driver(values: dict[str, object], channels: tuple[str, ...]) -> None:
    found = machine(*channels, spindles=(SPINDLE,), item_state=ITEM_STATE, tool_mode=TOOL_MODE, parts=PARTS)
    assert found.state_of(values, 5).taken_ns == 5


@pytest.mark.parametrize(
    ("machines", "wanted", "words"),
    [
        ((), None, "no machine tool in its folder"),
        ((), "Lathe", "no machine tool 'Lathe', it has: none"),
        (("Lathe", "Mill"), None, "set `machine` to one of: Lathe, Mill"),
        (("Lathe", "Lathe"), "Lathe", "several machine tools"),
        (("Lathe", "Mill"), "Saw", "no machine tool 'Saw', it has: Lathe, Mill"),
    ],
)
async def test_which_machine_is_asked_for_plainly(machines: tuple[str, ...], wanted: str | None, words: str) -> None:
    shelf = Shelf(NAMESPACES)
    for name in machines:
        shelf.put(f"ns={MACHINERY};i=1001", name, f"ns={TOOL};i=13")
    with pytest.raises(LinkError, match=words):
        await umati.find(shelf, wanted)


async def test_a_server_without_the_model_is_said_so() -> None:
    with pytest.raises(LinkError, match=r"lacks the namespace http://opcfoundation\.org/UA/MachineTool/"):
        await umati.find(Shelf(("ua", "app")), None)
    assert (await umati.offer(Shelf(("ua", "app")))).machines == ()


async def test_the_probe_hears_what_each_machine_offers() -> None:
    shelf = shelf_with({f"{CHANNEL}/ChannelState": 2, "Identification/Manufacturer": "Maker", PARTS: 3})
    told = await umati.offer(shelf)
    assert told.machines == ("Lathe",)
    assert told.remarks[0] == (
        f"Lathe: Maker; channels Channel1; spindles none; part counter {PARTS}; alarms none; file system none;"
        " job control none"
    )
    assert "which OPC 40501-1 demands" in told.remarks[1]


async def test_a_type_whose_supertypes_run_in_a_circle_is_no_machine_tool() -> None:
    shelf = Shelf(NAMESPACES, supertypes={"ns=4;i=1": "ns=4;i=2", "ns=4;i=2": "ns=4;i=1"})
    shelf.put(f"ns={MACHINERY};i=1001", "Circle", "ns=4;i=1")
    with pytest.raises(LinkError, match="no machine tool"):
        await umati.find(shelf, None)


async def test_ways_that_run_in_a_circle_end() -> None:
    shelf = shelf_with({f"{CHANNEL}/ChannelState": 2})
    shelf.children[f"lathe/{CHANNEL}"].append(Child("Monitoring", "lathe/Monitoring"))
    assert (await umati.find(shelf, None)).channels == (CHANNEL,)


async def test_a_lost_link_while_browsing_is_one_error() -> None:
    class Torn(Shelf):
        async def browse(self, node_id: str) -> Sequence[Reference]:
            if node_id in ("lathe/Identification", "lathe/Monitoring"):
                raise LinkError(reason="the connection was lost")
            return await super().browse(node_id)

    shelf = Torn(NAMESPACES)
    root = shelf.put(f"ns={MACHINERY};i=1001", "Lathe", f"ns={TOOL};i=13", "lathe")
    shelf.fill(root, {"Identification/Model": "2000", f"{CHANNEL}/ChannelState": 2})
    with pytest.raises(LinkError, match="the connection was lost"):
        await umati.find(shelf, None)
