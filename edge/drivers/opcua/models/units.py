# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of lengths, feeds, speeds and ratios, and what takes them to mm, mm/min, rev/min and per cent.

In OPC UA a unit is an EUInformation (OPC 10000-8, 5.6.4.3) whose UnitId is the code of UNECE Recommendation 20 as the
number that its characters make. Makers often leave it empty and write a display name only, or nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Quantity(Enum):
    """What a unit measures, and what InfoMobil counts it in."""

    LENGTH = "mm"
    FEED = "mm/min"
    SPEED = "rev/min"
    RATIO = "%"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: one of it is `factor` of its quantity's own unit; codes are UNECE's, names what people write."""

    name: str
    quantity: Quantity
    factor: float
    codes: tuple[str, ...]
    names: tuple[str, ...] = ()


UNITS = (
    Unit("mm", Quantity.LENGTH, 1.0, ("MMT",), ("millimetre", "millimeter", "millimetres", "millimeters")),
    Unit("cm", Quantity.LENGTH, 10.0, ("CMT",), ("centimetre", "centimeter")),
    Unit("m", Quantity.LENGTH, 1000.0, ("MTR",), ("metre", "meter")),
    Unit("um", Quantity.LENGTH, 0.001, ("4H",), ("µm", "μm", "micrometre", "micrometer")),
    Unit("in", Quantity.LENGTH, 25.4, ("INH",), ("inch", "inches", '"')),
    Unit("mm/min", Quantity.FEED, 1.0, ("H81",), ("millimetre per minute",)),
    Unit("mm/s", Quantity.FEED, 60.0, ("C16",), ("millimetre per second",)),
    Unit("m/min", Quantity.FEED, 1000.0, ("2X",), ("metre per minute",)),
    Unit("m/s", Quantity.FEED, 60_000.0, ("MTS",), ("metre per second",)),
    Unit("in/min", Quantity.FEED, 25.4, ("M63",), ("inch/min", "inch per minute", "ipm")),
    # The node set of OPC 40502 gives spindle speeds as C94, reciprocal minute.
    Unit(
        "rev/min",
        Quantity.SPEED,
        1.0,
        ("RPM", "C94"),
        ("rpm", "1/min", "min-1", "min^-1", "min⁻¹", "r/min", "u/min"),
    ),
    Unit("rev/s", Quantity.SPEED, 60.0, ("RPS", "C97"), ("rps", "1/s", "s-1", "s⁻¹", "r/s")),
    Unit("rad/s", Quantity.SPEED, 60 / (2 * math.pi), ("2A",), ("radian per second",)),
    Unit("%", Quantity.RATIO, 1.0, ("P1",), ("percent", "per cent")),
    Unit("ratio", Quantity.RATIO, 100.0, ("C62",), ("1",)),
)

_BY_NAME = {name: unit for unit in UNITS for name in (unit.name, *unit.names)}
_BY_CODE = {int.from_bytes(code.encode(), "big"): unit for unit in UNITS for code in unit.codes}


def unit_named(name: str) -> Unit | None:
    """Return the unit that people call `name`."""
    return _BY_NAME.get(name.strip().lower()) or _BY_NAME.get(name.strip())


def names_of(quantity: Quantity) -> tuple[str, ...]:
    """Return the names of a quantity's units."""
    return tuple(unit.name for unit in UNITS if unit.quantity is quantity)


def factor_of(information: object, quantity: Quantity) -> float | None:
    """Return what takes a value with this EUInformation to the quantity's own unit; None where it is another's.

    A server that names no unit at all is taken to mean the quantity's own.
    """
    code = _part(information, "UnitId")
    name = _text(_part(information, "DisplayName"))
    unit = _BY_CODE.get(code) if isinstance(code, int) else None
    if unit is None and name:
        unit = unit_named(name)
    if unit is not None:
        return unit.factor if unit.quantity is quantity else None
    names_none = not name and (not isinstance(code, int) or code in (0, -1))
    return 1.0 if names_none else None


def _part(information: object, name: str) -> object:
    if isinstance(information, Mapping):
        return information.get(name)
    return getattr(information, name, None)


def _text(value: object) -> str:
    found = value if isinstance(value, str) else _part(value, "Text")
    return found.strip() if isinstance(found, str) else ""
