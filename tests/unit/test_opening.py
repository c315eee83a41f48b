# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist after a drive: what is seen, what is told, what survives a restart, and what it keeps from starting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge.domain.errors import MotionRefused, NotFound, Refused
from edge.domain.hand import Displacement
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Availability, Capability, Execution, MachineInfo
from edge.domain.ports import ProgramText
from edge.safety.permissives import Command
from edge.services.hand import MachineHand
from edge.services.hand_settings import HandSettings
from edge.services.opening import By, Item, Line, Opening
from edge.services.supervisor import MachineSupervisor
from tests.support.hand import FakeHandDriver
from tests.unit.test_hand import Bench

RULES = (
    InputRule("door", "Door", "controller", 5 * 10**9, "Close the door."),
    InputRule("stop-circuit", "Stop circuit", "controller", 5 * 10**9, "Release it."),
)
INPUTS = {"router": {Item.DOOR: ["door"], Item.STOP_CIRCUIT: ["stop-circuit"]}}


class Van(Bench):
    """A bench with a checklist."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs: set[str] = set()
        self.boot()

    def boot(self) -> None:
        """Begin as after a restart: only the store is kept."""
        self.driver = FakeHandDriver(self.clock)
        self.supervisor = MachineSupervisor(
            self.driver, RULES, clock=self.clock, bus=self.bus, recorder=self.recorder, guardian=self.guardian
        )
        self.hand = MachineHand(self.supervisor, HandSettings())
        self.opening = self.checklist(INPUTS)

    def checklist(self, inputs: dict[str, dict[Item, list[str]]]) -> Opening:
        return Opening(
            {"router": self.supervisor},
            inputs,
            store=self.store,
            recorder=self.recorder,
            bus=self.bus,
            working=self.jobs.__contains__,
        )

    def input(self, name: str, healthy: bool | None) -> None:
        self.supervisor.on_input(InputSample(name, healthy, self.clock.boot_ns(), "controller"))

    async def permit(self) -> None:
        self.driver.ready()
        self.input("door", True)
        self.input("stop-circuit", True)
        await self.supervisor.reset()

    def line(self, item: Item) -> Line:
        return next(line for line in self.opening.lines()["router"] if line.item is item)

    async def until(self, item: Item, *, done: bool = True, text: str = "") -> None:
        async with asyncio.timeout(5):
            while self.line(item).done is not done or text not in self.line(item).text:
                await asyncio.sleep(0.001)

    async def press(self, name: str, item: Item) -> None:
        self.input(name, False)
        await self.until(item, done=False, text="seen")
        self.input(name, True)
        await self.until(item)

    def facts(self) -> list[tuple[object, object]]:
        found = [event.body for event in self.store.events if event.type.value == "opening.item"]
        return [(body["item"], body["by"]) for body in found]

    def against(self, command: Command) -> list[str]:
        return [refusal.permissive for refusal in self.supervisor.view().refusals[command]]


@pytest.fixture
async def van(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Van]:
    monkeypatch.setattr("edge.services.opening.TICK_S", 0.0)
    van = Van()
    await van.permit()
    watching = asyncio.create_task(van.opening.run())
    await asyncio.sleep(0)
    yield van
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_lab_that_was_not_moved_needs_no_checklist(van: Van) -> None:
    assert not van.opening.needed
    assert all(line.done for line in van.opening.lines()["router"])
    assert van.against(Command.START) == []


async def test_the_whole_walk(van: Van) -> None:
    await van.opening.relocate()
    assert van.opening.needed
    assert not van.supervisor.state.homed
    assert van.against(Command.START) == ["opening", "homed"]
    assert [line.by for line in van.opening.lines()["router"]] == [By.INPUT, By.INPUT, By.INPUT, By.PERSON]
    await van.press("stop-circuit", Item.STOP_CIRCUIT)
    await van.press("door", Item.DOOR)
    await van.supervisor.reset()
    await van.supervisor.home()
    await van.until(Item.HOME)
    assert van.against(Command.START) == ["opening"]
    await van.opening.confirm("router", "clamps")
    assert not van.opening.needed
    assert van.against(Command.START) == []
    assert van.store.state == {}
    assert van.facts() == [
        ("packed", "person"),
        ("stop_circuit", "input"),
        ("door", "input"),
        ("home", "input"),
        ("clamps", "person"),
    ]


async def test_programs_wait_for_the_checklist_and_the_hand_does_not(van: Van) -> None:
    await van.opening.relocate()
    with pytest.raises(MotionRefused, match="packed for the road"):
        await van.supervisor.run_program(ProgramText("p", ("G0X1",), (1,)))
    await van.hand.jog(Displacement(z=1), 500)
    assert van.against(Command.HOME) == []
    assert "opening" in van.against(Command.RESUME)


async def test_a_switch_that_was_never_seen_open_shows_nothing(van: Van) -> None:
    await van.opening.relocate()
    for healthy in (True, None, True):
        van.input("door", healthy)
        await asyncio.sleep(0.01)
    assert not van.line(Item.DOOR).done


async def test_having_been_homed_before_the_drive_does_not_count(van: Van) -> None:
    await van.supervisor.home()
    await van.opening.relocate()
    van.driver.show(homed=True)
    await asyncio.sleep(0.01)
    assert not van.line(Item.HOME).done
    assert not van.supervisor.state.homed


async def test_what_is_seen_is_not_told(van: Van) -> None:
    await van.opening.relocate()
    for item in ("door", "stop_circuit", "home"):
        with pytest.raises(Refused, match="seen, not told"):
            await van.opening.confirm("router", item)
    for machine, item in (("mill", "clamps"), ("router", "coffee")):
        with pytest.raises(NotFound):
            await van.opening.confirm(machine, item)


async def test_a_word_may_be_given_twice(van: Van) -> None:
    await van.opening.confirm("router", "clamps")
    await van.opening.relocate()
    await van.opening.confirm("router", "clamps")
    await van.opening.confirm("router", "clamps")
    assert van.facts() == [("packed", "person"), ("clamps", "person")]


async def test_what_no_input_shows_is_told(van: Van) -> None:
    van.opening = van.checklist({"router": {}})
    van.driver._info = MachineInfo("router", "R", "router", "fake", capabilities=frozenset({Capability.RUN_PROGRAM}))
    await van.opening.relocate()
    for item in Item:
        assert van.line(item).by is By.PERSON
        await van.opening.confirm("router", item.value)
    assert not van.opening.needed
    assert van.supervisor.state.homed


async def test_of_a_machine_that_is_away_nobody_says_that_it_cannot_home(van: Van) -> None:
    van.driver._info = MachineInfo("router", "R", "router", "fake", capabilities=frozenset({Capability.RUN_PROGRAM}))
    await van.opening.relocate()
    van.driver.show(availability=Availability.UNAVAILABLE)
    assert van.line(Item.HOME).by is By.INPUT


@pytest.mark.parametrize("execution", [Execution.ACTIVE, Execution.FEED_HOLD, Execution.INTERRUPTED])
async def test_a_machine_at_work_is_not_packed(van: Van, execution: Execution) -> None:
    van.driver.show(execution=execution)
    with pytest.raises(Refused, match="at work"):
        await van.opening.relocate()
    assert not van.opening.needed


async def test_a_machine_with_a_job_that_waits_is_not_packed(van: Van) -> None:
    van.jobs.add("router")
    with pytest.raises(Refused, match="at work"):
        await van.opening.relocate()
    van.jobs.clear()
    await van.opening.relocate()


async def test_a_restart_on_the_road_changes_nothing(van: Van) -> None:
    await van.opening.relocate()
    await van.opening.confirm("router", "clamps")
    van.boot()
    await van.opening.load()
    await van.permit()
    assert van.opening.needed
    assert van.line(Item.CLAMPS).done
    assert not van.supervisor.state.homed
    assert van.against(Command.START) == ["opening", "homed"]


async def test_packing_again_begins_the_walk_again(van: Van) -> None:
    await van.opening.relocate()
    await van.opening.confirm("router", "clamps")
    van.input("door", False)
    await van.until(Item.DOOR, done=False, text="seen")
    await van.opening.relocate()
    assert not any(line.done for line in van.opening.lines()["router"])
    van.input("door", True)
    await asyncio.sleep(0.01)
    assert not van.line(Item.DOOR).done


async def test_a_full_disk_delays_an_item_and_loses_none(van: Van, monkeypatch: pytest.MonkeyPatch) -> None:
    await van.opening.relocate()
    van.store.failing = "no space"
    van.input("door", False)
    await van.until(Item.DOOR, done=False, text="seen")
    van.input("door", True)
    await asyncio.sleep(0.01)
    assert not van.line(Item.DOOR).done
    van.store.failing = ""
    await van.until(Item.DOOR)
