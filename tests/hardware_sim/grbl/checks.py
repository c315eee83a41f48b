# SPDX-License-Identifier: GPL-3.0-or-later
"""Second pass over a G-code line: units, modes and targets against the modal state, then what must not be left over.

Nothing is executed here: a line with an error changes nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from .numbers import INCH, single
from .words import AXIS_LETTERS, NO_AXIS, NO_FEED, NO_MOTION, UNSUPPORTED, Refused, Words

LINE_NUMBER_TOO_HIGH, MISSING_WORD, BAD_COORDINATE, G53_MOTION = 27, 28, 29, 30
UNUSED_AXIS, NO_AXIS_IN_PLANE, BAD_TARGET, ARC_RADIUS, NO_CENTRE, UNUSED_WORD, TLO_AXIS = 31, 32, 33, 34, 35, 36, 37
JOG_SYNTAX = 16
MAX_LINE_NUMBER = 10_000_000
PLANES = {17: (0, 1, 2), 18: (2, 0, 1), 19: (1, 2, 0)}
_JOG_GROUPS = {0, 3, 6}
DWELL, SET_DATA, GO_28, SET_28, GO_30, SET_30, MACHINE, OFFSET, OFFSET_OFF = 40, 100, 280, 281, 300, 301, 530, 920, 921


@dataclass
class Modal:
    """Modal groups; a soft reset brings these values."""

    motion: int = 0
    plane: int = 17
    absolute: bool = True
    inverse_time: bool = False
    inches: bool = False
    coordinate: int = 0
    spindle: int = 0
    flood: bool = False
    mist: bool = False
    stop: int | None = None


@dataclass
class GcodeState:
    """Everything that outlives a line. Lengths mm, feed mm/min (1/min in inverse time)."""

    modal: Modal = field(default_factory=Modal)
    feed: float = 0.0
    spindle_speed: float = 0.0
    tool: int = 0
    position: list[float] = field(default_factory=lambda: [0.0] * 3)
    coordinate_offset: list[float] = field(default_factory=lambda: [0.0] * 3)
    g92: list[float] = field(default_factory=lambda: [0.0] * 3)
    tool_length: float = 0.0


@dataclass
class Command:
    """A checked line, ready to execute."""

    words: Words
    modal: Modal
    feed: float
    spindle_speed: float
    tool: int
    target: list[float]
    line_number: int = 0
    dwell: float = 0.0
    tool_length: float | None = None
    coordinate_offset: list[float] = field(default_factory=list)
    data_index: int = 0
    data: list[float] = field(default_factory=list)
    go_to: list[float] = field(default_factory=list)
    centre: list[float] = field(default_factory=lambda: [0.0] * 3)
    radius: float = 0.0
    moves: bool = False
    laser_off: bool = False


Reader = Callable[[int], list[float]]


def check_line(words: Words, state: GcodeState, read_coordinates: Reader, *, jog: bool) -> Command:
    """The command that `words` mean in `state`; `read_coordinates(index)` reads stored coordinate data.

    Raises:
        Refused: with the controller's error number.
    """
    values = dict(words.values)
    axes = words.axes
    if axes and not words.axis_user:
        words.axis_user = "motion"
    if values.pop("N", 0) > MAX_LINE_NUMBER:
        raise Refused(LINE_NUMBER_TOO_HIGH)
    modal = _new_modal(words, state.modal)
    if jog:
        modal.inverse_time = False
        if words.motion is None:
            modal.motion = 1
    scale = INCH if modal.inches else 1.0
    command = Command(
        words=words,
        modal=modal,
        feed=_feed(words, values, state, modal, scale=scale, jog=jog),
        spindle_speed=values.get("S", state.spindle_speed),
        tool=math.trunc(values.get("T", 0)),
        target=[single(values.get(letter, 0.0) * scale) for letter in AXIS_LETTERS],
        line_number=math.trunc(words.values.get("N", 0)),
    )
    if words.non_modal == DWELL:
        if "P" not in values:
            raise Refused(MISSING_WORD)
        command.dwell = values.pop("P")
    if words.tool_offset == 43:
        if axes != ["Z"]:
            raise Refused(TLO_AXIS)
        command.tool_length = command.target[2]
    elif words.tool_offset == 49:
        command.tool_length = 0.0
    changed = modal.coordinate != state.modal.coordinate
    command.coordinate_offset = read_coordinates(modal.coordinate) if changed else list(state.coordinate_offset)
    _non_modal(command, state, values, read_coordinates)
    if modal.motion == NO_MOTION:
        if axes:
            raise Refused(UNUSED_AXIS)
    elif words.axis_user == "motion":
        _motion(command, state, values, scale)
    for letter in ("F", "N") if jog else ("F", "N", "S", "T"):
        values.pop(letter, None)
    if words.axis_user:
        for letter in AXIS_LETTERS:
            values.pop(letter, None)
    if values:
        raise Refused(UNUSED_WORD)
    if jog and (words.groups - _JOG_GROUPS or words.non_modal not in (0, MACHINE)):
        raise Refused(JOG_SYNTAX)
    return command


def _new_modal(words: Words, old: Modal) -> Modal:
    def pick(new: int | None, before: int) -> int:
        return before if new is None else new

    return Modal(
        motion=pick(words.motion, old.motion),
        plane=pick(words.plane, old.plane),
        absolute=old.absolute if words.absolute is None else words.absolute,
        inverse_time=old.inverse_time if words.inverse_time is None else words.inverse_time,
        inches=old.inches if words.inches is None else words.inches,
        coordinate=pick(words.coordinate, old.coordinate),
        spindle=pick(words.spindle, old.spindle),
        flood=words.coolant == "flood" or (old.flood and words.coolant != "off"),
        mist=words.coolant == "mist" or (old.mist and words.coolant != "off"),
        stop=words.stop,
    )


def _feed(words: Words, values: dict[str, float], state: GcodeState, modal: Modal, *, scale: float, jog: bool) -> float:
    if jog:
        if "F" not in values:
            raise Refused(NO_FEED)
        return single(values["F"] * scale)
    if modal.inverse_time:
        if words.axis_user == "motion" and modal.motion not in (NO_MOTION, 0) and "F" not in values:
            raise Refused(NO_FEED)
        return values.get("F", 0.0)
    if state.modal.inverse_time:
        # Coming back from G93 an F word is taken as mm/min even in inches (gcode.c step 3).
        return values.get("F", 0.0)
    return single(values["F"] * scale) if "F" in values else state.feed


def _non_modal(command: Command, state: GcodeState, values: dict[str, float], read_coordinates: Reader) -> None:
    words, target = command.words, command.target
    axes = words.axes
    code = words.non_modal
    if code == SET_DATA:
        _data(command, state, values, read_coordinates)
        return
    if code == OFFSET:
        if not axes:
            raise Refused(NO_AXIS)
        for axis, letter in enumerate(AXIS_LETTERS):
            if letter in axes:
                new = single(single(state.position[axis] - command.coordinate_offset[axis]) - target[axis])
                target[axis] = single(new - state.tool_length) if axis == 2 else new
            else:
                target[axis] = state.g92[axis]
        return
    if words.axis_user != "tool offset" and axes:
        for axis, letter in enumerate(AXIS_LETTERS):
            if letter not in axes:
                target[axis] = state.position[axis]
            elif code == MACHINE:
                continue
            elif command.modal.absolute:
                target[axis] = single(target[axis] + single(command.coordinate_offset[axis] + state.g92[axis]))
                if axis == 2:
                    target[axis] = single(target[axis] + state.tool_length)
            else:
                target[axis] = single(target[axis] + state.position[axis])
    if code in (GO_28, GO_30):
        command.go_to = read_coordinates(6 if code == GO_28 else 7)
        if axes:
            command.go_to = [
                stored if letter in axes else state.position[axis]
                for axis, (letter, stored) in enumerate(zip(AXIS_LETTERS, command.go_to, strict=True))
            ]
        else:
            words.axis_user = ""
    elif code == MACHINE and command.modal.motion not in (0, 1):
        raise Refused(G53_MOTION)


def _data(command: Command, state: GcodeState, values: dict[str, float], read_coordinates: Reader) -> None:
    words, target = command.words, command.target
    if not words.axes:
        raise Refused(NO_AXIS)
    # Only a line without both misses a word; without P it means P0, without L an unknown L (gcode.c step 3).
    if "P" not in values and "L" not in values:
        raise Refused(MISSING_WORD)
    number = math.trunc(values.pop("P", 0.0)) & 0xFF
    if number > 6:
        raise Refused(BAD_COORDINATE)
    kind = math.trunc(values.pop("L", 0.0)) & 0xFF
    if kind != 20 and (kind != 2 or "R" in values):
        raise Refused(UNSUPPORTED)
    command.data_index = number - 1 if number else command.modal.coordinate
    data = read_coordinates(command.data_index)
    for axis, letter in enumerate(AXIS_LETTERS):
        if letter not in words.axes:
            continue
        if kind == 20:
            data[axis] = single(single(state.position[axis] - state.g92[axis]) - target[axis])
            if axis == 2:
                data[axis] = single(data[axis] - state.tool_length)
        else:
            data[axis] = target[axis]
    command.data = data


def _motion(command: Command, state: GcodeState, values: dict[str, float], scale: float) -> None:
    axes, motion = command.words.axes, command.modal.motion
    if motion == 0:
        command.moves = bool(axes)
        return
    if command.feed == 0:
        raise Refused(NO_FEED)
    if motion == 1:
        command.moves = bool(axes)
        return
    if not axes:
        raise Refused(NO_AXIS)
    if motion in (2, 3):
        _arc(command, state, values, scale)
    elif command.target == state.position:
        raise Refused(BAD_TARGET)
    command.moves = True


def _arc(command: Command, state: GcodeState, values: dict[str, float], scale: float) -> None:
    first, second, _ = PLANES[command.modal.plane]
    if AXIS_LETTERS[first] not in command.words.axes and AXIS_LETTERS[second] not in command.words.axes:
        raise Refused(NO_AXIS_IN_PLANE)
    x = command.target[first] - state.position[first]
    y = command.target[second] - state.position[second]
    if "R" in values:
        radius = single(values.pop("R") * scale)
        if command.target == state.position:
            raise Refused(BAD_TARGET)
        height = 4 * radius * radius - x * x - y * y
        if height < 0:
            raise Refused(ARC_RADIUS)
        apart = math.hypot(x, y)
        if not apart:
            # No number comes out of this in the firmware, and the arc becomes one straight move.
            command.radius = 0.0
            return
        ratio = -math.sqrt(height) / apart
        if command.modal.motion == 3:
            ratio = -ratio
        if radius < 0:
            ratio, radius = -ratio, -radius
        command.centre[first] = 0.5 * (x - y * ratio)
        command.centre[second] = 0.5 * (y + x * ratio)
        command.radius = radius
        return
    if "IJK"[first] not in values and "IJK"[second] not in values:
        raise Refused(NO_CENTRE)
    for axis, letter in enumerate("IJK"):
        command.centre[axis] = single(values.pop(letter, 0.0) * scale)
    i, j = command.centre[first], command.centre[second]
    command.radius = math.hypot(i, j)
    error = abs(math.hypot(x - i, y - j) - command.radius)
    if error > 0.005 and (error > 0.5 or error > 0.001 * command.radius):
        raise Refused(BAD_TARGET)
