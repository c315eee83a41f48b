# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's ASGI app."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.types import ASGIApp

from edge import __version__
from edge.api import (
    access,
    hand,
    jogging,
    live,
    loading,
    machines,
    opening,
    programs,
    recordings,
    recovery,
    scene,
    settings,
    views,
    visits,
)
from edge.domain.transfer import MAX_BYTES
from edge.http import errors, pages
from edge.http.limits import BodyLimit, InFlightLimit, SecurityHeaders
from edge.services.lab import Lab

BODY_LIMIT = 64 * 1024
UPLOAD_LIMIT = 50 * 1024 * 1024
IN_FLIGHT = 256

router = APIRouter()


@router.get("/api/snapshot")
async def snapshot(request: Request, lab: access.Services) -> dict[str, Any]:
    """Return everything that the console shows."""
    return views.snapshot(lab, operator=access.is_operator(request))


def create_app(lab: Lab) -> ASGIApp:
    """Return the console for `lab`."""
    app = FastAPI(title="InfoMobil console", version=__version__, docs_url=None, redoc_url=None)
    app.state.lab = lab
    errors.install(app)
    for part in (
        router,
        access.router,
        machines.public,
        machines.router,
        programs.router,
        visits.router,
        live.router,
        hand.router,
        jogging.router,
        opening.router,
        settings.router,
        recovery.router,
        recordings.router,
        loading.router,
        scene.router,
    ):
        app.include_router(part)
    pages.mount(app, "console")
    larger = {"/api/programs": UPLOAD_LIMIT, "/api/machines/*/files/*": MAX_BYTES}
    limited = BodyLimit(app, BODY_LIMIT, larger)
    return SecurityHeaders(InFlightLimit(limited, IN_FLIGHT))
