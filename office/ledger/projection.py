# SPDX-License-Identifier: GPL-3.0-or-later
"""What facts add up to. Pure, and blind to the order in which facts arrive.

Sums are sums; where one fact must win over another (a visit opened again, a job's newest state) the winner is chosen
by the facts themselves, never by arrival. So a recount over all stored facts gives the very same figures.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast

from office.facts import Fact, Standing, text_of
from office.ledger.survey import QUESTIONS, Answer, Moment
from wire.batch import Presence, Scalar
from wire.events import REACHED_ROLES

PROJECTED = (
    *("visit.opened", "visit.closed", "visit.headcount", "kiosk.session", "job.changed"),
    *("machine.gap", "parts.made", "program.loaded", "survey.answered"),
)
_PROJECTED = frozenset(PROJECTED)
REASON_LENGTH = 500
MOST_PARTS = 10**9
"""Of one fact: more is no number of parts, and would in the end be more than a database holds."""
LONGEST_GAP_S = 10**8
"""Of one fact, for the same reason: three years."""

LONGEST_JOB_S = 10**7
"""Of one job: nobody mills for four months."""

_JOB_RANK = {"REQUESTED": 0, "APPROVED": 1, "RUNNING": 2, "HELD": 2, "INTERRUPTED": 3}
_RANKS_A_TURN = 2
_ENDED_RANK = 2**40

LabKey = tuple[str, str]
"""(lab, id): the lab with a visit, a job, a role or an epoch of its own."""


@dataclass(frozen=True, slots=True)
class VisitOpening:
    """How a visit was opened. Of two openings of one visit the later (epoch, seq) counts."""

    epoch: str
    seq: int
    school: str
    municipality: str
    date: str
    group: str
    expected: int
    language: str
    school_type: str

    @property
    def order(self) -> tuple[str, int]:
        """Return what decides between two openings."""
        return (self.epoch, self.seq)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as one change describes it. The change that is further on counts, then the later (epoch, seq)."""

    rank: int
    epoch: str
    seq: int
    claim: int
    machine: str
    program: str
    origin: str
    state: str
    reason: str
    visit: str | None
    estimate_s: float | None
    guess_s: float | None
    actual_s: float | None
    lines: int | None
    boot_ns: int
    wall_ns: int
    received_ns: int

    @property
    def order(self) -> tuple[int, str, int]:
        """Return what decides between two changes."""
        return (self.rank, self.epoch, self.seq)


@dataclass(frozen=True, slots=True)
class Correction:
    """A headcount that puts an earlier one right: one with a reason, or one that takes people away."""

    visit: str
    group: str
    role: str
    people: int
    reason: str
    by: str


@dataclass(slots=True)
class People:
    """Grow-only counters: people counted, people taken back by corrections, kiosk sessions."""

    people: int = 0
    corrected: int = 0
    sessions: int = 0


@dataclass(slots=True)
class Machine:
    """What a machine made, as its own counter says, and how well it was seen.

    parts are those of unseen too, which were made while nobody saw the machine, and not those of doubtful: a counter
    that jumped. gap_ms is the length of those of the gaps whose length is known; loads and failed count programs.
    """

    parts: int = 0
    unseen: int = 0
    doubtful: int = 0
    gaps: int = 0
    gap_ms: int = 0
    loads: int = 0
    failed: int = 0


@dataclass(slots=True)
class Changes:
    """What a number of facts changes."""

    epochs: dict[LabKey, People] = field(default_factory=lambda: defaultdict(People))
    roles: dict[LabKey, People] = field(default_factory=lambda: defaultdict(People))
    openings: dict[LabKey, VisitOpening] = field(default_factory=dict)
    closed: set[LabKey] = field(default_factory=set)
    visit_sessions: dict[LabKey, int] = field(default_factory=lambda: defaultdict(int))
    counts: dict[tuple[str, str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    jobs: dict[LabKey, JobState] = field(default_factory=dict)
    machines: dict[LabKey, Machine] = field(default_factory=lambda: defaultdict(Machine))
    corrections: dict[tuple[str, str, int], Correction] = field(default_factory=dict)
    """By (lab, epoch, seq)."""
    answers: dict[tuple[str, str, Moment], Answer] = field(default_factory=dict)
    """By (lab, card, moment)."""
    claims: dict[LabKey, People] = field(default_factory=lambda: defaultdict(People))

    def claim(self, presence: Presence) -> None:
        """Add what a lab says about its epochs: of several words the largest counts."""
        for epoch, totals in presence.totals.items():
            claim = self.claims[presence.lab, epoch]
            claim.people = max(claim.people, totals["people"])
            claim.corrected = max(claim.corrected, totals["corrected"])
            claim.sessions = max(claim.sessions, totals["sessions"])

    def add(self, lab: str, epoch: str, fact: Fact, received_ns: int) -> None:
        """Add `fact`, which must be new to the ledger. One that was not understood changes nothing."""
        if fact.type not in _PROJECTED or fact.standing is not Standing.UNDERSTOOD:
            return
        body = fact.body
        match fact.type:
            case "visit.headcount":
                self._headcount(lab, epoch, fact)
            case "survey.answered":
                self._answered(lab, epoch, fact)
            case "kiosk.session":
                self.epochs[lab, epoch].sessions += 1
                if body.get("visit") is not None:
                    self.visit_sessions[lab, text_of(body, "visit")] += 1
            case "visit.opened":
                self._opened(lab, epoch, fact)
            case "visit.closed":
                self.closed.add((lab, text_of(body, "visit")))
            case "job.changed":
                self._job(lab, epoch, fact, received_ns)
            case "machine.gap" | "parts.made" | "program.loaded":
                _watch(self.machines[lab, text_of(body, "machine")], fact.type, body)
            case _:
                pass

    def _headcount(self, lab: str, epoch: str, fact: Fact) -> None:
        body = fact.body
        role, count = text_of(body, "role"), _whole(body, "count")
        reason = text_of(body, "reason")[:REASON_LENGTH]
        if count < 0 or reason:
            self.corrections[lab, epoch, fact.seq] = Correction(
                text_of(body, "visit"), text_of(body, "group"), role, count, reason, text_of(body, "by")
            )
        self.counts[lab, text_of(body, "visit"), text_of(body, "group"), role] += count
        counters = [self.roles[lab, role]]
        if role in REACHED_ROLES:
            counters.append(self.epochs[lab, epoch])
        for counter in counters:
            counter.people += max(count, 0)
            counter.corrected += max(-count, 0)

    def _opened(self, lab: str, epoch: str, fact: Fact) -> None:
        body = fact.body
        opening = VisitOpening(
            epoch,
            fact.seq,
            text_of(body, "school"),
            text_of(body, "municipality"),
            text_of(body, "date"),
            text_of(body, "group"),
            _whole(body, "expected"),
            text_of(body, "language"),
            text_of(body, "school_type"),
        )
        key = (lab, text_of(body, "visit"))
        if key not in self.openings or self.openings[key].order < opening.order:
            self.openings[key] = opening

    def _answered(self, lab: str, epoch: str, fact: Fact) -> None:
        body = fact.body
        interest, confidence, career = (
            _whole(body, question) if body.get(question) is not None else None for question in QUESTIONS
        )
        answer = Answer(epoch, fact.seq, text_of(body, "visit"), text_of(body, "band"), interest, confidence, career)
        key = (lab, text_of(body, "card"), cast("Moment", body["moment"]))
        if key not in self.answers or self.answers[key].order < answer.order:
            self.answers[key] = answer

    def _job(self, lab: str, epoch: str, fact: Fact, received_ns: int) -> None:
        body = fact.body
        state = text_of(body, "state")
        job = JobState(
            _job_rank(state, _whole(body, "turn") if body.get("turn") is not None else 0),
            epoch,
            fact.seq,
            _whole(body, "claim"),
            text_of(body, "machine"),
            text_of(body, "program"),
            text_of(body, "origin"),
            state,
            text_of(body, "reason")[:REASON_LENGTH],
            text_of(body, "visit") if body.get("visit") is not None else None,
            _real(body, "estimate_s"),
            _real(body, "guess_s"),
            _real(body, "actual_s"),
            _whole(body, "lines") if body.get("lines") is not None else None,
            fact.boot_ns,
            fact.wall_ns,
            received_ns,
        )
        key = (lab, text_of(body, "job"))
        if key not in self.jobs or self.jobs[key].order < job.order:
            self.jobs[key] = job


def _watch(machine: Machine, kind: str, body: dict[str, Scalar]) -> None:
    match kind:
        case "machine.gap":
            machine.gaps += 1
            machine.gap_ms += round(min(_real(body, "seconds") or 0.0, LONGEST_GAP_S) * 1000)
        case "parts.made" if body.get("doubtful"):
            machine.doubtful += min(_whole(body, "count"), MOST_PARTS)
        case "parts.made":
            count = min(_whole(body, "count"), MOST_PARTS)
            machine.parts += count
            machine.unseen += count if body.get("after_gap") else 0
        case _:
            machine.loads += body.get("step") == "LOADED"
            machine.failed += body.get("step") != "LOADED"


def job_share(
    lab: str, machine: str, visit: str | None, state: str, actual_s: float | None
) -> tuple[tuple[str, str, str, str], int]:
    """Return as what a job is tallied, (lab, machine, visit, state), and the milliseconds that it ran."""
    return (lab, machine, visit or "", state), round(min(max(actual_s or 0.0, 0.0), LONGEST_JOB_S) * 1000)


def _job_rank(state: str, turn: int) -> int:
    """Return how far on a job is: an end counts over everything, else the turn, within it the interruption."""
    if state in ("REQUESTED", "APPROVED"):
        return _JOB_RANK[state]
    return _JOB_RANK[state] + _RANKS_A_TURN * turn if state in _JOB_RANK else _ENDED_RANK


def _whole(body: dict[str, Scalar], key: str) -> int:
    return cast("int", body[key])


def _real(body: dict[str, Scalar], key: str) -> float | None:
    value = body.get(key)
    return float(value) if isinstance(value, int | float) else None
