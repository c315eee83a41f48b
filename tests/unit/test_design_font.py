# SPDX-License-Identifier: GPL-3.0-or-later
import math
import unicodedata
from itertools import pairwise

import pytest

from edge.design.errors import LetterUnknown
from edge.design.fonts import glyph, layout
from edge.design.fonts.monoline import ASCENT, CAP_HEIGHT, DESCENT, STROKES
from edge.design.path import Node, arc_between, bounds, ordered, parse_stroke, reversed_stroke

LETTERS = {
    "lt": "aąbcčdeęėfghiįyjklmnoprsštuųūvzž",
    "lv": "aābcčdeēfgģhiījkķlļmnņoprsštuūvzž",
    "et": "abcdefghijklmnopqrsšzžtuvwõäöüxy",
    "de": "abcdefghijklmnopqrstuvwxyzäöüß",
    "en": "abcdefghijklmnopqrstuvwxyz0123456789-.,:'+/",
}


@pytest.mark.parametrize("letter", sorted({letter for letters in LETTERS.values() for letter in letters}))
def test_every_letter_of_the_five_languages_is_drawn_between_its_lines(letter: str) -> None:
    small, capital = glyph(letter), glyph("ẞ" if letter == "ß" else letter.upper())
    assert small == capital
    assert small.strokes
    left, bottom, right, top = bounds(small.strokes)
    assert DESCENT - 0.2 <= bottom
    assert top <= ASCENT
    assert -1.5 <= left
    assert right <= 7
    base, *marks = unicodedata.normalize("NFD", letter)
    assert (len(small.strokes) > len(glyph(base).strokes)) == bool(marks)


def test_capitals_stand_on_the_line_and_reach_the_cap_height() -> None:
    for letter in "ABCDEFGHIJKLMNOPRSTUVWXYZẞ0123456789":
        _, bottom, _, top = bounds(glyph(letter).strokes)
        assert (bottom, top) == (pytest.approx(0, abs=0.01), pytest.approx(CAP_HEIGHT, abs=0.01)), letter


def test_composed_and_decomposed_text_is_the_same() -> None:
    assert layout("Žūsį") == layout(unicodedata.normalize("NFD", "Žūsį"))


@pytest.mark.parametrize("letter", ["Ж", "é", "№", "\n", "🙂", "\N{COMBINING CARON}", "ﬁ", "\x00"])
def test_other_letters_are_refused(letter: str) -> None:
    with pytest.raises(LetterUnknown):
        layout(f"A {letter}")


def test_letters_do_not_touch_one_another() -> None:
    for text in ("ĪĪ", "IÏ", "ĖĮĄ", "LT", "ÄÖ"):
        at = 0.0
        strokes, width = layout(text)
        assert bounds(strokes)[2] == pytest.approx(width)
        alone = sum(bounds(glyph(letter).strokes)[2] - bounds(glyph(letter).strokes)[0] for letter in text)
        assert width > alone + at


def test_arcs_join_their_ends() -> None:
    for texts in STROKES.values():
        for stroke in map(parse_stroke, texts):
            for before, node in pairwise(stroke):
                if node.bulge:
                    arc = arc_between(before, node)
                    angle = math.atan2(before.y - arc.y, before.x - arc.x) + arc.turn
                    assert arc.x + arc.radius * math.cos(angle) == pytest.approx(node.x, abs=1e-9)
                    assert arc.y + arc.radius * math.sin(angle) == pytest.approx(node.y, abs=1e-9)


def test_a_reversed_stroke_is_the_same_line() -> None:
    stroke = parse_stroke("0,0 2,0@1 2,3 0,3@-0.5")
    back = reversed_stroke(stroke)
    assert (back[0][:2], back[-1][:2]) == ((0, 3), (0, 0))
    assert bounds([back]) == pytest.approx(bounds([stroke]))
    assert reversed_stroke(back) == stroke


def test_strokes_are_turned_to_shorten_the_way() -> None:
    first, second = ordered([(Node(0, 0), Node(0, 6)), (Node(1, 0), Node(1, 6))])
    assert first[-1] == Node(0, 6)
    assert second[0] == Node(1, 6)
