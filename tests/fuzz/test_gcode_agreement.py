# SPDX-License-Identifier: GPL-3.0-or-later
"""The check against a second judge: the simulated controller in check mode, which answers each line by itself.

The simulator is held to the recorded conversations by its own tests. Left out is what depends on places that only the
controller knows: G28, G30 and G10 before arcs and probing.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.gcode import interpret
from edge.gcode.words import split_words
from tests.fuzz.effort import effort
from tests.hardware_sim.grbl.conversation import Conversation
from tests.hardware_sim.grbl.state import State

ARC_END, ARC_RADIUS, UNUSED = 33, 34, 36


class Judge:
    """A controller that is asked for its answers to the lines of a program; it is started once."""

    def __init__(self) -> None:
        self.talk = Conversation()

    def answers(self, lines: list[str]) -> list[int | None]:
        """Return GRBL's error for each line, None for `ok`."""
        self.talk.reset()
        assert self.talk.answer("$C") == "ok"
        assert self.talk.is_in(State.CHECK)
        heard = [self.talk.answer(line) for line in lines]
        return [None if answer == "ok" else int(answer.removeprefix("error:")) for answer in heard]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def said(lines: list[str], *, batches: bool) -> list[int | None]:
    """Return the error that the check names for each line."""
    program = interpret("\n".join(lines).encode(), batches=batches)
    assert program.complete
    found = {item.line: item for item in program.diagnostics if item.grbl is not None}
    for item in found.values():
        line = lines[item.line - 1]
        # Place and words are those of the line as it was written.
        assert 1 <= item.column <= len(line), (line, item)
        assert item.words, (line, item)
        bare = line.replace(" ", "").upper()
        assert all(word in bare for word in item.words), (line, item)
        assert line[item.column - 1].upper() in item.words[0], (line, item)
    return [found[number].grbl if number in found else None for number in range(1, len(lines) + 1)]


NUMBER = st.one_of(
    st.sampled_from(["0", "1", "-1", "2.5", ".5", "5.", "-7.25", "100", "+3", "-0", "00012.50", "256", "-0.5"]),
    st.sampled_from(["", "-", "+", ".", "1.2.3", "1..2", "1e5", "NaN", "--1", "9" * 40, "1234567890", "0.00000000001"]),
    st.integers(-9999, 9999).map(lambda value: f"{value / 100:g}"),
)
PLAIN = st.integers(-9999, 9999).map(lambda value: f"{value / 100:g}")
CODES = (
    "G0 G1 G2 G3 G4 G10 G17 G18 G19 G20 G21 G28 G28.1 G30 G30.1 G38.2 G38.3 G38.4 G38.5 G40 G41 G43 G43.1 G49 G53 "
    "G54 G55 G59 G59.1 G61 G61.1 G64 G80 G81 G90 G90.1 G91 G91.1 G92 G92.1 G92.2 G93 G94 G95 G98 G99 G5.1 G1.1 G256 "
    "M0 M1 M2 M3 M4 M5 M6 M7 M8 M9 M30 M98 M3.1"
).split()
LOOSE = st.tuples(st.sampled_from("XYZXYZIJKRFPLSTNABDEHQUVWOC"), NUMBER).map("".join)
WORD = st.one_of(st.sampled_from(CODES), LOOSE)
BAD = st.lists(WORD, min_size=1, max_size=5)


def arranged(words: list[str]) -> st.SearchStrategy[str]:
    """Return the words as people write them: with and without spaces, in lower case, with a comment."""
    return st.sampled_from(
        [" ".join(words), "".join(words), "".join(words).lower(), f" {'  '.join(words)} (a note) ", f"{words[0]};x"]
    )


def far(line: str) -> bool:
    """Return whether a line goes to a place that only the controller knows, or ends what the check follows."""
    bare = line.replace(" ", "").upper()
    return any(code in bare for code in ("G28", "G30", "G10"))


@given(st.lists(BAD.flatmap(arranged), min_size=1, max_size=12))
@effort(150)
def test_any_line_gets_the_error_that_the_controller_gives(judge: Judge, lines: list[str]) -> None:
    lines = [line for line in lines if line.strip() and len(line) < 70]
    known = [line for line in lines if not far(line)]
    for some in (known, *([line] for line in lines if far(line))):
        answers = judge.answers(some)
        assert said(some, batches=False) == answers, list(zip(some, answers, strict=True))
        # The quick way needs a run of lines; each is said often enough, and a line of no effect in between.
        assert said(some, batches=True) == answers


AXES = st.lists(st.tuples(st.sampled_from("XYZ"), PLAIN).map("".join), min_size=1, max_size=3, unique_by=lambda w: w[0])
MOVE = st.tuples(st.sampled_from(["", "G0", "G1", "G1", "N7 G1"]), AXES, st.sampled_from(["", "F200", "S5", "F0"]))
MODES = st.sampled_from(
    "G17 G18 G19 G20 G21 G90 G91 G93 G94 G54 M3 M5 S100 M8 M9 T2 G92X0 G92.1 G80 G4P0.1 G40 G49 M30 F300".split()
)


@st.composite
def arcs(draw: st.DrawFn) -> str:
    """Return an arc in the plane XY that closes well, badly, or only almost."""
    angles = draw(st.tuples(st.floats(0, 6.28), st.floats(0, 6.28)))
    radius = draw(st.sampled_from([0.0, 0.01, 1.0, 25.0, 100.0]))
    i, j = -radius * math.cos(angles[0]), -radius * math.sin(angles[0])
    x, y = i + radius * math.cos(angles[1]), j + radius * math.sin(angles[1])
    off = draw(st.sampled_from([0.0, 0.0, 0.0, 0.02, 2.0]))
    code = draw(st.sampled_from(["G2", "G3"]))
    form = draw(st.sampled_from(["centre", "radius", "half", "both", "none", "third"]))
    ways = {
        "centre": f"I{i:.3f} J{j:.3f}",
        "radius": f"R{radius * draw(st.sampled_from([0.3, 1.01, 3.0, -2.0])):.3f}",
        "half": f"R{math.hypot(round(x + off, 3), round(y, 3)) / 2:.3f}",
        "both": f"I{i:.3f} R{radius:.3f}",
        "none": "",
        "third": f"I{i:.3f} J{j:.3f} K1",
    }
    return f"G91 {code} X{x + off:.3f} Y{y:.3f} {ways[form]} F500"


LINE = st.one_of(
    MOVE.map(lambda parts: " ".join([parts[0], *parts[1], parts[2]]).strip()),
    MODES,
    arcs(),
)


@given(st.lists(LINE, min_size=20, max_size=45))
@effort(50)
def test_programs_that_look_real_are_judged_as_the_controller_judges_them(judge: Judge, lines: list[str]) -> None:
    answers = judge.answers(lines)
    for batches in (False, True):
        found = said(lines, batches=batches)
        warned = {item.line for item in interpret("\n".join(lines).encode()).diagnostics if item.grbl is None}
        for number, (ours, theirs) in enumerate(zip(found, answers, strict=True)):
            # Where the controller's rounding decides, the check refuses an arc that closes only almost and warns of a
            # radius that only just reaches. From there on the two stand in different places.
            if (ours, theirs) == (ARC_END, None) or {ours, theirs} == {ARC_RADIUS, None}:
                assert ours is not None or number + 1 in warned, lines[: number + 1]
                break
            # A radius that only just reaches, with a word too many beside it: refused by both, for one of the two.
            assert ours == theirs or {ours, theirs} == {ARC_RADIUS, UNUSED}, (number, lines[: number + 1])


LETTER = st.sampled_from("GMXYZIJKRFSTNP")
VALUE = st.tuples(st.booleans(), st.text("0123456789", max_size=12), st.text("0123456789", max_size=12)).filter(
    lambda parts: bool(parts[1] or parts[2])
)


@given(st.lists(st.tuples(LETTER, VALUE), min_size=1, max_size=8))
@effort(300)
def test_words_become_text_and_the_same_words_again(words: list[tuple[str, tuple[bool, str, str]]]) -> None:
    text = "".join(f"{letter}{'-' if minus else ''}{whole}.{part}" for letter, (minus, whole, part) in words)
    read = [(letter, value) for letter, value, _ in split_words(text.encode())]
    assert [letter for letter, _ in read] == [letter for letter, _ in words]
    for (_, value), (_, (minus, whole, part)) in zip(read, words, strict=True):
        kept = (whole + part)[:8]
        exact = float(f"{whole[:8]}{'0' * (len(whole) - 8)}" + (f".{kept[len(whole) :]}" if kept[len(whole) :] else ""))
        assert value == pytest.approx(-exact if minus else exact, rel=1e-12)
    # Written once more, eight digits with a point: nothing is lost any more.
    again = "".join(f"{letter}{value:.12f}".rstrip("0") for letter, value in read if abs(value) < 1e7)
    for (_, first), (_, second, _) in zip(
        [pair for pair in read if abs(pair[1]) < 1e7], split_words(again.encode()), strict=True
    ):
        assert second == pytest.approx(first, abs=1e-5, rel=1e-5)
