# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves, arcs, dwells, probing, and the waits that they bring."""

import math
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from . import interrupts, realtime, report
from .checks import PLANES, Command
from .kernel import Task
from .planner import MoveOptions
from .state import (
    ALARM_PROBE_CONTACT,
    ALARM_PROBE_INITIAL,
    ALARM_SOFT_LIMIT,
    CYCLE_START,
    FEED_HOLD,
    State,
)

if TYPE_CHECKING:
    from .firmware import Firmware

_FULL_TURN_SLACK = 5e-7
_EXACT_CHORD_EVERY = 12


def out_of_travel(firmware: "Firmware", target: Sequence[float]) -> bool:
    """The machine position `target` is outside 0 .. -travel on some axis."""
    travel = firmware.settings.max_travel
    return any(value > 0 or value < -limit for value, limit in zip(target, travel, strict=True))


def line(firmware: "Firmware", target: Sequence[float], options: MoveOptions) -> Task[None]:
    """Plan a straight move to machine position `target`; waits while the planner is full."""
    if firmware.settings.soft_limits and firmware.state is not State.JOG and out_of_travel(firmware, target):
        yield from _soft_limit(firmware)
    if firmware.state is State.CHECK:
        return
    while True:
        yield from realtime.execute(firmware)
        if firmware.aborted:
            return
        if not firmware.planner.full:
            break
        firmware.auto_start()
        yield from firmware.wait()
    if not firmware.planner.add(target, options) and firmware.settings.laser_mode and options.spindle == 1:
        # A laser of constant power is set although nothing moves (motion_control.c mc_line).
        yield from spindle(firmware, options.spindle, options.spindle_speed)


def _soft_limit(firmware: "Firmware") -> Task[None]:
    firmware.soft_limit = True
    if firmware.state is State.RUN:
        firmware.request(FEED_HOLD)
        yield from _until_idle(firmware)
        if firmware.aborted:
            return
    interrupts.reset(firmware, masked=False)
    firmware.alarm = ALARM_SOFT_LIMIT
    yield from realtime.execute(firmware)


def _until_idle(firmware: "Firmware") -> Task[None]:
    while True:
        yield from realtime.execute(firmware)
        if firmware.aborted or firmware.state is State.IDLE:
            return
        yield from firmware.wait()


def drain(firmware: "Firmware") -> Task[None]:
    """Wait until every planned move is done."""
    firmware.auto_start()
    while True:
        yield from realtime.execute(firmware)
        if firmware.aborted or not (firmware.planner.blocks or firmware.state is State.RUN):
            return
        yield from firmware.wait()


def dwell(firmware: "Firmware", seconds: float) -> Task[None]:
    if firmware.state is State.CHECK:
        return
    yield from drain(firmware)
    yield from realtime.delay(firmware, seconds, suspended=False)


def spindle(firmware: "Firmware", direction: int, speed: float) -> Task[None]:
    """Change the spindle when the machine stands."""
    if firmware.state is State.CHECK:
        return
    yield from drain(firmware)
    if not firmware.aborted:
        firmware.set_spindle(direction, speed)


def coolant(firmware: "Firmware", *, flood: bool, mist: bool) -> Task[None]:
    """Change the coolant when the machine stands."""
    if firmware.state is State.CHECK:
        return
    yield from drain(firmware)
    if not firmware.aborted:
        firmware.set_coolant(flood=flood, mist=mist)


def arc(firmware: "Firmware", command: Command, options: MoveOptions) -> Task[None]:
    """A circular or helical arc as chords within the arc tolerance."""
    first, second, along = PLANES[command.modal.plane]
    position = list(firmware.gcode.position)
    centre = [position[first] + command.centre[first], position[second] + command.centre[second]]
    from_x, from_y = -command.centre[first], -command.centre[second]
    to_x, to_y = command.target[first] - centre[0], command.target[second] - centre[1]
    turn = math.atan2(from_x * to_y - from_y * to_x, from_x * to_x + from_y * to_y)
    if command.modal.motion == 2:
        if turn >= -_FULL_TURN_SLACK:
            turn -= 2 * math.pi
    elif turn <= _FULL_TURN_SLACK:
        turn += 2 * math.pi
    tolerance, radius = firmware.settings.arc_tolerance, command.radius
    chord_sqr = tolerance * (2 * radius - tolerance)
    # A radius below the tolerance has no root, so no chords: the arc is one straight move (motion_control.c mc_arc).
    chords = math.floor(abs(0.5 * turn * radius) / math.sqrt(chord_sqr)) if chord_sqr > 0 else 0
    if chords:
        if options.inverse_time:
            # The firmware forgets here that this is no feed in mm/min.
            options.feed *= chords
            options.inverse_time = False
        angle = turn / chords
        rise = (command.target[along] - position[along]) / chords
        cosine = 2.0 - angle * angle
        sine = angle * (cosine + 4.0) / 6
        cosine *= 0.5
        x, y = from_x, from_y
        for number in range(1, chords):
            if number % (_EXACT_CHORD_EVERY + 1):
                x, y = x * cosine - y * sine, x * sine + y * cosine
            else:
                exact_cosine, exact_sine = math.cos(number * angle), math.sin(number * angle)
                x = from_x * exact_cosine - from_y * exact_sine
                y = from_x * exact_sine + from_y * exact_cosine
            position[first], position[second] = centre[0] + x, centre[1] + y
            position[along] += rise
            yield from line(firmware, position, options)
            if firmware.aborted:
                return
    yield from line(firmware, command.target, options)


class Known(Enum):
    """Where the interpreter thinks the tool is after a probing move."""

    BEFORE = 1
    TARGET = 2
    MACHINE = 3


def probe(firmware: "Firmware", command: Command, options: MoveOptions) -> Task[Known]:
    """A probing move, with the result line and the alarms 4 (contact at the start) and 5 (none at the end).

    The position is the target in check mode and without contact (motion_control.c mc_probe_cycle).
    """
    if firmware.state is State.CHECK:
        return Known.TARGET
    yield from drain(firmware)
    if firmware.aborted:
        return Known.BEFORE
    kind = command.modal.motion
    firmware.probe_succeeded = False
    firmware.probe_away = kind >= 384
    if firmware.probe_state:
        firmware.alarm = ALARM_PROBE_INITIAL
        yield from realtime.execute(firmware)
        firmware.probe_away = False
        return Known.BEFORE
    yield from line(firmware, command.target, options)
    firmware.probe_active = True
    firmware.requests |= CYCLE_START
    yield from _until_idle(firmware)
    if firmware.aborted:
        return Known.BEFORE
    if firmware.probe_active:
        if kind in (383, 385):
            firmware.probe_position = list(firmware.stepper.position)
        else:
            firmware.alarm = ALARM_PROBE_CONTACT
    else:
        firmware.probe_succeeded = True
    firmware.probe_active = firmware.probe_away = False
    yield from realtime.execute(firmware)
    yield from firmware.reset_stepper()
    firmware.planner.reset()
    firmware.sync_plan_position()
    yield from firmware.send(report.probe_result(firmware))
    return Known.MACHINE if firmware.probe_succeeded else Known.TARGET
