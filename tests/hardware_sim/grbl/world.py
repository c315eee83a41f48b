# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine around the controller: where the axes really are, switches, probe circuit, door, buttons, outputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

PLUS_STOP_MM = 2.0
BORE_WALL_MM = 20.0
_TOUCH = 1e-6


@dataclass(frozen=True)
class Box:
    """A conductive block in physical mm: upright sides, flat top at `top`, endless downwards."""

    x0: float
    y0: float
    x1: float
    y1: float
    top: float

    def touches(self, x: float, y: float, tip: float, radius: float) -> bool:
        """A round tool with its axis at `x`, `y` and its lower end at `tip` meets the block."""
        aside = math.hypot(max(self.x0 - x, 0.0, x - self.x1), max(self.y0 - y, 0.0, y - self.y1))
        return tip <= self.top + _TOUCH and aside <= radius + _TOUCH


@dataclass(frozen=True)
class Bore:
    """A conductive ring with an endless hole of `radius` around `x`, `y`; its wall is 20 mm thick."""

    x: float
    y: float
    radius: float
    top: float

    def touches(self, x: float, y: float, tip: float, radius: float) -> bool:
        """A round tool with its axis at `x`, `y` and its lower end at `tip` meets the ring."""
        away = math.hypot(x - self.x, y - self.y)
        inside = away + radius < self.radius - _TOUCH
        outside = away - radius > self.radius + BORE_WALL_MM + _TOUCH
        return tip <= self.top + _TOUCH and not inside and not outside


def parse_box(values: Sequence[float]) -> Box:
    """A block from X0, Y0, X1, Y1, Z in any order of the corners.

    Raises:
        ValueError: not five numbers.
    """
    x0, y0, x1, y1, top = values
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), top)


def parse_bore(values: Sequence[float]) -> Bore:
    """A bore from X, Y, R, ZTOP.

    Raises:
        ValueError: not four numbers, or no radius.
    """
    x, y, radius, top = values
    if radius <= 0:
        raise ValueError(radius)
    return Bore(x, y, radius, top)


@dataclass
class World:
    """True state, mm. Physical 0 is the plus-end limit switch of each axis; the hard stop is 2 mm behind it.

    A tool that is `tool_length` longer than the first one has its lower end that much below physical Z.
    """

    physical: list[float] = field(default_factory=lambda: [-150.0, -100.0, -40.0])
    probe_plate_z: float | None = None
    probe_box: Box | None = None
    probe_bore: Bore | None = None
    tool_length: float = 0.0
    tool_diameter: float = 0.0
    forced_limits: list[bool] = field(default_factory=lambda: [False] * 3)
    forced_probe: bool = False
    door_open: bool = False
    buttons: set[str] = field(default_factory=set)
    spindle: int = 0
    spindle_pwm: int = 0
    flood: bool = False
    mist: bool = False
    lost_steps: int = 0

    def move(self, axis: int, steps: int, steps_per_mm: float) -> None:
        """Pulses for `steps` (signed) arrive at the motor of `axis`; at the hard stop they are lost."""
        if not steps_per_mm:
            return
        goal = round(self.physical[axis] + steps / steps_per_mm, 6)
        if goal > PLUS_STOP_MM:
            self.lost_steps += round((goal - PLUS_STOP_MM) * steps_per_mm)
            goal = PLUS_STOP_MM
        self.physical[axis] = goal

    def limit_at(self, axis: int, position: float) -> bool:
        return self.forced_limits[axis] or position >= -_TOUCH

    @property
    def limits(self) -> list[bool]:
        """Closed limit switches, X Y Z."""
        return [self.limit_at(axis, self.physical[axis]) for axis in range(3)]

    def probe_at(self, position: Sequence[float]) -> bool:
        """The probe circuit is closed with the axes at `position` (physical mm)."""
        if self.forced_probe:
            return True
        x, y, z = position
        tip, radius = z - self.tool_length, self.tool_diameter / 2
        if self.probe_plate_z is not None and tip <= self.probe_plate_z + _TOUCH:
            return True
        if self.probe_box is not None and self.probe_box.touches(x, y, tip, radius):
            return True
        return self.probe_bore is not None and self.probe_bore.touches(x, y, tip, radius)

    @property
    def probe(self) -> bool:
        """The probe makes contact."""
        return self.probe_at(self.physical)

    def outputs_off(self) -> None:
        """The processor lost power or is in reset: all outputs drop."""
        self.spindle = self.spindle_pwm = 0
        self.flood = self.mist = False
