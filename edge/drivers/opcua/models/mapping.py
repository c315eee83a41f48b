# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine whose address space is its maker's own, read through a mapping file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from edge.domain.machine import (
    Availability,
    ControllerMode,
    DoorState,
    EmergencyStop,
    Execution,
    MachineState,
    Position,
    SpindleCommand,
)
from edge.drivers.opcua.errors import LinkError, NeedsPerson
from edge.drivers.opcua.models import jobs
from edge.drivers.opcua.models.mapping_file import HEALTHY, Alarms, MachineMapping, MappingError, Signal, load_mapping
from edge.drivers.opcua.models.model import AlarmSource, Browser, Directory, Item, Methods, ProgramPath
from edge.drivers.opcua.models.paths import methods_of, resolve
from edge.drivers.opcua.models.values import number, overrides, position, text, whole

Word = TypeVar("Word", bound=StrEnum)

_OBJECTS = "i=85"
_DIRECTORY_METHODS = ("CreateDirectory", "CreateFile", "Delete", "MoveOrCopy")
_FILE_METHODS = ("CopyFileToServer", "CopyFileFromServer")


@dataclass(frozen=True, slots=True)
class MappedMachine:
    """A machine of a mapping on one connection; implements FoundMachine. nodes are NodeIds by signal."""

    node_id: str
    signals: Mapping[str, Signal]
    nodes: Mapping[str, str]
    controller: str = ""
    alarms: AlarmSource | None = None
    programs: ProgramPath = field(default_factory=ProgramPath)
    missing: tuple[str, ...] = ()

    @property
    def part_counter(self) -> str:
        """Return the node of the counter as the mapping says it."""
        return self.signals["part_count"].node if "part_count" in self.nodes else ""

    def monitored(self) -> dict[str, Item]:
        """Return the nodes of the signals, by the signals' names."""
        return {name: Item(node_id, name == "part_count") for name, node_id in self.nodes.items()}

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what `values` (by signal; None is unknown) mean; taken_ns is the boot-time clock of their receipt."""
        execution = self._word(Execution, "execution", values)
        mode = self._word(ControllerMode, "mode", values)
        if "availability" in self.signals:
            available = self._word(Availability, "availability", values) is Availability.AVAILABLE
        else:
            available = execution is not None or mode is not None
        if not available:
            return MachineState(taken_ns=taken_ns)
        return MachineState(
            availability=Availability.AVAILABLE,
            execution=execution or Execution.UNAVAILABLE,
            mode=mode or ControllerMode.UNAVAILABLE,
            emergency_stop=self._word(EmergencyStop, "emergency_stop", values) or EmergencyStop.UNAVAILABLE,
            door=self._word(DoorState, "door", values) or DoorState.UNAVAILABLE,
            machine_position=self._position("machine", values),
            work_position=self._position("work", values),
            feed=self._measured("feed", values),
            spindle=self._word(SpindleCommand, "spindle", values) or SpindleCommand.UNAVAILABLE,
            spindle_speed=self._measured("spindle_speed", values),
            overrides=overrides(
                self._measured("feed_override", values),
                self._measured("rapid_override", values),
                self._measured("spindle_override", values),
            ),
            program=_program(values.get("program")),
            line=whole(_numeric(values.get("line"))) or None,
            part_count=whole(_numeric(values.get("part_count"))),
            taken_ns=taken_ns,
        )

    def _word(self, words: type[Word], name: str, values: Mapping[str, object]) -> Word | None:
        signal, value = self.signals.get(name), values.get(name)
        if signal is None or value is None:
            return None
        if signal.healthy is not None:
            good, other = HEALTHY[name]
            found = (good if value is signal.healthy else other).value if isinstance(value, bool) else None
        else:
            found = (signal.values or {}).get(_key(value))
        return None if found is None else words(found)

    def _measured(self, name: str, values: Mapping[str, object]) -> float | None:
        signal, value = self.signals.get(name), number(_numeric(values.get(name)))
        if signal is None or value is None:
            return None
        return number((value * signal.scale + signal.offset) * signal.factor)

    def _position(self, system: str, values: Mapping[str, object]) -> Position | None:
        return position(*(self._measured(f"{system}_{axis}", values) for axis in "xyz"))


def _key(value: object) -> str:
    """Return a value as the mapping writes it: true, 3, RUN."""
    if isinstance(value, bool):
        return "true" if value else "false"
    found = number(value)
    if found is not None:
        return str(int(found)) if found.is_integer() else str(found)
    return text(value) or ""


def _numeric(value: object) -> object:
    """Return a number that a server writes as a text."""
    written = text(value)
    if written is None or not re.fullmatch(r"[+-]?\d{1,15}(\.\d{0,15})?", written, re.ASCII):
        return value
    return float(written)


def _program(value: object) -> str | None:
    found = whole(value)
    return text(value) if found is None else str(found)


async def find(browser: Browser, path: Path | None) -> MappedMachine:
    """Find the nodes of a mapping file; what the server lacks is named in `missing`. Raises LinkError."""
    if path is None:
        raise NeedsPerson(reason="there is no mapping: set `mapping_file`")
    try:
        return await resolved(browser, load_mapping(path))
    except MappingError as error:
        raise NeedsPerson(reason=f"the mapping is wrong: {error}") from error


async def resolved(browser: Browser, mapping: MachineMapping) -> MappedMachine:
    """Find the nodes of a mapping; what the server lacks is named in `missing`. Raises LinkError."""
    root = _OBJECTS if mapping.root is None else await _node(browser, _OBJECTS, mapping.root)
    if root is None:
        raise LinkError(reason=f"the server has no {mapping.root}, where the mapping begins")
    missing: list[str] = []
    nodes: dict[str, str] = {}
    for name, signal in mapping.signal.items():
        node_id = await _node(browser, root, signal.node)
        if node_id is None:
            missing.append(_lacks(f"signal {name}", signal.node))
        else:
            nodes[name] = node_id
    values = await browser.read(list(nodes.values()))
    for name, value in zip(nodes, values, strict=True):
        if value is None:
            missing.append(f"signal {name}: the server has no value at {mapping.signal[name].node}")
    return MappedMachine(
        node_id=root,
        signals=mapping.signal,
        nodes=nodes,
        controller=mapping.controller,
        alarms=await _alarms(browser, root, mapping.alarms, missing),
        programs=await _programs(browser, root, mapping, missing),
        missing=tuple(missing),
    )


async def _node(browser: Browser, root: str, node: str) -> str | None:
    # A NodeId of the standard's own namespace has no number that could change.
    return node if re.match(r"[isgb]=", node) else await resolve(browser, root, node)


def _lacks(what: str, node: str) -> str:
    return f"{what}: the server has no node {node}"


async def _alarms(browser: Browser, root: str, alarms: Alarms | None, missing: list[str]) -> AlarmSource | None:
    if alarms is None:
        return None
    node_id = await _node(browser, root, alarms.node)
    if node_id is None:
        missing.append(_lacks("alarms", alarms.node))
        return None
    if alarms.code is None or alarms.code_type is None:
        return AlarmSource(node_id)
    type_id = await _node(browser, root, alarms.code_type)
    uri, _, name = alarms.code.rpartition(";")
    uri = uri.removeprefix("nsu=")
    if type_id is None or (uri and uri not in browser.namespaces):
        missing.append(_lacks("alarms", alarms.code_type if type_id is None else alarms.code))
        return AlarmSource(node_id)
    return AlarmSource(node_id, type_id, ((browser.namespaces.index(uri) if uri else 0, name),))


async def _programs(browser: Browser, root: str, mapping: MachineMapping, missing: list[str]) -> ProgramPath:
    async def methods(key: str, node: str | None, names: tuple[str, ...], needed: tuple[str, ...]) -> Methods | None:
        node_id = None if node is None else await _node(browser, root, node)
        if node is None or node_id is None:
            missing.extend([] if node is None else [_lacks(f"programs.{key}", node)])
            return None
        found = await methods_of(browser, node_id, names)
        lacking = [name for name in needed if name not in found]
        if lacking:
            missing.append(f"programs.{key}: {node} has no method {' and no '.join(lacking)}")
            return None
        return Methods(node_id, found)

    path = mapping.programs
    directory = await methods("directory", path.directory, _DIRECTORY_METHODS, ("CreateFile",))
    return ProgramPath(
        directory=None if directory is None else Directory(directory.node_id, directory.methods),
        files=await methods("files", path.files, _FILE_METHODS, _FILE_METHODS),
        select=await methods("select", path.select, ("Select",), ("Select",)),
        jobs=await methods("jobs", path.jobs, jobs.METHODS, ("Store",)),
    )
