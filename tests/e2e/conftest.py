# SPDX-License-Identifier: GPL-3.0-or-later
"""One Chromium for the tests of a module's pages, and the console opened in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e import console_world as world
from tests.e2e.console_page import Open
from tests.e2e.driving import ORIGIN, Json, Van, new_page

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; it ends with the module."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_console(browser: Browser) -> Iterator[Open]:
    """Open the console on a snapshot; the page's clock stands still and moves only when a test moves it."""
    contexts = []
    uncaught: list[str] = []

    def opened(
        snapshot: Json, size: str = "desk", language: str = "lt", theme: str = "dark", *, clock: bool = True
    ) -> tuple[Page, Van]:
        context = browser.new_context(reduced_motion="reduce")
        contexts.append(context)
        page = new_page(context, size)
        page.on("pageerror", lambda error: uncaught.append(str(error)))
        page.add_init_script(f"localStorage.setItem('infomobil.console.language', '{language}')")
        page.add_init_script(f"localStorage.setItem('infomobil.console.theme', '{theme}')")
        if clock:
            page.clock.install(time=0)
            page.clock.pause_at(1)
        van = Van(page, "console", "/api/live", hello=[{"type": "snapshot", "snapshot": snapshot}])
        van.answers[("GET", "/api/snapshot")] = (200, snapshot)
        for program in ("gear", "name-tag", "bolt"):
            van.answers[("GET", f"/api/programs/{program}/path")] = (200, world.gear_path())
        page.goto(ORIGIN)
        expect(page.locator(".left .card, .opening").first).to_be_attached()
        return page, van

    yield opened
    for context in contexts:
        context.close()
    assert uncaught == []
