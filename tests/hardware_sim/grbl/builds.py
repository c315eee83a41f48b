# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile-time options of the recorded controllers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Build:
    """Compile-time options. `stock` has none of them; the recorded door pin build has all but the bent axis."""

    door_pin: bool = False
    mist: bool = False
    line_numbers: bool = False
    single_axis_homing: bool = False
    options: str = "V"


STOCK = Build()
DOOR = Build(door_pin=True, mist=True, line_numbers=True, single_axis_homing=True, options="VNMH+")
BUILDS = {"stock": STOCK, "door": DOOR}
