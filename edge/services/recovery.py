# SPDX-License-Identifier: GPL-3.0-or-later
"""After an interruption: what is known of the end, and how the job can go on from one of its lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edge.domain.errors import JobTransitionRefused, MotionRefused
from edge.domain.job import Job, JobAction, JobState
from edge.domain.machine import Position
from edge.domain.ports import JobMark
from edge.safety.permissives import Command, Refusal
from edge.services.book import JobBook
from edge.services.checking import Checked, unconfirmed
from edge.services.journal import JobJournal
from edge.services.programs import ProgramCatalog
from edge.services.restart import Ask, Choice, Move, Restart
from edge.services.running import JobRunner, Stretch
from edge.services.supervisor import MachineSupervisor

KEPT = "kept"
HOME_AGAIN = "home again"
_SAME_MM = 0.001


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """How an interrupted job would go on: what is known of its end, three sentences, the first moves, what is against.

    position is "kept" where the controller has known its position without a break, else "home again"; changes are what
    of the machine is not as it was approved: who lets the job go on has to confirm them.
    """

    job_id: str
    line: int
    total_lines: int
    position: str
    evidence: tuple[str, ...]
    plan: tuple[str, ...]
    moves: tuple[Move, ...]
    choices: tuple[Choice, ...]
    refusals: tuple[Refusal, ...]
    changes: tuple[str, ...] = ()


class Recovery:
    """Plans and carries out how interrupted jobs go on."""

    def __init__(
        self,
        machines: Mapping[str, MachineSupervisor],
        book: JobBook,
        catalog: ProgramCatalog,
        journal: JobJournal,
        runner: JobRunner,
    ) -> None:
        self._machines = machines
        self._book = book
        self._catalog = catalog
        self._journal = journal
        self._runner = runner

    async def plan(self, job_id: str, line: int | None) -> RecoveryPlan:
        """Return the plan from `line` of the source on, or from the line that the evidence names.

        Raises NotFound, JobTransitionRefused, ProgramRejected, StoreUnavailable and the errors of edge.design.
        """
        job = self._interrupted(job_id)
        mark = await self._journal.last(job_id)
        restart = await self._restart(job, mark, line)
        return self._planned(job, mark, restart)

    async def recover(self, job_id: str, line: int, confirmed: Collection[str] = ()) -> Job:
        """Let the job go on from `line`: plan and permissives are checked again; confirmed are changes that were read.

        Raises also MotionRefused, Refused.
        """
        job = self._interrupted(job_id)
        machine = self._machines[job.machine_id]
        stops = machine.stops
        mark = await self._journal.last(job_id)
        basis = self._catalog.basis(job.program_id, machine.info, machine.state.work_offset)
        restart = await self._restart(job, mark, line)
        plan = self._planned(job, mark, restart)
        refusals = (*plan.refusals, *unconfirmed(plan.changes, confirmed))
        if refusals:
            raise MotionRefused(
                machine_id=machine.machine_id,
                command=JobAction.RECOVER.value,
                reasons=" ".join(reason.why for reason in refusals),
                refusals=refusals,
                machine=machine.info.name,
            )
        prepared = await self._runner.prepare(job, machine)
        machine.require(Command.START, also=unconfirmed(self._runner.changed(job, prepared.sha256), confirmed))
        stretch = Stretch(restart.text, stops, basis, restart.next_stop, restart.line)
        checked = Checked(prepared.sha256, basis)
        return await self._runner.begin(job, JobAction.RECOVER, prepared, stretch, checked)

    def _interrupted(self, job_id: str) -> Job:
        job = self._book.job(job_id)
        if job.state is not JobState.INTERRUPTED:
            raise JobTransitionRefused(job_id=job_id, state=job.state.value, action=JobAction.RECOVER.value)
        return job

    async def _restart(self, job: Job, mark: JobMark | None, line: int | None) -> Restart:
        machine = self._machines[job.machine_id]
        after_stop = job.waits.number if job.waits is not None and line in (None, job.waits.line) else None
        wish = self._book.wishes.get(job.job_id)
        ask = Ask(line, after_stop, mark)
        return await self._catalog.restart(job.program_id, wish, machine.info, machine.state, ask)

    def _planned(self, job: Job, mark: JobMark | None, restart: Restart) -> RecoveryPlan:
        return RecoveryPlan(
            job_id=job.job_id,
            line=restart.line,
            total_lines=restart.total_lines,
            position=KEPT if self._runner.position_kept(job.job_id) else HOME_AGAIN,
            evidence=tuple(self._evidence(job, mark, restart)),
            plan=restart.plan,
            moves=restart.moves,
            choices=restart.choices,
            refusals=tuple(self._refusals(job, restart)),
            changes=self._runner.changed(job),
        )

    def _evidence(self, job: Job, mark: JobMark | None, restart: Restart) -> list[str]:
        sentences = [f"The job was interrupted: {job.reason.removesuffix('.')}."]
        if job.waits is not None:
            tool = f" T{job.waits.tool}" if job.waits.tool is not None else ""
            word = f"for the tool{tool}" if job.waits.kind == "tool" else "at a stop of the program"
            sentences.append(
                f"It waited in line {job.waits.line} {word}: be sure that this is done, the length measured."
            )
        if mark is None:
            sentences.append("No journal of its course was found.")
        else:
            sentences += _course(mark, restart)
            offset = self._machines[job.machine_id].state.work_offset
            if mark.work_offset is not None and offset is not None and _moved(mark.work_offset, offset):
                sentences.append("The work zero has been moved since then: be sure that it fits the piece.")
        if self._runner.position_kept(job.job_id):
            sentences.append("The controller has kept its position since then.")
        elif self._machines[job.machine_id].state.homed:
            sentences.append("Its position was lost then; the machine has been homed since.")
        else:
            sentences.append("Its position is not trusted any more: the machine has to be homed.")
        return sentences

    def _refusals(self, job: Job, restart: Restart) -> list[Refusal]:
        machine = self._machines[job.machine_id]
        found = list(machine.view().refusals[Command.START])
        if self._book.working_on(job.machine_id) is not None:
            found.append(Refusal("busy", "The machine works on another job.", "queue", None, "Wait for its end."))
        if restart.refusal:
            remedy = "Choose another line, or give the job up and run the program anew."
            found.append(Refusal("restart", restart.refusal, "program", None, remedy))
        return found


def _course(mark: JobMark, restart: Restart) -> list[str]:
    taken = f"The controller had taken line {mark.line}" if mark.line else "The controller had taken no line"
    sent = f"; line {mark.sent_line} had been sent" if mark.sent_line else ""
    sentences = [f"{taken}{sent}."]
    place = mark.machine_position
    if place is not None:
        where = f"Its last trusted position was machine X{place.x:.3f} Y{place.y:.3f} Z{place.z:.3f}"
        if restart.off is not None:
            where += f", {restart.off:.2f} mm from the path of line {restart.found}"
        elif restart.found is not None:
            where += f", which names no line: line {restart.found} is the first that may not have been done"
        sentences.append(f"{where}.")
    return sentences


def _moved(before: Position, now: Position) -> bool:
    return any(abs(a - b) > _SAME_MM for a, b in ((before.x, now.x), (before.y, now.y), (before.z, now.z)))
