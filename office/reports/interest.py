# SPDX-License-Identifier: GPL-3.0-or-later
"""What visitors answered before and after, in pairs of one card each, so that no answer of one person can be found out.

Small groups are hidden where they are small: a visit's answers to a question in a band take part only if the visit is
closed and has at least SMALLEST pairs of them. So every figure, for whatever days and labs it is asked, is made of
whole visits of at least SMALLEST pairs each. The difference of any two of them, and every other sum of them, is made of
whole visits too, and never of a part: there is nothing to be got by subtraction. Neither is said how many were left
out, since that is the size of a small group, nor are there totals over bands from which a hidden one would follow.

The interval holds the mean difference with 95 % by Student's t of the paired differences. Pupils of one visit hear the
same words, so where there are at least CLUSTERS visits it is made of the visits' sums (the cluster-robust variance of a
mean; see Cameron & Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015) where that makes it wider.
"""

from __future__ import annotations

import math
from typing import Any

from office.ledger import figures
from office.ledger.database import Database
from office.ledger.figures import Pairs, Period
from office.ledger.survey import QUESTIONS

SMALLEST = 5
CLUSTERS = 5
BANDS = ("under_11", "11_12", "13_up")
_NORMAL = 1.959963984540054


def interest(database: Database, period: Period) -> dict[str, Any]:
    """Return a row for each question and band: means before and after, their difference and its interval.

    answers are those that the rows are made of, before and after together.
    """
    groups = {(found.question, found.band): found for found in figures.pairs(database, period, SMALLEST)}
    rows = [_row(question, band, groups.get((question, band))) for question in QUESTIONS for band in BANDS]
    return {"smallest": SMALLEST, "rows": rows, "answers": 2 * sum(found.pairs for found in groups.values())}


def _row(question: str, band: str, found: Pairs | None) -> dict[str, Any]:
    row: dict[str, Any] = {"question": question, "band": band, "hidden": found is None}
    if found is None:
        return {**row, **dict.fromkeys(("pairs", "before", "after", "difference", "interval"))}
    difference, half = (found.after - found.before) / found.pairs, half_width(found)
    return {
        **row,
        "pairs": found.pairs,
        "before": round(found.before / found.pairs, 2),
        "after": round(found.after / found.pairs, 2),
        "difference": round(difference, 2),
        "interval": [round(difference - half, 2), round(difference + half, 2)],
    }


def half_width(found: Pairs) -> float:
    """Return half of the interval's width."""
    n, m = found.pairs, found.visits
    mean = (found.after - found.before) / n
    half = student(n - 1) * math.sqrt(max(0.0, found.squares - n * mean * mean) / (n - 1) / n)
    if m >= CLUSTERS:
        strays = max(0.0, found.dd - 2 * mean * found.nd + mean * mean * found.nn)
        half = max(half, student(m - 1) * math.sqrt(m / (m - 1) * strays) / n)
    return half


def student(degrees: int) -> float:
    """Return the 97.5 % point of Student's t with at least 4 degrees of freedom, right to 0.002.

    The expansion around the normal distribution: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    x, v = _NORMAL, degrees
    return (
        x
        + (x**3 + x) / (4 * v)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * v**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * v**3)
        + (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / (92160 * v**4)
    )
