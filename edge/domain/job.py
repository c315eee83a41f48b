# SPDX-License-Identifier: GPL-3.0-or-later
"""A job: one piece to be made, from a visitor's wish or an operator's program to its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from edge.domain.errors import JobTransitionRefused


class JobState(StrEnum):
    """Where a job is on its way."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    RUNNING = "RUNNING"
    HELD = "HELD"
    FINISHED = "FINISHED"
    INTERRUPTED = "INTERRUPTED"
    ABORTED = "ABORTED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to the job. One that was interrupted can be recovered or abandoned."""
        return self in (JobState.DECLINED, JobState.FINISHED, JobState.ABORTED, JobState.FAILED)


class JobAction(StrEnum):
    """What can happen to a job."""

    APPROVE = "approve"
    DECLINE = "decline"
    RECHECK = "recheck"
    START = "start"
    HOLD = "hold"
    RESUME = "resume"
    FINISH = "finish"
    INTERRUPT = "interrupt"
    RECOVER = "recover"
    ABORT = "abort"
    FAIL = "fail"


def next_state(state: JobState, action: JobAction) -> JobState | None:
    """Return the state after `action`, or None where the action has no meaning in `state`."""
    match state, action:
        case JobState.REQUESTED, JobAction.APPROVE:
            return JobState.APPROVED
        case ((JobState.REQUESTED | JobState.APPROVED), JobAction.DECLINE):
            return JobState.DECLINED
        case ((JobState.REQUESTED | JobState.APPROVED), JobAction.RECHECK):
            return JobState.REQUESTED
        case JobState.APPROVED, JobAction.START:
            return JobState.RUNNING
        case JobState.RUNNING, JobAction.HOLD:
            return JobState.HELD
        case JobState.HELD, JobAction.RESUME:
            return JobState.RUNNING
        case ((JobState.RUNNING | JobState.HELD), JobAction.FINISH):
            return JobState.FINISHED
        case ((JobState.RUNNING | JobState.HELD), JobAction.INTERRUPT):
            return JobState.INTERRUPTED
        case JobState.INTERRUPTED, JobAction.RECOVER:
            return JobState.RUNNING
        case ((JobState.RUNNING | JobState.HELD | JobState.INTERRUPTED), JobAction.ABORT):
            return JobState.ABORTED
        case ((JobState.RUNNING | JobState.HELD | JobState.INTERRUPTED), JobAction.FAIL):
            return JobState.FAILED
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Waits:
    """What a job waits for at a stop of its program: a person who changes the tool, or who looks.

    number counts the program's stops from 0; line is the stop's own, 1-based; tool is what the program asks for, None
    where it does not say; text is the comment beside it.
    """

    kind: Literal["tool", "stop"]
    tool: int | None
    line: int
    text: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    claim is the number on the visitor's screen (1.. per visit); estimate_s and actual_s are seconds of machine
    time; guess_s is the visitor's own guess in seconds; line and total_lines count lines of the program; progress is
    0..1; reason says why the job was declined, interrupted, aborted or failed;
    order is the place in the queue; personal tells that the visitor gave a text, which lives in memory
    only; request_id is what the page named the wish, so that a repeated one is queued once; waits is the stop of the
    program at which the job is held, or at which it was interrupted; turn counts how often it was recovered.
    """

    job_id: str
    claim: int
    machine_id: str
    program_id: str
    origin: str
    state: JobState = JobState.REQUESTED
    visit_id: str | None = None
    estimate_s: float = 0.0
    guess_s: float | None = None
    actual_s: float | None = None
    line: int = 0
    total_lines: int = 0
    progress: float = 0.0
    reason: str = ""
    order: int = 0
    personal: bool = False
    request_id: str = ""
    waits: Waits | None = None
    turn: int = 0

    def after(self, action: JobAction, *, reason: str = "", actual_s: float | None = None) -> Job:
        """Return the job after `action`; raises JobTransitionRefused where it has no meaning now."""
        state = next_state(self.state, action)
        if state is None:
            raise JobTransitionRefused(job_id=self.job_id, state=self.state.value, action=action.value)
        return replace(
            self,
            state=state,
            reason="" if action is JobAction.RECOVER else reason or self.reason,
            actual_s=self.actual_s if actual_s is None else actual_s,
            waits=self.waits if action is JobAction.INTERRUPT else None,
            turn=self.turn + (action is JobAction.RECOVER),
        )

    def waiting(self, waits: Waits) -> Job:
        """Return the job held at a stop of its program; raises JobTransitionRefused where it does not run."""
        if self.state not in (JobState.RUNNING, JobState.HELD):
            raise JobTransitionRefused(job_id=self.job_id, state=self.state.value, action=JobAction.HOLD.value)
        return replace(self, state=JobState.HELD, waits=waits)
