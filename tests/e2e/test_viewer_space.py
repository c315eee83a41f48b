# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer in space: Chromium draws by software here, beside whatever else the computer does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e import console_world as world
from tests.e2e.conftest import CHROMIUM
from tests.e2e.driving import DIST, ORIGIN, Van
from tests.e2e.viewer_world import COLOURS, long_scene, scene_of_piece, stock_of_piece, waves, with_pictures

pytestmark = [
    pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built"),
    pytest.mark.timeout(180),
]

DRAWN_MS = 90_000
SOLID = ".sheet .stage[data-kind=solid] canvas"
SEEN = f"""() => new Promise((resolve) => requestAnimationFrame(() => {{
  resolve(({COLOURS})(document.querySelector(".sheet .stage canvas")));
}}))"""
"""Colours of a picture in space: they are there to be read only in the frame that drew them."""


@pytest.fixture(scope="module")
def drawing() -> Iterator[Browser]:
    """Start a Chromium that draws in space by software."""
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield chromium
        chromium.close()


@pytest.fixture
def in_space(drawing: Browser) -> Iterator[Callable[..., tuple[Page, Van]]]:
    """Open a program in space, by a person's choice: then it stays so where it is slow."""
    contexts = []
    uncaught: list[str] = []

    def opened(scene: bytes, stock: bytes) -> tuple[Page, Van]:
        context = drawing.new_context(reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(DRAWN_MS)
        page.on("pageerror", lambda error: uncaught.append(str(error)))
        page.add_init_script("localStorage.setItem('infomobil.viewer', 'solid')")
        van = Van(page, "console", "/api/live", hello=[{"type": "snapshot", "snapshot": world.ready()}])
        with_pictures(van)
        van.answers["GET", "/api/programs/gear/scene"] = (200, scene)
        van.answers["GET", "/api/programs/gear/stock"] = (200, stock)
        page.goto(ORIGIN)
        page.locator(".add").dispatch_event("click")
        page.locator(".sheet li").first.locator("button").first.dispatch_event("click")
        page.locator(SOLID).wait_for(state="attached")
        return page, van

    yield opened
    for context in contexts:
        context.close()
    assert uncaught == []


@pytest.mark.parametrize("scene", ["gear", "long"])
def test_a_program_is_drawn_in_space(in_space: Callable[..., tuple[Page, Van]], scene: str) -> None:
    packed = (scene_of_piece("gear"), stock_of_piece("gear")) if scene == "gear" else (long_scene(60_000), waves(128))
    page, _ = in_space(*packed)
    seen = 0
    for _ in range(60):
        page.locator(".sheet .stage").dispatch_event("keydown", {"key": "ArrowLeft"})
        seen = page.evaluate(SEEN)
        if seen >= 8:
            break
    assert seen >= 8


def test_a_lost_graphics_card_leaves_the_picture_from_above(in_space: Callable[..., tuple[Page, Van]]) -> None:
    page, _ = in_space(scene_of_piece("gear"), stock_of_piece("gear"))
    page.locator(SOLID).evaluate("(c) => c.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()")
    expect(page.locator(".sheet .stage")).to_have_attribute("data-kind", "flat")
    expect(page.locator(".viewer .note")).to_contain_text("Naršyklė nutraukė erdvinį vaizdą")
