# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the dashboard's built pages are, and what is shown where they were not built."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

PACKAGED = Path(__file__).resolve().parent.parent / "pages"
BUILT = Path(__file__).resolve().parents[2] / "web" / "dist" / "office"

NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>InfoMobil office</title></head>
<body><h1>InfoMobil office</h1>
<p>The service runs; its pages were not built. In a checkout, <code>make web</code> builds them.</p>
<p>The figures are here already: <a href="/api/progress">progress</a>, <a href="/api/labs">labs</a>,
<a href="/api/visits">visits</a>, <a href="/api/jobs">jobs</a>, <a href="/api/quality">quality</a>,
<a href="/api/export/visits.csv">visits.csv</a>, <a href="/api/export/jobs.csv">jobs.csv</a>.</p></body></html>
"""


def find_pages() -> Path | None:
    """Return the folder of the built pages: that of the installed package, or that of the checkout."""
    return next((folder for folder in (PACKAGED, BUILT) if (folder / "index.html").is_file()), None)


def add_pages(app: FastAPI, folder: Path | None) -> None:
    """Serve `folder` at the root, or the explanation where there is none."""
    if folder is None:

        @app.get("/", include_in_schema=False)
        async def explanation() -> Response:
            return HTMLResponse(NOT_BUILT)

        return

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        # The names of all other files carry their content's hash; this one must be looked at anew.
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/", StaticFiles(directory=folder), name="pages")
