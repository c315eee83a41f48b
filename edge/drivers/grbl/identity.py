# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller says about itself: version, options, settings, offsets, modal words."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.domain.machine import Motion, Position, Travel
from edge.drivers.grbl.codes import Firmware
from edge.drivers.grbl.protocol import (
    BuildOptions,
    BuildVersion,
    Parameter,
    ParserState,
    Reply,
    Setting,
    Welcome,
)

QUERIES = ("$I", "$$", "$#", "$G")
"""What is asked after each start, one at a time."""

PRUDENT_WINDOW = 127
"""Bytes in flight at most: one less than the smallest receive buffer in the field."""

_IDLE_DELAY_MS = 1
_JUNCTION_DEVIATION = 11
_ARC_TOLERANCE = 12
_REPORT_INCHES = 13
_HOMING_ENABLED = 22
_HOMING_DIRECTIONS = 23
_MAX_SPINDLE = 30
_MIN_SPINDLE = 31
_MODE = 32
_STEPS = (100, 101, 102)
_MAX_RATES = (110, 111, 112)
_ACCELERATIONS = (120, 121, 122)
_TRAVELS = (130, 131, 132)
_TOLD_BY_TRAVEL = (_MAX_SPINDLE, _MIN_SPINDLE, *_TRAVELS)
_TOLD_BY_MOTION = (_IDLE_DELAY_MS, _JUNCTION_DEVIATION, _ARC_TOLERANCE, _MODE, *_STEPS, *_MAX_RATES, *_ACCELERATIONS)

_LASER = 1
"""The value of $32 that is laser mode; 2 is a lathe's on grblHAL."""

_MARGIN_MM = 1.0
"""What rounding may put a standing axis beyond its travel."""

_MOTORS_STAY_ON = 255
"""The value of $1 with which the controller never waits for the motors to settle."""


@dataclass
class Identity:
    """Collects the answers to QUERIES; each property is None or the cautious value while it is not known."""

    firmware: Firmware = Firmware.GRBL
    version: str = ""
    flags: str = ""
    blocks: int | None = None
    rx_bytes: int | None = None
    settings: dict[int, str] = field(default_factory=dict)
    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)
    modal: tuple[str, ...] = ()

    def note(self, message: Reply) -> None:
        """Keep what `message` tells about the controller, if it does."""
        match message:
            case Welcome(firmware, version):
                self.firmware, self.version = firmware, version
            case BuildVersion(version):
                self.version = version
            case BuildOptions(flags, blocks, rx_bytes):
                self.flags, self.blocks, self.rx_bytes = flags, blocks, rx_bytes
            case Setting(number, value):
                self.settings[number] = value
            case Parameter(name, values):
                self.parameters[name] = values
            case ParserState(words):
                self.modal = words
            case _:
                pass

    @property
    def controller(self) -> str:
        """Return firmware and version as a person reads them."""
        return f"{self.firmware} {self.version}".strip()

    @property
    def supported(self) -> bool:
        """Whether the dialect is that of GRBL 1.1."""
        return self.version.startswith("1.1")

    @property
    def window(self) -> int:
        """Return how many bytes may be unacknowledged: one less than the receive buffer, 127 at most.

        More than 127 gains nothing, for the planner's 15 blocks are the bottleneck, and only makes a stop later.
        """
        return min(self.rx_bytes - 1, PRUDENT_WINDOW) if self.rx_bytes else PRUDENT_WINDOW

    @property
    def inches(self) -> bool:
        """Whether reports are in inches."""
        return self._number(_REPORT_INCHES) == 1

    @property
    def homing_enabled(self) -> bool:
        """Whether `$H` is possible (on grblHAL the value is a bit field)."""
        return int(self._number(_HOMING_ENABLED) or 0) & 1 == 1

    @property
    def door_pin(self) -> bool:
        """Whether the build says that it has a door input."""
        return "+" in self.flags

    def travel(self) -> Travel | None:
        """Return the reachable machine coordinates, or None while a setting is missing or unreadable.

        An axis reaches from -travel to 0 whichever end it homes to, for GRBL gives the end switch its coordinate
        within that range. Only a build that sets the origin at the switch (Z in `[OPT:]`) reaches to +travel on the
        axes that home to their minus end ($23). Settings are mm whatever $13 says.
        """
        lengths = self._axes(_TRAVELS)
        rates = self._axes(_MAX_RATES)
        spindle = self._number(_MAX_SPINDLE)
        if lengths is None or rates is None or spindle is None:
            return None
        minus_end = int(self._number(_HOMING_DIRECTIONS) or 0) if "Z" in self.flags else 0
        known = (lengths.x, lengths.y, lengths.z)
        low = [0.0 if minus_end >> axis & 1 else -length for axis, length in enumerate(known)]
        high = [length if minus_end >> axis & 1 else 0.0 for axis, length in enumerate(known)]
        return Travel(
            low=Position(low[0], low[1], low[2]),
            high=Position(high[0], high[1], high[2]),
            max_feed=max(rates.x, rates.y, rates.z),
            max_spindle=spindle,
            min_spindle=self._number(_MIN_SPINDLE) or 0.0,
        )

    def reaches(self, place: Position) -> bool:
        """Whether `place` (machine coordinates) lies in the travel, give or take 1 mm; True while nobody knows."""
        travel = self.travel()
        if travel is None:
            return True
        low, high = travel.low, travel.high
        axes = ((low.x, place.x, high.x), (low.y, place.y, high.y), (low.z, place.z, high.z))
        return all(least - _MARGIN_MM <= value <= most + _MARGIN_MM for least, value, most in axes)

    def motion(self) -> Motion | None:
        """Return how the controller plans, or None while a setting is missing, unreadable or no use (zero)."""
        rates = self._axes(_MAX_RATES)
        accelerations = self._axes(_ACCELERATIONS)
        steps = self._axes(_STEPS)
        junction = self._number(_JUNCTION_DEVIATION)
        tolerance = self._number(_ARC_TOLERANCE)
        delay = self._number(_IDLE_DELAY_MS)
        if rates is None or accelerations is None or steps is None:
            return None
        if junction is None or tolerance is None or delay is None:
            return None
        if any(value <= 0 for axes in (rates, accelerations, steps) for value in (axes.x, axes.y, axes.z)):
            return None
        return Motion(
            max_rate=rates,
            acceleration=accelerations,
            junction_deviation=junction,
            arc_tolerance=tolerance,
            stop_delay_s=0.0 if delay == _MOTORS_STAY_ON else delay / 1000,
            steps_per_mm=steps,
            laser=self._number(_MODE) == _LASER,
        )

    def other_settings(self) -> tuple[tuple[int, str], ...]:
        """Return the settings that neither `travel` nor `motion` tells, by their numbers, as they were read."""
        told = {*(_TOLD_BY_TRAVEL if self.travel() else ()), *(_TOLD_BY_MOTION if self.motion() else ())}
        return tuple((number, value) for number, value in sorted(self.settings.items()) if number not in told)

    def _axes(self, settings: tuple[int, int, int]) -> Position | None:
        """Return three settings as one per axis, or None where one is missing or unreadable."""
        x, y, z = (self._number(number) for number in settings)
        return None if x is None or y is None or z is None else Position(x, y, z)

    def _number(self, setting: int) -> float | None:
        """Return a setting as a number, or None where it is missing or unreadable."""
        try:
            return float(self.settings[setting])
        except (KeyError, ValueError):
            return None
