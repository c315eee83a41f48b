# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand while it lasts: jog lines go out one at a time, and a cancel overtakes them.

At most one line is unanswered. A jog cancel ends what GRBL has planned, and not what still waits in its receive
buffer: with lines streamed by counting characters 47 mm were travelled after 0x85 (trace jog_stream_cancel), with one
it is that one. Its answer says that it was planned after the cancel, so it is cancelled then.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.hand import JogEnd
from edge.drivers.grbl.codes import error_text
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.jog import JogLine
from edge.drivers.grbl.protocol import ErrorReply, Ok, State
from edge.drivers.grbl.state import Reading

_LEAD_S = 0.12
"""Motion that is sent ahead beside the way in which it brakes: what a busy host may be late without a stutter."""
_LOOK_S = 0.05
_ASTRAY_MM = 1.0
"""How far from the way that was asked for a report may be before somebody else must have changed it."""
_SHORT_MM = 0.05
"""How far before its end a finished way may be reported: motor steps and three decimals."""
_LAG_S = 0.2
_LAG_REPORTS = 3
"""A machine that stays further behind what it was sent than that has lost some of it: somebody else cancelled."""


class Jogging:
    """From the first jog line to the stand. `speed` in mm/s, `stop_s` the time in which the axes brake."""

    def __init__(self, gate: Gate, start: Reading, lines: Iterator[JogLine], speed: float, stop_s: float) -> None:
        self._gate = gate
        self._controller = gate.controller
        self._lines = lines
        self._next = next(lines, None)
        self._speed = speed
        self._stop_s = stop_s
        self._start = start
        self._life = gate.controller.session.life
        self._end: JogEnd | None = None
        self._refusal: ErrorReply | None = None
        self._unanswered = False
        self._all_sent = False
        self._sent_mm = self._longest_mm = 0.0
        self._behind = 0
        self._judged_ns = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._began_s = self._alive_s = self._loop.time()
        self._answered_ns = gate.controller.now_ns()
        self.over = False

    async def run(self) -> JogEnd:
        """Move until all lines are done or something ends it; return once the axes stand.

        Raises DriverRefused where the controller refused a line, or did not answer it.
        """
        try:
            self._send_next()
            while not await self._controller.until(self._decided, _LOOK_S * 10):
                if self._overdue():
                    break
            return await self._ended()
        except DriverUnavailable:
            return JogEnd.LOST
        finally:
            self.over = True
            self._stop_sending()

    def cancel(self, end: JogEnd) -> None:
        """End the motion: 0x85 is written before this returns. May be repeated. Raises StopNotDelivered."""
        if self.over:
            return
        self._end = self._end or end
        self._stop_sending()
        self._controller.cancel_jog()
        self._controller.ask()

    def cancel_unheard(self, end: JogEnd) -> None:
        """End the motion where nobody is there to hear that the stop was not delivered; the fault says it."""
        try:
            self.cancel(end)
        except StopNotDelivered as error:
            self._controller.require_person(str(error))

    # What goes out

    def _send_next(self) -> None:
        """Send the next line, or come back when it is time to. Raises DriverUnavailable."""
        if self._unanswered or self._decided():
            return
        line = self._next
        if line is None:
            self._all_sent = True
            self._controller.ask()
            return
        now = self._loop.time()
        ahead = self._sent_mm / self._speed - (now - self._began_s)
        if ahead > _LEAD_S:
            self._timer = self._loop.call_later(ahead - _LEAD_S, self._pumped)
            return
        # Motion that came too late is not caught up with: the planner would fill with what nobody asks for any more.
        self._began_s += max(0.0, -ahead)
        self._next = next(self._lines, None)
        self._unanswered = True
        self._alive_s = now
        self._sent_mm += line.length
        self._longest_mm = max(self._longest_mm, line.length)
        self._controller.session.expect(self._answered)
        self._controller.send(line.text)

    def _pumped(self) -> None:
        """Send what is due where nobody waits for it; the port tells in its own turn that it is gone."""
        with contextlib.suppress(DriverUnavailable):
            self._send_next()

    def _answered(self, reply: Ok | ErrorReply) -> None:
        """Take the answer to the line on its way."""
        self._unanswered = False
        self._alive_s = self._loop.time()
        self._answered_ns = self._controller.now_ns()
        if isinstance(reply, ErrorReply):
            self._refusal = self._refusal or reply
        elif self._end is not None:
            self.cancel_unheard(self._end)
        else:
            self._pumped()

    def _stop_sending(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    # What comes in

    def _decided(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._end is not None or self._refusal is not None or self._interrupted() or self._arrived()

    def _arrived(self) -> bool:
        """Whether all lines are done."""
        return self._all_sent and self._gate.idle_since(self._answered_ns) and not self._cut_short()

    def _cut_short(self) -> bool:
        """Whether it stands before the end of what it was sent: a button at the machine cancels a jog into Idle."""
        idle = not self._unanswered and self._gate.idle_since(self._answered_ns)
        return idle and self._way_mm() < self._sent_mm - _SHORT_MM

    def _lags(self, reading: Reading) -> bool:
        """Whether some of what was sent was thrown away in mid motion: it goes on, and stays behind."""
        if self._sent_mm > self._longest_mm and reading.taken_ns != self._judged_ns:
            # Judged as it comes in: it is behind by what is sent ahead, and by half the way in which it took up speed.
            self._judged_ns = reading.taken_ns
            far = self._sent_mm - self._way_mm() > self._speed * (_LAG_S + 0.5 * self._stop_s)
            self._behind = self._behind + 1 if far else 0
        return self._behind >= _LAG_REPORTS

    def _way_mm(self) -> float:
        """Return how far from its start the machine was at the newest report, as the crow flies."""
        start, reading = self._start.machine_position, self._controller.condition.reading
        place = reading.machine_position if reading is not None else None
        if start is None or place is None:
            return self._sent_mm
        return math.dist((start.x, start.y, start.z), (place.x, place.y, place.z))

    def _interrupted(self) -> bool:
        """Whether the controller does something else by now, or is not heard."""
        if self._restarted() or not self._controller.available or self._astray() or self._cut_short():
            return True
        reading = self._controller.condition.current
        if reading is None or reading.state not in (State.IDLE, State.JOG):
            return True
        # Door, hold and reset inputs cancel a jog at once, and their pins say so before the state does (door_jog).
        return bool(reading.pins & {"D", "H", "R"}) or self._lags(reading)

    def _restarted(self) -> bool:
        """Whether an alarm or a reset ended all motion."""
        return self._controller.session.life != self._life or bool(self._controller.condition.alarms)

    def _astray(self) -> bool:
        """Whether the machine is where nobody sent it: a damaged line can still be a valid one."""
        return self._way_mm() > self._sent_mm + _ASTRAY_MM

    def _overdue(self) -> bool:
        """Whether an answer, or the end of what was answered, should have come."""
        quiet = self._loop.time() - self._alive_s
        planned = 0.0 if self._unanswered else self._sent_mm / self._speed + self._stop_s
        return quiet > self._controller.settings.reply_s + planned and (self._unanswered or self._all_sent)

    # The end

    async def _ended(self) -> JogEnd:
        """Wait for the stand, and say why it ended. Raises DriverRefused, and DriverUnavailable without connection."""
        if self._end is None and self._refusal is None and self._arrived():
            return JogEnd.TRAVEL
        end = self._end = self._end or (JogEnd.LOST if self._controller.condition.stale else JogEnd.STOPPED)
        if self._astray():
            self._controller.require_person("The machine moved further than it was asked to: look at it, then home it.")
            self._controller.condition.homed = False
        silent = self._overdue()
        await self._stand()
        if silent:
            raise self._refused("jog", "it did not answer, and was stopped")
        if self._refusal is not None:
            raise self._refused("jog", f"{error_text(self._refusal.code)} (error:{self._refusal.code})")
        return end

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)

    async def _stand(self) -> None:
        """Wait until the last line is answered and the axes stand; where they do not, stop the machine."""
        controller = self._controller
        if self._restarted():
            await self._gate.halted()
            return
        self.cancel_unheard(self._end or JogEnd.STOPPED)
        asked_ns = controller.now_ns()
        for _ in range(math.ceil((self._stop_s + controller.settings.reply_s) / _LOOK_S)):
            if await controller.until(lambda: self._stands(asked_ns) or self._waits(asked_ns), _LOOK_S):
                break
            controller.ask()
        if self._restarted():
            return
        if not self._stands(asked_ns):
            # Nothing may be left that starts by itself after a hold or a door.
            await self._gate.stop_unheard()
        elif self._gate.idle_since(asked_ns):
            # A hold while jogging is a cancel (trace jogging): there is nothing to resume.
            controller.condition.hold_asked = False

    def _stands(self, asked_ns: int) -> bool:
        """Whether a report says that axes stand and no line is on its way."""
        if self._restarted():
            return True
        reading = self._controller.condition.reading
        heard = reading is not None and reading.taken_ns > max(asked_ns, self._answered_ns) and not reading.moving
        return heard and not self._unanswered

    def _waits(self, asked_ns: int) -> bool:
        """Whether a line waits behind a hold or a door, to move after a resume."""
        reading = self._controller.condition.reading
        held = reading is not None and reading.taken_ns > asked_ns and reading.state in (State.HOLD, State.DOOR)
        return held and self._unanswered


class Lease:
    """Continuous motion that lasts only as long as somebody renews it (a JogLease)."""

    def __init__(self, jogging: Jogging, task: asyncio.Task[JogEnd], seconds: float) -> None:
        self._jogging = jogging
        self._task = task
        self._seconds = seconds
        self._timer = self._started()
        # Whoever lets go of a lease without asking how it ended has not forgotten an error.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def renew(self) -> None:
        """Say that the person still asks for motion."""
        self._timer.cancel()
        if not self._jogging.over:
            self._timer = self._started()

    def release(self) -> None:
        """End the motion: the jog cancel is written before this returns. Raises StopNotDelivered."""
        self._timer.cancel()
        self._jogging.cancel(JogEnd.RELEASED)

    async def ended(self) -> JogEnd:
        """Wait until the axes stand, and return why."""
        return await asyncio.shield(self._task)

    def _started(self) -> asyncio.TimerHandle:
        """Start the time after which the motion ends by itself, whatever becomes of the caller."""
        loop = asyncio.get_running_loop()
        return loop.call_later(self._seconds, self._jogging.cancel_unheard, JogEnd.NOT_RENEWED)
