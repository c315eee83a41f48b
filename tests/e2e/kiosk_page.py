# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the kiosk's pages share: a visitor's way, step by step."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.e2e.kiosk_world import Lab

ENDONYMS = {"lt": "Lietuvių", "en": "English", "lv": "Latviešu", "et": "Eesti", "de": "Deutsch"}


def screen(page: Page, name: str) -> None:
    expect(page.locator(".kiosk")).to_have_attribute("data-screen", name)


def awake(page: Page) -> None:
    """Wait until the page takes touches, looking at each frame: `expect` would look ever more rarely."""
    page.wait_for_selector(".kiosk:not([inert])")


def primary(page: Page) -> Locator:
    return page.locator("main .actions .primary")


def wake(lab: Lab) -> None:
    lab.page.locator(".wake").click()
    screen(lab.page, "language")
    awake(lab.page)


def arrive(lab: Lab, language: str = "lt") -> None:
    wake(lab)
    lab.page.get_by_role("main").get_by_role("button", name=ENDONYMS[language]).click()
    screen(lab.page, "checkin")


def skip(lab: Lab) -> None:
    """Leave the survey with its one key."""
    screen(lab.page, "survey")
    lab.page.locator("main .actions button").first.click()


def choose(lab: Lab, index: int, language: str = "lt") -> None:
    arrive(lab, language)
    primary(lab.page).click()
    skip(lab)
    screen(lab.page, "choose")
    lab.page.locator("main li button").nth(index).click()


def request_gear(lab: Lab) -> None:
    choose(lab, 1)
    screen(lab.page, "guess")
    lab.page.locator(".choices button").nth(1).click()
    primary(lab.page).click()
    screen(lab.page, "ticket")
