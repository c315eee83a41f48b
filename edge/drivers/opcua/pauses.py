# SPDX-License-Identifier: GPL-3.0-or-later
"""How long to wait before the next connection: soon where the network was away, politely where a server refuses."""

from __future__ import annotations

import random

from edge.drivers.opcua.errors import LinkError, LinkLost, NeedsPerson, ServerBusy
from edge.drivers.opcua.settings import OpcUaSettings

# With a try of at most 2 s: a link that is back is found within 3.5 s, whatever the outage lasted.
_LOST_MAX_S = 1.5
_BUSY_MAX_S = 4.0


class Pauses:
    """The pauses of one machine: they double up to a ceiling and are jittered, so that machines do not march in step.

    The ceiling is `retry_max_s`, but 1.5 s while the network or the server is away, since asking then costs nobody
    anything, and 4 s while the server has no free session. Where a person has to change something, the pause is
    `retry_max_s` at once: servers lock users out after a few tries.
    """

    def __init__(self, settings: OpcUaSettings) -> None:
        self._settings = settings
        self._pause_s = settings.retry_min_s

    def after(self, error: LinkError, lived_s: float) -> float:
        """Return the pause, s, after a connection that ended with `error` and was live for `lived_s`."""
        settings = self._settings
        if lived_s > settings.watchdog_s:
            self._pause_s = settings.retry_min_s
        ceiling = settings.retry_max_s
        if isinstance(error, NeedsPerson):
            self._pause_s = settings.retry_max_s
        elif isinstance(error, LinkLost):
            ceiling = min(ceiling, _LOST_MAX_S)
        elif isinstance(error, ServerBusy):
            ceiling = min(ceiling, _BUSY_MAX_S)
        pause_s = min(self._pause_s, ceiling)
        self._pause_s = min(2 * pause_s, settings.retry_max_s)
        return random.uniform(0.5, 1.0) * pause_s
