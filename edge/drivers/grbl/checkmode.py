# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's own check: in `$C` it reads every line as it would, answers ok or error, and moves nothing.

What is sent here would move the machine if the controller were not in check mode, so it is asked first whether it is,
every report since has to say so, and one line at a time is on its way. Check mode is left by a reset and not by a
second `$C`, which does the same to a controller in check mode, and would switch it on in one that has left it. A reset
forgets G92, the tool length offset and the overrides (traces check_mode, g92_and_tlo): G92 and overrides are brought
back, or the refusal says that they are not; a controller in which a tool length is left is not asked. Words that write
the EEPROM do so in check mode, too, and are refused before the wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.hand import OverrideKind
from edge.domain.machine import Overrides
from edge.domain.ports import ProgramText, RefusedLine
from edge.drivers.grbl.codes import error_text
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.measure import Measure
from edge.drivers.grbl.overrides import OverrideDesk
from edge.drivers.grbl.protocol import ErrorReply, Ok, State
from edge.drivers.grbl.state import INCH, Reading

log = logging.getLogger(__name__)

COMMAND = "check a program"
_SAME_MM = 0.01
"""A few steps of a report, also of one in inches, which are 0.0025 mm."""
_MOST_KEPT = 1_000
"""Refused lines that are told: nobody reads more."""


class CheckMode:
    """Checks programs with one controller."""

    def __init__(self, gate: Gate, measure: Measure, overrides: OverrideDesk) -> None:
        self._gate = gate
        self._controller = gate.controller
        self._settings = gate.controller.settings
        self._measure = measure
        self._overrides = overrides

    async def run(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        """Let the controller read `program`; the wire is the caller's. Raises DriverRefused, DriverUnavailable."""
        await self._measure.begin()
        shift = await self._shift()
        before = await self._gate.drained(COMMAND)
        try:
            life = await self._enter()
            refused = await self._read(program, tell, life)
        except (DriverRefused, DriverUnavailable):
            await self._leave_unheard()
            raise
        except asyncio.CancelledError:
            await self._give_up(before, shift)
            raise
        await self._end(before, shift)
        return refused

    async def _enter(self) -> int:
        """Switch check mode on and return the controller's life in which it is. Raises DriverRefused."""
        life = self._controller.session.life
        await self._gate.command("$C")
        sent_ns = self._controller.now_ns()
        self._controller.ask()
        await self._controller.until(
            lambda: self._controller.heard_since(sent_ns) or self._controller.session.life != life,
            self._settings.reply_s,
        )
        self._require_checking(life, sent_ns)
        return life

    def _require_checking(self, life: int, since_ns: int = 0) -> None:
        """Raise DriverRefused where the controller is not in check mode, as far as its newest report says."""
        controller = self._controller
        for alarm in controller.condition.alarms:
            raise self._refused(COMMAND, f"{alarm.text} ({alarm.code})")
        if controller.session.life != life:
            raise self._refused(COMMAND, "it was stopped or started again meanwhile")
        reading = controller.condition.reading
        if reading is None or reading.taken_ns <= since_ns or reading.state is not State.CHECK:
            raise self._refused(COMMAND, "it is not in check mode")

    async def _read(self, program: ProgramText, tell: Callable[[int], None], life: int) -> tuple[RefusedLine, ...]:
        """Send line after line, each when the one before is answered. Raises DriverRefused, DriverUnavailable."""
        refused: list[RefusedLine] = []
        for index, line in enumerate(program.lines):
            self._require_checking(life)
            reply = await self._ask(line, life)
            source = program.source_lines[index]
            if isinstance(reply, ErrorReply) and len(refused) < _MOST_KEPT:
                refused.append(RefusedLine(source, reply.code, error_text(reply.code)))
            elif reply is None:
                for alarm in self._controller.condition.alarms:
                    raise self._refused(COMMAND, f"line {source}: {alarm.text} ({alarm.code})")
                self._require_checking(life)
                reason = f"no answer to line {source} within {self._settings.reply_s:g} s"
                raise DriverUnavailable(machine_id=self._controller.machine_id, reason=reason)
            tell(index + 1)
        return tuple(refused)

    async def _ask(self, line: str, life: int) -> Ok | ErrorReply | None:
        """Send one line and return its answer; None where none came, or an alarm or a start came before it."""
        controller, replies = self._controller, list[Ok | ErrorReply]()
        controller.session.expect(replies.append)
        controller.send(line)

        def decided() -> bool:
            return bool(replies) or controller.session.life != life or bool(controller.condition.alarms)

        await controller.until(decided, self._settings.reply_s)
        return replies[0] if replies and controller.session.life == life else None

    async def _end(self, before: Reading, shift: tuple[float, ...]) -> None:
        """Leave check mode and bring back what that forgets. Raises DriverRefused, DriverUnavailable."""
        await self._leave()
        await self._restore_zero(before, shift)
        await self._restore_overrides(before.overrides)

    async def _give_up(self, before: Reading, shift: tuple[float, ...]) -> None:
        """End as `_end` does, for a caller that has gone; where somebody stops the machine, that is the end."""
        controller = self._controller
        reading = controller.condition.reading
        if self._gate.halting or controller.condition.alarms or reading is None or reading.state is not State.CHECK:
            await self._gate.stop_unheard()
            return
        try:
            await self._end(before, shift)
        except DriverRefused as error:
            # A zero that could not be brought back shows in the reports: what was checked for it does not start.
            log.warning("%s: a check was given up: %s", controller.machine_id, error)
        except DriverUnavailable as error:
            controller.require_person(str(error))

    async def _leave(self) -> None:
        """Reset, and wait until the controller is ready. Raises DriverRefused, DriverUnavailable."""
        left_ns = self._controller.now_ns()
        try:
            await self._gate.halt()
        except StopNotDelivered as error:
            raise DriverUnavailable(machine_id=self._controller.machine_id, reason=str(error.reason)) from error
        if not await self._controller.until(lambda: self._gate.idle_since(left_ns), self._settings.reply_s):
            raise self._refused(COMMAND, "it did not leave its check mode")

    async def _leave_unheard(self) -> None:
        """Leave check mode where it ended early. A stop or an alarm has done so, or will."""
        reading = self._controller.condition.current
        if not self._gate.halting and (reading is None or reading.state is not State.ALARM):
            await self._gate.stop_unheard()

    async def _shift(self) -> tuple[float, ...]:
        """Return G92, which no memory keeps, mm; empty where the controller does not say it."""
        parameters = self._controller.identity.parameters
        parameters.pop("G92", None)
        await self._gate.command("$#")
        scale = INCH if self._controller.identity.inches else 1.0
        return tuple(value * scale for value in parameters.get("G92", ()))

    async def _restore_zero(self, before: Reading, shift: tuple[float, ...]) -> None:
        """Say G92 again: the position as it read before brings the offset back."""
        place = before.work_position
        if not any(shift):
            return
        if place is not None:
            await self._gate.command(f"G21G92X{place.x:.4f}Y{place.y:.4f}Z{place.z:.4f}")
        if not _same(shift, await self._shift()):
            raise self._refused(COMMAND, "leaving its check mode cleared G92: set the zero again")
        # Reports carry an offset once it has changed.
        await self._gate.drained(COMMAND)

    async def _restore_overrides(self, before: Overrides | None) -> None:
        """Bring the overrides back that a person had set."""
        if before is None:
            return
        wanted = (
            (OverrideKind.FEED, before.feed),
            (OverrideKind.RAPID, before.rapid),
            (OverrideKind.SPINDLE, before.spindle),
        )
        for kind, percent in wanted:
            if percent != 100:
                await self._overrides.override(kind, percent)

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)


def _same(before: tuple[float, ...], now: tuple[float, ...]) -> bool:
    return len(before) == len(now) and all(abs(was - is_) <= _SAME_MM for was, is_ in zip(before, now, strict=True))
