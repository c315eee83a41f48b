# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine around the controller: where the axes really are, switches, probe plate, door, buttons, outputs."""

from dataclasses import dataclass, field

PLUS_STOP_MM = 2.0
_TOUCH = 1e-6


@dataclass
class World:
    """True state. Physical 0 is the plus-end limit switch of each axis; the hard stop is 2 mm behind it."""

    physical: list[float] = field(default_factory=lambda: [-150.0, -100.0, -40.0])
    probe_plate_z: float | None = None
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

    def probe_at(self, z: float) -> bool:
        return self.forced_probe or (self.probe_plate_z is not None and z <= self.probe_plate_z + _TOUCH)

    @property
    def probe(self) -> bool:
        """The probe makes contact."""
        return self.probe_at(self.physical[2])

    def outputs_off(self) -> None:
        """The processor lost power or is in reset: all outputs drop."""
        self.spindle = self.spindle_pwm = 0
        self.flood = self.mist = False
