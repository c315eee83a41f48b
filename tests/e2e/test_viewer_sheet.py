# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet of a program: how its check is headed, what is only guessed, where its keys lie, what it remembers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from edge.gcode.scene import Scene, scene_bytes
from tests.e2e import console_world as world
from tests.e2e.console_page import Open
from tests.e2e.driving import DIST, Json, Van
from tests.e2e.test_viewer_pages import FLAT, draws, look
from tests.e2e.viewer_world import check, piece_scene, with_pictures

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

STOCK_UNDER = """([canvas, boxes]) => {
  const at = canvas.getBoundingClientRect();
  const scale = canvas.width / at.width;
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  return boxes.map(({ x, y, width, height }) => {
    const { data } = context.getImageData((x - at.x) * scale, (y - at.y) * scale, width * scale, height * scale);
    let found = 0;
    for (let k = 0; k < data.length; k += 4) {
      if (Math.abs(data[k] - 100) + Math.abs(data[k + 1] - 120) + Math.abs(data[k + 2] - 139) < 24) found += 1;
    }
    return found;
  });
}"""
"""How many pixels below each of the boxes have the colour of the uncut material."""


def opened(
    open_console: Open, found: Json | None = None, scene: Scene | None = None, **options: Any
) -> tuple[Page, Van]:
    """Open the gear's sheet with this check and this picture."""
    page, van = open_console(world.ready(), **options)
    with_pictures(van)
    if found is not None:
        van.answers["GET", "/api/programs/gear/check"] = (200, found)
    if scene is not None:
        van.answers["GET", "/api/programs/gear/scene"] = (200, scene_bytes(scene))
    page.evaluate(FLAT)
    show(page)
    return page, van


def show(page: Page) -> None:
    """Look at the first program of the list."""
    if not page.locator(".add").is_visible():
        page.locator(".phone button").nth(1).click()
    page.locator(".add").click()
    page.locator(".sheet li").first.locator("button").first.click()
    expect(page.locator(".sheet .stage canvas")).to_be_attached()


def finding(code: str, severity: str = "warning", line: int = 0) -> Json:
    said = {"message": "It says so.", "words": [], "remedy": "Do so."}
    return {"line": line, "column": 0, "code": code, "severity": severity, **said}


@pytest.mark.parametrize(
    ("changes", "head", "icon"),
    [
        ({"warnings": 0, "diagnostics": []}, "Krumpliaratis: klaidų nerasta", "circle-check"),
        ({}, "Krumpliaratis: klaidų nerasta, yra 1 įspėjimas", "triangle-alert"),
        (
            {"diagnostics": [finding("travel-unchecked")]},
            "Krumpliaratis: klaidų nerasta, bet ne viskas patikrinta",
            "triangle-alert",
        ),
        (
            {"warnings": 0, "diagnostics": [finding("rapids-unchecked", "note")]},
            "Krumpliaratis: klaidų nerasta, bet ne viskas patikrinta",
            "triangle-alert",
        ),
        ({"errors": 2, "diagnostics": [finding("empty", "error")]}, "Krumpliaratis: 2 klaidos", "diamond-minus"),
    ],
)
def test_a_check_claims_no_more_than_it_has_looked_at(open_console: Open, changes: Json, head: str, icon: str) -> None:
    page, _ = opened(open_console, check(**changes))
    expect(page.locator(".result .good")).to_have_text(head)
    expect(page.locator(f".result .good .lucide-{icon}")).to_be_visible()


def test_findings_that_were_not_sent_are_counted(open_console: Open) -> None:
    lines = [finding("banned-word", line=line) for line in range(1, 201)]
    page, _ = opened(open_console, check(warnings=700, diagnostics=lines))
    expect(page.locator(".result h4")).to_have_text("700 pastabų")
    expect(page.locator(".result .more")).to_have_text("Ir dar 500.")


def test_what_nobody_has_said_is_told_as_a_guess(open_console: Open) -> None:
    gear = piece_scene("gear")
    tool = replace(gear.tools[0], diameter=3.175, name="End mill 3.175 mm")
    page, _ = opened(open_console, scene=replace(gear, guessed=True, known=(False,), tools=(tool,)))
    expect(page.locator(".result .size dt")).to_have_text("Ruošinys (spėjamas)")
    expect(page.locator(".tools .unknown")).to_have_text("įrankis nenurodytas, skaičiuota su 3,175 mm freza")
    expect(page.locator(".tools .unknown .lucide-circle-question-mark")).to_be_visible()
    said = page.locator(".viewer > .unseen")
    expect(said).to_contain_text("Ruošinys spėjamas: 60 × 60 × 3 mm.")
    expect(said).to_contain_text("skaičiuota su 3,175 mm freza")


def test_a_known_tool_is_told_to_its_last_figure_and_an_unlisted_one_by_its_number(open_console: Open) -> None:
    gear = piece_scene("gear")
    fine = replace(gear.tools[0], diameter=0.25)
    other = replace(gear.tools[0], number=7, diameter=3.175)
    half = gear.tool.copy()
    half[len(half) // 2 :] = 1
    page, _ = opened(open_console, scene=replace(gear, tools=(fine, other), known=(True, False), tool=half))
    tools = page.locator(".result .tools li")
    expect(tools.nth(0)).to_contain_text("cilindrinė freza, 0,25 mm")
    expect(tools.nth(1)).to_have_text("T7 lentelėje nėra, skaičiuota su 3,175 mm freza")


@pytest.mark.parametrize(
    ("language", "range_", "way"), [("lt", "−1,5 … 5,0", "32,5 m"), ("en", "−1.5 … 5.0", "32.5 m")]
)
def test_figures_have_the_decimal_sign_of_the_language(
    open_console: Open, language: str, range_: str, way: str
) -> None:
    page, _ = opened(open_console, check(distance_mm=32_543.0), language=language)
    figures = page.locator(".result dd")
    expect(figures.filter(has_text="…").last).to_have_text(range_)
    expect(figures.nth(2)).to_have_text(way)
    heights = figures.evaluate_all("(all) => all.map((e) => e.getBoundingClientRect().height)")
    assert max(heights) - min(heights) < 1


def test_the_action_stays_in_sight_however_much_was_found(open_console: Open) -> None:
    lines = [finding("banned-word", line=line) for line in range(1, 40)]
    page, _ = opened(open_console, check(warnings=39, diagnostics=lines))
    action = page.locator(".sheet .primary")
    expect(action).to_be_in_viewport(ratio=1)
    box, sheet = action.bounding_box(), page.locator(".sheet .body").bounding_box()
    assert box is not None
    assert sheet is not None
    assert box["y"] + box["height"] <= sheet["y"] + sheet["height"]


def test_a_phone_shows_the_picture_and_its_slider_together(open_console: Open) -> None:
    page, _ = opened(open_console, size="phone")
    expect(page.locator(".sheet .stage")).to_be_in_viewport(ratio=1)
    expect(page.locator(".sheet input[type=range]")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Rodyti", exact=True)).to_be_in_viewport(ratio=1)


def test_the_piece_is_shown_beside_what_lies_on_the_picture(open_console: Open) -> None:
    page, _ = opened(open_console)
    draws(page)
    boxes = [page.locator(part).bounding_box() for part in (".viewer .left", ".viewer .right", ".viewer .keys")]
    canvas = page.locator(".sheet .stage canvas").element_handle()
    assert page.evaluate(STOCK_UNDER, [canvas, boxes]) == [0, 0, 0]
    page.get_by_role("button", name="Priartinti").click(click_count=3)
    for _ in range(4):
        page.clock.run_for(100)
    assert max(page.evaluate(STOCK_UNDER, [canvas, boxes])) > 0


def test_arrow_keys_go_through_the_choices(open_console: Open) -> None:
    page, _ = opened(open_console)
    feed, time, none = (page.get_by_role("radio", name=name) for name in ("Pastūma", "Laikas", "Be kelio"))
    feed.focus()
    page.keyboard.press("ArrowRight")
    expect(time).to_be_focused()
    expect(time).to_be_checked()
    expect(feed).to_have_attribute("tabindex", "-1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(none).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Iš viršaus")).to_be_focused()


def test_heads_are_counted_by_keyboard(open_console: Open) -> None:
    page, _ = open_console(world.ready())
    page.locator(".tabs button", has_text="Vizitas").click()
    page.get_by_role("button", name="Skaičiuoti žmones").click()
    pupils = page.get_by_role("radio", name="Mokiniai")
    pupils.focus()
    page.keyboard.press("ArrowDown")
    expect(pupils).not_to_be_checked()
    expect(page.locator(".sheet [role=radio]:focus")).to_be_checked()


def test_the_same_line_is_shown_again(open_console: Open) -> None:
    page, _ = opened(open_console)
    slider = page.locator(".sheet input[type=range]")
    page.locator("button.place").click()
    expect(slider).not_to_have_attribute("aria-valuetext", "1:16")
    there = slider.get_attribute("aria-valuetext") or ""
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "1:16")
    page.locator("button.place").click()
    expect(slider).to_have_attribute("aria-valuetext", there)


def reading(open_console: Open) -> tuple[Page, Van, Locator]:
    """Open the sheet of a machine whose controller can read programs."""
    machine = world.router()
    machine["capabilities"] = [*machine["capabilities"], "check_mode"]
    machine["refusals"] = {**machine["refusals"], "second_opinion": []}
    page, van = look(open_console, world.snapshot(machines=[machine]))
    return page, van, page.get_by_role("button", name="Tegul perskaito pats valdiklis")


def test_a_second_opinion_is_there_when_the_sheet_is_opened_again(open_console: Open) -> None:
    page, van, key = reading(open_console)
    lines = [{"line": line, "error": 33, "text": "G2 X1 Y1 R0"} for line in range(1, 201)]
    said = {"lines": 3000, "refused": lines, "refused_lines": 1234, "agrees": False}
    van.answers["POST", "/api/machines/router/second-opinion"] = (200, said)
    key.click()
    expect(page.locator(".opinion")).to_contain_text("Valdiklis atmetė 1234 eilutes:")
    expect(page.locator(".opinion li")).to_have_count(50)
    expect(page.locator(".opinion .bad")).to_be_in_viewport()
    expect(page.locator(".opinion")).to_contain_text("Ir dar 1184.")
    page.keyboard.press("Escape")
    expect(page.locator(".sheet")).to_have_count(0)
    show(page)
    expect(page.locator(".opinion")).to_contain_text("Valdiklis atmetė 1234 eilutes:")
    expect(page.locator(".opinion .differs")).to_contain_text("nesutaria")
    assert len(van.asked("POST", "/api/machines/router/second-opinion")) == 1


def test_a_controller_goes_on_reading_while_nobody_looks(open_console: Open) -> None:
    page, van, key = reading(open_console)
    asked: list[str] = []

    def wait(request: Request) -> None:
        asked.append(json.loads(request.post_data or "{}")["check"])

    van.answers["POST", "/api/machines/router/second-opinion"] = wait
    key.click()
    expect(page.locator(".going")).to_contain_text("Valdiklis skaito")
    page.keyboard.press("Escape")
    show(page)
    expect(page.locator(".going")).to_contain_text("Valdiklis skaito")
    van.send({"type": "check", "check": asked[0], "stage": "controller", "done": 0.5})
    expect(page.locator(".going [role=progressbar]")).to_have_attribute("aria-valuenow", "50")


def test_a_picture_is_asked_for_again_when_somebody_looks_again(open_console: Open) -> None:
    page, van = opened(open_console)
    expect(page.locator(".sheet .stage canvas")).to_be_attached()
    before = len(van.asked("GET", "/api/programs/gear/scene"))
    page.keyboard.press("Escape")
    with page.expect_request("**/api/programs/gear/scene?*"):
        show(page)
    assert len(van.asked("GET", "/api/programs/gear/scene")) == before + 1


@pytest.mark.parametrize(("state", "shown"), [("FINISHED", "1:16"), ("ABORTED", None)])
def test_the_sheet_that_followed_a_job_shows_what_it_left(open_console: Open, state: str, shown: str | None) -> None:
    page, van = open_console(world.snapshot())
    with_pictures(van)
    page.evaluate(FLAT)
    van.send({"type": "snapshot", "snapshot": world.snapshot()})
    page.get_by_role("button", name="Didinti").click()
    slider = page.locator(".sheet input[type=range]")
    expect(slider).not_to_have_attribute("aria-valuetext", "1:16")
    at = slider.get_attribute("aria-valuetext") or ""
    # Nobody asks for a second opinion of what is being cut.
    expect(page.locator(".opinion")).to_have_count(0)
    van.send({"type": "machine", "machine": world.router()})
    van.send({"type": "jobs", "jobs": [world.job(1, state, progress=0.55), *world.jobs()[1:]]})
    expect(page.get_by_role("button", name="Sekti stakles")).to_have_count(0)
    # It was in the queue already.
    expect(page.locator(".sheet .primary")).to_have_count(0)
    expect(slider).to_have_attribute("aria-valuetext", shown or at)
