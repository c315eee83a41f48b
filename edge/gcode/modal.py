# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's modal state, and what one line does to it.

The order of the checks is GRBL's, so that a line with several errors is answered with the same one. All checks
come before the first change: a refused line changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from typing import TypeVar

from edge.gcode.blocks import AXES, MAX_LINE_NUMBER, MOTION_OFF, PROBE, Block, BlockError
from edge.gcode.model import Dialect, Kind, StopKind
from edge.gcode.segments import Flags, SegmentBuilder, Triple

T = TypeVar("T")

INCH = 25.4
"""mm."""
PLANE_AXES = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
"""First, second and linear axis of G17, G18, G19."""
ARC_TOLERANCE = 0.005
ARC_TOLERANCE_LARGE = 0.5
ARC_TOLERANCE_SHARE = 0.001
"""mm, mm, share of the radius: by how much start and end radius of an arc may differ (error:33)."""
ROUNDING = 1e-4
ROUNDING_SHARE = 2.5e-7
"""mm, share of the radius: how far the controller's single precision may be off, depending on its zero."""
MAX_TIGHT = 50
SPINDLE_OFF = 5
_ZEROS = 6


class Modal:
    """Modal state; lengths mm in the frame of the zero that was active at the start, feed mm/min.

    shift is what a programmed coordinate is off that frame by (G92 and tool length given in the program). tight_arcs
    are the first wire lines with an arc whose radius only just reaches: there the controller's rounding decides.
    """

    def __init__(self, dialect: Dialect, builder: SegmentBuilder) -> None:
        self.builder = builder
        self.motion = 0
        self.plane = 0
        self.inverse_time = False
        self.scale = 1.0
        self.absolute = True
        self.zero = 54
        self.spindle = SPINDLE_OFF
        self.flood = False
        self.mist = False
        self.feed = 0.0
        self.speed = 0.0
        self.position: list[float] = [dialect.start.x, dialect.start.y, dialect.start.z]
        self.machine_frame = [False, False, False]
        self.shift = [0.0, 0.0, 0.0]
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
        target, frame = self._target(block, axes, scale)
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
                    if math.dist(target, self.position) <= ROUNDING:
                        raise BlockError(33, *block.motion_words)
                else:
                    centre = self._arc_centre(block, motion, plane, target, scale, unused)
        if axis_command:
            unused -= set(AXES)
        if unused:
            raise BlockError(36, *sorted(block.where[letter] for letter in unused))
        if centre is not None and "R" in block.values:
            first, second, _ = PLANE_AXES[plane]
            chord = math.hypot(target[first] - self.position[first], target[second] - self.position[second])
            if tight(abs(block.values["R"] * scale), chord):
                self.note_tight([wire])
        self._apply(block, wire, feed, scale)
        self._apply_offsets(block, wire, axes, target, frame)
        self.motion = motion
        if axis_command == "motion" and motion != MOTION_OFF:
            self._move(target, frame, feed, motion, wire, centre)
        self._flow(block, wire)

    def note_tight(self, wires: list[int]) -> None:
        """Keep the first of the arcs whose radius only just reaches."""
        self.tight_arcs = [*self.tight_arcs, *wires[: MAX_TIGHT - len(self.tight_arcs)]]

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

    def _target(self, block: Block, axes: list[int], scale: float) -> tuple[Triple, Flags]:
        """Return the end point, and per axis whether it is a machine coordinate."""
        absolute = self.absolute if block.absolute is None else block.absolute
        target, frame = list(self.position), list(self.machine_frame)
        for axis in axes:
            value = block.values[AXES[axis]] * scale
            if block.non_modal == "G53":
                target[axis], frame[axis] = value, True
            elif absolute:
                target[axis], frame[axis] = value + self.shift[axis], False
            else:
                target[axis] += value
        return (target[0], target[1], target[2]), (frame[0], frame[1], frame[2])

    def _arc_centre(
        self, block: Block, motion: int, plane: int, target: Triple, scale: float, unused: set[str]
    ) -> tuple[float, float] | None:
        """Return the centre in the plane's axes; raises BlockError as the controller would answer.

        None for an arc by radius that goes along the plane's linear axis only: the controller makes one straight move
        of it, because no number comes out of its division by the chord.
        """
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
            if math.dist(target, self.position) <= ROUNDING:
                raise BlockError(33, *places)
            if math.hypot(x, y) <= ROUNDING:
                return None
            offset = radius_offset(x, y, block.values["R"] * scale, clockwise=motion == Kind.ARC_CW)
            if offset is None:
                raise BlockError(34, block.where["R"], *(at for at in places if at != block.where["R"]))
            return here[0] + offset[0], here[1] + offset[1]
        letters = ("IJK"[first], "IJK"[second])
        if letters[0] not in block.values and letters[1] not in block.values:
            raise BlockError(35, *places)
        unused -= {"I", "J", "K"}
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

    def _apply_offsets(self, block: Block, wire: int, axes: list[int], target: Triple, frame: Flags) -> None:
        if block.tool_length:
            length = block.values["Z"] * self.scale if block.tool_length == "G43.1" else 0.0
            if length != self.tool_length:
                self.shift[2] += length - self.tool_length
                self.tool_length = length
                self.builder.stop(wire, StopKind.OFFSET)
        if block.zero is not None and block.zero != self.zero:
            self.zero = block.zero
            self.builder.stop(wire, StopKind.OFFSET)
        if block.absolute is not None:
            self.absolute = block.absolute
        match block.non_modal:
            case "G10" | "G28.1" | "G30.1":
                self.builder.stop(wire, StopKind.EEPROM)
            case "G92":
                for axis in axes:
                    self.shift[axis] = self.position[axis] - block.values[AXES[axis]] * self.scale
                self.builder.stop(wire, StopKind.OFFSET)
            case "G92.1":
                self.shift = [0.0, 0.0, self.tool_length]
                self.builder.stop(wire, StopKind.OFFSET)
            case "G28" | "G30":
                if axes:
                    self._move(target, frame, 0.0, Kind.RAPID, wire, None)
                # Where the second leg ends is kept in the controller: machine zero, where nobody has set another place.
                home = axes or range(3)
                target = _with(self.position, home, to=0.0)
                self._move(target, _with(self.machine_frame, home, to=True), 0.0, Kind.RAPID, wire, None)
            case _:
                pass

    def _move(
        self, target: Triple, frame: Flags, feed: float, motion: int, wire: int, centre: tuple[float, float] | None
    ) -> None:
        start = self.position
        straight = motion == PROBE or (motion >= Kind.ARC_CW and centre is None)
        kind = Kind.LINEAR if straight else Kind(motion)
        if self.inverse_time and kind is not Kind.RAPID:
            feed *= math.dist(start, target) if centre is None else _arc_length(start, target, centre, kind, self.plane)
        self.builder.add(
            target,
            feed=0.0 if kind is Kind.RAPID else feed,
            kind=kind,
            wire=wire,
            machine_frame=frame,
            centre=centre,
            plane=self.plane,
        )
        self.position = list(target)
        self.machine_frame = list(frame)

    def _flow(self, block: Block, wire: int) -> None:
        if block.flow == 0:
            self.builder.stop(wire, StopKind.PAUSE)
        elif block.flow in (2, 30):
            self.builder.stop(wire, StopKind.END)
            self.motion, self.plane, self.absolute, self.inverse_time = Kind.LINEAR, 0, True, False
            self.zero, self.spindle, self.flood, self.mist = 54, SPINDLE_OFF, False, False


def _with(values: Sequence[T], axes: Container[int], *, to: T) -> tuple[T, T, T]:
    """Return three values with another one on some axes."""
    x, y, z = (to if axis in axes else known for axis, known in enumerate(values))
    return x, y, z


def radius_offset(x: float, y: float, radius: float, *, clockwise: bool) -> tuple[float, float] | None:
    """Return the centre of an R arc relative to its start, or None where the radius does not reach.

    x, y: end relative to start, not both zero. A negative radius asks for the longer of the two arcs.
    """
    square = 4.0 * radius * radius - x * x - y * y
    if square < 0.0:
        return None
    h = -math.sqrt(square) / math.hypot(x, y)
    if not clockwise:
        h = -h
    if radius < 0:
        h = -h
    return 0.5 * (x - y * h), 0.5 * (y + x * h)


def ends_agree(end_radius: float, start_radius: float) -> bool:
    """Return whether GRBL takes both ends as being on one circle, whatever its rounding does."""
    off = abs(end_radius - start_radius) + ROUNDING + ROUNDING_SHARE * start_radius
    return off <= ARC_TOLERANCE or (off <= ARC_TOLERANCE_LARGE and off <= ARC_TOLERANCE_SHARE * start_radius)


def tight(radius: float, chord: float) -> bool:
    """Return whether an arc is so close to half a circle that rounding makes its radius too short (error:34)."""
    return 2.0 * radius - chord < ROUNDING + ROUNDING_SHARE * radius


def _arc_length(start: Sequence[float], end: Triple, centre: tuple[float, float], kind: Kind, plane: int) -> float:
    first, second, linear = PLANE_AXES[plane]
    radius = math.hypot(start[first] - centre[0], start[second] - centre[1])
    angle = math.atan2(end[second] - centre[1], end[first] - centre[0]) - math.atan2(
        start[second] - centre[1], start[first] - centre[0]
    )
    turn = angle % math.tau or math.tau
    if kind is Kind.ARC_CW:
        turn = math.tau - angle % math.tau
    return math.hypot(radius * turn, end[linear] - start[linear])
