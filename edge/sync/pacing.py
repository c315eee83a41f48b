# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the relay may go: a token bucket, a window of bytes, and the time after which silence means a loss."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

GAIN = 0.125
RTT_FACTOR = 3.0
RESEND_MAX_S = 30.0
JITTER = 0.25

QUEUE_TARGET_S = 0.2
FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 32 << 10, 8 << 10, 1 << 20
STEP_BYTES = 16 << 10
LEAST_SAMPLES = 50


@dataclass(slots=True)
class TokenBucket:
    """Allows `rate` takings a second on average and as many at once. Times are seconds of any steady clock."""

    rate: float
    _tokens: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = max(1.0, self.rate)

    def wait(self, now: float) -> float:
        """Return the seconds until one may be taken; 0 where one is there."""
        self._tokens = min(max(1.0, self.rate), self._tokens + (now - self._at) * self.rate)
        self._at = now
        return max(0.0, (1.0 - self._tokens) / self.rate)

    def take(self) -> None:
        """Take one; only after `wait` answered 0."""
        self._tokens -= 1.0


@dataclass(slots=True)
class RoundTrip:
    """A smoothed round trip from publishing a batch to its acknowledgement, s, and the time-out made of it.

    Samples of batches that were sent twice are ambiguous and must be left out (Karn and Partridge, 1987).
    """

    resend_min_s: float
    smoothed_s: float | None = None

    def sample(self, seconds: float) -> None:
        """Take a measured round trip into account."""
        before = seconds if self.smoothed_s is None else self.smoothed_s
        self.smoothed_s = before + GAIN * (seconds - before)

    def timeout_s(self, tries: int) -> float:
        """Return the jittered wait after the `tries`-th sending: 3 round trips, doubled with each further try."""
        base = max(self.resend_min_s, RTT_FACTOR * (self.smoothed_s or 0.0))
        return min(base * 2.0 ** (tries - 1), RESEND_MAX_S) * random.uniform(1.0, 1.0 + JITTER)


@dataclass(slots=True)
class ByteWindow:
    """How many bytes may be under way so that what comes later is not kept waiting behind them.

    The wait that our own bytes cause is a round trip less the shortest one. The window grows while that is shorter than
    QUEUE_TARGET_S and shrinks beyond it, as LEDBAT does (RFC 6817): a backlog fills the line and stays out of the
    way of a visitor who is counted meanwhile, and of everybody else on the same phone. The shortest round trip is that
    of the whole connection, since later ones hold our own queue; where even the least window stays slow the way
    itself has become longer, and it is taken anew.
    """

    size: float = FIRST_BYTES
    _base_s: float | None = None
    _at_least: list[float] = field(default_factory=list)
    _climbing: bool = True

    def sample(self, seconds: float, acknowledged: int) -> None:
        """Take into account that `acknowledged` bytes took `seconds` until the office had them."""
        if self.size > LEAST_BYTES:
            self._at_least.clear()
        else:
            self._at_least.append(seconds)
        if len(self._at_least) >= LEAST_SAMPLES:
            self._base_s = min(self._at_least)
        self._base_s = seconds if self._base_s is None else min(seconds, self._base_s)
        queue = seconds - self._base_s
        if self._climbing and queue < QUEUE_TARGET_S / 2:
            self.size += acknowledged
        else:
            self._climbing = False
            self.size += (1.0 - queue / QUEUE_TARGET_S) * acknowledged * STEP_BYTES / self.size
        self.size = min(max(self.size, LEAST_BYTES), MOST_BYTES)

    def lost(self) -> None:
        """Take into account that a batch was not answered in time."""
        self._climbing = False
        self.size = max(self.size / 2, LEAST_BYTES)
