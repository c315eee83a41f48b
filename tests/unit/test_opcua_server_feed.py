# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service tells its OPC UA server, and how it keeps that process, with small programs in its place."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.domain.inputs import InputRule, InputSample
from edge.domain.job import Job, JobState
from edge.domain.machine import Alarm, EmergencyStop, Execution, Fault, Overrides
from edge.opcua_server import child, feed
from edge.opcua_server.facts import MachineFacts, Plan, machine_of
from edge.opcua_server.feed import STALE_NS, STARTING, OpcUaServerFeed
from edge.opcua_server.values import ITEM_STATE, LAMPS, Quality, State, values_of
from edge.safety.interlock import LatchState
from edge.services.bus import EventBus, JobsChanged, MachineChanged
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor
from tests.support.fakes import FakeClock, FakeDriver, FakeGuardian, MemoryStore
from tests.support.grbl import eventually

PLAN = Plan("demo", "Demo", "1", "127.0.0.1", 4840, "/nowhere")
RULE = InputRule("door", "Door", "controller", 500_000_000, "Close the door.")

KEEPS = """
import sys
print('{"listening":true,"clients":3,"error":""}', flush=True)
out = open(sys.argv[1], "ab", buffering=0)
for line in sys.stdin.buffer:
    out.write(line)
"""
DEAF = """
import time
print('{"listening":true,"clients":0,"error":""}', flush=True)
time.sleep(60)
"""
FAILS = """
import sys
sys.stdin.readline()
open(sys.argv[1], "ab").write(b"x")
print('{"listening":false,"clients":0,"error":"The port is taken."}', flush=True)
sys.exit(1)
"""
DIES = "import sys; sys.exit(7)"


class Bench:
    """A feed over one machine with a driver whose wire is a list."""

    def __init__(self) -> None:
        self.clock, self.bus = FakeClock(), EventBus()
        self.driver = FakeDriver(self.clock)
        recorder = Recorder(MemoryStore(), self.clock, lambda: None)
        self.machine = MachineSupervisor(
            self.driver, [RULE], clock=self.clock, bus=self.bus, recorder=recorder, guardian=FakeGuardian()
        )
        self.jobs: list[Job] = []
        book: Any = SimpleNamespace(
            jobs=lambda: self.jobs,
            running_on=lambda _: next((job for job in self.jobs if job.state is JobState.RUNNING), None),
        )
        self.id = self.machine.machine_id
        self.feed = OpcUaServerFeed(PLAN, {self.id: self.machine}, book, self.bus, self.clock)

    def facts(self) -> MachineFacts:
        return self.feed.facts(self.id)

    def door(self, healthy: bool) -> None:
        self.machine.on_input(InputSample("door", healthy, self.clock.boot_ns(), "controller"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Put a program in the place of the server's; return the file that it writes."""
    monkeypatch.setattr(feed, "RETRY_S", (0.05, 0.1))

    def put(program: str) -> Path:
        kept = tmp_path / "kept"
        monkeypatch.setattr(child, "COMMAND", (sys.executable, "-I", "-S", "-c", program, str(kept)))
        return kept

    return put


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def lines(kept: Path) -> list[bytes]:
    return kept.read_bytes().splitlines() if kept.exists() else []


def told(kept: Path) -> list[MachineFacts]:
    return [machine_of(line) for line in lines(kept)[1:]]


async def test_facts_are_those_of_every_other_view(bench: Bench) -> None:
    bench.driver.ready()
    bench.door(True)
    overrides = Overrides(110, 50, 90)
    bench.driver.show(execution=Execution.ACTIVE, overrides=overrides, part_count=4)
    bench.jobs = [
        Job("b", 8, bench.id, "bolt", "operator", JobState.APPROVED, order=2),
        Job("a", 7, bench.id, "gear", "kiosk", JobState.RUNNING, order=1),
        Job("c", 9, bench.id, "gear", "kiosk", JobState.FINISHED, order=0),
        Job("d", 10, "another", "gear", "kiosk", JobState.APPROVED),
    ]
    facts = bench.facts()
    assert (facts.available, facts.execution, facts.feed_override, facts.rapid_override) == (True, "ACTIVE", 110, 50)
    assert (facts.spindle_override, facts.part_count) == (90, 4)
    assert facts.job is not None
    assert (facts.job.claim, facts.job.program) == (7, "gear")
    assert [job.claim for job in facts.queue] == [7, 8]
    assert facts.taken_ns == bench.clock.wall_ns()


async def test_what_is_old_is_not_heard(bench: Bench) -> None:
    bench.driver.ready()
    assert bench.facts().available
    read_at = bench.clock.wall_ns()
    bench.clock.pass_s(STALE_NS / 1e9 + 0.1)
    assert not bench.facts().available
    assert bench.facts().taken_ns == read_at


async def test_what_needs_a_person_is_told_as_alarms(bench: Bench) -> None:
    bench.driver.ready()
    bench.door(True)
    await bench.machine.reset()
    assert not bench.facts().blocked
    bench.door(False)
    assert [alarm.code for alarm in bench.facts().alarms] == ["interlock"]
    assert "Door" in bench.facts().alarms[0].text
    locked = Alarm("9", "Locked", position_kept=True)
    bench.driver.show(alarms=(locked,), emergency_stop=EmergencyStop.TRIGGERED)
    bench.machine.guardian_acted()
    facts = bench.facts()
    assert [alarm.code for alarm in facts.alarms] == ["9", "fault", "interlock", "stop-circuit"]
    assert facts.blocked


# OPC 40001-1, 12.2 and OPC 40501-1: for an execution, and whether anything is wrong, the state of the machine and the
# lamps red, yellow, green. None: bad quality, because nobody knows.
SHOWN: dict[tuple[Execution, bool], tuple[str | None, tuple[bool | None, bool | None, bool | None]]] = {
    (Execution.ACTIVE, False): ("Executing", (False, False, True)),
    (Execution.ACTIVE, True): ("Executing", (True, False, True)),
    (Execution.READY, False): ("NotExecuting", (False, True, False)),
    (Execution.READY, True): ("OutOfService", (True, False, False)),
    (Execution.PROGRAM_COMPLETED, False): ("NotExecuting", (False, True, False)),
    (Execution.PROGRAM_COMPLETED, True): ("OutOfService", (True, False, False)),
    (Execution.STOPPED, False): ("NotExecuting", (False, True, False)),
    (Execution.STOPPED, True): ("OutOfService", (True, False, False)),
    (Execution.INTERRUPTED, False): ("NotExecuting", (False, True, False)),
    (Execution.INTERRUPTED, True): ("OutOfService", (True, False, False)),
    (Execution.FEED_HOLD, False): ("NotExecuting", (False, True, False)),
    (Execution.FEED_HOLD, True): ("OutOfService", (True, False, False)),
    (Execution.UNAVAILABLE, False): (None, (None, None, None)),
    (Execution.UNAVAILABLE, True): (None, (True, None, None)),
}
LOCKED = Alarm("9", "Locked", position_kept=True)
WRONG: dict[str, dict[str, object]] = {
    "nothing": {},
    "an alarm": {"alarms": (LOCKED,)},
    "a fault": {"fault": Fault.FAULT, "fault_reason": "The position is lost."},
    "the stop circuit": {"emergency_stop": EmergencyStop.TRIGGERED},
    "all of it": {
        "alarms": (LOCKED,),
        "fault": Fault.FAULT,
        "fault_reason": "The position is lost.",
        "emergency_stop": EmergencyStop.TRIGGERED,
    },
}


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("latch", LatchState)
@pytest.mark.parametrize("wrong", WRONG)
async def test_state_and_lamps_say_what_is_true(
    bench: Bench, execution: Execution, latch: LatchState, wrong: str
) -> None:
    bench.driver.ready()
    if latch is not LatchState.UNKNOWN:
        bench.door(True)
        await bench.machine.reset()
        bench.door(latch is LatchState.PERMITTED)
    bench.driver.show(execution=execution, **WRONG[wrong])
    assert bench.machine.interlock.state is latch
    values = values_of(bench.facts())
    state, lamps = SHOWN[execution, latch is LatchState.TRIPPED or wrong != "nothing"]
    assert values[ITEM_STATE] == (Quality.UNKNOWN if state is None else State(state))
    for lamp, lit in zip(LAMPS, lamps, strict=True):
        assert values[f"Monitoring/Stacklight/{lamp}/SignalOn"] is (Quality.UNKNOWN if lit is None else lit), lamp


async def test_of_a_machine_that_is_not_heard_nothing_is_lit_or_dark(bench: Bench) -> None:
    bench.driver.show(execution=Execution.ACTIVE, alarms=(LOCKED,))
    values = values_of(bench.facts())
    assert {values[f"Monitoring/Stacklight/{lamp}/SignalOn"] for lamp in LAMPS} == {Quality.UNHEARD}
    assert values[ITEM_STATE] is Quality.UNHEARD


async def test_the_process_is_told_the_plan_then_the_machines_then_changes(
    bench: Bench, runs: Callable[[str], Path]
) -> None:
    kept = runs(KEEPS)
    bench.driver.ready()
    assert bench.feed.status().error == STARTING
    async with running(bench):
        await eventually(lambda: len(lines(kept)) >= 2, "plan and machine")
        assert json.loads(lines(kept)[0])["lab_id"] == "demo"
        assert told(kept)[0].execution == "READY"
        bench.driver.show(execution=Execution.ACTIVE)
        bench.bus.publish(MachineChanged(bench.id))
        await eventually(lambda: told(kept)[-1].execution == "ACTIVE", "the change")
        bench.jobs.append(Job("a", 7, bench.id, "gear", "kiosk", JobState.APPROVED))
        bench.bus.publish(JobsChanged())
        await eventually(lambda: told(kept)[-1].queue, "the queue")
        status = bench.feed.status()
        assert (status.listening, status.clients, status.error) == (True, 3, "")
        assert status.endpoint == "opc.tcp://127.0.0.1:4840/infomobil"
    assert bench.feed.pid is None


async def test_many_changes_are_one_line(bench: Bench, runs: Callable[[str], Path]) -> None:
    kept = runs(KEEPS)
    bench.driver.ready()
    async with running(bench):
        await eventually(lambda: len(lines(kept)) >= 2, "the process runs")
        for _ in range(1_000):
            bench.bus.publish(MachineChanged(bench.id))
        before = len(told(kept))
        await eventually(lambda: len(told(kept)) > before, "the newest state")
        assert len(told(kept)) - before <= 3


async def test_every_second_all_machines_are_told(
    bench: Bench, runs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BEAT_S", 0.1)
    kept = runs(KEEPS)
    async with running(bench):
        await eventually(lambda: len(told(kept)) >= 4, "nothing changed and it is told all the same")


async def test_a_process_that_does_not_read_holds_nothing_up(
    bench: Bench, runs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PERIOD_S", 0.001)
    monkeypatch.setattr(feed, "BEAT_S", 0.0)
    monkeypatch.setattr(child, "_FULL", 4_096)
    monkeypatch.setattr(child, "_END_S", 0.2)
    runs(DEAF)
    async with running(bench):
        await eventually(lambda: bench.feed.status().listening, "the process runs")
        life = bench.feed._child
        assert life is not None
        await eventually(lambda: not life.has_room, "the pipe is full")
        assert life._process.stdin is not None
        await asyncio.sleep(0.2)
        assert life._process.stdin.transport.get_write_buffer_size() < 8_192
        pid = bench.feed.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_process_that_is_killed_is_started_again(bench: Bench, runs: Callable[[str], Path]) -> None:
    kept = runs(KEEPS)
    async with running(bench):
        await eventually(lambda: bench.feed.status().listening, "the process runs")
        await eventually(lambda: len(told(kept)) >= 1, "it was told")
        first = bench.feed.pid
        assert first is not None
        os.kill(first, 9)
        await eventually(lambda: bench.feed.pid not in (first, None), "another process")
        await eventually(lambda: bench.feed.status().listening, "it listens")
        await eventually(lambda: sum(b'"lab_id"' in line for line in lines(kept)) == 2, "it was told the plan, too")


async def test_why_it_does_not_listen_is_kept_and_tried_again(bench: Bench, runs: Callable[[str], Path]) -> None:
    kept = runs(FAILS)
    async with running(bench):
        await eventually(lambda: kept.exists() and kept.stat().st_size >= 3, "three attempts")
        status = bench.feed.status()
        assert (status.listening, status.error) == (False, "The port is taken.")


async def test_a_process_that_says_nothing_is_reported_by_its_status(bench: Bench, runs: Callable[[str], Path]) -> None:
    runs(DIES)
    async with running(bench):
        await eventually(lambda: "status 7" in bench.feed.status().error, "its status")


async def test_a_defect_of_the_feed_is_told_and_it_goes_on(
    bench: Bench, runs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = runs(KEEPS)

    def broken() -> None:
        raise KeyError("broken")

    async with running(bench):
        with monkeypatch.context() as defect:
            defect.setattr(bench.machine, "facts", broken)
            bench.bus.publish(MachineChanged(bench.id))
            await eventually(lambda: "broken" in bench.feed.status().error, "the defect")
        await eventually(lambda: any(b"machine_id" in line[:20] for line in lines(kept)), "it feeds again")


async def test_a_program_that_is_missing_is_reported(
    bench: Bench, runs: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(DIES)
    monkeypatch.setattr(child, "COMMAND", ("/nowhere/python",))
    async with running(bench):
        await eventually(lambda: "/nowhere/python" in bench.feed.status().error, "its name")
