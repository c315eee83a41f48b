# SPDX-License-Identifier: GPL-3.0-or-later
"""What a broker says that it allows (MQTT 5.0, 3.2.2.3), and what it says for a reason (2.4, 3.2.2.3.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

DEFAULT_RECEIVE_MAXIMUM = 65_535
LIBRARY_WINDOW = 20
"""paho holds back what is more than this; we would rather know of it than have it queued there."""
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of a connection: unconfirmed messages of QoS 1, bytes of a packet (None: any), and what lacks."""

    receive_maximum: int = DEFAULT_RECEIVE_MAXIMUM
    packet: int | None = None
    unfit: str | None = None

    @classmethod
    def of(cls, properties: Properties | None) -> Allowance:
        """Return what the properties of a CONNACK allow; what is not said there has the standard's default."""
        said: dict[str, Any] = vars(properties) if properties is not None else {}
        unfit = None
        if said.get("MaximumQoS") == 0:
            unfit = "the broker confirms no messages (maximum QoS 0)"
        elif said.get("RetainAvailable") == 0:
            unfit = "the broker keeps no retained messages"
        elif said.get("WildcardSubscriptionAvailable") == 0:
            unfit = "the broker has no subscriptions with wildcards"
        # 0 is a protocol error of the broker (3.2.2.3.3): it would mean that nothing may ever be sent.
        receive_maximum = said.get("ReceiveMaximum") or DEFAULT_RECEIVE_MAXIMUM
        return cls(receive_maximum, said.get("MaximumPacketSize") or None, unfit)

    @property
    def window(self) -> int:
        """Return how many messages of QoS 1 may wait for their confirmation."""
        return min(self.receive_maximum, LIBRARY_WINDOW)

    def takes(self, size: int) -> bool:
        """Return whether a packet of `size` bytes is allowed."""
        return self.packet is None or size <= self.packet


def spoken(code: ReasonCode, properties: Properties | None) -> str:
    """Return a reason code in the standard's words, with the broker's own beside it where it gave any."""
    said: dict[str, Any] = vars(properties) if properties is not None else {}
    own = "".join(character for character in str(said.get("ReasonString", "")) if character.isprintable())
    other = str(said.get("ServerReference", ""))[:LONGEST_REASON]
    return f"{code}" + (f" ({own[:LONGEST_REASON]})" if own else "") + (f", it names {other}" if other else "")
