# SPDX-License-Identifier: GPL-3.0-or-later
"""One line as the commands and values that it gives, with the errors that need no state.

The order of the checks is GRBL's: it decides which of several errors a bad line is answered with. Source: the
GRBL 1.1 interface manual's error list, held against the recorded trace error_codes line by line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from edge.gcode.model import Dialect
from edge.gcode.words import WordError, split_words

AXES = "XYZ"
_VALUE_WORDS = frozenset("FIJKLNPRSTXYZ")
_NO_NEGATIVE = frozenset("FNPST")
MAX_LINE_NUMBER = 10_000_000
MAX_TOOL = 255

MOTION_OFF = 80
PROBE = 138
_PLANES = {17: 0, 18: 1, 19: 2}


class BlockError(Exception):
    """A line that the controller refuses: GRBL's error number and the index of the culprit in the clean line.

    others are the indexes of the words that the culprit collides with.
    """

    def __init__(self, number: int, index: int = 0, *others: int) -> None:
        super().__init__(number, index, *others)
        self.number = number
        self.index = index
        self.others = others


@dataclass(slots=True)
class Block:
    """What one line says. motion: 0-3, 80, or 138 for probing; non_modal: `G4`, `G10`, `G28.1` ... or empty.

    axis_command names who takes the axis words: "motion", "non_modal", "tool_length" or, still open, "".
    """

    values: dict[str, float] = field(default_factory=dict)
    where: dict[str, int] = field(default_factory=dict)
    commands: list[tuple[str, float, int]] = field(default_factory=list)
    motion: int | None = None
    motion_at: int = 0
    axes_taken_at: int = 0
    non_modal: str = ""
    axis_command: str = ""
    plane: int | None = None
    absolute: bool | None = None
    inverse_time: bool | None = None
    inches: bool | None = None
    tool_length: str = ""
    zero: int | None = None
    flow: int | None = None
    spindle: int | None = None
    coolant: int | None = None
    tool_change: bool = False

    @property
    def axis_words(self) -> list[int]:
        """Return the axes that the line names, 0 to 2."""
        return [axis for axis, letter in enumerate(AXES) if letter in self.values]

    @property
    def motion_words(self) -> tuple[int, ...]:
        """Return the indexes of the words that make the motion: the G word, where the line has one, and the places."""
        places = [self.where[letter] for letter in (*AXES, *"IJKR") if letter in self.where]
        named = [self.motion_at] if self.motion is not None else []
        return (*named, *sorted(places)) or (0,)

    def code_at(self, name: str) -> int:
        """Return the index of a word that is no plain motion, as `G4`; 0 where it is not there."""
        return next((at for found, _, at in self.commands if found == name), 0)


def parse_block(line: str, dialect: Dialect) -> Block:
    """Return what a clean line says; raises BlockError. The result is shared: do not change it."""
    if len(line) > dialect.line_length:
        raise BlockError(11, dialect.line_length)
    return _parse(line, dialect.has_mist, dialect.tool_change)


@lru_cache(maxsize=4096)
def _parse(line: str, has_mist: bool, tool_change: bool) -> Block:  # noqa: FBT001 (key of the cache)
    block = Block()
    groups: dict[str, int] = {}
    try:
        for letter, value, at in split_words(line.encode("ascii")):
            if letter == "G":
                _take_g(block, groups, value, at)
            elif letter == "M":
                _take_m(block, groups, value, at, has_mist=has_mist, tool_change=tool_change)
            else:
                _take_value(block, letter, value, at)
    except WordError as broken:
        raise BlockError(broken.number, broken.index) from None
    return block


def _claim(groups: dict[str, int], group: str, at: int) -> None:
    if group in groups:
        raise BlockError(21, at, groups[group])
    groups[group] = at


def _claim_axes(block: Block, by: str, at: int) -> None:
    if block.axis_command:
        raise BlockError(24, at, block.axes_taken_at)
    block.axis_command, block.axes_taken_at = by, at


def code_number(value: float) -> tuple[int, int]:
    """Return whole part and hundredths of a G or M number, in 8 and 16 bits as the controller keeps them.

    So `G256` is a G0 with a rest, and so is `G-0.5`.
    """
    whole = int(value) & 0xFF
    rest = 100 * (value - whole)
    return whole, int(math.copysign(math.floor(abs(rest) + 0.5), rest)) & 0xFFFF


def _take_g(block: Block, groups: dict[str, int], value: float, at: int) -> None:
    whole, hundredths = code_number(value)
    name = f"G{whole}" if not hundredths else f"G{whole}.{hundredths // 10}"
    if whole in (10, 28, 30, 92):
        if hundredths == 0:
            _claim_axes(block, "non_modal", at)
        group = "non-modal"
        if whole != 10:
            if hundredths not in (0, 10):
                raise BlockError(20, at)
            hundredths = 0
        block.non_modal = name
    elif whole in (4, 53):
        group = "non-modal"
        block.non_modal = name
    elif whole in (0, 1, 2, 3, 38, 80):
        if whole != MOTION_OFF:
            _claim_axes(block, "motion", at)
        group = "motion"
        block.motion, block.motion_at = whole, at
        if whole == 38:
            if hundredths not in (20, 30, 40, 50):
                raise BlockError(20, at)
            block.motion, hundredths = PROBE, 0
    elif whole in _PLANES:
        group = "plane"
        block.plane = _PLANES[whole]
    elif whole in (90, 91) and hundredths == 0:
        group = "distance"
        block.absolute = whole == 90
    elif whole in (90, 91):
        if hundredths != 10 or whole == 90:
            raise BlockError(20, at)
        group, hundredths = "arc-distance", 0
    elif whole in (93, 94):
        group = "feed-mode"
        block.inverse_time = whole == 93
    elif whole in (20, 21):
        group = "units"
        block.inches = whole == 20
    elif whole == 40:
        group = "cutter"
    elif whole in (43, 49):
        _claim_axes(block, "tool_length", at)
        if whole == 43 and hundredths != 10:
            raise BlockError(20, at)
        group, hundredths = "tool-length", 0
        block.tool_length = name
    elif 54 <= whole <= 59:
        group = "zero"
        block.zero = whole
    elif whole == 61:
        if hundredths:
            raise BlockError(20, at)
        group = "path"
    else:
        raise BlockError(20, at)
    if hundredths > 0:
        raise BlockError(23, at)
    _claim(groups, group, at)
    if group != "motion" or whole in (38, MOTION_OFF):
        block.commands.append((name, value, at))


def _take_m(block: Block, groups: dict[str, int], value: float, at: int, *, has_mist: bool, tool_change: bool) -> None:
    whole, hundredths = code_number(value)
    if hundredths > 0:
        raise BlockError(23, at)
    if whole in (0, 1, 2, 30):
        group = "flow"
        block.flow = whole
    elif whole in (3, 4, 5):
        group = "spindle"
        block.spindle = whole
    elif whole in (8, 9) or (whole == 7 and has_mist):
        group = "coolant"
        block.coolant = whole
    elif whole == 6 and tool_change:
        group = "tool"
        block.tool_change = True
    else:
        block.commands.append((f"M{whole}", value, at))
        raise BlockError(20, at)
    _claim(groups, group, at)
    block.commands.append((f"M{whole}", value, at))


def _take_value(block: Block, letter: str, value: float, at: int) -> None:
    if letter not in _VALUE_WORDS:
        raise BlockError(20, at)
    if letter == "T" and value > MAX_TOOL:
        raise BlockError(38, at)
    if letter in block.values:
        raise BlockError(25, at, block.where[letter])
    if letter in _NO_NEGATIVE and value < 0:
        raise BlockError(4, at)
    block.values[letter] = value
    block.where[letter] = at
    if letter in "ST":
        block.commands.append((letter, value, at))
