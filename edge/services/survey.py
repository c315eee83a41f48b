# SPDX-License-Identifier: GPL-3.0-or-later
"""What visitors answer before and after: linked by a random card alone, counted once however often it is sent.

No fact holds the kiosk, the session, a wish or a claim number beside an answer, so that none of them leads to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge.domain.events import EventType
from edge.domain.ports import EventStore
from edge.domain.visit import Language, Visit
from edge.services.finish import to_its_end
from edge.services.recorder import Recorder

ANSWER_PREFIX = "answer:"
REMEMBERED = 500
"""Ids of answers that are kept against repeats: more than the visitors of a day, each with two."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Three answers from 1 (no) to 5 (yes), None where one was left out; see wire.events.SurveyAnswered."""

    card: str
    moment: Literal["before", "after"]
    band: Literal["under_11", "11_12", "13_up"]
    language: Language
    interest: int | None
    confidence: int | None
    career: int | None


class Survey:
    """Takes answers, with or without an open visit."""

    def __init__(self, store: EventStore, recorder: Recorder, visit: Callable[[], Visit | None]) -> None:
        self._store = store
        self._recorder = recorder
        self._visit = visit
        self._known: dict[str, int] = {}
        self._next = 1
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Take up the ids of the answers of late."""
        kept = await self._store.load(ANSWER_PREFIX)
        known = [(int(place), key.removeprefix(ANSWER_PREFIX)) for key, place in kept.items()]
        self._known = {answer_id: place for place, answer_id in sorted(known)}
        self._next = max(self._known.values(), default=0) + 1

    @to_its_end
    async def answer(self, answer_id: str, answers: Answers) -> None:
        """Commit the answers; an id seen before counts once. Raises StoreUnavailable, and then nothing was kept."""
        async with self._lock:
            if answer_id in self._known:
                return
            visit = self._visit()
            fact = self._recorder.event(
                EventType.SURVEY_ANSWERED,
                {
                    "card": answers.card,
                    "moment": answers.moment,
                    "band": answers.band,
                    "visit": visit.visit_id if visit else None,
                    "language": answers.language.value,
                    "interest": answers.interest,
                    "confidence": answers.confidence,
                    "career": answers.career,
                },
            )
            forgotten = list(self._known)[: max(0, len(self._known) + 1 - REMEMBERED)]
            place = self._next
            saves = {ANSWER_PREFIX + answer_id: str(place), **{ANSWER_PREFIX + old: None for old in forgotten}}
            await self._recorder.commit([fact], saves)
            self._next = place + 1
            self._known[answer_id] = place
            for old in forgotten:
                del self._known[old]
