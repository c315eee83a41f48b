# SPDX-License-Identifier: GPL-3.0-or-later
"""The interlock of one machine: starts UNKNOWN, trips on anything but healthy, latches, and only a person resets it.

A missing sample, a sample older than the rule allows, one from the future and one that the source itself cannot
tell are all UNKNOWN, and UNKNOWN does not permit. An interlock that watches nothing never permits.
Reset separate from start: ISO 16090-1 and ISO 23125 as cited in docs/decisions/0007-interlock.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.domain.inputs import InputRule, InputSample


class InputStatus(StrEnum):
    """What an input says at this moment."""

    HEALTHY = "HEALTHY"
    OPEN = "OPEN"
    UNKNOWN = "UNKNOWN"


class LatchState(StrEnum):
    """Whether motion is permitted as far as the interlock is concerned."""

    UNKNOWN = "UNKNOWN"
    TRIPPED = "TRIPPED"
    PERMITTED = "PERMITTED"


@dataclass(frozen=True, slots=True)
class Reading:
    """An input with its status and the age of its sample in ns (None: no sample yet)."""

    rule: InputRule
    status: InputStatus
    age_ns: int | None


@dataclass(frozen=True, slots=True)
class Interlock:
    """The latch, and the reading that tripped it."""

    state: LatchState = LatchState.UNKNOWN
    cause: Reading | None = None


def read(rule: InputRule, sample: InputSample | None, now_ns: int) -> Reading:
    """Return what `rule`'s input says at `now_ns`, judged by its newest sample."""
    if sample is None:
        return Reading(rule, InputStatus.UNKNOWN, None)
    age = now_ns - sample.taken_ns
    if sample.healthy is None or not 0 <= age <= rule.max_age_ns:
        return Reading(rule, InputStatus.UNKNOWN, age)
    return Reading(rule, InputStatus.HEALTHY if sample.healthy else InputStatus.OPEN, age)


def first_bad(readings: Sequence[Reading]) -> Reading | None:
    """Return the reading to name first: an open input before an unknown one; None where all are healthy."""
    for status in (InputStatus.OPEN, InputStatus.UNKNOWN):
        for reading in readings:
            if reading.status is status:
                return reading
    return None


def step(interlock: Interlock, readings: Sequence[Reading]) -> Interlock:
    """Return the interlock after looking at `readings`. Never permits what was not permitted before."""
    bad = first_bad(readings)
    match interlock.state:
        case LatchState.PERMITTED:
            if readings and bad is None:
                return interlock
            return Interlock(LatchState.TRIPPED, bad)
        case LatchState.UNKNOWN:
            if bad is not None and bad.status is InputStatus.OPEN:
                return Interlock(LatchState.TRIPPED, bad)
            return interlock
        case LatchState.TRIPPED:
            return interlock


def reset(interlock: Interlock, readings: Sequence[Reading]) -> Interlock:
    """Return the interlock after a person's reset: PERMITTED where every input is healthy, else as `step` says."""
    if readings and first_bad(readings) is None:
        return Interlock(LatchState.PERMITTED)
    return step(interlock, readings)
