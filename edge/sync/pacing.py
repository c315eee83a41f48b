# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the relay may go: a token bucket, and the time after which silence means that a batch was lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

GAIN = 0.125
RTT_FACTOR = 3.0
RESEND_MAX_S = 30.0
JITTER = 0.25


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
