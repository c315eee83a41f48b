# SPDX-License-Identifier: GPL-3.0-or-later
"""The built pages: from the installed wheel, or from web/dist of a checkout. A van never needs Node."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PACKAGED = Path(__file__).parent / "pages"
CHECKOUT = Path(__file__).parents[2] / "web" / "dist"

NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>InfoMobil</title>
<style>body{{font:24px/1.5 sans-serif;margin:4rem auto;max-width:40rem;color:#14202B;background:#F7F4EE}}</style>
<h1>The {page} page is not built</h1><p>The service runs. Build the pages with <code>make web</code> and reload.</p>"""


def pages_dir(page: str) -> Path | None:
    """Return the folder of a built page (`kiosk`, `console`), or None where it was not built."""
    for folder in (PACKAGED / page, CHECKOUT / page):
        if (folder / "index.html").is_file():
            return folder
    return None


def mount(app: FastAPI, page: str) -> None:
    """Serve the page at `/`, or a plain word that it has not been built."""
    folder = pages_dir(page)
    if folder is not None:
        app.mount("/", StaticFiles(directory=folder, html=True), name=page)
        return

    @app.get("/", include_in_schema=False)
    async def not_built() -> HTMLResponse:
        return HTMLResponse(NOT_BUILT.format(page=page), 503)
