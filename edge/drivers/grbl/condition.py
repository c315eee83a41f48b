# SPDX-License-Identifier: GPL-3.0-or-later
"""In what condition a controller is: its newest reading, its alarms, whether its position and its word are trusted.

Dangerous conditions latch: a lost position stays lost until homing, a fault until a person clears it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.domain.machine import Alarm, Fault
from edge.drivers.grbl.codes import Firmware, alarm_code
from edge.drivers.grbl.protocol import State, StatusReport
from edge.drivers.grbl.state import Reading, fold

QUIET_AFTER_ALARM_NS = 1_000_000_000
"""GRBL answers no `?` for 0.5 s after an alarm (trace soft_limit_alarm2)."""

QUIET_AT_RESTART_NS = 3_000_000_000
"""A restart out of an alarm takes 0.6 s, one with the boot loader 1.3 s (traces reset_in_motion, buttons_and_estop)."""

_LOCKED = Alarm("LOCKED", "The controller is locked since its start: home the machine.", position_kept=False)


@dataclass
class Condition:
    """What is known of a controller beside the conversation with it. Times are boot-time nanoseconds.

    homed: machine coordinates are trusted; homing: `$H` runs, in which nothing is answered; until_reset: an alarm
    waits for 0x18 and answers nothing else; hold_asked: our own `!` has not been followed by `~` or a reset;
    stale: reports have stopped; quiet_until_ns: no report is expected before; changed_ns: the newest alarm, reset or
    start.
    """

    reading: Reading | None = None
    alarms: tuple[Alarm, ...] = ()
    homed: bool = False
    homing: bool = False
    until_reset: bool = False
    hold_asked: bool = False
    stale: bool = False
    door_pin: bool = False
    fault: Fault = Fault.NONE
    fault_reason: str = ""
    quiet_until_ns: int = 0
    changed_ns: int = 0

    @property
    def current(self) -> Reading | None:
        """Return the newest report, or None where an alarm, a reset or a start has come since: it says nothing now."""
        return self.reading if self.reading is not None and self.reading.taken_ns > self.changed_ns else None

    @property
    def moving_to_stand(self) -> bool:
        """Whether the newest report says that a hold or a door is being obeyed, or has been."""
        return self.reading is not None and self.reading.state not in (State.RUN, State.IDLE)

    def connected(self, now_ns: int) -> None:
        """Forget what an earlier connection said; the fault stays."""
        self.reading = None
        self.alarms = ()
        self.until_reset = self.stale = False
        self.allow_quiet(now_ns, QUIET_AFTER_ALARM_NS)

    def disconnected(self) -> None:
        """Trust nothing until the controller is heard and homed again."""
        self.homed = self.homing = self.hold_asked = False

    def reported(self, report: StatusReport, now_ns: int, *, inches: bool, restarting: bool) -> Reading:
        """Fold a status report in and return the reading; one from before a restart does not end an alarm."""
        self.reading = fold(self.reading, report, now_ns, inches=inches)
        self.door_pin = self.door_pin or "D" in report.pins
        if report.state is State.ALARM:
            self.alarms = self.alarms or (_LOCKED,)
            self.homed = self.homed and self.alarms[0].position_kept
        elif not restarting:
            self.alarms = ()
            self.homed = self.homed and report.state is not State.SLEEP
        return self.reading

    def alarmed(self, firmware: Firmware, code: int, now_ns: int) -> tuple[Alarm, bool]:
        """Take note of ALARM:`code`; return it, and whether a restart follows by itself."""
        meaning = alarm_code(firmware, code)
        alarm = Alarm(f"ALARM:{code}", meaning.text, meaning.position_kept)
        self.alarms = (alarm,)
        self.homed = self.homed and meaning.position_kept
        self.homing = False
        self.until_reset = meaning.until_reset
        self.allow_quiet(now_ns, QUIET_AT_RESTART_NS if meaning.restarts else QUIET_AFTER_ALARM_NS)
        return alarm, meaning.restarts

    def resetting(self, now_ns: int) -> None:
        """Take note of a 0x18: steps are lost unless axes stand, and homing has found nothing yet."""
        standing = self.until_reset or (self.reading is not None and self.reading.standing)
        self.homed = self.homed and standing and not self.homing
        self.homing = self.hold_asked = self.until_reset = False
        self.allow_quiet(now_ns, QUIET_AT_RESTART_NS)

    def welcomed(self, now_ns: int, *, unexpected: bool) -> None:
        """Take note of a start; after an unexpected one Idle at 0,0,0 means nothing (power_cycle_in_motion)."""
        self.homing = self.hold_asked = self.until_reset = False
        self.homed = self.homed and not unexpected
        if self.reading is not None:
            # A start brings overrides back to 100 %: what was told before says nothing now.
            self.reading = replace(self.reading, overrides=None)
        self.allow_quiet(now_ns, QUIET_AFTER_ALARM_NS)

    def allow_quiet(self, now_ns: int, span_ns: int) -> None:
        """Expect no report for a while after an alarm, a reset or a start."""
        self.changed_ns = now_ns
        self.quiet_until_ns = max(self.quiet_until_ns, now_ns + span_ns)

    def overdue(self, now_ns: int, stale_ns: int) -> bool:
        """Whether a report should have come `stale_ns` ago; in homing and in some alarms none comes."""
        if self.reading is None or self.homing or self.until_reset:
            return False
        return now_ns - max(self.reading.taken_ns, self.quiet_until_ns) > stale_ns

    def require_person(self, reason: str) -> bool:
        """Latch the fault; return whether it is news. The first reason stays."""
        if self.fault is Fault.FAULT:
            return False
        self.fault, self.fault_reason = Fault.FAULT, reason
        return True

    def cleared(self) -> None:
        """Forget the fault: a person has looked at the machine."""
        self.fault, self.fault_reason = Fault.NONE, ""
