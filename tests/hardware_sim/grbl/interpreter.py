# SPDX-License-Identifier: GPL-3.0-or-later
"""Execution of a checked G-code line, in the controller's order."""

from typing import TYPE_CHECKING

from . import motion, realtime, report
from .checks import (
    DWELL,
    GO_28,
    GO_30,
    OFFSET,
    OFFSET_OFF,
    SET_28,
    SET_30,
    SET_DATA,
    Command,
    Modal,
    check_line,
)
from .eeprom import write_time
from .kernel import Task
from .planner import MoveOptions
from .settings import G28_INDEX, G30_INDEX, coordinate_address, pack_coordinates
from .state import FEED_HOLD, State
from .words import BAD_LETTER, NO_MOTION, Refused, read_words

if TYPE_CHECKING:
    from .firmware import Firmware

JOG_OUT_OF_TRAVEL = 15
_JOG_PREFIX = len("$J=")
_CUTTING = (1, 2, 3)


def execute(firmware: "Firmware", text: str) -> Task[None]:
    """Parse and run one line of G-code. A stored startup line may be a jog line (gcode.c, first step).

    Raises:
        Refused: the line is answered with an error; nothing of it was done.
    """
    if text.startswith("$"):
        yield from jog(firmware, text)
        return
    words = read_words(text, start=0, mist_built=firmware.build.mist)
    command = check_line(words, firmware.gcode, firmware.read_coordinates, jog=False)
    yield from _run(firmware, command)


def jog(firmware: "Firmware", text: str) -> Task[None]:
    """Run one ``$J=`` line; the modal state stays.

    A line without axis words has the target 0,0,0 in machine coordinates (trace jog_without_axis_words).

    Raises:
        Refused: syntax, or a target out of travel (15).
    """
    if len(text) < _JOG_PREFIX:
        # Behind its end the stored line still has its "=" (gcode.c, first step).
        raise Refused(BAD_LETTER)
    words = read_words(text, start=_JOG_PREFIX, mist_built=firmware.build.mist)
    command = check_line(words, firmware.gcode, firmware.read_coordinates, jog=True)
    if firmware.settings.soft_limits and motion.out_of_travel(firmware, command.target):
        raise Refused(JOG_OUT_OF_TRAVEL)
    options = _options(firmware, command)
    options.feed, options.keep_feed = command.feed / 60, True
    yield from motion.line(firmware, command.target, options)
    if firmware.state is State.IDLE and firmware.planner.blocks:
        firmware.state = State.JOG
        firmware.start_motion()
    firmware.gcode.position = list(command.target)


class Laser:
    """What ``$32`` makes of a line's spindle word: `off` outside G1, G2, G3 (gcode.c step 4)."""

    def __init__(self, firmware: "Firmware", command: Command) -> None:
        self.off = self.is_motion = self.force_sync = False
        if not firmware.settings.laser_mode:
            return
        modal = firmware.gcode.modal
        self.off = command.modal.motion not in _CUTTING
        self.is_motion = bool(command.words.axes) and command.words.axis_user == "motion"
        if not self.is_motion and modal.spindle == 1:
            # Constant power (M3) changes between cutting and other modes only when the machine stands.
            self.force_sync = self.off == (modal.motion in _CUTTING)


def _options(firmware: "Firmware", command: Command) -> MoveOptions:
    modal = firmware.gcode.modal
    return MoveOptions(
        feed=command.feed / 60,
        inverse_time=command.modal.inverse_time,
        spindle=modal.spindle,
        spindle_speed=0.0 if command.laser_off else firmware.gcode.spindle_speed,
        coolant=int(modal.flood) | int(modal.mist) << 1,
        line_number=command.line_number,
    )


def _run(firmware: "Firmware", command: Command) -> Task[None]:
    state, new = firmware.gcode, command.modal
    laser = Laser(firmware, command)
    state.modal.inverse_time = new.inverse_time
    state.feed = command.feed
    if state.spindle_speed != command.spindle_speed or laser.force_sync:
        if state.modal.spindle and not laser.is_motion:
            yield from motion.spindle(firmware, state.modal.spindle, 0.0 if laser.off else command.spindle_speed)
        state.spindle_speed = command.spindle_speed
    command.laser_off = laser.off
    state.tool = command.tool
    if state.modal.spindle != new.spindle:
        yield from motion.spindle(firmware, new.spindle, 0.0 if laser.off else state.spindle_speed)
        state.modal.spindle = new.spindle
    if (state.modal.flood, state.modal.mist) != (new.flood, new.mist):
        yield from motion.coolant(firmware, flood=new.flood, mist=new.mist)
        state.modal.flood, state.modal.mist = new.flood, new.mist
    if command.words.non_modal == DWELL:
        yield from motion.dwell(firmware, command.dwell)
    state.modal.plane = new.plane
    state.modal.inches = new.inches
    if command.tool_length is not None and command.tool_length != state.tool_length:
        state.tool_length = command.tool_length
        yield from _offset_changed(firmware)
    if state.modal.coordinate != new.coordinate:
        state.modal.coordinate = new.coordinate
        state.coordinate_offset = list(command.coordinate_offset)
        yield from _offset_changed(firmware)
    state.modal.absolute = new.absolute
    yield from _non_modal(firmware, command)
    state.modal.motion = new.motion
    if new.motion != NO_MOTION and command.words.axis_user == "motion" and command.moves:
        yield from _move(firmware, command)
    if new.stop is not None:
        yield from _program_stop(firmware, new.stop)


def _offset_changed(firmware: "Firmware") -> Task[None]:
    yield from motion.drain(firmware)
    firmware.wco_counter = 0


def _store(firmware: "Firmware", index: int, data: list[float]) -> Task[None]:
    yield from motion.drain(firmware)
    changed = firmware.eeprom.put_record(coordinate_address(index), pack_coordinates(data))
    yield from write_time(firmware.kernel, firmware.rx, changed)


def _non_modal(firmware: "Firmware", command: Command) -> Task[None]:
    state, code = firmware.gcode, command.words.non_modal
    if code == SET_DATA:
        yield from _store(firmware, command.data_index, command.data)
        if command.data_index == state.modal.coordinate:
            state.coordinate_offset = list(command.data)
            yield from _offset_changed(firmware)
    elif code in (GO_28, GO_30):
        options = _options(firmware, command)
        options.rapid = True
        if command.words.axis_user:
            yield from motion.line(firmware, command.target, options)
        yield from motion.line(firmware, command.go_to, options)
        state.position = list(command.go_to)
    elif code in (SET_28, SET_30):
        yield from _store(firmware, G28_INDEX if code == SET_28 else G30_INDEX, state.position)
    elif code == OFFSET:
        state.g92 = list(command.target)
        yield from _offset_changed(firmware)
    elif code == OFFSET_OFF:
        state.g92 = [0.0] * 3
        yield from _offset_changed(firmware)


def _move(firmware: "Firmware", command: Command) -> Task[None]:
    kind = command.modal.motion
    options = _options(firmware, command)
    if kind == 0:
        options.rapid, options.inverse_time = True, False
        yield from motion.line(firmware, command.target, options)
    elif kind == 1:
        yield from motion.line(firmware, command.target, options)
    elif kind in (2, 3):
        yield from motion.arc(firmware, command, options)
    else:
        options.keep_feed = True
        known = yield from motion.probe(firmware, command, options)
        if known is motion.Known.MACHINE:
            firmware.sync_gcode_position()
        if known is not motion.Known.TARGET:
            return
    firmware.gcode.position = list(command.target)


def _program_stop(firmware: "Firmware", code: int) -> Task[None]:
    yield from motion.drain(firmware)
    checking = firmware.state is State.CHECK
    if code == 0:
        if not checking:
            firmware.request(FEED_HOLD)
            yield from realtime.execute(firmware)
        return
    state = firmware.gcode
    state.modal = Modal(motion=1, inches=state.modal.inches)
    planner = firmware.planner
    planner.feed_percent = planner.rapid_percent = firmware.spindle_percent = 100
    if not checking:
        state.coordinate_offset = firmware.read_coordinates(0)
        yield from _offset_changed(firmware)
        firmware.set_spindle(0, 0.0)
        firmware.set_coolant(flood=False, mist=False)
    yield from firmware.send(report.message("Pgm End"))
