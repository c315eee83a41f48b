# SPDX-License-Identifier: GPL-3.0-or-later
"""Overrides: real-time bytes, one at a time, each confirmed by an `Ov:` field before the next.

GRBL keeps them as flags and not as a queue, so that five bytes in one burst count as one to three (trace
overrides_feed_rapid). `Ov:` comes with the next report after a change, and every ten to twenty reports otherwise: a
report that says the old value after a byte was written tells that the byte was lost, and only then it is sent again.
"""

from __future__ import annotations

import asyncio

from edge.domain.errors import DriverRefused
from edge.domain.hand import OverrideKind
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.protocol import RealTime

LOWEST, HIGHEST = 10, 200
"""Per cent that feed and spindle go to."""

_LOOK_S = 0.1
_SETTLE_NS = 100_000_000
"""A report that was on its way while the byte was written says the old value and means nothing."""

_RAPID = {100: RealTime.RAPID_100, 50: RealTime.RAPID_50, 25: RealTime.RAPID_25}
_RESET = {OverrideKind.FEED: RealTime.FEED_100, OverrideKind.SPINDLE: RealTime.SPINDLE_100}
_STEPS = {
    OverrideKind.FEED: (
        (10, RealTime.FEED_UP_10),
        (-10, RealTime.FEED_DOWN_10),
        (1, RealTime.FEED_UP_1),
        (-1, RealTime.FEED_DOWN_1),
    ),
    OverrideKind.SPINDLE: (
        (10, RealTime.SPINDLE_UP_10),
        (-10, RealTime.SPINDLE_DOWN_10),
        (1, RealTime.SPINDLE_UP_1),
        (-1, RealTime.SPINDLE_DOWN_1),
    ),
}


def refusal(kind: OverrideKind, percent: int) -> str:
    """Return why an override cannot be brought to `percent`, "" where it can."""
    if kind is OverrideKind.RAPID:
        return "" if percent in _RAPID else "rapids run at 25, 50 or 100 per cent"
    return "" if LOWEST <= percent <= HIGHEST else f"it goes from {LOWEST} to {HIGHEST} per cent"


def next_byte(kind: OverrideKind, now: int, wanted: int) -> RealTime:
    """Return the byte that brings an override from `now` nearer to `wanted`, which is another value.

    The byte for 100 per cent is for 100 per cent alone: as a shortcut it would pass through it on the way elsewhere.
    """
    if kind is OverrideKind.RAPID:
        return _RAPID[wanted]
    if wanted == 100:
        return _RESET[kind]
    missing = wanted - now
    return next(byte for step, byte in _STEPS[kind] if missing * step > 0 and abs(step) <= abs(missing))


class OverrideDesk:
    """Brings overrides where they are wanted, one request after the other, beside whatever else runs."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._controller = gate.controller

    async def override(self, kind: OverrideKind, percent: int) -> int:
        """Return the confirmed value, which is `percent`. Raises DriverRefused where it is not reached in time."""
        if why := refusal(kind, percent):
            raise self._refused("override", why)
        async with self._gate.beside:
            self._gate.trusted("override")
            if self._controller.condition.homing:
                raise self._refused("override", "it does not answer while it homes")
            try:
                async with asyncio.timeout(self._controller.settings.override_s):
                    return await self._bring(kind, percent)
            except TimeoutError:
                stays = self._confirmed(kind)
                where = "it does not say where it stands" if stays is None else f"it stays at {stays} per cent"
                raise self._refused("override", where) from None

    async def _bring(self, kind: OverrideKind, percent: int) -> int:
        """Write byte after byte until `percent` is confirmed. Raises DriverRefused, DriverUnavailable."""
        while (now := await self._told(kind)) != percent:
            self._gate.trusted("override")
            self._controller.write(next_byte(kind, now, percent))
            self._controller.ask()
            written_ns = self._controller.now_ns()
            await self._answer(kind, now, written_ns)
        return percent

    async def _told(self, kind: OverrideKind) -> int:
        """Return the value that the controller told since its last start, waiting for it where need be."""
        while (value := self._confirmed(kind)) is None:
            self._controller.ask()
            await self._controller.until(lambda: self._confirmed(kind) is not None, _LOOK_S)
        return value

    async def _answer(self, kind: OverrideKind, before: int, written_ns: int) -> None:
        """Wait until a report says another value than `before`, or says it again: then the byte was lost."""

        def answered() -> bool:
            reading = self._controller.condition.reading
            said = reading is not None and reading.overrides_ns > written_ns + _SETTLE_NS
            return said or self._confirmed(kind) != before

        while not await self._controller.until(answered, _LOOK_S):
            self._controller.ask()

    def _confirmed(self, kind: OverrideKind) -> int | None:
        """Return what the newest `Ov:` said, None where none came since the controller's start."""
        reading = self._controller.condition.reading
        if reading is None or reading.overrides is None:
            return None
        told = reading.overrides
        match kind:
            case OverrideKind.FEED:
                return told.feed
            case OverrideKind.RAPID:
                return told.rapid
            case OverrideKind.SPINDLE:
                return told.spindle

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._controller.machine_id, command=command, reason=reason)
