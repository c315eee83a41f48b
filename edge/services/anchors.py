# SPDX-License-Identifier: GPL-3.0-or-later
"""Ties the boot's clock to UTC: anchors by the time service and by the office, and what the wall clock is worth.

Anchors are facts like others and go to the office, which derives from them when everything else happened. They are
written sparingly: the boot's clock is good to DRIFT_PPM, so one an hour keeps a boot known to about a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge.domain.events import EventType, Scalar
from edge.domain.ports import Clock
from edge.services.clock import KernelTime
from edge.services.recorder import Recorder

log = logging.getLogger(__name__)

DRIFT_PPM = 200
POLL_S = 1.0
EVERY_US = 3_600_000_000
"""An anchor grows by 0.72 s in an hour: then a new one is worth a fact."""
GOOD_US = 1_500_000
"""Known so well, an anchor that is better is not worth a fact before its time."""
CONTRADICTS_EVERY_US = 600_000_000
OFFICE_CLOCK_US = 100_000
"""What the office's own clock may be off by, beside the round trip."""
SLEW_US = 400_000
"""A time service may slew the boot's clock by this faster than it drifts: what is more, systemd-timesyncd steps."""
NTP_LEAST_US = 500_000
"""systemd-timesyncd tells the kernel an error of nought, and over a phone's uplink half a round trip is not that."""
NTP_MOST_TRIP_US = 10_000_000
"""systemd-timesyncd waits no longer for an answer (TIMEOUT_USEC of timesyncd-manager.c)."""
NTP_POLL_US = 2_048_000_000
"""Nor between two polls (PollIntervalMaxSec= of timesyncd.conf): an offset that was measured then may be in force."""
STEP_US = 1_000
"""Wall and boot clock are slewed alike, so their difference changes by a step only; reading both takes microseconds."""
QUALITY_EVERY_US = 10_000_000
AGREES_US = 2_000_000
_MOST_US = 2**53

Source = Literal["ntp", "ack"]
Quality = Literal["unset", "free", "synchronised"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """At at_us of the boot's clock it was utc_us, give or take uncertainty_us; all microseconds."""

    at_us: int
    utc_us: int
    uncertainty_us: int

    def after(self, at_us: int) -> Anchor:
        """Return what it says of the moment `at_us`, with the drift until then."""
        elapsed = at_us - self.at_us
        return Anchor(at_us, self.utc_us + elapsed, self.uncertainty_us + -(-abs(elapsed) * DRIFT_PPM // 1_000_000))

    def contradicts(self, other: Anchor) -> bool:
        """Return whether both cannot be true, at the moment of `other`."""
        mine = self.after(other.at_us)
        return abs(mine.utc_us - other.utc_us) > mine.uncertainty_us + other.uncertainty_us


def _doubtful(one: KernelTime | None, other: KernelTime | None) -> KernelTime | None:
    """Return what both words together vouch for."""
    if one is None or other is None:
        return None
    return KernelTime(one.synchronised and other.synchronised, max(one.uncertainty_us, other.uncertainty_us))


class ClockWatch:
    """Looks at the kernel's time, hears the office's, and notes clock.anchor and clock.quality. `run` polls."""

    def __init__(self, recorder: Recorder, clock: Clock, kernel: Callable[[], KernelTime | None]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._kernel = kernel
        self._noted: dict[Source, Anchor] = {}
        self._contradicted_us: dict[Source, int] = {}
        self._best: Anchor | None = None
        self._was_synchronised = False
        self._quality: Quality | None = None
        self._quality_us = 0
        self._ahead_us: int | None = None
        self._stepped_us = 0
        self._trips_us = (0, 0)
        self._trips_since_us = 0

    @property
    def quality(self) -> Quality:
        """Return what the raw wall clock is worth now: see ClockQuality of the wire."""
        return self._quality or "unset"

    @property
    def uncertainty_s(self) -> float | None:
        """Return to how many seconds the lab knows UTC now, None where nobody told it in this boot."""
        best = self._best
        return None if best is None else best.after(self._clock.boot_ns() // 1000).uncertainty_us / 1e6

    async def run(self) -> None:
        """Look every POLL_S, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(POLL_S)

    def look(self) -> None:
        """Take one look at both clocks and at the kernel's word; note what changed.

        The kernel is asked before and after, and a step between shows in the clocks: a wall clock read before the step
        that made the kernel's word true would be off by decades.
        """
        said = self._kernel()
        before_us = self._clock.boot_ns() // 1000
        wall_us = self._clock.wall_ns() // 1000
        boot_us = self._clock.boot_ns() // 1000
        kernel = _doubtful(said, self._kernel())
        stepped_us = self._clock.wall_ns() // 1000 - wall_us - (self._clock.boot_ns() // 1000 - boot_us)
        self._mind_step(wall_us - boot_us, boot_us - before_us)
        if kernel is not None and kernel.synchronised:
            self._was_synchronised = True
            if abs(stepped_us) <= STEP_US:
                # The last 1 is for the rounding of both clocks to whole microseconds.
                uncertainty = max(kernel.uncertainty_us, self._half_trip_us(boot_us)) + boot_us - before_us + 1
                self._offer("ntp", Anchor(boot_us, wall_us, uncertainty))
        self._judge(kernel, boot_us, wall_us)

    def heard(self, sent_ns: int, heard_ns: int, office_ns: int) -> None:
        """Take the office's word that it was `office_ns`, UTC, at some moment between two of the boot's clock, ns."""
        at_us, give_us = (sent_ns + heard_ns) // 2000, -(-(heard_ns - sent_ns) // 2000)
        self._mind_trip(heard_ns // 1000, 2 * give_us)
        if office_ns > 0 and heard_ns >= sent_ns:
            self._offer("ack", Anchor(at_us, office_ns // 1000, give_us + 1 + OFFICE_CLOCK_US + SLEW_US))

    def _mind_trip(self, now_us: int, trip_us: int) -> None:
        """Remember the longest round trip of this and of the last period of NTP_POLL_US."""
        newest, before = self._trips_us
        periods = (now_us - self._trips_since_us) // NTP_POLL_US
        if periods > 0:
            newest, before = 0, newest if periods == 1 else 0
            self._trips_since_us = now_us
        self._trips_us = (max(newest, trip_us), before)

    def _half_trip_us(self, now_us: int) -> int:
        """Return what an uplink that our own backlog fills may make a time service wrong by."""
        self._mind_trip(now_us, 0)
        return max(NTP_LEAST_US, min(max(self._trips_us), NTP_MOST_TRIP_US) // 2)

    def _mind_step(self, ahead_us: int, reading_us: int) -> None:
        if self._ahead_us is not None and abs(ahead_us - self._ahead_us) > STEP_US + reading_us:
            self._stepped_us += ahead_us - self._ahead_us
        self._ahead_us = ahead_us

    def _offer(self, source: Source, anchor: Anchor) -> None:
        if not (0 <= anchor.at_us <= _MOST_US and 0 <= anchor.utc_us <= _MOST_US and anchor.uncertainty_us <= _MOST_US):
            return
        last = self._noted.get(source)
        if last is not None and last.contradicts(anchor):
            if anchor.at_us - self._contradicted_us.get(source, -CONTRADICTS_EVERY_US) < CONTRADICTS_EVERY_US:
                return
            self._contradicted_us[source] = anchor.at_us
            self._best = None
        elif last is not None and not self._worth(anchor):
            return
        self._noted[source] = anchor
        if self._best is None or anchor.uncertainty_us <= self._best.after(anchor.at_us).uncertainty_us:
            self._best = anchor
        body: dict[str, Scalar] = {
            "boot": self._clock.boot_id(),
            "source": source,
            "at_boot_us": anchor.at_us,
            "utc_us": anchor.utc_us,
            "uncertainty_us": anchor.uncertainty_us,
        }
        self._recorder.note(EventType.CLOCK_ANCHOR, body)

    def _worth(self, anchor: Anchor) -> bool:
        """Return whether an anchor tells enough more than those noted: it halves a wide interval, or its time came."""
        if self._best is None or anchor.at_us - max(one.at_us for one in self._noted.values()) >= EVERY_US:
            return True
        known_us = self._best.after(anchor.at_us).uncertainty_us
        return known_us > GOOD_US and 2 * anchor.uncertainty_us <= known_us

    def _judge(self, kernel: KernelTime | None, boot_us: int, wall_us: int) -> None:
        quality: Quality = "free" if self._was_set(boot_us, wall_us) else "unset"
        if kernel is not None and kernel.synchronised:
            quality = "synchronised"
        if quality == self._quality and not self._stepped_us:
            return
        if self._quality is not None and boot_us - self._quality_us < QUALITY_EVERY_US:
            return
        stepped = max(-_MOST_US, min(_MOST_US, self._stepped_us)) or None
        if stepped is not None:
            log.info("the wall clock was set by %+.1f s", stepped / 1e6)
        self._quality, self._quality_us, self._stepped_us = quality, boot_us, 0
        body: dict[str, Scalar] = {"boot": self._clock.boot_id(), "quality": quality, "stepped_us": stepped}
        self._recorder.note(EventType.CLOCK_QUALITY, body)

    def _was_set(self, boot_us: int, wall_us: int) -> bool:
        """Return whether the wall clock shows the time, as far as anybody told: else it may show any year."""
        if self._best is None:
            return self._was_synchronised
        known = self._best.after(boot_us)
        return abs(known.utc_us - wall_us) <= known.uncertainty_us + AGREES_US
