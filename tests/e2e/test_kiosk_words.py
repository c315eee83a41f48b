# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every word on the kiosk fits, in five languages and three sizes, and every target is large enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.e2e.driving import DIST, Json, cut_words, refusal, targets
from tests.e2e.kiosk_page import ENDONYMS, awake, primary, screen, skip, wake
from tests.e2e.kiosk_world import Lab, making, now

pytestmark = pytest.mark.skipif(not (DIST / "kiosk" / "index.html").is_file(), reason="the pages are not built")


def walk(lab: Lab, language: str) -> Iterator[str]:
    """Go through every screen, stopping at each."""
    page = lab.page
    lab.now = now(making(), 3)
    lab.van.send({"now": lab.now, "job": None})
    yield "attract"
    wake(lab)
    yield "language"
    claims = [{"job": f"j{claim}", "claim": claim} for claim in (7, 12, 118, 119)]
    lab.remember(claims)
    wake(lab)
    page.wait_for_selector(".claims button")
    yield "language, with numbers"
    page.get_by_role("main").get_by_role("button", name=ENDONYMS[language]).click()
    yield "checkin"
    good = lab.van.answers["POST", "/api/kiosk/sessions"]
    lab.fail("sessions", (503, refusal("disk", "x")))
    primary(page).click()
    page.wait_for_selector("main .signal")
    yield "checkin failed"
    lab.van.answers["POST", "/api/kiosk/sessions"] = good
    primary(page).click()
    screen(page, "survey")
    yield "survey, how old"
    page.locator(".bands button").nth(0).click()
    for number in range(3):
        page.wait_for_selector(".faces")
        yield f"survey, faces {number}"
        if number == 2:
            lab.fail("survey", (503, refusal("disk", "x")))
        page.locator(".faces button").nth(4).click()
    page.wait_for_selector("main .signal")
    yield "survey failed"
    lab.fail("survey", (201, {"answer": "x"}))
    primary(page).click()
    page.wait_for_selector(".kept")
    yield "survey, card"
    primary(page).click()
    screen(page, "choose")
    yield "choose"
    page.locator("main li button").nth(0).click()
    yield "name, empty"
    page.keyboard.type("maksimilijonas")
    yield "name, full"
    page.locator(".turn").nth(1).click()
    yield "name, every letter"
    primary(page).click()
    yield "depth"
    primary(page).click()
    yield "guess, own words"
    page.locator(".choices button").nth(0).click()
    lab.fail("requests", (409, refusal("refused", "x")))
    primary(page).click()
    page.wait_for_selector("main .signal")
    yield "request refused"
    lab.fail("requests", (422, refusal("refused", "x")))
    primary(page).click()
    page.wait_for_selector(".choices", state="detached")
    yield "words refused"
    primary(page).click()
    for _ in range(2):
        primary(page).click()
    page.locator(".choices button").nth(0).click()
    lab.fail("requests", lab.take)
    lab.ahead, lab.wait_s = 12, 1300.0
    primary(page).click()
    page.wait_for_selector(".ahead")
    lab.tell()
    yield "ticket"
    lab.tell(state="APPROVED", ahead=0)
    yield "ticket, next"
    lab.tell(state="RUNNING", progress=0.4, remaining_s=22.0)
    screen(page, "live")
    yield "live, own words"
    lab.tell(piece="gear", progress=0.5)
    page.wait_for_selector(".plate canvas")
    yield "live"
    lab.tell(state="HELD")
    yield "held"
    lab.tell(state="INTERRUPTED")
    yield "interrupted"
    for state in ("DECLINED", "ABORTED", "FAILED"):
        lab.tell(state=state, reason="Per ilgas")
        screen(page, "ended")
        yield state
    for actual in (41.0, 80.0, 400.0):
        lab.tell(state="FINISHED", actual_s=actual)
        page.wait_for_selector(".row.machine")
        yield f"compare {actual}"
    page.locator(".rail .view").click()
    page.wait_for_selector("dialog[open]")
    yield "display"
    page.locator("dialog[open] .primary").click()
    primary(page).click()
    screen(page, "survey")
    yield "survey after, faces"
    skip(lab)
    screen(page, "thanks")
    yield "thanks"
    page.locator(".wake").click()
    screen(page, "language")
    awake(page)
    page.locator("main .card button").click()
    page.wait_for_selector(".pad")
    yield "survey after, card"
    for _ in range(6):
        page.locator(".pad button").nth(0).click()
    primary(page).click()
    page.wait_for_selector(".bands")
    yield "survey after, how old"
    page.locator(".bands button").nth(2).click()
    page.wait_for_selector(".words")
    yield "survey after, words"


SCROLLED = "(() => { const m = document.querySelector('main'); return m.scrollHeight - m.clientHeight; })()"
MIDDLES = """all => all.filter((e) => e.getClientRects().length > 0).map((e) => {
  const box = e.getBoundingClientRect();
  return (box.top + box.bottom) / 2;
})"""


def small(page: Page, least: float) -> list[Json]:
    return [target for target in targets(page) if min(target["width"], target["height"]) < least]


@pytest.mark.parametrize("language", list(ENDONYMS))
@pytest.mark.parametrize("size", ["portrait", "desk", "phone"])
def test_every_word_fits_and_every_target_is_large(enter: Callable[..., Lab], size: str, language: str) -> None:
    lab = enter(size, language=language)
    wrong: dict[str, list[str]] = {}
    for name in walk(lab, language):
        found = cut_words(lab.page) + [f"small: {target}" for target in small(lab.page, 63.9)]
        if size != "phone":
            # On the van's own screens nothing has to be scrolled for, and nobody reaches above the upper third.
            height = lab.page.evaluate("innerHeight")
            more = lab.page.evaluate(SCROLLED)
            tops = lab.page.locator("main button, .rail button").evaluate_all(MIDDLES)
            found += [f"{more} px have to be scrolled"] if more > 1 else []
            if size == "portrait":
                found += [f"a key at {top} px" for top in tops if top < height / 3]
        if found:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("size", ["portrait", "desk", "phone"])
def test_the_largest_letters_cut_no_word(enter: Callable[..., Lab], size: str) -> None:
    lab = enter(size, language="de")
    wrong: dict[str, list[str]] = {}
    for name in walk(lab, "de"):
        lab.page.evaluate("document.documentElement.style.setProperty('--text-scale', '1.3')")
        found = cut_words(lab.page)
        if found:
            wrong[name] = found
    assert wrong == {}
