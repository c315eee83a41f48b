# SPDX-License-Identifier: GPL-3.0-or-later
"""Boolean nodes of a machine as inputs that interlocks look at.

The nodes travel over the connection of the machine's own driver: where that is lost, they are unknown at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from edge.domain.inputs import InputSample


class InputReporter(Protocol):
    """The part of a driver that has inputs."""

    def subscribe_inputs(self, listener: Callable[[InputSample], None]) -> Callable[[], None]:
        """Report the newest sample of each input now, and each further one; return the call that ends it."""
        ...


class OpcUaInputs:
    """The inputs of one machine; implements SafetyInputSource.

    A sample's taken_ns is the boot-time clock before the server was asked, or at the arrival of a change.
    """

    def __init__(self, driver: InputReporter) -> None:
        self._driver = driver

    async def run(self, report: Callable[[InputSample], None]) -> None:
        """Report samples on change and every `input_refresh_s`, until cancelled."""
        unsubscribe = self._driver.subscribe_inputs(report)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            unsubscribe()
