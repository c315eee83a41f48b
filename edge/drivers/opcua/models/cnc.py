# SPDX-License-Identifier: GPL-3.0-or-later
"""CNC systems as OPC 40502 (CNC Systems 1.0) describes them, in the words of MTConnect.

Numeric ids and enumerations are those of the published node set: CncInterfaceType 1007, CncAlarmType 1006,
CncChannelStatus, CncChannelProgramStatus, CncOperationMode, CncSpindleTurnDirection (clause 7.2). The document ends the
namespace with a slash, the node set does not: servers do either. The model has no part counter, no rapid override and
no way of selecting a program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState, Position, SpindleCommand
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.model import AlarmSource, Browser, Directory, Item, Offer, ProgramPath, Reference
from edge.drivers.opcua.models.paths import chosen, instances, methods_of, walk
from edge.drivers.opcua.models.units import Quantity, factor_of
from edge.drivers.opcua.models.values import (
    common_mode,
    first,
    moving_first,
    number,
    overrides,
    position,
    text,
    whole,
    word_of,
)

URIS = ("http://opcfoundation.org/UA/CNC/", "http://opcfoundation.org/UA/CNC")

_OBJECTS = "i=85"
_INTERFACE_TYPE = 1007
_ALARM_TYPE = 1006
_SEARCH_DEPTH = 4

_STATUS = {0: Execution.ACTIVE, 1: Execution.INTERRUPTED, 2: Execution.READY}
_PROGRAM_STATUS = {
    0: Execution.READY,
    1: Execution.ACTIVE,
    2: Execution.ACTIVE,
    3: Execution.INTERRUPTED,
    4: Execution.STOPPED,
}
_MODES = {0: ControllerMode.MANUAL, 1: ControllerMode.MANUAL_DATA_INPUT, 2: ControllerMode.AUTOMATIC}
_DIRECTIONS = {0: SpindleCommand.OFF, 1: SpindleCommand.CLOCKWISE, 2: SpindleCommand.COUNTER_CLOCKWISE}

_CHANNEL_WORDS = (
    *("ActStatus", "ActProgramStatus", "ActOperationMode", "FeedHold", "ActOverride", "ActFeedrate"),
    *("ActProgramName", "ActMainProgramName", "ActProgramLine", "ActProgramFileOffset"),
)
_SPINDLE_WORDS = ("CmdSpeed", "ActSpeed", "ActOverride", "ActTurnDirection")
_AXES = "XYZ"
_UNIT = "EngineeringUnits"
_MEASURED = {
    "ActOverride": Quantity.RATIO,
    "ActFeedrate": Quantity.FEED,
    "CmdSpeed": Quantity.SPEED,
    "ActSpeed": Quantity.SPEED,
    "PosDirect": Quantity.LENGTH,
    "PosIndirect": Quantity.LENGTH,
    **{f"PosTcp{system}cs{axis}": Quantity.LENGTH for system in "BW" for axis in _AXES},
}
_LISTS = ("CncAxisList", "CncChannelList", "CncSpindleList")
_DIRECTORY_METHODS = ("CreateDirectory", "CreateFile", "Delete", "MoveOrCopy")
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class CncMachine:
    """A CNC system on one connection; implements FoundMachine. nodes are NodeIds by path from the CncInterface.

    axes are the paths of the linear axes X, Y and Z; factors take the values at their paths to InfoMobil's units, None
    where the server names a unit of something else.
    """

    node_id: str
    namespace: int
    nodes: Mapping[str, str]
    controller: str = ""
    channels: tuple[str, ...] = ()
    spindles: tuple[str, ...] = ()
    axes: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, float | None] = field(default_factory=dict)
    programs: ProgramPath = field(default_factory=ProgramPath)
    missing: tuple[str, ...] = ()

    @property
    def alarms(self) -> AlarmSource | None:
        """Return the CncInterface itself: its CncAlarmType events carry an AlarmIdentifier (6.1.3, 6.10)."""
        code = ((self.namespace, "AlarmIdentifier"),)
        return AlarmSource(self.node_id, f"ns={self.namespace};i={_ALARM_TYPE}", code)

    @property
    def part_counter(self) -> str:
        """Return that there is none."""
        return ""

    def monitored(self) -> dict[str, Item]:
        """Return the nodes that `state_of` looks at, those that this machine has, by their paths."""
        wanted = [f"{channel}/{word}" for channel in self.channels for word in _CHANNEL_WORDS]
        wanted += [f"{spindle}/{word}" for spindle in self.spindles for word in _SPINDLE_WORDS]
        for axis in _AXES:
            wanted += self._machine_places(axis) + self._work_places(axis)
        return {path: Item(self.nodes[path]) for path in wanted if path in self.nodes}

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what `values` (by path; None is unknown) mean; taken_ns is the boot-time clock of their receipt."""
        states = [self._channel(values, channel) for channel in self.channels]
        modes = [word_of(_MODES, values.get(f"{channel}/ActOperationMode")) for channel in self.channels]
        if not any(states) and not any(modes):
            return MachineState(taken_ns=taken_ns)
        # Program and feed are of the channel that does something, else of the first.
        busy = first(one for one, state in zip(self.channels, states, strict=True) if state in _BUSY)
        channel = busy or self.channels[0]
        spindle = self._spindle(values)
        return MachineState(
            availability=Availability.AVAILABLE,
            execution=moving_first(states),
            mode=common_mode(modes),
            machine_position=self._machine_position(values),
            work_position=position(*(self._measured(values, *self._work_places(axis)) for axis in _AXES)),
            feed=self._measured(values, f"{channel}/ActFeedrate"),
            spindle=word_of(_DIRECTIONS, values.get(f"{spindle}/ActTurnDirection")) or SpindleCommand.UNAVAILABLE,
            spindle_speed=self._measured(values, f"{spindle}/CmdSpeed", f"{spindle}/ActSpeed"),
            overrides=overrides(
                self._measured(values, f"{channel}/ActOverride"),
                None,
                self._measured(values, f"{spindle}/ActOverride"),
            ),
            program=first(text(values.get(f"{channel}/Act{main}ProgramName")) for main in ("", "Main")),
            line=_line(values.get(f"{channel}/ActProgramLine"), values.get(f"{channel}/ActProgramFileOffset")),
            taken_ns=taken_ns,
        )

    @staticmethod
    def _channel(values: Mapping[str, object], channel: str) -> Execution | None:
        status = word_of(_STATUS, values.get(f"{channel}/ActStatus"))
        program = word_of(_PROGRAM_STATUS, values.get(f"{channel}/ActProgramStatus"))
        if status is None:
            return program if program in _BUSY else None
        if status is Execution.ACTIVE and values.get(f"{channel}/FeedHold") is True:
            return Execution.FEED_HOLD
        # The channel is the authority: a channel in reset executes nothing, whatever became of its program.
        return program if status is Execution.READY and program is Execution.STOPPED else status

    def _spindle(self, values: Mapping[str, object]) -> str:
        turning = first(one if self._measured(values, f"{one}/CmdSpeed") else None for one in self.spindles)
        return turning or first(self.spindles) or ""

    def _machine_places(self, axis: str) -> list[str]:
        """Return where the machine position of an axis stands: its encoders, else the basic coordinate system."""
        places = [f"{self.axes[axis]}/{encoder}/ActPos" for encoder in _ENCODERS] if axis in self.axes else []
        return places + [f"{channel}/PosTcpBcs{axis}/ActPos" for channel in self.channels[:1]]

    def _work_places(self, axis: str) -> list[str]:
        return [f"{channel}/PosTcpWcs{axis}/ActPos" for channel in self.channels[:1]]

    def _machine_position(self, values: Mapping[str, object]) -> Position | None:
        found: list[float | None] = []
        for axis in _AXES:
            *encoders, basic = [self._measured(values, place) for place in self._machine_places(axis)]
            # An axis without a scale of its own may show 0 for it.
            found.append(first((*(one or None for one in encoders), *encoders, basic)))
        return position(*found)

    def _measured(self, values: Mapping[str, object], *paths: str) -> float | None:
        for path in paths:
            value, factor = number(values.get(path)), self.factors.get(path)
            if value is not None and factor is not None:
                return value * factor
        return None


_BUSY = (Execution.ACTIVE, Execution.FEED_HOLD, Execution.INTERRUPTED)
_ENCODERS = ("PosDirect", "PosIndirect")


def _line(line: object, offset: object) -> int | None:
    """Return the line: ActProgramLine where it is a plain number, else after the line feeds of ActProgramFileOffset."""
    written = text(line)
    if written is not None and written.isdecimal() and len(written) <= 9:
        return int(written) or None
    found = whole(offset)
    # 0 is also what a control says that does not count.
    return found + 1 if found else None


async def find(browser: Browser, machine: str | None) -> CncMachine:
    """Find the CncInterface called `machine`, or the only one that has a channel. Raises LinkError."""
    found = await _interfaces(browser)
    if machine is None and len(found) > 1:
        # The published node set brings an empty one of its own, called "test", into each server.
        found = [one for one in found if (await _explore(browser, one)).channels] or found
    return await _explore(browser, chosen(found, machine, "CncInterface", "among its Objects"))


async def offer(browser: Browser) -> Offer:
    """Return the CNC systems that the server describes. Raises LinkError."""
    if not any(uri in browser.namespaces for uri in URIS):
        return Offer()
    names: list[str] = []
    remarks: list[str] = []
    for one in sorted(await _interfaces(browser), key=lambda found: found.name):
        machine = await _explore(browser, one)
        names.append(one.name)
        told = [
            *([machine.controller] if machine.controller else []),
            f"channels {', '.join(path.rpartition('/')[2] for path in machine.channels) or 'none'}",
            f"spindles {', '.join(path.rpartition('/')[2] for path in machine.spindles) or 'none'}",
            f"axes {', '.join(machine.axes) or 'none'}",
            f"file system {'yes' if machine.programs.directory else 'none'}",
        ]
        remarks.append(f"{one.name}: {'; '.join(told)}")
        remarks.extend(f"{one.name}: {sentence}" for sentence in machine.missing)
    return Offer(tuple(names), tuple(remarks))


def _namespaces(browser: Browser) -> list[int]:
    found = [browser.namespaces.index(uri) for uri in URIS if uri in browser.namespaces]
    if not found:
        raise LinkError(reason=f"the server does not describe CNC systems: it lacks the namespace {URIS[0]}")
    return found


async def _interfaces(browser: Browser) -> list[Reference]:
    types = [f"ns={namespace};i={_INTERFACE_TYPE}" for namespace in _namespaces(browser)]
    return await instances(browser, _OBJECTS, types, _SEARCH_DEPTH)


async def _explore(browser: Browser, root: Reference) -> CncMachine:
    found = await walk(browser, root.node_id, _is_worth_a_look)
    nodes = {path: one.node_id for path, one in found.items()}
    channels = tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/ActProgramStatus"))
    axes = _axes(nodes)
    units = {path: nodes[path] for path in nodes if path.endswith(f"/{_UNIT}")}
    informations = dict(zip(units, await browser.read(list(units.values())), strict=True))
    identity = [nodes[name] for name in ("VendorName", "CncTypeName") if name in nodes]
    factors, misfits = _factors(nodes, informations)
    missing = list(misfits)
    if not channels:
        missing.insert(0, "the CncInterface has no channel in its CncChannelList: what it does stays unknown")
    return CncMachine(
        node_id=root.node_id,
        namespace=_namespaces(browser)[0],
        nodes=nodes,
        controller=" ".join(str(one) for one in await browser.read(identity) if text(one)),
        channels=channels,
        spindles=tuple(path.rpartition("/")[0] for path in nodes if path.endswith("/ActTurnDirection")),
        axes=axes,
        factors=factors,
        programs=ProgramPath(directory=await _directory(browser, nodes)),
        missing=tuple(missing),
    )


def _axes(nodes: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of the axes called X, Y and Z, or X1 and so on."""
    axes: dict[str, str] = {}
    for path in nodes:
        parent, _, last = path.rpartition("/")
        if last in _ENCODERS and (named := re.fullmatch(r"([XYZ])(?:1?|[-_ ]?[Aa]xis)", parent.rpartition("/")[2])):
            axes.setdefault(named[1], parent)
    return axes


def _factors(
    nodes: Mapping[str, str], informations: Mapping[str, object]
) -> tuple[dict[str, float | None], tuple[str, ...]]:
    factors: dict[str, float | None] = {}
    misfits: list[str] = []
    for path in nodes:
        measured = path.removesuffix("/ActPos")
        quantity = _MEASURED.get(measured.rpartition("/")[2])
        if quantity is None or (quantity is Quantity.LENGTH) != path.endswith("/ActPos"):
            continue
        factors[path] = factor_of(informations.get(f"{measured}/{_UNIT}"), quantity)
        if factors[path] is None:
            misfits.append(f"{path} is in a unit that is not one of {quantity.value}: it stays unknown")
    return factors, tuple(misfits)


async def _directory(browser: Browser, nodes: Mapping[str, str]) -> Directory | None:
    if "FileSystem" not in nodes:
        return None
    return Directory(nodes["FileSystem"], await methods_of(browser, nodes["FileSystem"], _DIRECTORY_METHODS))


def _is_worth_a_look(path: str) -> bool:
    area, *rest = path.split("/")
    if rest and rest[-1].startswith("<"):
        return False  # a placeholder of the type that a server has put into the instance
    if not rest:
        return area in (*_LISTS, "VendorName", "CncTypeName", "FileSystem")
    if area not in _LISTS or len(rest) >= _DEPTH:
        return False
    last = rest[-1]
    return (
        len(rest) == 1
        or last in (*_CHANNEL_WORDS, *_SPINDLE_WORDS, *_MEASURED, _UNIT, "ActPos")
        # Axes and spindles of a channel, which its variables are not.
        or (len(rest) == 2 and area == "CncChannelList" and not re.match(r"(Act|Cmd|Pos|Block|DryRun|Id\b|Tool)", last))
    )
