# SPDX-License-Identifier: GPL-3.0-or-later
"""What was pledged, as data: indicators.toml with targets, days, milestones and figures that no van counts.

What no van can count (a programme that was written, users of the e-learning) stands in the file as dated statements
with their source. It is never added to what was counted, the report names each statement, and the file's SHA-256, so
that a later change of the file shows.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from office.config import Settings, Text
from office.errors import ConfigInvalid

PACKAGED = Path(__file__).resolve().parent.parent / "data" / "indicators.toml"

Whole = Annotated[int, Field(ge=1, le=100_000_000)]
Role = Literal["pupil", "teacher", "vet_trainer", "trainee"]


class Label(Settings):
    """A name in the languages of the reports."""

    lt: Text
    en: Text


class Milestone(Settings):
    """What is to be reached by the end of a day on the way."""

    date: date
    target: Whole


class Statement(Settings):
    """The figure as somebody stated it on a day: the whole of it, not its growth. source says by what it is known."""

    date: date
    value: Annotated[int, Field(ge=0, le=100_000_000)]
    source: Text


class Indicator(Settings):
    """A figure of the pledge. counts says what it is made of; without a target it is only told."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
    label: Label
    unit: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    counts: Literal["reached", "people", "schools", "pieces", "stated"]
    roles: tuple[Role, ...] = ()
    target: Whole | None = None
    due: date | None = None
    milestone: tuple[Milestone, ...] = ()
    stated: tuple[Statement, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.roles) != (self.counts == "people"):
            raise ValueError(f"{self.id} needs roles where it counts people, and only there")
        if self.stated and self.counts != "stated":
            raise ValueError(f"{self.id} is counted, and takes no statements")
        if self.due is not None and self.target is None:
            raise ValueError(f"{self.id} has a day and no target")
        days = [item.date for item in self.stated]
        if days != sorted(set(days)):
            raise ValueError(f"the statements of {self.id} are not in the order of their days")
        self._check_milestones()
        return self

    def _check_milestones(self) -> None:
        last = [(date.max if self.due is None else self.due, self.target)] if self.target is not None else []
        steps = [*((item.date, item.target) for item in self.milestone), *last]
        for (day, target), (next_day, next_target) in pairwise(steps):
            if day >= next_day or target > next_target:
                raise ValueError(f"the milestones of {self.id} do not rise to its target by its day")


class Plan(Settings):
    """The whole file: exactly one indicator counts the people reached, and has a target."""

    indicator: tuple[Indicator, ...]

    @model_validator(mode="after")
    def _headline(self) -> Self:
        ids = [item.id for item in self.indicator]
        if len(ids) != len(set(ids)):
            raise ValueError("two indicators have the same id")
        reached = [item for item in self.indicator if item.counts == "reached"]
        if len(reached) != 1 or reached[0].target is None:
            raise ValueError('one indicator with counts = "reached" and a target is needed')
        return self

    @property
    def people(self) -> Indicator:
        """Return the indicator of the people reached."""
        return next(item for item in self.indicator if item.counts == "reached")

    @property
    def target(self) -> int:
        """Return how many people were promised."""
        return self.people.target or 0


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan and the SHA-256 (hex) of the file that it was read from."""

    plan: Plan
    sha256: str


def load(path: Path | None) -> PlanFile:
    """Return the plan in the file `path`, or the packaged one; raises ConfigInvalid with line and key."""
    path = PACKAGED if path is None else path
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise ConfigInvalid(where=path, problem=f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(where=path, problem="is not UTF-8 text") from error
    try:
        plan = Plan.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(where=path, problem=f"is not TOML: {error}") from error
    except ValidationError as error:
        raise _explained(path, text, error) from error
    return PlanFile(plan, hashlib.sha256(raw).hexdigest())


def _explained(path: Path, text: str, error: ValidationError) -> ConfigInvalid:
    first = error.errors()[0]
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    match first["type"]:
        case "extra_forbidden":
            problem = f"{key} is not known here"
        case "missing":
            problem = f"{key} is missing"
        case "value_error":
            problem = first["msg"].removeprefix("Value error, ")
        case _:
            problem = f"{key}: {first['msg']}, not {first['input']!r}"
    return ConfigInvalid(where=f"{path}, line {_line(text, location)}", problem=problem)


def _line(text: str, location: tuple[int | str, ...]) -> int:
    """Return the line (1..) where the key of `location` stands, or the nearest table around it."""
    best, depth = 1, 0
    table: tuple[int | str, ...] = ()
    entries: dict[tuple[int | str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[(\[?)\s*([\w.-]+)\s*\]", line)
        key = re.match(r"\s*([\w-]+)\s*=", line)
        if header:
            parent, _, name = header[2].rpartition(".")
            around: tuple[int | str, ...] = (parent, entries.get((parent,), 0)) if parent else ()
            table = (*around, name)
            if header[1]:
                entries[table] = entries.get(table, -1) + 1
                table = (*table, entries[table])
            found = table
        elif key:
            found = (*table, key[1])
        else:
            continue
        if location[: len(found)] == found and len(found) > depth:
            best, depth = number, len(found)
    return best
