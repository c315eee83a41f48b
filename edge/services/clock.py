# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's clock: boot time for ages and durations, the raw wall clock only as evidence, and what the kernel knows.

Whether a time service disciplines the clock is asked of the kernel with adjtimex(2), which needs no right for reading.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

STA_UNSYNC = 0x0040
STA_NANO = 0x2000
TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class KernelTime:
    """What the kernel says of its clock: whether a time service disciplines it, and by how much it may be off.

    uncertainty_us is the greatest error that the time service allows for, with what the clock has yet to be slewed by.
    """

    synchronised: bool
    uncertainty_us: int


class _Timex(ctypes.Structure):
    """`struct timex` of linux/timex.h."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        # What follows is not read: times, the pulse a second of a receiver, and room that the kernel keeps for later.
        ("rest", ctypes.c_long * 32),
    )


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


def kernel_time(adjtimex: Callable[..., int] | None = None) -> KernelTime | None:
    """Return what the kernel knows of its clock now, None where it does not say (a container may forbid the call)."""
    call = ctypes.CDLL(None).adjtimex if adjtimex is None else adjtimex
    word = _Timex(modes=0)
    state = call(ctypes.byref(word))
    if state < 0:
        return None
    synchronised = state != TIME_ERROR and not word.status & STA_UNSYNC
    to_slew_us = abs(word.offset) // (1000 if word.status & STA_NANO else 1)
    return KernelTime(synchronised, max(word.maxerror, word.esterror) + to_slew_us)
