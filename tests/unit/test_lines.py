# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lines in one buffer behave as the tuple of them."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.lines import Lines

TEXTS = st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12), max_size=20).map(tuple)


@given(TEXTS, st.integers(-25, 25), st.slices(20))
def test_lines_are_what_the_tuple_is(texts: tuple[str, ...], index: int, part: slice) -> None:
    lines = Lines.of(texts)
    assert len(lines) == len(texts)
    assert tuple(lines) == texts
    assert lines == texts
    assert lines[part] == texts[part]
    assert (list(reversed(lines)), lines.count("")) == (list(reversed(texts)), texts.count(""))
    if -len(texts) <= index < len(texts):
        assert lines[index] == texts[index]
    else:
        with pytest.raises(IndexError):
            lines[index]


@given(TEXTS, TEXTS)
def test_lines_are_equal_where_their_texts_are(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (Lines.of(one) == Lines.of(other)) == (one == other)
    assert (Lines.of(one) == other) == (one == other)
    assert Lines.of(one) == pickle.loads(pickle.dumps(Lines.of(one)))
    assert hash(Lines.of(one)) == hash(Lines.of(one))
    assert Lines.of(one) != "text"


def test_blocks_are_bytes_and_many_lines_come_in_turn() -> None:
    texts = tuple(f"G1X{number}" for number in range(5_000))
    lines = Lines.of(texts)
    assert tuple(lines) == texts
    assert lines.block(1, 3) == b"G1X1\nG1X2\n"
    assert lines.block(4_999, 9_999) == b"G1X4999\n"
    assert repr(lines) == f"Lines(5000 lines, {len(lines.text)} bytes)"


@pytest.mark.parametrize("line", ["a\nb", "ė"])
def test_what_is_no_ascii_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"line|ascii"):
        Lines.of(["G0", line])
