# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set: one TOML file per van, frozen models, answers in a person's words with line and key."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from edge.domain.errors import InfoMobilError
from edge.domain.inputs import InputRule
from edge.domain.tool import Tool
from edge.domain.visit import Language
from edge.drivers.grbl.inputs import DOOR, STOP_CIRCUIT
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.laser_hal.settings import LaserSettings
from edge.drivers.opcua.models.mapping_file import MappingError, load_mapping
from edge.drivers.opcua.settings import OpcUaSettings, is_loopback
from edge.drivers.safety_io.settings import GpioSettings
from edge.opcua_server.settings import IdentificationSettings, OpcUaServerSettings
from edge.services.hand_settings import HandSettings
from edge.services.opening import Item
from edge.store.settings import LibrarySettings, StoreSettings
from edge.store.tool_settings import ToolSettings
from edge.sync.settings import SyncSettings

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class ConfigError(InfoMobilError):
    """{path}, line {line}: {key}: {why}."""


class Frozen(BaseModel):
    """Base of all settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabSettings(Frozen):
    """Who the laboratory is; id is its name on the air."""

    id: Id
    name: Annotated[str, Field(min_length=1, max_length=80)]
    data_dir: Path
    content_dir: Path | None = None
    language: Language = Language.LT


class HttpSettings(Frozen):
    """Where the console and the kiosk are served."""

    host: str = "127.0.0.1"
    console_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    kiosk_port: Annotated[int, Field(ge=1, le=65535)] = 8081


class OperatorSettings(Frozen):
    """pin_file holds the argon2 hash of the PIN, made by `infomobil-edge set-pin`."""

    pin_file: Path


class InterlockSettings(Frozen):
    """One input that an interlock watches.

    source is `controller` (the machine's own pins), `gpio:NAME` or `opcua:MACHINE/NAME`; max_age_ms is the age
    after which the input counts as unknown; shows says which item of the checklist after a drive is seen by this input,
    by default that of its name.
    """

    input: Id
    source: Annotated[str, Field(pattern=r"^(controller|gpio:[a-z0-9-]+|opcua:[a-z0-9-]+/[a-z0-9-]+)$")]
    label: Annotated[str, Field(min_length=1, max_length=80)]
    remedy: Annotated[str, Field(min_length=1, max_length=200)]
    max_age_ms: Annotated[int, Field(ge=100, le=5_000)] = 1_000
    shows: Literal["door", "stop_circuit"] | None = None

    @property
    def item(self) -> Item | None:
        """Return the item of the opening checklist that is seen by this input."""
        named = {DOOR: Item.DOOR, STOP_CIRCUIT: Item.STOP_CIRCUIT}
        return named.get(self.input) if self.shows is None else Item(self.shows)

    def rule(self) -> InputRule:
        """Return the rule of the interlock."""
        return InputRule(self.input, self.label, self.source, self.max_age_ms * 1_000_000, self.remedy)


NO_TOOLS = ("laser", "printer")
"""Kinds of machines that do not cut with a tool."""


class MachineSettings(Frozen):
    """One machine: its driver's settings stand in `connection`, the tools that it may be given in [[machine.tools]]."""

    id: Id
    name: Annotated[str, Field(min_length=1, max_length=60)]
    kind: Literal["router", "mill", "lathe", "laser", "printer", "other"]
    connection: Annotated[GrblSettings | LaserSettings | OpcUaSettings, Field(discriminator="driver")]
    interlock: tuple[InterlockSettings, ...] = ()
    hand: HandSettings = HandSettings()
    identification: IdentificationSettings = IdentificationSettings()
    tool_table: Annotated[tuple[ToolSettings, ...], Field(alias="tools")] = ()

    @property
    def tools(self) -> dict[int, Tool]:
        """Return the tools of the table by their T numbers; empty where nobody has described any."""
        return {row.number: row.tool() for row in self.tool_table}

    @property
    def is_commanded(self) -> bool:
        """Return whether something may be brought about from here, so that the checklist after a drive names it."""
        return not isinstance(self.connection, OpcUaSettings) or self.connection.write

    @property
    def checklist(self) -> dict[Item, list[str]]:
        """Return the inputs that show an item of the opening checklist."""
        shown: dict[Item, list[str]] = {}
        for row in self.interlock:
            if row.item is not None:
                shown.setdefault(row.item, []).append(row.input)
        return shown


class EdgeSettings(Frozen):
    """The whole file."""

    lab: LabSettings
    http: HttpSettings = HttpSettings()
    operator: OperatorSettings
    store: StoreSettings = StoreSettings()
    library: LibrarySettings = LibrarySettings()
    sync: SyncSettings | None = None
    gpio: GpioSettings = GpioSettings()
    opcua_server: OpcUaServerSettings | None = None
    machine: tuple[MachineSettings, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _require_different([("machine", index, "id") for index in range(len(self.machine))], self._ids, "machines")
        if self.http.kiosk_port == self.http.console_port:
            raise _misfit("the console has this port already", "http", "kiosk_port")
        if self.opcua_server is not None and (owner := self._ports_of_others.get(self.opcua_server.port)):
            raise _misfit(f"{owner} has this port already", "opcua_server", "port")
        for at, machine in enumerate(self.machine):
            places: list[Location] = [
                ("machine", at, "interlock", row, "input") for row in range(len(machine.interlock))
            ]
            _require_different(places, [item.input for item in machine.interlock], "interlock inputs of this machine")
            if (
                isinstance(machine.connection, GrblSettings)
                and machine.hand.longest_probe > machine.connection.probe_mm
            ):
                limit = machine.connection.probe_mm
                why = f"a cycle looks for contact farther than probe_mm = {limit:g} of its connection"
                raise _misfit(why, "machine", at, "hand")
            _require_tools_fit(at, machine)
            for row, item in enumerate(machine.interlock):
                if why := self._unknown_source(machine, item):
                    raise _misfit(why, "machine", at, "interlock", row, "source")
        return self

    @property
    def _ids(self) -> list[str]:
        return [machine.id for machine in self.machine]

    @property
    def _ports_of_others(self) -> dict[int, str]:
        """Return who has which port of this computer, as far as the file says it."""
        found = {
            urlsplit(one.connection.endpoint).port or 0: f"the machine {one.id!r}"
            for one in self.machine
            if isinstance(one.connection, OpcUaSettings) and is_loopback(one.connection.endpoint)
        }
        if self.sync is not None and is_loopback(f"mqtt://{self.sync.host}"):
            found[self.sync.port] = "the broker"
        return {**found, self.http.console_port: "the console", self.http.kiosk_port: "the kiosk"}

    def _unknown_source(self, machine: MachineSettings, item: InterlockSettings) -> str:
        """Return why no sample would ever come from the input's source, or nothing."""
        kind, _, name = item.source.partition(":")
        match kind:
            case "gpio":
                known = name in {pin.name for pin in self.gpio.inputs}
                return "" if known else f"no [[gpio.inputs]] has the name {name!r}"
            case "opcua":
                machine_id, _, node = name.partition("/")
                other = next((other.connection for other in self.machine if other.id == machine_id), None)
                if not isinstance(other, OpcUaSettings):
                    return f"there is no machine {machine_id!r} on OPC UA"
                known = node in {one.name for one in other.inputs}
                return (
                    "" if known else f"the machine {machine_id!r} has no [[machine.connection.inputs]] named {node!r}"
                )
            case _:
                return _unknown_pin(machine, item.input)


Location = tuple[str | int, ...]


def _misfit(why: str, *location: str | int) -> PydanticCustomError:
    """Return the error of a value that is good by itself, and not beside the others in the file."""
    return PydanticCustomError("misfit", "{why}", {"why": why, "location": location})


def _require_different(locations: Sequence[Location], values: Sequence[str], what: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise _misfit(f"two {what} have the name {value!r}", *locations[index])


def _require_tools_fit(at: int, machine: MachineSettings) -> None:
    numbers: set[int] = set()
    for row, tool in enumerate(machine.tool_table):
        if machine.kind in NO_TOOLS:
            raise _misfit(f"a {machine.kind} cuts with no tool", "machine", at, "tools", row)
        if tool.number in numbers:
            raise _misfit(
                f"two tools of this machine have the number {tool.number}", "machine", at, "tools", row, "number"
            )
        numbers.add(tool.number)


def _unknown_pin(machine: MachineSettings, name: str) -> str:
    """Return why the machine's controller has no such pin, or nothing."""
    if not isinstance(machine.connection, GrblSettings | LaserSettings):
        return "only a GRBL controller has pins: use gpio:NAME or opcua:MACHINE/NAME"
    declared = {
        DOOR: ("door_pin", machine.connection.door_pin),
        STOP_CIRCUIT: ("stop_pin", machine.connection.stop_pin),
    }
    if name not in declared:
        return f"the controller has the inputs {DOOR!r} and {STOP_CIRCUIT!r}, and none is named {name!r}"
    key, is_declared = declared[name]
    return "" if is_declared else f"the controller reports {name!r} only with {key} = true in [machine.connection]"


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w-]+))*)\s*=")


def _find_line(text: str, location: Sequence[str | int]) -> int:
    """Return the line (1-based) at which the deepest part of `location` that stands in the file is written."""
    best, depth = 1, 0
    table: Location = ()
    newest: dict[Location, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = found = _enter(_parts(header[2]), newest, begins_entry=header[1] == "[[")
        elif key := _KEY.match(line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        if len(found) > depth and found == tuple(location[: len(found)]):
            best, depth = number, len(found)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \t\"'") for part in dotted.split(".")]


def _enter(parts: Sequence[str], newest: dict[Location, int], *, begins_entry: bool) -> Location:
    """Return the place of a table's header; `newest` keeps the index of the last entry of each array of tables."""
    place: Location = ()
    for depth, part in enumerate(parts, 1):
        place = (*place, part)
        if begins_entry and depth == len(parts):
            newest[place] = newest.get(place, -1) + 1
        if place in newest:
            place = (*place, newest[place])
    return place


_WORDS = {
    "extra_forbidden": "this key is not known here",
    "missing": "this key is missing",
    "union_tag_not_found": "driver is missing: it is 'grbl', 'grblhal-laser' or 'opcua'",
    "union_tag_invalid": "there is no such driver: it is 'grbl', 'grblhal-laser' or 'opcua'",
}


def _location(error: ErrorDetails) -> Location:
    """Return where in the file the error is; the driver's name, which pydantic puts into it, is no key."""
    found: Location = error.get("ctx", {}).get("location", error["loc"])
    if found[0:1] == ("machine",) and found[2:3] == ("connection",):
        found = (*found[:3], *found[4:])
    return (*found, "driver") if error["type"] == "union_tag_invalid" else found


def _explain(path: Path, text: str, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    location = _location(first)
    why = _WORDS.get(first["type"], first["msg"].removeprefix("Value error, ").rstrip("."))
    if first["type"] not in (*_WORDS, "misfit") and not isinstance(first["input"], dict | list | BaseModel):
        why = f"{why} (it says {first['input']!r})"
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location) or "the file"
    return ConfigError(path=path, line=_find_line(text, location), key=key, why=why)


def _placed(value: Any, folder: Path) -> Any:
    """Return settings in which relative paths are taken from `folder`."""
    match value:
        case Path():
            return folder / value
        case tuple():
            return tuple(_placed(item, folder) for item in value)
        case BaseModel():
            fields = {name: _placed(getattr(value, name), folder) for name in type(value).model_fields}
            return value.model_copy(update=fields)
        case _:
            return value


def parse_settings(text: str, path: Path) -> EdgeSettings:
    """Return the settings in `text`; relative paths are taken from the file's folder. Raises ConfigError."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else max(1, len(text.splitlines()))
        raise ConfigError(path=path, line=line, key="the file", why=f"it is not TOML: {error}") from error
    try:
        # As JSON, because only there strict means that true is no number and "8080" no port, and texts are still paths.
        # TOML's dates, which JSON has not, become lists: no setting is a list of texts.
        written = json.dumps(raw, default=lambda moment: [str(moment)])
        settings: EdgeSettings = _placed(EdgeSettings.model_validate_json(written, strict=True), path.resolve().parent)
    except ValidationError as error:
        raise _explain(path, text, error) from error
    return settings


def load_settings(path: Path) -> EdgeSettings:
    """Return the settings of a file; the mapping files that it names are checked too. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path=path, line=1, key="the file", why=f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path=path, line=1, key="the file", why="it is not UTF-8 text") from error
    settings = parse_settings(text, path)
    for machine in settings.machine:
        if isinstance(machine.connection, OpcUaSettings) and machine.connection.mapping_file is not None:
            try:
                load_mapping(machine.connection.mapping_file)
            except MappingError as error:
                raise ConfigError(**error.facts) from error
    return settings


def settings_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the file: what presence tells the office."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
