# SPDX-License-Identifier: GPL-3.0-or-later
"""What every MachineDriver has to do, whatever it speaks.

A driver plugs in with a subclass named `Test...` and a fixture `driver_case` that yields a DriverCase: the driver,
not running yet, beside a machine that answers it. The suite runs it, takes the link away and gives it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol, cast

import pytest

from edge.domain.errors import DriverRefused, DriverUnavailable, StopNotDelivered
from edge.domain.hand import Axis, Displacement, OverrideKind
from edge.domain.machine import Availability, Capability, ControllerMode, Execution, MachineState
from edge.domain.ports import CheckModeDriver, Clock, HandDriver, MachineDriver, ProgramText

PATIENCE_S = 30.0
PROGRAM = ProgramText("contract-1", ("G21", "G90", "G1 X1 F100"), (1, 2, 3))
UP = Displacement(z=1.0)


async def _lease(driver: HandDriver) -> None:
    """Begin continuous motion, as a call that can be awaited like the others."""
    driver.lease_jog(UP, 100.0)


BY_HAND: dict[Capability, tuple[Callable[[HandDriver], Awaitable[object]], ...]] = {
    Capability.JOG: (
        lambda driver: driver.jog(UP, 100.0),
        lambda driver: driver.jog_to({Axis.Z: -1.0}, 100.0),
        _lease,
    ),
    Capability.PROBE: (lambda driver: driver.probe(Displacement(z=-1.0), 50.0),),
    Capability.WORK_ZERO: (lambda driver: driver.set_work_zero({Axis.Z: 0.0}),),
    Capability.OVERRIDE: (lambda driver: driver.override(OverrideKind.FEED, 50),),
    Capability.SETTINGS: (lambda driver: driver.settings(), lambda driver: driver.write_settings({1: "25"})),
}
"""What a HandDriver can be asked for, by the capability that it needs."""


class DriverCase(Protocol):
    """A driver and the machine at its other end."""

    driver: MachineDriver
    clock: Clock

    async def lose_link(self) -> None:
        """Take the link away as cables and switched-off machines do."""
        ...

    async def restore_link(self) -> None:
        """Give the link back."""
        ...

    async def leftovers(self) -> str:
        """Say what the machine's end still holds of us (sessions, open ports), "" where nothing."""
        ...


@asynccontextmanager
async def running(driver: MachineDriver) -> AsyncIterator[asyncio.Task[None]]:
    """Run a driver, and cancel and await it at the end."""
    task = asyncio.create_task(driver.run(), name="driver under test")
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(driver: MachineDriver, predicate: Callable[[MachineState], bool], what: str) -> MachineState:
    """Wait until the driver reports a state as told; return it."""
    arrived = asyncio.Event()
    unsubscribe = driver.subscribe(lambda _state: arrived.set())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not predicate(driver.state()):
                arrived.clear()
                await arrived.wait()
    except TimeoutError:
        raise AssertionError(f"never came: {what}; last: {driver.state()}") from None
    finally:
        unsubscribe()
    return driver.state()


def by_hand(driver: MachineDriver) -> HandDriver | None:
    """Return the driver where it moves by hand; one that does not must not say that it can."""
    if hasattr(driver, "lease_jog"):
        return cast(HandDriver, driver)
    assert not driver.info().capabilities & BY_HAND.keys()
    return None


def is_available(state: MachineState) -> bool:
    """Whether the machine is heard."""
    return state.availability is Availability.AVAILABLE


def is_unavailable(state: MachineState) -> bool:
    """Whether the machine is not heard."""
    return state.availability is Availability.UNAVAILABLE


def assert_nothing_is_known(state: MachineState) -> None:
    """Check that a state without a link says nothing that may be untrue by now."""
    assert state.availability is Availability.UNAVAILABLE
    assert state.execution is Execution.UNAVAILABLE
    assert state.mode is ControllerMode.UNAVAILABLE
    assert (state.emergency_stop.value, state.door.value, state.spindle.value) == ("UNAVAILABLE",) * 3
    assert not state.in_motion
    assert (state.machine_position, state.work_position, state.feed, state.overrides) == (None,) * 4


class DriverSuite:
    """The contract; every test takes a fresh `driver_case`."""

    async def test_it_says_who_the_machine_is_before_a_link(self, driver_case: DriverCase) -> None:
        info = driver_case.driver.info()
        assert info.machine_id
        assert info.name
        assert info.kind
        assert info.driver

    async def test_nothing_is_known_before_a_link(self, driver_case: DriverCase) -> None:
        assert_nothing_is_known(driver_case.driver.state())
        assert driver_case.driver.state().taken_ns == 0

    async def test_it_becomes_available_and_complete(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        async with running(driver):
            state = await until(driver, is_available, "available")
            assert state.execution is not Execution.UNAVAILABLE
            info = driver.info()
            assert info.machine_id
            assert (info.travel is not None) == (Capability.RUN_PROGRAM in info.capabilities)

    async def test_readings_carry_the_time_of_the_clock(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        before = driver_case.clock.boot_ns()
        async with running(driver):
            first = await until(driver, is_available, "available")
            assert before <= first.taken_ns <= driver_case.clock.boot_ns()
            later = await until(driver, lambda state: state.taken_ns > first.taken_ns, "a newer reading")
            assert later.taken_ns <= driver_case.clock.boot_ns()

    async def test_listeners_are_called_until_they_leave(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        staying: list[MachineState] = []
        leaving: list[MachineState] = []
        driver.subscribe(staying.append)
        leave = driver.subscribe(leaving.append)
        async with running(driver):
            state = await until(driver, is_available, "available")
            assert state in staying
            assert leaving == staying
            leave()
            leave()
            count = len(leaving)
            await until(driver, lambda newer: newer.taken_ns > state.taken_ns, "a newer reading")
            assert len(leaving) == count
            assert len(staying) > count
        assert_nothing_is_known(staying[-1])

    async def test_a_listener_may_leave_while_it_is_called(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        called: list[str] = []

        def once(_state: MachineState) -> None:
            called.append("once")
            leave()

        leave = driver.subscribe(once)
        driver.subscribe(lambda _state: called.append("always"))
        async with running(driver):
            state = await until(driver, is_available, "available")
            await until(driver, lambda newer: newer.taken_ns > state.taken_ns, "a newer reading")
        assert called.count("once") == 1
        assert called.count("always") > 1

    async def test_it_survives_a_lost_link(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        async with running(driver) as task:
            heard = await until(driver, is_available, "available")
            await driver_case.lose_link()
            lost = await until(driver, is_unavailable, "unavailable")
            assert_nothing_is_known(lost)
            assert not task.done()
            await driver_case.restore_link()
            back = await until(driver, is_available, "available again")
            assert back.taken_ns > heard.taken_ns

    async def test_it_waits_for_a_machine_that_comes_later(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        await driver_case.lose_link()
        async with running(driver) as task:
            await asyncio.sleep(0.3)
            assert not task.done()
            assert_nothing_is_known(driver.state())
            await driver_case.restore_link()
            await until(driver, is_available, "available")

    async def test_a_stop_without_a_link_is_not_delivered(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        with pytest.raises(StopNotDelivered):
            driver.hold()
        with pytest.raises(StopNotDelivered):
            await driver.stop()
        async with running(driver):
            await until(driver, is_available, "available")
            await driver_case.lose_link()
            await until(driver, is_unavailable, "unavailable")
            with pytest.raises(StopNotDelivered):
                driver.hold()
            with pytest.raises(StopNotDelivered):
                await driver.stop()

    async def test_what_it_cannot_do_it_refuses(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        async with running(driver):
            await until(driver, is_available, "available")
            capabilities = driver.info().capabilities
            if Capability.RUN_PROGRAM not in capabilities:
                with pytest.raises(DriverRefused):
                    await driver.run_program(PROGRAM)
            if Capability.HOME not in capabilities:
                with pytest.raises(DriverRefused):
                    await driver.home()
            if Capability.UNLOCK not in capabilities:
                with pytest.raises(DriverRefused):
                    await driver.unlock()
            if Capability.HOLD not in capabilities:
                with pytest.raises(DriverRefused):
                    await driver.resume()
                with pytest.raises(StopNotDelivered):
                    driver.hold()
            if Capability.STOP not in capabilities:
                with pytest.raises(StopNotDelivered):
                    await driver.stop()

    async def test_what_it_cannot_do_by_hand_it_refuses(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        async with running(driver):
            await until(driver, is_available, "available")
            hand = by_hand(driver)
            if hand is None:
                return
            for capability, commands in BY_HAND.items():
                for command in commands if capability not in driver.info().capabilities else ():
                    with pytest.raises(DriverRefused):
                        await command(hand)

    async def test_nothing_is_done_by_hand_without_a_link(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        hand = by_hand(driver)
        if hand is None:
            return
        async with running(driver):
            await until(driver, is_available, "available")
            await driver_case.lose_link()
            await until(driver, is_unavailable, "unavailable")
            for commands in BY_HAND.values():
                for command in commands:
                    with pytest.raises((DriverRefused, DriverUnavailable)):
                        await command(hand)
            await driver_case.restore_link()
            back = await until(driver, is_available, "available again")
            assert not back.in_motion

    async def test_what_is_no_motion_is_refused(self, driver_case: DriverCase) -> None:
        """On a machine that would move: homed where it can home."""
        driver = driver_case.driver
        hand = by_hand(driver)
        if hand is None:
            return
        nowhere = (Displacement(), Displacement(x=float("nan")), Displacement(y=float("inf")))
        no_feed = (0.0, -100.0, float("nan"), float("inf"))
        async with running(driver):
            await until(driver, is_available, "available")
            if Capability.HOME in driver.info().capabilities:
                await driver.home()
            before = driver.state().machine_position
            for way, feed in [(way, 100.0) for way in nowhere] + [(Displacement(z=-1.0), feed) for feed in no_feed]:
                with pytest.raises(DriverRefused):
                    await hand.jog(way, feed)
                with pytest.raises(DriverRefused):
                    hand.lease_jog(way, feed)
                with pytest.raises(DriverRefused):
                    await hand.probe(way, feed)
            newest = driver.state().taken_ns
            state = await until(driver, lambda newer: newer.taken_ns > newest, "a newer reading")
            assert state.machine_position == before
            assert not state.in_motion

    async def test_a_check_mode_reads_a_program_and_moves_nothing(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        async with running(driver):
            await until(driver, is_available, "available")
            info = driver.info()
            if not hasattr(driver, "check_program"):
                assert Capability.CHECK_MODE not in info.capabilities
                return
            checking, read = cast(CheckModeDriver, driver), list[int]()
            if Capability.CHECK_MODE not in info.capabilities:
                with pytest.raises(DriverRefused):
                    await checking.check_program(PROGRAM, read.append)
                assert read == []
                return
            if Capability.HOME in info.capabilities:
                await driver.home()
            before = driver.state()
            assert await checking.check_program(PROGRAM, read.append) == ()
            assert read == [1, 2, 3]
            wrong = ProgramText("contract-2", ("G21", "G1 X", "G1 X1 F100"), (4, 5, 6))
            assert [refused.line for refused in await checking.check_program(wrong, read.append)] == [5]
            after = await until(driver, lambda state: state.taken_ns > before.taken_ns, "a newer reading")
            assert (after.machine_position, after.homed) == (before.machine_position, before.homed)
            assert (after.work_offset, after.execution) == (before.work_offset, Execution.READY)
            await driver_case.lose_link()
            await until(driver, is_unavailable, "unavailable")
            with pytest.raises((DriverRefused, DriverUnavailable)):
                await checking.check_program(PROGRAM, read.append)

    async def test_a_fault_may_be_cleared_at_any_time(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        driver.clear_fault()
        async with running(driver):
            await until(driver, is_available, "available")
            driver.clear_fault()
            driver.clear_fault()

    @pytest.mark.parametrize("when", ["available", "at once", "lost"])
    async def test_cancelling_leaves_nothing_behind(self, driver_case: DriverCase, when: str) -> None:
        driver = driver_case.driver
        before = asyncio.all_tasks()
        async with running(driver):
            if when != "at once":
                await until(driver, is_available, "available")
            if when == "lost":
                await driver_case.lose_link()
                await until(driver, is_unavailable, "unavailable")
        assert_nothing_is_known(driver.state())
        assert asyncio.all_tasks() == before
        if when == "lost":
            await driver_case.restore_link()
        left = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while left := await driver_case.leftovers():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never given back: {left}") from None

    async def test_it_runs_again_after_a_cancellation(self, driver_case: DriverCase) -> None:
        driver = driver_case.driver
        for _ in range(2):
            async with running(driver):
                await until(driver, is_available, "available")
