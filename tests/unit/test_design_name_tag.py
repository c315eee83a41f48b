# SPDX-License-Identifier: GPL-3.0-or-later
import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.design import DesignRefused, compile_piece
from edge.design.errors import (
    DepthUnknown,
    LetterUnknown,
    ParameterUnknown,
    TemplateUnknown,
    TextMissing,
    TextTooLong,
)
from edge.design.templates.name_tag import DEPTHS, STOCK
from edge.domain.machine import Position, Travel
from edge.gcode import MotionSettings, check, interpret, plan

TRAVEL = Travel(Position(-150, -100, -40), Position(0, 0, 0), 3000, 12000)
OFFSET = Position(-120, -80, -20)
ALLOWED = "ABCabcxyzĄČĘĖĮŠŲŪŽąčęėįšųūžĀĒĢĪĶĻŅāēģīķļņÄÖÜÕäöüõß0123456789-. "


def tag(text: str, depth: str = "normal") -> str:
    return compile_piece("name-tag", {"text": text, "depth": depth})


@given(st.text(ALLOWED, min_size=1, max_size=14).filter(lambda text: text.strip()))
@settings(deadline=None, max_examples=60)
def test_every_allowed_text_becomes_a_program_that_passes_the_check_and_fits_the_stock(text: str) -> None:
    source = tag(text)
    program = interpret(source.encode("ascii"))
    assert check(program, TRAVEL, OFFSET) == []
    planned = plan(program, MotionSettings())
    assert planned.bounds is not None
    assert (planned.bounds.low.x, planned.bounds.low.y) >= (0, 0)
    assert planned.bounds.high.x <= STOCK[0]
    assert planned.bounds.high.y <= STOCK[1]
    assert planned.bounds.low.z >= -STOCK[2]
    assert 5 < planned.seconds < 90
    assert source == tag(text)


@pytest.mark.parametrize(("depth", "z"), list(DEPTHS.items()))
def test_the_depth_is_the_chosen_one(depth: str, z: float) -> None:
    bounds = plan(interpret(tag("A", depth).encode()), MotionSettings()).bounds
    assert bounds is not None
    assert bounds.low.z == -z


def test_the_text_does_not_stand_in_the_program_as_text() -> None:
    source = tag("ZIGMAS")
    assert "ZIGMAS" not in source.replace(" ", "")
    assert not re.search(r"\(.*zig", source, re.IGNORECASE)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, TextMissing),
        ({"text": ""}, TextMissing),
        ({"text": "   "}, TextMissing),
        ({"text": "A" * 15}, TextTooLong),
        ({"text": "A\nB"}, LetterUnknown),
        ({"text": "A!"}, LetterUnknown),
        ({"text": "Ж"}, LetterUnknown),
        ({"text": "A/B"}, LetterUnknown),
        ({"text": "é"}, LetterUnknown),
        ({"text": "🙂"}, LetterUnknown),
        ({"text": "A", "depth": "bottomless"}, DepthUnknown),
        ({"text": 5}, ParameterUnknown),
        ({"text": None}, ParameterUnknown),
        ({"text": "A", "depth": 1.0}, ParameterUnknown),
        ({"text": "A", "feed": "9999"}, ParameterUnknown),
    ],
)
def test_anything_else_is_refused_in_words_and_with_a_key(
    params: dict[str, object], error: type[DesignRefused]
) -> None:
    with pytest.raises(error) as caught:
        compile_piece("name-tag", params)
    assert caught.value.key.startswith("design.")
    assert str(caught.value).endswith(".")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (error, str(caught.value))


def test_a_refusal_does_not_repeat_the_text() -> None:
    with pytest.raises(TextTooLong) as caught:
        tag("ALEKSANDRAS-JONAS")
    assert "ALEKSANDRAS" not in repr(caught.value) + str(caught.value)


def test_an_unknown_design_is_refused() -> None:
    with pytest.raises(TemplateUnknown):
        compile_piece("rocket", {})


@given(st.text(max_size=20))
@settings(deadline=None)
def test_any_text_is_made_or_refused(text: str) -> None:
    try:
        source = tag(text)
    except DesignRefused:
        return
    assert interpret(source.encode("ascii")).diagnostics == ()
