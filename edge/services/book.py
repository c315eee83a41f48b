# SPDX-License-Identifier: GPL-3.0-or-later
"""The book of all jobs: one change at a time, each recorded together with the working state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, replace

from edge.domain.errors import NotFound, Refused
from edge.domain.events import Event, EventType
from edge.domain.job import Job, JobAction, JobState, Waits
from edge.domain.ports import EventStore
from edge.services.bus import EventBus, JobsChanged
from edge.services.checking import Checked
from edge.services.finish import to_its_end
from edge.services.journal import JobJournal
from edge.services.preparing import Prepared, Wish
from edge.services.recorder import Recorder

JOB_PREFIX = "job:"
CLAIM_KEY = "claim"
CLAIMS = 99
ENDED_KEPT = 50
WORKING = (JobState.RUNNING, JobState.HELD)


def queue_full() -> Refused:
    """Return why a wish is not taken."""
    return Refused(
        code="queue-full", what="The wish is not taken.", why="The queue is full.", remedy="Ask the operator."
    )


class JobBook:
    """Jobs by id, oldest first, with what is known of them in memory only: wishes, checked programs, approvals."""

    def __init__(self, store: EventStore, recorder: Recorder, bus: EventBus, journal: JobJournal) -> None:
        self._store = store
        self._recorder = recorder
        self._bus = bus
        self._journal = journal
        self._lock = asyncio.Lock()
        self._claim = 0
        self.jobs: dict[str, Job] = {}
        self.wishes: dict[str, Wish] = {}
        self.prepared: dict[str, Prepared] = {}
        self.checked: dict[str, Checked] = {}
        """What was approved with each job that has not ended; what is not here is not known."""
        self.rechecked: dict[str, str] = {}
        """The digest of the newest check that somebody asked for again, of each job that has not ended."""

    async def load(self) -> None:
        """Take up the jobs of the time before."""
        loaded = [_job(text) for text in (await self._store.load(JOB_PREFIX)).values()]
        self.jobs = {job.job_id: job for job in sorted(loaded, key=lambda job: job.order)}
        self._claim = int((await self._store.load(CLAIM_KEY)).get(CLAIM_KEY, "0"))
        await self._journal.keep_only(self.jobs)

    def job(self, job_id: str) -> Job:
        """Return one job; raises NotFound."""
        try:
            return self.jobs[job_id]
        except KeyError:
            raise NotFound(what="job", key=job_id) from None

    def working_on(self, machine_id: str) -> Job | None:
        """Return the job that the machine works on, or that it is held at."""
        found = (job for job in self.jobs.values() if job.machine_id == machine_id and job.state in WORKING)
        return next(found, None)

    def requested(self, request_id: str) -> Job | None:
        """Return the job of a wish that was made before."""
        if not request_id:
            return None
        return next((job for job in self.jobs.values() if job.request_id == request_id), None)

    def _next_claim(self) -> int:
        taken = {job.claim for job in self.jobs.values() if not job.state.ended}
        claim = self._claim
        for _ in range(CLAIMS):
            claim = claim % CLAIMS + 1
            if claim not in taken:
                return claim
        raise queue_full()

    @to_its_end
    async def add(self, make: Callable[[int, int], Job], wish: Wish | None) -> Job:
        """Enter the job that `make` returns for a claim and a place in the queue; a repeated request counts once."""
        async with self._lock:
            claim = self._next_claim()
            job = make(claim, max((other.order for other in self.jobs.values()), default=0) + 1)
            known = self.requested(job.request_id)
            if known is not None:
                return known
            await self._recorder.commit([self._event(job)], {**_save(job), CLAIM_KEY: str(claim)})
            self._claim = claim
            if wish is not None:
                self.wishes[job.job_id] = wish
            self._put(job)
            return job

    async def change(
        self,
        job_id: str,
        action: JobAction,
        *,
        reason: str = "",
        actual_s: float | None = None,
        done: float | None = None,
        line: int | None = None,
        estimate_s: float | None = None,
        total_lines: int | None = None,
        checked: Checked | None = None,
    ) -> Job:
        """Let `action` happen to a job; done is its progress 0..1, checked what a person has approved with it.

        Where it cannot happen, what was approved before stands. Raises JobTransitionRefused, StoreUnavailable.
        """
        async with self._lock:
            changed = self.job(job_id).after(action, reason=reason, actual_s=actual_s)
            if changed.state is JobState.FINISHED:
                done, line = 1.0, changed.total_lines
            changed = replace(
                changed,
                progress=changed.progress if done is None else done,
                line=changed.line if line is None else line,
                estimate_s=changed.estimate_s if estimate_s is None else estimate_s,
                total_lines=changed.total_lines if total_lines is None else total_lines,
            )
            committed = await self._commit(changed)
            if checked is not None:
                self.checked[job_id] = checked
            elif action is JobAction.RECHECK:
                self.checked.pop(job_id, None)
            return committed

    async def wait_at(self, job_id: str, waits: Waits) -> Job:
        """Hold a job at a stop of its program. Raises JobTransitionRefused, StoreUnavailable."""
        async with self._lock:
            return await self._commit(self.job(job_id).waiting(waits))

    async def _commit(self, changed: Job) -> Job:
        forgotten = self._forgettable() if changed.state.ended else []
        drops: dict[str, str | None] = {JOB_PREFIX + job_id: None for job_id in forgotten}
        await self._recorder.commit([self._event(changed)], {**drops, **_save(changed)})
        for job_id in forgotten:
            del self.jobs[job_id]
        self._put(changed)
        if forgotten:
            await self._journal.keep_only(self.jobs)
        return changed

    def _put(self, job: Job) -> None:
        self.jobs[job.job_id] = job
        if job.state.ended:
            self.wishes.pop(job.job_id, None)
            self.prepared.pop(job.job_id, None)
            self.checked.pop(job.job_id, None)
            self.rechecked.pop(job.job_id, None)
        self._bus.publish(JobsChanged())

    def _forgettable(self) -> list[str]:
        ended = [job.job_id for job in self.jobs.values() if job.state.ended]
        return ended[: max(0, len(ended) - ENDED_KEPT)]

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
                "turn": job.turn,
            },
        )


def _save(job: Job) -> dict[str, str | None]:
    return {JOB_PREFIX + job.job_id: json.dumps(asdict(job))}


def _job(text: str) -> Job:
    raw = json.loads(text)
    waits = raw.get("waits")
    return Job(**{**raw, "state": JobState(raw["state"]), "waits": Waits(**waits) if waits else None})
