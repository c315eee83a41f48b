# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the office's pages share: the service's answers, by name, and a page opened on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e import office_parts as parts
from tests.e2e import office_world as world
from tests.e2e.driving import ORIGIN, Answer, Json, Van, new_page

Open = Callable[..., tuple[Page, Van]]

PARTS = ("overview", "where", "learning", "machines", "vans", "visits", "visits/im-01/v001", "evidence", "access")
NAMES = (
    *("progress", "labs", "quality", "visits", "jobs", "indicators", "map", "breakdown", "interest", "hours"),
    *("machines", "audit", "quarantine", "digest", "accounts", "keys", "visits/im-01/v001"),
)


def query(request: Request) -> dict[str, str]:
    """Return the values of a request's address."""
    return {key: values[0] for key, values in parse_qs(urlsplit(request.url).query).items()}


def paged(rows: list[Json], **more: Any) -> Callable[[Request], Answer]:
    """Answer as the contract's paged tables do."""

    def answer(request: Request) -> Answer:
        asked = query(request)
        limit, offset = int(asked["limit"]), int(asked["offset"])
        chosen = [row for row in rows if "lab" not in asked or row["lab"] == asked["lab"]]
        if asked.get("seen") == "false":
            chosen = [row for row in chosen if row["seen"] is None]
        return 200, {"total": len(chosen), "rows": chosen[offset : offset + limit], **more}

    return answer


def answers() -> dict[str, Answer | Callable[[Request], Answer | None]]:
    """Return what a well-run office answers, by the call's name."""
    return {
        "me": (200, parts.me()),
        "progress": (200, world.progress()),
        "labs": (200, parts.labs()),
        "quality": (200, parts.quality()),
        "visits": paged(world.visits()),
        "jobs": paged(world.jobs()),
        "indicators": (200, parts.indicators()),
        "map": (200, parts.places()),
        "breakdown": lambda request: (200, parts.breakdown(query(request)["by"])),
        "interest": (200, parts.interest()),
        "hours": (200, parts.hours()),
        "machines": (200, parts.machines()),
        "audit": paged(parts.audit(), head=parts.HEAD),
        "quarantine": paged(parts.quarantine()),
        "digest": (200, parts.digest()),
        "accounts": (200, parts.accounts()),
        "keys": (200, parts.keys()),
        "visits/im-01/v001": (200, parts.visit()),
    }


def open_part(
    context: BrowserContext,
    part: str = "overview",
    size: str = "desk",
    language: str = "lt",
    theme: str = "light",
    **changes: Any,
) -> tuple[Page, Van]:
    """Open the dashboard at `part`; the page's clock moves only when a test moves it."""
    page = new_page(context, size)
    page.add_init_script(f"localStorage.setItem('infomobil.office.language', '{language}')")
    page.add_init_script(f"localStorage.setItem('infomobil.office.theme', '{theme}')")
    page.clock.install(time="2026-11-23T12:41:20Z")
    page.clock.pause_at("2026-11-23T12:41:30Z")
    van = Van(page, "office", "/none")
    given = {**answers(), **changes}
    van.answers = {("GET", f"/api/{name}"): answer for name, answer in given.items()}
    page.goto(f"{ORIGIN}/#/{part}")
    expect(page.locator("main")).to_be_attached()
    page.wait_for_load_state("networkidle")
    return page, van
