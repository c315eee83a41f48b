# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand: what is refused before the wire, and the one motion that may be under way. mm, mm/min.

Soft limits are a setting of the controller ($20), may be off, and do not hold where it has not been homed; so every
way is measured here first: against the travel, or against a short way where nobody knows where the axes are.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping

from edge.domain.errors import DriverRefused
from edge.domain.hand import Axis, Displacement, JogEnd
from edge.domain.machine import Position
from edge.drivers.grbl import jog
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.jog import JogLine
from edge.drivers.grbl.jogging import Jogging, Lease
from edge.drivers.grbl.state import Reading

_LEAST_WAY_MM = 0.01


class Hand:
    """Jog in steps, to places, and for as long as somebody holds on."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._controller = gate.controller
        self._settings = gate.controller.settings
        self._jogging: Jogging | None = None
        self._task: asyncio.Task[JogEnd] | None = None

    def interrupt(self) -> None:
        """End what moves by hand, in the same breath as a hold. Raises StopNotDelivered."""
        if self._jogging is not None:
            self._jogging.cancel(JogEnd.STOPPED)

    async def ended(self) -> None:
        """Cancel what moves by hand, for nobody is left to hold on to it, and wait until it stands."""
        if self._jogging is not None and self._task is not None:
            self._jogging.cancel_unheard(JogEnd.STOPPED)
            await asyncio.wait([self._task])

    async def jog(self, by: Displacement, feed: float) -> None:
        """Move by one bounded step; returns when the axes stand. Raises DriverRefused."""
        reading = self._gate.idle("jog")
        self._check(reading, by, feed)
        speed = self._feed(by, feed)
        await self._step(reading, by, jog.step_line(by, speed), speed)

    async def jog_to(self, machine: Mapping[Axis, float], feed: float) -> None:
        """Move to machine coordinates; returns when the axes stand. Raises DriverRefused."""
        reading = self._gate.idle("jog")
        if not self._controller.condition.homed:
            raise self._refused("jog", "it has not been homed, so nobody knows where it stands")
        place = self._place(reading)
        if not machine or not all(math.isfinite(value) for value in machine.values()):
            raise self._refused("jog", "no axis was named")
        by = jog.way_to(machine, place)
        if by.length < _LEAST_WAY_MM:
            return
        self._check(reading, by, feed)
        speed = self._feed(by, feed)
        await self._step(reading, by, jog.target_line(machine, place, speed), speed)

    def lease(self, towards: Displacement, feed: float) -> Lease:
        """Begin continuous motion. Raises DriverRefused."""
        reading = self._gate.idle("jog")
        self._check_way(towards, feed)
        reach = self._reach(reading, towards)
        if reach < _LEAST_WAY_MM:
            raise self._refused("jog", "it stands at the end of its travel")
        speed = self._feed(towards, feed)
        acceleration = jog.slowest_acceleration(towards, self._controller.identity.motion())
        seconds = jog.segment_s(speed, acceleration, self._controller.identity.blocks)
        lines = jog.segments(towards, reach, speed, seconds)
        return Lease(*self._begin(reading, towards, lines, speed), self._settings.jog_lease_s)

    async def _step(self, reading: Reading, by: Displacement, line: JogLine | None, feed: float) -> None:
        """Move along one line to its end. Raises DriverRefused."""
        if line is None:
            raise self._refused("jog", "the way is too short, or the feed too slow")
        jogging, task = self._begin(reading, by, iter([line]), feed)
        try:
            end = await asyncio.shield(task)
        except asyncio.CancelledError:
            jogging.cancel_unheard(JogEnd.RELEASED)
            await asyncio.wait([task])
            raise
        if end is not JogEnd.TRAVEL:
            raise self._refused("jog", "it was stopped" if end is JogEnd.STOPPED else "the connection was lost")

    def _begin(
        self, reading: Reading, towards: Displacement, lines: Iterator[JogLine], feed: float
    ) -> tuple[Jogging, asyncio.Task[JogEnd]]:
        """Take the wire and start to move; it is given back when the axes stand. Raises DriverRefused."""
        self._gate.take("jog")
        acceleration = jog.slowest_acceleration(towards, self._controller.identity.motion())
        jogging = Jogging(self._gate, reading, lines, feed / 60, feed / 60 / acceleration)
        self._jogging = jogging
        self._task = asyncio.create_task(self._moved(jogging), name=f"grbl jog {self._controller.machine_id}")
        return jogging, self._task

    async def _moved(self, jogging: Jogging) -> JogEnd:
        """Move, and give the wire back. Raises DriverRefused."""
        try:
            return await jogging.run()
        finally:
            self._jogging = self._task = None
            self._gate.give()

    # Bounds

    def _check(self, reading: Reading, by: Displacement, feed: float) -> None:
        """Refuse what goes too far. Raises DriverRefused."""
        self._check_way(by, feed)
        travel = self._controller.identity.travel()
        if not self._controller.condition.homed or travel is None:
            if by.length > self._settings.unhomed_mm:
                raise self._refused("jog", f"before homing it moves {self._settings.unhomed_mm:g} mm at a time")
        elif not jog.within(self._place(reading), by, travel):
            raise self._refused("jog", "the way leads out of its travel")

    def _check_way(self, by: Displacement, feed: float) -> None:
        """Refuse what is no motion. Raises DriverRefused."""
        if not math.isfinite(by.length) or by.length == 0:
            raise self._refused("jog", "no axis was named")
        if not math.isfinite(feed) or feed < jog.LEAST_FEED:
            raise self._refused("jog", "the feed is no feed")

    def _reach(self, reading: Reading, towards: Displacement) -> float:
        """Return how far continuous motion may go, mm."""
        travel = self._controller.identity.travel()
        if not self._controller.condition.homed or travel is None:
            return self._settings.unhomed_mm
        return jog.reach(self._place(reading), towards, travel)

    def _feed(self, towards: Displacement, feed: float) -> float:
        """Return the feed, bounded."""
        return jog.bounded_feed(towards, feed, self._settings.setup_feed, self._controller.identity.motion())

    def _place(self, reading: Reading) -> Position:
        """Return where the machine stands. Raises DriverRefused where the controller has not said it yet."""
        if reading.machine_position is None:
            raise self._refused("jog", "it has not said yet where it stands")
        return reading.machine_position

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)
