# SPDX-License-Identifier: GPL-3.0-or-later
"""Siemens SINUMERIK 828D, 840D sl and ONE: the address space of their own OPC UA server, in the words of MTConnect.

Paths and indexes follow "SINUMERIK Access MyMachine / OPC UA, Configuration Manual" (6FC5397-1DP41), chapters on
variable access, alarms, file system and program selection; the meaning of values the List Manual "NC variables and
interface signals" (/Channel/State, /Channel/ProgramInfo, /Channel/Spindle, /Bag/State): progStatus 1 interrupted, 2
stopped, 3 running, 4 waiting, 5 aborted; chanStatus 0 reset, 1 active, 2 interrupted; opMode 0 JOG, 1 MDA, 2 AUTOMATIC;
turnState 0 clockwise, 1 counter-clockwise, 2 stopped. It was built on these documents and has not been tried on a real
control.

Variables of other channels or axes than the first are not found by browsing: their NodeIds are made from the path with
its indexes, as the manual says. The spindle is the first of the channel, the mode that of the first mode group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.domain.machine import Availability, ControllerMode, Execution, MachineState, Position, SpindleCommand
from edge.drivers.opcua.errors import LinkError
from edge.drivers.opcua.models.model import AlarmSource, Browser, Directory, Item, Methods, Offer, ProgramPath
from edge.drivers.opcua.models.paths import methods_of, resolve
from edge.drivers.opcua.models.values import first, moving_first, number, overrides, position, text, whole, word_of

URI = "SinumerikVarProvider"

_OBJECTS = "i=85"
_DISCRETE_ALARM = "i=10523"
_MAX_CHANNELS = 10
_MAX_AXES = 6

_STATUS = {0: Execution.READY, 1: Execution.ACTIVE, 2: Execution.INTERRUPTED}
_PROGRAM = {
    1: Execution.INTERRUPTED,
    2: Execution.INTERRUPTED,
    3: Execution.ACTIVE,
    4: Execution.ACTIVE,
    5: Execution.STOPPED,
}
_MODES = {0: ControllerMode.MANUAL, 1: ControllerMode.MANUAL_DATA_INPUT, 2: ControllerMode.AUTOMATIC}
_TURNS = {0: SpindleCommand.CLOCKWISE, 1: SpindleCommand.COUNTER_CLOCKWISE, 2: SpindleCommand.OFF}
# basicLengthUnit: 0 mm, 1 inch; extUnit of an axis: 0 mm, 1 inch; feedRateIpoUnit: 0 mm/min, 2 inch/min. A feed per
# revolution (1 and 3) is none per minute.
_LENGTHS = {0: 1.0, 1: 25.4}
_FEEDS = {0: 1.0, 2: 25.4}
_AXES = "XYZ"

_BUSY = (Execution.ACTIVE, Execution.INTERRUPTED)
_MANDATORY = ("chanStatus", "progStatus", "opMode")
_FILE_METHODS = ("CopyFileToServer", "CopyFileFromServer")
_DIRECTORY_METHODS = ("CreateDirectory", "CreateFile", "Delete", "MoveOrCopy")


@dataclass(frozen=True, slots=True)
class SinumerikMachine:
    """One channel of a SINUMERIK on one connection; implements FoundMachine.

    machine_axes and work_axes tell which index of the channel's machine and geometry axes is X, Y and Z; others are the
    numbers of the control's further channels, which may move too.
    """

    node_id: str
    namespace: int
    channel: int
    others: tuple[int, ...] = ()
    machine_axes: Mapping[str, int] = field(default_factory=dict)
    work_axes: Mapping[str, int] = field(default_factory=dict)
    controller: str = ""
    alarms: AlarmSource | None = None
    programs: ProgramPath = field(default_factory=ProgramPath)
    missing: tuple[str, ...] = ()

    @property
    def part_counter(self) -> str:
        """Return the channel's own counter of all parts."""
        return f"/Channel/State/totalParts[u{self.channel},1]"

    def monitored(self) -> dict[str, Item]:
        """Return the nodes that `state_of` looks at. What a control has not it answers with a Bad status."""
        u = f"u{self.channel}"
        paths = {
            "chanStatus": f"/Channel/State/chanStatus[{u},1]",
            "progStatus": f"/Channel/State/progStatus[{u},1]",
            "opMode": "/Bag/State/opMode[u1,1]",
            "feedRateIpoOvr": f"/Channel/State/feedRateIpoOvr[{u},1]",
            "rapFeedRateOvr": f"/Channel/State/rapFeedRateOvr[{u},1]",
            "actFeedRateIpo": f"/Channel/State/actFeedRateIpo[{u},1]",
            "feedRateIpoUnit": f"/Channel/State/feedRateIpoUnit[{u},1]",
            "totalParts": f"/Channel/State/totalParts[{u},1]",
            "progName": f"/Channel/ProgramInfo/progName[{u},1]",
            "selectedWorkPProg": f"/Channel/ProgramInfo/selectedWorkPProg[{u},1]",
            "actLineNumber": f"/Channel/ProgramInfo/actLineNumber[{u},1]",
            "cmdSpeed": f"/Channel/Spindle/cmdSpeed[{u},1]",
            "actSpeed": f"/Channel/Spindle/actSpeed[{u},1]",
            "speedOvr": f"/Channel/Spindle/speedOvr[{u},1]",
            "turnState": f"/Channel/Spindle/turnState[{u},1]",
        }
        for axis, index in self.machine_axes.items():
            paths[f"machine {axis}"] = f"/Channel/MachineAxis/actToolBasePos[{u},{index}]"
            paths[f"machine {axis} unit"] = f"/Channel/MachineAxis/extUnit[{u},{index}]"
        for axis, index in self.work_axes.items():
            paths[f"work {axis}"] = f"/Channel/GeometricAxis/actProgPos[{u},{index}]"
            paths[f"work {axis} unit"] = f"/Channel/GeometricAxis/extUnit[{u},{index}]"
        for other in self.others:
            paths[f"chanStatus {other}"] = f"/Channel/State/chanStatus[u{other},1]"
        return {key: Item(_node(self.namespace, path), key == "totalParts") for key, path in paths.items()}

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what `values` (by key; None is unknown) mean; taken_ns is the boot-time clock of their receipt."""
        own = self._own(values)
        mode = word_of(_MODES, values.get("opMode"))
        if own is None and mode is None:
            return MachineState(taken_ns=taken_ns)
        others = [word_of(_STATUS, values.get(f"chanStatus {other}")) for other in self.others]
        moving = [one for one in others if one in _BUSY]
        turn = word_of(_TURNS, values.get("turnState"))
        return MachineState(
            availability=Availability.AVAILABLE,
            execution=moving_first([*moving, own]),
            mode=mode or ControllerMode.UNAVAILABLE,
            machine_position=_position(values, "machine"),
            work_position=_position(values, "work"),
            feed=_scaled(number(values.get("actFeedRateIpo")), _FEEDS, values.get("feedRateIpoUnit")),
            spindle=turn or SpindleCommand.UNAVAILABLE,
            spindle_speed=first((number(values.get("cmdSpeed")), number(values.get("actSpeed")))),
            overrides=overrides(
                number(values.get("feedRateIpoOvr")),
                number(values.get("rapFeedRateOvr")),
                number(values.get("speedOvr")),
            ),
            program=_program(values.get("selectedWorkPProg")) or _program(values.get("progName")),
            line=whole(values.get("actLineNumber")) or None,
            part_count=whole(values.get("totalParts")),
            taken_ns=taken_ns,
        )

    @staticmethod
    def _own(values: Mapping[str, object]) -> Execution | None:
        status = word_of(_STATUS, values.get("chanStatus"))
        program = word_of(_PROGRAM, values.get("progStatus"))
        if status is None:
            return program if program in _BUSY else None
        # JOG makes a channel active without a program; a channel in reset has ended its program one way or the other.
        return status if status in _BUSY or program is not Execution.STOPPED else program


def _position(values: Mapping[str, object], system: str) -> Position | None:
    found = [
        _scaled(number(values.get(f"{system} {axis}")), _LENGTHS, values.get(f"{system} {axis} unit")) for axis in _AXES
    ]
    return position(*found)


def _scaled(value: float | None, factors: Mapping[int, float], unit: object) -> float | None:
    factor = word_of(factors, unit)
    return None if value is None or factor is None else value * factor


def _program(value: object) -> str | None:
    """Return a program's name as the panel shows it: `/_N_MPF_DIR/_N_PAWN_MPF` is PAWN.MPF."""
    path = text(value)
    if path is None:
        return None
    name = path.rstrip("/").rpartition("/")[2]
    if not name.startswith("_N_"):
        return name or None
    return re.sub(r"_(MPF|SPF|WPD|CYC)$", r".\1", name.removeprefix("_N_"))


def _node(namespace: int, path: str) -> str:
    return f"ns={namespace};s={path}"


async def find(browser: Browser, channel: int) -> SinumerikMachine:
    """Find the control of a server and look at `channel`, counted from 1. Raises LinkError."""
    root = await resolve(browser, _OBJECTS, "Sinumerik")
    if root is None:
        raise LinkError(reason="the server is not a SINUMERIK's: it has no object Sinumerik")
    namespace = _namespace(browser, root)
    version, kind, channels, *status = await browser.read(
        [
            _node(namespace, "/Nck/Configuration/nckVersion"),
            _node(namespace, "/Nck/Configuration/nckType"),
            _node(namespace, "/Nck/Configuration/numChannels"),
            *(
                item.node_id
                for key, item in SinumerikMachine(root, namespace, channel).monitored().items()
                if key in _MANDATORY
            ),
        ]
    )
    count = min(whole(channels) or 1, _MAX_CHANNELS)
    if channel > count and whole(channels) is not None:
        raise LinkError(reason=f"the control has no channel {channel}, it has {count}: change `channel`")
    methods = await _methods(browser, root)
    missing = [
        f"the control tells nothing in {name}: has the user of the connection the right SinuReadAll?"
        for name, value in zip(_MANDATORY, status, strict=True)
        if value is None
    ]
    if methods.files is None:
        missing.append("the control offers no CopyFileToServer and CopyFileFromServer: programs cannot be brought over")
    elif methods.select is None:
        missing.append("the control offers no Select: a program that was brought over is selected at the panel")
    return SinumerikMachine(
        node_id=root,
        namespace=namespace,
        channel=channel,
        others=tuple(other for other in range(1, count + 1) if other != channel),
        machine_axes=await _axes(browser, namespace, f"/Channel/MachineAxis/name[u{channel},"),
        work_axes=await _axes(browser, namespace, f"/Channel/GeometricAxis/name[u{channel},"),
        controller=_controller(kind, version),
        alarms=await _alarms(browser, root),
        programs=methods,
        missing=tuple(missing),
    )


async def offer(browser: Browser) -> Offer:
    """Return the control that the server belongs to. Raises LinkError."""
    if await resolve(browser, _OBJECTS, "Sinumerik") is None:
        return Offer()
    machine = await find(browser, 1)
    told = [
        machine.controller,
        f"channels {1 + len(machine.others)}",
        f"axes {', '.join(machine.machine_axes) or 'none'}",
        f"file methods {', '.join(machine.programs.files.methods) if machine.programs.files else 'none'}",
        f"Select {'yes' if machine.programs.select else 'none'}",
    ]
    return Offer(("Sinumerik",), ("; ".join(told), *machine.missing))


def _controller(kind: object, version: object) -> str:
    found = number(version)
    parts = ["Siemens SINUMERIK"]
    parts += [f"NCK type {whole(kind)}"] if whole(kind) is not None else []
    parts += [f"version {found:g}"] if found is not None else []
    return ", ".join(parts)


def _namespace(browser: Browser, root: str) -> int:
    if URI in browser.namespaces:
        return browser.namespaces.index(URI)
    found = re.match(r"ns=(\d+);", root)
    return int(found[1]) if found else 0


async def _axes(browser: Browser, namespace: int, name: str) -> dict[str, int]:
    names = await browser.read([_node(namespace, f"{name}{index}]") for index in range(1, _MAX_AXES + 1)])
    axes: dict[str, int] = {}
    for index, value in enumerate(names, 1):
        if named := re.fullmatch(r"M?([XYZ])1?", text(value) or ""):
            axes.setdefault(named[1], index)
    return axes


async def _methods(browser: Browser, root: str) -> ProgramPath:
    """Return the file methods: they stand in Methods/Filehandling, in older servers in Methods itself."""
    files: Methods | None = None
    select: Methods | None = None
    for place in ("Methods/Filehandling", "Methods"):
        node_id = await resolve(browser, root, place)
        if node_id is None:
            continue
        found = await methods_of(browser, node_id, (*_FILE_METHODS, "Select"))
        if files is None and all(name in found for name in _FILE_METHODS):
            files = Methods(node_id, {name: found[name] for name in _FILE_METHODS})
        if select is None and "Select" in found:
            select = Methods(node_id, {"Select": found["Select"]})
    directory: Directory | None = None
    for place in ("FileSystem/Part Program", "FileSystem/Part Programs"):
        node_id = await resolve(browser, root, place)
        if directory is None and node_id is not None:
            directory = Directory(node_id, await methods_of(browser, node_id, _DIRECTORY_METHODS))
    return ProgramPath(directory=directory, files=files, select=select)


async def _alarms(browser: Browser, root: str) -> AlarmSource:
    """Return the Sinumerik object: its CncAlarmType events carry the alarm's number (chapter on alarms)."""
    for one in await browser.browse(_DISCRETE_ALARM):
        found = re.match(r"ns=(\d+);", one.node_id)
        if one.name.lower() == "cncalarmtype" and found:
            return AlarmSource(root, one.node_id, ((int(found[1]), "AlarmIdentifier"),))
    return AlarmSource(root)
