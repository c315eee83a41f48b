# SPDX-License-Identifier: GPL-3.0-or-later
"""The port towards the broker: messages out, words of the link and messages in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for the broker. expiry_s is the MQTT message expiry; properties are MQTT user properties."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    expiry_s: int | None = None
    content_type: str | None = None
    properties: tuple[tuple[str, str], ...] = ()


class TooLarge(ConnectionError):
    """A message is larger than the broker takes. The argument says by how much."""


class Publisher(Protocol):
    """The air: one connection to the broker, kept up by `run`."""

    async def run(self) -> None:
        """Connect and stay connected until cancelled; then say goodbye. Never raises for a lost link."""
        ...

    @property
    def connected(self) -> bool:
        """Return whether the broker accepted us and our subscriptions."""
        ...

    @property
    def last_error(self) -> str:
        """Return in a person's words what the broker refuses, or why there is, or last was, no connection."""
        ...

    @property
    def window(self) -> int:
        """Return how many messages of QoS 1 the broker takes before it has confirmed one; at least 1."""
        ...

    def fits(self, message: Outgoing) -> bool:
        """Return whether the broker takes a message as large as this one."""
        ...

    def publish(self, message: Outgoing) -> None:
        """Hand over one message now. Raises ConnectionError while away or congested: nothing is queued for later.

        TooLarge is one of these. A PUBACK is not delivery, so there is no word of it here.
        """
        ...

    def listen(self, on_link: Callable[[bool], None], on_message: Callable[[str, bytes], None]) -> None:
        """Call `on_link` when the connection is there or gone, and `on_message` with topic and payload, on the loop."""
        ...
