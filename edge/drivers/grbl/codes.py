# SPDX-License-Identifier: GPL-3.0-or-later
"""What the numbers in `error:N` and `ALARM:N` mean, keyed by firmware, in a person's words.

GRBL 1.1 and grblHAL share the numbers 1 to 9 of the alarms; ALARM:10 is a dual axis fault on the one and the
stop circuit on the other, so a table without its firmware would mislead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Firmware(StrEnum):
    """Who greets at the port."""

    GRBL = "Grbl"
    GRBL_HAL = "GrblHAL"


@dataclass(frozen=True, slots=True)
class AlarmCode:
    """What an alarm means.

    position_kept says whether machine coordinates still hold; until_reset that the controller answers nothing but
    a soft reset; restarts that it starts again by itself, so that a welcome follows and acknowledgements before it
    belong to nobody (traces homing_abort_alarm6, door_homing_alarm7, reset_in_motion).
    """

    text: str
    position_kept: bool = False
    until_reset: bool = False
    restarts: bool = False


_SHARED_ALARMS = {
    1: AlarmCode("A limit switch was reached: look at the machine, then home it again.", until_reset=True),
    2: AlarmCode("The move would have left the machine's travel.", position_kept=True, until_reset=True),
    3: AlarmCode("The controller was reset while moving: steps may be lost, home again.", restarts=True),
    4: AlarmCode("The probe touched before the probing move began.", position_kept=True),
    5: AlarmCode("The probe did not touch within its move.", position_kept=True),
    6: AlarmCode("Homing was interrupted by a reset: home again.", restarts=True),
    7: AlarmCode("The door was opened while homing: close it and home again.", restarts=True),
    8: AlarmCode("Homing failed: a limit switch stayed closed after pulling off.", restarts=True),
    9: AlarmCode("Homing failed: no limit switch was found within the travel.", restarts=True),
}

_ALARMS = {
    Firmware.GRBL: {
        **_SHARED_ALARMS,
        10: AlarmCode("Homing failed: the second switch of a double axis was not found.", restarts=True),
    },
    Firmware.GRBL_HAL: {
        **_SHARED_ALARMS,
        10: AlarmCode("The stop circuit is open: release it at the machine."),
        11: AlarmCode("The controller wants to be homed before anything else."),
        12: AlarmCode("A limit switch is closed: move the axis off it by hand, then home."),
        13: AlarmCode("The probe touched while no probing was under way: look at the machine, then home it."),
        14: AlarmCode("The spindle did not reach its speed in time: look at the machine, then home it."),
        15: AlarmCode("Homing failed: the second switch of a double axis was not found."),
        16: AlarmCode("The controller's test of itself failed when it was switched on."),
        17: AlarmCode("A motor driver reports a fault: look at the machine, then home it."),
        18: AlarmCode("Homing failed: home again."),
    },
}

# grblHAL (core, errors.h) extends the table of GRBL 1.1 and redefines no number of it.
_ERRORS = {
    1: "a word does not begin with a letter",
    2: "a number is missing or malformed",
    3: "the $ command is not known",
    4: "a value must not be negative",
    5: "homing is switched off in the controller's settings ($22)",
    6: "the step pulse must be at least 3 microseconds",
    7: "the controller could not read its settings memory and went back to defaults",
    8: "the command is possible only while the machine is idle",
    9: "the machine is locked by an alarm or moving by jog",
    10: "soft limits need homing",
    11: "the line is too long for the controller",
    12: "the step rate is too high for the controller",
    13: "the door is open",
    14: "the line is too long for the settings memory",
    15: "the jog would leave the machine's travel",
    16: "the jog command is malformed",
    17: "laser mode needs a spindle with speed output",
    18: "the controller is held in reset",
    19: "a value must be greater than zero",
    20: "the command is not supported",
    21: "two commands of one modal group are in the same line",
    22: "no feed rate was given",
    23: "the command needs a whole number",
    24: "two commands in one line need the axis words",
    25: "a word is repeated in the line",
    26: "the command needs an axis word",
    27: "the line number is out of range",
    28: "a word that the command needs is missing",
    29: "the work offsets G59.1 to G59.3 are not supported",
    30: "G53 works only with G0 and G1",
    31: "axis words are left over in the line",
    32: "an arc has no axis word in its plane",
    33: "the arc cannot be drawn with these numbers",
    34: "the radius of the arc does not fit its end",
    35: "the arc has no centre offset in its plane",
    36: "words are left over in the line",
    37: "G43.1 works only along the tool axis",
    38: "the tool number is too high",
    39: "a value is out of its range",
    40: "a tool change is pending",
    41: "the spindle does not run",
    42: "the plane does not fit the command",
    43: "the feed rate is higher than the machine's limit",
    44: "the spindle speed is out of its range",
    45: "a limit switch is closed",
    46: "the machine has to be homed first",
    47: "the tool does not fit the command",
    48: "two values contradict each other",
    49: "the controller's test of itself failed",
    50: "the stop circuit is open",
    51: "a motor driver reports a fault",
    52: "the setting's value is out of its range",
    53: "the setting is not available in this controller",
    54: "the retract position of the drilling cycle is wrong",
    55: "the homing settings contradict each other",
    56: "the work offset is locked",
    57: "the file ended or began in the wrong place",
    58: "the controller has no such auxiliary port",
    60: "the memory card cannot be used",
    61: "the file cannot be read",
    62: "the folder cannot be opened",
    63: "there is no such folder",
    64: "there is no memory card",
    65: "the controller's file system is not there",
    66: "the controller's file system cannot be written",
    70: "the controller's Bluetooth did not start",
    71: "an expression has an unknown operator",
    72: "an expression divides by zero",
    73: "a value in an expression is out of its range",
    74: "a value in an expression is not possible",
    75: "an expression is malformed",
    76: "an expression has no usable result",
    77: "the controller asks for a password",
    78: "the controller does not permit it",
    79: "the command is not possible in an alarm that blocks",
    80: "flow control works only inside a macro",
    81: "a flow control command is malformed",
    82: "flow control is nested too deep",
    83: "the controller has no memory left",
    84: "the file cannot be opened",
}


def alarm_code(firmware: Firmware, number: int) -> AlarmCode:
    """Return what ALARM:`number` means; an unknown one counts as position lost."""
    known = _ALARMS[firmware].get(number)
    return known if known is not None else AlarmCode(f"The controller raised alarm {number}: home again.")


def error_text(number: int) -> str:
    """Return what error:`number` means."""
    return _ERRORS.get(number, f"the controller answered error {number}")
