# SPDX-License-Identifier: GPL-3.0-or-later
"""Which seqs of a feed are in the ledger: sorted, separate, inclusive ranges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def add(ranges: Ranges, first: int, last: int) -> Ranges:
    """Return `ranges` with first..last in it; ranges that touch become one."""
    before = [item for item in ranges if item[1] < first - 1]
    after = [item for item in ranges if item[0] > last + 1]
    touching = ranges[len(before) : len(ranges) - len(after)]
    if touching:
        first, last = min(first, touching[0][0]), max(last, touching[-1][1])
    return (*before, (first, last), *after)


def add_all(ranges: Ranges, items: Iterable[Range]) -> Ranges:
    """Return `ranges` with each of `items` in it."""
    for first, last in items:
        ranges = add(ranges, first, last)
    return ranges


def watermark(ranges: Ranges) -> int:
    """Return the seq up to which nothing is missing, 0 where the first is missing."""
    return ranges[0][1] if ranges and ranges[0][0] == 1 else 0


def missing(ranges: Ranges, up_to: int = 0) -> Ranges:
    """Return what is missing below the newest seq, and up to `up_to` where that is known to exist."""
    holes = [(left[1] + 1, right[0] - 1) for left, right in pairwise(((0, 0), *ranges)) if right[0] > left[1] + 1]
    newest = ranges[-1][1] if ranges else 0
    return (*holes, (newest + 1, up_to)) if up_to > newest else tuple(holes)


def size(ranges: Iterable[Range]) -> int:
    """Return how many seqs `ranges` holds."""
    return sum(last - first + 1 for first, last in ranges)


def from_lists(value: Sequence[Sequence[int]]) -> Ranges:
    """Return the ranges that JSON keeps as lists of two."""
    return tuple((first, last) for first, last in value)
