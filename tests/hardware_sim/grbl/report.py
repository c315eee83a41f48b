# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of the controller: status report, ``$G``, ``$#`` and the fixed messages."""

from collections.abc import Iterable
from operator import sub
from typing import TYPE_CHECKING

from .numbers import coordinate, fixed, quotient, rate
from .state import CANCEL_JOG, DOOR_AJAR, HOLD_COMPLETE, INITIATE_RESTORE, RETRACT_COMPLETE, State

if TYPE_CHECKING:
    from .firmware import Firmware

WELCOME = "\r\nGrbl 1.1h ['$' for help]\r\n"
HELP = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n"
_MOVING = (State.HOME, State.RUN, State.HOLD, State.JOG, State.DOOR)
_STORED = ("G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30")
_WCO_BUSY, _WCO_IDLE, _OVERRIDE_BUSY, _OVERRIDE_IDLE = 30, 10, 20, 10


def message(text: str) -> str:
    return f"[MSG:{text}]\r\n"


def reply(code: int) -> str:
    """The one answer to a line."""
    return f"error:{code}\r\n" if code else "ok\r\n"


def _lengths(firmware: "Firmware", values: Iterable[float]) -> str:
    inches = firmware.settings.report_inches
    return ",".join(coordinate(value, inches=inches) for value in values)


def _state_text(firmware: "Firmware") -> str:
    state, suspend = firmware.state, firmware.suspend
    if state is State.HOLD:
        if suspend & CANCEL_JOG:
            return State.JOG.value
        return "Hold:0" if suspend & HOLD_COMPLETE else "Hold:1"
    if state is State.DOOR:
        if suspend & INITIATE_RESTORE:
            return "Door:3"
        if suspend & RETRACT_COMPLETE:
            return "Door:1" if suspend & DOOR_AJAR else "Door:0"
        return "Door:2"
    return str(state.value)


def _pins(firmware: "Firmware") -> str:
    world = firmware.world
    letters = "P" if firmware.probe_state else ""
    letters += "".join(name for name, closed in zip("XYZ", firmware.limits, strict=True) if closed)
    letters += "D" if firmware.door_ajar else ""
    letters += "R" if "reset" in world.buttons else ""
    letters += "H" if "hold" in world.buttons and not firmware.build.door_pin else ""
    letters += "S" if "start" in world.buttons else ""
    return letters


def status_report(firmware: "Firmware") -> str:
    """One ``<...>`` line. WCO and Ov come now and then, never both, and more often when nothing moves."""
    settings = firmware.settings
    firmware.stepper.sync()
    position = firmware.machine_position()
    offset = firmware.work_offset()
    inches = settings.report_inches
    parts = [_state_text(firmware)]
    if settings.report_mask & 1:
        parts.append("MPos:" + _lengths(firmware, position))
    else:
        parts.append("WPos:" + _lengths(firmware, map(sub, position, offset)))
    if settings.report_mask & 2:
        parts.append(f"Bf:{firmware.planner.available},{firmware.rx.free}")
    if firmware.build.line_numbers and firmware.planner.blocks:
        number = firmware.planner.blocks[0].options.line_number
        if number:
            parts.append(f"Ln:{number}")
    speed = firmware.stepper.speed * 60 if firmware.state in _MOVING else 0.0
    parts.append(f"FS:{rate(speed, inches=inches)},{fixed(firmware.spindle_speed, 0)}")
    pins = _pins(firmware)
    if pins:
        parts.append("Pn:" + pins)
    busy = firmware.state in _MOVING
    if firmware.wco_counter > 0:
        firmware.wco_counter -= 1
    else:
        firmware.wco_counter = (_WCO_BUSY if busy else _WCO_IDLE) - 1
        if firmware.override_counter == 0:
            firmware.override_counter = 1
        parts.append("WCO:" + _lengths(firmware, offset))
    if firmware.override_counter > 0:
        firmware.override_counter -= 1
    else:
        firmware.override_counter = (_OVERRIDE_BUSY if busy else _OVERRIDE_IDLE) - 1
        planner = firmware.planner
        parts.append(f"Ov:{planner.feed_percent},{planner.rapid_percent},{firmware.spindle_percent}")
        world = firmware.world
        accessories = {0: "", 1: "S", 2: "C"}[world.spindle if world.spindle_pwm else 0]
        accessories += ("F" if world.flood else "") + ("M" if world.mist else "")
        if accessories:
            parts.append("A:" + accessories)
    return "<" + "|".join(parts) + ">\r\n"


def modes(firmware: "Firmware") -> str:
    """The answer to ``$G``."""
    state = firmware.gcode
    modal = state.modal
    inches = firmware.settings.report_inches
    motion = f"G38.{modal.motion - 380}" if modal.motion > 380 else f"G{modal.motion}"
    words = [motion, f"G{54 + modal.coordinate}", f"G{modal.plane}", "G20" if modal.inches else "G21"]
    words += ["G90" if modal.absolute else "G91", "G93" if modal.inverse_time else "G94"]
    if modal.stop is not None:
        words.append(f"M{modal.stop}")
    words.append({0: "M5", 1: "M3", 2: "M4"}[modal.spindle])
    if modal.mist:
        words.append("M7")
    if modal.flood:
        words.append("M8")
    if not modal.mist and not modal.flood:
        words.append("M9")
    words += [f"T{state.tool}", f"F{rate(state.feed, inches=inches)}", f"S{fixed(state.spindle_speed, 0)}"]
    return "[GC:" + " ".join(words) + "]\r\n"


def stored_coordinates(firmware: "Firmware", index: int, data: list[float]) -> str:
    """One line of ``$#`` about stored coordinate data: G54..G59, G28, G30."""
    return f"[{_STORED[index]}:{_lengths(firmware, data)}]\r\n"


def parameters(firmware: "Firmware") -> str:
    """What ``$#`` says of data that are not stored."""
    lines = [f"[G92:{_lengths(firmware, firmware.gcode.g92)}]\r\n"]
    lines.append(f"[TLO:{_lengths(firmware, [firmware.gcode.tool_length])}]\r\n")
    lines.append(probe_result(firmware))
    return "".join(lines)


def probe_result(firmware: "Firmware") -> str:
    """``[PRB:x,y,z:1]``"""
    settings = firmware.settings
    where = [
        quotient(steps, scale) for steps, scale in zip(firmware.probe_position, settings.steps_per_mm, strict=True)
    ]
    return f"[PRB:{_lengths(firmware, where)}:{int(firmware.probe_succeeded)}]\r\n"
