# SPDX-License-Identifier: GPL-3.0-or-later
"""A lathe's own job control over OPC UA: what begins, pauses, goes on and ends, and what nobody confirms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.machine import Availability, Capability, Execution, Fault, MachineState
from edge.drivers.opcua import isa95
from edge.drivers.opcua.programs import JOB_LIST
from tests.support.opcua import Lathe, Watched, watched
from tests.support.opcua_load import PROGRAM, STACKS, Told, until

Folders = pytest.TempPathFactory
pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTROLLED = {"write": True, "job_control": True}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=STACKS)
async def lathe_of_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lathe]:
    async with STACKS[request.param](tmp_path_factory.mktemp("lathe"), "--idle") as lathe:
        yield lathe


@pytest_asyncio.fixture(loop_scope="module")
async def lathe(lathe_of_all: Lathe) -> Lathe:
    await lathe_of_all.ctl("reset")
    return lathe_of_all


async def loaded(watch: Watched) -> None:
    """Wait until the program is on the lathe and stored as a job order."""
    await watch.until_available()
    assert await watch.driver.load(PROGRAM, Told()) is True


async def running(watch: Watched, lathe: Lathe) -> None:
    """Wait until the lathe runs the job order of the program, and the driver knows."""
    await loaded(watch)
    await watch.driver.start_loaded()
    await until_job(lathe, "Running")
    await watch.until(lambda state: state.execution is Execution.ACTIVE, "active")


async def until_job(lathe: Lathe, state: str) -> None:
    """Wait until the only job order is in a state."""
    await until(lathe, lambda facts: [one["state"] for one in facts["jobs"]] == [state], state)


def running_orders(watch: Watched) -> int:
    """Return how many orders run, as the driver knows it from the lathe's list."""
    states = isa95.job_states(watch.driver._view.known.get(JOB_LIST))
    return sum(one == isa95.RUNNING for one in states.values())


async def test_a_job_begins_pauses_goes_on_and_ends(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        assert watch.driver.info().capabilities == {
            Capability.LOAD_PROGRAM,
            Capability.JOB_CONTROL,
            Capability.HOLD,
            Capability.STOP,
        }
        watch.driver.hold()
        await until_job(lathe, "Interrupted")
        await watch.until(lambda state: state.execution is Execution.INTERRUPTED, "interrupted")
        await watch.driver.resume()
        await until_job(lathe, "Running")
        await watch.driver.stop()
        await until_job(lathe, "Ended")
        state = await watch.until(lambda state: state.execution is Execution.STOPPED, "stopped")
        assert state.fault is Fault.NONE
    assert (await lathe.ctl("state"))["channel"] == "RESET"


async def test_what_was_loaded_is_started_once(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await watch.until_available()
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()
        await running(watch, lathe)
        with pytest.raises(DriverRefused, match="no program was loaded since the last start"):
            await watch.driver.start_loaded()
    assert (await lathe.ctl("state"))["calls"]["Start"] == 1


async def test_nothing_starts_without_permission(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, write=True) as watch:
        await watch.until_available()
        assert await watch.driver.load(PROGRAM, Told()) is False
        with pytest.raises(DriverRefused, match="its job control is not configured"):
            await watch.driver.start_loaded()
        with pytest.raises(DriverRefused, match="its job control is not configured"):
            await watch.driver.resume()
        with pytest.raises(StopNotDelivered):
            watch.driver.hold()
        with pytest.raises(StopNotDelivered):
            await watch.driver.stop()
    facts = await lathe.ctl("state")
    assert not facts["calls"].keys() & {"Store", "StoreAndStart", "Start", "Stop", "Pause", "Resume"}


async def test_a_start_that_is_refused_is_not_asked_again(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await loaded(watch)
        await lathe.ctl("refuse Start 4")
        with pytest.raises(DriverRefused, match="did not take Start: the job order is not in a state for that"):
            await watch.driver.start_loaded()
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()
    assert (await lathe.ctl("state"))["calls"]["Start"] == 1


async def test_a_start_whose_answer_is_lost_is_not_asked_again(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await loaded(watch)
        await lathe.ctl("delay Start 300")
        start = asyncio.create_task(watch.driver.start_loaded())
        await until(lathe, lambda facts: facts["calls"].get("Start") == 1, "Start called")
        await lathe.ctl("cut")
        with pytest.raises(DriverUnavailable, match="whether it took the start is not known"):
            await start
        await watch.until_unavailable()
        await watch.until_available()
        await until_job(lathe, "Running")
        with pytest.raises(DriverRefused, match="no program was loaded"):
            await watch.driver.start_loaded()
        assert (await lathe.ctl("state"))["calls"]["Start"] == 1
        # On the new connection the order is known from the lathe's own list.
        await watch.until(lambda _: running_orders(watch) == 1, "the order in the list")
        watch.driver.hold()
        await until_job(lathe, "Interrupted")


async def test_what_was_stored_before_the_link_was_lost_is_not_started(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await loaded(watch)
        await lathe.ctl("cut")
        await watch.until_unavailable()
        await watch.until_available()
        with pytest.raises(DriverRefused, match="since the link is there"):
            await watch.driver.start_loaded()
        await until_job(lathe, "NotAllowedToStart")


async def test_a_hold_is_on_the_wire_before_it_returns(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        await lathe.ctl("delay Pause 200")
        watch.driver.hold()
        # Our loop stands until the lathe has told what it was asked for: nothing can be written after the return.
        time.sleep(0.1)  # noqa: ASYNC251
        lathe.ask("state")
        time.sleep(0.2)  # noqa: ASYNC251
        assert (await lathe.answer())["calls"]["Pause"] == 1
        await until_job(lathe, "Interrupted")
        assert watch.driver.state().fault is Fault.NONE


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refuse Pause 4", "did not take Pause: the job order is not in a state for that"),
        ("refuse Pause BadUserAccessDenied", "the machine does not permit it to this user"),
        ("delay Pause 2500", "no answer in time"),
        ("silence", "the hold is not confirmed"),
    ],
)
async def test_a_hold_that_nobody_confirms_is_a_fault_until_somebody_clears_it(
    lathe: Lathe, fault: str, words: str
) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        await lathe.ctl(fault)
        watch.driver.hold()
        state = await watch.until(lambda state: state.fault is Fault.FAULT, "a fault")
        assert words in state.fault_reason
        assert "use the machine's own panel" in state.fault_reason
        await lathe.ctl("talk")
        await watch.until_available()
        assert watch.driver.state().fault is Fault.FAULT
        watch.driver.clear_fault()
        assert watch.driver.state().fault is Fault.NONE


async def test_a_hold_of_a_job_that_has_not_begun_keeps_it_from_beginning(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await lathe.ctl("door open")
        await loaded(watch)
        await watch.driver.start_loaded()
        await until_job(lathe, "AllowedToStart")
        watch.driver.hold()
        await until_job(lathe, "NotAllowedToStart")
        await lathe.ctl("door closed")
        assert (await lathe.ctl("state"))["channel"] == "RESET"
        assert watch.driver.state().fault is Fault.NONE


async def test_a_stop_takes_back_a_job_that_has_not_begun(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await lathe.ctl("door open")
        await loaded(watch)
        await watch.driver.start_loaded()
        await until_job(lathe, "AllowedToStart")
        await watch.driver.stop()
        assert (await lathe.ctl("state"))["jobs"] == []


async def test_without_a_job_nothing_can_be_paused_or_stopped(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await loaded(watch)
        await lathe.ctl("start")
        with pytest.raises(StopNotDelivered, match="no job order is running"):
            watch.driver.hold()
        with pytest.raises(StopNotDelivered, match="no job order is running"):
            await watch.driver.stop()
        with pytest.raises(DriverRefused, match="no job order is interrupted"):
            await watch.driver.resume()


@pytest.mark.parametrize("fault", ["refuse Stop 4", "refuse Stop BadInternalError", "silence"])
async def test_a_stop_that_is_not_taken_is_said(lathe: Lathe, fault: str) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        await lathe.ctl("refuse Cancel 4")
        await lathe.ctl(fault)
        with pytest.raises(StopNotDelivered):
            await watch.driver.stop()
        await lathe.ctl("talk")


async def test_a_resume_that_is_refused_is_said(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        watch.driver.hold()
        await watch.until(lambda state: state.execution is Execution.INTERRUPTED, "interrupted")
        await lathe.ctl("door open")
        with pytest.raises(DriverRefused, match="did not take Resume"):
            await watch.driver.resume()
        await lathe.ctl("delay Resume 2500")
        with pytest.raises(DriverUnavailable, match="whether it took the resume is not known"):
            await watch.driver.resume()


async def test_nothing_reaches_a_lathe_without_a_link(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        await lathe.ctl("silence")
        await watch.until_unavailable()
        with pytest.raises(StopNotDelivered):
            watch.driver.hold()
        with pytest.raises(StopNotDelivered):
            await watch.driver.stop()
        with pytest.raises(DriverUnavailable):
            await watch.driver.resume()
        with pytest.raises(DriverUnavailable):
            await watch.driver.start_loaded()
        await lathe.ctl("talk")
    facts = await lathe.ctl("state")
    assert not facts["calls"].keys() & {"Pause", "Stop", "Resume"}


async def test_an_order_that_has_ended_or_left_the_list_is_not_held_any_more(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:

        def listed() -> list[int]:
            return list(isa95.job_states(watch.driver._view.known.get(JOB_LIST)).values())

        await running(watch, lathe)
        await lathe.ctl("stop")
        await watch.until(lambda _: listed() == [isa95.ABORTED], "aborted")
        with pytest.raises(StopNotDelivered, match="no job order is running"):
            watch.driver.hold()
        await lathe.ctl("reset")
        await watch.until(lambda _: listed() == [], "no order")
        with pytest.raises(StopNotDelivered, match="no job order is running"):
            watch.driver.hold()


async def test_whoever_sees_it_again_can_hold_it_at_once(lathe: Lathe) -> None:
    async with watched(lathe.endpoint, **CONTROLLED) as watch:
        await running(watch, lathe)
        await lathe.ctl("cut")
        await watch.until_unavailable()
        held: list[bool] = []

        def hold(state: MachineState) -> None:
            if state.availability is Availability.AVAILABLE and not held:
                held.append(True)
                watch.driver.hold()

        watch.driver.subscribe(hold)
        await watch.until(lambda state: state.execution is Execution.INTERRUPTED, "interrupted")
        await until_job(lathe, "Interrupted")
        assert watch.driver.state().fault is Fault.NONE
