# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's live view: a snapshot, then what changed, and at least a word a second."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, WebSocket

from edge.api import program_views, scene, views
from edge.api.access import is_operator, lab_of
from edge.http.live import same_origin, show
from edge.services.bus import (
    CheckProgress,
    JobsChanged,
    LiveView,
    MachineChanged,
    Message,
    Notice,
    OpeningChanged,
    ProgramsChanged,
    TwinChanged,
    VisitChanged,
)
from edge.services.lab import Lab

router = APIRouter()

PACE_S = 0.05
SYNC_EVERY_S = 1.0


def _messages(lab: Lab, waiting: list[Message], *, operator: bool) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for message in waiting:
        match message:
            case MachineChanged(machine_id):
                out.append({"type": "machine", "machine": views.machine(lab.machines[machine_id], lab)})
            case Notice(level, text, code, facts) if operator:
                notice = {"level": level, "text": text, "code": code, "facts": dict(facts)}
                out.append({"type": "notice", "notice": notice})
            case CheckProgress(check, stage, done) if operator:
                out.append({"type": "check", "check": check, "stage": stage, "done": round(done, 3)})
            case TwinChanged(machine_id) if operator:
                out += scene.twin_messages(lab, machine_id)
            case JobsChanged() if operator:
                out.append({"type": "jobs", "jobs": [views.job(item, lab) for item in lab.jobs.jobs()]})
            case VisitChanged() if operator:
                out.append({"type": "visit", "visit": views.visit(lab.visits)})
            case OpeningChanged() if operator:
                out.append({"type": "opening", "opening": views.opening(lab.opening)})
            case ProgramsChanged() if operator:
                listed = [program_views.program(item) for item in lab.programs.entries()]
                found = program_views.left_out(lab.programs.left_out)
                out.append({"type": "programs", "programs": listed, "left_out": found})
            case _:
                pass
    return out


async def _send_changes(socket: WebSocket, lab: Lab, view: LiveView, *, operator: bool) -> None:
    await socket.send_text(
        json.dumps({"type": "snapshot", "snapshot": views.snapshot(lab, operator=operator)}, ensure_ascii=False)
    )
    loop = asyncio.get_running_loop()
    sync_at = loop.time()
    while True:
        waiting = await view.take(max(0.0, sync_at - loop.time()))
        if operator and not is_operator(socket):
            await socket.close(4401)
            return
        messages = _messages(lab, waiting, operator=operator)
        if loop.time() >= sync_at:
            sync_at = loop.time() + SYNC_EVERY_S
            messages.append({"type": "sync", "sync": views.sync(lab.sync_status())})
            messages += [
                {"type": "machine", "machine": views.machine(item, lab)}
                for item in lab.machines.values()
                if not any(m["type"] == "machine" and m["machine"]["id"] == item.machine_id for m in messages)
            ]
        for message in messages:
            await socket.send_text(json.dumps(message, ensure_ascii=False))
        await asyncio.sleep(PACE_S)


@router.websocket("/api/live")
async def live(socket: WebSocket) -> None:
    """Show the laboratory as it changes."""
    if not same_origin(socket):
        await socket.close(4403)
        return
    lab, operator = lab_of(socket), is_operator(socket)
    await socket.accept()
    view = LiveView(lab.bus)
    try:
        await show(socket, _send_changes(socket, lab, view, operator=operator))
    finally:
        view.close()
