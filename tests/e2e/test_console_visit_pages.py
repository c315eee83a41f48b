# SPDX-License-Identifier: GPL-3.0-or-later
"""Visits at the console: the type of school when one is opened, and a figure of a closed one put right."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import console_world as world
from tests.e2e.console_page import LOOKS, Open, tab
from tests.e2e.driving import DIST, Json, Van, cut_words, refusal, targets

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CORRECTIONS = "/api/visits/v9/corrections"
LATE_TURNS, LATE_MS = 100, 25


def past(**changes: Any) -> Json:
    """Return a closed visit: 25 pupils of 8a, one counted twice and taken back."""
    return world.visit(id="v9", open=False, group="8a", date="2026-11-20", bell_in_s=None, **changes)


def recent(open_console: Open, size: str = "desk", language: str = "lt", theme: str = "dark") -> tuple[Page, Van]:
    """Open the list of past visits with no visit open."""
    page, van = open_console(world.snapshot(visit=None), size, language, theme)
    van.answers["GET", "/api/visits/recent"] = (200, [past(), world.visit(id="v8", open=False)])
    tab(page, "visit", language)
    page.locator(".open .recent").click()
    return page, van


def correct(page: Page) -> None:
    """Choose the first past visit and say that one pupil was too many."""
    page.locator(".visits button").first.click()
    page.locator(".one .stepper button").first.click()
    page.get_by_role("radio", name="Suklysta renkant").click()
    page.locator(".one .primary").click()


def sent(page: Page, van: Van, number: int) -> list[Json]:
    """Return the corrections that were sent, once there are `number` of them."""
    for _ in range(LATE_TURNS):
        if len(found := van.asked("POST", CORRECTIONS)) >= number:
            return found
        page.wait_for_timeout(LATE_MS)
    return van.asked("POST", CORRECTIONS)


def test_a_visit_is_opened_with_the_type_of_its_school(open_console: Open) -> None:
    page, van = open_console(world.snapshot(visit=None))
    van.answers["POST", "/api/visits"] = (201, world.visit())
    tab(page, "visit")
    form = page.locator("form.open")
    form.get_by_label("Mokykla", exact=True).fill("Salantų gimnazija")
    form.get_by_label("Mokyklos tipas").select_option("gymnasium")
    form.get_by_label("Savivaldybė").fill("Kretingos r.")
    form.get_by_label("Grupė ar klasė").fill("8a")
    form.locator(".primary").click()
    expect(page.locator(".visit h3")).to_be_visible()
    (opened,) = van.asked("POST", "/api/visits")
    assert opened["school_type"] == "gymnasium"


def test_the_type_of_a_school_may_stay_unsaid(open_console: Open) -> None:
    page, van = open_console(world.snapshot(visit=None))
    van.answers["POST", "/api/visits"] = (201, world.visit())
    tab(page, "visit")
    for label, words in (("Mokykla", "Salantų gimnazija"), ("Savivaldybė", "Kretingos r."), ("Grupė ar klasė", "8a")):
        page.locator("form.open").get_by_label(label, exact=True).fill(words)
    page.locator("form.open .primary").click()
    (opened,) = van.asked("POST", "/api/visits")
    assert "school_type" not in opened


def test_a_past_figure_is_put_right_with_old_and_new_and_a_reason(open_console: Open) -> None:
    page, van = recent(open_console)
    entry = {"group": "8a", "role": "pupil", "count": -1, "reason": "Suklysta renkant"}
    van.answers["POST", CORRECTIONS] = (201, past(entries=[*past()["entries"], entry], total=27))
    page.locator(".visits button").first.click()
    expect(page.locator(".change b")).to_have_text(["25", "25"])
    page.locator(".one .stepper button").first.click()
    expect(page.locator(".change b")).to_have_text(["25", "24"])
    expect(page.locator(".one .primary")).to_be_disabled()
    page.get_by_role("radio", name="Suklysta renkant").click()
    page.locator(".one .primary").click()
    expect(page.locator(".written")).to_have_text("Įrašyta. 8a, Mokiniai: 25 → 24.")
    expect(page.locator(".change b")).to_have_text(["24", "24"])
    (body,) = van.asked("POST", CORRECTIONS)
    assert UUID4.fullmatch(body.pop("entry"))
    assert body == entry


def test_a_refused_correction_is_told_and_keeps_its_number(open_console: Open) -> None:
    page, van = recent(open_console)
    why = "In the group 8a 0 people of this role were counted."
    van.answers["POST", CORRECTIONS] = (409, refusal("refused", "The correction is not entered.", why, "Check it."))
    correct(page)
    expect(page.locator(".refusal")).to_contain_text("Pataisa neįrašyta.")
    expect(page.locator(".refusal")).to_contain_text("Grupėje 8a")
    van.answers["POST", CORRECTIONS] = (0, None)
    page.locator(".one .primary").click()
    assert len(sent(page, van, 2)) == 2
    expect(page.locator(".one .primary")).to_be_enabled()
    van.answers["POST", CORRECTIONS] = (201, past())
    page.locator(".one .primary").click()
    tries = sent(page, van, 3)
    assert tries[0] == tries[1] == tries[2]


def test_no_past_visit_and_no_answer_are_told(open_console: Open) -> None:
    page, van = recent(open_console)
    page.locator(".sheet .close").click()
    van.answers["GET", "/api/visits/recent"] = (200, [])
    page.locator(".open .recent").click()
    expect(page.locator(".sheet")).to_contain_text("neturi uždaryto vizito")
    page.locator(".sheet .close").click()
    van.answers["GET", "/api/visits/recent"] = (0, None)
    page.locator(".open .recent").click()
    expect(page.locator(".sheet .refusal")).to_contain_text("Buvę vizitai nerodomi.")


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_nothing_is_cut_and_every_key_is_large(open_console: Open, size: str, language: str, theme: str) -> None:
    page, _ = recent(open_console, size, language, theme)
    expect(page.locator(".visits button")).to_have_count(2)
    assert cut_words(page) == []
    page.locator(".visits button").first.click()
    expect(page.locator(".change b").first).to_be_visible()
    assert cut_words(page) == []
    small = [item for item in targets(page) if item["height"] < 63.5]
    assert small == []
