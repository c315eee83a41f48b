# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand: what a person at the machine asks for beside programs. Lengths mm, feeds mm/min."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Axis(StrEnum):
    """A linear axis."""

    X = "X"
    Y = "Y"
    Z = "Z"


@dataclass(frozen=True, slots=True)
class Displacement:
    """A way relative to where the machine stands, mm."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    @property
    def length(self) -> float:
        """Return its length in mm."""
        return math.hypot(self.x, self.y, self.z)


class OverrideKind(StrEnum):
    """What an override scales."""

    FEED = "feed"
    RAPID = "rapid"
    SPINDLE = "spindle"


class JogEnd(StrEnum):
    """Why motion by hand ended."""

    RELEASED = "released"
    NOT_RENEWED = "not renewed"
    TRAVEL = "the end of the travel"
    STOPPED = "stopped"
    LOST = "the connection was lost"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a controller as it stores it: number, value as written, its name and unit for people."""

    number: int
    value: str
    name: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting that is not what the kept profile says; found is None where the controller has no such setting."""

    number: int
    wanted: str
    found: str | None
    name: str = ""
    unit: str = ""
