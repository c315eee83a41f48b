# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers count once, are on disk before anyone is thanked, and lead to no person."""

from __future__ import annotations

import asyncio

import pytest

from edge.domain.errors import StoreUnavailable
from edge.domain.visit import Language, Visit
from edge.services import survey as module
from edge.services.recorder import Recorder
from edge.services.survey import ANSWER_PREFIX, Answers, Survey
from tests.support.fakes import FakeClock, MemoryStore
from tests.support.late import LateStore, cancelled_behind_the_commit
from wire.events import SurveyAnswered

BEFORE = Answers("card-1", "before", "11_12", Language.LT, 2, None, 5)
VISIT = Visit("v1", "Mokykla", "Kretinga", "2026-11-23", "8a", 25, Language.LT)


def survey_on(store: MemoryStore, visit: Visit | None = VISIT) -> Survey:
    return Survey(store, Recorder(store, FakeClock(), lambda: None), lambda: visit)


async def test_answers_become_one_fact_that_the_wire_knows() -> None:
    store = MemoryStore()
    await survey_on(store).answer("a1", BEFORE)
    (event,) = store.events
    assert event.body == {
        "card": "card-1",
        "moment": "before",
        "band": "11_12",
        "visit": "v1",
        "language": "lt",
        "interest": 2,
        "confidence": None,
        "career": 5,
    }
    assert set(event.body) == set(SurveyAnswered.model_fields), "neither kiosk nor session nor claim"
    SurveyAnswered.model_validate(dict(event.body))


async def test_the_same_answer_counts_once_at_once_and_over_a_restart() -> None:
    store = MemoryStore()
    survey = survey_on(store)
    await asyncio.gather(*(survey.answer("a1", BEFORE) for _ in range(5)))
    again = survey_on(store)
    await again.load()
    await again.answer("a1", BEFORE)
    assert store.types() == ["survey.answered"]


async def test_an_answer_that_is_cancelled_behind_its_commit_and_repeated_counts_once() -> None:
    store = LateStore()
    survey = survey_on(store)
    await cancelled_behind_the_commit(store, survey.answer("a1", BEFORE))
    await survey.answer("a1", BEFORE)
    assert store.types() == ["survey.answered"]


async def test_without_a_visit_answers_belong_to_none() -> None:
    store = MemoryStore()
    await survey_on(store, None).answer("a1", BEFORE)
    assert store.events[0].body["visit"] is None


async def test_a_full_disk_thanks_nobody() -> None:
    store = MemoryStore()
    survey = survey_on(store)
    store.failing = "the disk is full"
    with pytest.raises(StoreUnavailable):
        await survey.answer("a1", BEFORE)
    store.failing = ""
    await survey.answer("a1", BEFORE)
    assert store.types() == ["survey.answered"]


async def test_ids_are_kept_for_a_while_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    store = MemoryStore()
    survey = survey_on(store)
    for number in range(12):
        await survey.answer(f"a{number}", BEFORE)
    assert sorted(await store.load(ANSWER_PREFIX)) == [f"{ANSWER_PREFIX}a{number}" for number in (10, 11, 9)]
    again = survey_on(store)
    await again.load()
    await again.answer("a9", BEFORE)
    await again.answer("a12", BEFORE)
    assert len(store.events) == 13
    assert f"{ANSWER_PREFIX}a9" not in store.state, "the oldest goes first, also after a restart"
