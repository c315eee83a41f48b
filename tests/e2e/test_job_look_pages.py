# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at what is cut for a job before it is approved, also where a visitor's own words make the program."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import console_world as world
from tests.e2e.console_page import LOOKS, Open, tab
from tests.e2e.driving import DIST, Json, Van, cut_words, refusal, targets
from tests.e2e.viewer_world import check, scene_of_piece, stock_of_piece, with_pictures

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

FLAT = "localStorage.setItem('infomobil.viewer', 'flat')"
OPINION = "/api/machines/router/second-opinion"
APPROVE, RECHECK = "/api/jobs/j3/approve", "/api/jobs/j3/recheck"
SEEN, LISTED, AGAIN = "b" * 64, "a" * 64, "c" * 64


def wish(state: str = "REQUESTED", **changes: Any) -> Json:
    """Return a job whose visitor has words of an own."""
    return world.job(3, state, **{"title": world.NAME_TAG, "program": "name-tag", "text": "Šarūnas Č.", **changes})


def router() -> Json:
    """Return a router whose controller can read programs."""
    machine = world.router()
    machine["capabilities"] = [*machine["capabilities"], "check_mode"]
    machine["refusals"] = {**machine["refusals"], "second_opinion": []}
    return machine


def look(open_console: Open, *jobs: Json, **options: Any) -> tuple[Page, Van]:
    """Look at the first of these jobs; the name tag has a picture and a check of its own in the list."""
    page, van = open_console(world.snapshot(machines=[router(), world.lathe()], jobs=list(jobs)), **options)
    page.evaluate(FLAT)
    with_pictures(van)
    van.answers["GET", "/api/programs/name-tag/scene"] = (200, scene_of_piece("name-tag"))
    van.answers["GET", "/api/programs/name-tag/stock"] = (200, stock_of_piece("name-tag"))
    van.answers["GET", "/api/programs/name-tag/check"] = (200, check(digest=LISTED))
    van.answers["GET", "/api/jobs/j3/check"] = (200, check(digest=SEEN))
    if not page.locator(".job .look").first.is_visible():
        tab(page, "queue", options.get("language", "lt"))
    page.locator(".job .look").first.click()
    expect(page.locator(".sheet .stage canvas")).to_be_attached()
    expect(page.locator(".sheet .result")).to_be_visible()
    return page, van


def of_the_list(van: Van) -> set[str]:
    """Return what was asked of the program of the list."""
    return {path for _, path, _ in van.calls if path.startswith("/api/programs/name-tag/")}


def approve(page: Page) -> None:
    page.locator(".sheet .primary", has_text="Patvirtinti").click()


def test_own_words_are_looked_at_and_approved_by_the_check_that_was_seen(open_console: Open) -> None:
    page, van = look(open_console, wish())
    expect(page.locator(".sheet h2")).to_have_text(world.NAME_TAG["lt"])
    expect(page.locator(".sheet .title p")).to_have_text("Darbas nr. 3 „Šarūnas Č.“")
    expect(page.get_by_role("button", name="Įdėti į eilę")).to_have_count(0)
    van.answers["POST", APPROVE] = (200, wish("APPROVED"))
    approve(page)
    expect(page.locator(".sheet .primary")).to_have_text("Patvirtinta")
    expect(page.locator(".sheet .primary")).to_be_disabled()
    assert van.asked("POST", APPROVE) == [{"check_digest": SEEN}]
    for part in ("scene", "stock", "check"):
        assert len(van.asked("GET", f"/api/jobs/j3/{part}")) == 1
    assert of_the_list(van) == set()


def test_the_card_approves_what_was_looked_at_too(open_console: Open) -> None:
    page, van = look(open_console, wish())
    page.keyboard.press("Escape")
    van.answers["POST", APPROVE] = (200, wish("APPROVED"))
    page.locator(".job .approve").click()
    expect(page.locator(".job .start")).to_be_visible()
    assert van.asked("POST", APPROVE) == [{"check_digest": SEEN}]


def test_the_check_of_the_list_is_not_that_of_own_words(open_console: Open) -> None:
    page, van = look(open_console, wish())
    page.keyboard.press("Escape")
    page.locator(".add").click()
    page.locator(".sheet li", has_text=world.NAME_TAG["lt"]).locator("button").first.click()
    expect(page.locator(".sheet .result")).to_be_visible()
    assert len(van.asked("GET", "/api/programs/name-tag/check")) == 1
    expect(page.get_by_role("button", name="Įdėti į eilę")).to_be_visible()
    expect(page.locator(".sheet .title p")).to_have_count(0)
    page.keyboard.press("Escape")
    van.answers["POST", APPROVE] = (200, wish("APPROVED"))
    page.locator(".job .approve").click()
    expect(page.locator(".job .start")).to_be_visible()
    assert van.asked("POST", APPROVE) == [{"check_digest": SEEN}]


def test_without_own_words_the_newest_check_of_the_job_or_of_its_program_is_named(open_console: Open) -> None:
    job = wish(text=None)
    page, van = look(open_console, job)
    expect(page.locator(".sheet .title p")).to_have_text("Darbas nr. 3")
    page.keyboard.press("Escape")
    page.locator(".add").click()
    page.locator(".sheet li", has_text=world.NAME_TAG["lt"]).locator("button").first.click()
    expect(page.locator(".sheet .result")).to_be_visible()
    page.keyboard.press("Escape")
    van.answers["POST", APPROVE] = (409, refusal("refused", "No."))
    page.locator(".job .approve").click()
    expect(page.locator(".job .problem")).to_be_visible()
    page.locator(".job .look").click()
    expect(page.locator(".sheet .result")).to_be_visible()
    approve(page)
    page.wait_for_timeout(50)
    assert van.asked("POST", APPROVE) == [{"check_digest": LISTED}, {"check_digest": SEEN}]


def test_what_has_changed_since_the_look_is_said_and_checked_again_in_the_sheet(open_console: Open) -> None:
    page, van = look(open_console, wish())
    reason = {
        "permissive": "check-outdated",
        "what": "Router does not take the approval.",
        "why": "The zero of X was 0.000 and is 12.500 mm.",
        "source": "check",
        "age_ms": None,
        "remedy": "Check the program again, then approve it.",
    }
    said = refusal("check-outdated", reason["what"], reason["why"], reason["remedy"], reasons=[reason])
    van.answers["POST", APPROVE] = (409, said)
    approve(page)
    expect(page.locator(".sheet .act")).to_contain_text("12.500 mm")
    van.answers["POST", RECHECK] = (200, wish(check_digest=AGAIN))
    van.answers["POST", APPROVE] = (200, wish("APPROVED"))
    van.answers["GET", "/api/jobs/j3/check"] = (200, check(digest=AGAIN, lines=321))
    page.locator(".sheet .primary", has_text="Patikrinti iš naujo ir patvirtinti").click()
    expect(page.locator(".sheet .primary")).to_have_text("Patvirtinta")
    expect(page.locator(".sheet .result dd").first).to_have_text("321")
    assert van.asked("POST", APPROVE) == [{"check_digest": SEEN}, {"check_digest": AGAIN}]


def test_what_has_errors_is_not_approved_from_the_sheet(open_console: Open) -> None:
    page, van = look(open_console, wish())
    page.keyboard.press("Escape")
    van.answers["GET", "/api/jobs/j3/check"] = (200, check(errors=2))
    page.locator(".job .look").click()
    expect(page.locator(".sheet .bad")).to_be_visible()
    expect(page.locator(".sheet .primary")).to_have_count(0)


def test_a_wish_that_is_forgotten_is_said(open_console: Open) -> None:
    page, van = look(open_console, wish())
    page.keyboard.press("Escape")
    gone = (404, refusal("wish-forgotten", "There is nothing to show.", "The visitor's text is gone."))
    van.answers["GET", "/api/jobs/j3/check"] = van.answers["GET", "/api/jobs/j3/scene"] = gone
    page.locator(".job .look").click()
    expect(page.locator(".sheet .told")).to_contain_text("Lankytojo tekstas buvo laikomas tik iki darbo pabaigos.")
    expect(page.locator(".sheet .primary")).to_have_count(0)


def test_the_controller_reads_the_job_and_not_the_program_of_the_list(open_console: Open) -> None:
    page, van = look(open_console, wish("APPROVED"))
    expect(page.locator(".sheet .primary")).to_have_count(0)
    said = {"lines": 240, "refused": [], "refused_lines": 0, "agrees": True}
    van.answers["POST", OPINION] = (200, said)
    page.get_by_role("button", name="Tegul perskaito pats valdiklis").click()
    expect(page.locator(".opinion .good")).to_be_visible()
    asked = van.asked("POST", OPINION)
    assert [sorted(body) for body in asked] == [["check", "job"]]
    assert asked[0]["job"] == "j3"
    # Another wish for the same piece has been read by nobody.
    other = wish(text="Ugnė")
    van.send({"type": "jobs", "jobs": [{**other, "id": "j4", "claim": 4}]})
    page.keyboard.press("Escape")
    page.locator(".job .look").click()
    expect(page.locator(".sheet .title p")).to_have_text("Darbas nr. 4 „Ugnė“")
    expect(page.locator(".opinion")).to_be_visible()
    expect(page.locator(".opinion .good")).to_have_count(0)


def test_nobody_is_asked_to_read_what_has_ended(open_console: Open) -> None:
    page, van = look(open_console, wish("APPROVED"))
    expect(page.locator(".opinion")).to_be_visible()
    van.send({"type": "jobs", "jobs": [wish("FINISHED", text=None)]})
    expect(page.locator(".opinion")).to_have_count(0)
    # What was looked at stays: it is no other program.
    expect(page.locator(".sheet .stage canvas")).to_be_attached()
    expect(page.locator(".sheet .title p")).to_have_text("Darbas nr. 3")
    assert of_the_list(van) == set()


def test_a_job_that_has_ended_is_not_looked_at(open_console: Open) -> None:
    page, _ = open_console(world.ready(jobs=[wish("FINISHED", text=None), wish("DECLINED", text=None, id="j9")]))
    expect(page.locator(".job .look")).to_have_count(0)


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_the_sheet_of_a_job_fits_its_words(open_console: Open, size: str, language: str, theme: str) -> None:
    page, _ = look(open_console, wish(text="Žygimantas Š. 8b"), size=size, language=language, theme=theme)
    assert cut_words(page) == []
    assert [one for one in targets(page) if one["height"] < 44] == []
    expect(page.locator(".sheet .primary")).to_be_visible()
