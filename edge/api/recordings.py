# SPDX-License-Identifier: GPL-3.0-or-later
"""The black box at the console: which recordings there are, what is in them, and the story that they tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from edge.api import views
from edge.api.access import Services, require_operator
from edge.api.machines import machine_of
from edge.services.lab import Lab, RecordingEntry
from edge.story.export import Recording, to_json_lines
from edge.story.tell import story

router = APIRouter(dependencies=[Depends(require_operator)])


@router.get("/api/machines/{machine_id}/recordings")
async def recordings(machine_id: str, lab: Services) -> list[dict[str, Any]]:
    """List the recordings of a machine, newest first."""
    machine_of(lab, machine_id)
    found = await asyncio.to_thread(lab.recordings.newest_first, machine_id)
    return [{**_job_of(lab, machine_id, entry.program), **_shown(entry)} for entry in found]


def _shown(entry: RecordingEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "program": entry.program,
        "bytes": entry.bytes,
        "began": views.moment(entry.began_ns),
        "ended": entry.ended,
    }


def _job_of(lab: Lab, machine_id: str, program: str | None) -> dict[str, Any]:
    """Name the job of a recording, where only one can be meant."""
    jobs = [job for job in lab.jobs.jobs() if (job.machine_id, job.program_id) == (machine_id, program)]
    if len(jobs) != 1:
        return {"job": None, "claim": None}
    return {"job": jobs[0].job_id, "claim": jobs[0].claim}


@router.get("/api/machines/{machine_id}/recordings/{name}")
async def download(machine_id: str, name: str, lab: Services) -> StreamingResponse:
    """Export a recording as JSON lines."""
    machine_of(lab, machine_id)
    record = await asyncio.to_thread(lab.recordings.load, machine_id, name)
    file = f'attachment; filename="{machine_id}-{name}.jsonl"'
    return StreamingResponse(_lines(record), media_type="application/jsonl", headers={"content-disposition": file})


def _lines(record: Recording) -> Iterator[str]:
    for line in to_json_lines(record):
        yield line + "\n"


@router.get("/api/machines/{machine_id}/recordings/{name}/story")
async def tell(machine_id: str, name: str, lab: Services) -> dict[str, list[str]]:
    """Tell the story of a recording in sentences."""
    machine_of(lab, machine_id)
    record = await asyncio.to_thread(lab.recordings.load, machine_id, name)
    return {"sentences": await asyncio.to_thread(story, record)}
