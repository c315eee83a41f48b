# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down what facts add up to, each table in the order of its key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, fields
from itertools import groupby
from operator import attrgetter, itemgetter

from office.ledger.database import Database, Row, larger
from office.ledger.projection import Changes, JobState, LabKey, job_share
from office.ledger.survey import Answer, Tallies, Tally, add_card

AT_ONCE = 40
"""Jobs asked for in one statement: longer ones psycopg takes apart each time anew."""
_CLAIMED = ("claimed_people", "claimed_corrected", "claimed_sessions")
_EPOCH = (
    "lab_epoch (lab, epoch, people, corrected, sessions, claimed_people, claimed_corrected, claimed_sessions)",
    "on conflict (lab, epoch) do update set people = lab_epoch.people + excluded.people,"
    " corrected = lab_epoch.corrected + excluded.corrected, sessions = lab_epoch.sessions + excluded.sessions, "
    + ", ".join(f"{name} = {larger(f'excluded.{name}', f'lab_epoch.{name}')}" for name in _CLAIMED),
)
_ROLE = (
    "lab_role (lab, role, people, corrected)",
    "on conflict (lab, role) do update set people = lab_role.people + excluded.people,"
    " corrected = lab_role.corrected + excluded.corrected",
)
_VISIT = (
    "visit (lab, visit, sessions, closed)",
    "on conflict (lab, visit) do update set sessions = visit.sessions + excluded.sessions,"
    " closed = case when excluded.closed = 1 then 1 else visit.closed end",
)
_OPENING = (
    "update visit set epoch = ?, seq = ?, school = ?, municipality = ?, date = ?, grp = ?, expected = ?, language = ?,"
    " school_type = ? where lab = ? and visit = ? and (epoch, seq) < (?, ?)"
)
_COUNT = (
    "visit_count (lab, visit, grp, role, people)",
    "on conflict (lab, visit, grp, role) do update set people = visit_count.people + excluded.people",
)
_JOB_FIELDS = (
    "rank, epoch, seq, claim, machine, program, origin, state, reason, visit,"
    " estimate_s, guess_s, actual_s, lines, boot_ns, wall_ns, received_ns"
)
_JOB = (
    f"job (lab, job, {_JOB_FIELDS})",
    "on conflict (lab, job) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _JOB_FIELDS.split(", "))
    + " where (job.rank, job.epoch, job.seq) < (excluded.rank, excluded.epoch, excluded.seq)",
)
# The row is made before it is locked: of two workers that bring a job's first facts at once, one must see the other's.
_JOB_ROW = (
    "job (lab, job, rank, epoch, seq, claim, machine, program, origin, state, reason, boot_ns, wall_ns, received_ns)",
    "on conflict do nothing",
)
_NO_JOB = (-1, "", 0, 0, "", "", "", "", "", 0, 0, 0)
_JOBS_BEFORE = (
    "select lab, job, rank, epoch, seq, machine, visit, state, actual_s from job where lab = ? and job in ({marks})"
    " order by lab, job"
)
_JOB_TALLY = (
    "job_tally (lab, machine, visit, state, jobs, actual_ms)",
    "on conflict (lab, machine, visit, state) do update set jobs = job_tally.jobs + excluded.jobs,"
    " actual_ms = job_tally.actual_ms + excluded.actual_ms",
)
_CORRECTION = (
    "insert into correction (lab, epoch, seq, visit, grp, role, people, reason, by_whom)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing"
)
ANSWER_FIELDS = ("epoch", "seq", "visit", "band", "interest", "confidence", "career")
_CARD_ROW = "insert into survey_card (lab, card) values (?, ?) on conflict do nothing"
_CARD_BEFORE = (
    "select "
    + ", ".join(f"{moment}_{name}" for moment in ("before", "after") for name in ANSWER_FIELDS)
    + " from survey_card where lab = ? and card = ?"
)
_CARD = {
    moment: f"update survey_card set {', '.join(f'{moment}_{name} = ?' for name in ANSWER_FIELDS)}"
    " where lab = ? and card = ?"
    for moment in ("before", "after")
}
_SURVEY_TALLY = (
    "insert into survey_tally (lab, visit, band, question, pairs, before_sum, after_sum, squares)"
    " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (lab, visit, band, question) do update set "
    + ", ".join(
        f"{name} = survey_tally.{name} + excluded.{name}" for name in ("pairs", "before_sum", "after_sum", "squares")
    )
)

_MACHINE_FIELDS = ("parts", "unseen", "doubtful", "gaps", "gap_ms", "loads", "failed")
_MACHINE = (
    f"machine (lab, machine, {', '.join(_MACHINE_FIELDS)})",
    "on conflict (lab, machine) do update set "
    + ", ".join(f"{name} = machine.{name} + excluded.{name}" for name in _MACHINE_FIELDS),
)

# astuple copies each value deeply, which is most of the time that facts take beside the database.
_job_values = attrgetter(*(item.name for item in fields(JobState)))


def apply(database: Database, changes: Changes) -> None:
    """Add `changes` to the figures; inside the transaction that inserted their facts."""
    visits = sorted({*changes.visit_sessions, *changes.closed, *changes.openings, *(key[:2] for key in changes.counts)})
    sessions = changes.visit_sessions
    _add(database, _VISIT, [(*key, sessions.get(key, 0), int(key in changes.closed)) for key in visits])
    for key, opening in sorted(changes.openings.items(), key=_key):
        database.query(_OPENING, (*astuple(opening), *key, *opening.order))
    _add(database, _COUNT, [(*key, people) for key, people in sorted(changes.counts.items())])
    _apply_jobs(database, changes)
    _add(database, _MACHINE, [(*key, *astuple(item)) for key, item in sorted(changes.machines.items(), key=_key)])
    epochs = sorted({*changes.epochs, *changes.claims})
    _add(database, _EPOCH, [(*key, *astuple(changes.epochs[key]), *astuple(changes.claims[key])) for key in epochs])
    roles = sorted(changes.roles.items(), key=_key)
    _add(database, _ROLE, [(*key, counted.people, counted.corrected) for key, counted in roles])
    apply_corrections(database, changes)
    _apply_answers(database, changes)


def _add(database: Database, statement: tuple[str, str], rows: Sequence[Sequence[object]]) -> None:
    into, conflict = statement
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        database.query_many(f"insert into {into} values ({marks}) {conflict}", rows)


def _key(item: tuple[LabKey, object]) -> LabKey:
    return item[0]


def _apply_jobs(database: Database, changes: Changes) -> None:
    """Bring each job on, and move it in the tally from what it was to what it is."""
    tally: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    jobs = sorted(changes.jobs.items(), key=_key)
    _add(database, _JOB_ROW, [(*key, *_NO_JOB) for key, _ in jobs])
    before = _jobs_before(database, [key for key, _ in jobs])
    further = [(key, job) for key, job in jobs if before[key][:3] < job.order]
    for (lab, name), job in further:
        rank, _, _, *share = before[lab, name]
        shares = [(1, job_share(lab, job.machine, job.visit, job.state, job.actual_s))]
        if rank >= 0:
            shares.append((-1, job_share(lab, *share)))
        for sign, (key, actual_ms) in shares:
            tally[key][0] += sign
            tally[key][1] += sign * actual_ms
    _add(database, _JOB, [(*key, *_job_values(job)) for key, job in further])
    _add(database, _JOB_TALLY, [(*key, *sums) for key, sums in sorted(tally.items()) if any(sums)])


def _jobs_before(database: Database, keys: Sequence[LabKey]) -> dict[LabKey, Row]:
    """Lock jobs in the order of `keys`, which are sorted, and return what is known of each."""
    found: dict[LabKey, Row] = {}
    for lab, group in groupby(keys, key=itemgetter(0)):
        names = [name for _, name in group]
        for begin in range(0, len(names), AT_ONCE):
            some = names[begin : begin + AT_ONCE]
            sql = _JOBS_BEFORE.format(marks=", ".join("?" * len(some))) + database.for_update
            found |= {(row[0], row[1]): row[2:] for row in database.query(sql, (lab, *some))}
    return found


def apply_corrections(database: Database, changes: Changes) -> None:
    """Write down the corrections among `changes`."""
    for key, correction in sorted(changes.corrections.items(), key=lambda item: item[0]):
        database.query(_CORRECTION, (*key, *astuple(correction)))


def _apply_answers(database: Database, changes: Changes) -> None:
    """Write down the answers of each card, and tally the pairs that are new or have changed."""
    tallies: Tallies = defaultdict(Tally)
    for (lab, card), moments in sorted(_by_card(changes).items()):
        database.query(_CARD_ROW, (lab, card))
        row = database.query(_CARD_BEFORE + database.for_update, (lab, card))[0]
        n = len(ANSWER_FIELDS)
        pair = {"before": Answer(*row[:n]), "after": Answer(*row[n:])}
        add_card(tallies, lab, pair["before"], pair["after"], -1)
        for moment, answer in moments.items():
            if pair[moment].order < answer.order:
                pair[moment] = answer
                database.query(_CARD[moment], (*astuple(answer), lab, card))
        add_card(tallies, lab, pair["before"], pair["after"])
    for key, tally in sorted(tallies.items(), key=lambda item: item[0]):
        if tally != Tally():
            database.query(_SURVEY_TALLY, (*key, *astuple(tally)))


def _by_card(changes: Changes) -> dict[tuple[str, str], dict[str, Answer]]:
    cards: dict[tuple[str, str], dict[str, Answer]] = defaultdict(dict)
    for (lab, card, moment), answer in changes.answers.items():
        cards[lab, card][moment] = answer
    return cards
