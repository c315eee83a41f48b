# SPDX-License-Identifier: GPL-3.0-or-later
"""GPIO inputs by gpiozero: an edge is reported at once, and every input is sampled again and again.

A closed contact is healthy: a broken wire, a pulled plug and an open door all read the same, not healthy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gpiozero import DigitalInputDevice, GPIOZeroError

from edge.domain.inputs import InputSample
from edge.domain.ports import Clock
from edge.drivers.safety_io.settings import GpioInputSettings, GpioSettings

log = logging.getLogger(__name__)


class GpioInputs:
    """The SafetyInputSource of the GPIO pins."""

    def __init__(self, settings: GpioSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def run(self, report: Callable[[InputSample], None]) -> None:
        """Report samples until cancelled. A pin that cannot be read is reported as unknown, once a period."""
        loop = asyncio.get_running_loop()
        devices: dict[str, DigitalInputDevice] = {}
        failed: set[str] = set()
        try:
            while True:
                for pin in self._settings.inputs:
                    report(self._sample(pin, devices, failed, loop, report))
                await asyncio.sleep(self._settings.sample_ms / 1000)
        finally:
            for device in devices.values():
                device.close()

    def _sample(
        self,
        pin: GpioInputSettings,
        devices: dict[str, DigitalInputDevice],
        failed: set[str],
        loop: asyncio.AbstractEventLoop,
        report: Callable[[InputSample], None],
    ) -> InputSample:
        try:
            if pin.name not in devices:
                devices[pin.name] = self._open(pin, loop, report)
            healthy = bool(devices[pin.name].value)
        except (GPIOZeroError, OSError) as error:
            if pin.name not in failed:
                log.error("input %s (GPIO %d) cannot be read: %s", pin.name, pin.pin, error)  # noqa: TRY400
            failed.add(pin.name)
            return self._make(pin.name, healthy=None)
        if pin.name in failed:
            failed.discard(pin.name)
            log.info("input %s (GPIO %d) can be read again", pin.name, pin.pin)
        return self._make(pin.name, healthy=healthy)

    def _make(self, name: str, *, healthy: bool | None) -> InputSample:
        return InputSample(name, healthy, self._clock.boot_ns(), f"gpio:{name}")

    def _open(
        self, pin: GpioInputSettings, loop: asyncio.AbstractEventLoop, report: Callable[[InputSample], None]
    ) -> DigitalInputDevice:
        device = DigitalInputDevice(pin.pin, pull_up=pin.active_low)

        def changed() -> None:
            # gpiozero calls from its own thread; the sample is made here, so that its age counts from the edge.
            sample = self._make(pin.name, healthy=bool(device.value))
            loop.call_soon_threadsafe(report, sample)

        device.when_activated = changed
        device.when_deactivated = changed
        return device
