# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine on GRBL 1.1 or grblHAL as the house sees it: the commands of MachineDriver, and the connection kept.

Commands that could be overtaken by a door are sent only where the controller works on them at once: a `$H` that
waits in Hold or Door would start homing after the next `~` (trace door_idle).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from edge.domain.errors import (
    DriverRefused,
    DriverUnavailable,
    ProgramFailed,
    ProgramInterrupted,
    StopNotDelivered,
)
from edge.domain.hand import Axis, Displacement, OverrideKind, Setting
from edge.domain.machine import Capability, MachineInfo, MachineState, Position
from edge.domain.ports import Clock, Guardian, ProgramText, RefusedLine
from edge.drivers.grbl.blackbox import BlackBox
from edge.drivers.grbl.checkmode import COMMAND, CheckMode
from edge.drivers.grbl.controller import Controller
from edge.drivers.grbl.gate import Gate
from edge.drivers.grbl.greeting import greet, identify
from edge.drivers.grbl.hand import Hand
from edge.drivers.grbl.job import Failure, Job
from edge.drivers.grbl.jogging import Lease
from edge.drivers.grbl.measure import Measure
from edge.drivers.grbl.overrides import OverrideDesk
from edge.drivers.grbl.profile import Profile
from edge.drivers.grbl.protocol import State
from edge.drivers.grbl.screening import screen
from edge.drivers.grbl.session import Phase
from edge.drivers.grbl.settings import GrblSettings
from edge.drivers.grbl.waiting import heed_cancellation

_log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.25
_ALWAYS = frozenset(
    {
        *(Capability.RUN_PROGRAM, Capability.HOLD, Capability.STOP, Capability.UNLOCK, Capability.JOG),
        *(Capability.PROBE, Capability.WORK_ZERO, Capability.OVERRIDE, Capability.SETTINGS, Capability.CHECK_MODE),
    }
)


class GrblDriver:
    """The MachineDriver of one GRBL controller."""

    def __init__(
        self,
        machine_id: str,
        name: str,
        kind: str,
        settings: GrblSettings,
        clock: Clock,
        guardian: Guardian,
        recordings: Path | None = None,
    ) -> None:
        """Make the driver; `recordings` is the folder of the black box, None for none."""
        self._machine_id = machine_id
        self._settings = settings
        box = BlackBox(recordings, machine_id, clock)
        self._controller = Controller(machine_id, settings, clock, guardian, box)
        self._gate = Gate(self._controller)
        self._hand = Hand(self._gate)
        self._measure = Measure(self._gate)
        self._overrides = OverrideDesk(self._gate)
        self._check_mode = CheckMode(self._gate, self._measure, self._overrides)
        self._profile = Profile(self._gate, self._learn)
        self._pause = _FIRST_RETRY_S
        self._last_reason = ""
        # Known before the first connection, so that nobody takes a machine that is off for one that is only watched.
        self._info = MachineInfo(machine_id, name, kind, driver="grbl", capabilities=_ALWAYS)

    @property
    def homing(self) -> bool:
        """Whether `$H` runs: the controller answers no status then, and watches its door itself (ALARM:7)."""
        return self._controller.condition.homing

    def info(self) -> MachineInfo:
        """Return who the machine is; complete once it was available."""
        return self._info

    def state(self) -> MachineState:
        """Return the newest reading, without I/O."""
        return self._controller.state

    def subscribe(self, listener: Callable[[MachineState], None]) -> Callable[[], None]:
        """Call `listener` at each new reading; return the call that ends it."""
        listeners = self._controller.listeners
        listeners.append(listener)

        def unsubscribe() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return unsubscribe

    async def run(self) -> None:
        """Connect, keep connected, reconnect with back-off, until cancelled."""
        try:
            while True:
                try:
                    await self._connection()
                except* DriverUnavailable as group:
                    reason = " ".join(str(error.reason) for error in _leaves(group))
                    self._controller.close(reason)
                    self._note_away(reason)
                heed_cancellation()
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, self._settings.retry_s)
        finally:
            await self._hand.ended()
            self._controller.close("the driver was shut down", meant=True)
            await self._gate.halted()

    async def _connection(self) -> None:
        """Open the port and serve it until it ends, which is always DriverUnavailable."""
        await self._controller.open()
        async with asyncio.TaskGroup() as group:
            polling = group.create_task(self._poll(), name=f"grbl poll {self._machine_id}")
            try:
                await self._serve()
            finally:
                polling.cancel()

    async def _serve(self) -> None:
        """Get to know the controller, again after each restart. Raises DriverUnavailable when it is gone."""
        controller = self._controller
        await greet(controller)
        while True:
            await identify(controller)
            self._note_back()
            await controller.until(lambda: controller.session.phase is Phase.IDENTIFYING, None)

    async def _poll(self) -> None:
        """Ask for status reports at the rate that the machine's state asks for."""
        while True:
            reading = self._controller.condition.reading
            moving = reading is not None and reading.moving
            await asyncio.sleep(1 / (self._settings.poll_moving_hz if moving else self._settings.poll_hz))
            if not self._gate.alone:
                self._controller.tick()

    def _note_away(self, reason: str) -> None:
        """Log a failure once."""
        if reason != self._last_reason:
            self._last_reason = reason
            _log.warning("%s: not connected: %s", self._machine_id, reason)

    def _note_back(self) -> None:
        """Keep who the machine is, and log the recovery once."""
        self._learn()
        self._pause = _FIRST_RETRY_S
        self._last_reason = ""
        _log.info("%s: %s is ready", self._machine_id, self._controller.identity.controller)

    def _learn(self) -> None:
        """Keep what the controller tells about itself."""
        identity = self._controller.identity
        homing = {Capability.HOME} if identity.homing_enabled else set[Capability]()
        self._info = replace(
            self._info,
            controller=identity.controller,
            capabilities=_ALWAYS | homing,
            travel=identity.travel(),
            motion=identity.motion(),
            settings=identity.other_settings(),
        )

    # Stops: never gated, never queued

    def hold(self) -> None:
        """Write a feed hold, and the end of motion by hand, to the wire before returning. Raises StopNotDelivered."""
        try:
            self._controller.hold()
        finally:
            # Also where the port took nothing: no further line may follow once it does.
            self._hand.interrupt()

    async def stop(self) -> None:
        """Hold, wait until axes stand (bounded), reset. Raises StopNotDelivered."""
        if self._controller.job is not None:
            # First, so that it ends also where the port takes no hold: it would else go on once the port does.
            self._controller.job.fail("it was stopped", stop=True)
        self.hold()
        await self._gate.halt()

    # Motion by hand

    async def jog(self, by: Displacement, feed: float) -> None:
        """Move by one bounded step; returns when the axes stand. Raises DriverRefused."""
        await self._hand.jog(by, feed)

    async def jog_to(self, machine: Mapping[Axis, float], feed: float) -> None:
        """Move the named axes, together, to machine coordinates; refused where not homed. As `jog` otherwise."""
        await self._hand.jog_to(machine, feed)

    def lease_jog(self, towards: Displacement, feed: float) -> Lease:
        """Begin continuous motion in a direction. Raises DriverRefused."""
        return self._hand.lease(towards, feed)

    async def probe(self, by: Displacement, feed: float) -> Position:
        """Move until the probe makes contact; return the machine position of contact, mm.

        Raises ProbeFailed, DriverRefused.
        """
        return await self._measure.probe(by, feed)

    async def set_work_zero(self, reads: Mapping[Axis, float]) -> None:
        """Let the place where the machine stands read `reads` mm in the active work coordinates."""
        await self._measure.set_work_zero(reads)

    async def override(self, kind: OverrideKind, percent: int) -> int:
        """Bring an override to `percent` and return what the controller confirms. Raises DriverRefused."""
        return await self._overrides.override(kind, percent)

    async def settings(self) -> tuple[Setting, ...]:
        """Read all settings of the controller. Raises DriverRefused."""
        return await self._profile.settings()

    async def write_settings(self, values: Mapping[int, str]) -> None:
        """Write settings one by one, each alone on the wire, and verify them. Raises DriverRefused."""
        await self._profile.write(values)

    # Commands

    def clear_fault(self) -> None:
        """Take a person's word that the machine has been looked at. Moves nothing."""
        self._controller.clear_fault()

    async def resume(self) -> None:
        """Go on after a hold or a closed door; nothing to do where nothing is held."""
        reading = self._gate.trusted("resume")
        match reading.state, reading.substate:
            case (State.HOLD, 0 | None) | (State.DOOR, 0):
                pass
            case State.HOLD, _:
                raise self._refused("resume", "it is still slowing down")
            case State.DOOR, 1 | 2:
                raise self._refused("resume", "the door is open, or it is still slowing down")
            case _:
                return
        self._controller.resume()

        def resumed() -> bool:
            now = self._controller.condition.reading
            return now is not None and not now.standing

        if not await self._controller.until(resumed, self._settings.reply_s):
            raise self._refused("resume", "it stays in hold")

    async def home(self) -> None:
        """Find the reference position of all axes; returns when done."""
        with self._gate.exclusive("home"):
            reading = self._gate.trusted("home")
            if not self._controller.identity.homing_enabled:
                raise self._refused("home", "homing is switched off in its settings ($22)")
            if reading.state not in (State.IDLE, State.ALARM):
                raise self._refused("home", f"it is in {reading.state}")
            await self._home()

    async def _home(self) -> None:
        """Send `$H` and wait for its end, however it comes."""
        controller, condition = self._controller, self._controller.condition
        sent_ns = controller.now_ns()

        def waits() -> bool:
            reading = condition.reading
            waiting = reading is not None and reading.taken_ns > sent_ns and reading.state in (State.HOLD, State.DOOR)
            return condition.homing and waiting

        condition.homed = False
        condition.homing = True
        controller.publish()
        try:
            await controller.command("$H", self._settings.homing_s, gives_up=waits)
        except (DriverRefused, DriverUnavailable) as error:
            if condition.homing:
                # It was refused, or waits behind a door or a hold, or takes too long: nothing may be left to start.
                refused = isinstance(error, DriverRefused) and not waits()
                if not refused:
                    controller.hold()
                    await self._gate.halt()
            raise self._refused("home", str(error.reason)) from error
        except asyncio.CancelledError:
            await self._gate.stop_unheard()
            raise
        else:
            condition.homed = True
        finally:
            condition.homing = False
            controller.ask()
        done_ns = controller.now_ns()
        if await controller.until(lambda: self._gate.idle_since(done_ns), self._settings.reply_s):
            await self._measure.put_back()

    async def unlock(self) -> None:
        """Leave an alarm that kept the position; nothing to do where there is none."""
        with self._gate.exclusive("unlock"):
            reading = self._gate.trusted("unlock")
            alarms = self._controller.condition.alarms
            if reading.state is not State.ALARM and not alarms:
                return
            lost = [alarm.text for alarm in alarms if not alarm.position_kept]
            if lost:
                raise self._refused("unlock", f"its position is not known. {lost[0]}")
            sent_ns = self._controller.now_ns()
            await self._gate.command("$X")
            self._controller.ask()
            if not await self._controller.until(lambda: self._gate.idle_since(sent_ns), self._settings.reply_s):
                raise self._refused("unlock", "it stays locked")
            await self._measure.put_back()

    async def run_program(self, program: ProgramText) -> None:
        """Run `program` to its end: returns when the last motion has ended.

        Raises ProgramRejected before anything moves, ProgramFailed or ProgramInterrupted when it ended before its end.
        """
        with self._gate.exclusive("run a program"):
            controller = self._controller
            life = controller.session.life
            await screen(program, controller.identity.window)
            self._gate.idle("run a program")
            await self._measure.begin()
            self._gate.idle("run a program")
            if controller.session.life != life:
                # A stop needs less time than the check of a long program, and leaves the machine ready behind it.
                raise self._refused("run a program", "it was stopped or started again before the first line")
            stall_ns = int(self._settings.stall_s * 1e9)
            job = Job(program, controller.identity.window, stall_ns, controller.now_ns())
            try:
                await self._follow(job)
            finally:
                controller.job = None
                self._measure.left_by_program()
            await self._measure.end(program)

    async def check_program(self, program: ProgramText, tell: Callable[[int], None]) -> tuple[RefusedLine, ...]:
        """Let the controller read every line in its check mode and return those that it refuses. Nothing moves.

        Raises ProgramRejected before anything is sent, DriverRefused, DriverUnavailable.
        """
        with self._gate.exclusive(COMMAND):
            controller = self._controller
            life = controller.session.life
            await screen(program, controller.identity.window)
            self._gate.idle(COMMAND)
            if controller.session.life != life:
                raise self._refused(COMMAND, "it was stopped or started again before the first line")
            return await self._check_mode.run(program, tell)

    async def _follow(self, job: Job) -> None:
        """Stream `job` and wait for its end. Raises ProgramFailed or ProgramInterrupted."""
        controller = self._controller
        try:
            controller.begin(job)
            await controller.until(lambda: job.ended, None)
        except DriverUnavailable as error:
            job.fail(str(error), interrupted=True)
        except asyncio.CancelledError:
            job.fail("it was cancelled", stop=True)
            await self._gate.stop_unheard()
            raise
        if job.failure is not None:
            await self._end_badly(job, job.failure)

    async def _end_badly(self, job: Job, failure: Failure) -> None:
        """Bring the machine to a stand where it may still move. Raises ProgramFailed or ProgramInterrupted."""
        reason = failure.reason
        if failure.stop:
            try:
                await self._gate.halt()
            except StopNotDelivered as error:
                reason = f"{reason}. {error}"
                self._controller.require_person(str(error))
        if failure.interrupted:
            raise ProgramInterrupted(program_id=job.program.program_id, reason=reason)
        raise ProgramFailed(program_id=job.program.program_id, reason=reason, source_line=failure.source_line)

    def _refused(self, command: str, reason: str) -> DriverRefused:
        """Return the error with its facts."""
        return DriverRefused(machine_id=self._machine_id, command=command, reason=reason)


def _leaves(group: BaseExceptionGroup[DriverUnavailable]) -> list[DriverUnavailable]:
    """Return the errors in `group`, however deep."""
    leaves: list[DriverUnavailable] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
