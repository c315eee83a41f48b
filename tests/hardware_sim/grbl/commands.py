# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``$`` commands."""

import math
from typing import TYPE_CHECKING

from . import homing, interpreter, interrupts, motion, report
from .eeprom import write_time
from .kernel import Task
from .numbers import read_number
from .settings import (
    ADDRESS_BUILD,
    ADDRESS_SETTINGS,
    COORDINATE_COUNT,
    LINE_SIZE,
    STARTUP_LINES,
    SettingRefused,
    restore_defaults,
    startup_address,
)
from .state import SLEEP, State
from .words import Refused

if TYPE_CHECKING:
    from .firmware import Firmware

BAD_NUMBER, BAD_STATEMENT, HOMING_OFF, READ_FAILED, NOT_IDLE, DOOR_OPEN = 2, 3, 5, 7, 8, 13
_HOMING_AXES = {"X": (0,), "Y": (1,), "Z": (2,)}
_RESTORE = {
    "$": {"settings": True, "coordinates": False, "texts": False},
    "#": {"settings": False, "coordinates": True, "texts": False},
    "*": {"settings": True, "coordinates": True, "texts": True},
}
# These make the firmware set up its PWM anew, which begins with the output off (settings.c, spindle_control.c).
_SPINDLE_SETTINGS = (30, 31, 32)
BUILD_TEXT = "1.1h.20190830"


def execute(firmware: "Firmware", text: str) -> Task[int]:
    """Run the line `text`, which starts with ``$``; returns the error number, 0 for ok."""
    name = text[1:2]
    state = firmware.state
    if name == "":
        yield from firmware.send(report.HELP)
        return 0
    if name == "J":
        if state not in (State.IDLE, State.JOG):
            return NOT_IDLE
        if text[2:3] != "=":
            return BAD_STATEMENT
        yield from interpreter.jog(firmware, text)
        return 0
    if name in "$GCX":
        if len(text) > 2:
            return BAD_STATEMENT
        return (yield from _single(firmware, name))
    if state not in (State.IDLE, State.ALARM):
        return NOT_IDLE
    if name == "#":
        if len(text) > 2:
            return BAD_STATEMENT
        return (yield from _parameters(firmware))
    if name == "H":
        return (yield from _home(firmware, text))
    if name == "S":
        if text != "$SLP":
            return BAD_STATEMENT
        firmware.request(SLEEP)
        return 0
    if name == "I":
        return (yield from _build(firmware, text))
    if name == "R":
        return (yield from _restore(firmware, text))
    return (yield from _assign(firmware, text))


def _single(firmware: "Firmware", name: str) -> Task[int]:
    state = firmware.state
    if name == "$":
        if state in (State.RUN, State.HOLD):
            return NOT_IDLE
        yield from firmware.send("".join(line + "\r\n" for line in firmware.settings.listing()))
    elif name == "G":
        yield from firmware.send(report.modes(firmware))
    elif name == "C":
        if state is State.CHECK:
            interrupts.reset(firmware, masked=False)
            yield from firmware.send(report.message("Disabled"))
        elif state is not State.IDLE:
            return NOT_IDLE
        else:
            firmware.state = State.CHECK
            yield from firmware.send(report.message("Enabled"))
    elif state is State.ALARM:
        if firmware.door_ajar:
            return DOOR_OPEN
        yield from firmware.send(report.message("Caution: Unlocked"))
        firmware.state = State.IDLE
    return 0


def _parameters(firmware: "Firmware") -> Task[int]:
    """``$#``; where a record cannot be read the list ends with that error, and the line is still answered ok."""
    for index in range(COORDINATE_COUNT):
        try:
            data = firmware.read_coordinates(index)
        except Refused as refusal:
            yield from firmware.send(report.reply(refusal.code))
            return 0
        yield from firmware.send(report.stored_coordinates(firmware, index, data))
    yield from firmware.send(report.parameters(firmware))
    return 0


def _home(firmware: "Firmware", text: str) -> Task[int]:
    if not firmware.settings.homing_enable:
        return HOMING_OFF
    if firmware.door_ajar:
        return DOOR_OPEN
    # The state comes before the look at the rest of the line: after a refused one it stays Home until a reset,
    # which is an ALARM:6 (system.c, case 'H').
    firmware.state = State.HOME
    axes = None
    if len(text) > 2:
        if not firmware.build.single_axis_homing or text[2:] not in _HOMING_AXES:
            return BAD_STATEMENT
        axes = _HOMING_AXES[text[2:]]
    yield from homing.cycle(firmware, axes)
    if not firmware.aborted:
        firmware.state = State.IDLE
        yield from firmware.motors_idle()
        if axes is None:
            yield from firmware.run_startup_lines()
    return 0


def _write_text(firmware: "Firmware", address: int, from_character: int) -> Task[None]:
    """Store the line buffer from a character on, with whatever older lines left behind the end."""
    buffer = firmware.line_buffer
    end = buffer.index(0, from_character) + 1
    tail = buffer[end - from_character :]
    content = bytes(buffer[from_character:end]) + bytes(tail)
    buffer[:] = content[:LINE_SIZE]
    changed = firmware.eeprom.put_record(address, bytes(buffer))
    yield from write_time(firmware.kernel, firmware.rx, changed)


def read_text(firmware: "Firmware", address: int) -> Task[str | None]:
    """The stored text, read into the line buffer. One that cannot be read is cleared and None."""
    data, good = firmware.eeprom.read(address, LINE_SIZE)
    firmware.line_buffer[:] = data
    if good:
        return data.split(b"\0", 1)[0].decode("latin-1")
    firmware.line_buffer[0] = 0
    changed = firmware.eeprom.put_record(address, bytes(firmware.line_buffer))
    yield from write_time(firmware.kernel, firmware.rx, changed)
    return None


def _build(firmware: "Firmware", text: str) -> Task[int]:
    if len(text) == 2:
        named = yield from read_text(firmware, ADDRESS_BUILD)
        yield from firmware.send(f"[VER:{BUILD_TEXT}:{named or ''}]\r\n")
        yield from firmware.send(f"[OPT:{firmware.build.options},15,128]\r\n")
        return 0
    if text[2] != "=":
        return BAD_STATEMENT
    yield from _write_text(firmware, ADDRESS_BUILD, 3)
    return 0


def _restore(firmware: "Firmware", text: str) -> Task[int]:
    groups = _RESTORE.get(text[5:])
    if not text.startswith("$RST=") or groups is None:
        return BAD_STATEMENT
    changed = restore_defaults(firmware.eeprom, **groups)
    yield from write_time(firmware.kernel, firmware.rx, changed)
    firmware.reload_settings()
    yield from firmware.send(report.message("Restoring defaults"))
    interrupts.reset(firmware, masked=False)
    return 0


def _assign(firmware: "Firmware", text: str) -> Task[int]:
    startup = text[1] == "N"
    if startup and len(text) == 2:
        for number in range(STARTUP_LINES):
            line = yield from read_text(firmware, startup_address(number))
            yield from firmware.send(report.reply(READ_FAILED) if line is None else f"$N{number}={line}\r\n")
        return 0
    if startup and firmware.state is not State.IDLE:
        return NOT_IDLE
    parsed = read_number(text, 2 if startup else 1)
    if parsed is None:
        return BAD_NUMBER
    value, at = parsed
    number = math.trunc(value) & 0xFF
    if text[at : at + 1] != "=":
        return BAD_STATEMENT
    at += 1
    if startup:
        line = text[at:]
        if line:
            yield from interpreter.execute(firmware, line)
        # Any number up to 255 is taken and written behind the others, over what is there (settings.c).
        yield from motion.drain(firmware)
        yield from _write_text(firmware, startup_address(number), at)
        return 0
    parsed = read_number(text, at)
    if parsed is None:
        return BAD_NUMBER
    if parsed[1] != len(text) or value > 255:
        return BAD_STATEMENT
    try:
        firmware.settings.assign(number, parsed[0])
    except SettingRefused as refusal:
        return refusal.code
    if number == 13:
        firmware.wco_counter = 0
    elif number in _SPINDLE_SETTINGS:
        firmware.stop_spindle_output()
    changed = firmware.eeprom.put_record(ADDRESS_SETTINGS, firmware.settings.pack())
    yield from write_time(firmware.kernel, firmware.rx, changed)
    return 0
