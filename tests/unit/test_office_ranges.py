# SPDX-License-Identifier: GPL-3.0-or-later
import itertools

from hypothesis import given
from hypothesis import strategies as st

from office.ledger import ranges

spans = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1])), max_size=30)


@given(spans)
def test_ranges_hold_exactly_the_union(items):
    result = ranges.add_all((), items)
    union = {seq for first, last in items for seq in range(first, last + 1)}
    assert {seq for first, last in result for seq in range(first, last + 1)} == union
    assert ranges.size(result) == len(union)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(result))


@given(spans, st.integers(0, 90))
def test_watermark_and_missing_are_the_complement(items, up_to):
    result = ranges.add_all((), items)
    union = {seq for first, last in items for seq in range(first, last + 1)}
    mark = ranges.watermark(result)
    assert all(seq in union for seq in range(1, mark + 1))
    assert mark + 1 not in union
    newest = max([up_to, *union])
    lacking = {seq for first, last in ranges.missing(result, up_to) for seq in range(first, last + 1)}
    assert lacking == set(range(1, newest + 1)) - union


def test_ranges_survive_json():
    assert ranges.from_lists([[1, 4], [6, 9]]) == ((1, 4), (6, 9))
