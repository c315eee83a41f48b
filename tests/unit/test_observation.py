# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts and gaps: differences of the machine's own counter, over lost links, restarts and a disk that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.domain.machine import Availability, Execution, MachineState
from edge.services.bus import EventBus, Message, Notice
from edge.services.observation import Observation
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from edge.services.watching import Watch, look
from tests.support.fakes import FakeClock, FakeReceiver, MemoryStore
from wire.events import BODIES

# A busy computer is slow, not wrong.
patient = settings(deadline=None, max_examples=150)


@dataclass
class Run:
    """One life of the service."""

    clock: FakeClock
    store: MemoryStore
    driver: FakeReceiver
    observation: Observation
    heard: list[Message] = field(default_factory=list)

    def show(self, total: int | None, program: str | None = "SHAFT.MPF", source_ns: int | None = None) -> None:
        self.driver.show(
            availability=Availability.AVAILABLE,
            execution=Execution.ACTIVE,
            part_count=total,
            program=program,
            source_ns=source_ns,
        )

    def lose(self, reason: str = "the server fell silent") -> None:
        self.driver._state = MachineState(fault_reason=reason)
        self.driver.show()

    async def settle(self) -> None:
        await self.observation.settle()

    def facts(self, kind: str) -> list[dict[str, object]]:
        for event in self.store.events:
            if event.type.value in BODIES:
                BODIES[event.type.value].model_validate(dict(event.body))
        return [dict(event.body) for event in self.store.events if event.type.value == kind]

    @property
    def notices(self) -> list[str]:
        return [message.code for message in self.heard if isinstance(message, Notice)]


@asynccontextmanager
async def service(clock: FakeClock, store: MemoryStore) -> AsyncIterator[Run]:
    bus, driver = EventBus(), FakeReceiver(clock)
    recorder = Recorder(store, clock, lambda: None)
    supervisor = MachineSupervisor(driver, [], clock=clock, bus=bus, recorder=recorder, guardian=None)
    observation = Observation({"lathe": supervisor}, store=store, recorder=recorder, bus=bus, clock=clock)
    await observation.load()
    run = Run(clock, store, driver, observation)
    bus.subscribe(run.heard.append)
    task = asyncio.create_task(observation.run())
    await asyncio.sleep(0)
    try:
        yield run
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    async with service(FakeClock(), MemoryStore()) as started:
        yield started


def made(run: Run) -> list[tuple[object, object, object]]:
    return [(body["count"], body["total"], body["after_gap"]) for body in run.facts("parts.made")]


async def test_the_first_total_is_where_counting_begins(run: Run) -> None:
    run.show(41)
    await run.settle()
    assert run.store.types() == []
    run.show(42)
    await run.settle()
    assert run.facts("parts.made") == [
        {
            "machine": "lathe",
            "count": 1,
            "total": 42,
            "program": "SHAFT.MPF",
            "after_gap": False,
            "doubtful": False,
        }
    ]


async def test_the_same_reading_counts_once_and_many_between_two_writes_are_one_fact(run: Run) -> None:
    run.show(5)
    for total in (6, 6, 6, 7, 9):
        run.show(total)
    await run.settle()
    run.show(9)
    await run.settle()
    assert made(run) == [(4, 9, False)]


async def test_parts_of_two_programs_are_two_facts(run: Run) -> None:
    run.show(5)
    run.show(6, "A.MPF")
    run.show(7, "B.MPF")
    run.show(8, None)
    await run.settle()
    assert [body["program"] for body in run.facts("parts.made")] == ["A.MPF", "B.MPF", None]


async def test_a_lost_link_is_one_gap_with_its_parts_and_one_fact_of_parts(run: Run) -> None:
    run.show(10)
    run.clock.pass_s(2)
    run.show(10)
    run.clock.pass_s(6)
    run.lose()
    run.lose("connection refused")
    run.clock.pass_s(4)
    run.show(13)
    run.show(14)
    await run.settle()
    assert run.facts("machine.gap") == [
        {
            "machine": "lathe",
            "began_boot_ns": 1_002_000_000_000,
            "seconds": 10.0,
            "reason": "the server fell silent",
            "parts": 3,
        }
    ]
    assert made(run) == [(3, 13, True), (1, 14, False)]
    gap = run.observation.last_gap("lathe")
    assert gap is not None
    assert (gap.seconds, gap.parts, gap.reason) == (10.0, 3, "the server fell silent")


async def test_a_machine_that_was_never_seen_has_no_gap(run: Run) -> None:
    run.lose("connection refused")
    run.show(5)
    await run.settle()
    assert run.store.types() == []
    assert run.observation.last_gap("lathe") is None


async def test_a_counter_that_is_read_later_than_the_link_still_counts_after_the_gap(run: Run) -> None:
    run.show(10)
    run.lose()
    run.show(None)
    run.show(12)
    await run.settle()
    assert [body["parts"] for body in run.facts("machine.gap")] == [None]
    assert made(run) == [(2, 12, True)]


async def test_a_counter_that_cannot_be_read_for_a_while_loses_nothing(run: Run) -> None:
    run.show(10)
    run.show(None)
    run.show(-1)
    run.show(2**60)
    run.show(12)
    await run.settle()
    assert made(run) == [(2, 12, False)]


async def test_another_counter_is_a_new_begin_also_over_a_restart() -> None:
    """5000 of one counter, then 200 of another while the first is away, then 5003 of the first."""
    clock, store = FakeClock(), MemoryStore()

    def counts(run: Run, counter: str) -> None:
        run.driver._info = replace(run.driver.info(), part_counter=counter)

    async with service(clock, store) as run:
        counts(run, "Lifetime")
        run.show(5000)
        run.lose()
        counts(run, "Statistics")
        run.show(200)
        run.show(201)
        await run.settle()
        assert made(run) == [(1, 201, False)]
        assert run.notices == []
    async with service(clock, store) as run:
        counts(run, "Lifetime")
        run.show(None)
        run.show(5003)
        run.show(5005)
        await run.settle()
        assert made(run) == [(1, 201, False), (2, 5005, False)]
        run.lose()
        run.show(5006)
        await run.settle()
        assert made(run)[-1] == (1, 5006, True)


async def test_a_counter_that_went_back_is_counted_on_from_there_and_noted(run: Run) -> None:
    run.show(500)
    run.show(3)
    await run.settle()
    assert run.notices == []
    run.clock.pass_s(10)
    run.show(3)
    run.show(4)
    await run.settle()
    assert made(run) == [(1, 4, False)]
    assert run.notices == ["counter-back"]
    run.show(600)
    await run.settle()
    # The former total has no say any more where the counter has counted on.
    assert made(run)[1:] == [(596, 600, False)]


@pytest.mark.parametrize("wrong", [[0], [90], [0, 0, 0], [89, 90], [0, None, 0], [0, 5, 0]])
async def test_a_counter_that_shows_less_for_a_moment_counts_nothing_twice(run: Run, wrong: list[int | None]) -> None:
    for total in (90, 91, *wrong, 91, 92):
        run.show(total)
        run.clock.pass_s(1)
    await run.settle()
    assert sum(int(str(count)) for count, _, _ in made(run)) == 2
    assert run.notices == []


async def test_a_fall_that_a_gap_lies_in_has_not_stood(run: Run) -> None:
    run.show(91)
    run.show(0)
    run.lose()
    run.clock.pass_s(3600)
    run.show(None)
    run.show(0)
    run.clock.pass_s(3600)
    run.show(None)
    run.show(0)
    run.clock.pass_s(3)
    run.show(93)
    await run.settle()
    assert made(run) == [(2, 93, True)]
    assert run.notices == []


async def test_a_counter_that_comes_back_at_once_to_more_than_it_could_have_made_goes_on_from_there(run: Run) -> None:
    run.show(5000)
    run.show(0)
    run.clock.pass_s(60)
    run.show(0)
    assert run.notices == ["counter-back"]
    run.show(5003)
    run.show(5004)
    await run.settle()
    assert sum(int(str(count)) for count, _, _ in made(run)) == 4
    assert "counter-jump" not in run.notices


@pytest.mark.parametrize("end", [2**16, 2**32])
async def test_a_counter_that_begins_anew_at_the_end_of_its_width_goes_on(run: Run, end: int) -> None:
    run.show(end - 2)
    for total in (end - 1, 0, 1, 2):
        run.show(total)
        run.clock.pass_s(4)
    run.show(3)
    run.show(4)
    await run.settle()
    assert sum(int(str(count)) for count, _, _ in made(run)) == 6
    assert run.notices == []


async def test_a_reset_far_from_the_end_of_a_counters_width_is_a_reset_also_after_a_night(run: Run) -> None:
    run.show(2**16 - 1200)
    run.lose()
    run.clock.boot, run.clock.now = "boot-2", 5_000_000_000
    run.show(0)
    run.clock.pass_s(10)
    run.show(0)
    await run.settle()
    assert made(run) == []
    assert run.notices == ["counter-back"]


async def test_a_counter_that_went_back_behind_a_gap_tells_no_parts(run: Run) -> None:
    run.show(500)
    run.lose()
    run.show(3)
    await run.settle()
    assert [body["parts"] for body in run.facts("machine.gap")] == [None]
    assert made(run) == []


async def test_an_absurd_jump_is_taken_and_noted(run: Run) -> None:
    run.show(1)
    run.show(101)
    run.show(10_000)
    await run.settle()
    assert [(body["count"], body["doubtful"]) for body in run.facts("parts.made")] == [(100, False), (9_899, True)]
    assert run.notices == ["counter-jump"]


async def test_after_an_hour_an_hours_parts_are_not_absurd(run: Run) -> None:
    run.show(1)
    run.lose()
    run.clock.pass_s(3600)
    run.show(3000)
    await run.settle()
    assert [body["doubtful"] for body in run.facts("parts.made")] == [False]


@pytest.mark.parametrize("same_boot", [True, False])
async def test_the_time_when_the_service_was_off_is_a_gap(same_boot: bool) -> None:
    clock, store = FakeClock(), MemoryStore()
    async with service(clock, store) as first:
        first.show(10)
        await first.settle()
    clock.pass_s(60)
    if not same_boot:
        clock.boot, clock.now = "boot-2", 5_000_000_000
    async with service(clock, store) as second:
        second.show(12)
        await second.settle()
        assert second.facts("machine.gap") == [
            {
                "machine": "lathe",
                "began_boot_ns": 1_000_000_000_000 if same_boot else None,
                "seconds": 60.0 if same_boot else None,
                "reason": "the service was not running",
                "parts": 2,
            }
        ]
        assert made(second) == [(2, 12, True)]
    async with service(clock, store) as third:
        gap = third.observation.last_gap("lathe")
        assert gap is not None
        assert (gap.parts, gap.reason) == (2, "the service was not running")


async def test_a_gap_that_began_before_the_restart_keeps_its_begin_and_reason() -> None:
    clock, store = FakeClock(), MemoryStore()
    async with service(clock, store) as first:
        first.show(10)
        clock.pass_s(1)
        first.lose("connection refused")
        clock.pass_s(1)
        await first.settle()
    async with service(clock, store) as second:
        second.show(10)
        await second.settle()
        bodies = second.facts("machine.gap")
    assert [(body["seconds"], body["reason"], body["parts"]) for body in bodies] == [(2.0, "connection refused", 0)]


async def test_when_a_machine_was_last_seen_is_on_the_disk_every_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.observation.SEEN_EVERY_S", 0.01)
    monkeypatch.setattr("edge.services.observation.PACE_S", 0.0)
    clock, store = FakeClock(), MemoryStore()
    async with service(clock, store) as run:
        run.show(10)
        clock.pass_s(100)
        run.show(10)
        async with asyncio.timeout(10):
            while str(clock.now) not in store.state.get("watch:lathe", ""):
                await asyncio.sleep(0.001)
    assert store.types() == []


async def test_while_the_disk_refuses_nothing_is_lost_or_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.observation.RETRY_S", 0.0)
    monkeypatch.setattr("edge.services.observation.PACE_S", 0.0)
    async with service(FakeClock(), MemoryStore()) as run:
        run.show(1)
        run.store.failing = "no room"
        run.show(2)
        await asyncio.sleep(0.01)
        run.show(5)
        await run.settle()
        assert run.store.types() == []
        run.store.failing = ""
        async with asyncio.timeout(10):
            while sum(int(str(count)) for count, _, _ in made(run)) < 4:
                await asyncio.sleep(0.001)
        assert sum(int(str(count)) for count, _, _ in made(run)) == 4


async def test_the_machines_clock_is_compared_at_values_that_change(run: Run) -> None:
    year_ns = 31_536_000 * 1_000_000_000
    wall = run.clock.wall_ns()
    run.show(1, source_ns=wall - year_ns)
    assert run.observation.clock_off_s("lathe") is None
    run.show(1, source_ns=wall - year_ns)
    assert run.observation.clock_off_s("lathe") is None
    run.clock.pass_s(1)
    run.show(2, source_ns=run.clock.wall_ns() + 3600 * 1_000_000_000)
    assert run.observation.clock_off_s("lathe") == 3600.0
    run.lose()
    assert run.observation.clock_off_s("lathe") is None


@pytest.mark.parametrize("program", ["\ud800", "x" * 1000])
async def test_whatever_a_machine_calls_its_program_can_be_written(run: Run, program: str) -> None:
    run.show(1)
    run.show(2, program)
    await run.settle()
    said = run.facts("parts.made")[0]["program"]
    assert isinstance(said, str)
    assert 0 < len(said.encode()) <= 200


def test_a_watch_survives_the_disk() -> None:
    state = MachineState(availability=Availability.AVAILABLE, part_count=3, taken_ns=7)
    lost = look(look(Watch(), state, boot_id="b", wall_ns=1).watch, MachineState(), boot_id="b", wall_ns=2).watch
    back = look(lost, state, boot_id="b", wall_ns=3).watch
    assert Watch.parse(lost.dump()) == lost
    assert Watch.parse(back.dump()).gap == back.gap


OPS = st.one_of(
    st.tuples(st.just("makes"), st.integers(1, 3)),
    st.tuples(st.just("shows what is wrong for a moment"), st.integers(0, 3)),
    st.tuples(st.just("is read"), st.just(0)),
    st.tuples(st.just("is read twice"), st.just(0)),
    st.tuples(st.just("is lost"), st.just(0)),
    st.tuples(st.just("counter is reset"), st.integers(0, 3)),
    st.tuples(st.just("service ends"), st.just(0)),
    st.tuples(st.just("power is cut"), st.just(0)),
    st.tuples(st.just("computer restarts"), st.just(0)),
    st.tuples(st.just("disk refuses"), st.just(0)),
    st.tuples(st.just("disk takes"), st.just(0)),
    st.tuples(st.just("writes"), st.just(0)),
)


class Story:
    """A machine with the truth, and the lives of the service that watches it."""

    def __init__(self, total: int, width: int) -> None:
        self.clock, self.store = FakeClock(), MemoryStore()
        self.total, self.width = total, width
        self.made = 0
        self.reset_ever = self.cut_ever = False
        self.first: int | None = None
        self.older: list[int] = []
        self.wrong_s: float | None = None

    def show(self, run: Run) -> None:
        run.show(self.total)
        self.older.append(self.total)
        self.wrong_s = None

    def show_wrong(self, run: Run, which: int) -> None:
        """Show 0 or one of the last values before this one, as long as that is a moment; else the truth."""
        now_s = self.clock.now / 1e9
        since_s = now_s if self.wrong_s is None else self.wrong_s
        older = [0, *(value for value in self.older[-3:] if value <= self.total)]
        if run.observation._watches["lathe"].total is None or now_s - since_s > 8 or which >= len(older):
            self.show(run)
            return
        self.wrong_s = since_s
        run.show(older[which])

    async def play(self, ops: list[tuple[str, int]]) -> None:
        end = [("disk takes", 0), ("is read", 0), ("time passes", 0), ("is read", 0), ("writes", 0)]
        left = [*ops, *end]
        while left:
            async with service(self.clock, self.store) as run:
                while left:
                    what, number = left.pop(0)
                    if await self.happens(run, what, number):
                        break

    async def happens(self, run: Run, what: str, number: int) -> bool:
        """Let one thing happen; return whether the service's life ends with it."""
        self.clock.pass_s(1)
        match what:
            case "makes":
                self.total = (self.total + number) % self.width
                self.made += number
            case "is read" | "is read twice":
                for _ in range(1 if what == "is read" else 2):
                    self.show(run)
                if self.first is None:
                    self.first = self.made
            case "shows what is wrong for a moment" if self.first is not None:
                self.show_wrong(run, number)
            case "time passes":
                self.clock.pass_s(10)
            case "is lost":
                run.lose()
            case "counter is reset" if number < self.total < 1000:
                self.total, self.reset_ever, self.older = number, True, []
            case "disk refuses":
                self.store.failing = "no room"
            case "disk takes":
                self.store.failing = ""
            case "writes":
                await run.settle()
            case "service ends":
                await run.settle()
                return True
            case "power is cut":
                self.cut_ever = True
                return True
            case "computer restarts":
                self.clock.boot, self.clock.now = f"{self.clock.boot}+", 1_000_000_000
                self.cut_ever = True
                return True
        return False


@patient
@given(st.lists(OPS, max_size=30), st.sampled_from([(0, 2**32), (50, 2**32), (2**16 - 20, 2**16), (2**32 - 3, 2**32)]))
def test_whatever_happens_no_part_counts_twice_and_without_resets_none_is_lost(
    ops: list[tuple[str, int]], counter: tuple[int, int]
) -> None:
    story = Story(*counter)
    asyncio.run(story.play(ops))
    facts = [dict(event.body) for event in story.store.events]
    for event in story.store.events:
        BODIES[event.type.value].model_validate(dict(event.body))
    counts = [int(str(body["count"])) for body in facts if "count" in body]
    assert story.first is not None
    # What was read before the first total was on the disk is where counting begins again after a power cut.
    assert sum(counts) <= story.made - story.first
    kept = Watch.parse(story.store.state["watch:lathe"])
    # One that has come to the end of its width goes on with the first part after it.
    assert kept.total == story.total or (story.total == 0 and kept.total in range(story.width - 3, story.width))
    if not story.reset_ever:
        totals = [int(str(body["total"])) for body in facts if "count" in body]
        begins = [(total - count) % story.width for total, count in zip(totals, counts, strict=True)]
        assert begins[1:] == totals[:-1]
        assert not totals or totals[-1] == kept.total
        if not story.cut_ever:
            assert sum(counts) == story.made - story.first - (story.total - (kept.total or 0)) % story.width
    ends = [body for body in facts if "seconds" in body]
    for body in ends:
        assert body["parts"] is None or int(str(body["parts"])) >= 0
