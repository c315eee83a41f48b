# SPDX-License-Identifier: GPL-3.0-or-later
"""When a target is reached if things go on as they went, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta

FORECAST_DAYS = 3
"""With fewer days of visits than this, a forecast would be a guess."""
WINDOW_DAYS = 365
BAND = 1.2816
"""Standard deviations of a band that holds four of five outcomes."""


def forecast(daily: Sequence[tuple[str, int]], reached: int, target: int, today: date) -> dict[str, str] | None:
    """Return when the target comes at the pace of the last year, with a band; None where that cannot be said.

    The pace is people per calendar day since the first visit of the window. Visits come as they come, so the number
    of people is taken as compound Poisson: its relative standard error is the root of the sum of squares over the
    sum. The band is that of the logarithm of the pace and holds four of five outcomes if the year is like the last.
    """
    days = [(date.fromisoformat(day), people) for day, people in daily if people > 0]
    window = [(day, people) for day, people in days if 0 <= (today - day).days <= WINDOW_DAYS]
    if len(window) < FORECAST_DAYS or reached >= target:
        return None
    people = sum(count for _, count in window)
    elapsed = (today - window[0][0]).days + 1
    error = math.sqrt(sum(count * count for _, count in window)) / people
    needed = (target - reached) / (people / elapsed)
    spread = math.exp(BAND * error)
    return {
        name: _after(today, needed * factor) for name, factor in (("low", 1 / spread), ("mid", 1), ("high", spread))
    }


def _after(today: date, days: float) -> str:
    return (today + timedelta(min(math.ceil(days), (date.max - today).days))).isoformat()
