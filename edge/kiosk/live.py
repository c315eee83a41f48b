# SPDX-License-Identifier: GPL-3.0-or-later
"""The kiosk's live view: what is being made, and how the visitor's own wish stands."""

from __future__ import annotations

import asyncio
import json

from fastapi import APIRouter, WebSocket

from edge.domain.errors import NotFound
from edge.http.live import same_origin, show
from edge.kiosk import views
from edge.services.bus import JobsChanged, LiveView, MachineChanged
from edge.services.lab import Lab

router = APIRouter()

PACE_S = 0.2
AT_LEAST_EVERY_S = 1.0
MAX_SOCKETS = 64


async def _send(socket: WebSocket, lab: Lab, view: LiveView, job_id: str) -> None:
    last, at = "", 0.0
    loop = asyncio.get_running_loop()
    while True:
        try:
            wish = views.job(lab, lab.jobs.job(job_id)) if job_id else None
        except NotFound:
            wish = None
        text = json.dumps({"now": views.now(lab), "job": wish}, ensure_ascii=False)
        if text != last or loop.time() - at >= AT_LEAST_EVERY_S:
            await socket.send_text(text)
            last, at = text, loop.time()
        await asyncio.sleep(PACE_S)
        while not any(isinstance(m, MachineChanged | JobsChanged) for m in await view.take(AT_LEAST_EVERY_S)):
            if loop.time() - at >= AT_LEAST_EVERY_S:
                break


@router.websocket("/api/kiosk/live")
async def live(socket: WebSocket, job: str = "") -> None:
    """Show what changes, at most five times a second."""
    if not same_origin(socket):
        await socket.close(4403)
        return
    lab: Lab = socket.app.state.lab
    if socket.app.state.sockets >= MAX_SOCKETS:
        await socket.close(4429)
        return
    socket.app.state.sockets += 1
    view = LiveView(lab.bus)
    try:
        await socket.accept()
        await show(socket, _send(socket, lab, view, job))
    finally:
        socket.app.state.sockets -= 1
        view.close()
