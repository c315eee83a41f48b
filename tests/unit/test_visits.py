# SPDX-License-Identifier: GPL-3.0-or-later
"""The count: nothing is confirmed before it is on disk, nothing counts twice, everything survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

import pytest

from edge.domain.errors import NoOpenVisit, NotFound, Refused, StoreUnavailable, VisitAlreadyOpen
from edge.domain.visit import Language, Role, Visit
from edge.services.bus import EventBus
from edge.services.recorder import Recorder
from edge.services.visit_record import VisitRecord
from edge.services.visits import VisitCounter
from tests.support.fakes import FakeClock
from tests.support.late import LateStore, cancelled_behind_the_commit


@dataclass
class Desk:
    clock: FakeClock
    store: LateStore
    visits: VisitCounter

    async def open(self) -> Visit:
        return await self.visits.open(
            school="Mokykla", municipality="Kretinga", date="2026-11-23", group="8a", expected=25, language=Language.LT
        )

    async def again(self) -> VisitCounter:
        """Return the counter of the service after a restart."""
        visits = VisitCounter(self.store, Recorder(self.store, self.clock, lambda: None), EventBus(), self.clock)
        await visits.load()
        return visits


@pytest.fixture
def desk() -> Desk:
    clock, store = FakeClock(), LateStore()
    return Desk(clock, store, VisitCounter(store, Recorder(store, clock, lambda: None), EventBus(), clock))


async def test_a_visit_is_opened_counted_and_closed(desk: Desk) -> None:
    visit = await desk.open()
    await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    await desk.visits.count(visit.visit_id, entry_id="b", group="8a", role=Role.TEACHER, count=2)
    assert desk.visits.totals().total == 26
    closed = await desk.visits.close(visit.visit_id)
    assert not closed.visit.is_open
    assert desk.visits.visit is None
    assert desk.store.types() == ["visit.opened", "visit.headcount", "visit.headcount", "visit.closed"]


async def test_the_same_entry_counts_once(desk: Desk) -> None:
    visit = await desk.open()
    for _ in range(3):
        await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    assert desk.visits.totals().people[Role.PUPIL] == 24
    assert desk.store.types().count("visit.headcount") == 1


async def test_a_correction_needs_a_reason_and_cannot_go_below_zero(desk: Desk) -> None:
    visit = await desk.open()
    await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    with pytest.raises(Refused, match="no reason"):
        await desk.visits.count(visit.visit_id, entry_id="b", group="8a", role=Role.PUPIL, count=-1)
    with pytest.raises(Refused, match="-1 people"):
        await desk.visits.count(visit.visit_id, entry_id="b", group="8a", role=Role.PUPIL, count=-25, reason="typo")
    with pytest.raises(Refused, match="zero"):
        await desk.visits.count(visit.visit_id, entry_id="b", group="8a", role=Role.PUPIL, count=0)
    record = await desk.visits.count(
        visit.visit_id, entry_id="b", group="8a", role=Role.PUPIL, count=-1, reason="counted twice"
    )
    assert record.people[Role.PUPIL] == 23
    assert [entry.headcount.count for entry in record.entries] == [24, -1]


async def test_a_full_disk_confirms_nothing_and_loses_nothing(desk: Desk) -> None:
    visit = await desk.open()
    desk.store.failing = "the disk is full"
    with pytest.raises(StoreUnavailable):
        await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    with pytest.raises(StoreUnavailable):
        await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    assert desk.visits.totals().total == 0
    assert not desk.visits.knows("s1")
    desk.store.failing = ""
    await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    assert desk.visits.totals().total == 24
    assert desk.visits.totals().kiosk_sessions == 1


async def test_a_double_tap_counts_once_even_while_the_first_is_being_written(desk: Desk) -> None:
    await desk.open()
    desk.store.gate = asyncio.Event()
    taps = [asyncio.create_task(desk.visits.check_in("s1", kiosk="k1", language=Language.ET)) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(tap.done() for tap in taps)
    desk.store.gate.set()
    await asyncio.gather(*taps)
    await desk.visits.check_in("s1", kiosk="k1", language=Language.ET)
    assert desk.store.types().count("kiosk.session") == 1


async def test_a_double_tap_on_a_full_disk_is_refused_twice(desk: Desk) -> None:
    desk.store.failing = "the disk is full"
    desk.store.gate = asyncio.Event()
    taps = [asyncio.create_task(desk.visits.check_in("s1", kiosk="k1", language=Language.LT)) for _ in range(2)]
    await asyncio.sleep(0)
    desk.store.gate.set()
    results = await asyncio.gather(*taps, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]


async def test_many_taps_at_once_are_not_written_one_after_the_other(desk: Desk) -> None:
    desk.store.gate = asyncio.Event()
    taps = [
        asyncio.create_task(desk.visits.check_in(f"s{number}", kiosk="k1", language=Language.LT))
        for number in range(64)
    ]
    await asyncio.sleep(0)
    desk.store.gate.set()
    await asyncio.gather(*taps)
    assert desk.store.types().count("kiosk.session") == 64


async def test_a_restart_takes_up_the_visit(desk: Desk) -> None:
    visit = await desk.open()
    await desk.visits.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    await desk.visits.ring(visit.visit_id, 10)
    again = await desk.again()
    assert again.visit == visit
    assert again.totals().people[Role.PUPIL] == 24
    assert again.totals().kiosk_sessions == 1
    assert again.bell_in_s() == 600.0
    await again.check_in("s1", kiosk="k1", language=Language.LT)
    await again.count(visit.visit_id, entry_id="a", group="8a", role=Role.PUPIL, count=24)
    assert desk.store.types().count("kiosk.session") == 1
    assert desk.store.types().count("visit.headcount") == 1


async def test_a_bell_of_an_earlier_boot_is_forgotten(desk: Desk) -> None:
    visit = await desk.open()
    await desk.visits.ring(visit.visit_id, 10)
    desk.clock.boot = "boot-2"
    assert (await desk.again()).bell_in_s() is None


async def test_sessions_without_a_visit_count_and_belong_to_none(desk: Desk) -> None:
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    await desk.open()
    assert desk.visits.totals().kiosk_sessions == 0
    assert desk.store.events[0].body["visit"] is None


async def test_a_tap_repeated_after_the_visit_was_closed_counts_once(desk: Desk) -> None:
    visit = await desk.open()
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    await desk.visits.close(visit.visit_id)
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    assert desk.store.types().count("kiosk.session") == 1


async def test_what_has_no_open_visit_is_refused(desk: Desk) -> None:
    with pytest.raises(NoOpenVisit):
        await desk.visits.close("v")
    await desk.open()
    with pytest.raises(VisitAlreadyOpen):
        await desk.open()
    with pytest.raises(NotFound):
        await desk.visits.ring("another", 5)


async def test_a_tap_repeated_after_the_next_visit_was_opened_counts_once(desk: Desk) -> None:
    """The answer was lost, a page tries on, and meanwhile the next school has come."""
    first = await desk.open()
    await desk.visits.check_in("s1", kiosk="k1", language=Language.LT)
    await desk.visits.close(first.visit_id)
    await desk.visits.check_in("s2", kiosk="k1", language=Language.LT)
    second = await desk.open()
    for visits in (desk.visits, await desk.again()):
        for session in ("s1", "s2"):
            await visits.check_in(session, kiosk="k1", language=Language.LT)
            assert visits.knows(session)
        assert visits.sessions_of(second.visit_id) == 0
    assert desk.store.types().count("kiosk.session") == 2
    await desk.visits.close(second.visit_id)
    await desk.open()
    assert not desk.visits.knows("s1"), "ids are not kept for ever"
    assert not (await desk.again()).knows("s1")


async def test_a_count_that_is_cancelled_behind_its_commit_and_repeated_counts_once(desk: Desk) -> None:
    visit = (await desk.open()).visit_id

    def count() -> Coroutine[None, None, VisitRecord]:
        return desk.visits.count(visit, entry_id="a", group="8a", role=Role.PUPIL, count=25)

    await cancelled_behind_the_commit(desk.store, count())
    assert (await count()).people[Role.PUPIL] == 25
    assert desk.store.types().count("visit.headcount") == 1
    assert (await desk.again()).totals().total == 25


async def test_every_change_that_is_cancelled_behind_its_commit_holds(desk: Desk) -> None:
    visits = desk.visits
    await cancelled_behind_the_commit(desk.store, desk.open())
    with pytest.raises(VisitAlreadyOpen):
        await desk.open()
    assert visits.visit is not None
    visit = visits.visit.visit_id
    await cancelled_behind_the_commit(desk.store, visits.check_in("s1", kiosk="k1", language=Language.LT))
    await visits.check_in("s1", kiosk="k1", language=Language.LT)
    assert desk.store.types().count("kiosk.session") == 1
    await cancelled_behind_the_commit(desk.store, visits.ring(visit, 5))
    await visits.count(visit, entry_id="a", group="8a", role=Role.PUPIL, count=25)
    assert visits.bell_in_s() is not None
    await cancelled_behind_the_commit(desk.store, visits.close(visit))
    with pytest.raises(NoOpenVisit):
        await visits.close(visit)

    def correct() -> Coroutine[None, None, VisitRecord]:
        return visits.correct(visit, entry_id="c", group="8a", role=Role.PUPIL, count=-1, reason="miscounted")

    await cancelled_behind_the_commit(desk.store, correct())
    assert (await correct()).people[Role.PUPIL] == 24
    assert desk.store.types().count("visit.headcount") == 2


async def test_a_change_that_fails_behind_the_back_of_its_caller_frees_the_way(desk: Desk) -> None:
    visit = (await desk.open()).visit_id
    desk.store.gate = asyncio.Event()
    desk.store.failing = "the disk is full"
    asked = asyncio.create_task(desk.visits.count(visit, entry_id="a", group="8a", role=Role.PUPIL, count=25))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    desk.store.gate.set()
    with pytest.raises(StoreUnavailable):
        await desk.visits.count(visit, entry_id="a", group="8a", role=Role.PUPIL, count=25)
    desk.store.failing = ""
    await desk.visits.count(visit, entry_id="a", group="8a", role=Role.PUPIL, count=25)
    assert desk.visits.totals().total == 25
