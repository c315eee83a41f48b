# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine as this service sees it and stops it, with its latch and its fault; nothing here begins motion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge.domain.errors import StopNotDelivered
from edge.domain.inputs import InputRule, InputSample
from edge.domain.machine import Capability, Execution, Fault, MachineInfo, MachineState
from edge.domain.ports import Clock, Guardian, MachineDriver
from edge.safety import interlock as latch
from edge.safety.interlock import InputStatus, Interlock, LatchState, Reading
from edge.safety.permissives import Facts
from edge.services.begun import Begun
from edge.services.bus import EventBus
from edge.services.machine_record import MachineRecord, cause_text
from edge.services.machine_view import MachineView, view_of
from edge.services.recorder import Recorder

log = logging.getLogger(__name__)

HOLD_WINS_NS = 5_000_000_000
METRICS_EVERY_NS = 10_000_000_000


class WatchedMachine:
    """What of a machine's supervisor needs no permission. Every method runs on the loop's thread.

    A trip runs on the stack of whoever brought the input: the hold is on the wire before `on_input` returns.
    """

    def __init__(
        self,
        driver: MachineDriver,
        rules: Sequence[InputRule],
        *,
        clock: Clock,
        bus: EventBus,
        recorder: Recorder,
        guardian: Guardian | None,
    ) -> None:
        self._driver = driver
        self._rules = tuple(rules)
        self._clock = clock
        self._bus = bus
        self._record = MachineRecord(driver.info, recorder, bus)
        self._guardian = guardian
        self._samples: dict[str, InputSample] = {}
        self._interlock = Interlock()
        self._fault = ""
        self._busy = ""
        self._still = False
        self._by_hand = False
        self._doubtful = False
        self._opening: Callable[[], Sequence[str]] = tuple
        self._stop_reason = ""
        self._decided = False
        self._blind = False
        self._closing = False
        self.begun = Begun()
        """What an order from here has to do with the motion of a machine that runs programs by itself."""
        self.stops = 0
        """How often a stop was asked for: what was asked for before one must not begin after it."""
        self._lost = 0
        self._holds = 0
        self._held_until_ns = 0
        self._stop_task: asyncio.Task[None] | None = None
        self._last_words: tuple[str, str] = ("", "")
        self._last_metrics_ns = 0
        self._unsubscribe = driver.subscribe(self._on_state)

    @property
    def machine_id(self) -> str:
        """Return the machine's id."""
        return self._driver.info().machine_id

    @property
    def info(self) -> MachineInfo:
        """Return who the machine is."""
        return self._driver.info()

    @property
    def driver(self) -> MachineDriver:
        """Return the driver, for the parts of the supervisor that stand in rooms of their own."""
        return self._driver

    @property
    def state(self) -> MachineState:
        """Return the newest reading; a position in doubt counts as not homed."""
        state = self._driver.state()
        return replace(state, homed=False) if self._doubtful and state.homed else state

    def changed(self) -> None:
        """Say that the view of the machine looks different now."""
        self._record.changed()

    def doubt_position(self) -> None:
        """Trust no position before the machine has homed again: it was on the road, or its settings have changed."""
        self._doubtful = True
        self._record.changed()

    def believe_position(self) -> None:
        """Take a person's word for the position of a machine that cannot home."""
        self._doubtful = False
        self._record.changed()

    def heed_opening(self, pending: Callable[[], Sequence[str]]) -> None:
        """Ask `pending` from now on what is left of the checklist after a drive."""
        self._opening = pending

    @property
    def interlock(self) -> Interlock:
        """Return the latch."""
        return self._interlock

    @property
    def in_fault(self) -> bool:
        """Return whether a person has to look at the machine: by its own word or by ours."""
        return bool(self._fault) or self._driver.state().fault is Fault.FAULT

    @property
    def moving(self) -> bool:
        """Return whether the machine may move: by its own word, by a command of ours, or by an order of ours.

        After an order a machine that can be heard counts as moving while it does not say that it stands.
        """
        state = self._driver.state()
        return (bool(self._busy) and not self._still) or state.in_motion or self.begun.moves_untold(state)

    @property
    def may_move(self) -> bool:
        """Return whether the machine may move now or later by something from here, also where nobody hears it."""
        return self.moving or self.begun.may_move(self._driver.state())

    @property
    def stoppable(self) -> bool:
        """Return whether a stop from here can reach the machine: of what is only watched nobody expects it."""
        return self._guardian is not None or Capability.STOP in self.info.capabilities

    @property
    def holdable(self) -> bool:
        """Return whether a hold from here can reach the machine."""
        return self._guardian is not None or Capability.HOLD in self.info.capabilities

    def on_input(self, sample: InputSample) -> None:
        """Take a sample. Where it trips the interlock of a moving machine, the hold is written at once."""
        self._samples[sample.name] = sample
        self._evaluate()

    def _readings(self, now_ns: int) -> tuple[Reading, ...]:
        return tuple(latch.read(rule, self._samples.get(rule.name), now_ns) for rule in self._rules)

    def _evaluate(self) -> None:
        before = self._interlock
        readings = self._readings(self._clock.boot_ns())
        self._interlock = latch.step(before, readings)
        if self._interlock.state is before.state:
            return
        moving = self.may_move
        cause = self._interlock.cause
        if before.state is LatchState.PERMITTED and moving and (self.stoppable or self.holdable):
            self._blind = not self._stop_reason and cause is not None and cause.status is InputStatus.UNKNOWN
            self._stop_now(cause_text(cause), origin="interlock")
        self._record.tripped(cause, in_motion=moving, stoppable=self.stoppable)

    def _stop_now(self, reason: str, *, origin: str) -> None:
        """Write the hold on this stack, then let the stop that keeps the position follow as a task.

        Each as far as the machine offers it: one that can only be held is held.
        """
        delivered = False
        if self.holdable:
            self._holds += 1
            try:
                self._driver.hold()
                delivered = True
            except StopNotDelivered as error:
                self._set_fault(str(error))
        if not self.stoppable:
            self._record.stop("hold", origin, delivered=delivered)
            return
        self._stop_reason = self._stop_reason or reason
        if self._stop_task is None or self._stop_task.done():
            self._stop_task = asyncio.get_running_loop().create_task(
                self._stop_quietly(origin), name=f"stop {self.machine_id}"
            )

    async def _stop_quietly(self, origin: str) -> None:
        try:
            await self.stop(origin)
        except StopNotDelivered as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all

    def _set_fault(self, reason: str) -> None:
        if self._fault:
            return
        self._fault = reason
        self._record.fault(reason)

    def guardian_acted(self) -> None:
        """Mark the fault that the guardian's stop leaves behind; a command that is under way ends with it.

        The place may have been lost in the reset that it wrote, so it is not trusted.
        """
        self.doubt_position()
        if self._busy:
            self._stop_now("the guardian stopped the machine", origin="guardian")
        self._set_fault("The guardian stopped the machine because this service had fallen silent.")

    def guardian_gone(self) -> None:
        """Stop what moves and mark the fault: the guardian ended or is stuck, and nothing moves unminded."""
        if self._busy:
            self._stop_now("the guardian process ended or is stuck", origin="guardian")
        self._set_fault("The guardian process ended or got stuck while the machine moved, so it was stopped.")

    def _on_state(self, state: MachineState) -> None:
        self._evaluate()
        self.begun.look(state, busy=bool(self._busy))
        self._stop_what_slipped(state)
        self._hold_again(state)
        words = (state.availability.value, state.execution.value)
        now = self._clock.boot_ns()
        due = state.in_motion and now - self._last_metrics_ns >= METRICS_EVERY_NS
        if words != self._last_words or due:
            self._last_words, self._last_metrics_ns = words, now
            self._record.state(state)
        self._record.changed()

    def _stop_what_slipped(self, state: MachineState) -> None:
        """Stop what was begun from here and moves though the latch is not reset: it began late, or was out of reach."""
        if self._interlock.state is LatchState.PERMITTED or not self.begun.slipped(state):
            return
        if not (self.stoppable or self.holdable) or (self._stop_task is not None and not self._stop_task.done()):
            return
        self.begun.tried()
        self._stop_now(cause_text(self._interlock.cause), origin="interlock")

    def facts(self, *, far: bool = False) -> Facts:
        """Return what the permissives look at, now; far as `Facts` explains it."""
        now, state = self._clock.boot_ns(), self.state
        return Facts(
            name=self.info.name,
            state=state,
            state_age_ns=now - state.taken_ns if state.taken_ns else None,
            interlock=self._interlock,
            readings=self._readings(now),
            guarded=self._guardian is not None,
            guardian_alive=self._guardian is not None and self._guardian.alive,
            busy=bool(self._busy),
            own_fault=self._fault,
            far=far,
            opening=tuple(self._opening()),
        )

    def view(self) -> MachineView:
        """Return what a screen may know."""
        return view_of(self.info, self.facts())

    def hold(self, origin: str) -> None:
        """Ask for a feed hold, now and whatever the state; motion by hand ends with it. Raises StopNotDelivered."""
        self._holds += 1
        try:
            self._driver.hold()
        except StopNotDelivered:
            self._record.stop("hold", origin, delivered=False)
            raise
        self._record.stop("hold", origin, delivered=True)
        if self._by_hand:
            self._stop_now(f"held by {origin}", origin=origin)

    async def stop(self, origin: str, reason: str = "") -> None:
        """Stop and keep the position where that is possible. Never gated. Raises StopNotDelivered.

        reason says why where that was no person's decision: a command that is under way ends with it once delivered.
        """
        self.stops += 1
        if not self._stop_reason:
            self._decided = not reason and origin != "shutdown"
            self._stop_reason = reason or f"stopped by {origin}"
        try:
            await self._driver.stop()
        except StopNotDelivered as error:
            self._record.stop("stop", origin, delivered=False)
            self._stop_reason = "" if reason else self._stop_reason
            self._lost += 1
            # A machine that runs programs by itself and stands has nothing that could be stopped: that is no fault.
            if self._guardian is not None or (self._rules and self.stoppable and self.may_move):
                self._set_fault(str(error))
            raise
        finally:
            if not self._busy:
                self._stop_reason = ""
        self.begun.stopped()
        self._record.stop("stop", origin, delivered=True)

    def _keep_held(self) -> None:
        """Let the hold win that came while the machine was asked to go on."""
        self._held_until_ns = self._clock.boot_ns() + HOLD_WINS_NS
        self._hold_again(self.state)

    def _hold_again(self, state: MachineState) -> None:
        """Hold what goes on though a hold came after the person's word: the machine took that before the order."""
        if state.execution is Execution.ACTIVE and self._clock.boot_ns() < self._held_until_ns:
            self._held_until_ns = 0
            try:
                self.hold("the hold before")
            except StopNotDelivered as error:
                self._set_fault(str(error))
