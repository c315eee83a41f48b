# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's parts in Chromium: pledges, map, learning, machines, vans, and one visit; as a reader sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebError, expect

from tests.e2e import office_parts as parts
from tests.e2e.driving import DIST, Van
from tests.e2e.office_page import Open, open_part

pytestmark = pytest.mark.skipif(not (DIST / "office" / "index.html").is_file(), reason="the pages are not built")


@pytest.fixture
def open_office(lasting: Callable[..., BrowserContext]) -> Iterator[Open]:
    """Open a part of the dashboard in English unless told otherwise."""
    context = lasting("office", timezone_id="Europe/Vilnius")
    pages: list[Page] = []
    thrown: list[str] = []

    def note(error: WebError) -> None:
        thrown.append(str(error.error))

    context.on("weberror", note)

    def opened(part: str, language: str = "en", **answers: Any) -> tuple[Page, Van]:
        page, van = open_part(context, part, "desk", language, **answers)
        pages.append(page)
        return page, van

    yield opened
    for page in pages:
        page.close()
    context.remove_listener("weberror", note)
    assert thrown == []


def test_pledges_stand_with_milestones_and_the_band_in_which_they_end(open_office: Open) -> None:
    page, _ = open_office("overview")
    courses = page.locator("article", has=page.locator(".drawing"))
    expect(courses).to_have_count(3)
    people = courses.nth(0)
    expect(people).to_contain_text("By the due day there will most likely be between 5,700 and 7,100, about 6,350.")
    expect(people).to_contain_text("may or may not be in time")
    expect(people).to_contain_text("31 of them have not been received from the vans yet.")
    expect(people.locator(".stone.met")).to_have_count(1)
    expect(courses.nth(1)).to_contain_text("not enough at this pace")
    expect(courses.nth(1)).to_contain_text("The milestone of 30 by November 15, 2026 was missed: it was 20.")
    expect(courses.nth(2)).to_contain_text("The pledge is met.")
    expect(page.locator(".told")).to_contain_text("E-learning users")


def test_the_map_has_sixty_tiles_and_is_gone_through_with_arrow_keys(open_office: Open) -> None:
    page, _ = open_office("where")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(60)
    expect(page.locator(".shown")).to_contain_text("Kretingos rajonas")
    # One stop for the Tab key; the arrows do the rest.
    expect(page.locator(".tile[tabindex='0']")).to_have_count(1)
    page.locator(".tile[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".shown")).to_contain_text("Plungės rajonas")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".shown")).to_contain_text("Telšių rajonas")
    expect(page.locator(".tile[data-code='TEL']")).to_be_focused()
    expect(page.locator(".tile[data-code='TEL']")).to_have_attribute(
        "aria-label", "Telšių rajonas: 54 people, 2 visits"
    )
    expect(page.locator(".country")).to_contain_text("Liepoja")


def test_people_by_each_thing_with_what_was_not_said(open_office: Open) -> None:
    page, van = open_office("where")
    page.get_by_role("tab", name="Type of school").click()
    expect(page.locator("tbody th")).to_have_text(["Gymnasium", "Vocational school", "Progymnasium", "not said"])
    expect(page.locator(".sum")).to_have_text("2,178 people in total")
    page.get_by_label("From", exact=True).fill("2026-10-01")
    page.locator(".period select").select_option("im-02")
    page.wait_for_load_state("networkidle")
    assert van.asked("GET", "/api/breakdown")
    assert page.get_by_role("button", name="Show everything").is_visible()


def test_interest_is_told_with_its_interval_and_small_groups_are_explained(open_office: Open) -> None:
    page, _ = open_office("learning")
    rows = page.locator("article li")
    expect(rows.nth(0)).to_contain_text("95 % interval from +0.7 to +1.1")
    expect(rows.nth(0)).to_contain_text("it rose")
    expect(rows.nth(1)).to_contain_text("Not shown: fewer than 5 people")
    expect(rows.nth(1).locator(".axis")).to_have_count(0)
    expect(page.locator("article").nth(2)).to_contain_text("no clear change")
    expect(page.locator(".why")).to_contain_text("a mean can give away one person's answer")


def test_machines_show_hours_jobs_and_parts_nobody_saw(open_office: Open) -> None:
    page, _ = open_office("machines")
    expect(page.locator(".total")).to_contain_text("64.8")
    rows = page.locator("section").first.locator("li")
    expect(rows.nth(0)).to_contain_text("41.2 h of jobs")
    expect(rows.nth(1)).to_contain_text("7 parts were made while nobody saw the machine.")


def test_vans_tell_doubts_gaps_clock_and_health(open_office: Open) -> None:
    page, _ = open_office("vans")
    first, second, third = (page.locator("article").nth(index) for index in range(3))
    expect(first).to_contain_text("4,010 records are not there, and we know why")
    expect(first).to_contain_text("rolled up to minutes and hours")
    expect(first).to_contain_text("kept right by a time service")
    expect(first).to_contain_text("March 1, 2029")
    expect(first).not_to_contain_text("Issue a new one")
    expect(second).to_contain_text("good until December 20, 2026. Issue a new one in time.")
    expect(second.locator(".doubt")).to_contain_text("Two vans use one name: the card was copied.")
    expect(second).to_contain_text("88 records are still missing")
    expect(second).to_contain_text("True time is known to within 6 min.")
    expect(third).to_contain_text("nothing said of the clock yet")
    expect(page.locator("nav")).to_contain_text("needs attention")


def test_a_visit_shows_every_entry_and_each_correction_as_old_and_new(open_office: Open) -> None:
    page, _ = open_office("visits")
    page.get_by_role("link", name="Alytaus dailiųjų amatų mokykla").first.click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("+26")
    expect(rows.nth(1)).to_contain_text("between Nov 23, 2026, 10:03")
    expect(rows.nth(2).locator("s")).to_have_text("26")
    expect(rows.nth(2).locator("b")).to_have_text("25")
    expect(rows.nth(3)).to_contain_text("Klasės žurnalas")
    expect(rows.nth(3)).to_contain_text("rasa")


def test_a_viewer_reads_and_is_offered_no_change(open_office: Open) -> None:
    page, _ = open_office("visits/im-01/v001", me=(200, parts.me("viewer")))
    expect(page.locator("tbody tr")).to_have_count(4)
    expect(page.get_by_role("button", name="Correct a figure")).to_have_count(0)
    expect(page.get_by_role("link", name="Access")).to_have_count(0)
    page.get_by_role("link", name="Evidence").click()
    expect(page.locator("input[type=file]")).to_have_count(0)
    expect(page.get_by_role("button", name="Look", exact=True)).to_have_count(0)


def test_a_visit_that_the_office_does_not_know_says_so(open_office: Open) -> None:
    page, _ = open_office("visits/im-09/none")
    expect(page.locator("main")).to_contain_text("The office has no visit none of van im-09.")


def test_on_a_phone_a_place_is_chosen_from_a_list(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce", timezone_id="Europe/Vilnius")
    page, _ = open_part(context, "where", "phone", "en")
    page.get_by_label("Municipality", exact=True).select_option(label="Telšių rajonas: 54")
    expect(page.locator(".shown")).to_contain_text("Telšių rajonas")
    expect(page.locator(".tile[data-code='TEL']")).to_have_attribute("aria-pressed", "true")
    context.close()


def test_an_alarm_that_is_a_doubt_stands_once(open_office: Open) -> None:
    first, second, third = parts.labs()
    second["alarms"] = [second["doubts"][0]["text"], "visits 7-9 of epoch 09aa: does not follow the batch before it"]
    page, _ = open_office("vans", labs=(200, [first, second, third]))
    card = page.locator("article").nth(1)
    expect(card.get_by_text("both follow epoch 77d1")).to_have_count(1)
    expect(card).to_contain_text("Batches do not fit together. Figures stay, but somebody should look. visits 7-9")
