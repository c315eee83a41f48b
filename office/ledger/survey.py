# SPDX-License-Identifier: GPL-3.0-or-later
"""A card's answers before and after, and what of them is added up: pairs only, by visit, band and question. Pure.

Whoever answered but once tells nothing about a change. A card belongs to the visit and the band in which it was first
asked; where the first answer has no visit, to that of the second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Moment = Literal["before", "after"]
QUESTIONS = ("interest", "confidence", "career")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one card answered at one moment. Of two answers of one moment the later (epoch, seq) counts."""

    epoch: str
    seq: int
    visit: str
    band: str
    interest: int | None
    confidence: int | None
    career: int | None

    @property
    def order(self) -> tuple[str, int]:
        """Return what decides between two answers."""
        return (self.epoch, self.seq)


NO_ANSWER = Answer("", 0, "", "", None, None, None)
"""What stands in the row of a card that has answered but once."""


@dataclass(slots=True)
class Tally:
    """Pairs of one (visit, band, question): their number, both sums, and the sum of the squared differences."""

    pairs: int = 0
    before: int = 0
    after: int = 0
    squares: int = 0

    def add(self, before: int, after: int, sign: int = 1) -> None:
        """Add one pair, or with sign -1 take it back."""
        self.pairs += sign
        self.before += sign * before
        self.after += sign * after
        self.squares += sign * (after - before) ** 2


Tallies = dict[tuple[str, str, str, str], Tally]
"""By (lab, visit, band, question)."""


def add_card(tallies: Tallies, lab: str, before: Answer, after: Answer, sign: int = 1) -> None:
    """Add what the two answers of one card make together, or with sign -1 take it back."""
    if before.seq == 0 or after.seq == 0:
        return
    for question in QUESTIONS:
        first, second = getattr(before, question), getattr(after, question)
        if first is not None and second is not None:
            tallies[lab, before.visit or after.visit, before.band, question].add(first, second, sign)


def tallied(answers: Mapping[tuple[str, str, Moment], Answer]) -> Tallies:
    """Return what all `answers` together make, by (lab, card, moment)."""
    tallies: Tallies = defaultdict(Tally)
    for (lab, card, moment), answer in answers.items():
        if moment == "before":
            add_card(tallies, lab, answer, answers.get((lab, card, "after"), NO_ANSWER))
    return tallies
