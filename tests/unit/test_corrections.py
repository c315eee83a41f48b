# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections at the van: a new fact each time, for visits that are closed, too, and never fewer people than none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

import pytest

from edge.domain.errors import NoOpenVisit, NotFound, Refused, StoreUnavailable
from edge.domain.visit import Language, Role
from edge.services.bus import EventBus
from edge.services.recorder import Recorder
from edge.services.visit_record import VisitRecord
from edge.services.visits import CLOSED_PREFIX, RECENT, SchoolType, VisitCounter
from tests.support.fakes import FakeClock, MemoryStore
from wire.events import BODIES
from wire.events import SchoolType as OnTheWire


@dataclass
class Van:
    store: MemoryStore
    visits: VisitCounter

    async def visit(self, people: int = 24, group: str = "8a") -> str:
        """Open a visit, count and close it."""
        visit = await self.visits.open(
            school="Mokykla",
            municipality="Kretinga",
            date="2026-11-23",
            group=group,
            expected=25,
            language=Language.LT,
            school_type=SchoolType.BASIC,
        )
        entry = f"count-{visit.visit_id}"
        await self.visits.count(visit.visit_id, entry_id=entry, group=group, role=Role.PUPIL, count=people)
        await self.visits.check_in(f"s-{visit.visit_id}", kiosk="k1", language=Language.LT)
        await self.visits.close(visit.visit_id)
        return visit.visit_id

    async def correct(
        self, visit: str, count: int, *, entry: str = "c1", group: str = "8a", reason: str = "miscounted"
    ):
        return await self.visits.correct(
            visit, entry_id=entry, group=group, role=Role.PUPIL, count=count, reason=reason
        )

    async def again(self) -> VisitCounter:
        clock = FakeClock()
        visits = VisitCounter(self.store, Recorder(self.store, clock, lambda: None), EventBus(), clock)
        await visits.load()
        return visits


@pytest.fixture
def van() -> Van:
    clock, store = FakeClock(), MemoryStore()
    return Van(store, VisitCounter(store, Recorder(store, clock, lambda: None), EventBus(), clock))


async def test_a_closed_visit_is_corrected_by_a_new_fact(van: Van) -> None:
    visit = await van.visit(24)
    record = await van.correct(visit, -2)
    assert [entry.headcount.count for entry in record.entries] == [24, -2], "both values stay"
    assert record.people[Role.PUPIL] == 22
    body = van.store.events[-1].body
    assert body == {
        "visit": visit,
        "group": "8a",
        "role": "pupil",
        "count": -2,
        "reason": "miscounted",
        "entry": "c1",
        "by": "operator",
    }
    assert van.visits.record is None
    assert (await van.again()).recent() == van.visits.recent() == [record]


async def test_facts_of_a_visit_are_what_the_wire_says(van: Van) -> None:
    await van.correct(await van.visit(), 1)
    for event in van.store.events:
        BODIES[event.type.value].model_validate({k: v for k, v in event.body.items() if v is not None})
    assert van.store.events[0].body["school_type"] == "basic"
    assert {kind.value for kind in SchoolType} == set(get_args(OnTheWire))


async def test_a_repeated_correction_counts_once_over_a_restart(van: Van) -> None:
    visit = await van.visit(24)
    first = await van.correct(visit, -2)
    assert await van.correct(visit, -2) == first
    van.visits = await van.again()
    assert await van.correct(visit, -2) == first
    assert van.store.types().count("visit.headcount") == 2


async def test_an_open_visit_is_corrected_too(van: Van) -> None:
    visit = await van.visits.open(
        school="M", municipality="K", date="2026-11-23", group="8a", expected=1, language=Language.LT
    )
    record = await van.correct(visit.visit_id, 3)
    assert record == van.visits.record
    assert record.people[Role.PUPIL] == 3


@pytest.mark.parametrize(
    ("count", "group", "reason", "why"),
    [
        (-25, "8a", "typo", "-1 people"),
        (-1, "8b", "typo", "0 people of this role"),
        (-1, "8a", "  ", "no reason"),
        (1, "8a", "", "no reason"),
        (0, "8a", "typo", "zero"),
        (100_000, "8a", "typo", "100024 people"),
    ],
)
async def test_what_cannot_be_is_refused(van: Van, count: int, group: str, reason: str, why: str) -> None:
    visit = await van.visit(24)
    with pytest.raises(Refused, match=why):
        await van.correct(visit, count, group=group, reason=reason)
    assert van.store.types().count("visit.headcount") == 1
    assert (await van.correct(visit, -24)).people[Role.PUPIL] == 0


async def test_a_visit_that_nobody_remembers_is_refused(van: Van) -> None:
    with pytest.raises(NotFound, match="remembers"):
        await van.correct("unheard-of", 1)


async def test_a_full_disk_corrects_nothing(van: Van) -> None:
    visit = await van.visit(24)
    van.store.failing = "the disk is full"
    with pytest.raises(StoreUnavailable):
        await van.correct(visit, -2)
    assert van.visits.recent()[0].people[Role.PUPIL] == 24
    van.store.failing = ""
    assert (await van.correct(visit, -2)).people[Role.PUPIL] == 22


async def test_a_full_disk_closes_nothing(van: Van) -> None:
    visit = await van.visits.open(
        school="M", municipality="K", date="2026-11-23", group="8a", expected=1, language=Language.LT
    )
    van.store.failing = "the disk is full"
    with pytest.raises(StoreUnavailable):
        await van.visits.close(visit.visit_id)
    assert van.visits.visit == visit
    assert van.visits.recent() == []


async def test_the_newest_closed_visits_are_remembered_newest_first(van: Van) -> None:
    visits = [await van.visit() for _ in range(RECENT + 3)]
    expected = list(reversed(visits))[:RECENT]
    for counter in (van.visits, await van.again()):
        assert [record.visit.visit_id for record in counter.recent()] == expected
    assert len(await van.store.load(CLOSED_PREFIX)) == RECENT
    with pytest.raises(NotFound):
        await van.correct(visits[0], 1)


async def test_a_closed_visit_keeps_its_sessions_when_their_ids_are_forgotten(van: Van) -> None:
    first = await van.visit()
    for _ in range(3):
        await van.visit()
    assert van.visits.sessions_of(first) == (await van.again()).sessions_of(first) == 1


async def test_a_headcount_repeated_after_the_close_counts_once(van: Van) -> None:
    """The answer was lost, somebody else closed the visit, and the page tries on."""
    visit = await van.visit(24)
    again = await van.visits.count(visit, entry_id=f"count-{visit}", group="8a", role=Role.PUPIL, count=24)
    assert again.people[Role.PUPIL] == 24
    with pytest.raises(NoOpenVisit):
        await van.visits.count(visit, entry_id="another", group="8a", role=Role.PUPIL, count=24)


async def test_a_visit_kept_by_an_earlier_version_is_read(van: Van) -> None:
    await van.visit()
    old = json.loads(van.visits.recent()[0].dump())
    del old["place"], old["sessions"]
    assert VisitRecord.parse(json.dumps(old)).sessions == 0
