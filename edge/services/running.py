# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs at the machines: each is one task that runs the program's stretches, waits at its stops and records the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.domain.errors import (
    DriverRefused,
    InfoMobilError,
    JobTransitionRefused,
    MotionRefused,
    ProgramAborted,
    ProgramFailed,
    ProgramRejected,
    Refused,
    StoreUnavailable,
)
from edge.domain.job import Job, JobAction, JobState, Waits
from edge.domain.machine import Execution
from edge.domain.ports import Clock, ProgramText
from edge.safety.permissives import Command
from edge.services.book import JobBook
from edge.services.bus import EventBus, MachineChanged, Message, Notice
from edge.services.checking import Basis, Checked, changes, differences, unconfirmed
from edge.services.journal import JobJournal
from edge.services.programs import Prepared, ProgramCatalog
from edge.services.restart import Ask, Restart
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S = 1.0
MEASURED_MM = 0.001
ENDED_SERVICE = "the service ended"
ABANDONED = "Given up by the operator."


@dataclass(frozen=True, slots=True)
class Stretch:
    """What runs next, from `line` of the source on; no text where nothing is left before the stop next_stop.

    stops is the machine's count of stops when a person asked for it, basis what it was checked for: between that and
    the first motion lie checks and the disk, and what a person does meanwhile is the later word.
    """

    text: ProgramText | None
    stops: int
    basis: Basis
    next_stop: int = 0
    line: int = 1


@dataclass(slots=True)
class _Stop:
    """A job at a stop of its program: what ends the wait, and where the zero of Z was when it began, mm."""

    waits: Waits
    goes_on: asyncio.Future[Stretch]
    zero_z: float | None


class JobRunner:
    """Everything that runs or waits at a machine. One task per job, ended by the program, a person or a fault."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        book: JobBook,
        catalog: ProgramCatalog,
        journal: JobJournal,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._machines = machines
        self._book = book
        self._catalog = catalog
        self._journal = journal
        self._bus = bus
        self._clock = clock
        self._starting: set[str] = set()
        self._stops: dict[str, _Stop] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._kept: set[str] = set()
        self._group: asyncio.TaskGroup | None = None
        self._follow: asyncio.Queue[str] = asyncio.Queue()

    def position_kept(self, job_id: str) -> bool:
        """Return whether the machine has known its position without a break since the job was interrupted."""
        return job_id in self._kept

    async def prepare(self, job: Job, machine: MachineSupervisor, *, offset_known: bool = True) -> Prepared:
        """Check the program of a job again, for the machine as it is now. Raises ProgramRejected and others.

        offset_known: a machine that has not said its zero yet is a reason to reject.
        """
        offset = machine.state.work_offset
        if offset is None and offset_known:
            raise ProgramRejected(program_id=job.program_id, reason="the machine has not reported its work offset yet")
        wish = self._book.wishes.get(job.job_id)
        prepared = await self._catalog.prepare(job.program_id, machine.info, offset, wish)
        prepared.require_clean(job.program_id)
        return prepared

    def changed(self, job: Job, sha256: str = "") -> tuple[str, ...]:
        """Return what of the machine is not as it was approved for a job that has begun, one sentence each.

        The zero of Z may be another one where the job waits, or waited when it was interrupted, for a change of tool.
        sha256 is that of the program as it is now, where it has been read. A machine that is away says nothing.
        """
        machine, checked = self._machines[job.machine_id], self._book.checked.get(job.job_id)
        offset = machine.state.work_offset
        if offset is None:
            return ()
        before = checked.basis.offset if checked is not None else None
        if before is not None and job.waits is not None and job.waits.kind == "tool":
            offset = replace(offset, z=before.z)
        return differences(checked, self._catalog.basis(job.program_id, machine.info, offset), sha256)

    async def begin(
        self, job: Job, action: JobAction, prepared: Prepared, stretch: Stretch, checked: Checked | None = None
    ) -> Job:
        """Take the machine for a job and let it run; checked is what a person has approved with that.

        Of two at once the second is refused, and stays what it was.
        """
        machine = self._machines[job.machine_id]
        machine.require(Command.START)
        if self._group is None:
            raise Refused(what="The job does not start.", why="The service is ending.", remedy="Wait for its restart.")
        if self._book.working_on(job.machine_id) is not None or job.machine_id in self._starting:
            raise MotionRefused(
                machine_id=job.machine_id,
                machine=machine.info.name,
                command="start",
                reasons="It works on another job.",
            )
        self._starting.add(job.machine_id)
        try:
            started = await self._book.change(job.job_id, action, checked=checked)
        finally:
            self._starting.discard(job.machine_id)
        self._kept.discard(job.job_id)
        self._book.prepared[job.job_id] = prepared
        task = self._group.create_task(self._run_job(started, machine, prepared, stretch), name=f"job {job.job_id}")
        self._tasks[job.job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.job_id, None))
        return started

    async def _run_job(self, job: Job, machine: MachineSupervisor, prepared: Prepared, stretch: Stretch) -> None:
        began_ns = self._clock.boot_ns()
        action, reason = JobAction.FINISH, ""
        try:
            await self._run_stretches(job, machine, prepared, stretch)
        except ProgramAborted as error:
            action = JobAction.ABORT if error.facts.get("decided") else JobAction.INTERRUPT
            reason = str(error.facts["reason"])
        except (ProgramFailed, DriverRefused) as error:
            action, reason = JobAction.FAIL, str(error)
        except InfoMobilError as error:
            action, reason = JobAction.INTERRUPT, str(error)
        except asyncio.CancelledError:
            action, reason = JobAction.INTERRUPT, ENDED_SERVICE
        self._stops.pop(job.job_id, None)
        actual_s = (job.actual_s or 0.0) + (self._clock.boot_ns() - began_ns) / 1e9
        await self._end(job, machine, action, reason, round(actual_s, 1))

    async def _run_stretches(self, job: Job, machine: MachineSupervisor, prepared: Prepared, stretch: Stretch) -> None:
        while True:
            # On disk before the first line: after a crash the marks of an earlier run would name another line.
            self._journal.begin(job.job_id, stretch.line, machine.state)
            await self._journal.flush()
            if stretch.text is not None:
                machine.require_no_stop_since(stretch.stops, job.program_id)
                self._require_same(stretch, machine, job.program_id)
                await machine.run_program(stretch.text)
            if stretch.next_stop >= len(prepared.stops):
                return
            stretch = await self._wait(job, machine, prepared, stretch.next_stop)

    def _require_same(self, stretch: Stretch, machine: MachineSupervisor, program_id: str) -> None:
        """Raise ProgramRejected where the machine is not as it was when the stretch was checked."""
        offset = machine.state.work_offset
        if offset is None:
            # A machine that does not say it is refused by `run_program` for that.
            return
        now = self._catalog.basis(program_id, machine.info, offset)
        if changes(stretch.basis, replace(now, offset=stretch.basis.offset)):
            raise ProgramRejected(program_id=program_id, reason="the machine was set differently after the check")
        if changes(stretch.basis, now):
            raise ProgramRejected(program_id=program_id, reason="the work zero was moved after the check")

    async def _wait(self, job: Job, machine: MachineSupervisor, prepared: Prepared, number: int) -> Stretch:
        """Wait at a stop until a person lets the job go on. The machine is free for motion by hand meanwhile."""
        found = prepared.stops[number]
        waits = Waits(found.kind, found.tool, found.line, found.text, number)
        offset = machine.state.work_offset
        stop = _Stop(waits, asyncio.get_running_loop().create_future(), offset.z if offset else None)
        self._stops[job.job_id] = stop
        held = await self._recorded(job, lambda: self._book.wait_at(job.job_id, waits))
        tool = f" T{waits.tool}" if waits.tool is not None else ""
        text = f"Job {held.claim} waits for tool{tool}." if waits.kind == "tool" else f"Job {held.claim} waits."
        facts = (("claim", str(held.claim)), ("state", held.state.value), ("reason", waits.text))
        self._bus.publish(Notice("attention", f"{text} {waits.text}".strip(), "job", facts))
        return await stop.goes_on

    async def go_on(self, job_id: str, *, same_length: bool, confirmed: Collection[str] = ()) -> Job:
        """Let a job that waits at a stop go on: everything is checked again first.

        confirmed is what a person has read of the changes since the job was approved. Raises NotFound, Refused,
        JobTransitionRefused, MotionRefused, ProgramRejected, StoreUnavailable.
        """
        job = self._book.job(job_id)
        stop = self._stops.get(job_id)
        if stop is None or job.waits is None:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.RESUME.value)
        machine = self._machines[job.machine_id]
        stops = machine.stops
        machine.require(Command.START, also=unconfirmed(self.changed(job), confirmed))
        self._require_measured(stop, machine, same_length=same_length)
        prepared = await self.prepare(job, machine)
        wish = self._book.wishes.get(job_id)
        ask = Ask(after_stop=stop.waits.number)
        restart = await self._catalog.restart(job.program_id, wish, machine.info, machine.state, ask)
        require_restart(restart)
        machine.require(Command.START, also=unconfirmed(self.changed(job, prepared.sha256), confirmed))
        if self._stops.pop(job_id, None) is not stop:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.RESUME.value)
        try:
            checked = Checked(prepared.sha256, prepared.basis)
            running = await self._book.change(job_id, JobAction.RESUME, checked=checked)
        except StoreUnavailable:
            self._stops[job_id] = stop
            raise
        if not stop.goes_on.done():
            stop.goes_on.set_result(Stretch(restart.text, stops, prepared.basis, restart.next_stop, restart.line))
        return running

    @staticmethod
    def _require_measured(stop: _Stop, machine: MachineSupervisor, *, same_length: bool) -> None:
        offset = machine.state.work_offset
        measured = offset is not None and stop.zero_z is not None and abs(offset.z - stop.zero_z) > MEASURED_MM
        if stop.waits.kind == "tool" and not measured and not same_length:
            raise Refused(
                code="tool-length",
                what="The job does not go on.",
                why="The length of the new tool is not known: the zero of Z is where it was before the change.",
                remedy="Measure the tool or set the zero of Z, or confirm that the tool is as long as the one before.",
            )

    async def give_up(self, job_id: str) -> Job:
        """End a job that was interrupted, or that waits at a stop. Raises JobTransitionRefused, StoreUnavailable."""
        job = self._book.job(job_id)
        stop, task = self._stops.get(job_id), self._tasks.get(job_id)
        if job.waits is not None and job.state is JobState.HELD and stop is not None and task is not None:
            if not stop.goes_on.done():
                stop.goes_on.set_exception(ProgramAborted(program_id=job.program_id, reason=ABANDONED, decided=True))
            await asyncio.wait([task])
            return self._book.job(job_id)
        if job.state is not JobState.INTERRUPTED:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.ABORT.value)
        self._kept.discard(job_id)
        return await self._book.change(job_id, JobAction.ABORT, reason=f"{ABANDONED} {job.reason}"[:200])

    async def _end(self, job: Job, machine: MachineSupervisor, action: JobAction, reason: str, actual_s: float) -> None:
        self._journal.note(job.job_id, machine.state)
        await self._journal.flush()
        mark = self._journal.known(job.job_id)
        line = mark.line if mark else None
        prepared = self._book.prepared.get(job.job_id)
        done = min(1.0, prepared.seconds_until(line or 0) / prepared.seconds) if prepared and prepared.seconds else 0.0

        async def change() -> Job:
            return await self._book.change(
                job.job_id, action, reason=reason[:200], actual_s=actual_s, done=done, line=line
            )

        ended = await self._recorded(job, change)
        if action is JobAction.INTERRUPT and machine.state.homed:
            self._kept.add(job.job_id)
        if action is not JobAction.FINISH:
            facts = (("claim", str(ended.claim)), ("state", ended.state.value), ("reason", ended.reason))
            text = f"Job {ended.claim}: {ended.state.value}. {ended.reason}"
            self._bus.publish(Notice("attention", text, "job", facts))

    async def _recorded(self, job: Job, change: Callable[[], Awaitable[T]]) -> T:
        """Return what `change` returns once the disk has taken it: what happened has to be on it first."""
        while True:
            try:
                return await change()
            except StoreUnavailable as error:
                log.error("news of job %s waits for the disk: %s", job.claim, error)  # noqa: TRY400
                await asyncio.sleep(RETRY_S)

    def _listen(self, message: Message) -> None:
        if not isinstance(message, MachineChanged) or message.machine_id not in self._machines:
            return
        state = self._machines[message.machine_id].state
        if not state.homed:
            self._kept = {key for key in self._kept if self._book.jobs[key].machine_id != message.machine_id}
        job = self._book.working_on(message.machine_id)
        if job is not None:
            if job.waits is None:
                self._journal.note(job.job_id, state)
            self._follow.put_nowait(message.machine_id)

    async def run(self) -> None:
        """Run jobs, follow holds and write the journal, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._journal.run(), name="journal")
                await self._follow_machines()
        finally:
            self._group = None
            unsubscribe()

    async def _follow_machines(self) -> None:
        while True:
            machine_id = await self._follow.get()
            job = self._book.working_on(machine_id)
            # At a stop of the program it is a person who moves the machine.
            if job is None or job.waits is not None:
                continue
            execution = self._machines[machine_id].state.execution
            held = execution in (Execution.FEED_HOLD, Execution.INTERRUPTED)
            with suppress(JobTransitionRefused, StoreUnavailable):
                if held and job.state is JobState.RUNNING:
                    await self._book.change(job.job_id, JobAction.HOLD)
                elif not held and execution is Execution.ACTIVE and job.state is JobState.HELD:
                    await self._book.change(job.job_id, JobAction.RESUME)


def require_restart(restart: Restart) -> None:
    """Raise Refused where a program cannot be started over."""
    if restart.refusal:
        raise Refused(
            code="restart",
            what="The job does not go on.",
            why=restart.refusal,
            remedy="Choose another line, or give the job up and run the program anew.",
        )
