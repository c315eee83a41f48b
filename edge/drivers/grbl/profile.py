# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's settings: read whole, written one by one, and read again.

Names and units are those of GRBL 1.1's `$$`. A value is compared as a number, for `$110=500` is read back as 500.000.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from edge.domain.errors import DriverRefused
from edge.domain.hand import Setting
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.protocol import State

_VALUE = re.compile(r"-?\d{1,8}(?:\.\d{1,6})?")
_RELATIVE = 1e-3
"""GRBL keeps settings as 32-bit numbers and prints three decimals."""

_HOMING = 22

GEOMETRY = frozenset({2, 3, 5, *range(22, 28), *range(100, 103), *range(130, 133)})
"""Step and direction masks, limit switches, homing, steps per mm, travel: after them nobody knows where axes stand."""

NAMES: dict[int, tuple[str, str]] = {
    0: ("step pulse", "microseconds"),
    1: ("delay before the motors are let go", "ms"),
    2: ("inverted step outputs", "mask"),
    3: ("inverted directions", "mask"),
    4: ("inverted motor enable", "yes/no"),
    5: ("inverted limit inputs", "yes/no"),
    6: ("inverted probe input", "yes/no"),
    10: ("fields of a status report", "mask"),
    11: ("junction deviation", "mm"),
    12: ("arc tolerance", "mm"),
    13: ("reports in inches", "yes/no"),
    20: ("soft limits", "yes/no"),
    21: ("hard limits", "yes/no"),
    22: ("homing", "yes/no"),
    23: ("homing directions", "mask"),
    24: ("homing: slow feed", "mm/min"),
    25: ("homing: fast feed", "mm/min"),
    26: ("homing: debounce", "ms"),
    27: ("homing: pull-off", "mm"),
    30: ("highest spindle speed", "rev/min"),
    31: ("lowest spindle speed", "rev/min"),
    32: ("laser mode", "yes/no"),
    100: ("X steps", "steps/mm"),
    101: ("Y steps", "steps/mm"),
    102: ("Z steps", "steps/mm"),
    110: ("X highest feed", "mm/min"),
    111: ("Y highest feed", "mm/min"),
    112: ("Z highest feed", "mm/min"),
    120: ("X acceleration", "mm/s2"),
    121: ("Y acceleration", "mm/s2"),
    122: ("Z acceleration", "mm/s2"),
    130: ("X travel", "mm"),
    131: ("Y travel", "mm"),
    132: ("Z travel", "mm"),
}


def described(number: int, value: str) -> Setting:
    """Return a setting with its name and unit, which are empty for a number that GRBL 1.1 does not have."""
    name, unit = NAMES.get(number, ("", ""))
    return Setting(number, value, name, unit)


def same(written: str, read: str) -> bool:
    """Whether two texts are the same value."""
    try:
        return abs(float(written) - float(read)) <= max(_RELATIVE, abs(float(written)) * 1e-6)
    except ValueError:
        return written == read


class Profile:
    """Reads and writes the settings of one controller; `learned` is called when they may have changed."""

    def __init__(self, gate: Gate, learned: Callable[[], None]) -> None:
        self._gate = gate
        self._controller = gate.controller
        self._learned = learned

    async def settings(self) -> tuple[Setting, ...]:
        """Read all settings. Raises DriverRefused where it is in motion, or tells fewer than before."""
        with self._gate.exclusive("read settings"):
            reading = self._gate.trusted("read settings")
            if reading.state not in (State.IDLE, State.ALARM):
                raise self._refused("read settings", f"it is in {reading.state}")
            return await self._read()

    async def write(self, values: Mapping[int, str]) -> None:
        """Write settings one by one, each alone on the wire, and verify them.

        Raises DriverRefused before the first where a value is none, at the first that the controller refuses, and
        where it reads back something else.
        """
        with self._gate.exclusive("write settings"):
            await self._gate.drained("write settings")
            known = self._controller.identity.settings
            for number, value in values.items():
                if number not in known:
                    raise self._refused("write settings", f"it has no setting ${number}")
                if not _VALUE.fullmatch(value):
                    raise self._refused("write settings", f"{value!r} is no value for ${number}")
            try:
                # Soft limits ($20) are taken only where homing ($22) is on.
                for number, value in sorted(values.items(), key=lambda item: item[0] != _HOMING):
                    await self._gate.drained("write settings")
                    self._distrust(number)
                    await self._gate.write_memory(f"${number}={value}")
                    known[number] = value
            finally:
                if self._controller.available:
                    await self._read()
            found = self._controller.identity.settings
            wrong = [f"${number}" for number, value in values.items() if not same(value, found.get(number, ""))]
            if wrong:
                raise self._refused("write settings", f"it did not keep {', '.join(wrong)}")

    async def _read(self) -> tuple[Setting, ...]:
        """Ask for all settings, twice where lines were lost. Raises DriverRefused, DriverUnavailable."""
        identity = self._controller.identity
        before = dict(identity.settings)
        for _ in range(2):
            identity.settings = {}
            try:
                await self._gate.command("$$")
            finally:
                read, identity.settings = identity.settings, {**before, **identity.settings}
            if read.keys() >= before.keys():
                self._learned()
                return tuple(described(number, read[number]) for number in sorted(read))
        raise self._refused("read settings", "lines were lost on the way: look for interference on the cable")

    def _distrust(self, number: int) -> None:
        """Count the position as lost by a setting that moves the ground under it."""
        if number in GEOMETRY:
            self._controller.condition.homed = False

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)
