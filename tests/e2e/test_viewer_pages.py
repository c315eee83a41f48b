# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer on console and kiosk in Chromium: looked at, followed, checked again, read by the controller."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, expect

from tests.e2e import console_world as world
from tests.e2e.console_page import LOOKS, Open
from tests.e2e.driving import DIST, ORIGIN, Json, Van, cut_words, new_page, refusal, targets
from tests.e2e.kiosk_world import Lab
from tests.e2e.viewer_world import COLOURS, check, piece_scene, scene_of_piece, stock_of_piece, with_pictures

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")


FLAT = "localStorage.setItem('infomobil.viewer', 'flat')"
"""A person's choice: no test draws in space that is not about it."""
NO_CARD = """() => {
  const own = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
    return kind === "webgl2" ? null : own.call(this, kind, ...more);
  };
}"""


def look(open_console: Open, snapshot: Json | None = None, before: str = FLAT, **options: Any) -> tuple[Page, Van]:
    """Open the gear from the list of programs."""
    page, van = open_console(snapshot or world.ready(), **options)
    with_pictures(van)
    page.evaluate(before)
    if not page.locator(".add").is_visible():
        page.locator(".phone button").nth(1).click()
    page.locator(".add").click()
    page.locator(".sheet li").first.locator("button").first.click()
    expect(page.locator(".sheet .stage canvas")).to_be_attached()
    return page, van


def draws(page: Page, stage: str = ".sheet .stage", least: int = 8) -> None:
    """Wait until there is a picture on the canvas; the page's clock is let go on, because frames follow it."""
    canvas = page.locator(f"{stage} canvas")
    for _ in range(100):
        page.clock.run_for(40)
        if canvas.evaluate(COLOURS) >= least:
            return
        page.wait_for_timeout(20)
    assert canvas.evaluate(COLOURS) >= least


def test_a_program_is_looked_at_without_a_graphics_card(open_console: Open) -> None:
    page, _ = look(open_console, before=NO_CARD)
    draws(page)
    expect(page.locator(".stage")).to_have_attribute("data-kind", "flat")
    expect(page.locator(".viewer .note")).to_contain_text("Erdvinio vaizdo šiame ekrane parodyti nepavyko")
    expect(page.locator(".told")).to_contain_text("Krumpliaratis: klaidų nerasta")


def test_the_picture_is_there_in_high_contrast(open_console: Open) -> None:
    page, _ = look(open_console, theme="contrast")
    draws(page)
    expect(page.locator(".sheet .window")).to_have_css("background-color", "rgb(0, 0, 0)")


def test_the_contrast_is_changed_while_a_job_is_followed(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    with_pictures(van)
    page.evaluate(FLAT)
    van.send({"type": "snapshot", "snapshot": world.snapshot()})
    expect(page.locator(".picture .stage canvas")).to_be_attached()
    draws(page, ".picture .stage")
    before = page.locator(".picture .stage canvas").evaluate("(c) => c.toDataURL()")
    for name in ("Šviesiai", "Ryškiai"):
        page.get_by_role("button", name=name).click()
    expect(page.locator("html")).to_have_attribute("data-contrast", "high")
    draws(page, ".picture .stage")
    assert page.locator(".picture .stage canvas").evaluate("(c) => c.toDataURL()") != before


def test_the_picture_is_told_in_words(open_console: Open) -> None:
    page, _ = look(open_console)
    expect(page.locator(".told")).to_contain_text("klaidų nerasta")
    said = page.locator(".stage").evaluate(
        "(e) => document.getElementById(e.getAttribute('aria-describedby')).textContent"
    )
    assert page.locator(".stage").get_attribute("aria-label") == "Krumpliaratis: detalė ir įrankio kelias"
    for part in ("Ruošinys 60 × 60 × 3 mm.", "cilindrinė freza, 1 mm", "1 įspėjimas.", "0 klaidų."):
        assert part in said


def test_the_slider_goes_through_time_by_keyboard(open_console: Open) -> None:
    page, _ = look(open_console)
    draws(page)
    slider = page.locator("input[type=range]")
    expect(slider).to_have_attribute("aria-valuetext", "1:16")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0:00")
    expect(page.locator(".time .clock")).to_contain_text("0:00")
    draws(page, least=3)
    slider.press("PageUp")
    expect(slider).not_to_have_attribute("aria-valuetext", "0:00")


def test_play_goes_on_from_the_moment_shown_and_stops_at_the_end(open_console: Open) -> None:
    page, _ = look(open_console)
    draws(page)
    slider = page.locator("input[type=range]")
    slider.press("Home")
    page.get_by_role("button", name="Rodyti", exact=True).click()
    page.clock.run_for(1000)
    page.get_by_role("button", name="Pauzė").click()
    expect(slider).not_to_have_attribute("aria-valuetext", "0:00")
    slider.press("End")
    slider.press("ArrowLeft")
    page.get_by_role("button", name="Rodyti", exact=True).click()
    expect(page.get_by_role("button", name="Pauzė")).to_be_visible()
    page.clock.run_for(500)
    expect(page.get_by_role("button", name="Rodyti", exact=True)).to_be_visible()


def test_a_finding_is_shown_in_the_picture(open_console: Open) -> None:
    page, _ = look(open_console)
    expect(page.locator(".told li")).to_contain_text(["G1 Z-1"])
    page.locator("button.place").click()
    scene = piece_scene("gear")
    begins = float(scene.seconds[(scene.line < 41).sum() - 1])
    shown = f"{int(round(begins) // 60)}:{int(round(begins) % 60):02d}"
    expect(page.locator("input[type=range]")).to_have_attribute("aria-valuetext", shown)


def test_keys_move_the_picture(open_console: Open) -> None:
    page, _ = look(open_console)
    draws(page)
    stage = page.locator(".stage")
    before = stage.locator("canvas").evaluate("(c) => c.toDataURL()")
    stage.press("+")
    stage.press("ArrowLeft")
    page.clock.run_for(400)
    assert stage.locator("canvas").evaluate("(c) => c.toDataURL()") != before
    stage.press("Home")
    page.clock.run_for(400)
    assert stage.locator("canvas").evaluate("(c) => c.toDataURL()") == before


def test_a_running_job_is_followed_with_what_the_machine_has_cut(open_console: Open) -> None:
    twin = {"version": 0}

    def answer(request: Request) -> tuple[int, Any]:
        twin["version"] += 1
        return 200, stock_of_piece("gear", 128)

    page, van = open_console(world.snapshot())
    with_pictures(van)
    page.evaluate(FLAT)
    van.answers["GET", "/api/machines/router/twin"] = answer
    van.send({"type": "snapshot", "snapshot": world.snapshot()})
    expect(page.locator(".picture .stage canvas")).to_be_attached()
    draws(page, ".picture .stage")
    page.clock.run_for(1000)
    asked = len(van.asked("GET", "/api/machines/router/twin"))
    assert asked >= 1
    news = {"type": "twin", "machine": "router", "removed_mm3": 20.0, "planned_mm3": 90.0, "version": 7}
    van.send(news, news)
    for _ in range(100):
        page.clock.run_for(100)
        if len(van.asked("GET", "/api/machines/router/twin")) > asked:
            break
    assert len(van.asked("GET", "/api/machines/router/twin")) == asked + 1
    page.get_by_role("button", name="Didinti").click()
    expect(page.locator(".sheet .stage canvas")).to_be_attached()
    page.locator(".sheet input[type=range]").press("Home")
    page.get_by_role("button", name="Sekti stakles").click()
    expect(page.get_by_role("button", name="Sekti stakles")).to_be_hidden()


def test_without_a_picture_there_is_the_path_and_the_check(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    expect(page.locator(".picture canvas")).to_be_attached()
    expect(page.locator(".picture .stage")).to_have_count(0)
    van.answers["GET", "/api/programs/gear/scene"] = (200, b"IMSC\xff\xff\xff\x7f")
    van.answers["GET", "/api/programs/gear/check"] = (200, check())
    page.locator(".add").click()
    page.locator(".sheet li").first.locator("button").first.click()
    expect(page.locator(".sheet")).to_contain_text("paveikslo parodyti nepavyko")
    expect(page.locator(".told")).to_contain_text("klaidų nerasta")


def test_an_outdated_approval_says_what_changed_and_is_renewed_by_one_key(open_console: Open) -> None:
    why = "The zero of X was 0.000 and is 12.500 mm."
    reason = {"permissive": "check-outdated", "what": "", "why": why, "source": "check", "age_ms": None, "remedy": "x"}
    page, van = open_console(world.ready(jobs=world.jobs()[1:]))
    van.answers["POST", "/api/jobs/j2/start"] = (409, refusal("interlock", "No.", "y", "z", reasons=[reason]))
    van.answers["POST", "/api/jobs/j2/recheck"] = (
        200,
        world.job(2, "REQUESTED", estimate_s=101.0, check_digest="c" * 64),
    )
    van.answers["POST", "/api/jobs/j2/approve"] = (200, world.job(2, "APPROVED", estimate_s=101.0))
    card = page.locator(".job", has_text="Ugnė Žilvinė")
    card.get_by_role("button", name="Pradėti").click()
    page.get_by_role("dialog").get_by_role("checkbox").click()
    page.get_by_role("dialog").locator(".hold").focus()
    page.keyboard.down("Enter")
    for _ in range(4):
        van.send({"type": "sync", "sync": world.sync()})
        page.clock.run_for(500)
    page.keyboard.up("Enter")
    said = page.locator(".job .refusal")
    expect(said).to_contain_text("X ašies nulis buvo 0.000, o dabar 12.500 mm.")
    page.get_by_role("button", name="Patikrinti iš naujo ir patvirtinti").click()
    expect(said).to_be_hidden()
    assert van.asked("POST", "/api/jobs/j2/recheck") == [None]
    assert van.asked("POST", "/api/jobs/j2/approve") == [{"check_digest": "c" * 64}]


def test_the_check_that_was_looked_at_is_the_one_that_is_approved(open_console: Open) -> None:
    page, van = look(
        open_console, world.snapshot(jobs=[world.job(4, "REQUESTED"), world.job(5, "REQUESTED", text="Ugnė")])
    )
    expect(page.locator(".told")).to_contain_text("klaidų nerasta")
    page.keyboard.press("Escape")
    for number in (4, 5):
        van.answers["POST", f"/api/jobs/j{number}/approve"] = (200, world.job(number, "APPROVED"))
    for number in (4, 5):
        approve = page.get_by_role("button", name="Patvirtinti").first
        with page.expect_response(f"**/j{number}/approve"):
            approve.click()
    assert van.asked("POST", "/api/jobs/j4/approve") == [{"check_digest": "a" * 64}]
    assert van.asked("POST", "/api/jobs/j5/approve") == [None]


def test_the_controller_gives_a_second_opinion(open_console: Open) -> None:
    machine = world.router()
    machine["capabilities"] = [*machine["capabilities"], "check_mode"]
    machine["refusals"] = {**machine["refusals"], "second_opinion": []}
    page, van = look(open_console, world.snapshot(machines=[machine]))
    asked: list[str] = []

    def wait(request: Request) -> None:
        asked.append(json.loads(request.post_data or "{}")["check"])

    van.answers["POST", "/api/machines/router/second-opinion"] = wait
    page.get_by_role("button", name="Tegul perskaito pats valdiklis").click()
    expect(page.locator(".going")).to_contain_text("Valdiklis skaito")
    van.send({"type": "check", "check": asked[0], "stage": "controller", "done": 0.5})
    expect(page.locator(".going [role=progressbar]")).to_have_attribute("aria-valuenow", "50")


def test_a_second_opinion_that_differs_is_no_small_thing(open_console: Open) -> None:
    machine = world.router()
    machine["capabilities"] = [*machine["capabilities"], "check_mode"]
    machine["refusals"] = {**machine["refusals"], "second_opinion": []}
    page, van = look(open_console, world.snapshot(machines=[machine]))
    said = {
        "lines": 190,
        "refused": [{"line": 14, "error": 33, "text": "G2 X1 Y1 R0"}],
        "refused_lines": 1,
        "agrees": False,
    }
    van.answers["POST", "/api/machines/router/second-opinion"] = (200, said)
    page.get_by_role("button", name="Tegul perskaito pats valdiklis").click()
    expect(page.locator(".opinion")).to_contain_text("Valdiklis atmetė 1 eilutę")
    expect(page.locator(".opinion")).to_contain_text("error:33")
    expect(page.locator(".opinion")).to_contain_text("nesutaria")


def test_a_second_opinion_is_not_offered_while_the_machine_works(open_console: Open) -> None:
    machine = world.router()
    machine["capabilities"] = [*machine["capabilities"], "check_mode"]
    busy = {
        "permissive": "idle",
        "what": "",
        "why": "It runs.",
        "source": "controller",
        "age_ms": 100,
        "remedy": "Wait.",
    }
    machine["refusals"] = {**machine["refusals"], "second_opinion": [busy]}
    page, _ = look(open_console, world.snapshot(machines=[machine]))
    expect(page.get_by_role("button", name="Tegul perskaito pats valdiklis")).to_be_disabled()
    expect(page.locator(".opinion .refusal")).to_contain_text("Valdiklis programos neskaito")


def test_an_upload_tells_how_far_it_is(open_console: Open) -> None:
    page, van = open_console(world.ready())
    names: list[str] = []

    def wait(request: Request) -> None:
        names.append(request.url.split("check=")[1])

    van.answers["POST", "/api/programs"] = wait
    page.locator(".add").click()
    file = FilePayload(name="part.nc", mimeType="text/plain", buffer=b"G0 X1\n")
    page.locator("input[type=file]").set_input_files(files=[file])
    expect(page.locator(".going")).to_contain_text("part.nc")
    for _ in range(100):
        if names:
            break
        page.wait_for_timeout(20)
    van.send({"type": "check", "check": "somebody-else", "stage": "planning", "done": 1.0})
    van.send({"type": "check", "check": names[0], "stage": "limits", "done": 0.5})
    expect(page.locator(".going")).to_contain_text("Tikrinamos ribos: part.nc")


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_every_word_fits_and_every_key_can_be_touched(open_console: Open, size: str, language: str, theme: str) -> None:
    page, _ = look(open_console, size=size, language=language, theme=theme)
    expect(page.locator(".told dl")).to_be_visible()
    assert cut_words(page) == []
    small = [key for key in targets(page) if key["width"] < 63.5 or key["height"] < 63.5]
    assert small == []


def in_hand(page: Page) -> None:
    """Choose the gear at the kiosk."""
    page.add_init_script(FLAT)
    lab = Lab(page)
    lab.van.answers["GET", "/api/kiosk/pieces/gear/scene"] = (200, scene_of_piece("gear"))
    lab.van.answers["GET", "/api/kiosk/pieces/gear/stock"] = (200, stock_of_piece("gear"))
    page.goto(f"{ORIGIN}/?kiosk=k1")
    page.locator(".plate canvas").first.wait_for()
    page.locator(".wake").click()
    expect(page.locator(".kiosk")).not_to_have_attribute("inert", "")
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    page.locator("main .actions .primary").click()
    expect(page.locator(".kiosk")).to_have_attribute("data-screen", "survey")
    page.locator("main .actions button").first.click()
    page.locator("main li button").nth(1).click()


def test_the_kiosk_shows_the_piece_in_high_contrast(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = new_page(context, "portrait")
    uncaught: list[str] = []
    page.on("pageerror", lambda error: uncaught.append(str(error)))
    in_hand(page)
    canvas = page.locator(".viewer .stage canvas")
    canvas.wait_for()
    before = canvas.evaluate("(c) => c.toDataURL()")
    page.locator(".rail .view").click()
    page.get_by_role("switch").nth(0).click()
    page.locator("dialog[open] .primary").click()
    expect(page.locator("html")).to_have_attribute("data-contrast", "high")
    for _ in range(200):
        if canvas.evaluate(COLOURS) >= 5 and canvas.evaluate("(c) => c.toDataURL()") != before:
            break
        page.wait_for_timeout(20)
    assert canvas.evaluate(COLOURS) >= 5
    assert canvas.evaluate("(c) => c.toDataURL()") != before
    context.close()
    assert uncaught == []


def test_the_kiosk_puts_the_chosen_piece_in_the_hand_and_keeps_its_time(browser: Browser) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = new_page(context, "portrait")
    in_hand(page)
    piece = page.locator(".viewer .stage")
    expect(piece).to_have_attribute("aria-label", "Krumpliaratis: detalė, kurią galima pasukti")
    said = page.locator(".viewer .unseen").text_content() or ""
    assert "Ruošinys 60 × 60 × 3 mm." in said
    assert "1:16" not in said
    assert page.locator(".viewer button").count() == 0
    # From above nothing turns.
    expect(page.locator(".viewer .hint")).to_have_count(0)
    expect(page.locator(".viewer .unseen")).to_contain_text("Rodyklės stumia paveikslą.")
    context.close()
