# SPDX-License-Identifier: GPL-3.0-or-later
"""One controller at one port: what is decided on each line that it says.

Every line is handled to its end before the next is read: session, condition and job are brought up to date, bytes
that follow from it are written, listeners are called, and those who wait for it are woken.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.machine import MachineState
from edge.domain.ports import Clock, Guardian
from edge.drivers.grbl.codes import error_text
from edge.drivers.grbl.condition import QUIET_AT_RESTART_NS, Condition
from edge.drivers.grbl.identity import Identity
from edge.drivers.grbl.job import Job, JobPhase
from edge.drivers.grbl.link import Link, LinkError
from edge.drivers.grbl.protocol import (
    AlarmReport,
    ErrorReply,
    Message,
    Noise,
    Ok,
    RealTime,
    State,
    StatusReport,
    Welcome,
    parse,
)
from edge.drivers.grbl.session import Phase, Session, Start
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.grbl.state import Reading
from edge.drivers.grbl.view import describe
from edge.drivers.grbl.waiting import Predicate, Waiters

_log = logging.getLogger(__name__)

_SETTINGS_LOST = ErrorReply(7)


class Controller:
    """Link, session, condition and job of one controller. By itself it commands nothing but a hold."""

    def __init__(self, machine_id: str, settings: GrblSettings, clock: Clock, guardian: Guardian) -> None:
        self.machine_id = machine_id
        self.settings = settings
        self.session = Session()
        self.identity = Identity()
        self.condition = Condition(door_pin=settings.door_pin)
        self.job: Job | None = None
        self.strangers: list[str] = []
        """The first lines that were no GRBL while the port waited for a welcome."""
        self.state = MachineState()
        self.listeners: list[Callable[[MachineState], None]] = []
        self._clock = clock
        self._guardian = guardian
        self._waiters = Waiters()
        self._link: Link | None = None
        self._held_job: Job | None = None
        self._restart_ns = 0
        self._ticked_ns = 0

    # The port

    def open(self) -> None:
        """Open the port and wait for the first word. Raises DriverUnavailable."""
        settings = self.settings
        try:
            self._link = Link(settings.port, settings.baud, self._on_line, self.close)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error
        self.identity = Identity()
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

    def _open_link(self) -> Link:
        """Return the port. Raises DriverUnavailable."""
        if self._link is None:
            raise DriverUnavailable(machine_id=self.machine_id, reason="there is no connection")
        return self._link

    # What goes out

    def hold(self) -> None:
        """Write `!` before returning; homing ignores it, so there a reset follows. Raises StopNotDelivered."""
        self._write_stop(RealTime.HOLD)
        self.condition.hold_asked = True
        if self.condition.homing:
            self.reset()

    def reset(self) -> None:
        """Write 0x18 before returning; the position is lost unless axes stand. Raises StopNotDelivered."""
        self._write_stop(RealTime.RESET).discard_unsent()
        self._restart_ns = self._clock.boot_ns()
        self.condition.resetting(self._restart_ns)
        self.session.resetting()
        self._fail_job("the controller was reset")
        self._waiters.wake()

    def _write_stop(self, byte: RealTime) -> Link:
        """Write `byte` now and return the port. Raises StopNotDelivered."""
        if self._link is None:
            raise StopNotDelivered(machine_id=self.machine_id, reason="there is no connection")
        try:
            self._link.now(byte)
        except LinkError as error:
            raise StopNotDelivered(machine_id=self.machine_id, reason=str(error)) from error
        return self._link

    def resume(self) -> None:
        """Write `~`. Raises DriverUnavailable."""
        try:
            self._open_link().now(RealTime.RESUME)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error
        self.condition.hold_asked = False

    def ask(self) -> None:
        """Ask for a status report, if the port takes the byte; the next poll asks again."""
        if self._link is not None:
            with contextlib.suppress(LinkError):
                self._link.now(RealTime.STATUS)

    def send(self, line: str) -> None:
        """Send one line whose answer nobody waits for. Raises DriverUnavailable."""
        self._send(f"{line}\n".encode("ascii"))

    def begin(self, job: Job) -> None:
        """Send the first lines of `job`. Raises DriverUnavailable."""
        self.job = job
        self._send_job_lines(job, job.start())
        self.ask()

    async def command(self, line: str, seconds: float, *, gives_up: Predicate = lambda: False) -> None:
        """Send one line and wait for its answer.

        Raises DriverRefused when the controller says no, restarts, or `gives_up` comes true first, and
        DriverUnavailable when no answer comes within `seconds`, not counting time in Hold or Door, where GRBL
        processes no line at all.
        """
        replies: list[Ok | ErrorReply] = []
        life = self.session.life
        self.session.expect(replies.append)
        self.send(line)

        def decided() -> bool:
            return bool(replies) or self.session.life != life or gives_up()

        while not await self.until(decided, seconds):
            reading = self.condition.reading
            if reading is None or reading.state not in (State.HOLD, State.DOOR):
                reason = f"no answer to {line} within {seconds:g} s"
                raise DriverUnavailable(machine_id=self.machine_id, reason=reason)
        match replies:
            case [Ok()]:
                return
            case [ErrorReply(code)]:
                reason = f"{error_text(code)} (error:{code})"
            case _:
                alarms = self.condition.alarms
                reason = alarms[0].text if alarms else "it was interrupted"
        raise DriverRefused(machine_id=self.machine_id, command=line, reason=reason)

    def _send(self, data: bytes) -> None:
        """Send lines. Raises DriverUnavailable."""
        try:
            self._open_link().send(data)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error

    def _send_job_lines(self, job: Job, data: bytes) -> None:
        """Send lines of `job` and enter it as their owner. Raises DriverUnavailable."""
        if not data:
            return

        def owner(reply: Ok | ErrorReply) -> None:
            self._job_replied(job, reply)

        self.session.expect(owner, data.count(b"\n"))
        self._send(data)

    # What comes in

    def _on_line(self, line: str) -> None:
        """Handle one line to its end."""
        match parse(line):
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
        self._waiters.wake()

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
        late = now - self._ticked_ns > stale_ns // 2
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

    # Consequences

    def _fail_job(self, reason: str, *, stop: bool = False, interrupted: bool = True) -> None:
        """End the program that runs, if one does; it is not to blame where it was `interrupted`."""
        if self.job is not None:
            self.job.fail(reason, stop=stop, interrupted=interrupted)

    def _hold_if_failed(self) -> None:
        """Hold at once when the program has just failed: GRBL goes on with what it has buffered."""
        job = self.job
        if job is None or job.failure is None or not job.failure.stop or job is self._held_job:
            return
        self._held_job = job
        try:
            self.hold()
        except StopNotDelivered as error:
            self.require_person(str(error))

    def require_person(self, reason: str) -> None:
        """Mark FAULT and publish it; the first reason stays until a person clears it."""
        if self.condition.require_person(reason):
            _log.error("%s: %s", self.machine_id, reason)
            self.publish()

    def clear_fault(self) -> None:
        """Forget the fault: a person has looked at the machine."""
        self.condition.cleared()
        self.publish()

    # Who waits and who listens

    @property
    def available(self) -> bool:
        """Whether the controller is known and heard."""
        return self.session.phase is Phase.READY and not self.condition.stale

    def now_ns(self) -> int:
        """Return the boot-time clock."""
        return self._clock.boot_ns()

    def heard_since(self, moment_ns: int) -> bool:
        """Whether a status report was read after `moment_ns`."""
        return self.condition.reading is not None and self.condition.reading.taken_ns > moment_ns

    async def until(self, predicate: Predicate, seconds: float | None) -> bool:
        """Return True once `predicate` holds, False after `seconds`. Raises DriverUnavailable without connection."""
        self._open_link()
        return await self._waiters.until(predicate, seconds)

    def publish(self, reason: str = "") -> None:
        """Build the state and call the listeners; `reason` says why nothing is heard, where nothing is."""
        condition, identity = self.condition, self.identity
        known = self.session.known and condition.reading is not None and not condition.stale
        self.state = describe(
            condition,
            self.job,
            known=known,
            reason=reason,
            door_pin=condition.door_pin or identity.door_pin,
            stop_pin=self.settings.stop_pin,
        )
        for listener in tuple(self.listeners):
            listener(self.state)
