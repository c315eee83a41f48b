# SPDX-License-Identifier: GPL-3.0-or-later
"""The live state of machines for whoever looks now: at most one a second per machine, nothing kept for later."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from edge.domain.air import Outgoing, Publisher
from edge.domain.machine import MachineState
from wire import topics
from wire.codec import canonical

PERIOD_S = 1.0


class LiveTopics:
    """Publishes MachineState as JSON. Between two periods the newest state waits; while away states are dropped."""

    def __init__(self, publisher: Publisher, lab: str) -> None:
        self._publisher = publisher
        self._lab = lab
        self._newest: dict[str, MachineState] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.dropped = 0

    def show(self, machine_id: str, state: MachineState) -> None:
        """Publish `state` now, or at the end of the machine's current period unless a newer one comes."""
        self._newest[machine_id] = state
        if machine_id not in self._timers:
            self._publish(machine_id)

    def close(self) -> None:
        """Forget what waits."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._newest.clear()

    def _publish(self, machine_id: str) -> None:
        self._timers.pop(machine_id, None)
        state = self._newest.pop(machine_id, None)
        if state is None:
            return
        # The period runs from here in any case, so that a state without a connection costs no more than one with it.
        loop = asyncio.get_running_loop()
        self._timers[machine_id] = loop.call_later(PERIOD_S, self._publish, machine_id)
        if not self._publisher.connected:
            self.dropped += 1
            return
        try:
            self._publisher.publish(_message(self._lab, machine_id, state))
        except (ConnectionError, ValueError):  # away, or a reading that is no number: the next one may do
            self.dropped += 1


def _message(lab: str, machine_id: str, state: MachineState) -> Outgoing:
    fields: dict[str, Any] = {**asdict(state), "pins": sorted(state.pins), "v": 1}
    topic = topics.live(lab, machine_id)
    return Outgoing(topic, canonical(fields), 0, expiry_s=topics.LIVE_EXPIRY_S, content_type="application/json")
