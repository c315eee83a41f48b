# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``$`` settings, coordinate data, startup lines and build text, and where they live in the EEPROM."""

import math
import struct
from dataclasses import dataclass, field

from .eeprom import Eeprom
from .numbers import fixed, read_number, single

LINE_SIZE = 80
VERSION = 10
ADDRESS_VERSION = 0
ADDRESS_SETTINGS = 1
ADDRESS_COORDINATES = 512
ADDRESS_STARTUP = 768
ADDRESS_BUILD = 942
COORDINATE_SIZE = 12
G28_INDEX, G30_INDEX = 6, 7
COORDINATE_COUNT = 8
STARTUP_LINES = 2
_LAYOUT = struct.Struct("<12f5B2f2f2B2fHf")
_BYTE_FIELDS = {
    0: "pulse_us",
    1: "idle_lock_ms",
    2: "step_invert",
    3: "direction_invert",
    10: "report_mask",
    23: "homing_direction",
}
_FLOAT_FIELDS = {
    11: "junction_deviation",
    12: "arc_tolerance",
    24: "homing_feed",
    25: "homing_seek",
    27: "homing_pulloff",
    30: "rpm_max",
    31: "rpm_min",
}
_FLAG_FIELDS = {
    4: "invert_enable",
    5: "invert_limits",
    6: "invert_probe",
    13: "report_inches",
    20: "soft_limits",
    21: "hard_limits",
    22: "homing_enable",
    32: "laser_mode",
}
_AXIS_FIELDS = ("steps_per_mm", "max_rate", "acceleration", "max_travel")
# Order of the flag bits is free: only how many stored bytes change matters for the timing.
_FLAG_ORDER = tuple(_FLAG_FIELDS.values())
_SCALARS = (
    "pulse_us",
    "step_invert",
    "direction_invert",
    "idle_lock_ms",
    "report_mask",
    "junction_deviation",
    "arc_tolerance",
    "rpm_max",
    "rpm_min",
    "flags",
    "homing_direction",
    "homing_feed",
    "homing_seek",
    "homing_debounce_ms",
    "homing_pulloff",
)


class SettingRefused(Exception):
    """A setting line that the controller answers with ``error:code``."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the controller refuses this setting with error {code}")
        self.code = code


def _axes(value: float) -> list[float]:
    return [value] * 3


@dataclass
class Settings:
    """Settings in their own units: mm, mm/min, mm/s^2, ms, rpm. The defaults are the stock build's."""

    steps_per_mm: list[float] = field(default_factory=lambda: _axes(250.0))
    max_rate: list[float] = field(default_factory=lambda: _axes(500.0))
    acceleration: list[float] = field(default_factory=lambda: _axes(10.0))
    max_travel: list[float] = field(default_factory=lambda: _axes(200.0))
    pulse_us: int = 10
    idle_lock_ms: int = 25
    step_invert: int = 0
    direction_invert: int = 0
    report_mask: int = 1
    homing_direction: int = 0
    junction_deviation: float = 0.01
    arc_tolerance: float = 0.002
    homing_feed: float = 25.0
    homing_seek: float = 500.0
    homing_debounce_ms: int = 250
    homing_pulloff: float = 1.0
    rpm_max: float = 1000.0
    rpm_min: float = 0.0
    invert_enable: bool = False
    invert_limits: bool = False
    invert_probe: bool = False
    report_inches: bool = False
    soft_limits: bool = False
    hard_limits: bool = False
    homing_enable: bool = False
    laser_mode: bool = False

    def assign(self, number: int, value: float) -> None:
        """Apply ``$number=value`` with the controller's own checks.

        Raises:
            SettingRefused: negative (4), pulse under 3 us (6), soft limits without homing (10), unknown number (3).
        """
        if value < 0:
            raise SettingRefused(4)
        whole = math.trunc(value) & 0xFF
        if number >= 100:
            kind, axis = divmod(number - 100, 10)
            if kind >= len(_AXIS_FIELDS) or axis >= 3:
                raise SettingRefused(3)
            # Accelerations are kept in mm/min^2.
            kept = single(single(value * 60) * 60) / 3600 if _AXIS_FIELDS[kind] == "acceleration" else value
            getattr(self, _AXIS_FIELDS[kind])[axis] = kept
        elif number == 0 and whole < 3:
            raise SettingRefused(6)
        elif number == 20 and whole and not self.homing_enable:
            raise SettingRefused(10)
        elif number in _BYTE_FIELDS:
            setattr(self, _BYTE_FIELDS[number], whole)
        elif number in _FLOAT_FIELDS:
            setattr(self, _FLOAT_FIELDS[number], value)
        elif number == 26:
            self.homing_debounce_ms = whole
        elif number in _FLAG_FIELDS:
            setattr(self, _FLAG_FIELDS[number], bool(whole))
            if number == 22 and not whole:
                self.soft_limits = False
        else:
            raise SettingRefused(3)

    def listing(self) -> list[str]:
        """The lines of ``$$`` in order."""
        lines = []
        for number in (*range(7), *range(10, 14), *range(20, 28), 30, 31, 32):
            if number in _FLAG_FIELDS:
                text = str(int(getattr(self, _FLAG_FIELDS[number])))
            elif number in _BYTE_FIELDS:
                text = str(getattr(self, _BYTE_FIELDS[number]))
            elif number == 26:
                text = str(self.homing_debounce_ms)
            else:
                text = fixed(getattr(self, _FLOAT_FIELDS[number]), 0 if number in (30, 31) else 3)
            lines.append(f"${number}={text}")
        for kind, name in enumerate(_AXIS_FIELDS):
            lines += [f"${100 + 10 * kind + axis}={fixed(value, 3)}" for axis, value in enumerate(getattr(self, name))]
        return lines

    @property
    def flags(self) -> int:
        """The switches as bits."""
        return sum(1 << bit for bit, name in enumerate(_FLAG_ORDER) if getattr(self, name))

    @flags.setter
    def flags(self, value: int) -> None:
        for bit, name in enumerate(_FLAG_ORDER):
            setattr(self, name, bool(value >> bit & 1))

    def pack(self) -> bytes:
        """The stored form."""
        return _LAYOUT.pack(
            *self.steps_per_mm,
            *self.max_rate,
            *(value * 3600 for value in self.acceleration),
            *(-value for value in self.max_travel),
            *(getattr(self, name) for name in _SCALARS),
        )

    @classmethod
    def unpack(cls, data: bytes) -> "Settings":
        """Settings from their stored form, in single precision."""
        values = _LAYOUT.unpack(data)
        floats = list(values[:12])
        new = cls(
            steps_per_mm=floats[0:3],
            max_rate=floats[3:6],
            acceleration=[value / 3600 for value in floats[6:9]],
            max_travel=[-value for value in floats[9:12]],
        )
        for name, value in zip(_SCALARS, values[12:], strict=True):
            setattr(new, name, value)
        return new


def startup_address(number: int) -> int:
    return ADDRESS_STARTUP + number * (LINE_SIZE + 1)


def coordinate_address(index: int) -> int:
    return ADDRESS_COORDINATES + index * (COORDINATE_SIZE + 1)


def check_address(name: str) -> int:
    """Where the check byte of a record is: settings, g54..g59, g28, g30, n0, n1, build; or the version byte itself.

    Raises:
        ValueError: no such record.
    """
    known = {
        "version": ADDRESS_VERSION,
        "settings": ADDRESS_SETTINGS + _LAYOUT.size,
        "build": ADDRESS_BUILD + LINE_SIZE,
    }
    places = {f"g{54 + index}": index for index in range(G28_INDEX)} | {"g28": G28_INDEX, "g30": G30_INDEX}
    known |= {key: coordinate_address(index) + COORDINATE_SIZE for key, index in places.items()}
    known |= {f"n{number}": startup_address(number) + LINE_SIZE for number in range(STARTUP_LINES)}
    if name not in known:
        raise ValueError(name)
    return known[name]


def pack_coordinates(values: list[float]) -> bytes:
    return struct.pack("<3f", *values)


def unpack_coordinates(data: bytes) -> list[float]:
    return list(struct.unpack("<3f", data))


def restore_defaults(eeprom: Eeprom, *, settings: bool, coordinates: bool, texts: bool) -> int:
    """Write the chosen groups' defaults; returns how many bytes changed."""
    changed = 0
    if settings:
        changed += eeprom.put(ADDRESS_VERSION, bytes([VERSION]))
        changed += eeprom.put_record(ADDRESS_SETTINGS, Settings().pack())
    if coordinates:
        for index in range(COORDINATE_COUNT):
            changed += eeprom.put_record(coordinate_address(index), bytes(COORDINATE_SIZE))
    if texts:
        for number in range(STARTUP_LINES):
            changed += eeprom.put(startup_address(number), bytes(2))
        changed += eeprom.put(ADDRESS_BUILD, bytes(2))
    return changed


def _number(text: str) -> float:
    parsed = read_number(text, 0)
    if parsed is None:
        raise ValueError(text)
    return parsed[0]


def prepare(eeprom: Eeprom, values: dict[str, str]) -> None:
    """Fill an EEPROM as a used controller has it: defaults everywhere, then ``{"$110": "3000.000", ...}``."""
    eeprom.cells[:] = bytes(len(eeprom.cells))
    restore_defaults(eeprom, settings=True, coordinates=True, texts=True)
    settings = Settings()
    numbers = [(int(key.lstrip("$")), _number(text)) for key, text in values.items()]
    for number, value in sorted(numbers, key=lambda item: (item[0] == 20, item[0])):
        settings.assign(number, value)
    eeprom.put_record(ADDRESS_SETTINGS, settings.pack())
