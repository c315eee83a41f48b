# SPDX-License-Identifier: GPL-3.0-or-later
"""GPIO inputs on gpiozero's mock pins: a closed contact is healthy, everything else is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from gpiozero import Device, GPIOZeroError
from gpiozero.pins.mock import MockFactory

from edge.domain.inputs import InputRule, InputSample
from edge.drivers.safety_io.driver import GpioInputs
from edge.drivers.safety_io.settings import GpioInputSettings, GpioSettings
from edge.safety.interlock import InputStatus, read
from tests.support.fakes import FakeClock

DOOR = GpioInputSettings(name="door", pin=17)
STOP = GpioInputSettings(name="stop-circuit", pin=27, active_low=False)


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.close()
    Device.pin_factory = before


class Bench:
    def __init__(self, pins: MockFactory) -> None:
        self.pins = pins
        self.clock = FakeClock()
        self.samples: list[InputSample] = []
        self.fresh = asyncio.Event()

    def report(self, sample: InputSample) -> None:
        self.samples.append(sample)
        self.fresh.set()

    def newest(self, name: str) -> InputSample | None:
        return next((sample for sample in reversed(self.samples) if sample.name == name), None)

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not check():
                self.fresh.clear()
                await self.fresh.wait()

    async def shows(self, name: str, healthy: bool | None) -> None:
        await self.until(lambda: (sample := self.newest(name)) is not None and sample.healthy is healthy)


@pytest.fixture
async def bench(pins: MockFactory) -> AsyncIterator[Bench]:
    world = Bench(pins)
    settings = GpioSettings(inputs=(DOOR, STOP), sample_ms=5)
    task = asyncio.create_task(GpioInputs(settings, world.clock).run(world.report))
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_closed_contact_is_healthy_and_an_open_one_or_a_broken_wire_is_not(bench: Bench) -> None:
    await bench.shows("door", False)
    await bench.shows("stop-circuit", False)
    bench.pins.pin(17).drive_low()
    bench.pins.pin(27).drive_high()
    await bench.shows("door", True)
    await bench.shows("stop-circuit", True)
    bench.pins.pin(17).drive_high()
    await bench.shows("door", False)


async def test_an_edge_is_reported_without_waiting_for_the_next_sample(pins: MockFactory) -> None:
    world = Bench(pins)
    slow = GpioSettings(inputs=(DOOR,), sample_ms=500)
    task = asyncio.create_task(GpioInputs(slow, world.clock).run(world.report))
    await world.shows("door", False)
    sampled = len(world.samples)
    world.clock.pass_s(1)
    pins.pin(17).drive_low()
    await world.shows("door", True)
    assert len(world.samples) == sampled + 1
    assert world.samples[-1].taken_ns == world.clock.boot_ns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_samples_go_on_without_a_change_so_that_they_stay_fresh(bench: Bench) -> None:
    await bench.until(lambda: sum(sample.name == "door" for sample in bench.samples) >= 3)


async def test_a_pin_that_cannot_be_read_is_unknown_and_comes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.shows("door", False)
    pin = bench.pins.pin(17)

    def broken(_: object) -> int:
        raise GPIOZeroError("no such chip")

    with monkeypatch.context() as patch:
        patch.setattr(type(pin), "_get_state", broken)
        patch.setattr(type(pin), "state", property(broken))
        await bench.shows("door", None)
        sample = bench.newest("door")
        assert sample is not None
        rule = InputRule("door", "Door", "gpio:door", 10**9, "Close the door.")
        assert read(rule, sample, bench.clock.boot_ns()).status is InputStatus.UNKNOWN
    await bench.shows("door", False)
