# SPDX-License-Identifier: GPL-3.0-or-later
"""The homing cycle: Z, then X and Y together; each is found fast, left, found slowly, left by the pull-off.

No request is answered while it runs, only a reset or the door ends it (traces homing_*, door_homing_alarm7).
"""

import math
from typing import TYPE_CHECKING

from . import interrupts, realtime
from .kernel import Task
from .planner import MoveOptions
from .state import (
    ALARM_HOMING_APPROACH,
    ALARM_HOMING_DOOR,
    ALARM_HOMING_PULLOFF,
    ALARM_HOMING_RESET,
    CYCLE_STOP,
    RESET,
    SAFETY_DOOR,
)

if TYPE_CHECKING:
    from .firmware import Firmware

CYCLES = ((2,), (0, 1))
_SEARCH_SCALE = 1.5
_LOCATE_SCALE = 5.0
_APPROACHES = 2


def cycle(firmware: "Firmware", axes: tuple[int, ...] | None = None) -> Task[None]:
    """Home all axes, or only `axes` (single axis homing)."""
    firmware.limits_watched = False
    for group in CYCLES if axes is None else (axes,):
        yield from _home(firmware, group)
    yield from realtime.execute(firmware)
    if firmware.aborted:
        return
    firmware.sync_gcode_position()
    firmware.sync_plan_position()
    firmware.limits_watched = True


def _home(firmware: "Firmware", axes: tuple[int, ...]) -> Task[None]:
    if firmware.aborted:
        return
    settings = firmware.settings
    way = max(settings.max_travel[axis] for axis in axes) * _SEARCH_SCALE
    rate = settings.homing_seek
    for _ in range(_APPROACHES):
        if not (yield from _travel(firmware, axes, way, rate, approach=True)):
            return
        if not (yield from _travel(firmware, axes, settings.homing_pulloff, settings.homing_seek, approach=False)):
            return
        way, rate = settings.homing_pulloff * _LOCATE_SCALE, settings.homing_feed
    for axis in axes:
        scale = settings.steps_per_mm[axis]
        home = -settings.homing_pulloff
        if settings.homing_direction >> axis & 1:
            home = -settings.max_travel[axis] + settings.homing_pulloff
        firmware.stepper.position[axis] = round(home * scale)
    firmware.stepper.normal()


def _travel(firmware: "Firmware", axes: tuple[int, ...], way: float, rate: float, *, approach: bool) -> Task[bool]:
    """One way towards the switches or off them; False after an alarm."""
    settings, stepper = firmware.settings, firmware.stepper
    stepper.sync()
    for axis in axes:
        stepper.position[axis] = 0
    target = firmware.machine_position()
    for axis in axes:
        towards_minus = bool(settings.homing_direction >> axis & 1)
        target[axis] = -way if towards_minus == approach else way
    firmware.homing_unlocked = [axis in axes for axis in range(3)]
    options = MoveOptions(feed=rate * math.sqrt(len(axes)) / 60, keep_feed=True)
    firmware.planner.add_system(target, options, stepper.position)
    stepper.normal()
    stepper.use_system_block = True
    firmware.start_motion()
    while any(firmware.homing_unlocked):
        if approach:
            limits = firmware.limits
            stepper.sync()
            for axis in axes:
                if limits[axis]:
                    firmware.homing_unlocked[axis] = False
        stepper.prepare()
        if firmware.requests & (SAFETY_DOOR | RESET | CYCLE_STOP):
            _raise_alarm(firmware, axes, approach=approach)
            if firmware.alarm:
                interrupts.reset(firmware, masked=False)
                yield from realtime.execute(firmware)
                return False
            firmware.requests &= ~CYCLE_STOP
            break
        if any(firmware.homing_unlocked):
            yield None
    yield from firmware.reset_stepper()
    yield firmware.kernel.now + settings.homing_debounce_ms / 1000
    return True


def _raise_alarm(firmware: "Firmware", axes: tuple[int, ...], *, approach: bool) -> None:
    limits = firmware.limits
    if firmware.requests & RESET:
        firmware.alarm = ALARM_HOMING_RESET
    if firmware.requests & SAFETY_DOOR:
        firmware.alarm = ALARM_HOMING_DOOR
    if not approach and any(limits[axis] for axis in axes):
        firmware.alarm = ALARM_HOMING_PULLOFF
    if approach and firmware.requests & CYCLE_STOP:
        firmware.alarm = ALARM_HOMING_APPROACH
