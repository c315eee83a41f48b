# SPDX-License-Identifier: GPL-3.0-or-later
"""The built kiosk page in Chromium: a visitor's way, and its troubles."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Request, expect

from tests.e2e.driving import DIST, Answer, refusal
from tests.e2e.kiosk_page import arrive, choose, primary, request_gear, screen, skip, wake
from tests.e2e.kiosk_world import CLAIM, Lab

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

pytestmark = pytest.mark.skipif(not (DIST / "kiosk" / "index.html").is_file(), reason="the pages are not built")


def test_the_first_tap_only_wakes(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    page = lab.page
    at = page.locator(".rail .language", has_text="English").bounding_box()
    assert at is not None
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    page.mouse.click(x, y)
    screen(page, "language")
    expect(page.locator("html")).to_have_attribute("lang", "lt")
    assert lab.van.asked("POST", "/api/kiosk/sessions") == []


def test_a_double_tap_chooses_nothing(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    lab.page.mouse.dblclick(540, 1200)
    screen(lab.page, "language")
    assert lab.page.locator(".kiosk").get_attribute("data-screen") == "language"


def test_a_visit_from_the_first_touch_to_the_comparison(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", moving=True)
    page = lab.page
    request_gear(lab)
    session = lab.van.asked("POST", "/api/kiosk/sessions")
    assert len(session) == 1
    assert session[0]["kiosk"] == "k1"
    assert session[0]["language"] == "lt"
    assert UUID4.fullmatch(session[0]["session"])
    (asked,) = lab.van.asked("POST", "/api/kiosk/requests")
    assert UUID4.fullmatch(asked.pop("request"))
    assert asked == {"kiosk": "k1", "session": session[0]["session"], "piece": "gear", "guess_s": 75}
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))
    expect(page.locator(".ahead")).to_have_text("Prieš tave 3 detalės")
    lab.tell(state="RUNNING", progress=0.5, remaining_s=40.0)
    screen(page, "live")
    expect(page.locator("main dd").nth(1)).to_have_text("0:40")
    lab.tell(state="FINISHED", progress=1.0, actual_s=80.0, remaining_s=None)
    expect(page.locator(".row.guess b")).to_have_text("1:15")
    expect(page.locator(".row.machine b")).to_have_text("1:20")
    expect(page.locator("main h1")).to_have_text("Beveik sekundė į sekundę!")
    primary(page).click()
    screen(page, "thanks")


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        (76, "Beveik sekundė į sekundę!"),
        (100, "Labai arti!"),
        (160, "ilgiau, nei spėjai"),
        (40, "greičiau, nei spėjai"),
    ],
)
def test_the_comparison_is_kind_and_true(enter: Callable[..., Lab], actual: float, said: str) -> None:
    lab = enter("desk")
    request_gear(lab)
    lab.tell(state="FINISHED", progress=1.0, actual_s=actual)
    expect(lab.page.locator("main h1")).to_contain_text(said)


def test_the_estimate_is_not_shown_before_the_guess(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    choose(lab, 1)
    page = lab.page
    expect(primary(page)).to_be_disabled()
    shown = page.locator("body").inner_text()
    assert "1:16" not in shown
    assert "0,9 m" in shown


def test_a_name_is_written_with_the_kiosks_own_keys(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    page = lab.page
    choose(lab, 0)
    screen(page, "name")
    assert page.locator("input, textarea").count() == 0
    expect(primary(page)).to_be_disabled()
    for letter in "ŠARŪNĖ":
        page.locator(".key").get_by_text(letter, exact=True).click()
    page.locator(".key", has_text="ÄČŪ").click()
    for letter in "ẞÕĢ":
        page.locator(".key").get_by_text(letter, exact=True).click()
    page.locator(".delete").click()
    expect(page.locator(".stage .words")).to_have_text("ŠARŪNĖẞÕ")
    primary(page).click()
    screen(page, "depth")
    page.locator(".depths button").nth(2).click()
    primary(page).click()
    page.locator(".choices button").nth(0).click()
    primary(page).click()
    screen(page, "ticket")
    asked = lab.van.asked("POST", "/api/kiosk/requests")[0]
    assert (asked["text"], asked["depth"]) == ("ŠARŪNĖẞÕ", "deep")
    # From here on the number stands for the visitor, on the screen and in what the page keeps.
    lab.tell(state="RUNNING", progress=0.4, remaining_s=20.0)
    screen(page, "live")
    assert "ŠARŪNĖ" not in page.content()
    assert "ŠARŪNĖ" not in page.evaluate("JSON.stringify(localStorage)")


def test_a_name_stops_at_its_length_and_a_plugged_in_keyboard_works(enter: Callable[..., Lab]) -> None:
    lab = enter("desk")
    choose(lab, 0)
    lab.page.keyboard.type("  ab  cdefghijklmnop")
    expect(lab.page.locator(".stage .words")).to_have_text("AB CDEFGHIJKLM")
    expect(lab.page.locator(".key", has_text="Q").first).to_be_disabled()
    lab.page.keyboard.press("Backspace")
    expect(lab.page.locator(".stage .words")).to_have_text("AB CDEFGHIJKL")


def test_switching_the_language_keeps_the_state(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    page = lab.page
    choose(lab, 0)
    page.keyboard.type("ona")
    corner = page.locator(".languages .language")
    before = corner.nth(1).bounding_box()
    page.locator(".rail .language", has_text="Deutsch").click()
    expect(page.locator("main h1")).to_have_text("Was sollen wir gravieren?")
    expect(page.locator(".stage .words")).to_have_text("ONA")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    after = corner.nth(1).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 1


def test_a_check_in_that_was_not_written_is_not_thanked_for(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    page = lab.page
    arrive(lab)
    lab.fail("sessions", (503, refusal("disk", "That was not done.", "database is locked", "Try again.")))
    primary(page).click()
    expect(page.locator("main .signal").first).to_have_text("Dar neužrašyta")
    screen(page, "checkin")
    expect(primary(page)).to_have_text("Bandyti dar kartą")
    assert "Užrašyta: tu čia" not in page.locator("body").inner_text()
    lab.fail("sessions", (201, {"session": "x"}))
    primary(page).click()
    screen(page, "survey")
    sent = [body["session"] for body in lab.van.asked("POST", "/api/kiosk/sessions")]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_a_slow_check_in_says_so_and_cannot_be_tapped_twice(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    lab.fail("sessions", lambda _request: None)
    primary(page).click()
    expect(primary(page)).to_have_text("Užrašome…")
    expect(primary(page)).to_be_disabled()
    page.clock.run_for(2500)
    expect(page.locator("main .lead")).to_have_text("Trunka ilgiau nei įprastai. Vis dar bandome.")
    assert len(lab.van.asked("POST", "/api/kiosk/sessions")) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((0, None), "Kompiuteris neatsako"),
        ((429, refusal("busy", "Too often.")), "labai užimtas"),
        ((409, refusal("refused", "The queue is full.")), "Gal eilė pilna"),
        ((500, {"detail": "broken"}), "nepavyko įrašyti"),
    ],
)
def test_a_request_that_is_not_taken_says_why_and_can_be_repeated(
    enter: Callable[..., Lab], answer: Answer, said: str
) -> None:
    lab = enter("desk")
    page = lab.page
    choose(lab, 1)
    page.locator(".choices button").nth(0).click()
    taken: Callable[[Request], Answer] = lab.van.answers["POST", "/api/kiosk/requests"]  # type: ignore[assignment]
    lab.fail("requests", answer)
    primary(page).click()
    expect(page.locator("main .lead")).to_contain_text(said)
    screen(page, "guess")
    lab.fail("requests", taken)
    primary(page).click()
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))


def test_words_that_cannot_be_engraved_can_be_changed(enter: Callable[..., Lab]) -> None:
    lab = enter("desk")
    page = lab.page
    choose(lab, 0)
    page.keyboard.type("ona")
    primary(page).click()
    primary(page).click()
    page.locator(".choices button").nth(0).click()
    lab.fail("requests", (422, refusal("refused", "That was not done.", "letter", "Correct it.")))
    primary(page).click()
    expect(page.locator("main h1")).to_have_text("Šio užrašo neišgraviruosime")
    primary(page).click()
    screen(page, "name")
    expect(page.locator(".stage .words")).to_have_text("ONA")


@pytest.mark.parametrize(
    ("state", "heading"),
    [("DECLINED", "Šios detalės negaminsime"), ("ABORTED", "Darbas sustabdytas"), ("FAILED", "Šįkart nepavyko")],
)
def test_a_wish_that_came_to_nothing_is_explained(enter: Callable[..., Lab], state: str, heading: str) -> None:
    lab = enter("portrait")
    page = lab.page
    request_gear(lab)
    lab.tell(state=state, reason="Medžiaga baigėsi")
    expect(page.locator("main h1")).to_have_text(heading)
    assert ("Medžiaga baigėsi" in page.locator("main").inner_text()) == (state == "DECLINED")
    if state == "DECLINED":
        primary(page).click()
        screen(page, "choose")
        assert len(lab.van.asked("POST", "/api/kiosk/sessions")) == 1
    else:
        assert str(CLAIM) in page.locator("main").inner_text()


def test_a_held_job_shows_that_it_waits(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    request_gear(lab)
    lab.tell(state="HELD", progress=0.5, remaining_s=40.0)
    expect(lab.page.locator("main .signal").first).to_have_text("Darbas pristabdytas")


def test_an_interrupted_job_is_told_kindly_and_may_go_on(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    request_gear(lab)
    lab.tell(state="INTERRUPTED", progress=0.5, remaining_s=40.0)
    screen(lab.page, "live")
    expect(lab.page.locator("main .signal").first).to_have_text("Trumpa pertrauka")
    expect(lab.page.locator("main")).to_contain_text("žiūri, kaip tęsti tavo detalę")
    lab.tell(state="RUNNING", progress=0.5, remaining_s=40.0)
    expect(lab.page.locator("main .signal")).to_have_count(0)


def test_a_long_queue_sends_the_visitor_to_look_around(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait")
    lab.ahead, lab.wait_s = 21, 1900.0
    request_gear(lab)
    expect(lab.page.locator(".ahead")).to_have_text("Prieš tave 21 detalė")
    expect(lab.page.locator("main .when")).to_contain_text("Maždaug 32 minutės")
    expect(lab.page.locator(".look")).to_be_visible()


def test_without_a_visit_nobody_is_checked_in(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    lab.is_open = False
    page.clock.run_for(4500)
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    screen(page, "notice")
    expect(page.locator("main h1")).to_have_text("Tuoj pradėsime")
    lab.is_open = True
    page.clock.run_for(4500)
    screen(page, "checkin")


def test_a_server_that_is_gone_is_shown_and_found_again(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    answers = dict(lab.van.answers)
    lab.away()
    page.clock.run_for(4500)
    screen(page, "notice")
    expect(page.locator("main h1")).to_have_text("Dingo ryšys")
    lab.van.answers |= answers
    page.clock.run_for(4500)
    screen(page, "language")


def test_idle_asks_counts_down_and_goes_back_to_the_visits_language(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.get_by_role("main").get_by_role("button", name="Deutsch").click()
    page.clock.run_for(44_000)
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.clock.run_for(1_500)
    dialog = page.locator("dialog[open]")
    expect(dialog.locator("h2")).to_have_text("Bist du noch da?")
    expect(dialog.locator(".countdown")).to_contain_text("15")
    page.clock.run_for(5_000)
    expect(dialog).to_contain_text("In 10 Sekunden")
    dialog.get_by_role("button", name="Ich bin noch da").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    screen(page, "checkin")
    page.clock.run_for(60_500)
    screen(page, "attract")
    expect(page.locator("html")).to_have_attribute("lang", "lt")


def test_idle_wipes_the_visitor_but_not_the_wish(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    primary(page).click()
    skip(lab)
    screen(page, "choose")
    page.locator("main li button").nth(1).click()
    page.locator(".choices button").nth(1).click()
    page.locator(".rail .view").click()
    page.get_by_role("switch").first.click()
    expect(page.locator("html")).to_have_attribute("data-contrast", "high")
    page.locator("dialog[open] .primary").click()
    primary(page).click()
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))
    page.clock.run_for(46_000)
    expect(page.locator("dialog[open]")).to_contain_text(f"Tavo numeris {CLAIM} niekur nedings.")
    page.clock.run_for(15_500)
    screen(page, "attract")
    expect(page.locator("html")).not_to_have_attribute("data-contrast", "high")
    # The number is still there after a reload, and leads back to the wish.
    page.reload()
    page.wait_for_selector(".plate canvas")
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.locator(".claims button").click()
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))


def test_numbers_that_lead_nowhere_are_not_offered(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    lab.remember([{"job": "gone", "claim": 3}, {"job": "done", "claim": 4}, {"job": "open", "claim": 5}])
    lab.van.answers["GET", "/api/kiosk/jobs/gone"] = (404, refusal("not-found", "There is no such job."))
    lab.van.answers["GET", "/api/kiosk/jobs/done"] = (200, {"state": "FINISHED"})
    page.locator(".wake").click()
    expect(page.locator(".claims button")).to_have_text(["Nr. 4", "Nr. 5"])
    page.clock.run_for(61_000)
    screen(page, "attract")
    page.clock.fast_forward(21 * 60_000)
    page.locator(".wake").click()
    expect(page.locator(".claims button")).to_have_text(["Nr. 5"])


def test_nobody_is_asked_while_their_piece_is_cut(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", clock=True)
    page = lab.page
    page.locator(".wake").click()
    page.clock.run_for(600)
    page.get_by_role("main").get_by_role("button", name="Lietuvių").click()
    primary(page).click()
    skip(lab)
    screen(page, "choose")
    page.locator("main li button").nth(1).click()
    page.locator(".choices button").nth(1).click()
    primary(page).click()
    expect(page.locator(".ticket .number")).to_have_text(str(CLAIM))
    lab.tell(state="RUNNING", progress=0.2, remaining_s=60.0)
    screen(page, "live")
    page.clock.run_for(120_000)
    expect(page.locator("dialog[open]")).to_have_count(0)
    screen(page, "live")
    lab.tell(state="FINISHED", progress=1.0, actual_s=80.0)
    expect(page.locator(".row.machine")).to_be_visible()
    page.clock.run_for(62_000)
    screen(page, "attract")


def test_text_size_contrast_and_movement_are_the_visitors_choice(enter: Callable[..., Lab]) -> None:
    lab = enter("portrait", moving=True)
    page = lab.page
    wake(lab)
    before = page.locator("main h1").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    page.locator(".rail .view").click()
    page.locator(".choice").nth(2).click()
    page.get_by_role("switch").nth(0).click()
    page.get_by_role("switch").nth(1).click()
    page.locator("dialog[open] .primary").click()
    after = page.locator("main h1").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert after == pytest.approx(before * 1.3)
    expect(page.locator("html")).to_have_attribute("data-contrast", "high")
    expect(page.locator("html")).to_have_attribute("data-motion", "reduced")
    duration = page.locator(".rail .language").first.evaluate("e => getComputedStyle(e).getPropertyValue('--motion')")
    assert float(duration.strip().rstrip("ms")) == 0
