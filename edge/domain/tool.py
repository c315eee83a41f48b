# SPDX-License-Identifier: GPL-3.0-or-later
"""A cutting tool, as far as its shape tells what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ToolShape(StrEnum):
    """What the end of the tool looks like."""

    FLAT = "flat"
    BALL = "ball"
    V = "v"
    TURNING = "turning"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of a machine's table; lengths in mm.

    number is the T word, 0 for the tool of a program that names none. diameter is the cutting diameter, of a V the
    widest. flute_length is how deep it may go into material. tip_angle (degrees, whole angle) and tip_diameter (the
    flat of the point) are a V's; nose_radius is a turning tool's. max_plunge is the fastest feed straight down into
    material, mm/min, None where nobody has given one.
    """

    number: int
    name: str
    shape: ToolShape
    diameter: float
    flute_length: float
    tip_angle: float = 90.0
    tip_diameter: float = 0.0
    nose_radius: float = 0.0
    max_plunge: float | None = None
