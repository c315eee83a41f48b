# SPDX-License-Identifier: GPL-3.0-or-later
"""What every command passes before it reaches the wire: one at a time, on a controller that is known and trusted.

A stop passes none of this. It is written at once, whoever is busy, and nothing is let through while it is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.machine import Fault
from edge.drivers.grbl.controller import Controller
from edge.drivers.grbl.greeting import halt
from edge.drivers.grbl.protocol import State
from edge.drivers.grbl.state import Reading


class Gate:
    """Exclusivity, trust and stops of one controller."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.alone = False
        """Whether a line is on the wire that bears no byte beside it, not even a `?`."""
        self.beside = asyncio.Lock()
        """Held by what writes real-time bytes beside lines, and by a line that bears none."""
        self._busy = ""
        self._halt: asyncio.Task[None] | None = None

    # One at a time

    def take(self, what: str) -> None:
        """Begin a command: acknowledgements have no names, so it has the wire to itself. Raises DriverRefused."""
        if self._busy:
            raise self._refused(what, f"it is busy: {self._busy}")
        self._busy = what

    def give(self) -> None:
        """End the command."""
        self._busy = ""

    @contextmanager
    def exclusive(self, what: str) -> Iterator[None]:
        """Let one command run at a time. Raises DriverRefused."""
        self.take(what)
        try:
            yield
        finally:
            self.give()

    async def command(self, line: str, seconds: float | None = None) -> None:
        """Send one line and wait for its answer; where none comes, start afresh: it would be taken for the next one's.

        Raises DriverRefused, and DriverUnavailable where there is no answer.
        """
        try:
            await self.controller.command(line, self.controller.settings.reply_s if seconds is None else seconds)
        except DriverUnavailable:
            await self.stop_unheard()
            raise

    async def write_memory(self, line: str) -> None:
        """Send one line that writes the controller's memory, with no byte beside it until its answer.

        GRBL loses what arrives while it writes (trace eeprom_streamed_loss). Raises as `command`.
        """
        async with self.beside:
            self.alone = True
            try:
                await self.command(line)
            finally:
                self.alone = False

    # Trust

    def trusted(self, command: str) -> Reading:
        """Return a reading to decide on. Raises DriverUnavailable, or DriverRefused in fault."""
        controller = self.controller
        reading = controller.condition.current
        if not controller.available or reading is None:
            unheard = (
                "it has not reported since it started or locked" if controller.available else "it is not connected"
            )
            reason = controller.state.fault_reason or unheard
            raise DriverUnavailable(machine_id=controller.machine_id, reason=reason)
        if controller.condition.fault is Fault.FAULT:
            raise self._refused(command, f"it is in fault: {controller.condition.fault_reason}")
        if self.halting:
            raise self._refused(command, "it is being stopped")
        return reading

    def idle(self, command: str) -> Reading:
        """Return a reading that says Idle: in Hold or Door a line would wait, and act after a resume.

        Raises as `trusted`, and DriverRefused.
        """
        reading = self.trusted(command)
        if reading.state is not State.IDLE:
            raise self._refused(command, f"it is in {reading.state}")
        return reading

    async def drained(self, command: str) -> Reading:
        """Return a reading taken from now on that says Idle: nothing is on its way in the controller.

        Raises as `idle`.
        """
        self.idle(command)
        controller = self.controller
        asked_ns = controller.now_ns()
        controller.ask()
        if not await controller.until(lambda: controller.heard_since(asked_ns), controller.settings.reply_s):
            raise self._refused(command, "it does not answer")
        return self.idle(command)

    def idle_since(self, moment_ns: int) -> bool:
        """Whether a report after `moment_ns` says Idle."""
        reading = self.controller.condition.reading
        return reading is not None and reading.taken_ns > moment_ns and reading.state is State.IDLE

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self.controller.machine_id, command=command, reason=reason)

    # Stops

    @property
    def halting(self) -> bool:
        """Whether a stop is under way."""
        return self._halt is not None and not self._halt.done()

    async def halt(self) -> None:
        """Join the stop that is under way, or begin one; a caller that is cancelled does not end it.

        A hold was written before. Raises StopNotDelivered.
        """
        controller = self.controller
        if self._halt is None or self._halt.done():
            self._halt = asyncio.create_task(halt(controller), name=f"grbl halt {controller.machine_id}")
        try:
            await asyncio.shield(self._halt)
        except DriverUnavailable as error:
            raise StopNotDelivered(machine_id=controller.machine_id, reason=str(error)) from error

    async def stop_unheard(self) -> None:
        """Hold and stop where nobody is left to hear that the stop was not delivered; the fault says it."""
        try:
            self.controller.hold()
            await self.halt()
        except StopNotDelivered as error:
            self.controller.require_person(str(error))

    async def halted(self) -> None:
        """Wait for a stop that is under way; its outcome was told to whoever asked for it."""
        if self._halt is not None:
            await asyncio.wait([self._halt])
            self._halt.exception()
