# SPDX-License-Identifier: GPL-3.0-or-later
"""A visitor's own words at the kiosk: a path in the hand while they are cut, and nowhere else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from edge.gcode.scene import scene_bytes
from tests.e2e.driving import DIST, ORIGIN, new_page, refusal
from tests.e2e.kiosk_world import JOB, Lab, making, now
from tests.e2e.viewer_world import COLOURS, piece_scene

pytestmark = pytest.mark.skipif(not (DIST / "kiosk" / "index.html").is_file(), reason="the pages are not built")

FLAT = "localStorage.setItem('infomobil.viewer', 'flat')"
SCENE = f"/api/kiosk/jobs/{JOB}/scene"
WORDS = "ŪLA"


def wished(page: Page) -> Lab:
    """Go the visitor's way up to a name tag with words of one's own that is waited for."""
    page.add_init_script(FLAT)
    lab = Lab(page)
    page.goto(f"{ORIGIN}/?kiosk=k1")
    page.locator(".plate canvas").first.wait_for()
    page.locator(".wake").click()
    expect(page.locator(".kiosk")).not_to_have_attribute("inert", "")
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    page.locator("main .actions .primary").click()
    expect(page.locator(".kiosk")).to_have_attribute("data-screen", "survey")
    page.locator("main .actions button").first.click()
    page.locator("main li button").nth(0).click()
    for letter in WORDS:
        page.locator(".key").get_by_text(letter, exact=True).click()
    for name in ("depth", "guess", "ticket"):
        page.locator("main .actions .primary").click()
        expect(page.locator(".kiosk")).to_have_attribute("data-screen", name)
        if name == "guess":
            page.locator(".choices button").nth(0).click()
    return lab


def test_own_words_are_in_the_hand_while_they_are_cut_and_forgotten_with_the_visitor(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = new_page(context, "portrait")
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    lab = wished(page)
    lab.van.answers["GET", SCENE] = (404, refusal("no-twin", "There is nothing to show."))
    assert not [path for _, path, _ in lab.van.calls if path == SCENE]
    lab.tell(state="RUNNING", progress=0.1, remaining_s=20.0)
    assert len(lab.van.asked("GET", SCENE)) == 1
    expect(page.locator(".viewer")).to_have_count(0)
    lab.van.answers["GET", SCENE] = (200, scene_bytes(piece_scene("gear"), job=JOB))
    canvas = page.locator(".viewer .stage canvas")
    expect(canvas).to_be_attached(timeout=10_000)
    for _ in range(100):
        if canvas.evaluate(COLOURS) >= 3:
            break
        page.wait_for_timeout(20)
    assert canvas.evaluate(COLOURS) >= 3
    lab.tell(state="FINISHED", progress=1.0, actual_s=60.0)
    expect(page.locator(".kiosk")).to_have_attribute("data-screen", "compare")
    expect(canvas).to_be_attached()
    assert WORDS not in page.content()
    asked = len(lab.van.asked("GET", SCENE))
    # The next visitor sees a job of that kind, and nothing of these words.
    lab.now = now(making(9, "name-tag"))
    page.locator("main .actions button").last.click()
    for _ in range(12):
        if page.locator(".kiosk").get_attribute("data-screen") in ("attract", "survey"):
            break
        page.wait_for_timeout(1000)
    expect(page.locator(".viewer")).to_have_count(0)
    assert len(lab.van.asked("GET", SCENE)) == asked
    assert not [path for _, path, _ in lab.van.calls if path.startswith("/api/kiosk/pieces/name-tag/s")]
    context.close()
    assert thrown == []
