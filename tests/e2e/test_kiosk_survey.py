# SPDX-License-Identifier: GPL-3.0-or-later
"""Three questions before and after at the kiosk: linked by a card alone, never in the way, wiped with the visitor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.driving import DIST, ORIGIN, Json, new_page, refusal
from tests.e2e.kiosk_world import CLAIM, Lab

pytestmark = pytest.mark.skipif(not (DIST / "kiosk" / "index.html").is_file(), reason="the pages are not built")

CARD = re.compile(r"[0-9]{6}")
KEPT = """() => [...Object.entries(localStorage), ...Object.entries(sessionStorage)].flat().join(" ")"""


@pytest.fixture
def enter(browser: Browser) -> Iterator[Callable[..., Lab]]:
    """Open the kiosk; its clock moves only when a test moves it."""
    contexts = []
    thrown: list[str] = []

    def opened() -> Lab:
        context = browser.new_context(reduced_motion="reduce")
        contexts.append(context)
        page = new_page(context, "portrait")
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.clock.install()
        lab = Lab(page)
        page.goto(f"{ORIGIN}/?kiosk=k1")
        page.wait_for_selector(".plate canvas")
        page.clock.pause_at(page.evaluate("Date.now() + 1000"))
        return lab

    yield opened
    for context in contexts:
        context.close()
    assert thrown == []


def screen(page: Page, name: str) -> None:
    expect(page.locator(".kiosk")).to_have_attribute("data-screen", name)


def key(page: Page, words: str) -> None:
    """Tap a key of the screen by its words."""
    page.get_by_role("main").get_by_role("button", name=words, exact=True).click()


def check_in(lab: Lab) -> Page:
    """Wake the kiosk and check in: the questions come next."""
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    key(page, "Lietuvių")
    key(page, "Aš čia")
    screen(page, "survey")
    return page


def answered(lab: Lab) -> list[Json]:
    return lab.van.asked("POST", "/api/kiosk/survey")


def wish(lab: Lab) -> Page:
    """Choose a gear and get a number."""
    page = lab.page
    screen(page, "choose")
    page.locator("main li button").nth(1).click()
    page.locator(".choices button").nth(1).click()
    key(page, "Gaminam!")
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))
    return page


def finish(lab: Lab) -> None:
    """End the visitor's job."""
    lab.tell(state="FINISHED", progress=1.0, actual_s=80.0, remaining_s=None)
    screen(lab.page, "compare")


def test_one_tap_leaves_the_questions_out_and_nothing_is_sent(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    key(page, "Praleisti")
    wish(lab)
    expect(page.locator("main")).not_to_contain_text("Tavo kortelė")
    finish(lab)
    key(page, "Baigti")
    # Who left them out before is not asked after.
    screen(page, "thanks")
    assert not [call for call in lab.van.calls if call[1] == "/api/kiosk/survey"]


def test_answers_before_and_after_carry_one_card_and_nothing_else_of_the_visitor(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    key(page, "13 ar daugiau")
    for word in ("Truputį", "Nelabai", "Visai ne"):
        expect(page.locator(".words button")).to_have_count(5)
        key(page, word)
    card = page.locator(".kept").inner_text()
    assert CARD.fullmatch(card)
    (before,) = answered(lab)
    assert before.pop("answer") != lab.van.asked("POST", "/api/kiosk/sessions")[0]["session"]
    assert before == {
        "kiosk": "k1",
        "card": card,
        "moment": "before",
        "band": "13_up",
        "language": "lt",
        "interest": 3,
        "confidence": 2,
        "career": 1,
    }
    key(page, "Toliau")
    wish(lab)
    expect(page.locator("main")).to_contain_text(f"Tavo kortelė: {card}")
    assert card not in page.evaluate(KEPT)
    finish(lab)
    key(page, "Baigti")
    for _ in range(3):
        key(page, "Labai")
    screen(page, "thanks")
    after = answered(lab)[1]
    assert (after["card"], after["moment"], after["band"]) == (card, "after", "13_up")
    assert [after[name] for name in ("interest", "confidence", "career")] == [5, 5, 5]


def test_children_under_eleven_are_shown_faces_that_all_smile(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    key(page, "Mažiau nei 11")
    expect(page.locator(".faces svg")).to_have_count(5)
    words = page.locator(".faces button").all_inner_texts()
    assert [word.strip() for word in words] == ["Truputį", "Neblogai", "Taip", "Labai", "Be galo"]


def test_answers_that_were_not_written_are_not_called_written_and_keep_their_number(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    lab.fail("survey", (503, refusal("disk", "That was not done.", "database is locked", "Try again.")))
    key(page, "11 arba 12")
    for _ in range(3):
        key(page, "Taip")
    expect(page.locator("main .signal").first).to_have_text("Atsakymai dar neužrašyti")
    assert page.locator(".kept").count() == 0
    lab.fail("survey", (201, {"answer": "x"}))
    key(page, "Bandyti dar kartą")
    expect(page.locator(".kept")).to_be_visible()
    tries = answered(lab)
    assert len(tries) == 2
    assert tries[0] == tries[1]


def test_a_silent_service_does_not_keep_anybody_from_the_wish(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    lab.fail("survey", lambda _request: None)
    key(page, "11 arba 12")
    for _ in range(3):
        key(page, "Taip")
    key(page, "Praleisti")
    wish(lab)


def test_idle_wipes_the_answers_and_the_card(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    key(page, "13 ar daugiau")
    for _ in range(3):
        key(page, "Taip")
    card = page.locator(".kept").inner_text()
    page.clock.run_for(62_000)
    screen(page, "attract")
    page = check_in(lab)
    expect(page.locator(".bands")).to_be_visible()
    assert card not in page.content()
    key(page, "13 ar daugiau")
    for _ in range(3):
        key(page, "Taip")
    assert answered(lab)[1]["card"] != card


def test_who_comes_back_types_the_card(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    key(page, "Turi kortelę? Atsakyk po vizito")
    next_key = page.get_by_role("main").get_by_role("button", name="Toliau", exact=True)
    for figure in "40719":
        key(page, figure)
    expect(next_key).to_be_disabled()
    key(page, "3")
    next_key.click()
    key(page, "13 ar daugiau")
    for _ in range(3):
        key(page, "Labai")
    screen(page, "thanks")
    (after,) = answered(lab)
    assert (after["card"], after["moment"]) == ("407193", "after")


def test_who_finds_the_wish_again_by_its_number_is_asked_for_the_card_and_may_skip(enter: Callable[..., Lab]) -> None:
    lab = enter()
    page = check_in(lab)
    key(page, "Praleisti")
    wish(lab)
    key(page, "Kitas lankytojas")
    page.clock.run_for(10_000)
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.locator(".claims button").click()
    finish(lab)
    key(page, "Baigti")
    expect(page.locator("main h1")).to_have_text("Koks tavo kortelės skaičius?")
    key(page, "Praleisti")
    screen(page, "thanks")
