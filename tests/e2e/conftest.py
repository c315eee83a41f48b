# SPDX-License-Identifier: GPL-3.0-or-later
"""One Chromium for the tests of a module's pages, and the console and the kiosk opened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e import console_world as world
from tests.e2e.console_page import Open
from tests.e2e.driving import ORIGIN, Json, Van, new_page
from tests.e2e.kiosk_world import Lab
from tests.e2e.viewer_parts import bundle, open_parts

CHROMIUM = "/usr/bin/chromium"
Lasting = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; it ends with the module."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lasting(browser: Browser) -> Iterator[Lasting]:
    """Return a context by its name, with nothing stored in it; it lasts as long as the module.

    A blank page in it keeps the process of the others: a process for each page would double what a test costs.
    """
    made: dict[str, BrowserContext] = {}

    def context(name: str, **options: Any) -> BrowserContext:
        if name not in made:
            made[name] = browser.new_context(reduced_motion="reduce", **options)
            blank = made[name].new_page()
            blank.route("**/*", lambda route: route.fulfill(status=200, content_type="text/html", body="<p>"))
            blank.goto(ORIGIN)
        made[name].pages[0].evaluate("localStorage.clear()")
        return made[name]

    yield context
    for one in made.values():
        one.close()


@pytest.fixture
def open_console(lasting: Lasting) -> Iterator[Open]:
    """Open the console on a snapshot; the page's clock stands still and moves only when a test moves it."""
    pages: list[Page] = []
    uncaught: list[str] = []

    def opened(
        snapshot: Json, size: str = "desk", language: str = "lt", theme: str = "dark", *, clock: bool = True
    ) -> tuple[Page, Van]:
        context = lasting("still" if clock else "running")
        page = new_page(context, size)
        pages.append(page)
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
    for page in pages:
        page.close()
    assert uncaught == []


@pytest.fixture
def enter(browser: Browser, lasting: Lasting) -> Iterator[Callable[..., Lab]]:
    """Open the kiosk at its attract screen; an uncaught error on the page fails the test."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []
    thrown: list[str] = []

    def open_kiosk(size: str = "portrait", *, clock: bool = False, moving: bool = False, language: str = "lt") -> Lab:
        if moving:
            contexts.append(browser.new_context(reduced_motion="no-preference"))
        page = new_page(contexts[-1] if moving else lasting("still" if clock else "running"), size)
        pages.append(page)
        page.on("pageerror", lambda error: thrown.append(str(error)))
        if clock:
            page.clock.install()
        lab = Lab(page, language=language)
        page.goto(f"{ORIGIN}/?kiosk=k1")
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.wait_for_selector(".plate canvas")
        if clock:
            # From here on it stands still unless a test moves it: a busy computer must not count down by itself.
            page.clock.pause_at(page.evaluate("Date.now() + 1000"))
        return lab

    yield open_kiosk
    for page in pages:
        page.close()
    for context in contexts:
        context.close()
    assert thrown == []


@pytest.fixture(scope="session")
def parts_module(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the viewer's parts as a module for a page."""
    return bundle(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def parts_page(browser: Browser, parts_module: bytes) -> Iterator[Page]:
    """Open a page with the viewer's parts and nothing else; what it throws fails the test."""
    context, opened = open_parts(browser, parts_module)
    uncaught: list[str] = []
    opened.on("pageerror", lambda error: uncaught.append(str(error)))
    yield opened
    context.close()
    assert uncaught == []
