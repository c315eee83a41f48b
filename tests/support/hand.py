# SPDX-License-Identifier: GPL-3.0-or-later
"""A HandDriver whose wire is a list, over a world in which a probe may touch something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from edge.domain.errors import DriverRefused, ProbeFailed, StopNotDelivered
from edge.domain.hand import Axis, Displacement, JogEnd, OverrideKind, Setting
from edge.domain.machine import Execution, Overrides, Position
from edge.domain.ports import JogLease
from tests.support.fakes import FakeClock, FakeDriver

Touches = Callable[[Position, Displacement], Position | None]


class FakeLease:
    """A lease that tests let expire."""

    def __init__(self, driver: FakeHandDriver) -> None:
        self._driver = driver
        self.renewed = 0
        self.end: asyncio.Future[JogEnd] = asyncio.get_running_loop().create_future()

    def renew(self) -> None:
        self.renewed += 1

    def release(self) -> None:
        if self.end.done():
            return
        if not self._driver.reachable:
            raise StopNotDelivered(machine_id="router", reason="unplugged")
        self._driver.wire.append("cancel")
        self.finish(JogEnd.RELEASED)

    def finish(self, why: JogEnd) -> None:
        if not self.end.done():
            self.end.set_result(why)
            self._driver.show(execution=Execution.READY)

    async def ended(self) -> JogEnd:
        return await asyncio.shield(self.end)


class FakeHandDriver(FakeDriver):
    """The commands of HandDriver. `gate`, where set, holds a motion back; `touches` says where contact is."""

    def __init__(self, clock: FakeClock, machine_id: str = "router") -> None:
        super().__init__(clock, machine_id)
        self.gate: asyncio.Event | None = None
        self.touches: Touches = lambda _start, _by: None
        self.lease: FakeLease | None = None
        self.moves: list[tuple[str, object]] = []
        self.values = {100: "250.000", 130: "200.000"}
        self._stopped = False

    async def _travel(self, what: str, to: Position) -> None:
        self.wire.append(what)
        self._stopped = False
        self.show(execution=Execution.ACTIVE)
        while self.gate is not None and not self.gate.is_set():
            await asyncio.sleep(0)
            if self._stopped:
                raise DriverRefused(machine_id="router", command=what, reason="it was stopped")
        self.show(execution=Execution.READY, machine_position=to)

    @property
    def place(self) -> Position:
        assert self._state.machine_position is not None
        return self._state.machine_position

    async def stop(self) -> None:
        self._stopped = True
        if self.lease is not None:
            self.lease.finish(JogEnd.STOPPED)
        await super().stop()

    async def jog(self, by: Displacement, feed: float) -> None:
        self.moves.append(("jog", (by, feed)))
        here = self.place
        await self._travel("jog", Position(here.x + by.x, here.y + by.y, here.z + by.z))

    async def jog_to(self, machine: Mapping[Axis, float], feed: float) -> None:
        self.moves.append(("to", dict(machine)))
        here = self.place
        to = {axis.value.lower(): value for axis, value in machine.items()}
        await self._travel("jog_to", replace(here, **to))

    def lease_jog(self, towards: Displacement, feed: float) -> JogLease:
        self.wire.append("lease")
        self.show(execution=Execution.ACTIVE)
        self.lease = FakeLease(self)
        return self.lease

    async def probe(self, by: Displacement, feed: float) -> Position:
        self.moves.append(("probe", (by, feed)))
        here = self.place
        contact = self.touches(here, by)
        if contact is None:
            await self._travel("probe", Position(here.x + by.x, here.y + by.y, here.z + by.z))
            raise ProbeFailed(machine_id="router", reason="no contact on the way")
        await self._travel("probe", contact)
        return contact

    async def set_work_zero(self, reads: Mapping[Axis, float]) -> None:
        self.wire.append("zero " + " ".join(f"{axis}{value:g}" for axis, value in reads.items()))
        here, offset = self.place, self._state.work_offset
        assert offset is not None
        kept = {"x": offset.x, "y": offset.y, "z": offset.z}
        for axis, value in reads.items():
            name = axis.value.lower()
            kept[name] = getattr(here, name) - value
        self.show(work_offset=Position(**kept))

    async def override(self, kind: OverrideKind, percent: int) -> int:
        self.wire.append(f"override {kind} {percent}")
        self.show(overrides=replace(self._state.overrides or Overrides(), **{kind.value: percent}))
        return percent

    async def settings(self) -> tuple[Setting, ...]:
        self.wire.append("$$")
        return tuple(Setting(number, value) for number, value in self.values.items())

    async def write_settings(self, values: Mapping[int, str]) -> None:
        self.wire.append("$=")
        self.values.update(values)
