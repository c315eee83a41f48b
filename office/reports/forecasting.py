# SPDX-License-Identifier: GPL-3.0-or-later
"""When a target is reached if things go on as they went, and how sure that is.

Visits come as they come and bring groups of different size. Their sum is taken as a compound Poisson process (S. Ross,
Introduction to Probability Models, section 5.4.2): over a time t at the pace of people per day, the mean is pace * t
and the variance is v * t, where v, the expected square of a group times the rate of groups, is estimated by the sum of
squares of the days over the days observed. Two errors add up: that of the pace, estimated from T days (v / T), and
that of what is to come (v * t). So the variance of the sum t days from today is v * t * (1 + t / T).

What the method does not know: terms and holidays, a van that is added, a campaign. It says what follows if the time to
come is like the window, and its band holds four of five outcomes of that, not of everything that may happen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

FORECAST_DAYS = 3
"""With fewer days of visits than this, a forecast would be a guess."""
WINDOW_DAYS = 365
BAND = 1.2816
"""Standard deviations of a band that holds four of five outcomes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """people per calendar day over days observed, and the variance that a day adds."""

    people: float
    variance: float
    days: int

    def error(self, ahead: float) -> float:
        """Return the standard deviation of the sum of the next `ahead` days."""
        return math.sqrt(self.variance * ahead * (1 + ahead / self.days))


def pace(daily: Sequence[tuple[str, int]], today: date) -> Pace | None:
    """Return the pace of the last year since its first visit; None where there are too few days to say one."""
    days = [(date.fromisoformat(day), people) for day, people in daily if people > 0]
    window = [(day, people) for day, people in days if 0 <= (today - day).days <= WINDOW_DAYS]
    if len(window) < FORECAST_DAYS:
        return None
    elapsed = (today - window[0][0]).days + 1
    squares = sum(people * people for _, people in window)
    return Pace(sum(people for _, people in window) / elapsed, squares / elapsed, elapsed)


def forecast(daily: Sequence[tuple[str, int]], reached: int, target: int, today: date) -> dict[str, str] | None:
    """Return the ISO days by which the target comes: low, mid and high; None where that cannot be said.

    The time needed is never negative, so its band is that of its logarithm: the relative error is that of the sum over
    the time that the target needs at the present pace.
    """
    found = pace(daily, today)
    if found is None or reached >= target:
        return None
    needed = (target - reached) / found.people
    spread = math.exp(min(BAND * found.error(needed) / (target - reached), 700.0))
    return {
        name: _after(today, needed * factor) for name, factor in (("low", 1 / spread), ("mid", 1), ("high", spread))
    }


def by_due(daily: Sequence[tuple[str, int]], reached: int, due: date, today: date) -> dict[str, int] | None:
    """Return where the figure will be on the day `due`: low, mid and high; None where that cannot be said.

    Nobody who was counted is taken back, so low is at least what is reached now.
    """
    found, ahead = pace(daily, today), (due - today).days
    if found is None or ahead <= 0:
        return None
    mid, band = reached + found.people * ahead, BAND * found.error(ahead)
    return {"low": max(reached, math.floor(mid - band)), "mid": round(mid), "high": math.ceil(mid + band)}


def _after(today: date, days: float) -> str:
    return (today + timedelta(math.ceil(min(days, (date.max - today).days)))).isoformat()
