# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine tools as OPC 40501-1 (umati, MachineTool 1.02) describes them, in the words of MTConnect.

Numeric ids are those of the models' published NodeIds files; enumerations are those of OPC 40501-1, 12.1
(ChannelState), 12.2 (ChannelMode) and 12.5 (MachineOperationMode), states those of 8.4.8 and of OPC 40001-1, 12.2. The
model says nothing of positions, of feeds in mm/min and of the direction of a spindle: those stay unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState, Overrides
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.model import AlarmSource, Browser, Item, Offer, ProgramPath, Reference

Word = TypeVar("Word", Execution, ControllerMode)

MACHINERY_URI = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL_URI = "http://opcfoundation.org/UA/MachineTool/"

_MACHINES = 1001
_MACHINE_TOOL_TYPE = 13
_ALERT_TYPE = 39
_SUPERTYPE_DEPTH = 8

# ProductionStateMachineType and its subtype for programs have state nodes of their own.
_PROGRAM_ENDED = (140, 5038)
_PROGRAM_ABORTED = (141, 5037)
_ITEM_EXECUTING = 5006
_ITEM_NOT_EXECUTING = 5007

_CHANNEL_STATES = {0: Execution.ACTIVE, 1: Execution.INTERRUPTED, 2: Execution.READY}
_CHANNEL_MODES = {
    0: ControllerMode.AUTOMATIC,
    1: ControllerMode.MANUAL_DATA_INPUT,
    2: ControllerMode.MANUAL,
    3: ControllerMode.MANUAL,
    4: ControllerMode.MANUAL,
    5: ControllerMode.AUTOMATIC,
    6: ControllerMode.MANUAL,
}
_OPERATION_MODES = {
    0: ControllerMode.MANUAL,
    1: ControllerMode.AUTOMATIC,
    2: ControllerMode.MANUAL,
    3: ControllerMode.AUTOMATIC,
    4: ControllerMode.MANUAL,
}

_OPERATION_MODE = "Monitoring/MachineTool/OperationMode"
_TOOL_FEED_OVERRIDE = "Monitoring/MachineTool/FeedOverride"
_ITEM_STATE = "Monitoring/MachineTool/MachineryItemState/CurrentState/Id"
_PROGRAM_NAME = "Production/ActiveProgram/Name"
_PROGRAM_STATE = "Production/ActiveProgram/State/CurrentState/Id"
PART_COUNT = "Production/Statistics/PartsProducedInLifetime"

# Where to look below the machine; equipment and tools, which may be hundreds of nodes, are not looked at.
_AREAS = ("Identification", "Monitoring", "Production", "Notification")
_PRODUCTION_PARTS = ("ActiveProgram", "Statistics")


@dataclass(frozen=True, slots=True)
class MachineNodes:
    """Where a machine keeps what: NodeIds by path from the machine, and the namespaces of this connection."""

    name: str
    node_id: str
    tool_namespace: int
    machinery_namespace: int
    nodes: Mapping[str, str]
    channels: tuple[str, ...]
    spindles: tuple[str, ...]
    messages: str | None
    controller: str

    def monitored(self) -> dict[str, str]:
        """Return the nodes that `state_of` looks at, those that this machine has."""
        wanted = [_OPERATION_MODE, _TOOL_FEED_OVERRIDE, _ITEM_STATE, _PROGRAM_NAME, _PROGRAM_STATE, PART_COUNT]
        for channel in self.channels:
            wanted += [f"{channel}/{word}" for word in ("ChannelState", "ChannelMode", "FeedOverride", "RapidOverride")]
        wanted += [f"{spindle}/Override" for spindle in self.spindles]
        return {path: self.nodes[path] for path in wanted if path in self.nodes}


@dataclass(frozen=True, slots=True)
class UmatiMachine:
    """A machine tool of OPC 40501-1 on one connection; implements FoundMachine."""

    nodes: MachineNodes
    programs: ProgramPath = field(default_factory=ProgramPath)
    missing: tuple[str, ...] = ()

    @property
    def node_id(self) -> str:
        """Return the machine's NodeId."""
        return self.nodes.node_id

    @property
    def controller(self) -> str:
        """Return maker and model."""
        return self.nodes.controller

    @property
    def alarms(self) -> AlarmSource | None:
        """Return Notification/Messages, whose alerts carry an ErrorCode (OPC 40501-1, 9.2)."""
        if self.nodes.messages is None:
            return None
        tool = self.nodes.tool_namespace
        return AlarmSource(self.nodes.messages, f"ns={tool};i={_ALERT_TYPE}", ((tool, "ErrorCode"),))

    def monitored(self) -> dict[str, Item]:
        """Return the nodes that `state_of` looks at."""
        return {path: Item(node_id, path == PART_COUNT) for path, node_id in self.nodes.monitored().items()}

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what values mean."""
        return state_of(self.nodes, values, taken_ns)


async def find(browser: Browser, machine: str | None) -> UmatiMachine:
    """Find the machine tool called `machine`, or the only one. Raises LinkError."""
    return UmatiMachine(await discover(browser, machine))


def namespace_index(namespaces: Sequence[str], uri: str) -> int:
    """Return the index of `uri` on this connection. Raises LinkError."""
    try:
        return namespaces.index(uri)
    except ValueError:
        raise LinkError(reason=f"the server does not describe machine tools: it lacks the namespace {uri}") from None


async def discover(browser: Browser, machine: str | None) -> MachineNodes:
    """Find the machine tool called `machine`, or the only one. Raises LinkError."""
    tool = namespace_index(browser.namespaces, MACHINE_TOOL_URI)
    machinery = namespace_index(browser.namespaces, MACHINERY_URI)
    found = await _machines(browser)
    names = ", ".join(sorted(one.name for one in found))
    if machine is not None:
        found = [one for one in found if one.name == machine]
        if not found:
            raise LinkError(reason=f"the server has no machine tool {machine!r}, it has: {names or 'none'}")
    if not found:
        raise LinkError(reason="the server has no machine tool in its folder Machines")
    if len(found) > 1:
        raise LinkError(reason=f"the server has several machine tools, set `machine` to one of: {names}")
    root = found[0]
    nodes = await _walk(browser, root.node_id)
    channels = tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/ChannelState"))
    spindles = tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/IsRotating"))
    identity = [nodes[path] for path in ("Identification/Manufacturer", "Identification/Model") if path in nodes]
    return MachineNodes(
        name=root.name,
        node_id=root.node_id,
        tool_namespace=tool,
        machinery_namespace=machinery,
        nodes=nodes,
        channels=channels,
        spindles=spindles,
        messages=nodes.get("Notification/Messages"),
        controller=" ".join(str(text) for text in await browser.read(identity) if text),
    )


async def resolve(browser: Browser, machine_node: str, path: str) -> str | None:
    """Return the NodeId of a browse path from the machine, or of `nsu=URI;...`; None where there is none.

    Raises LinkError.
    """
    if path.startswith("nsu="):
        uri, _, rest = path.removeprefix("nsu=").partition(";")
        return f"ns={browser.namespaces.index(uri)};{rest}" if uri in browser.namespaces else None
    node_id = machine_node
    for name in path.split("/"):
        for one in await browser.browse(node_id):
            if one.name == name:
                node_id = one.node_id
                break
        else:
            return None
    return node_id


def state_of(nodes: MachineNodes, values: Mapping[str, object], taken_ns: int) -> MachineState:
    """Say what `values` (by path; None is unknown) mean; taken_ns is the boot-time clock of their receipt.

    Where no value tells what the machine does, the machine is not available: a gateway that lost its control
    still answers. Rapid and spindle override read 100 where the machine has none.
    """
    execution = _execution(nodes, values)
    operation_mode = values.get(_OPERATION_MODE)
    if execution is Execution.UNAVAILABLE and operation_mode is None:
        return MachineState(taken_ns=taken_ns)
    feed = _first_number(values, [*(f"{channel}/FeedOverride" for channel in nodes.channels), _TOOL_FEED_OVERRIDE])
    rapid = _first_number(values, [f"{channel}/RapidOverride" for channel in nodes.channels])
    spindle = _first_number(values, [f"{one}/Override" for one in nodes.spindles])
    program = values.get(_PROGRAM_NAME)
    parts = values.get(PART_COUNT)
    return MachineState(
        availability=Availability.AVAILABLE,
        execution=execution,
        mode=_mode(nodes, values),
        overrides=None
        if feed is None
        else Overrides(round(feed), 100 if rapid is None else round(rapid), 100 if spindle is None else round(spindle)),
        program=program if isinstance(program, str) and program else None,
        part_count=parts if isinstance(parts, int) else None,
        taken_ns=taken_ns,
    )


def _execution(nodes: MachineNodes, values: Mapping[str, object]) -> Execution:
    states = [_word(_CHANNEL_STATES, values.get(f"{channel}/ChannelState")) for channel in nodes.channels]
    # What may move comes first: one active channel makes an active machine.
    for state in (Execution.ACTIVE, Execution.INTERRUPTED):
        if state in states:
            return state
    if not states:
        return _execution_of_item(nodes, values.get(_ITEM_STATE))
    if None in states:
        return Execution.UNAVAILABLE
    program_state = values.get(_PROGRAM_STATE)
    if program_state in [f"ns={nodes.tool_namespace};i={number}" for number in _PROGRAM_ENDED]:
        return Execution.PROGRAM_COMPLETED
    if program_state in [f"ns={nodes.tool_namespace};i={number}" for number in _PROGRAM_ABORTED]:
        return Execution.STOPPED
    return Execution.READY


def _execution_of_item(nodes: MachineNodes, state: object) -> Execution:
    if state == f"ns={nodes.machinery_namespace};i={_ITEM_EXECUTING}":
        return Execution.ACTIVE
    if state == f"ns={nodes.machinery_namespace};i={_ITEM_NOT_EXECUTING}":
        return Execution.READY
    return Execution.UNAVAILABLE


def _mode(nodes: MachineNodes, values: Mapping[str, object]) -> ControllerMode:
    modes = {_word(_CHANNEL_MODES, values.get(f"{channel}/ChannelMode")) for channel in nodes.channels}
    if not modes:
        modes = {_word(_OPERATION_MODES, values.get(_OPERATION_MODE))}
    mode = modes.pop()
    # Channels of different modes have no common word.
    return ControllerMode.UNAVAILABLE if mode is None or modes else mode


def _word(words: Mapping[int, Word], value: object) -> Word | None:
    return words.get(value) if isinstance(value, int) else None


def _first_number(values: Mapping[str, object], paths: Sequence[str]) -> float | None:
    for path in paths:
        value = values.get(path)
        if isinstance(value, int | float):
            return float(value)
    return None


async def _machines(browser: Browser) -> list[Reference]:
    tool = namespace_index(browser.namespaces, MACHINE_TOOL_URI)
    machinery = namespace_index(browser.namespaces, MACHINERY_URI)
    return [
        one
        for one in await browser.browse(f"ns={machinery};i={_MACHINES}")
        if await _is_machine_tool(browser, one.type_id, f"ns={tool};i={_MACHINE_TOOL_TYPE}")
    ]


async def _is_machine_tool(browser: Browser, type_id: str, wanted: str) -> bool:
    current: str | None = type_id
    for _ in range(_SUPERTYPE_DEPTH):
        if current is None or current == wanted:
            break
        current = await browser.supertype(current)
    return current == wanted


async def _walk(browser: Browser, root: str) -> dict[str, str]:
    nodes: dict[str, str] = {}
    level = {path: node_id for path, node_id in await _children(browser, "", root) if path in _AREAS}
    while level:
        nodes |= level
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_children(browser, path, node_id)) for path, node_id in level.items()]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        level = {path: node_id for task in tasks for path, node_id in task.result() if _is_worth_a_look(path)}
    return nodes


def _is_worth_a_look(path: str) -> bool:
    area, *rest = path.split("/")
    match area:
        case "Production":
            return rest[0] in _PRODUCTION_PARTS and len(rest) <= 4
        case "Monitoring":
            return len(rest) <= 4
        case "Notification":
            return rest == ["Messages"]
        case _:
            return len(rest) == 1


async def _children(browser: Browser, path: str, node_id: str) -> list[tuple[str, str]]:
    return [(f"{path}/{one.name}".lstrip("/"), one.node_id) for one in await browser.browse(node_id)]


async def offer(browser: Browser) -> Offer:
    """Return the machine tools that the server has. Raises LinkError."""
    if MACHINERY_URI not in browser.namespaces or MACHINE_TOOL_URI not in browser.namespaces:
        return Offer()
    machines = await _machines(browser)
    return Offer(tuple(sorted(one.name for one in machines)))
