# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's modal state, and what one line does to it.

The order of the checks is GRBL's, so that a line with several errors is answered with the same one. All checks
come before the first change: a refused line changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from edge.gcode.blocks import AXES, MAX_LINE_NUMBER, MOTION_OFF, PROBE, Block, BlockError
from edge.gcode.circles import PLANE_AXES, ROUNDING, arc_length, ends_agree, radius_offset, tight
from edge.gcode.model import Dialect, Kind, StopKind
from edge.gcode.places import FIRST_ZERO, MACHINE, PLACE_OF, START, ZERO, Places
from edge.gcode.segments import Flags, SegmentBuilder, Triple

T = TypeVar("T")

INCH = 25.4
"""mm."""
MAX_TIGHT = 50
MAX_UNPLACED = 50
SPINDLE_OFF = 5
_ZEROS = 6


class End(NamedTuple):
    """Where a motion ends: mm, what each axis counts from, and whether it is a machine coordinate."""

    point: Triple
    origin: tuple[int, int, int]
    frame: Flags


class Modal:
    """Modal state; lengths mm in the frame of the zero that was active at the start, feed mm/min.

    shift is what a programmed coordinate is off that frame by (G92 and tool length given in the program). origin says
    what the position counts from, per axis, and places what a programmed coordinate does: two
    positions compare only where they count from the same. unplaced are the first lines, as (wire line, index of the
    word, axes), that count from a place that nobody knows. tight_arcs are the first wire lines with an arc whose
    radius only just reaches: there the controller's rounding decides.
    """

    def __init__(self, dialect: Dialect, builder: SegmentBuilder) -> None:
        self.builder = builder
        self.motion = 0
        self.plane = 0
        self.inverse_time = False
        self.scale = 1.0
        self.absolute = True
        self.zero = FIRST_ZERO
        self.spindle = SPINDLE_OFF
        self.flood = False
        self.mist = False
        self.feed = 0.0
        self.speed = 0.0
        start, offset = dialect.start, dialect.offset
        self.offset = None if offset is None else (offset.x, offset.y, offset.z)
        self.position: list[float] = [0.0, 0.0, 0.0] if start is None else [start.x, start.y, start.z]
        self.origin = [START if start is None else ZERO] * 3
        self.machine_frame = [False, False, False]
        self.shift = [0.0, 0.0, 0.0]
        self.places = Places(shifted=start is None)
        self.unplaced: list[tuple[int, int, str]] = []
        self.tool_length = 0.0
        self.tight_arcs: list[int] = []

    @property
    def batchable(self) -> bool:
        """Whether lines that only move can be interpreted many at a time from here."""
        return self.motion <= Kind.ARC_CCW and not self.inverse_time

    @property
    def spindle_on(self) -> bool:
        """Whether the spindle was told to turn."""
        return self.spindle != SPINDLE_OFF

    def execute(self, block: Block, wire: int) -> None:
        """Check the line against the state and do it; raises BlockError, and then nothing has changed."""
        unused = {letter for letter in block.values if letter not in "NFST"}
        axes = block.axis_words
        axis_command = block.axis_command or ("motion" if axes else "")
        motion = self.motion if block.motion is None else block.motion
        if block.values.get("N", 0.0) > MAX_LINE_NUMBER:
            raise BlockError(27, block.where["N"])
        feed = self._feed(block, motion, axis_command)
        if block.non_modal == "G4":
            if "P" not in block.values:
                raise BlockError(28, block.code_at("G4"))
            unused.discard("P")
        scale = self.scale if block.inches is None else (INCH if block.inches else 1.0)
        if axis_command == "tool_length" and block.tool_length == "G43.1" and axes != [2]:
            raise BlockError(37, block.code_at("G43.1"), *(block.where[AXES[axis]] for axis in axes if axis != 2))
        self._check_non_modal(block, unused)
        end = self._target(block, axes, scale)
        if block.non_modal == "G53" and motion not in (0, 1):
            raise BlockError(30, block.code_at("G53"), *([block.motion_at] if block.motion is not None else []))
        if block.non_modal in ("G28", "G30") and not axes:
            axis_command = ""
        centre: tuple[float, float] | None = None
        plane = self.plane if block.plane is None else block.plane
        if motion == MOTION_OFF:
            if axes:
                raise BlockError(31, *(block.where[AXES[axis]] for axis in axes))
        elif axis_command == "motion":
            if motion == Kind.RAPID:
                axis_command = "motion" if axes else ""
            else:
                if feed == 0.0:
                    raise BlockError(22, *block.motion_words)
                if motion == Kind.LINEAR:
                    axis_command = "motion" if axes else ""
                elif motion == PROBE:
                    if not axes:
                        raise BlockError(26, *block.motion_words)
                    if self._stays(end):
                        raise BlockError(33, *block.motion_words)
                else:
                    centre = self._arc_centre(block, motion, plane, end, scale, unused)
        if axis_command:
            unused -= set(AXES)
        if unused:
            raise BlockError(36, *sorted(block.where[letter] for letter in unused))
        if centre is not None and "R" in block.values:
            first, second, _ = PLANE_AXES[plane]
            chord = math.hypot(end.point[first] - self.position[first], end.point[second] - self.position[second])
            if tight(abs(block.values["R"] * scale), chord):
                self.note_tight([wire])
        moves = axis_command == "motion" and motion != MOTION_OFF
        turns = moves and motion in (Kind.ARC_CW, Kind.ARC_CCW)
        self._note_unplaced(block, wire, end, PLANE_AXES[plane][:2] if turns else ())
        self._apply(block, wire, feed, scale)
        self._apply_offsets(block, wire, axes, end)
        self.motion = motion
        if moves:
            self._move(end, feed, motion, wire, centre)
            if motion == PROBE:
                self._lose(axes)
        self._flow(block, wire)

    def note_tight(self, wires: list[int]) -> None:
        """Keep the first of the arcs whose radius only just reaches."""
        self.tight_arcs = [*self.tight_arcs, *wires[: MAX_TIGHT - len(self.tight_arcs)]]

    def unnoted(self, axis: int, origin: int) -> bool:
        """Return whether a line that counts from this place of the axis is still to be reported."""
        return len(self.unplaced) < MAX_UNPLACED and self.places.unnoted(axis, origin)

    def _note_unplaced(self, block: Block, wire: int, end: End, arc_axes: Iterable[int]) -> None:
        """Report a line that counts from a place that nobody has given: a distance, an arc or a G92."""
        absolute = self.absolute if block.absolute is None else block.absolute
        concerned = {axis for axis in arc_axes if end.origin[axis] == self.origin[axis]}
        if block.non_modal == "G92":
            concerned.update(block.axis_words)
        elif not absolute and block.axis_command in ("", "motion") and block.non_modal != "G53":
            concerned.update(axis for axis in block.axis_words if block.values[AXES[axis]] != 0.0)
        news = {axis for axis in concerned if self.unnoted(axis, self.origin[axis])}
        # Where only one end of an arc is known, not even its shape is.
        news.update(axis for axis in arc_axes if end.origin[axis] != self.origin[axis])
        if news and len(self.unplaced) < MAX_UNPLACED:
            for axis in news:
                self.places.note(axis, self.origin[axis])
            places = [block.where[AXES[axis]] for axis in block.axis_words]
            at = block.code_at("G92") if block.non_modal == "G92" else min(places)
            self.unplaced.append((wire, at, "".join(AXES[axis] for axis in sorted(news))))

    def _lose(self, axes: Iterable[int]) -> None:
        """Take note that the axes have stopped somewhere on their way."""
        place = self.places.new()
        for axis in axes:
            self.origin[axis] = place

    def _feed(self, block: Block, motion: int, axis_command: str) -> float:
        """Return the feed that holds for the line: mm/min, or 1/min under G93."""
        inverse_time = self.inverse_time if block.inverse_time is None else block.inverse_time
        given = block.values.get("F")
        if inverse_time:
            if axis_command == "motion" and motion not in (Kind.RAPID, MOTION_OFF) and given is None:
                raise BlockError(22, *block.motion_words)
            return given or 0.0
        if self.inverse_time:
            # Coming back from G93 the controller takes an F as mm/min, also in inches.
            return given or 0.0
        if given is not None:
            inches = self.scale != 1.0 if block.inches is None else block.inches
            return given * INCH if inches else given
        return self.feed

    def _check_non_modal(self, block: Block, unused: set[str]) -> None:
        axes, at = block.axis_words, block.code_at(block.non_modal)
        if block.non_modal == "G10":
            if not axes:
                raise BlockError(26, at)
            # Only a line without both misses a word: without P it means P0, without L it is of an unknown kind.
            if "P" not in block.values and "L" not in block.values:
                raise BlockError(28, at)
            if int(block.values.get("P", 0.0)) & 0xFF > _ZEROS:
                raise BlockError(29, block.where["P"])
            kind = int(block.values.get("L", 0.0)) & 0xFF
            if kind not in (2, 20) or (kind == 2 and "R" in block.values):
                raise BlockError(20, block.where.get("L", at))
            unused -= {"L", "P"}
        elif block.non_modal == "G92" and not axes:
            raise BlockError(26, at)

    def _target(self, block: Block, axes: list[int], scale: float) -> End:
        """Return where the line leads."""
        absolute = self.absolute if block.absolute is None else block.absolute
        point, origin, frame = list(self.position), list(self.origin), list(self.machine_frame)
        base = self.places.base if block.zero is None else self.places.base_in(block.zero)
        for axis in axes:
            value = block.values[AXES[axis]] * scale
            if block.non_modal == "G53":
                point[axis], origin[axis] = self._from_machine(axis, value)
            elif absolute:
                point[axis], origin[axis] = value + self.shift[axis], base[axis]
            else:
                point[axis] += value
                continue
            frame[axis] = origin[axis] == MACHINE
        return _end(point, origin, frame)

    def _from_machine(self, axis: int, value: float) -> tuple[float, int]:
        """Return a machine coordinate as a position, and what that counts from."""
        return (value, MACHINE) if self.offset is None else (value - self.offset[axis], ZERO)

    def _stays(self, end: End) -> bool:
        """Return whether a motion ends where it begins, as far as anybody knows."""
        return list(end.origin) == self.origin and math.dist(end.point, self.position) <= ROUNDING

    def _arc_centre(
        self, block: Block, motion: int, plane: int, end: End, scale: float, unused: set[str]
    ) -> tuple[float, float] | None:
        """Return the centre in the plane's axes; raises BlockError as the controller would answer.

        None for an arc by radius that goes along the plane's linear axis only: the controller makes one straight move
        of it, because no number comes out of its division by the chord. None also where one end is known and the other
        is not: whether the controller takes that arc depends on where the machine stands.
        """
        target = end.point
        known = all(end.origin[axis] == self.origin[axis] for axis in PLANE_AXES[plane][:2])
        first, second, _ = PLANE_AXES[plane]
        places = block.motion_words
        axes = block.axis_words
        if not axes:
            raise BlockError(26, *places)
        if first not in axes and second not in axes:
            raise BlockError(32, *places)
        here = (self.position[first], self.position[second])
        x, y = target[first] - here[0], target[second] - here[1]
        if "R" in block.values:
            unused.discard("R")
            if self._stays(end):
                raise BlockError(33, *places)
            if not known or math.hypot(x, y) <= ROUNDING:
                return None
            offset = radius_offset(x, y, block.values["R"] * scale, clockwise=motion == Kind.ARC_CW)
            if offset is None:
                raise BlockError(34, block.where["R"], *(at for at in places if at != block.where["R"]))
            return here[0] + offset[0], here[1] + offset[1]
        letters = ("IJK"[first], "IJK"[second])
        if letters[0] not in block.values and letters[1] not in block.values:
            raise BlockError(35, *places)
        unused -= {"I", "J", "K"}
        if not known:
            return None
        i, j = (block.values.get(letter, 0.0) * scale for letter in letters)
        if not ends_agree(math.hypot(x - i, y - j), math.hypot(i, j)):
            raise BlockError(33, *places)
        return here[0] + i, here[1] + j

    def _apply(self, block: Block, wire: int, feed: float, scale: float) -> None:
        if block.inverse_time is not None:
            self.inverse_time = block.inverse_time
        self.feed = feed
        if block.tool_change:
            self.builder.stop(wire, StopKind.PAUSE)
        speed = block.values.get("S", self.speed)
        spindle = self.spindle if block.spindle is None else block.spindle
        if (speed != self.speed and self.spindle_on) or spindle != self.spindle:
            self.builder.stop(wire, StopKind.SPINDLE)
        self.speed, self.spindle = speed, spindle
        coolant = (self.flood, self.mist)
        if block.coolant == 9:
            self.flood = self.mist = False
        elif block.coolant == 8:
            self.flood = True
        elif block.coolant == 7:
            self.mist = True
        if (self.flood, self.mist) != coolant:
            self.builder.stop(wire, StopKind.COOLANT)
        if block.non_modal == "G4":
            self.builder.stop(wire, StopKind.DWELL, block.values["P"])
        if block.plane is not None:
            self.plane = block.plane
        self.scale = scale

    def _apply_offsets(self, block: Block, wire: int, axes: list[int], end: End) -> None:
        if block.tool_length:
            length = block.values["Z"] * self.scale if block.tool_length == "G43.1" else 0.0
            if length != self.tool_length:
                self.shift[2] += length - self.tool_length
                self.tool_length = length
                self.builder.stop(wire, StopKind.OFFSET)
        if block.zero is not None and block.zero != self.zero:
            self.zero = block.zero
            self.places.change_zero(self.zero)
            self.builder.stop(wire, StopKind.OFFSET)
        if block.absolute is not None:
            self.absolute = block.absolute
        match block.non_modal:
            case "G10":
                number = int(block.values.get("P", 0.0)) & 0xFF
                self.places.rewrite_zero(axes, FIRST_ZERO + number - 1 if number else self.zero, self.zero)
                self.builder.stop(wire, StopKind.EEPROM)
            case "G28.1" | "G30.1":
                self.builder.stop(wire, StopKind.EEPROM)
            case "G92":
                for axis in axes:
                    self.shift[axis] = self.position[axis] - block.values[AXES[axis]] * self.scale
                self.places.count_from(axes, self.origin, self.zero)
                self.builder.stop(wire, StopKind.OFFSET)
            case "G92.1":
                self.shift = [0.0, 0.0, self.tool_length]
                self.places.drop_shift(self.zero)
                self.builder.stop(wire, StopKind.OFFSET)
            case "G28" | "G30":
                if axes:
                    self._move(end, 0.0, Kind.RAPID, wire, None)
                self._move(self._home(block.non_modal, axes or range(3)), 0.0, Kind.RAPID, wire, None)
            case _:
                pass

    def _home(self, place: str, axes: Iterable[int]) -> End:
        """Return where the second leg of G28 or G30 ends.

        The place is kept in the controller: machine zero, where nobody has set another.
        """
        point, origin, frame = list(self.position), list(self.origin), list(self.machine_frame)
        for axis in axes:
            point[axis] = self._from_machine(axis, 0.0)[0]
            origin[axis], frame[axis] = PLACE_OF[place], self.offset is None
        return _end(point, origin, frame)

    def _move(self, end: End, feed: float, motion: int, wire: int, centre: tuple[float, float] | None) -> None:
        start, (target, origin, frame) = self.position, end
        straight = motion == PROBE or (motion >= Kind.ARC_CW and centre is None)
        kind = Kind.LINEAR if straight else Kind(motion)
        if self.inverse_time and kind is not Kind.RAPID:
            feed *= math.dist(start, target) if centre is None else arc_length(start, target, centre, kind, self.plane)
        self.builder.add(
            target,
            feed=0.0 if kind is Kind.RAPID else feed,
            kind=kind,
            wire=wire,
            machine_frame=frame,
            unplaced=(origin[0] > MACHINE, origin[1] > MACHINE, origin[2] > MACHINE),
            centre=centre,
            plane=self.plane,
        )
        self.position = list(target)
        self.origin = list(origin)
        self.machine_frame = list(frame)

    def _flow(self, block: Block, wire: int) -> None:
        if block.flow == 0:
            self.builder.stop(wire, StopKind.PAUSE)
        elif block.flow in (2, 30):
            self.builder.stop(wire, StopKind.END)
            self.motion, self.plane, self.absolute, self.inverse_time = Kind.LINEAR, 0, True, False
            self.zero, self.spindle, self.flood, self.mist = FIRST_ZERO, SPINDLE_OFF, False, False
            self.places.change_zero(self.zero)


def _end(point: Sequence[float], origin: Sequence[int], frame: Sequence[bool]) -> End:
    return End(_triple(point), _triple(origin), _triple(frame))


def _triple(values: Sequence[T]) -> tuple[T, T, T]:
    x, y, z = values
    return x, y, z
