# SPDX-License-Identifier: GPL-3.0-or-later
"""The sole holder of one machine's driver: asks `safety` before every motion command, and stops without asking."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TypeVar

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    ProbeFailed,
    ProgramAborted,
    ProgramFailed,
    ProgramInterrupted,
    StopNotDelivered,
)
from edge.domain.machine import Capability, Execution, Fault
from edge.domain.ports import ProgramText
from edge.safety import interlock as latch
from edge.safety.interlock import LatchState
from edge.safety.permissives import Command, Refusal, refusals
from edge.services.bus import MachineHomed
from edge.services.driver_care import keep_running
from edge.services.machine_view import refused
from edge.services.watched_machine import WatchedMachine

Result = TypeVar("Result")

TICK_S = 0.05


class MachineSupervisor(WatchedMachine):
    """One machine, as WatchedMachine stops it, with the commands that have to be permitted."""

    def require(self, command: Command, *, far: bool = False, also: Sequence[Refusal] = ()) -> None:
        """Raise MotionRefused with all reasons where `command` is not permitted now; `also` stand against it, too."""
        self._evaluate()
        reasons = (*refusals(command, self.facts(far=far)), *also)
        if reasons:
            raise refused(self.info, command, reasons)

    async def resume(self) -> None:
        """Go on after a hold, where permitted. Of a stop or hold that comes while the order is on its way, that wins.

        Raises MotionRefused, DriverRefused, DriverUnavailable, StopNotDelivered (a stop was asked for meanwhile).
        """
        self.require(Command.RESUME)
        self._held_until_ns = 0
        stops, holds, lost = self.stops, self._holds, self._lost
        try:
            await self._driver.resume()
        finally:
            # What the guardian watches hangs on a wire of our own: it is told everything in the order of writing.
            if self._guardian is None and self._lost != lost:
                await self.stop("the stop before")
            elif self._guardian is None and self._holds != holds and self.stops == stops:
                self._keep_held()

    async def unlock(self) -> None:
        """Leave an alarm that kept the position, where permitted."""
        self.require(Command.UNLOCK)
        await self._driver.unlock()

    async def home(self) -> None:
        """Find the reference position, where permitted; returns when done."""
        self.require(Command.HOME)
        await self.guarded("home", self._driver.home())
        self._doubtful = False
        self._bus.publish(MachineHomed(self.machine_id))

    async def run_program(self, program: ProgramText) -> None:
        """Run `program` to its end, where permitted.

        Raises MotionRefused, ProgramAborted (a person or an interlock stopped it), ProgramFailed or ProgramInterrupted;
        the last two leave the machine in fault until a person has looked at it.
        """
        self.require(Command.START)
        await self.guarded(program.program_id, self._driver.run_program(program))

    async def guarded(
        self, what: str, command: Coroutine[object, object, Result], *, by_hand: bool = False, still: bool = False
    ) -> Result:
        """Await a command that was permitted just now, with the guardian armed; every way out disarms it again.

        by_hand: a hold ends it. still: it moves nothing, so that neither the guardian nor a trip has to do with it.
        Raises ProgramAborted where the machine was stopped meanwhile.
        """
        self._busy, self._by_hand, self._still = what, by_hand, still
        self._stop_reason, self._decided, self._blind = "", False, False
        try:
            if not still:
                if self._guardian is not None:
                    await self._guardian.arm(self.machine_id)
                self.require_still_permitted(what)
            return await command
        except (
            *(ProgramFailed, ProgramInterrupted, ProbeFailed),
            *(DriverRefused, DriverUnavailable, StopNotDelivered),
        ) as error:
            # An input that nobody can read any more trips too: then the driver knows why, and says it.
            if self._stop_reason and not (self._blind and isinstance(error, ProgramInterrupted)):
                raise ProgramAborted(program_id=what, reason=self._stop_reason, decided=self._decided) from error
            if not isinstance(error, (DriverRefused, ProbeFailed)):
                self._set_fault(str(error))
            raise
        finally:
            command.close()
            await self._settle_stop()
            self._busy, self._by_hand, self._still = "", False, False
            self._stop_reason = ""
            if self._guardian is not None and not still:
                with suppress(DriverUnavailable):
                    await self._guardian.disarm(self.machine_id)
            self._record.changed()

    def require_still_permitted(self, what: str) -> None:
        """Raise where the interlock tripped, a stop came while the guardian was being armed, or the service ends."""
        if self._closing:
            raise ProgramAborted(program_id=what, reason="the service ended")
        if self._stop_reason or self._interlock.state is not LatchState.PERMITTED:
            raise ProgramFailed(program_id=what, reason=self._stop_reason or "the interlock tripped")

    def require_no_stop_since(self, stops: int, what: str) -> None:
        """Raise ProgramAborted where a stop came since `stops` were counted, between a person's word and the motion."""
        if self.stops != stops:
            raise ProgramAborted(program_id=what, reason="stopped before it began", decided=True)

    async def _settle_stop(self) -> None:
        if self._stop_task is not None:
            await asyncio.shield(self._stop_task)

    async def reset(self) -> None:
        """Carry out a person's reset of latch and fault; starts nothing. Raises MotionRefused, StopNotDelivered.

        What a controller still holds behind a hold or a door is discarded first: nothing may be left that a later
        resume would start.
        """
        self.require(Command.RESET)
        held = self.state.execution in (Execution.FEED_HOLD, Execution.INTERRUPTED)
        if held and self.stoppable and not self._busy:
            await self.stop("reset")
            self.require(Command.RESET)
        self._interlock = latch.reset(self._interlock, self._readings(self._clock.boot_ns()))
        self._record.reset()
        if self._fault or self.state.fault is Fault.FAULT:
            self._fault = ""
            self._driver.clear_fault()
            self._record.fault_cleared()
        self._record.changed()

    async def run(self) -> None:
        """Keep the driver connected and watch the ages of inputs, until cancelled; contains this machine's failures."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_running(self._driver, self._driver_failed), name=f"driver {self.machine_id}")
                group.create_task(self._watch_ages(), name=f"ages {self.machine_id}")
        finally:
            self._unsubscribe()
            if self._stop_task is not None:
                with suppress(asyncio.CancelledError):
                    await self._stop_task

    def _driver_failed(self, reason: str) -> None:
        self._stop_reason = self._stop_reason or "its driver failed"
        self._set_fault(reason)

    async def _watch_ages(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._evaluate()

    async def shut_down(self) -> None:
        """Stop what moves because of this service, and begin nothing more: the service ends."""
        self._closing = True
        ours = self._guardian is not None or self.begun.here or bool(self._busy)
        if ours and self.may_move and Capability.STOP in self.info.capabilities:
            with suppress(StopNotDelivered):
                await self.stop("shutdown")
