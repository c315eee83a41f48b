# SPDX-License-Identifier: GPL-3.0-or-later
"""Machine tools as OPC 40501-1 (umati, MachineTool 1.01 and 1.02) describes them, in the words of MTConnect.

Numeric ids are those of the models' published node sets. The model says nothing of positions, of feeds in mm/min and of
the direction of a spindle: those stay unknown. 1.02 deprecates Production/ActiveProgram for the jobs of OPC 40001-3:
where a job runs, its work master is the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState
from edge.drivers.opcua.models import jobs
from edge.drivers.opcua.models.model import (
    AlarmSource,
    Browser,
    Directory,
    Item,
    Methods,
    Offer,
    ProgramPath,
    Reference,
)
from edge.drivers.opcua.models.paths import chosen, is_a, namespace_index, walk
from edge.drivers.opcua.models.umati_words import (
    CHANNEL_MODES,
    CHANNEL_STATES,
    ITEM_STATES,
    MACHINERY_MODES,
    OPERATION_MODES,
    PROGRAM_STATES,
    TOOL_MODES,
    States,
)
from edge.drivers.opcua.models.values import common_mode, first, moving_first, number, overrides, text, whole, word_of

MACHINERY_URI = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL_URI = "http://opcfoundation.org/UA/MachineTool/"

_MACHINES = 1001
_MACHINE_TOOL_TYPE = 13
_ALERT_TYPE = 39

_OPERATION_MODE = "Monitoring/MachineTool/OperationMode"
_TOOL_FEED_OVERRIDE = "Monitoring/MachineTool/FeedOverride"
_PROGRAM_NAME = "Production/ActiveProgram/Name"
_PROGRAM_STATE = "Production/ActiveProgram/State"
_JOB_CONTROL = "MachineryBuildingBlocks/JobManagement/JobOrderControl"
# Add-ins stand where OPC 40501-1 puts them, or with the other building blocks of OPC 40001-1.
_ITEM_STATE_PLACES = ("Monitoring/MachineTool/MachineryItemState", "MachineryBuildingBlocks/MachineryItemState")
_TOOL_MODE_PLACES = ("Monitoring/MachineTool/MachineryOperationMode", "MachineryBuildingBlocks/MachineryOperationMode")
# Counters of the machine, which jobs do not reset: 1.02 has moved it into the machine's OperationCounters.
_COUNTERS = (
    "Monitoring/MachineTool/OperationCounters/PartsProducedInLifetime",
    "MachineryBuildingBlocks/OperationCounters/PartsProducedInLifetime",
    "Production/Statistics/PartsProducedInLifetime",
)
_CHANNEL_WORDS = ("ChannelState", "ChannelMode", "FeedOverride", "RapidOverride")
_MANDATORY = (_OPERATION_MODE, _PROGRAM_NAME)

_DIRECTORY_METHODS = ("CreateDirectory", "CreateFile", "Delete", "MoveOrCopy")
# Where to look below the machine; equipment, tools and files, which may be hundreds of nodes, are not looked at.
_AREAS = ("Identification", "Monitoring", "Production", "Notification", "MachineryBuildingBlocks", "FileSystem")
_PRODUCTION_PARTS = ("ActiveProgram", "Statistics")
_BUILDING_BLOCKS = ("JobManagement", "MachineryItemState", "MachineryOperationMode", "OperationCounters")
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class UmatiMachine:
    """A machine tool on one connection; implements FoundMachine. nodes are NodeIds by path from the machine.

    channels, spindles and so on are the paths of what this machine has, parts that of the one counter that is watched.
    """

    name: str
    node_id: str
    tool_namespace: int
    machinery_namespace: int
    nodes: Mapping[str, str]
    controller: str = ""
    channels: tuple[str, ...] = ()
    spindles: tuple[str, ...] = ()
    item_state: str | None = None
    tool_mode: str | None = None
    parts: str | None = None
    programs: ProgramPath = field(default_factory=ProgramPath)
    missing: tuple[str, ...] = ()

    @property
    def alarms(self) -> AlarmSource | None:
        """Return Notification/Messages, whose alerts carry an ErrorCode (OPC 40501-1, 9.2)."""
        messages = self.nodes.get("Notification/Messages")
        if messages is None:
            return None
        tool = self.tool_namespace
        return AlarmSource(messages, f"ns={tool};i={_ALERT_TYPE}", ((tool, "ErrorCode"),))

    @property
    def part_counter(self) -> str:
        """Return the path of the counter that is watched."""
        return self.parts or ""

    def monitored(self) -> dict[str, Item]:
        """Return the nodes that `state_of` looks at, those that this machine has, by their paths."""
        wanted = [_OPERATION_MODE, _TOOL_FEED_OVERRIDE, _PROGRAM_NAME, *States.nodes(_PROGRAM_STATE)]
        for machine in (self.item_state, self.tool_mode):
            wanted += [] if machine is None else States.nodes(machine)
        for channel in self.channels:
            wanted += [f"{channel}/{word}" for word in _CHANNEL_WORDS]
        wanted += [f"{spindle}/Override" for spindle in self.spindles]
        wanted.append(f"{_JOB_CONTROL}/{jobs.ORDER_LIST}")
        items = {path: Item(self.nodes[path]) for path in wanted if path in self.nodes}
        if self.parts is not None:
            items[self.parts] = Item(self.nodes[self.parts], counter=True)
        return items

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what `values` (by path; None is unknown) mean; taken_ns is the boot-time clock of their receipt.

        Where no value tells what the machine does, the machine is not available: a gateway that lost its control
        still answers. Rapid and spindle override read 100 where the machine has none.
        """
        job = jobs.active(values.get(f"{_JOB_CONTROL}/{jobs.ORDER_LIST}"))
        execution = self._execution(values, job)
        operation_mode = word_of(OPERATION_MODES, values.get(_OPERATION_MODE))
        if execution is Execution.UNAVAILABLE and whole(values.get(_OPERATION_MODE)) is None:
            return MachineState(taken_ns=taken_ns)
        feeds = [f"{channel}/FeedOverride" for channel in self.channels]
        rapids = [f"{channel}/RapidOverride" for channel in self.channels]
        return MachineState(
            availability=Availability.AVAILABLE,
            execution=execution,
            mode=self._mode(values, operation_mode),
            overrides=overrides(
                first(number(values.get(path)) for path in (*feeds, _TOOL_FEED_OVERRIDE)),
                first(number(values.get(path)) for path in rapids),
                first(number(values.get(f"{spindle}/Override")) for spindle in self.spindles),
            ),
            program=(job.program if job is not None else None) or text(values.get(_PROGRAM_NAME)),
            part_count=None if self.parts is None else whole(values.get(self.parts)),
            taken_ns=taken_ns,
        )

    def _execution(self, values: Mapping[str, object], job: jobs.Job | None) -> Execution:
        program = PROGRAM_STATES.of(values, _PROGRAM_STATE, self.tool_namespace)
        if self.channels:
            states = [word_of(CHANNEL_STATES, values.get(f"{channel}/ChannelState")) for channel in self.channels]
            return _ended(moving_first(states), program)
        if self.item_state is not None:
            item = ITEM_STATES.of(values, self.item_state, self.machinery_namespace)
            return Execution.UNAVAILABLE if item is None else _ended(item, program)
        return first((program, None if job is None else job.execution)) or Execution.UNAVAILABLE

    def _mode(self, values: Mapping[str, object], operation_mode: ControllerMode | None) -> ControllerMode:
        if self.channels:
            return common_mode(word_of(CHANNEL_MODES, values.get(f"{one}/ChannelMode")) for one in self.channels)
        if operation_mode is not None or self.tool_mode is None:
            return operation_mode or ControllerMode.UNAVAILABLE
        return (
            TOOL_MODES.of(values, self.tool_mode, self.tool_namespace)
            or MACHINERY_MODES.of(values, self.tool_mode, self.machinery_namespace)
            or ControllerMode.UNAVAILABLE
        )


def _ended(execution: Execution, program: Execution | None) -> Execution:
    """Say how the last program ended, while nothing runs."""
    if execution is Execution.READY and program in (Execution.PROGRAM_COMPLETED, Execution.STOPPED):
        return program
    return execution


async def find(browser: Browser, machine: str | None, counter: str = "") -> UmatiMachine:
    """Find the machine tool called `machine`, or the only one; counter is the path of the one watched before.

    Raises LinkError.
    """
    found = chosen(await _machines(browser), machine, "machine tool", "in its folder Machines")
    return await _explore(browser, found, counter)


async def offer(browser: Browser) -> Offer:
    """Return the machine tools that the server has. Raises LinkError."""
    if MACHINERY_URI not in browser.namespaces or MACHINE_TOOL_URI not in browser.namespaces:
        return Offer()
    names: list[str] = []
    remarks: list[str] = []
    for one in sorted(await _machines(browser), key=lambda found: found.name):
        machine = await _explore(browser, one)
        names.append(one.name)
        remarks.append(f"{one.name}: {_told(machine)}")
        remarks.extend(f"{one.name}: {sentence}" for sentence in machine.missing)
    return Offer(tuple(names), tuple(remarks))


def _told(machine: UmatiMachine) -> str:
    parts = [
        f"channels {', '.join(path.rpartition('/')[2] for path in machine.channels) or 'none'}",
        f"spindles {', '.join(path.rpartition('/')[2] for path in machine.spindles) or 'none'}",
        f"part counter {machine.parts or 'none'}",
        f"alarms {'yes' if machine.alarms else 'none'}",
        f"file system {'yes' if machine.programs.directory else 'none'}",
        f"job control {', '.join(sorted(machine.programs.jobs.methods)) if machine.programs.jobs else 'none'}",
    ]
    return "; ".join([machine.controller, *parts] if machine.controller else parts)


async def _machines(browser: Browser) -> list[Reference]:
    tool = namespace_index(browser.namespaces, MACHINE_TOOL_URI)
    machinery = namespace_index(browser.namespaces, MACHINERY_URI)
    return [
        one
        for one in await browser.browse(f"ns={machinery};i={_MACHINES}")
        if await is_a(browser, one.type_id, f"ns={tool};i={_MACHINE_TOOL_TYPE}")
    ]


async def _explore(browser: Browser, root: Reference, counter: str = "") -> UmatiMachine:
    found = await walk(browser, root.node_id, _is_worth_a_look)
    nodes = {path: one.node_id for path, one in found.items()}
    item_state = first(path if f"{path}/CurrentState" in nodes else None for path in _ITEM_STATE_PLACES)
    channels = tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/ChannelState"))
    missing = [f"the machine has no {path}, which OPC 40501-1 demands" for path in _MANDATORY if path not in nodes]
    if not channels and item_state is None:
        missing.append("the machine has neither channels nor a MachineryItemState: only its program tells what it does")
    identity = [nodes[path] for path in ("Identification/Manufacturer", "Identification/Model") if path in nodes]
    return UmatiMachine(
        name=root.name,
        node_id=root.node_id,
        tool_namespace=namespace_index(browser.namespaces, MACHINE_TOOL_URI),
        machinery_namespace=namespace_index(browser.namespaces, MACHINERY_URI),
        nodes=nodes,
        controller=" ".join(str(one) for one in await browser.read(identity) if text(one)),
        channels=channels,
        spindles=tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/IsRotating")),
        item_state=item_state,
        tool_mode=first(path if f"{path}/CurrentState" in nodes else None for path in _TOOL_MODE_PLACES),
        parts=counter if counter in nodes else await _counter(browser, nodes),
        programs=ProgramPath(directory=_directory(nodes), jobs=_jobs(nodes)),
        missing=tuple(missing),
    )


async def _counter(browser: Browser, nodes: Mapping[str, str]) -> str | None:
    """Return the counter that says something now, for as long as the machine has it: it may be silent meanwhile."""
    there = [path for path in _COUNTERS if path in nodes]
    values = await browser.read([nodes[path] for path in there])
    speaking = [path for path, value in zip(there, values, strict=True) if whole(value) is not None]
    return first([*speaking, *there])


def _directory(nodes: Mapping[str, str]) -> Directory | None:
    if "FileSystem" not in nodes:
        return None
    methods = {name: nodes[f"FileSystem/{name}"] for name in _DIRECTORY_METHODS if f"FileSystem/{name}" in nodes}
    return Directory(nodes["FileSystem"], methods)


def _jobs(nodes: Mapping[str, str]) -> Methods | None:
    if _JOB_CONTROL not in nodes:
        return None
    methods = {name: nodes[f"{_JOB_CONTROL}/{name}"] for name in jobs.METHODS if f"{_JOB_CONTROL}/{name}" in nodes}
    return Methods(nodes[_JOB_CONTROL], methods) if methods else None


def _is_worth_a_look(path: str) -> bool:
    area, *rest = path.split("/")
    if area not in _AREAS or len(rest) >= _DEPTH or path.rpartition("/")[2].startswith("<"):
        return False  # also a placeholder of the type that a server has put into the instance
    match area:
        case "Identification":
            return len(rest) <= 1
        case "Monitoring":
            return "Stacklight" not in rest
        case "Production":
            return not rest or rest[0] in _PRODUCTION_PARTS
        case "Notification":
            return not rest or rest == ["Messages"]
        case "MachineryBuildingBlocks":
            return not rest or (rest[0] in _BUILDING_BLOCKS and _is_worth_of_jobs(rest))
        case _:
            return not rest or (len(rest) == 1 and rest[0] in _DIRECTORY_METHODS)


def _is_worth_of_jobs(rest: list[str]) -> bool:
    if rest[0] != "JobManagement" or len(rest) == 1:
        return True
    if rest[1] != "JobOrderControl":
        return False
    return len(rest) == 2 or (len(rest) == 3 and rest[2] in (jobs.ORDER_LIST, *jobs.METHODS))
