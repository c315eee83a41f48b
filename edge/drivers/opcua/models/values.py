# SPDX-License-Identifier: GPL-3.0-or-later
"""What a value is good for: a number, a whole number, a text; anything else is unknown.

Values come from strangers: a NaN, a text in place of a number or a list must never end a driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from edge.domain.machine import ControllerMode, Execution, Overrides, Position

Word = TypeVar("Word")

_WIDEST = 1e12


def number(value: object) -> float | None:
    """Return a finite number; a Boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _WIDEST else None


def whole(value: object) -> int | None:
    """Return a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _WIDEST:
        return None
    return int(value) if float(value).is_integer() else None


def text(value: object) -> str | None:
    """Return a text that is not empty."""
    return value.strip() or None if isinstance(value, str) else None


def word_of(words: Mapping[int, Word], value: object) -> Word | None:
    """Return the word of an enumeration's value."""
    found = whole(value)
    return None if found is None else words.get(found)


def first(values: Iterable[Word | None]) -> Word | None:
    """Return the first that is known."""
    return next((value for value in values if value is not None), None)


def overrides(feed: float | None, rapid: float | None, spindle: float | None) -> Overrides | None:
    """Return overrides in per cent; rapid and spindle read 100 where the machine has none."""
    if feed is None:
        return None
    return Overrides(round(feed), 100 if rapid is None else round(rapid), 100 if spindle is None else round(spindle))


def position(x: float | None, y: float | None, z: float | None) -> Position | None:
    """Return a place, where all of it is known."""
    return None if x is None or y is None or z is None else Position(x, y, z)


def moving_first(states: Iterable[Execution | None]) -> Execution:
    """Return what several channels do: what may move comes first, and what is unknown may."""
    found = list(states)
    for state in (Execution.ACTIVE, Execution.FEED_HOLD, Execution.INTERRUPTED):
        if state in found:
            return state
    if not found or None in found or Execution.UNAVAILABLE in found:
        return Execution.UNAVAILABLE
    for state in (Execution.STOPPED, Execution.READY):
        if state in found:
            return state
    return Execution.PROGRAM_COMPLETED


def common_mode(modes: Iterable[ControllerMode | None]) -> ControllerMode:
    """Return the mode of all channels; channels of different modes have no common word."""
    found = set(modes)
    mode = found.pop() if len(found) == 1 else None
    return ControllerMode.UNAVAILABLE if mode is None else mode
