# SPDX-License-Identifier: GPL-3.0-or-later
"""The recount of what the reports read: jobs by machine and visit, corrections, surveys."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import astuple

from office.ledger.apply import ANSWER_FIELDS
from office.ledger.database import Database
from office.ledger.projection import Changes, job_share
from office.ledger.survey import Answer, Tally, tallied


def counted(changes: Changes) -> dict[str, object]:
    """Return the figures that `changes`, made of all facts, come to."""
    figures: dict[str, object] = {}
    jobs: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (lab, _), job in changes.jobs.items():
        key, actual_ms = job_share(lab, job.machine, job.visit, job.state, job.actual_s)
        jobs[key][0] += 1
        jobs[key][1] += actual_ms
    for key, tally in jobs.items():
        figures["jobs " + "/".join(key)] = tuple(tally)
    for (lab, epoch, seq), correction in changes.corrections.items():
        figures[f"correction {lab}/{epoch}/{seq}"] = astuple(correction)
    for answer_key, answer in changes.answers.items():
        figures["answer " + "/".join(answer_key)] = answer
    for key, pairs in tallied(changes.answers).items():
        figures["survey " + "/".join(key)] = astuple(pairs)
    return figures


def kept(database: Database) -> dict[str, object]:
    """Return the same figures as the ledger keeps them."""
    figures: dict[str, object] = {}
    for *key, jobs, actual_ms in database.query("select lab, machine, visit, state, jobs, actual_ms from job_tally"):
        if jobs or actual_ms:
            figures["jobs " + "/".join(key)] = (jobs, actual_ms)
    for lab, epoch, seq, *correction in database.query(
        "select lab, epoch, seq, visit, grp, role, people, reason, by_whom from correction"
    ):
        figures[f"correction {lab}/{epoch}/{seq}"] = tuple(correction)
    for moment in ("before", "after"):
        columns = ", ".join(f"{moment}_{name}" for name in ANSWER_FIELDS)
        for lab, card, *values in database.query(
            f"select lab, card, {columns} from survey_card where {moment}_seq > 0"
        ):
            figures[f"answer {lab}/{card}/{moment}"] = Answer(*values)
    for *key, pairs, before, after, squares in database.query(
        "select lab, visit, band, question, pairs, before_sum, after_sum, squares from survey_tally"
    ):
        tally = Tally(pairs, before, after, squares)
        if tally != Tally():
            figures["survey " + "/".join(key)] = astuple(tally)
    return figures
