# SPDX-License-Identifier: GPL-3.0-or-later
"""First pass over a G-code line: words, modal groups, the errors that need no machine state.

The order of the checks is the controller's: each line gets the first error it meets (trace error_codes).
"""

import math
from dataclasses import dataclass, field

from .numbers import read_number

BAD_LETTER, BAD_NUMBER, NEGATIVE = 1, 2, 4
UNSUPPORTED, MODAL_GROUP, NO_FEED, NOT_INTEGER = 20, 21, 22, 23
AXIS_CONFLICT, REPEATED, NO_AXIS = 24, 25, 26
TOOL_TOO_HIGH = 38
MAX_TOOL = 255
MOTIONS = (0, 1, 2, 3)
NO_MOTION = 80
AXIS_LETTERS = "XYZ"
_VALUE_LETTERS = frozenset("FIJKLNPRSTXYZ")
_NOT_NEGATIVE = frozenset("FNPTS")
_PLAIN_GROUPS = {17: 2, 18: 2, 19: 2, 93: 5, 94: 5, 20: 6, 21: 6, **dict.fromkeys(range(54, 60), 12)}
_SPINDLE_GROUP, _COOLANT_GROUP, _STOP_GROUP = 107, 108, 104


class Refused(Exception):
    """A line that is answered with ``error:code``."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the controller answers error:{code}")
        self.code = code


@dataclass
class Words:
    """What one line says. `axis_user` names the command that owns the axis words."""

    groups: set[int] = field(default_factory=set)
    values: dict[str, float] = field(default_factory=dict)
    axis_user: str = ""
    non_modal: int = 0
    motion: int | None = None
    plane: int | None = None
    absolute: bool | None = None
    inverse_time: bool | None = None
    inches: bool | None = None
    tool_offset: int | None = None
    coordinate: int | None = None
    stop: int | None = None
    spindle: int | None = None
    coolant: str = ""

    @property
    def axes(self) -> list[str]:
        return [letter for letter in AXIS_LETTERS if letter in self.values]


def read_words(line: str, *, start: int, mist_built: bool) -> Words:
    """Words of `line` from character `start` on.

    Raises:
        Refused: the first thing that the controller does not take.
    """
    words = Words()
    at, end = start, len(line)
    while at < end:
        letter = line[at]
        if not "A" <= letter <= "Z":
            raise Refused(BAD_LETTER)
        number = read_number(line, at + 1)
        if number is None:
            raise Refused(BAD_NUMBER)
        value, at = number
        if letter == "G":
            _preparatory(words, *_split(value))
        elif letter == "M":
            _miscellaneous(words, *_split(value), mist_built=mist_built)
        else:
            _value(words, letter, value)
    return words


def _split(value: float) -> tuple[int, int]:
    """Code and hundredths as the parser keeps them, in 8 and 16 bits: ``G256`` is a G0 with a rest (gcode.c step 2)."""
    whole = math.trunc(value) & 0xFF
    rest = 100 * (value - whole)
    return whole, math.floor(abs(rest) + 0.5) * (1 if rest > 0 else -1) & 0xFFFF


def _enter(words: Words, group: int) -> None:
    if group in words.groups:
        raise Refused(MODAL_GROUP)
    words.groups.add(group)


def _claim_axes(words: Words, user: str) -> None:
    if words.axis_user:
        raise Refused(AXIS_CONFLICT)
    words.axis_user = user


def _preparatory(words: Words, code: int, hundredths: int) -> None:
    rest = hundredths
    if code in (10, 28, 30, 92):
        if not rest:
            _claim_axes(words, "non-modal")
        group = 0
        words.non_modal = code * 10
        if code != 10:
            if rest not in (0, 10):
                raise Refused(UNSUPPORTED)
            words.non_modal += rest // 10
            rest = 0
    elif code in (4, 53):
        group = 0
        words.non_modal = code * 10
    elif code in (*MOTIONS, 38, NO_MOTION):
        if code != NO_MOTION:
            _claim_axes(words, "motion")
        group = 1
        words.motion = code
        if code == 38:
            if rest not in (20, 30, 40, 50):
                raise Refused(UNSUPPORTED)
            words.motion = 380 + rest // 10
            rest = 0
    elif code in (90, 91):
        if not rest:
            group = 3
            words.absolute = code == 90
        else:
            group = 4
            if rest != 10 or code == 90:
                raise Refused(UNSUPPORTED)
            rest = 0
    elif code in _PLAIN_GROUPS:
        group = _PLAIN_GROUPS[code]
        if group == 2:
            words.plane = code
        elif group == 5:
            words.inverse_time = code == 93
        elif group == 6:
            words.inches = code == 20
        else:
            words.coordinate = code - 54
    elif code == 40:
        group = 7
    elif code in (43, 49):
        group = 8
        _claim_axes(words, "tool offset")
        words.tool_offset = code
        if code == 43 and rest != 10:
            raise Refused(UNSUPPORTED)
        rest = 0
    elif code == 61:
        group = 13
        if rest:
            raise Refused(UNSUPPORTED)
    else:
        raise Refused(UNSUPPORTED)
    if rest > 0:
        raise Refused(NOT_INTEGER)
    _enter(words, group)


def _miscellaneous(words: Words, code: int, hundredths: int, *, mist_built: bool) -> None:
    if hundredths > 0:
        raise Refused(NOT_INTEGER)
    if code in (0, 1, 2, 30):
        group = _STOP_GROUP
        words.stop = code if code != 1 else None
    elif code in (3, 4, 5):
        group = _SPINDLE_GROUP
        words.spindle = {3: 1, 4: 2, 5: 0}[code]
    elif code in (8, 9) or (code == 7 and mist_built):
        group = _COOLANT_GROUP
        words.coolant = {7: "mist", 8: "flood", 9: "off"}[code]
    else:
        raise Refused(UNSUPPORTED)
    _enter(words, group)


def _value(words: Words, letter: str, value: float) -> None:
    if letter not in _VALUE_LETTERS:
        raise Refused(UNSUPPORTED)
    if letter == "T" and value > MAX_TOOL:
        raise Refused(TOOL_TOO_HIGH)
    if letter in words.values:
        raise Refused(REPEATED)
    if value < 0 and letter in _NOT_NEGATIVE:
        raise Refused(NEGATIVE)
    words.values[letter] = value
