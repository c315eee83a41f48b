# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may set: one TOML file per van, frozen models, answers in a person's words with line and key."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.domain.errors import InfoMobilError
from edge.domain.inputs import InputRule
from edge.domain.visit import Language
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.safety_io.settings import GpioSettings
from edge.store.settings import StoreSettings
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
    after which the input counts as unknown.
    """

    input: Id
    source: Annotated[str, Field(pattern=r"^(controller|gpio:[a-z0-9-]+|opcua:[a-z0-9-]+/[a-z0-9-]+)$")]
    label: Annotated[str, Field(min_length=1, max_length=80)]
    remedy: Annotated[str, Field(min_length=1, max_length=200)]
    max_age_ms: Annotated[int, Field(ge=100, le=5_000)] = 1_000

    def rule(self) -> InputRule:
        """Return the rule of the interlock."""
        return InputRule(self.input, self.label, self.source, self.max_age_ms * 1_000_000, self.remedy)


class MachineSettings(Frozen):
    """One machine: its driver's settings stand in `connection`."""

    id: Id
    name: Annotated[str, Field(min_length=1, max_length=60)]
    kind: Literal["router", "mill", "lathe", "laser", "printer", "other"]
    connection: Annotated[GrblSettings | OpcUaSettings, Field(discriminator="driver")]
    interlock: tuple[InterlockSettings, ...] = ()


class EdgeSettings(Frozen):
    """The whole file."""

    lab: LabSettings
    http: HttpSettings = HttpSettings()
    operator: OperatorSettings
    store: StoreSettings = StoreSettings()
    sync: SyncSettings | None = None
    gpio: GpioSettings = GpioSettings()
    machine: tuple[MachineSettings, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        ids = [machine.id for machine in self.machine]
        if len(set(ids)) != len(ids):
            raise ValueError("two machines have the same id")
        gpio = {pin.name for pin in self.gpio.inputs}
        for machine in self.machine:
            for item in machine.interlock:
                kind, _, name = item.source.partition(":")
                if kind == "gpio" and name not in gpio:
                    raise ValueError(f"machine {machine.id} watches {item.source}, which no [[gpio.inputs]] defines")
                if kind == "opcua" and name.partition("/")[0] not in ids:
                    raise ValueError(f"machine {machine.id} watches {item.source}, and there is no such machine")
        return self


def _find_line(text: str, location: Sequence[str | int]) -> int:
    """Return the line (1-based) at which the deepest part of `location` that stands in the file is written."""
    keys = [part for part in location if isinstance(part, str)]
    indexes = [part for part in location if isinstance(part, int)]
    best, depth, table, seen = 1, 0, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?\s*([\w.\-]+)\s*\]\]?", line)
        if header:
            table = header.group(1)
            seen += line.lstrip().startswith("[[") and table == (keys[0] if keys else "")
            path = table.split(".")
        else:
            key = re.match(r'\s*"?([\w\-]+)"?\s*=', line)
            if not key:
                continue
            path = [*([part for part in table.split(".") if part]), key.group(1)]
        if indexes and path[0] == keys[0] and seen != indexes[0] + 1:
            continue
        inside = [part for part in keys if part not in ("grbl", "opcua")]
        common = 0
        while common < min(len(path), len(inside)) and path[common] == inside[common]:
            common += 1
        if common == len(path) and common > depth:
            best, depth = number, common
    return best


_WORDS = {
    "extra_forbidden": "this key is not known here",
    "missing": "this key is missing",
}


def _explain(path: Path, text: str, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    location = [part for part in first["loc"] if part not in ("grbl", "opcua")]
    why = _WORDS.get(first["type"], first["msg"].removeprefix("Value error, ").rstrip("."))
    if first["type"] not in _WORDS and location and not isinstance(first["input"], dict | list):
        why = f"{why} (it says {first['input']!r})"
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location) or "the file"
    return ConfigError(path=path, line=_find_line(text, location), key=key, why=why)


def parse_settings(text: str, path: Path) -> EdgeSettings:
    """Return the settings in `text`; relative paths are taken from the file's folder. Raises ConfigError."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else len(text.splitlines())
        raise ConfigError(path=path, line=line, key="the file", why=f"it is not TOML: {error}") from error
    try:
        return EdgeSettings.model_validate(raw)
    except ValidationError as error:
        raise _explain(path, text, error) from error


def load_settings(path: Path) -> EdgeSettings:
    """Return the settings of a file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path=path, line=1, key="the file", why=f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path=path, line=1, key="the file", why="it is not UTF-8 text") from error
    return parse_settings(text, path)


def settings_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the file: what presence tells the office."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
