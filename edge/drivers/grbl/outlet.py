# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes out to one controller, and who waits for what comes back.

Stops are written before the call returns. A line is entered in the session's ledger before it is sent, so that its
answer finds its way.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.machine import MachineState
from edge.domain.ports import Clock, Guardian
from edge.drivers.grbl.blackbox import BlackBox
from edge.drivers.grbl.codes import error_text
from edge.drivers.grbl.condition import Condition
from edge.drivers.grbl.doctor import LinkDoctor
from edge.drivers.grbl.identity import Identity
from edge.drivers.grbl.job import Job
from edge.drivers.grbl.link import Link
from edge.drivers.grbl.opening import LinkError
from edge.drivers.grbl.protocol import ErrorReply, Ok, RealTime, State
from edge.drivers.grbl.session import Phase, Session
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.grbl.view import describe
from edge.drivers.grbl.waiting import Predicate, Waiters

_log = logging.getLogger(__name__)

_LATE = "this service was held up, and the guardian may have stopped the machine"


class Outlet:
    """Link, session, condition and job of one controller, and all that is written to it."""

    def __init__(
        self, machine_id: str, settings: GrblSettings, clock: Clock, guardian: Guardian, box: BlackBox
    ) -> None:
        self.machine_id = machine_id
        self.settings = settings
        self.session = Session()
        self.identity = Identity()
        self.condition = Condition(door_pin=settings.door_pin)
        self.doctor = LinkDoctor()
        self.box = box
        self.job: Job | None = None
        self.state = MachineState()
        self.listeners: list[Callable[[MachineState], None]] = []
        self._clock = clock
        self._guardian = guardian
        self._waiters = Waiters()
        self._link: Link | None = None
        self._held_job: Job | None = None
        self._noted_job: Job | None = None
        self._noted_trust: bool | None = None
        self._uncountable = 0
        """Damaged lines that may have been acknowledgements."""
        self._restart_ns = 0

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
        self._note_trust()
        self.session.resetting()
        self._fail_job("the controller was reset")
        self._waiters.wake()

    def _write_stop(self, byte: RealTime) -> Link:
        """Write `byte` now and return the port. Raises StopNotDelivered.

        A port that takes no more bytes is emptied first: what waits in it is motion that nobody wants any more.
        """
        link = self._link
        if link is None:
            raise StopNotDelivered(machine_id=self.machine_id, reason="there is no connection")
        try:
            link.now(byte)
        except LinkError:
            link.flush()
            try:
                link.now(byte)
            except LinkError as error:
                raise StopNotDelivered(machine_id=self.machine_id, reason=str(error)) from error
            self._fail_job("the port took no more bytes, and what waited in it was thrown away", stop=True)
        return link

    def resume(self) -> None:
        """Write `~`. Raises DriverUnavailable."""
        self.write(RealTime.RESUME)
        self.condition.hold_asked = False

    def cancel_jog(self) -> None:
        """Write 0x85 before returning; where nothing moves by hand it changes nothing. Raises StopNotDelivered."""
        self._write_stop(RealTime.JOG_CANCEL)

    def write(self, byte: RealTime) -> None:
        """Write one real-time byte before returning. Raises DriverUnavailable."""
        try:
            self._open_link().now(byte)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error

    def ask(self) -> None:
        """Ask for a status report, if the port takes the byte; the next poll asks again."""
        if self._link is not None:
            with contextlib.suppress(LinkError):
                self._link.now(RealTime.STATUS)
                self.doctor.asked(self._clock.boot_ns())

    def send(self, line: str) -> None:
        """Send one line whose answer nobody waits for. Raises DriverUnavailable."""
        self._send(f"{line}\n".encode("ascii"))

    async def command(self, line: str, seconds: float, *, gives_up: Predicate = lambda: False) -> None:
        """Send one line and wait for its answer.

        Raises DriverRefused when the controller says no, restarts, or `gives_up` comes true first, and
        DriverUnavailable when its answer may have come in damaged, or none comes within `seconds`, not counting time
        in Hold or Door, where GRBL processes no line at all.
        """
        replies: list[Ok | ErrorReply] = []
        life, uncountable = self.session.life, self._uncountable
        self.session.expect(replies.append)
        self.send(line)

        def decided() -> bool:
            damaged = self._uncountable != uncountable
            return bool(replies) or self.session.life != life or damaged or gives_up()

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
            case _ if self._uncountable != uncountable and self.session.life == life:
                # Not waited for: homing would take minutes, in which nobody sees the door.
                reason = f"the answer to {line} came in damaged. {self.doctor.cause}"
                raise DriverUnavailable(machine_id=self.machine_id, reason=reason)
            case _:
                alarms = self.condition.alarms
                reason = alarms[0].text if alarms else "it was interrupted"
        raise DriverRefused(machine_id=self.machine_id, command=line, reason=reason)

    def _send(self, data: bytes) -> None:
        """Send lines. Raises DriverUnavailable.

        Not where the guardian may have acted: an `ok` that waited for this process, or the stray one after a reset,
        would else bring the next line to a controller that was just stopped, and it would move.
        """
        if not self._guardian.in_time(self.machine_id):
            self._fail_job(_LATE, stop=True)
            self._hold_if_failed()
            raise DriverUnavailable(machine_id=self.machine_id, reason=_LATE)
        try:
            self._open_link().send(data)
        except LinkError as error:
            raise DriverUnavailable(machine_id=self.machine_id, reason=str(error)) from error

    # Consequences

    def _fail_job(self, reason: str, *, stop: bool = False, interrupted: bool = True) -> None:
        """End the program that runs, if one does; it is not to blame where it was `interrupted`."""
        if self.job is not None:
            self.job.fail(reason, stop=stop, interrupted=interrupted)
            self._note_end()

    def _note_trust(self) -> None:
        """Mark in the recording whether the position is trusted, where that has changed."""
        if self.condition.homed is not self._noted_trust:
            self._noted_trust = self.condition.homed
            self.box.mark("position", trusted=self.condition.homed)

    def _note_end(self) -> None:
        """Mark in the recording how the program has ended, if it has."""
        job = self.job
        if job is None or not job.ended or job is self._noted_job:
            return
        self._noted_job = job
        if job.failure is None:
            self.box.ended("finished")
        else:
            outcome = "was interrupted" if job.failure.interrupted else "ended before its end"
            self.box.ended(outcome, job.failure.reason)

    def _hold_if_failed(self) -> None:
        """Hold at once when the program has just failed: GRBL goes on with what it has buffered."""
        job = self.job
        if job is None or job.failure is None or not job.failure.stop or job is self._held_job:
            return
        self._held_job = job
        if self._link is not None:
            # Lines that have not left the port would move the machine once a stalled line flows again.
            self._link.flush()
        try:
            self.hold()
        except StopNotDelivered as error:
            self.require_person(str(error))

    def require_person(self, reason: str) -> None:
        """Mark FAULT and publish it; the first reason stays until a person clears it."""
        if self.condition.require_person(reason):
            _log.error("%s: %s", self.machine_id, reason)
            self.box.mark("fault", reason=reason)
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
        self._note_trust()
        known = self.session.known and condition.reading is not None and not condition.stale
        self.state = describe(
            condition,
            self.job,
            known=known,
            reason=reason,
            door_pin=condition.door_pin or identity.door_pin,
            stop_pin=self.settings.stop_pin,
            link=self.doctor.health(),
        )
        for listener in tuple(self.listeners):
            listener(self.state)
