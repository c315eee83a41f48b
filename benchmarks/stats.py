# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles, and the one form that every figure has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict

LATENCY_SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Row(TypedDict):
    """One figure beside its reference from the same run; the last three are None where there is none."""

    name: str
    value: float
    unit: str
    reference: str | None
    reference_value: float | None
    ratio: float | None


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` of them do not exceed (nearest rank, nothing invented)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def significant(value: float, digits: int = 5) -> float:
    """Return `value` with so many digits as it deserves."""
    return float(f"{value:.{digits}g}")


def row(name: str, value: float, unit: str, reference: str | None = None, reference_value: float | None = None) -> Row:
    """Return one row of the table."""
    return Row(
        name=name,
        value=significant(value),
        unit=unit,
        reference=reference,
        reference_value=None if reference_value is None else significant(reference_value),
        ratio=significant(value / reference_value) if reference_value else None,
    )


def latencies(
    name: str,
    values: Sequence[float],
    reference: str,
    floor: Sequence[float],
    shares: Iterable[str] = tuple(LATENCY_SHARES),
) -> list[Row]:
    """Return one row for each of `shares` of latencies in ms, each beside the same share of its floor."""
    return [
        row(
            f"{name}, {share}",
            percentile(values, LATENCY_SHARES[share]),
            "ms",
            reference,
            percentile(floor, LATENCY_SHARES[share]),
        )
        for share in shares
    ]
