# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs from a visitor's wish to a piece: the operator approves, a person starts at the machine, the evidence stays."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from edge.domain.errors import JobTransitionRefused, MotionRefused, NotFound, Refused
from edge.domain.job import Job, JobAction, JobState
from edge.domain.machine import Capability
from edge.domain.piece import Piece
from edge.domain.ports import Clock, EventStore, Journal
from edge.safety.permissives import Command, Refusal
from edge.services.book import CLAIMS, WORKING, JobBook, queue_full
from edge.services.bus import EventBus
from edge.services.checking import Checked, Shown, outdated
from edge.services.estimate import Left
from edge.services.journal import JobJournal
from edge.services.programs import Prepared, ProgramCatalog, Wish
from edge.services.recorder import Recorder
from edge.services.recovery import Recovery, RecoveryPlan
from edge.services.running import JobRunner, Stretch
from edge.services.supervisor import MachineSupervisor

__all__ = ["CLAIMS", "MAX_WAITING", "RESTARTED", "WISH_LOST", "JobService", "Progress", "RecoveryPlan"]

HANDLING_S = 45.0
MAX_WAITING = 60
RESTARTED = "The controller service was restarted during this job."
WISH_LOST = "The controller service was restarted, and the text to engrave was kept in memory only. Please ask again."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: part done 0..1 by planned time, seconds left of machine time."""

    done: float
    remaining_s: float


class JobService:
    """The queue of all machines, and the way of each job from it to a piece."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        catalog: ProgramCatalog,
        *,
        store: EventStore,
        journal: Journal,
        recorder: Recorder,
        bus: EventBus,
        clock: Clock,
        visit_id: Callable[[], str | None],
    ) -> None:
        self._machines = machines
        self._catalog = catalog
        self._visit_id = visit_id
        marks = JobJournal(journal, clock)
        self._book = JobBook(store, recorder, bus, marks)
        self._runner = JobRunner(machines, self._book, catalog, marks, bus, clock)
        self._recovery = Recovery(machines, self._book, catalog, marks, self._runner)
        self._shown = Shown()
        self._left: Callable[[Job, Prepared], Left | None] = _unknown

    async def load(self) -> None:
        """Take up the queue of the time before.

        What ran then was interrupted. With the text of a personal wish its program is gone: such a job has failed, or
        is declined where it had not begun.
        """
        await self._book.load()
        for job in tuple(self._book.jobs.values()):
            begun = job.state in (*WORKING, JobState.INTERRUPTED)
            if job.personal and begun:
                await self._book.change(job.job_id, JobAction.FAIL, reason=WISH_LOST)
            elif job.personal and not job.state.ended:
                await self._book.change(job.job_id, JobAction.DECLINE, reason=WISH_LOST)
            elif job.state in WORKING:
                await self._book.change(job.job_id, JobAction.INTERRUPT, reason=RESTARTED)

    def jobs(self) -> list[Job]:
        """Return all jobs known, oldest first; ended ones until they are forgotten."""
        return list(self._book.jobs.values())

    def job(self, job_id: str) -> Job:
        """Return one job; raises NotFound."""
        return self._book.job(job_id)

    def wish(self, job_id: str) -> Wish | None:
        """Return what the visitor asked for, for the operator's eye; from memory."""
        return self._book.wishes.get(job_id)

    def running_on(self, machine_id: str) -> Job | None:
        """Return the job that the machine works on."""
        return self._book.working_on(machine_id)

    def waiting_before(self, job: Job) -> list[Job]:
        """Return the jobs of the same machine that come before `job` and have not ended or been interrupted."""
        return [
            other
            for other in self._book.jobs.values()
            if other.machine_id == job.machine_id
            and not other.state.ended
            and other.state is not JobState.INTERRUPTED
            and other.order < job.order
        ]

    def progress(self, job: Job) -> Progress:
        """Return how far `job` is, by the plan's time up to where the machine is, or to the line that it has taken."""
        if job.state is JobState.FINISHED:
            return Progress(1.0, 0.0)
        if job.state.ended:
            return Progress(job.progress, 0.0)
        prepared = self._book.prepared.get(job.job_id)
        if job.state not in WORKING or prepared is None or prepared.seconds <= 0:
            return Progress(job.progress, job.estimate_s * (1.0 - job.progress))
        line = job.waits.line if job.waits is not None else self._machines[job.machine_id].state.line or 0
        done_s = prepared.seconds_until(line)
        left = self._left(job, prepared) or Left(done_s, max(0.0, prepared.seconds - done_s))
        return Progress(min(1.0, left.done_s / prepared.seconds), left.remaining_s)

    def estimate_by(self, left: Callable[[Job, Prepared], Left | None]) -> None:
        """Ask `left` for the progress of running jobs first; without an answer it goes by the receipts of lines."""
        self._left = left

    def wait_s(self, job: Job) -> float:
        """Return the seconds until `job` can be expected to start: machine time before it, and handling."""
        return sum(self.progress(other).remaining_s + HANDLING_S for other in self.waiting_before(job))

    def _machine_for_visitors(self, piece: Piece) -> MachineSupervisor:
        able = [
            machine
            for machine in self._machines.values()
            if Capability.RUN_PROGRAM in machine.info.capabilities and machine.info.kind in piece.machines
        ]
        if not able:
            raise Refused(
                what="The wish is not taken.",
                why="No machine is connected that could cut it.",
                remedy="Ask the operator.",
            )
        return min(
            able, key=lambda m: sum(not j.state.ended for j in self._book.jobs.values() if j.machine_id == m.machine_id)
        )

    async def request(self, piece_id: str, wish: Wish, *, guess_s: float | None, request_id: str = "") -> Job:
        """Queue a visitor's wish: compiled and checked now, approved by the operator later. A repeated one counts once.

        Raises NotFound, Refused, ProgramRejected, StoreUnavailable.
        """
        known = self._book.requested(request_id)
        if known is not None:
            return known
        if sum(not job.state.ended for job in self._book.jobs.values()) >= MAX_WAITING:
            raise queue_full()
        machine = self._machine_for_visitors(self._catalog.piece(piece_id))
        prepared = await self._catalog.prepare_piece(piece_id, wish, machine.info, machine.state.work_offset)
        prepared.require_clean(piece_id)
        return await self._enqueue(
            machine.machine_id, piece_id, prepared, origin="kiosk", guess_s=guess_s, wish=wish, request_id=request_id
        )

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
        piece = self._catalog.pieces.get(program_id)
        if piece is not None and machine.info.kind not in piece.machines:
            raise Refused(
                what="The job is not queued.",
                why=f"The piece is made for another kind of machine than {machine.info.name}.",
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
        def make(claim: int, order: int) -> Job:
            return Job(
                job_id=uuid.uuid4().hex,
                claim=claim,
                machine_id=machine_id,
                program_id=program_id,
                origin=origin,
                visit_id=self._visit_id(),
                estimate_s=round(prepared.seconds, 1),
                guess_s=guess_s,
                total_lines=prepared.total_lines,
                order=order,
                personal=wish is not None and wish.personal,
                request_id=request_id,
            )

        return await self._book.add(make, wish)

    def shown(self, prepared: Prepared) -> str:
        """Remember a check whose result a person is shown; return the digest by which an approval names it."""
        return self._shown.keep(Checked(prepared.sha256, prepared.basis))

    def rechecked(self, job_id: str) -> str | None:
        """Return the digest of the newest check that `recheck` has made for a job, None where it made none."""
        return self._book.rechecked.get(job_id)

    async def approve(self, job_id: str, digest: str | None = None) -> Job:
        """Approve a requested job, whose program is checked for the machine as it stands. Starts nothing.

        digest names the check that the person has seen: where one made now differs, that is refused. Raises NotFound,
        JobTransitionRefused, MotionRefused, ProgramRejected, StoreUnavailable.
        """
        job = self.job(job_id)
        job.after(JobAction.APPROVE)
        machine = self._machines[job.machine_id]
        prepared = await self._runner.prepare(job, machine, offset_known=False)
        estimate_s, lines = round(prepared.seconds, 1), prepared.total_lines
        checked = Checked(prepared.sha256, prepared.basis)
        unseen = () if digest is None else self._shown.differs(digest, checked)
        if unseen:
            raise MotionRefused(
                machine_id=machine.machine_id,
                machine=machine.info.name,
                command=JobAction.APPROVE.value,
                reasons=" ".join(reason.why for reason in unseen),
                refusals=unseen,
            )
        return await self._book.change(
            job_id, JobAction.APPROVE, estimate_s=estimate_s, total_lines=lines, checked=checked
        )

    async def recheck(self, job_id: str) -> Job:
        """Check the program of a job that waits again, for the machine as it stands: it has to be approved anew.

        Raises as `approve`; then the job is as it was.
        """
        job = self.job(job_id)
        job.after(JobAction.RECHECK)
        prepared = await self._runner.prepare(job, self._machines[job.machine_id])
        estimate_s, lines = round(prepared.seconds, 1), prepared.total_lines
        changed = await self._book.change(job_id, JobAction.RECHECK, estimate_s=estimate_s, total_lines=lines)
        self._book.rechecked[job_id] = self.shown(prepared)
        return changed

    async def decline(self, job_id: str, reason: str) -> Job:
        """Decline a job that has not started."""
        return await self._book.change(job_id, JobAction.DECLINE, reason=reason)

    async def start(self, job_id: str, *, area_clear: bool) -> Job:
        """Start an approved job: a person says that the area is clear, everything is checked again, then it runs.

        Where the machine, its zero, its settings or its tools are not those of the approval, that is a reason against
        it, beside those of the machine.

        Raises Refused, JobTransitionRefused, MotionRefused, ProgramRejected, StoreUnavailable.
        """
        job = self.job(job_id)
        machine = self._machines[job.machine_id]
        stops = machine.stops
        _require_clear(area_clear, "The job does not start.")
        if job.state is not JobState.APPROVED:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.START.value)
        checked = self._book.checked.get(job_id)
        machine.require(Command.START, also=self._outdated(job, machine, checked))
        prepared = await self._runner.prepare(job, machine)
        # The check has taken its time: what was approved has to be what was prepared, and what the machine is now.
        then = outdated(checked, prepared.basis, prepared.sha256)
        machine.require(Command.START, also=then or self._outdated(job, machine, checked))
        return await self._runner.begin(job, JobAction.START, prepared, Stretch(prepared.text, stops, prepared.basis))

    def _outdated(self, job: Job, machine: MachineSupervisor, checked: Checked | None) -> tuple[Refusal, ...]:
        """Return what has changed since the approval; what a machine that is away would say is not known."""
        offset = machine.state.work_offset
        if offset is None:
            return ()
        return outdated(checked, self._catalog.basis(job.program_id, machine.info, offset))

    async def continue_(
        self, job_id: str, *, area_clear: bool, same_length: bool = False, changes: Collection[str] = ()
    ) -> Job:
        """Let a job go on that waits at a tool change or a stop of its program.

        After a tool change the zero of Z has to have been set since the wait began, or a person says with same_length
        that the new tool is as long as the one before. All else that has changed since the job was approved is a reason
        against it, except what a person has read: `changes`, sentence by sentence. Raises as `start`.
        """
        _require_clear(area_clear, "The job does not go on.")
        return await self._runner.go_on(job_id, same_length=same_length, confirmed=changes)

    async def recovery_plan(self, job_id: str, line: int | None = None) -> RecoveryPlan:
        """Return how an interrupted job would go on from `line`, or from the line that the evidence names.

        Raises NotFound, JobTransitionRefused, ProgramRejected, StoreUnavailable.
        """
        return await self._recovery.plan(job_id, line)

    async def recover(
        self, job_id: str, line: int, *, area_clear: bool, approved: bool, changes: Collection[str] = ()
    ) -> Job:
        """Let an interrupted job go on from `line`: a person has seen the plan, everything is checked again.

        What has changed since the job was approved has to be among `changes`, which a person has read in the plan.

        Raises as `start`; MotionRefused with all reasons, also where the machine has not been homed.
        """
        if not approved:
            raise Refused(
                what="The job does not go on.",
                why="Nobody has approved the plan.",
                remedy="Read the plan and its first moves, then approve.",
            )
        _require_clear(area_clear, "The job does not go on.")
        return await self._recovery.recover(job_id, line, changes)

    async def abandon(self, job_id: str) -> Job:
        """Give up a job that was interrupted, or that waits at a stop of its program. Starts and stops nothing.

        Raises NotFound, JobTransitionRefused, StoreUnavailable.
        """
        return await self._runner.give_up(job_id)

    async def run(self) -> None:
        """Run jobs, follow holds and keep the journal, until cancelled."""
        await self._runner.run()


def _require_clear(area_clear: bool, what: str) -> None:  # noqa: FBT001 - what a person has confirmed
    if not area_clear:
        raise Refused(
            what=what,
            why="Nobody has confirmed that the area is clear.",
            remedy="Look at the machine, then confirm.",
        )


def _unknown(_job: Job, _prepared: Prepared) -> None:
    """Know nothing of where a machine is."""
