# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of OPC 40501-1 mean, and how a machine is found among others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState, Overrides
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models import umati
from edge.drivers.opcua.models.model import Reference

TOOL, MACHINERY = 6, 5
CHANNEL = "Monitoring/Channel1"
CHANNEL_2 = "Monitoring/Channel2"
SPINDLE = "Monitoring/Spindle"


@dataclass(frozen=True)
class Child:
    name: str
    node_id: str
    type_id: str = "i=58"


@dataclass
class Shelf:
    """A server without a wire: children by node, supertypes by type."""

    namespaces: tuple[str, ...] = ("ua", "app", "di", "ia", "vendor", umati.MACHINERY_URI, umati.MACHINE_TOOL_URI)
    children: dict[str, list[Child]] = field(default_factory=dict)
    supertypes: dict[str, str] = field(default_factory=dict)
    browsed: list[str] = field(default_factory=list)

    async def browse(self, node_id: str) -> Sequence[Reference]:
        self.browsed.append(node_id)
        return self.children.get(node_id, [])

    async def supertype(self, type_id: str) -> str | None:
        return self.supertypes.get(type_id)

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        return [f"<{node_id}>" for node_id in node_ids]

    def add_machine(self, name: str, type_id: str = f"ns={TOOL};i=13") -> None:
        self.children.setdefault(f"ns={MACHINERY};i=1001", []).append(Child(name, name, type_id))


def nodes(*channels: str, spindles: tuple[str, ...] = ()) -> umati.MachineNodes:
    return umati.MachineNodes("Lathe", "ns=4;s=Lathe", TOOL, MACHINERY, {}, channels, spindles, None, "")


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
    ],
)
def test_execution_comes_from_channels_and_the_active_program(
    states: tuple[object, ...], program_state: str | None, execution: Execution
) -> None:
    channels = (CHANNEL, CHANNEL_2)[: len(states)]
    values: dict[str, object] = {f"{channel}/ChannelState": one for channel, one in zip(channels, states, strict=True)}
    values |= {
        "Production/ActiveProgram/State/CurrentState/Id": program_state,
        "Monitoring/MachineTool/OperationMode": 1,
    }
    state = umati.state_of(nodes(*channels), values, 5)
    assert state.execution is execution
    assert state.availability is Availability.AVAILABLE
    assert state.taken_ns == 5


@pytest.mark.parametrize(
    ("item_state", "execution"),
    [
        (f"ns={MACHINERY};i=5006", Execution.ACTIVE),
        (f"ns={MACHINERY};i=5007", Execution.READY),
        (f"ns={MACHINERY};i=5004", Execution.UNAVAILABLE),
        (None, Execution.UNAVAILABLE),
    ],
)
def test_a_machine_without_channels_tells_by_its_item_state(item_state: str | None, execution: Execution) -> None:
    values = {
        "Monitoring/MachineTool/OperationMode": 0,
        "Monitoring/MachineTool/MachineryItemState/CurrentState/Id": item_state,
    }
    state = umati.state_of(nodes(), values, 5)
    assert (state.execution, state.mode) == (execution, ControllerMode.MANUAL)


def test_nothing_known_is_not_available() -> None:
    values = {f"{CHANNEL}/ChannelState": None, "Production/ActiveProgram/Name": "O1"}
    assert umati.state_of(nodes(CHANNEL), values, 5) == MachineState(taken_ns=5)


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
    ],
)
def test_mode_is_what_all_channels_agree_on(modes: tuple[object, ...], mode: ControllerMode) -> None:
    channels = (CHANNEL, CHANNEL_2)[: len(modes)]
    values: dict[str, object] = {f"{channel}/ChannelState": 2 for channel in channels}
    values |= {f"{channel}/ChannelMode": one for channel, one in zip(channels, modes, strict=True)}
    assert umati.state_of(nodes(*channels), values, 5).mode is mode


def test_overrides_are_of_the_channel_before_the_machine() -> None:
    values: dict[str, object] = {
        f"{CHANNEL}/ChannelState": 0,
        f"{CHANNEL}/FeedOverride": 79.6,
        f"{CHANNEL}/RapidOverride": 50.0,
        f"{SPINDLE}/Override": 110.0,
        "Monitoring/MachineTool/FeedOverride": 33.0,
    }
    assert umati.state_of(nodes(CHANNEL, spindles=(SPINDLE,)), values, 5).overrides == Overrides(80, 50, 110)
    values[f"{CHANNEL}/FeedOverride"] = None
    assert umati.state_of(nodes(CHANNEL), values, 5).overrides == Overrides(33, 50, 100)
    values["Monitoring/MachineTool/FeedOverride"] = None
    assert umati.state_of(nodes(CHANNEL), values, 5).overrides is None


async def test_the_only_machine_tool_is_found_by_its_type_or_a_subtype() -> None:
    shelf = Shelf(supertypes={"ns=4;i=1": f"ns={TOOL};i=13", "ns=4;i=2": "i=58"})
    shelf.add_machine("Robot", "ns=4;i=2")
    shelf.add_machine("Lathe", "ns=4;i=1")
    shelf.children["Lathe"] = [
        Child("Identification", "id"),
        Child("Monitoring", "mon"),
        Child("Production", "prod"),
        Child("Notification", "note"),
        Child("Equipment", "tools"),
    ]
    shelf.children["id"] = [Child("Model", "model"), Child("Manufacturer", "maker")]
    shelf.children["mon"] = [Child("NC", "nc"), Child("S1", "s1")]
    shelf.children["nc"] = [Child("ChannelState", "nc.state")]
    shelf.children["s1"] = [Child("IsRotating", "s1.rot"), Child("Override", "s1.ovr")]
    shelf.children["prod"] = [Child("ProductionPlan", "plan"), Child("ActiveProgram", "prog")]
    shelf.children["prog"] = [Child("Name", "prog.name")]
    shelf.children["note"] = [Child("Messages", "msg"), Child("Prognoses", "guess")]
    found = await umati.discover(shelf, None)
    assert (found.name, found.channels, found.spindles) == ("Lathe", ("Monitoring/NC",), ("Monitoring/S1",))
    assert found.messages == "msg"
    assert found.controller == "<maker> <model>"
    assert found.monitored() == {
        "Monitoring/NC/ChannelState": "nc.state",
        "Monitoring/S1/Override": "s1.ovr",
        "Production/ActiveProgram/Name": "prog.name",
    }
    assert not {"tools", "plan", "guess"} & set(shelf.browsed)


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
    shelf = Shelf()
    for name in machines:
        shelf.add_machine(name)
    with pytest.raises(LinkError, match=words):
        await umati.discover(shelf, wanted)


async def test_a_server_without_the_model_is_said_so() -> None:
    with pytest.raises(LinkError, match=r"lacks the namespace http://opcfoundation\.org/UA/MachineTool/"):
        await umati.discover(Shelf(namespaces=("ua", "app")), None)


async def test_a_type_whose_supertypes_run_in_a_circle_is_no_machine_tool() -> None:
    shelf = Shelf(supertypes={"ns=4;i=1": "ns=4;i=2", "ns=4;i=2": "ns=4;i=1"})
    shelf.add_machine("Circle", "ns=4;i=1")
    with pytest.raises(LinkError, match="no machine tool"):
        await umati.discover(shelf, None)


async def test_a_lost_link_while_browsing_is_one_error() -> None:
    class Torn(Shelf):
        async def browse(self, node_id: str) -> Sequence[Reference]:
            if node_id in ("id", "mon"):
                raise LinkError(reason="the connection was lost")
            return await super().browse(node_id)

    shelf = Torn()
    shelf.add_machine("Lathe")
    shelf.children["Lathe"] = [Child("Identification", "id"), Child("Monitoring", "mon")]
    with pytest.raises(LinkError, match="the connection was lost"):
        await umati.discover(shelf, None)


@pytest.mark.parametrize(
    ("path", "node_id"),
    [
        ("Interlock/DoorClosed", "door"),
        ("Interlock", "il"),
        ("Interlock/Nothing", None),
        ("Nothing/DoorClosed", None),
        ("nsu=vendor;s=Door", "ns=4;s=Door"),
        ("nsu=nobody;s=Door", None),
    ],
)
async def test_an_input_is_named_by_path_or_by_node_id(path: str, node_id: str | None) -> None:
    shelf = Shelf(children={"root": [Child("Interlock", "il")], "il": [Child("DoorClosed", "door")]})
    assert await umati.resolve(shelf, "root", path) == node_id
