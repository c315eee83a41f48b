# SPDX-License-Identifier: GPL-3.0-or-later
"""Probing against worlds of plain geometry: which zero is found, within which bounds, and how every failure ends."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from edge.domain.errors import DriverRefused, MotionRefused, ProbeFailed, Refused
from edge.domain.hand import Axis, Displacement
from edge.domain.machine import Alarm, Capability, Execution, MachineInfo, Position
from edge.services.hand import MachineHand, MotionStopped
from edge.services.hand_settings import CornerSettings, HandSettings, ProbeSettings
from edge.services.probing import ProbeCycle, WorkZero
from tests.support.fakes import TRAVEL
from tests.support.hand import Touches
from tests.unit.test_hand import Bench

START = Position(-100.0, -90.0, -20.0)
SETTINGS = HandSettings(
    park=(-5, -5, -2),
    plate=15.0,
    corner=CornerSettings(x=10, y=8, z=12, length=40, depth=5),
    tool_setter=(-20, -180),
    probe=ProbeSettings(down=30, bore=30),
)


def floor(z: float) -> Touches:
    """Return a world that is a plate at height `z`."""

    def touches(start: Position, by: Displacement) -> Position | None:
        if by.z < 0 and start.z >= z >= start.z + by.z:
            return replace(start, z=z)
        return None

    return touches


def block(left: float, front: float, top: float, radius: float) -> Touches:
    """Return a corner plate whose outer faces are at `left` and `front`, met by a tool of `radius`."""

    def touches(start: Position, by: Displacement) -> Position | None:
        over = start.x > left - radius and start.y > front - radius
        if by.z < 0 and over and start.z >= top >= start.z + by.z:
            return replace(start, z=top)
        if start.z < top and by.x > 0 and start.x <= left - radius <= start.x + by.x and start.y > front:
            return replace(start, x=left - radius)
        if start.z < top and by.y > 0 and start.y <= front - radius <= start.y + by.y and start.x > left:
            return replace(start, y=front - radius)
        return None

    return touches


def hole(x: float, y: float, room: float) -> Touches:
    """Return a bore in which the tool's centre has `room` around the centre."""

    def touches(start: Position, by: Displacement) -> Position | None:
        dx, dy = start.x - x, start.y - y
        if by.x:
            wall = x + math.copysign(math.sqrt(room**2 - dy**2), by.x)
            return replace(start, x=wall) if abs(wall - start.x) <= abs(by.x) else None
        wall = y + math.copysign(math.sqrt(room**2 - dx**2), by.y)
        return replace(start, y=wall) if abs(wall - start.y) <= abs(by.y) else None

    return touches


class Zeroing(Bench):
    """A bench with probing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hand = MachineHand(self.supervisor, SETTINGS)
        self.zero = WorkZero(self.supervisor, self.hand, self.store, self.recorder)

    def with_settings(self, **changes: object) -> None:
        self.hand.settings = SETTINGS.model_copy(update=changes)

    @property
    def offset(self) -> Position:
        offset = self.supervisor.state.work_offset
        assert offset is not None
        return offset

    @property
    def touches(self) -> list[tuple[Displacement, float]]:
        return [move for what, move in self.driver.moves if what == "probe"]  # type: ignore[misc]


@pytest.fixture
async def bench() -> Zeroing:
    bench = Zeroing()
    bench.driver.ready()
    bench.driver.show(machine_position=START)
    bench.door(True)
    await bench.supervisor.reset()
    return bench


async def test_a_plate_is_found_fast_and_measured_slowly(bench: Zeroing) -> None:
    bench.driver.touches = floor(-31.25)
    probed = await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.touches == [(Displacement(z=-30), 100.0), (Displacement(z=-2), 25.0)]
    assert bench.offset.z == pytest.approx(-31.25 - 15.0)
    assert bench.driver.place.z == pytest.approx(-31.25 + 5.0)
    assert probed.reads == {Axis.Z: 20.0}
    assert bench.guardian.armed == []


async def test_a_corner_is_found_from_above_from_the_left_and_from_the_front(bench: Zeroing) -> None:
    left, front, top, radius = -110.0, -95.0, -28.0, 3.0
    bench.driver.touches = block(left, front, top, radius)
    await bench.zero.probe(ProbeCycle.CORNER, 2 * radius)
    assert (bench.offset.x, bench.offset.y, bench.offset.z) == pytest.approx((left + 10, front + 8, top - 12))
    assert (bench.driver.place.x, bench.driver.place.y) == (START.x, START.y)
    assert bench.driver.place.z == pytest.approx(top + 5)
    assert len(bench.touches) == 6


async def test_a_bore_is_measured_twice_and_its_centre_is_zero(bench: Zeroing) -> None:
    bench.driver.touches = hole(-98.5, -92.25, 9.0)
    probed = await bench.zero.probe(ProbeCycle.BORE)
    assert (bench.offset.x, bench.offset.y) == pytest.approx((-98.5, -92.25), abs=0.001)
    assert bench.offset.z == -40
    assert (bench.driver.place.x, bench.driver.place.y) == pytest.approx((-98.5, -92.25), abs=0.001)
    assert len(probed.contacts) == 8
    assert "18.00 mm" in probed.text


async def test_the_next_tool_moves_the_zero_by_its_length(bench: Zeroing) -> None:
    await bench.zero.set_here({Axis.Z: 0.0})
    zero = bench.offset.z
    bench.driver.touches = floor(-40.0)
    first = await bench.zero.probe(ProbeCycle.TOOL)
    assert (dict(first.reads), bench.offset.z) == ({}, zero)
    assert (bench.driver.place.x, bench.driver.place.y, bench.driver.place.z) == (-20, -180, -2)
    bench.driver.touches = floor(-37.5)
    second = await bench.zero.probe(ProbeCycle.TOOL)
    assert bench.offset.z == pytest.approx(zero + 2.5)
    assert "2.50 mm longer" in second.text
    again = await bench.zero.probe(ProbeCycle.TOOL)
    assert bench.offset.z == pytest.approx(zero + 2.5)
    assert "0.00 mm" in again.text


async def test_a_tools_length_outlives_a_restart(bench: Zeroing) -> None:
    bench.driver.touches = floor(-40.0)
    await bench.zero.probe(ProbeCycle.TOOL)
    later = WorkZero(bench.supervisor, bench.hand, bench.store, bench.recorder)
    await later.load()
    before = bench.offset.z
    bench.driver.touches = floor(-41.0)
    await later.probe(ProbeCycle.TOOL)
    assert bench.offset.z == pytest.approx(before - 1.0)


@pytest.mark.parametrize("how", ["by hand", "plate"])
async def test_a_zero_in_z_that_is_set_otherwise_is_measured_anew(bench: Zeroing, how: str) -> None:
    bench.driver.touches = floor(-40.0)
    await bench.zero.probe(ProbeCycle.TOOL)
    if how == "plate":
        bench.driver.touches = floor(-30.0)
        await bench.zero.probe(ProbeCycle.PLATE)
    else:
        await bench.zero.set_here({Axis.Z: 3.0})
    zero = bench.offset.z
    bench.driver.touches = floor(-38.0)
    assert not (await bench.zero.probe(ProbeCycle.TOOL)).reads
    assert bench.offset.z == zero
    assert len(bench.store.state) == 1


async def test_a_zero_in_x_keeps_the_tools_length(bench: Zeroing) -> None:
    bench.driver.touches = floor(-40.0)
    await bench.zero.probe(ProbeCycle.TOOL)
    await bench.zero.set_here({Axis.X: 0.0})
    assert (await bench.zero.probe(ProbeCycle.TOOL)).reads


async def test_without_a_setter_the_tool_is_probed_on_the_plate(bench: Zeroing) -> None:
    bench.with_settings(tool_setter=None)
    bench.driver.touches = floor(-30.0)
    await bench.zero.probe(ProbeCycle.TOOL)
    assert bench.offset.z == pytest.approx(-45.0)


@pytest.mark.parametrize(
    ("cycle", "missing", "remedy"),
    [
        (ProbeCycle.PLATE, {"plate": None}, "Set plate"),
        (ProbeCycle.TOOL, {"plate": None, "tool_setter": None}, "Set plate"),
        (ProbeCycle.CORNER, {"corner": None}, "machine.hand.corner"),
        (ProbeCycle.CORNER, {}, "tool's diameter"),
    ],
)
async def test_what_is_not_configured_is_refused(
    bench: Zeroing, cycle: ProbeCycle, missing: dict[str, object], remedy: str
) -> None:
    bench.with_settings(**missing)
    with pytest.raises(Refused, match=remedy):
        await bench.zero.probe(cycle)
    assert bench.driver.wire == []


async def test_probing_needs_a_homed_machine_that_can_probe(bench: Zeroing) -> None:
    bench.driver.show(homed=False)
    with pytest.raises(MotionRefused, match="not been homed"):
        await bench.zero.probe(ProbeCycle.PLATE)
    bench.driver._info = MachineInfo("router", "Router", "router", "fake", capabilities=frozenset({Capability.JOG}))
    with pytest.raises(DriverRefused):
        await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.driver.wire == []


async def test_the_search_ends_before_the_travel_does(bench: Zeroing) -> None:
    bench.driver.show(machine_position=replace(START, z=-45.0))
    bench.driver.touches = floor(-55.0)
    await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.touches[0][0] == Displacement(z=TRAVEL.low.z + 45.0 + 0.5)


async def test_no_contact_raises_the_tool_and_changes_no_zero(bench: Zeroing) -> None:
    zero = bench.offset
    with pytest.raises(ProbeFailed, match=r"no contact on the way\. The axes stand, and the tool is up again"):
        await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.driver.place == START
    assert bench.offset == zero
    assert not bench.supervisor.view().fault


async def test_no_room_is_a_failure_too(bench: Zeroing) -> None:
    bench.driver.show(machine_position=replace(START, z=-59.8))
    with pytest.raises(ProbeFailed, match="no room"):
        await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.touches == []


async def test_an_alarm_leaves_the_axes_where_they_stand(bench: Zeroing) -> None:
    async def alarmed(by: Displacement, feed: float) -> Position:
        bench.driver.show(
            execution=Execution.STOPPED,
            alarms=(Alarm("ALARM:5", "no contact", position_kept=True),),
            machine_position=replace(START, z=START.z + by.z),
        )
        raise ProbeFailed(machine_id="router", reason="no contact")

    bench.driver.probe = alarmed  # type: ignore[method-assign]
    with pytest.raises(ProbeFailed, match="Press Unlock"):
        await bench.zero.probe(ProbeCycle.PLATE)
    assert bench.driver.wire == []


async def test_a_retract_that_is_refused_is_said(bench: Zeroing) -> None:
    async def refused(machine: object, feed: float) -> None:
        raise DriverRefused(machine_id="router", command="jog", reason="error:9")

    bench.driver.jog_to = refused  # type: ignore[method-assign]
    with pytest.raises(ProbeFailed, match="Raise the tool by hand"):
        await bench.zero.probe(ProbeCycle.PLATE)


@pytest.mark.parametrize("end", ["stop", "hold", "door"])
async def test_a_cycle_that_is_stopped_moves_no_more_and_sets_nothing(bench: Zeroing, end: str) -> None:
    zero, world = bench.offset, floor(-31.0)

    def touches(start: Position, by: Displacement) -> Position | None:
        asyncio.get_running_loop().call_soon(stop)
        return world(start, by)

    def stop() -> None:
        if end == "door":
            bench.door(False)
        elif end == "hold":
            bench.supervisor.hold("console")
        else:
            stopping.append(asyncio.ensure_future(bench.supervisor.stop("console")))

    stopping: list[asyncio.Future[None]] = []
    bench.driver.touches = touches
    bench.driver.gate = asyncio.Event()
    with pytest.raises(MotionStopped):
        await bench.zero.probe(ProbeCycle.PLATE)
    await asyncio.gather(*stopping)
    assert len(bench.driver.moves) == 1
    assert bench.offset == zero
    assert bench.guardian.armed == []


async def test_a_cancelled_cycle_disarms(bench: Zeroing) -> None:
    bench.driver.touches = floor(-31.0)
    bench.driver.gate = asyncio.Event()
    task = asyncio.create_task(bench.zero.probe(ProbeCycle.PLATE))
    while not bench.driver.wire:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.guardian.armed == []
    assert not bench.supervisor.view().busy
