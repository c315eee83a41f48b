# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down what facts add up to, each table in the order of its key."""

from __future__ import annotations

from dataclasses import astuple

from office.ledger.database import Database
from office.ledger.projection import Changes

_LARGER = "{name} = case when excluded.{name} > lab_epoch.{name} then excluded.{name} else lab_epoch.{name} end"

_EPOCH = (
    "insert into lab_epoch (lab, epoch, people, corrected, sessions,"
    " claimed_people, claimed_corrected, claimed_sessions) values (?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict (lab, epoch) do update set people = lab_epoch.people + excluded.people,"
    " corrected = lab_epoch.corrected + excluded.corrected, sessions = lab_epoch.sessions + excluded.sessions, "
    + ", ".join(_LARGER.format(name=name) for name in ("claimed_people", "claimed_corrected", "claimed_sessions"))
)
_ROLE = (
    "insert into lab_role (lab, role, people, corrected) values (?, ?, ?, ?) on conflict (lab, role) do update set"
    " people = lab_role.people + excluded.people, corrected = lab_role.corrected + excluded.corrected"
)
_VISIT = (
    "insert into visit (lab, visit, sessions, closed) values (?, ?, ?, ?) on conflict (lab, visit) do update set"
    " sessions = visit.sessions + excluded.sessions,"
    " closed = case when excluded.closed = 1 then 1 else visit.closed end"
)
_OPENING = (
    "update visit set epoch = ?, seq = ?, school = ?, municipality = ?, date = ?, grp = ?, expected = ?, language = ?"
    " where lab = ? and visit = ? and (epoch, seq) < (?, ?)"
)
_COUNT = (
    "insert into visit_count (lab, visit, grp, role, people) values (?, ?, ?, ?, ?)"
    " on conflict (lab, visit, grp, role) do update set people = visit_count.people + excluded.people"
)
_JOB_FIELDS = (
    "rank, epoch, seq, claim, machine, program, origin, state, reason, visit,"
    " estimate_s, guess_s, actual_s, lines, boot_ns, wall_ns, received_ns"
)
_JOB = (
    f"insert into job (lab, job, {_JOB_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict (lab, job) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _JOB_FIELDS.split(", "))
    + " where (job.rank, job.epoch, job.seq) < (excluded.rank, excluded.epoch, excluded.seq)"
)

_MACHINE_FIELDS = ("parts", "unseen", "doubtful", "gaps", "gap_ms", "loads", "failed")
_MACHINE = (
    f"insert into machine (lab, machine, {', '.join(_MACHINE_FIELDS)}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict (lab, machine) do update set "
    + ", ".join(f"{name} = machine.{name} + excluded.{name}" for name in _MACHINE_FIELDS)
)


def apply(database: Database, changes: Changes) -> None:
    """Add `changes` to the figures; inside the transaction that inserted their facts."""
    visits = {*changes.visit_sessions, *changes.closed, *changes.openings, *(key[:2] for key in changes.counts)}
    for key in sorted(visits):
        database.query(_VISIT, (*key, changes.visit_sessions.get(key, 0), int(key in changes.closed)))
        opening = changes.openings.get(key)
        if opening is not None:
            database.query(_OPENING, (*astuple(opening), *key, *opening.order))
    for count_key, people in sorted(changes.counts.items()):
        database.query(_COUNT, (*count_key, people))
    for key, job in sorted(changes.jobs.items(), key=lambda item: item[0]):
        database.query(_JOB, (*key, *astuple(job)))
    for key, machine in sorted(changes.machines.items(), key=lambda item: item[0]):
        database.query(_MACHINE, (*key, *astuple(machine)))
    for key in sorted({*changes.epochs, *changes.claims}):
        ledger, claim = changes.epochs[key], changes.claims[key]
        database.query(_EPOCH, (*key, *astuple(ledger), *astuple(claim)))
    for key, counted in sorted(changes.roles.items(), key=lambda item: item[0]):
        database.query(_ROLE, (*key, counted.people, counted.corrected))
