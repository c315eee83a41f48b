# SPDX-License-Identifier: GPL-3.0-or-later
"""States, request flags and overrides of the controller."""

from enum import Enum
from typing import Final


class State(Enum):
    """First field of a status report (Hold and Door get a substate)."""

    IDLE = "Idle"
    ALARM = "Alarm"
    CHECK = "Check"
    HOME = "Home"
    RUN = "Run"
    HOLD = "Hold"
    JOG = "Jog"
    DOOR = "Door"
    SLEEP = "Sleep"


# Requests set by interrupts, taken by the main program. They are flags: a second one of a kind is lost.
REPORT: Final = 1
CYCLE_START: Final = 2
CYCLE_STOP: Final = 4
FEED_HOLD: Final = 8
RESET: Final = 16
SAFETY_DOOR: Final = 32
MOTION_CANCEL: Final = 64
SLEEP: Final = 128
_BREAKS: Final = FEED_HOLD | MOTION_CANCEL | SAFETY_DOOR
STOPPERS: Final = _BREAKS | SLEEP

# Why the main program is suspended.
HOLD_COMPLETE: Final = 1
RESTART_RETRACT: Final = 2
RETRACT_COMPLETE: Final = 4
INITIATE_RESTORE: Final = 8
RESTORE_COMPLETE: Final = 16
DOOR_AJAR: Final = 32
CANCEL_MOTION: Final = 64
CANCEL_JOG: Final = 128

# Spindle stop override, only in Hold.
STOP_ENABLED: Final = 1
STOP_INITIATE: Final = 2
STOP_RESTORE: Final = 4
STOP_RESTORE_CYCLE: Final = 8

ALARM_HARD_LIMIT, ALARM_SOFT_LIMIT, ALARM_ABORT, ALARM_PROBE_INITIAL, ALARM_PROBE_CONTACT = 1, 2, 3, 4, 5
ALARM_HOMING_RESET, ALARM_HOMING_DOOR, ALARM_HOMING_PULLOFF, ALARM_HOMING_APPROACH = 6, 7, 8, 9

FEED_BYTES: Final = {0x90: 0, 0x91: 10, 0x92: -10, 0x93: 1, 0x94: -1}
RAPID_BYTES: Final = {0x95: 100, 0x96: 50, 0x97: 25}
SPINDLE_BYTES: Final = {0x99: 0, 0x9A: 10, 0x9B: -10, 0x9C: 1, 0x9D: -1}
SPINDLE_STOP, FLOOD_TOGGLE, MIST_TOGGLE = 0x9E, 0xA0, 0xA1


def step_override(percent: int, changes: list[int]) -> int:
    """Next feed or spindle override after the `changes` of one look, in per cent; 0 means back to 100 %.

    The limits 10 and 200 % hold for the sum, which is kept in 8 bits: -10 and -1 at once from 10 % make 200 %
    (protocol.c protocol_exec_rt_system).
    """
    if 0 in changes:
        percent = 100
    return max(10, min(200, (percent + sum(changes)) & 0xFF)) if changes else percent
