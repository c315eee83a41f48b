# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller says about itself: version, options, settings, offsets, modal words."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.domain.machine import Position, Travel
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

_REPORT_INCHES = 13
_HOMING_ENABLED = 22
_HOMING_DIRECTIONS = 23
_MAX_SPINDLE = 30
_MAX_RATES = (110, 111, 112)
_TRAVELS = (130, 131, 132)


@dataclass
class Identity:
    """Collects the answers to QUERIES; each property is None or the cautious value while it is not known."""

    firmware: Firmware = Firmware.GRBL
    version: str = ""
    flags: str = ""
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
            case BuildOptions(flags, _, rx_bytes):
                self.flags, self.rx_bytes = flags, rx_bytes
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
        lengths = [self._number(number) for number in _TRAVELS]
        rates = [self._number(number) for number in _MAX_RATES]
        spindle = self._number(_MAX_SPINDLE)
        if spindle is None or None in lengths or None in rates:
            return None
        minus_end = int(self._number(_HOMING_DIRECTIONS) or 0) if "Z" in self.flags else 0
        known = [length or 0.0 for length in lengths]
        low = [0.0 if minus_end >> axis & 1 else -length for axis, length in enumerate(known)]
        high = [length if minus_end >> axis & 1 else 0.0 for axis, length in enumerate(known)]
        return Travel(
            low=Position(low[0], low[1], low[2]),
            high=Position(high[0], high[1], high[2]),
            max_feed=max(rate for rate in rates if rate is not None),
            max_spindle=spindle,
        )

    def _number(self, setting: int) -> float | None:
        """Return a setting as a number, or None where it is missing or unreadable."""
        try:
            return float(self.settings[setting])
        except (KeyError, ValueError):
            return None
