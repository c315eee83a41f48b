# SPDX-License-Identifier: GPL-3.0-or-later
"""Probing, where work coordinates begin, and the modes that others left behind. Lengths mm, feeds mm/min.

A probing move leaves its modes behind: G91, G38.2 and its feed. They are put back at once, and where an alarm locks
the controller, after a person has unlocked or homed it: the next program would else count from where it stands.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping

from edge.domain.errors import DriverRefused, DriverUnavailable, ProbeFailed
from edge.domain.hand import Axis, Displacement
from edge.domain.machine import Position, SpindleCommand
from edge.domain.ports import ProgramText
from edge.drivers.grbl import jog
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.screening import sets_tool_length
from edge.drivers.grbl.state import INCH, Reading

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_READS_MM = 0.005
"""How near a report is to what was set: in inches it has four decimals."""

_CHECKED = ("G0", "G17", "G21", "G90", "G94")
"""The modes in which a controller starts, and in which edge.gcode takes a program to begin."""

_DEFAULTS = "".join(_CHECKED)
_OTHER_ZEROS = frozenset({"G55", "G56", "G57", "G58", "G59"})

_WHY = {
    "ALARM:4": "the probe touched before the move began. Lift the tool off, look at the probe, then unlock the machine",
    "ALARM:5": "the probe did not touch on the way. Look at the probe and its cable, then unlock the machine",
}


class Measure:
    """Probing moves and work zeros of one controller."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._controller = gate.controller
        self._settings = gate.controller.settings
        self._left: tuple[int, str] | None = None

    async def probe(self, by: Displacement, feed: float) -> Position:
        """Move until the probe makes contact; return the machine position of contact.

        Raises DriverRefused, and ProbeFailed where it was in contact before, or found none on the way.
        """
        with self._gate.exclusive("probe"):
            reading = await self._gate.drained("probe")
            line = self._line(reading, by, feed)
            if "P" in reading.pins:
                raise self._failed("it is in contact already. Lift the tool off the plate, and look at the probe")
            await self.put_back()
            await self._gate.command("$G")
            modes = self._modes()
            self._left = (self._controller.session.life, modes)
            self._controller.identity.parameters.pop("PRB", None)
            await self._move(line, by.length / min(feed, self._settings.probe_feed) * 60)
            contact = await self._contact()
            await self.put_back()
            return contact

    def left_by_program(self) -> None:
        """Take note that a program has run: not even M30 puts units back, and the next one is checked from these modes.

        A reset does, so that what was left before one is nothing to put back.
        """
        self._left = (self._controller.session.life, _DEFAULTS)

    async def put_back(self) -> None:
        """Put the modes back that a program or a probing move left behind: the controller must not be locked.

        Raises DriverRefused, DriverUnavailable.
        """
        left, self._left = self._left, None
        if left is not None and left[0] == self._controller.session.life:
            await self._gate.command(left[1])

    async def end(self, program: ProgramText) -> None:
        """Take back the tool length that a program has set, when it has ended: no M30 does.

        It is a part of the offset that is reported (trace g92_and_tlo), so that the next run would be one with another
        zero than was approved. Where this fails, `begin` refuses the next program.
        """
        if not await sets_tool_length(program):
            return
        try:
            await self._gate.drained("take back a tool length")
            await self._gate.command("G49")
            # Reports carry an offset once it has changed.
            await self._gate.drained("take back a tool length")
        except (DriverRefused, DriverUnavailable) as error:
            log.warning("%s: a tool length is left: %s", self._controller.machine_id, error)

    async def begin(self) -> None:
        """Bring the controller into the modes in which a program is checked: startup blocks leave others, too.

        Another work coordinate system than G54 and a tool length are refused and not put back: the check counted with
        the offset that holds, of which both are a part (trace g92_and_tlo). Raises DriverRefused, DriverUnavailable.
        """
        await self.put_back()
        self._controller.identity.modal = ()
        await self._gate.command("$G")
        modal: frozenset[str] = frozenset(self._controller.identity.modal)
        if modal and not modal.issuperset(_CHECKED):
            await self._gate.command(_DEFAULTS)
        for zero in modal & _OTHER_ZEROS:
            reason = f"it works in {zero} and not in G54: press Stop machine, which puts that back"
            raise self._refused("run a program", reason)
        await self._require_no_tool_length()

    async def _require_no_tool_length(self) -> None:
        """Refuse a tool length that is left of what was not ended here, as another host's program is."""
        parameters = self._controller.identity.parameters
        parameters.pop("TLO", None)
        await self._gate.command("$#")
        if "TLO" not in parameters:
            raise self._refused("run a program", "it did not say whether a tool length is left: start again")
        if any(parameters["TLO"]):
            length = max(parameters["TLO"], key=abs) * (INCH if self._controller.identity.inches else 1.0)
            reason = f"a tool length of {length:.2f} mm is left in it: press Stop machine, which takes it back"
            raise self._refused("run a program", reason)

    def _line(self, reading: Reading, by: Displacement, feed: float) -> str:
        """Return the probing move. Raises DriverRefused where it is out of bounds."""
        if not math.isfinite(by.length) or not math.isfinite(feed) or feed < jog.LEAST_FEED:
            raise self._refused("probe", "the way or the feed is no number that it can follow")
        if reading.spindle in (SpindleCommand.CLOCKWISE, SpindleCommand.COUNTER_CLOCKWISE):
            raise self._refused("probe", "its spindle is commanded on")
        if by.length > self._settings.probe_mm:
            raise self._refused("probe", f"it probes {self._settings.probe_mm:g} mm at a time")
        travel = self._controller.identity.travel()
        if self._controller.condition.homed and travel is not None:
            place = reading.machine_position
            if place is None or not jog.within(place, by, travel):
                raise self._refused("probe", "the way leads out of its travel")
        words = jog.way_words(by)
        if not words:
            raise self._refused("probe", "no axis was named")
        bounded = jog.bounded_feed(by, feed, self._settings.probe_feed, self._controller.identity.motion())
        return f"G91G21G38.2{words}F{bounded:g}"

    async def _move(self, line: str, seconds: float) -> None:
        """Send the probing move and wait for its end. Raises ProbeFailed, DriverRefused, DriverUnavailable."""
        try:
            await self._gate.command(line, seconds + self._settings.reply_s)
        except asyncio.CancelledError:
            await self._gate.stop_unheard()
            raise
        except DriverRefused:
            await self._fail_by_alarm()
            raise
        await self._fail_by_alarm()
        done_ns = self._controller.now_ns()
        self._controller.ask()
        # It brakes after the contact.
        await self._controller.until(lambda: self._gate.idle_since(done_ns), self._settings.reply_s)
        self._gate.idle("probe")

    async def _fail_by_alarm(self) -> None:
        """Say what an alarm means for who probes, once the controller reports again. Raises ProbeFailed."""
        for alarm in self._controller.condition.alarms:
            await self._controller.until(lambda: self._controller.condition.current is not None, self._settings.reply_s)
            raise self._failed(_WHY.get(alarm.code, alarm.text))

    async def _contact(self) -> Position:
        """Return where the contact was made. Raises ProbeFailed where the controller does not say it."""
        parameters = self._controller.identity.parameters
        if len(parameters.get("PRB", ())) < 3:
            # The line was lost on its way; the controller keeps what it found.
            await self._gate.command("$#")
        if len(parameters.get("PRB", ())) < 3:
            await self.put_back()
            raise self._failed("the controller did not say where")
        scale = INCH if self._controller.identity.inches else 1.0
        x, y, z = (value * scale for value in parameters["PRB"][:3])
        return Position(x, y, z)

    def _modes(self) -> str:
        """Return the line that brings back distance mode, units and feed as `$G` told them; G0, which needs no feed."""
        modal = self._controller.identity.modal
        units = "G20" if "G20" in modal else "G21"
        distance = "G91" if "G91" in modal else "G90"
        feed = next((word for word in modal if word.startswith("F")), "")
        return f"G0{units}{distance}{feed}"

    async def set_work_zero(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads` in the active work coordinates.

        Raises DriverRefused where the controller says no, or reports something else afterwards.
        """
        if not reads or not all(math.isfinite(value) for value in reads.values()):
            raise self._refused("set work zero", "no axis was named")
        with self._gate.exclusive("set work zero"):
            await self._gate.drained("set work zero")
            await self._gate.command("$G")
            inches = "G20" in self._controller.identity.modal
            if inches:
                await self._gate.command("G21")
            try:
                await self._gate.drained("set work zero")
                await self._gate.write_memory(f"G10L20P0{jog.axis_words(reads)}")
            finally:
                if inches and self._controller.available:
                    await self._gate.command("G20")
            if not await self._reads(reads):
                raise self._refused("set work zero", "it reports another place than the one that was set")

    async def _reads(self, reads: Mapping[Axis, float]) -> bool:
        """Whether reports, which carry the offset once it has changed, come to say `reads`."""
        controller = self._controller
        written_ns = controller.now_ns()

        def agrees() -> bool:
            reading = controller.condition.reading
            place = reading.work_position if reading is not None and reading.taken_ns > written_ns else None
            if place is None:
                return False
            stands = {Axis.X: place.x, Axis.Y: place.y, Axis.Z: place.z}
            return all(abs(stands[axis] - value) <= _READS_MM for axis, value in reads.items())

        for _ in range(round(self._settings.reply_s / _LOOK_S)):
            controller.ask()
            if await controller.until(agrees, _LOOK_S):
                return True
        return False

    def _failed(self, reason: str) -> ProbeFailed:
        """Return the error with its facts."""
        return ProbeFailed(machine_id=self._controller.machine_id, reason=reason)

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)
