# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs from a visitor's wish to a piece: the operator approves, a person starts at the machine, the evidence stays."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from edge.domain.errors import (
    InfoMobilError,
    JobTransitionRefused,
    MotionRefused,
    NotFound,
    ProgramAborted,
    ProgramRejected,
    Refused,
    StoreUnavailable,
)
from edge.domain.events import Event, EventType
from edge.domain.job import Job, JobAction, JobState
from edge.domain.machine import Capability, Execution
from edge.domain.ports import Clock, EventStore
from edge.safety.permissives import Command
from edge.services.bus import EventBus, JobsChanged, MachineChanged, Message, Notice
from edge.services.programs import Prepared, ProgramCatalog, Wish
from edge.services.recorder import Recorder
from edge.services.supervisor import MachineSupervisor

log = logging.getLogger(__name__)

JOB_PREFIX = "job:"
CLAIM_KEY = "claim"
CLAIMS = 99
HANDLING_S = 45.0
MAX_WAITING = 60
ENDED_KEPT = 50
RETRY_S = 1.0
RESTARTED = "The controller service was restarted during this job."
WISH_LOST = "The controller service was restarted, and the text to engrave was kept in memory only. Please ask again."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: part done 0..1 by planned time, seconds left of machine time."""

    done: float
    remaining_s: float


def _queue_full() -> Refused:
    return Refused(
        code="queue-full", what="The wish is not taken.", why="The queue is full.", remedy="Ask the operator."
    )


class JobService:
    """The queue of all machines. One change of a job at a time; each is recorded with the working state."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        catalog: ProgramCatalog,
        *,
        store: EventStore,
        recorder: Recorder,
        bus: EventBus,
        clock: Clock,
        visit_id: Callable[[], str | None],
    ) -> None:
        self._machines = machines
        self._catalog = catalog
        self._store = store
        self._recorder = recorder
        self._bus = bus
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._wishes: dict[str, Wish] = {}
        self._prepared: dict[str, Prepared] = {}
        self._started_ns: dict[str, int] = {}
        self._starting: set[str] = set()
        self._claim = 0
        self._lock = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._follow: asyncio.Queue[str] = asyncio.Queue()
        self._visit_id = visit_id

    async def load(self) -> None:
        """Take up the queue of the time before. What ran then has failed; lost wishes are declined."""
        for text in (await self._store.load(JOB_PREFIX)).values():
            raw = json.loads(text)
            job = Job(**{**raw, "state": JobState(raw["state"])})
            self._jobs[job.job_id] = job
        self._jobs = dict(sorted(self._jobs.items(), key=lambda item: item[1].order))
        kept = await self._store.load(CLAIM_KEY)
        self._claim = int(kept.get(CLAIM_KEY, "0"))
        for job in tuple(self._jobs.values()):
            if job.state in (JobState.RUNNING, JobState.HELD):
                await self._change(job, JobAction.FAIL, reason=RESTARTED)
            elif job.personal and not job.state.ended:
                await self._change(job, JobAction.DECLINE, reason=WISH_LOST)

    def jobs(self) -> list[Job]:
        """Return all jobs known, oldest first; ended ones until they are forgotten."""
        return list(self._jobs.values())

    def job(self, job_id: str) -> Job:
        """Return one job; raises NotFound."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFound(what="job", key=job_id) from None

    def wish(self, job_id: str) -> Wish | None:
        """Return what the visitor asked for, for the operator's eye; from memory."""
        return self._wishes.get(job_id)

    def running_on(self, machine_id: str) -> Job | None:
        """Return the job that the machine works on."""
        for job in self._jobs.values():
            if job.machine_id == machine_id and job.state in (JobState.RUNNING, JobState.HELD):
                return job
        return None

    def waiting_before(self, job: Job) -> list[Job]:
        """Return the jobs of the same machine that come before `job` and have not ended."""
        return [
            other
            for other in self._jobs.values()
            if other.machine_id == job.machine_id and not other.state.ended and other.order < job.order
        ]

    def progress(self, job: Job) -> Progress:
        """Return how far `job` is, by the plan's time up to the line that the controller has taken."""
        if job.state is JobState.FINISHED:
            return Progress(1.0, 0.0)
        prepared = self._prepared.get(job.job_id)
        if job.state not in (JobState.RUNNING, JobState.HELD) or prepared is None or prepared.seconds <= 0:
            return Progress(job.progress if job.state.ended else 0.0, 0.0 if job.state.ended else job.estimate_s)
        line = self._machines[job.machine_id].state.line or 0
        done_s = prepared.seconds_until(line)
        return Progress(min(1.0, done_s / prepared.seconds), max(0.0, prepared.seconds - done_s))

    def wait_s(self, job: Job) -> float:
        """Return the seconds until `job` can be expected to start: machine time before it, and handling."""
        return sum(self.progress(other).remaining_s + HANDLING_S for other in self.waiting_before(job))

    def _machine_for_visitors(self) -> MachineSupervisor:
        able = [m for m in self._machines.values() if Capability.RUN_PROGRAM in m.info.capabilities]
        if not able:
            raise Refused(
                what="The wish is not taken.",
                why="No machine is connected that could cut it.",
                remedy="Ask the operator.",
            )
        return min(
            able, key=lambda m: sum(not j.state.ended for j in self._jobs.values() if j.machine_id == m.machine_id)
        )

    def _next_claim(self) -> int:
        taken = {job.claim for job in self._jobs.values() if not job.state.ended}
        claim = self._claim
        for _ in range(CLAIMS):
            claim = claim % CLAIMS + 1
            if claim not in taken:
                return claim
        raise _queue_full()

    async def request(self, piece_id: str, wish: Wish, *, guess_s: float | None, request_id: str = "") -> Job:
        """Queue a visitor's wish: compiled and checked now, approved by the operator later. A repeated one counts once.

        Raises NotFound, Refused, ProgramRejected, StoreUnavailable.
        """
        known = self._requested(request_id)
        if known is not None:
            return known
        if sum(not job.state.ended for job in self._jobs.values()) >= MAX_WAITING:
            raise _queue_full()
        machine = self._machine_for_visitors()
        prepared = await self._catalog.prepare_piece(piece_id, wish, machine.info, machine.state.work_offset)
        prepared.require_clean(piece_id)
        return await self._enqueue(
            machine.machine_id, piece_id, prepared, origin="kiosk", guess_s=guess_s, wish=wish, request_id=request_id
        )

    def _requested(self, request_id: str) -> Job | None:
        if not request_id:
            return None
        return next((job for job in self._jobs.values() if job.request_id == request_id), None)

    async def add(self, program_id: str, machine_id: str) -> Job:
        """Queue a program of the operator's choice. Raises NotFound, ProgramRejected, StoreUnavailable."""
        if machine_id not in self._machines:
            raise NotFound(what="machine", key=machine_id)
        machine = self._machines[machine_id]
        if Capability.RUN_PROGRAM not in machine.info.capabilities:
            raise Refused(
                what="The job is not queued.",
                why=f"{machine.info.name} takes no programs from here, or is not connected.",
                remedy="Choose another machine.",
            )
        prepared = await self._catalog.prepare(program_id, machine.info, machine.state.work_offset)
        prepared.require_clean(program_id)
        return await self._enqueue(machine_id, program_id, prepared, origin="operator", guess_s=None, wish=None)

    async def _enqueue(
        self,
        machine_id: str,
        program_id: str,
        prepared: Prepared,
        *,
        origin: str,
        guess_s: float | None,
        wish: Wish | None,
        request_id: str = "",
    ) -> Job:
        async with self._lock:
            known = self._requested(request_id)
            if known is not None:
                return known
            claim = self._next_claim()
            job = Job(
                job_id=uuid.uuid4().hex,
                claim=claim,
                machine_id=machine_id,
                program_id=program_id,
                origin=origin,
                visit_id=self._visit_id(),
                estimate_s=round(prepared.seconds, 1),
                guess_s=guess_s,
                total_lines=prepared.total_lines,
                order=max((other.order for other in self._jobs.values()), default=0) + 1,
                personal=wish is not None and wish.personal,
                request_id=request_id,
            )
            await self._recorder.commit([self._event(job)], {**self._save(job), CLAIM_KEY: str(claim)})
            self._claim = claim
            if wish is not None:
                self._wishes[job.job_id] = wish
            self._put(job)
            return job

    def _event(self, job: Job) -> Event:
        return self._recorder.event(
            EventType.JOB_CHANGED,
            {
                "job": job.job_id,
                "claim": job.claim,
                "machine": job.machine_id,
                "program": job.program_id,
                "origin": job.origin,
                "state": job.state.value,
                "reason": job.reason,
                "visit": job.visit_id,
                "estimate_s": job.estimate_s,
                "guess_s": job.guess_s,
                "actual_s": job.actual_s,
                "lines": job.total_lines,
            },
        )

    @staticmethod
    def _save(job: Job) -> dict[str, str | None]:
        return {JOB_PREFIX + job.job_id: json.dumps(asdict(job))}

    def _put(self, job: Job) -> None:
        self._jobs[job.job_id] = job
        if job.state.ended:
            self._wishes.pop(job.job_id, None)
        self._bus.publish(JobsChanged())

    async def _change(self, job: Job, action: JobAction, *, reason: str = "", actual_s: float | None = None) -> Job:
        async with self._lock:
            changed = self.job(job.job_id).after(action, reason=reason, actual_s=actual_s)
            if changed.state.ended:
                changed = replace(changed, progress=self.progress(self.job(job.job_id)).done)
                if changed.state is JobState.FINISHED:
                    changed = replace(changed, progress=1.0, line=changed.total_lines)
            forgotten = self._forgettable() if changed.state.ended else []
            drops: dict[str, str | None] = {JOB_PREFIX + job_id: None for job_id in forgotten}
            await self._recorder.commit([self._event(changed)], {**drops, **self._save(changed)})
            for job_id in forgotten:
                del self._jobs[job_id]
                self._prepared.pop(job_id, None)
            self._put(changed)
            return changed

    def _forgettable(self) -> list[str]:
        ended = [job.job_id for job in self._jobs.values() if job.state.ended]
        return ended[: max(0, len(ended) - ENDED_KEPT)]

    async def approve(self, job_id: str) -> Job:
        """Approve a requested job. Starts nothing."""
        return await self._change(self.job(job_id), JobAction.APPROVE)

    async def decline(self, job_id: str, reason: str) -> Job:
        """Decline a job that has not started."""
        return await self._change(self.job(job_id), JobAction.DECLINE, reason=reason)

    async def start(self, job_id: str, *, area_clear: bool) -> Job:
        """Start an approved job: a person says that the area is clear, everything is checked again, then it runs.

        Raises Refused, JobTransitionRefused, MotionRefused, ProgramRejected, StoreUnavailable.
        """
        job = self.job(job_id)
        machine = self._machines[job.machine_id]
        if not area_clear:
            raise Refused(
                what="The job does not start.",
                why="Nobody has confirmed that the area is clear.",
                remedy="Look at the machine, then confirm.",
            )
        if job.state is not JobState.APPROVED:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.START.value)
        machine.require(Command.START)
        prepared = await self._prepare_again(job, machine)
        prepared.require_clean(job.program_id)
        machine.require(Command.START)
        if self._group is None:
            raise Refused(what="The job does not start.", why="The service is ending.", remedy="Wait for its restart.")
        started = await self._begin(job, machine)
        self._prepared[job_id] = prepared
        self._started_ns[job_id] = self._clock.boot_ns()
        self._group.create_task(self._run_job(started, machine, prepared), name=f"job {job_id}")
        return started

    async def _begin(self, job: Job, machine: MachineSupervisor) -> Job:
        """Take the machine for one job: of two starts at once the second is refused, and stays approved."""
        if self.running_on(job.machine_id) is not None or job.machine_id in self._starting:
            raise MotionRefused(
                machine_id=job.machine_id,
                machine=machine.info.name,
                command="start",
                reasons="It works on another job.",
            )
        self._starting.add(job.machine_id)
        try:
            return await self._change(job, JobAction.START)
        finally:
            self._starting.discard(job.machine_id)

    async def _prepare_again(self, job: Job, machine: MachineSupervisor) -> Prepared:
        offset = machine.state.work_offset
        if offset is None:
            raise ProgramRejected(program_id=job.program_id, reason="the machine has not reported its work offset yet")
        wish = self._wishes.get(job.job_id)
        if wish is not None:
            return await self._catalog.prepare_piece(job.program_id, wish, machine.info, offset)
        return await self._catalog.prepare(job.program_id, machine.info, offset)

    async def _run_job(self, job: Job, machine: MachineSupervisor, prepared: Prepared) -> None:
        action, reason = JobAction.FINISH, ""
        try:
            await machine.run_program(prepared.text)
        except ProgramAborted as error:
            action, reason = JobAction.ABORT, str(error.facts["reason"])
        except InfoMobilError as error:
            action, reason = JobAction.FAIL, str(error)
        except asyncio.CancelledError:
            action, reason = JobAction.ABORT, "the service ended"
        await self._end(job, action, reason)

    async def _end(self, job: Job, action: JobAction, reason: str) -> None:
        actual_s = round((self._clock.boot_ns() - self._started_ns.pop(job.job_id)) / 1e9, 1)
        while True:
            try:
                ended = await self._change(job, action, reason=reason[:200], actual_s=actual_s)
                break
            except StoreUnavailable as error:
                # The machine stands; what happened has to reach the disk before the job leaves the list.
                log.error("the end of job %s waits for the disk: %s", job.claim, error)  # noqa: TRY400
                await asyncio.sleep(RETRY_S)
        if action is not JobAction.FINISH:
            facts = (("claim", str(ended.claim)), ("state", ended.state.value), ("reason", ended.reason))
            text = f"Job {ended.claim}: {ended.state.value}. {ended.reason}"
            self._bus.publish(Notice("attention", text, "job", facts))

    def _listen(self, message: Message) -> None:
        if isinstance(message, MachineChanged) and self.running_on(message.machine_id) is not None:
            self._follow.put_nowait(message.machine_id)

    async def run(self) -> None:
        """Run jobs and follow holds, until cancelled."""
        unsubscribe = self._bus.subscribe(self._listen)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._follow_machines()
        finally:
            self._group = None
            unsubscribe()

    async def _follow_machines(self) -> None:
        while True:
            machine_id = await self._follow.get()
            job = self.running_on(machine_id)
            if job is None:
                continue
            execution = self._machines[machine_id].state.execution
            held = execution in (Execution.FEED_HOLD, Execution.INTERRUPTED)
            with suppress(JobTransitionRefused, StoreUnavailable):
                if held and job.state is JobState.RUNNING:
                    await self._change(job, JobAction.HOLD)
                elif not held and execution is Execution.ACTIVE and job.state is JobState.HELD:
                    await self._change(job, JobAction.RESUME)
