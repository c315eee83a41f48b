# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping file: which node of a maker's own address space means which word, in TOML, checked in a person's words.

root = "nsu=urn:maker:control;s=Machine"

[signal.execution]
node = "nsu=urn:maker:control;s=Machine.State"
values = { 0 = "READY", 1 = "ACTIVE", 2 = "INTERRUPTED" }

[signal.feed]
node = "Path/Feed"
unit = "m/min"
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from edge.domain.errors import InfoMobilError
from edge.domain.machine import Availability, ControllerMode, DoorState, EmergencyStop, Execution, SpindleCommand
from edge.drivers.opcua.models.units import Quantity, Unit, names_of, unit_named

WORDS: Mapping[str, type[StrEnum]] = {
    "availability": Availability,
    "execution": Execution,
    "mode": ControllerMode,
    "emergency_stop": EmergencyStop,
    "door": DoorState,
    "spindle": SpindleCommand,
}
"""Signals that are words of MTConnect."""

MEASURED: Mapping[str, Quantity] = {
    **{f"{system}_{axis}": Quantity.LENGTH for system in ("machine", "work") for axis in "xyz"},
    "feed": Quantity.FEED,
    "spindle_speed": Quantity.SPEED,
    "feed_override": Quantity.RATIO,
    "rapid_override": Quantity.RATIO,
    "spindle_override": Quantity.RATIO,
}
"""Signals that are measured, and of which quantity."""

PLAIN = ("program", "line", "part_count")
SIGNALS = (*WORDS, *MEASURED, *PLAIN)

HEALTHY: Mapping[str, tuple[StrEnum, StrEnum]] = {
    "availability": (Availability.AVAILABLE, Availability.UNAVAILABLE),
    "emergency_stop": (EmergencyStop.ARMED, EmergencyStop.TRIGGERED),
    "door": (DoorState.CLOSED, DoorState.OPEN),
}
"""What a Boolean node means that is as `healthy` says, and that is not."""

_NODE_ID = re.compile(r"(?:nsu=[^;]+;)?(?:i=\d{1,9}|s=.+|g=[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
_LIKE_NODE_ID = re.compile(r"nsu=|[isgb]=")
_BY_INDEX = re.compile(r"ns=\d+;")

Location = tuple[str | int, ...]


class MappingError(InfoMobilError):
    """{path}, line {line}: {key}: {why}."""


def _is_node(node: str) -> str:
    if _BY_INDEX.match(node):
        raise ValueError("namespace numbers change from start to start: write nsu=URI; in place of ns=NUMBER;")
    parts = [] if _LIKE_NODE_ID.match(node) else node.split("/")
    if not _NODE_ID.fullmatch(node) and not (parts and all(part.strip() for part in parts)):
        raise ValueError("a node is a browse path like Axes/X/Position, or a NodeId like nsu=urn:maker;s=X.Position")
    return node


Node = Annotated[str, Field(min_length=1), AfterValidator(_is_node)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(_Frozen):
    """Where a word stands and what its values mean.

    node is a browse path below root, its parts separated by "/" and without namespaces, or a NodeId with its namespace
    as a URI. A measured value is multiplied by scale, then offset is added, then it is taken from unit into InfoMobil's
    own (mm, mm/min, rev/min, per cent), which is what it is in without a unit. values gives the word for each value of
    the node (`true`, `3`, `"RUN"`); healthy says instead which value of a Boolean node is the good one.
    """

    node: Node
    unit: str | None = None
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    values: dict[str, str] | None = None
    healthy: bool | None = None

    @property
    def factor(self) -> float:
        """Return what takes the unit into InfoMobil's own."""
        unit = None if self.unit is None else unit_named(self.unit)
        return 1.0 if unit is None else unit.factor


class Alarms(_Frozen):
    """Where alarms come from: the node whose events are subscribed to.

    code is the browse name of the event's field with the alarm's number, as nsu=URI;NAME, and code_type the event type
    that has the field; without them a condition's name is its code.
    """

    node: Node
    code: str | None = Field(default=None, pattern=r"^(nsu=[^;]+;)?[^;]+$")
    code_type: Node | None = None

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.code is None) != (self.code_type is None):
            raise ValueError("`code` and `code_type` go together: set both or none")
        return self


class Programs(_Frozen):
    """Objects through which programs get in; their methods are found by browse name.

    directory is an OPC UA file system; files has CopyFileToServer and CopyFileFromServer, and select Select, as a
    Sinumerik has them; jobs is an ISA-95 job order receiver. select goes with files: it selects by their paths. Where
    files go through them, jobs serves to hold and to stop.
    """

    directory: Node | None = None
    files: Node | None = None
    select: Node | None = None
    jobs: Node | None = None

    @model_validator(mode="after")
    def _select_has_files(self) -> Self:
        if self.select is not None and self.files is None:
            raise _misfit(("programs", "select"), "`select` goes with `files`: it selects by the paths that these use")
        return self


class MachineMapping(_Frozen):
    """A mapping file. root is where browse paths begin, the Objects folder without it."""

    controller: str = ""
    root: Node | None = None
    signal: dict[str, Signal] = Field(min_length=1)
    alarms: Alarms | None = None
    programs: Programs = Field(default_factory=Programs)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, signal in self.signal.items():
            if name not in SIGNALS:
                raise _misfit(("signal", name), f"there is no such signal{_meant(name, SIGNALS)}; {_one_of(SIGNALS)}")
            _check(name, signal)
        for system in ("machine", "work"):
            places = [f"{system}_{axis}" for axis in "xyz"]
            there = [place for place in places if place in self.signal]
            if there and len(there) < len(places):
                lacking = " and ".join(place for place in places if place not in there)
                raise _misfit(("signal", there[0]), f"a place needs all three axes: {lacking} is not there")
        if not {"execution", "mode"} & set(self.signal):
            raise _misfit(("signal",), "a mapping needs the signal execution, or mode at least")
        return self


def _check(name: str, signal: Signal) -> None:
    place = ("signal", name)
    quantity = MEASURED.get(name)
    if quantity is None:
        for key in ("unit", "scale", "offset"):
            if key in signal.model_fields_set:
                raise _misfit((*place, key), f"{name} is not measured: it takes no {key}")
    elif signal.unit is not None and _unit_of(signal.unit, quantity) is None:
        units = names_of(quantity)
        raise _misfit(
            (*place, "unit"), f"{signal.unit!r} is no unit of {name}{_meant(signal.unit, units)}; {_one_of(units)}"
        )
    words = WORDS.get(name)
    if words is None:
        for key in ("values", "healthy"):
            if key in signal.model_fields_set:
                raise _misfit((*place, key), f"{name} is not one of a few words: it takes no {key}")
        return
    if (signal.values is None) == (signal.healthy is None):
        choice = "`values` or `healthy`" if name in HEALTHY else "`values`"
        raise _misfit(place, f"it needs {choice}: what do the values of the node mean?")
    if signal.healthy is not None and name not in HEALTHY:
        raise _misfit((*place, "healthy"), f"only {', '.join(HEALTHY)} are healthy or not: {name} needs `values`")
    known = [word.value for word in words]
    for key, word in (signal.values or {}).items():
        if word not in known:
            raise _misfit(
                (*place, "values", key), f"{word!r} is no word of {name}{_meant(word, known)}; {_one_of(known)}"
            )


def _unit_of(name: str, quantity: Quantity) -> Unit | None:
    unit = unit_named(name)
    return unit if unit is not None and unit.quantity is quantity else None


def _meant(name: str, known: Iterable[str]) -> str:
    names = list(known)
    folded = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def _one_of(names: Iterable[str]) -> str:
    return f"it is one of {', '.join(names)}"


def _misfit(location: Location, why: str) -> PydanticCustomError:
    # What the sentence quotes may have braces in it, which pydantic would take for places to fill in.
    return PydanticCustomError("misfit", "{why}", {"location": location, "why": why})


_TABLE = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_SENTENCES = {
    "extra_forbidden": "this key is not known here",
    "missing": "this key is missing",
    "dict_type": "this has to be a table",
    "model_type": "this has to be a table",
}


def _line_of(text: str, location: Location) -> int:
    """Return the line of what is nearest to a place in the file."""
    wanted = [str(part) for part in location]
    best, depth, table = 1, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            found = table = _parts(header[1])
        elif key := _KEY.match(line):
            found = [*table, *_parts(key[1])]
        else:
            continue
        if len(found) > depth and found == wanted[: len(found)]:
            best, depth = number, len(found)
    return best


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \t\"'") for part in dotted.split(".")]


def _explained(path: Path, text: str, error: ErrorDetails) -> MappingError:
    location: Location = error.get("ctx", {}).get("location", error["loc"])
    why = _SENTENCES.get(error["type"], error["msg"].removeprefix("Value error, ").rstrip("."))
    if error["type"] == "extra_forbidden" and isinstance(location[-1], str):
        owners: dict[str, type[BaseModel]] = {"signal": Signal, "alarms": Alarms, "programs": Programs}
        owner = owners.get(str(location[0]), MachineMapping) if len(location) > 1 else MachineMapping
        why += _meant(location[-1], owner.model_fields)
    key = ".".join(str(part) for part in location) or "the file"
    return MappingError(path=path, line=_line_of(text, location), key=key, why=why)


def parse_mapping(text: str, path: Path) -> MachineMapping:
    """Return the mapping in `text`; path is for words only. Raises MappingError."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else max(1, len(text.splitlines()))
        raise MappingError(path=path, line=line, key="the file", why=f"it is not TOML: {error}") from error
    try:
        # As JSON, because only there strict means that true is no number and "1" none either.
        written = json.dumps(raw, default=lambda moment: [str(moment)])
        return MachineMapping.model_validate_json(written, strict=True)
    except ValidationError as error:
        raise _explained(path, text, error.errors()[0]) from error


def load_mapping(path: Path) -> MachineMapping:
    """Return the mapping in a file. Raises MappingError, which has the fields of a ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MappingError(path=path, line=1, key="the file", why=f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise MappingError(path=path, line=1, key="the file", why="it is not UTF-8 text") from error
    return parse_mapping(text, path)
