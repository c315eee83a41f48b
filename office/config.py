# SPDX-License-Identifier: GPL-3.0-or-later
"""What the office's operator may set: one TOML file, frozen models, answers with line and key in a person's words."""

from __future__ import annotations

import re
import tomllib
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from office.errors import ConfigInvalid

Port = Annotated[int, Field(ge=1, le=65_535)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


def _database(url: str) -> str:
    if not url.startswith(("sqlite:///", "postgresql://", "postgres://")) or url == "sqlite:///":
        raise ValueError("a database is sqlite:///PATH or postgresql://USER@HOST/NAME")
    return url


class Settings(BaseModel):
    """Base of all settings: nothing changes after reading, and nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(Settings):
    """Where the vans' messages come from. Files hold secrets; retry times are in seconds."""

    host: Text = "127.0.0.1"
    port: Port = 1883
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: Text | None = None
    password_file: Path | None = None
    retry_first: Annotated[float, Field(gt=0, le=60)] = 0.5
    retry_longest: Annotated[float, Field(gt=0, le=600)] = 30.0


class HttpSettings(Settings):
    """Where the dashboard is served. hosts are the names that it answers to beside its own address.

    A session ends session_idle_minutes after its last use, and session_hours after the login in any case. Whoever knows
    the token in metrics_token_file may read /metrics without a login.
    """

    host: Text = "127.0.0.1"
    port: Port = 8090
    hosts: tuple[Text, ...] = ()
    session_idle_minutes: Annotated[int, Field(ge=5, le=1_440)] = 120
    session_hours: Annotated[int, Field(ge=1, le=168)] = 12
    metrics_token_file: Path | None = None

    @property
    def loopback(self) -> bool:
        """Return whether nobody but this computer can reach the dashboard."""
        return self.host in ("127.0.0.1", "::1", "localhost")


class IngestSettings(Settings):
    """How many processes take in what the vans send. One does it within the service; several need PostgreSQL."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1


class ChecksSettings(Settings):
    """When everything is counted again and all chains are verified: the local time of day, or "never"."""

    recount_at: time | Literal["never"] = time(3, 15)


class OfficeSettings(Settings):
    """The whole file."""

    database: Annotated[str, AfterValidator(_database)] = "sqlite:///office.sqlite3"
    broker: BrokerSettings = BrokerSettings()
    http: HttpSettings = HttpSettings()
    ingest: IngestSettings = IngestSettings()
    checks: ChecksSettings = ChecksSettings()
    indicators: Path | None = None
    """The file of what was pledged; without it the one that comes with the program."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def load(path: Path) -> OfficeSettings:
    """Return the settings in the file `path`, relative paths in it taken from its folder; raises ConfigInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigInvalid(where=path, problem=f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(where=path, problem="is not UTF-8 text") from error
    try:
        settings = OfficeSettings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(where=path, problem=f"is not TOML: {error}") from error
    except ValidationError as error:
        raise _explained(path, text, error) from error
    if settings.ingest.workers > 1 and settings.database.startswith("sqlite:"):
        where = f"{path}, line {_line(text, ('ingest', 'workers'))}"
        problem = f"ingest.workers: SQLite takes one worker, not {settings.ingest.workers}; several need PostgreSQL"
        raise ConfigInvalid(where=where, problem=problem)
    return _placed(settings, path.resolve().parent)


def _placed(settings: OfficeSettings, folder: Path) -> OfficeSettings:
    broker = settings.broker.model_copy(
        update={
            name: folder / value
            for name in ("ca_file", "cert_file", "key_file", "password_file")
            if (value := getattr(settings.broker, name)) is not None
        }
    )
    update: dict[str, Any] = {"broker": broker}
    if settings.indicators is not None:
        update["indicators"] = folder / settings.indicators
    if settings.http.metrics_token_file is not None:
        token = folder / settings.http.metrics_token_file
        update["http"] = settings.http.model_copy(update={"metrics_token_file": token})
    if settings.database.startswith("sqlite:///"):
        update["database"] = f"sqlite:///{folder / settings.database.removeprefix('sqlite:///')}"
    return settings.model_copy(update=update)


_REPLACED = {
    "http.password_file": "was replaced by accounts: take it out, and make one for each person with"
    " `infomobil-office account add NAME --role viewer`",
    "pledge": 'is now a file of its own, which indicators = "FILE" names',
}
"""Settings of earlier versions, and what to do where they are still set."""


def _explained(path: Path, text: str, error: ValidationError) -> ConfigInvalid:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden" if key in _REPLACED:
            problem = f"{key} {_REPLACED[key]}"
        case "extra_forbidden":
            problem = f"{key} is not a setting of the office"
        case "missing":
            problem = f"{key} is missing"
        case _:
            problem = f"{key}: {first['msg'].removeprefix('Value error, ')}, not {first['input']!r}"
    return ConfigInvalid(where=f"{path}, line {_line(text, first['loc'])}", problem=problem)


def _line(text: str, location: tuple[int | str, ...]) -> int:
    """Return the line (1..) where the key of `location` stands, or the nearest table around it."""
    names = [part for part in location if isinstance(part, str)]
    places = [part for part in location if isinstance(part, int)]
    best, depth = 1, 0
    table: list[str] = []
    entries: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\"-]+)\s*\]", line)
        key = re.match(r"\s*([\w.\"-]+)\s*=", line)
        if header:
            table = header[2].replace('"', "").split(".")
            if header[1] == "[[":
                entries[header[2]] = entries.get(header[2], -1) + 1
            found = table
        elif key:
            found = [*table, *key[1].replace('"', "").split(".")]
        else:
            continue
        entry = entries.get(".".join(table))
        if entry is not None and places and entry != places[0]:
            continue
        if names[: len(found)] == found and len(found) > depth:
            best, depth = number, len(found)
    return best
