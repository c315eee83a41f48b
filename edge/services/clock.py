# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's clock: boot time for ages and durations, the raw wall clock only as evidence."""

from __future__ import annotations

import time
from pathlib import Path


class SystemClock:
    """The Clock port on Linux."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def boot_ns(self) -> int:
        """Return CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """Return the raw wall clock, UTC nanoseconds since 1970."""
        return time.time_ns()

    def boot_id(self) -> str:
        """Return the kernel's id of this boot."""
        return self._boot_id
