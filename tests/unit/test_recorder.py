# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder: what waits, what may be dropped, and what a full disk does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from edge.domain.events import Event, EventType, StoredEvent
from edge.services import recorder as module
from edge.services.bus import EventBus, JobsChanged, LiveView, MachineChanged, Notice
from edge.services.recorder import Recorder
from tests.support.fakes import FakeClock, MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def recorder(store: MemoryStore) -> AsyncIterator[Recorder]:
    writer = Recorder(store, FakeClock(), lambda: None)
    task = asyncio.create_task(writer.run())
    yield writer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_facts_are_written_in_order(store: MemoryStore, recorder: Recorder) -> None:
    for number in range(1200):
        recorder.note(EventType.INTERLOCK_RESET, {"machine": str(number)})
    assert await recorder.drain(5)
    assert [event.body["machine"] for event in store.events] == [str(number) for number in range(1200)]


async def test_under_pressure_metrics_go_and_changes_of_state_stay(
    store: MemoryStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "METRICS_WAITING", 10)
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    store.failing = "the disk is full"
    for number in range(50):
        recorder.note(EventType.MACHINE_STATE, {"machine": str(number)})
        recorder.note(EventType.INTERLOCK_TRIPPED, {"machine": str(number)})
    assert not await recorder.drain(0.01)
    store.failing = ""
    assert await recorder.drain(5)
    assert store.types().count("interlock.tripped") == 50
    assert store.types().count("machine.state") == 10
    assert recorder.dropped_metrics == 40


async def test_a_fact_that_cannot_be_written_keeps_no_other_from_the_disk(
    store: MemoryStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.append

    async def strict(events: Sequence[Event], saves: Mapping[str, str | None] | None = None) -> list[StoredEvent]:
        if any(event.body["machine"] == "3" for event in events):
            raise ValueError("not a number")
        return await write(events, saves)

    monkeypatch.setattr(store, "append", strict)
    for number in range(6):
        recorder.note(EventType.INTERLOCK_RESET, {"machine": str(number)})
    assert await recorder.drain(5)
    assert [event.body["machine"] for event in store.events] == ["0", "1", "2", "4", "5"]
    assert recorder.dropped_unfit == 1


async def test_a_slow_view_loses_the_oldest_and_knows_it() -> None:
    bus = EventBus()
    view = LiveView(bus, size=3)
    bus.publish(MachineChanged("a"))
    bus.publish(MachineChanged("a"))
    bus.publish(JobsChanged())
    bus.publish(Notice("info", "x"))
    bus.publish(Notice("info", "y"))
    assert await view.take(0.1) == [JobsChanged(), Notice("info", "x"), Notice("info", "y")]
    assert view.dropped == 1
    assert await view.take(0.0) == []
    view.close()
    bus.publish(JobsChanged())
    assert await view.take(0.0) == []
