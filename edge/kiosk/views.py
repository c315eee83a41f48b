# SPDX-License-Identifier: GPL-3.0-or-later
"""From the services' values to the kiosk's JSON of docs/http-api.md."""

from __future__ import annotations

from typing import Any

from edge.domain.job import Job, JobState
from edge.domain.piece import Piece
from edge.services.jobs import WISH_LOST
from edge.services.lab import Lab


def piece(item: Piece) -> dict[str, Any]:
    """Return a piece to choose."""
    return {
        "id": item.piece_id,
        "title": dict(item.title),
        "description": dict(item.description),
        "svg": item.svg,
        "stock": list(item.stock),
        "guess_choices_s": list(item.guess_choices_s),
        "fields": [{"key": field.key, "max_length": field.max_length} for field in item.fields],
        "depths": list(item.depths),
    }


def job(lab: Lab, item: Job) -> dict[str, Any]:
    """Return a wish as its visitor may see it."""
    progress = lab.jobs.progress(item)
    return {
        "job": item.job_id,
        "claim": item.claim,
        "piece": item.program_id,
        "state": item.state.value,
        "ahead": len(lab.jobs.waiting_before(item)),
        "progress": round(progress.done, 4),
        "remaining_s": None if item.state.ended else round(progress.remaining_s, 1),
        "guess_s": item.guess_s,
        "estimate_s": item.estimate_s,
        "actual_s": item.actual_s,
        # Only an operator's own words are for visitors; what the service says is for the console.
        "reason": item.reason if item.state is JobState.DECLINED and item.reason != WISH_LOST else "",
    }


def now(lab: Lab) -> dict[str, Any]:
    """Return what the laboratory makes at this moment."""
    jobs = lab.jobs.jobs()
    running = next((item for item in jobs if item.state in (JobState.RUNNING, JobState.HELD)), None)
    finished = [item for item in jobs if item.state is JobState.FINISHED]
    progress = lab.jobs.progress(running) if running else None
    return {
        "job": {
            "claim": running.claim,
            "piece": running.program_id,
            "progress": round(progress.done, 4),
            "remaining_s": round(progress.remaining_s, 1),
            "state": running.state.value,
        }
        if running and progress
        else None,
        "queue": sum(1 for item in jobs if not item.state.ended),
        "last": {"claim": finished[-1].claim, "piece": finished[-1].program_id} if finished else None,
    }


async def path(lab: Lab, piece_id: str) -> dict[str, Any]:
    """Return the path of a piece, with the planned second at each point."""
    found = lab.programs.piece(piece_id)
    info, offset = lab.standing(kinds=found.machines)
    points = await lab.programs.preview(piece_id)
    prepared = await lab.programs.prepare(piece_id, info, offset)
    return {
        "points": [[round(p.x, 2), round(p.y, 2), round(p.z, 2)] for p in points],
        "rapid": [p.rapid for p in points],
        "seconds": [round(prepared.seconds_until(p.line), 2) for p in points],
        "stock": list(found.stock),
    }
