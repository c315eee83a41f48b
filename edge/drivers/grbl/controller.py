# SPDX-License-Identifier: GPL-3.0-or-later
"""One controller at one port: what is decided on each line that it says.

Every line is handled to its end before the next is read: session, condition and job are brought up to date, bytes
that follow from it are written, listeners are called, and those who wait for it are woken.
"""

from __future__ import annotations

import contextlib
import logging

from edge.domain.errors import DriverUnavailable, StopNotDelivered
from edge.domain.machine import SpindleCommand
from edge.domain.ports import Clock, Guardian
from edge.drivers.grbl.blackbox import BlackBox
from edge.drivers.grbl.condition import QUIET_AT_RESTART_NS
from edge.drivers.grbl.doctor import Finding
from edge.drivers.grbl.identity import Identity
from edge.drivers.grbl.job import Job, JobPhase
from edge.drivers.grbl.link import Direction, Link
from edge.drivers.grbl.opening import LinkError, open_port
from edge.drivers.grbl.outlet import Outlet
from edge.drivers.grbl.protocol import (
    AlarmReport,
    ErrorReply,
    Message,
    Noise,
    Ok,
    RealTime,
    Reply,
    StatusReport,
    Welcome,
    parse,
)
from edge.drivers.grbl.session import Phase, Start
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.grbl.state import Reading

_log = logging.getLogger(__name__)

_SETTINGS_LOST = ErrorReply(7)


class Controller(Outlet):
    """What comes in from one controller, and what follows from it. By itself it commands nothing but a hold."""

    def __init__(
        self, machine_id: str, settings: GrblSettings, clock: Clock, guardian: Guardian, box: BlackBox
    ) -> None:
        super().__init__(machine_id, settings, clock, guardian, box)
        self.strangers: list[str] = []
        """The first lines that were no GRBL while the port waited for a welcome."""
        self._ticked_ns = 0

    # The port

    async def open(self) -> None:
        """Open the port and wait for the first word. Raises DriverUnavailable."""
        settings = self.settings
        try:
            opened = await open_port(settings.port, settings.baud)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error
        self._link = Link(opened, self._on_line, self.close, self._on_bytes)
        self.identity = Identity()
        self.doctor.opened(settings.baud)
        self.box.opened(settings.port, settings.baud)
        self._noted_trust = None
        self.strangers = []
        self.condition.connected(self._clock.boot_ns())
        self.session.opened()
        self._guardian.watch(self.machine_id, self._link.descriptor)

    def close(self, reason: str, *, meant: bool = False) -> None:
        """Close the port and let everybody who waits know why. A program that runs is held first where possible.

        Unless it is `meant`, the end of a connection to a known controller is a fault.
        """
        link, self._link = self._link, None
        if link is not None:
            self.box.mark("port closed", reason=reason, meant=meant)
            if self.job is not None and not self.job.ended:
                with contextlib.suppress(LinkError):
                    link.now(RealTime.HOLD)
            if self.session.known and not meant:
                self.require_person(f"The connection was lost: {reason}. Motion that was under way may have gone on.")
            self.session.closed()
            self.condition.disconnected()
            self._fail_job(reason)
            self._guardian.unwatch(self.machine_id)
            link.close()
            self._waiters.fail(DriverUnavailable(machine_id=self.machine_id, reason=reason))
        self.publish(reason)
        self.box.close()

    # A program

    def begin(self, job: Job) -> None:
        """Send the first lines of `job`. Raises DriverUnavailable."""
        self.job = job
        self.box.begin(job.program.program_id, len(job.program.lines), self.identity.controller)
        self.box.mark("position", trusted=self.condition.homed)
        self._send_job_lines(job, job.start())
        self.ask()

    def _send_job_lines(self, job: Job, data: bytes) -> None:
        """Send lines of `job` and enter it as their owner. Raises DriverUnavailable."""
        if not data:
            return

        def owner(reply: Ok | ErrorReply) -> None:
            self._job_replied(job, reply)

        self.session.expect(owner, data.count(b"\n"))
        self._send(data)

    # What comes in

    def _on_bytes(self, direction: Direction, data: bytes) -> None:
        """Record it, and show the doctor what comes in, also where it never becomes a line."""
        self.box.seen(direction, data)
        if direction is Direction.IN:
            self.doctor.received(data)

    def _on_line(self, line: str) -> None:
        """Handle one line to its end."""
        reply = parse(line)
        self._examine(line, reply)
        match reply:
            case Ok() | ErrorReply() as reply:
                self._replied(reply)
            case StatusReport() as report:
                self._reported(report)
            case AlarmReport(code):
                self._alarmed(code)
            case Welcome() as welcome:
                self._welcomed(welcome)
            case Message("Check Door"):
                # Pushed at once when the door opens, up to 200 ms before the next poll would see it.
                self.ask()
            case Message("Reset to continue"):
                self._leave_alarm()
            case Noise(text):
                self._unreadable(text)
            case message:
                self.identity.note(message)
        self._note_end()
        self._waiters.wake()

    def _examine(self, line: str, reply: Reply) -> None:
        """Let the doctor see a line; a program is held before it stalls on an acknowledgement that was damaged."""
        now = self._clock.boot_ns()
        found = self.doctor.heard(line, reply, now, spindle=self._spindle)
        self._uncountable += found is Finding.UNCOUNTABLE
        if self.job is not None and not self.job.ended and self.doctor.too_much(found, now):
            self._fail_job(f"a damaged reply came in, {line!r}. {self.doctor.cause}", stop=True)
            self._hold_if_failed()

    @property
    def _spindle(self) -> bool:
        """Whether the spindle is commanded on, as far as the newest report says."""
        reading = self.condition.reading
        if reading is None:
            return False
        if reading.speed is not None:
            return reading.speed > 0
        return reading.spindle in (SpindleCommand.CLOCKWISE, SpindleCommand.COUNTER_CLOCKWISE)

    def _replied(self, reply: Ok | ErrorReply) -> None:
        """Hand an acknowledgement to whom it belongs."""
        if reply == _SETTINGS_LOST:
            self.require_person("The controller lost its settings and uses defaults: have them restored.")
        if not self.session.replied(reply):
            _log.warning("%s: an answer to no question: %s", self.machine_id, reply)

    def _job_replied(self, job: Job, reply: Ok | ErrorReply) -> None:
        """Take the answer to a line of `job` and send what fits now."""
        data = job.replied(reply, self._clock.boot_ns())
        self._hold_if_failed()
        if job.phase is JobPhase.SETTLING:
            self.ask()
        with contextlib.suppress(DriverUnavailable):
            # The port tells in its own turn that it is gone, and that fails the job.
            self._send_job_lines(job, data)

    def _reported(self, report: StatusReport) -> None:
        """Fold a status report in and publish it."""
        now = self._clock.boot_ns()
        restarting = self.session.phase is Phase.RESTARTING
        if restarting and now - self._restart_ns > QUIET_AT_RESTART_NS:
            # Some builds leave an alarm without starting again: a report this late says that this is one.
            self.session.identified()
        reading = self.condition.reported(report, now, inches=self.identity.inches, restarting=restarting)
        if self.condition.stale:
            self.condition.stale = False
            _log.info("%s: status reports are back", self.machine_id)
        if self.job is not None:
            self._check_place(reading)
            self.job.reported(reading)
            self._hold_if_failed()
        self.publish()

    def _check_place(self, reading: Reading) -> None:
        """Stop a program that leaves the travel: a lost byte can join two numbers into one that GRBL believes."""
        place = reading.machine_position
        if self.condition.homed and place is not None and not self.identity.reaches(place):
            self.condition.homed = False
            self._fail_job(f"an axis left its travel at {place.x:g}, {place.y:g}, {place.z:g}", stop=True)
            self.require_person("An axis left its travel while a program ran: look at the machine, then home it.")

    def _alarmed(self, code: int) -> None:
        """Take note of ALARM:`code`."""
        now = self._clock.boot_ns()
        alarm, restarts = self.condition.alarmed(self.identity.firmware, code, now)
        self.box.mark("alarm", code=alarm.code, text=alarm.text, position_kept=alarm.position_kept)
        if restarts:
            self._restart_ns = now
            self.session.resetting()
        # An alarm that keeps the position is raised by what the program says, not by what happened to the machine.
        self._fail_job(f"{alarm.text} ({alarm.code})", interrupted=not alarm.position_kept)
        self.publish()

    def _leave_alarm(self) -> None:
        """Reset a controller that waits for it in an alarm: it stays locked, but can be asked again."""
        if self.condition.until_reset:
            with contextlib.suppress(StopNotDelivered):
                self.reset()

    def _welcomed(self, welcome: Welcome) -> None:
        """Take note of a start of the controller."""
        start = self.session.welcomed()
        self.identity.note(welcome)
        self.condition.welcomed(self._clock.boot_ns(), unexpected=start is Start.UNEXPECTED)
        if start is Start.UNEXPECTED:
            self._fail_job("the controller restarted by itself")
            self.require_person("The controller restarted by itself: its position is not known any more.")
        self.ask()

    def _unreadable(self, text: str) -> None:
        """Keep the evidence of link noise, or of another kind of device."""
        if self.session.phase is Phase.GREETING and len(self.strangers) < 3:
            self.strangers.append(text)
        if self.job is not None:
            self.job.unreadable()
        _log.warning("%s: unreadable line %r", self.machine_id, text)

    # Time

    def tick(self) -> None:
        """Ask for a status report, and judge the age of the last one. Called five to ten times a second."""
        now = self._clock.boot_ns()
        stale_ns = int(self.settings.stale_s * 1e9)
        usual_ns = int(1e9 / min(self.settings.poll_hz, self.settings.poll_moving_hz))
        late = now - self._ticked_ns > max(stale_ns // 2, usual_ns * 3 // 2)
        self._ticked_ns = now
        if self._link is None or self.session.phase is Phase.GREETING:
            return
        self.ask()
        if self.condition.homing:
            self.publish()
        elif now > self.condition.quiet_until_ns and self.condition.until_reset:
            self._leave_alarm()
        elif not late and not self.condition.stale and self.condition.overdue(now, stale_ns):
            # A tick that is itself late says nothing: the reports may wait unread in the port.
            self._went_silent()

    def _went_silent(self) -> None:
        """Count what is known as unknown; a program that runs blind is held."""
        self.condition.stale = True
        _log.warning("%s: no status report for %g s", self.machine_id, self.settings.stale_s)
        if self.job is not None and not self.job.ended:
            self._fail_job("the controller stopped answering", stop=True)
            self._hold_if_failed()
            self.require_person("The controller stopped answering while a program ran: look at the machine.")
        self.publish("The controller does not answer.")
        self._waiters.wake()
