# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion by hand at one machine: permitted by `safety`, guarded as a program is, and over when nobody asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar, cast

from edge.domain.errors import DriverRefused, DriverUnavailable, InfoMobilError, ProgramAborted, Refused
from edge.domain.hand import Axis, Displacement, JogEnd, OverrideKind, Setting
from edge.domain.machine import Capability, Position
from edge.domain.ports import HandDriver, JogLease
from edge.safety.permissives import Command
from edge.services.hand_settings import HandSettings
from edge.services.supervisor import MachineSupervisor

SHORT_STEP_MM = 10.0
"""The longest step that needs no known position: enough to free a tool, too little to cross a machine."""

LEASE_S = 0.25
"""How old the last sign of a pressed key may be when the motion begins."""

Result = TypeVar("Result")


class MotionStopped(InfoMobilError):
    """The motion by hand was stopped: {reason}."""


class HandLease:
    """One press of a jog key, from before the machine moves until it stands."""

    def __init__(self) -> None:
        self._lease: JogLease | None = None
        self._wanted = True
        self._renewed_s = time.monotonic()
        self.begun = asyncio.Event()

    @property
    def wanted(self) -> bool:
        """Return whether the person has not let go yet, as far as was heard within the time of a lease."""
        return self._wanted and time.monotonic() - self._renewed_s <= LEASE_S

    def begin(self, lease: JogLease) -> None:
        """Take the driver's lease."""
        self._lease = lease
        self.begun.set()

    def renew(self) -> None:
        """Say that the person still asks for motion."""
        self._renewed_s = time.monotonic()
        if self._lease is not None and self._wanted:
            self._lease.renew()

    def release(self) -> None:
        """Let go; the jog cancel is on the wire before this returns. May be repeated. Raises StopNotDelivered."""
        self._wanted = False
        if self._lease is not None:
            self._lease.release()


class Steps:
    """A driver in the hands of a cycle: every step is refused once the machine was stopped."""

    def __init__(self, driver: HandDriver, permitted: Callable[[], None], where: Callable[[], Position]) -> None:
        self._driver = driver
        self._permitted = permitted
        self.where = where

    async def go(self, machine: Mapping[Axis, float], feed: float) -> None:
        """Move the named axes together to machine coordinates."""
        self._permitted()
        await self._driver.jog_to(machine, feed)

    async def touch(self, by: Displacement, feed: float) -> Position:
        """Move until contact; return its place."""
        self._permitted()
        return await self._driver.probe(by, feed)

    async def zero(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads`."""
        self._permitted()
        await self._driver.set_work_zero(reads)


class MachineHand:
    """Motion by hand at one machine."""

    def __init__(self, supervisor: MachineSupervisor, settings: HandSettings) -> None:
        self._supervisor = supervisor
        self._lease: HandLease | None = None
        self.settings = settings

    @property
    def machine_id(self) -> str:
        """Return the machine's id."""
        return self._supervisor.machine_id

    def able(self, capability: Capability) -> bool:
        """Return whether the machine's driver can be asked for `capability`."""
        return capability in self._supervisor.info.capabilities

    def driver(self, capability: Capability) -> HandDriver:
        """Return the driver. Raises DriverRefused where it cannot do this."""
        if not self.able(capability):
            raise DriverRefused(
                machine_id=self.machine_id, command=capability.value, reason="it cannot do that from here"
            )
        # What has one of these capabilities implements the protocol: tests/contract/driver_suite.py.
        return cast(HandDriver, self._supervisor.driver)

    def refused(self, command: str, why: str, remedy: str) -> Refused:
        """Return a refusal in three sentences."""
        return Refused(what=f"{self._supervisor.info.name} does not {command}.", why=why, remedy=remedy)

    def _require_feed(self, feed: float) -> None:
        if not 0 < feed <= self.settings.max_feed:
            why = f"A feed of {feed:g} mm/min is not between 0 and {self.settings.max_feed:g} mm/min."
            raise self.refused("jog", why, "Choose a slower feed.")

    async def move(self, what: str, command: Coroutine[object, object, Result], *, still: bool = False) -> Result:
        """Carry out a command that was permitted just now, guarded. Raises MotionStopped."""
        try:
            return await self._supervisor.guarded(what, command, by_hand=True, still=still)
        except ProgramAborted as error:
            raise MotionStopped(reason=error.facts["reason"]) from error

    async def jog(self, by: Displacement, feed: float) -> None:
        """Move by one bounded step; returns when the axes stand.

        Raises Refused, MotionRefused, MotionStopped, DriverRefused, DriverUnavailable.
        """
        driver = self.driver(Capability.JOG)
        self._require_feed(feed)
        if not 0 < by.length <= self.settings.max_step:
            why = f"A step of {by.length:g} mm is not between 0 and {self.settings.max_step:g} mm."
            raise self.refused("jog", why, "Choose a shorter step.")
        self._supervisor.require(Command.JOG, far=by.length > SHORT_STEP_MM)
        await self.move("jog", self._step(driver, by, feed))

    async def _step(self, driver: HandDriver, by: Displacement, feed: float) -> None:
        await driver.jog(by, feed)
        # A step that was stopped on its way is not done.
        self._supervisor.require_still_permitted("jog")

    async def jog_while(self, held: HandLease, towards: Displacement, feed: float) -> JogEnd:
        """Move in a direction while `held` is renewed; returns why it ended once the axes stand.

        A second call ends the first one's motion and is refused: two people do not move one machine.
        Raises Refused, MotionRefused, MotionStopped, DriverRefused, DriverUnavailable, StopNotDelivered.
        """
        driver = self.driver(Capability.JOG)
        self._require_feed(feed)
        if towards.length == 0:
            raise self.refused("jog", "No direction was given.", "Choose an axis.")
        if self._lease is not None:
            self._lease.release()
        self._supervisor.require(Command.JOG, far=True)
        self._lease = held
        try:
            return await self.move("jog", self._held(driver, held, towards, feed))
        finally:
            self._lease = None

    async def _held(self, driver: HandDriver, held: HandLease, towards: Displacement, feed: float) -> JogEnd:
        if not held.wanted:
            # Let go, or fallen silent, while the guardian was being armed.
            return JogEnd.RELEASED
        lease = driver.lease_jog(towards, feed)
        held.begin(lease)
        try:
            end = await lease.ended()
        finally:
            # Also where the task that waits is cancelled: nobody would be left to renew or to let go.
            lease.release()
        if end is JogEnd.LOST:
            reason = "the connection was lost while it moved by hand"
            raise DriverUnavailable(machine_id=self.machine_id, reason=reason)
        self._supervisor.require_still_permitted("jog")
        return end

    async def park(self) -> None:
        """Go to the parking position: up first, then sideways."""
        driver = self.driver(Capability.JOG)
        park = self.settings.park
        if park is None:
            raise self.refused("park", "No parking position is configured.", "Set park in [machine.hand].")
        self._supervisor.require(Command.JOG, far=True)
        await self.move("park", self._park(self.steps(driver), park))

    async def _park(self, steps: Steps, park: tuple[float, float, float]) -> None:
        feed = self.settings.max_feed
        x, y, z = park
        await steps.go({Axis.Z: max(z, steps.where().z)}, feed)
        await steps.go({Axis.X: x, Axis.Y: y}, feed)
        await steps.go({Axis.Z: z}, feed)
        self._supervisor.require_still_permitted("park")

    def steps(self, driver: HandDriver) -> Steps:
        """Return the driver for a cycle that was permitted just now."""
        return Steps(driver, lambda: self._supervisor.require_still_permitted("motion by hand"), self.where)

    def where(self) -> Position:
        """Return the machine position. Raises DriverRefused where it was not reported."""
        place = self._supervisor.state.machine_position
        if place is None:
            reason = "it has not reported its position yet"
            raise DriverRefused(machine_id=self.machine_id, command="motion by hand", reason=reason)
        return place

    async def set_zero(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads` mm in work coordinates."""
        driver = self.driver(Capability.WORK_ZERO)
        if not reads:
            raise self.refused("take the zero", "No axis was named.", "Choose an axis.")
        self._supervisor.require(Command.ZERO)
        await self.move("zero", driver.set_work_zero(reads), still=True)

    async def override(self, kind: OverrideKind, percent: int) -> int:
        """Bring an override to `percent`, also while a program runs; return what the controller confirms."""
        driver = self.driver(Capability.OVERRIDE)
        self._supervisor.require(Command.OVERRIDE)
        return await driver.override(kind, percent)

    async def read_settings(self) -> tuple[Setting, ...]:
        """Return the settings of the controller."""
        driver = self.driver(Capability.SETTINGS)
        self._supervisor.require(Command.SETTINGS)
        return await self.move("settings", driver.settings(), still=True)

    async def write_settings(self, values: Mapping[int, str]) -> None:
        """Write settings of the controller; its position is not trusted afterwards."""
        driver = self.driver(Capability.SETTINGS)
        self._supervisor.require(Command.SETTINGS)
        self._supervisor.doubt_position()
        await self.move("settings", driver.write_settings(values), still=True)
