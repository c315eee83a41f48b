# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's word about its clock, and the clock port on Linux."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import pytest

from edge.services import clock
from edge.services.clock import KernelTime, SystemClock, kernel_time


def kernel(state: int = 0, **fields: int) -> Callable[..., int]:
    """Return an adjtimex that fills in these fields."""

    def adjtimex(pointer: Any) -> int:
        word = ctypes.cast(pointer, ctypes.POINTER(clock._Timex)).contents
        assert word.modes == 0, "it must only read"
        for name, value in fields.items():
            setattr(word, name, value)
        return state

    return adjtimex


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        (0, {"maxerror": 12_000, "esterror": 300}, KernelTime(synchronised=True, uncertainty_us=12_000)),
        (0, {"maxerror": 0, "esterror": 700, "offset": -900}, KernelTime(synchronised=True, uncertainty_us=1_600)),
        (
            0,
            {"maxerror": 5, "offset": -900_000, "status": clock.STA_NANO},
            KernelTime(synchronised=True, uncertainty_us=905),
        ),
        (0, {"maxerror": 9, "status": clock.STA_UNSYNC}, KernelTime(synchronised=False, uncertainty_us=9)),
        (clock.TIME_ERROR, {"maxerror": 16_000_000}, KernelTime(synchronised=False, uncertainty_us=16_000_000)),
        (-1, {}, None),
    ],
)
def test_the_kernels_word_is_understood(state: int, fields: dict[str, int], expected: KernelTime | None) -> None:
    assert kernel_time(kernel(state, **fields)) == expected


def test_this_kernel_is_asked_without_any_right() -> None:
    word = kernel_time()
    assert word is None or word.uncertainty_us >= 0


def test_the_structure_is_no_smaller_than_the_kernels() -> None:
    # struct timex has 208 bytes with 64-bit longs, 128 with 32-bit ones (linux/timex.h).
    assert ctypes.sizeof(clock._Timex) >= (208 if ctypes.sizeof(ctypes.c_long) == 8 else 128)


def test_the_boot_clock_goes_on_and_the_boot_has_an_id() -> None:
    own = SystemClock()
    first, second = own.boot_ns(), own.boot_ns()
    assert 0 < first <= second
    assert abs(own.wall_ns() - time.time_ns()) < 60 * 10**9
    assert own.boot_id() == SystemClock().boot_id() != ""
