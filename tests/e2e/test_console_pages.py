# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's console in Chromium: what an operator sees and what it sends, with the service played by the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Request, expect

from tests.e2e import console_world as world
from tests.e2e.console_page import FORBIDDEN, HOLD_MS, LOOKS, Open, spend, tab
from tests.e2e.driving import DIST, ORIGIN, SIZES, Json, Van, cut_words, refusal, targets

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

SILENCE_MS = 3000


def enter(page: Page, pin: str) -> None:
    for figure in pin:
        page.locator(".login .figure", has_text=figure).click()
    page.get_by_role("button", name="Įeiti").click()


def test_wrong_pin_shows_the_delay_running_down(open_console: Open) -> None:
    page, van = open_console(world.locked())
    delays = itertools.chain([4, 8], itertools.repeat(8))
    van.answers[("POST", "/api/login")] = lambda _: (401, refusal("pin", "Wrong PIN.", retry_after_s=next(delays)))
    enter(page, "1234")
    status = page.locator(".login [role=status]")
    expect(status).to_contain_text("po 4 s")
    expect(page.locator(".login .figure").first).to_be_disabled()
    spend(page, van, 1500)
    expect(status).to_contain_text("po 3 s")
    spend(page, van, 3000)
    expect(status).to_contain_text("Galite bandyti dar kartą")
    enter(page, "4321")
    expect(status).to_contain_text("po 8 s")
    assert van.asked("POST", "/api/login") == [{"pin": "1234"}, {"pin": "4321"}]


def test_right_pin_opens_the_day(open_console: Open) -> None:
    page, van = open_console(world.locked())
    van.answers[("POST", "/api/login")] = (200, {"operator": True})
    van.answers[("GET", "/api/snapshot")] = (200, world.snapshot())
    van.hello = [{"type": "snapshot", "snapshot": world.snapshot()}]
    enter(page, "2468")
    expect(page.locator(".tabs")).to_be_visible()
    expect(page.locator(".top .visit")).to_contain_text("Suskaičiuota 28 iš 52")


@pytest.mark.parametrize("command", ["stop", "hold"])
def test_stop_and_hold_are_sent_without_login_when_the_key_goes_down(open_console: Open, command: str) -> None:
    page, van = open_console(world.locked())
    van.answers[("POST", f"/api/machines/router/{command}")] = (200, {"delivered": True})
    key = page.locator(f"[data-command={command}]")
    expect(key).to_be_enabled()
    key.hover()
    page.mouse.down()
    expect(page.locator(".outcome")).to_contain_text("valdiklis gavo")
    page.mouse.up()
    assert len(van.asked("POST", f"/api/machines/router/{command}")) == 1
    expect(page.locator("[data-command=resume]")).to_be_disabled()


def test_stop_by_keyboard_is_sent_once(open_console: Open) -> None:
    page, van = open_console(world.locked())
    van.answers[("POST", "/api/machines/router/stop")] = (200, {"delivered": True})
    page.locator("[data-command=stop]").press("Enter")
    expect(page.locator(".outcome")).to_contain_text("valdiklis gavo stabdymą")
    assert len(van.asked("POST", "/api/machines/router/stop")) == 1


@pytest.mark.parametrize("answer", [(503, refusal("stop_not_delivered", "No.", "The port is gone.", "x")), (0, None)])
def test_undelivered_stop_stays_on_the_screen_and_names_the_hard_wired_stop(
    open_console: Open, answer: tuple[int, Any]
) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/machines/router/stop")] = answer
    page.locator("[data-command=stop]").click()
    outcome = page.locator(".outcome")
    expect(outcome).to_contain_text("stabdymas nepasiekė valdiklio")
    expect(outcome).to_contain_text("stabdymo mygtuką prie staklių")
    spend(page, van, 30_000)
    expect(outcome).to_be_visible()
    assert len(van.asked("POST", "/api/machines/router/stop")) == 1


def test_bar_acts_on_the_machine_that_takes_commands_and_says_so(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/machines/router/hold")] = (200, {"delivered": True})
    page.locator(".left .card", has_text="Lathe").click()
    expect(page.locator(".machine h2")).to_have_text("Lathe")
    expect(page.locator("footer .name")).to_contain_text("Router")
    page.locator("[data-command=hold]").click()
    expect(page.locator(".outcome")).to_contain_text("Router")
    assert len(van.asked("POST", "/api/machines/router/hold")) == 1


def test_start_needs_a_look_and_a_key_held_down(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[world.router()], jobs=world.jobs()[1:]))
    van.answers[("POST", "/api/jobs/j2/start")] = (200, world.job(2, "RUNNING"))
    page.locator(".job", has_text="Ugnė Žilvinė").get_by_role("button", name="Pradėti").click()
    sheet = page.get_by_role("dialog")
    key = sheet.locator(".hold")
    expect(key).to_be_disabled()
    sheet.get_by_role("checkbox").click()
    expect(key).to_be_enabled()
    key.hover()
    page.mouse.down()
    spend(page, van, HOLD_MS - 200)
    page.mouse.up()
    spend(page, van, HOLD_MS)
    assert van.asked("POST", "/api/jobs/j2/start") == []
    page.mouse.down()
    spend(page, van, HOLD_MS + 50)
    expect(sheet).to_be_hidden()
    page.mouse.up()
    assert van.asked("POST", "/api/jobs/j2/start") == [{"area_clear": True}]


def test_bar_stays_in_reach_while_a_question_is_open(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[world.router()], jobs=world.jobs()[1:]))
    van.answers[("POST", "/api/machines/router/stop")] = (200, {"delivered": True})
    page.locator(".start").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.locator("[data-command=stop]").click()
    expect(page.locator(".outcome")).to_contain_text("valdiklis gavo stabdymą")


def test_refused_start_tells_what_why_and_what_to_do(open_console: Open) -> None:
    reasons = [world.DOOR_OPEN, {**world.NOT_HOMED, "permissive": "homed"}]
    machine = {**world.tripped(), "job": None}
    machine["refusals"] = {**machine["refusals"], "start": reasons}
    page, van = open_console(world.snapshot(machines=[machine], jobs=world.jobs()[1:]))
    page.locator(".start").click()
    card = page.get_by_role("dialog").locator(".refusal")
    expect(card.locator(".what")).to_have_text("Router: darbas nepradedamas.")
    expect(card.locator(".why").first).to_have_text("Door: atvira. Skaityta prieš 0,2 s, šaltinis: router door pin.")
    expect(card.locator(".todo").first).to_have_text("Close the door, then press Reset at the console.")
    expect(card.locator(".why").nth(1)).to_contain_text("nulis dar nerastas")
    expect(page.get_by_role("dialog").locator(".hold")).to_have_count(0)
    assert van.asked("POST", "/api/jobs/j2/start") == []


def test_refusal_of_the_service_shows_its_three_lines(open_console: Open) -> None:
    page, van = open_console(world.snapshot(), language="en")
    said = refusal("busy", "The job is not approved.", "The visit is closed.", "Open a visit first.")
    van.answers[("POST", "/api/jobs/j3/approve")] = (409, said)
    card = page.locator(".job", has_text="Šarūnas")
    card.get_by_role("button", name="Approve").click()
    expect(card.locator(".refusal .what")).to_have_text("The job is not approved.")
    expect(card.locator(".why")).to_have_text("The visit is closed.")
    expect(card.locator(".todo")).to_have_text("Open a visit first.")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (refusal("job-state", "No.", "The job j3 is DECLINED: it cannot approve now."), "Darbas jau kitos būsenos"),
        (refusal("refused", "No.", "The service is ending."), "Laboratorijos tarnyba baigia darbą."),
        (
            refusal("machine-refused", "No.", "The machine router refused home: it stays in hold."),
            "Staklės „router“ nepriėmė komandos home: staklės lieka pristabdytos.",
        ),
        (refusal("disk", "No.", "Something new."), "Nepavyko įrašyti į diską. Niekas nesuskaičiuota.Something new."),
        (
            refusal("of-a-later-version", "No.", "Something new."),
            "Laboratorijos kompiuteris to nepriėmė.Something new.",
        ),
        (refusal("http-500", "No.", "Internal Server Error"), "Laboratorijos kompiuteris atsakė klaida 409."),
    ],
)
def test_refusal_by_its_code_is_told_in_the_language_of_the_page(open_console: Open, said: Json, why: str) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/jobs/j3/approve")] = (409, said)
    card = page.locator(".job", has_text="Šarūnas")
    card.get_by_role("button", name="Patvirtinti").click()
    expect(card.locator(".why")).to_contain_text(why)


@pytest.mark.parametrize(
    ("controller", "why"),
    [("Grbl 1.1h", "nerastas dvigubos ašies antrasis jungiklis"), ("GrblHAL 1.1f", "Atvira stabdymo grandinė.")],
)
def test_alarm_and_fault_are_told_by_the_firmware_in_lithuanian(open_console: Open, controller: str, why: str) -> None:
    page, _ = open_console(world.snapshot(machines=[world.in_alarm(controller)], jobs=[]))
    cards = page.locator(".machine .refusal")
    expect(cards.nth(0).locator(".why")).to_contain_text(why)
    expect(cards.nth(0).locator(".todo")).to_contain_text("„Rasti nulį“")
    expect(cards.nth(1).locator(".why")).to_have_text(
        "Programa „gear“ nutrūko nebaigta: 12 eilutė 'G1X': valdiklis atsakė error:22 (no feed rate was given)."
    )


def test_reason_of_an_ended_job_is_told_in_lithuanian(open_console: Open) -> None:
    ended = [
        world.job(7, "ABORTED", reason="the interlock tripped: Durys"),
        world.job(8, "DECLINED", reason="Baigėsi ruošiniai"),
        world.job(9, "FAILED", reason="Look at the machine. (ALARM:1)"),
    ]
    page, _ = open_console(world.snapshot(jobs=ended))
    expect(page.locator(".job.ended .reason")).to_have_text(
        [
            "Pasiektas galinis jungiklis; padėtimi pasitikėti nebegalima",
            "Baigėsi ruošiniai",
            "suveikė blokuotė: Durys",
        ]
    )


@pytest.mark.parametrize("size", SIZES)
def test_news_stands_in_its_own_line_and_a_fault_stays_until_it_is_read(open_console: Open, size: str) -> None:
    page, van = open_console(world.snapshot(), size)
    van.send(*world.news())
    line = page.locator(".notices .notice")
    expect(line).to_have_count(1)
    expect(line).to_contain_text("Router: Nutrūko ryšys: dingo prievadas. Pradėtas judesys galėjo tęstis.")
    expect(line).to_contain_text("Dar 2")
    above, shown, bar = (page.locator(part).bounding_box() for part in (".main", ".notice", "footer.bar"))
    assert above is not None
    assert shown is not None
    assert bar is not None
    assert above["y"] + above["height"] <= shown["y"] + 0.5
    assert shown["y"] + shown["height"] <= bar["y"] + 0.5
    spend(page, van, 30_000)
    expect(line).to_contain_text("Dar 2")
    line.get_by_role("button", name="Supratau").click()
    expect(line).to_contain_text("Router: suveikė blokuotė – Durys.")
    line.get_by_role("button", name="Supratau").click()
    expect(line).to_contain_text("Darbas nr. 1: nutraukta. Sustabdyta iš pulto.")
    spend(page, van, 11_000)
    expect(line).to_have_count(0)


def test_notice_of_an_unknown_code_is_shown_as_it_came_and_once(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    unknown = world.notice("info", "later", "Something new.", machine="Router")
    van.send(unknown, unknown, world.notice("attention", "tripped", "Nobody named it."))
    line = page.locator(".notices .notice")
    expect(line).to_contain_text("Nobody named it.")
    expect(line).to_contain_text("Dar 1")
    line.get_by_role("button", name="Supratau").click()
    expect(line.locator("p")).to_have_text("Something new.")


def test_new_list_of_programs_is_taken_from_the_socket(open_console: Open) -> None:
    page, van = open_console(world.snapshot(programs=[]))
    page.get_by_role("button", name="Pridėti programą").click()
    expect(page.get_by_role("dialog")).to_contain_text("Programų nėra.")
    van.send({"type": "programs", "programs": world.programs()})
    expect(page.get_by_role("dialog")).to_contain_text("laikiklis_v3.nc")


def test_reset_is_asked_for_by_a_person_and_says_it_starts_nothing(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[world.tripped()]), language="en")
    said = refusal("interlock", "Not reset.", "Door: open.", "Close the door.", reasons=[world.DOOR_OPEN])
    van.answers[("POST", "/api/machines/router/reset")] = (409, said)
    panel = page.locator(".interlocks")
    expect(panel).to_contain_text("has tripped")
    expect(panel.locator("li.open")).to_contain_text("Close the door until it clicks.")
    expect(panel.locator("li.unknown")).to_contain_text("GPIO 27 · never")
    reset = panel.locator(".reset")
    expect(reset).to_contain_text("starts nothing")
    reset.click()
    expect(page.locator(".problem .what")).to_have_text("Router: the interlock is not reset.")
    assert van.asked("POST", "/api/machines/router/reset") == [None]


def test_decline_sends_the_reason_that_the_visitor_reads(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/jobs/j3/decline")] = (200, world.job(3, "DECLINED", reason="Baigėsi ruošiniai"))
    page.locator(".job", has_text="Šarūnas").get_by_role("button", name="Atmesti").click()
    page.get_by_role("dialog").get_by_role("button", name="Baigėsi ruošiniai").click()
    expect(page.locator(".job.ended", has_text="Baigėsi ruošiniai")).to_be_visible()
    assert van.asked("POST", "/api/jobs/j3/decline") == [{"reason": "Baigėsi ruošiniai"}]


def test_silence_of_three_seconds_veils_old_data_and_leaves_the_bar(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/machines/router/stop")] = (200, {"delivered": True})
    page.clock.run_for(SILENCE_MS - 200)
    expect(page.locator(".stale")).to_be_hidden()
    page.clock.run_for(400)
    expect(page.locator(".stale")).to_contain_text("PASENĘ DUOMENYS")
    page.locator("[data-command=stop]").click()
    expect(page.locator(".outcome")).to_contain_text("valdiklis gavo stabdymą")
    van.send({"type": "machine", "machine": world.router()})
    expect(page.locator(".stale")).to_be_hidden()
    expect(page.locator(".left .card").first).to_contain_text("Parengta")


def test_closed_socket_is_told_and_opened_again(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.sockets[-1].close()
    expect(page.locator(".stale")).to_contain_text("nutrūko")
    page.clock.run_for(2000)
    expect(page.locator(".stale")).to_be_hidden()
    assert len(van.sockets) == 2


def test_headcount_is_confirmed_only_after_the_commit(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/visits/v1/headcounts")] = (503, refusal("disk", "x", "The disk is full.", "Call us."))
    tab(page, "visit")
    page.get_by_role("button", name="Skaičiuoti žmones").click()
    sheet = page.get_by_role("dialog")
    for figure in "24":
        sheet.locator(".figure", has_text=figure).click()
    save = sheet.locator(".primary")
    save.click()
    expect(sheet.locator(".refusal")).to_contain_text("Žmonės neįrašyti.")
    expect(sheet.locator(".written")).to_have_count(0)
    counted = world.visit(people={"pupil": 49, "teacher": 2, "vet_trainer": 0, "trainee": 1}, total=52)
    van.answers[("POST", "/api/visits/v1/headcounts")] = (201, counted)
    save.click()
    expect(sheet.locator(".written")).to_have_text("Įrašyta: 8b, Mokiniai, 24.")
    expect(page.locator(".top .visit")).to_contain_text("Suskaičiuota 52 iš 52")
    first, second = van.asked("POST", "/api/visits/v1/headcounts")
    assert first == second
    assert first == {"entry": first["entry"], "group": "8b", "role": "pupil", "count": 24}


def test_correction_needs_a_reason(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/visits/v1/headcounts")] = (201, world.visit(total=27))
    tab(page, "visit")
    page.get_by_role("button", name="Skaičiuoti žmones").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("radio", name="Pataisyti").click()
    sheet.get_by_role("button", name="Vienu daugiau").click()
    save = sheet.locator(".primary")
    expect(save).to_be_disabled()
    sheet.get_by_role("radio", name="Suskaičiuota du kartus").click()
    save.click()
    expect(sheet.locator(".written")).to_be_visible()
    (body,) = van.asked("POST", "/api/visits/v1/headcounts")
    assert (body["count"], body["reason"]) == (-1, "Suskaičiuota du kartus")


def test_visit_is_opened_from_the_form_and_its_words_survive_a_refusal(open_console: Open) -> None:
    page, van = open_console(world.snapshot(visit=None))
    van.answers[("POST", "/api/visits")] = (409, refusal("visit_open", "x", "Another visit is open.", "Close it."))
    tab(page, "visit")
    page.get_by_label("Mokykla", exact=True).fill("Utenos Krašuonos progimnazija")
    page.get_by_label("Savivaldybė").fill("Utenos r. sav.")
    page.get_by_label("Grupė ar klasė").fill("8b")
    page.get_by_label("Data").fill("2026-11-23")
    page.locator("input.figure").fill("31")
    page.get_by_role("radio", name="Latviešu").click()
    page.locator("form .primary").click()
    expect(page.locator("form .refusal")).to_contain_text("Another visit is open.")
    expect(page.get_by_label("Mokykla", exact=True)).to_have_value("Utenos Krašuonos progimnazija")
    van.answers[("POST", "/api/visits")] = (201, world.visit())
    page.locator("form .primary").click()
    expect(page.locator("#visit-school")).to_be_visible()
    assert van.asked("POST", "/api/visits")[-1] == {
        "school": "Utenos Krašuonos progimnazija",
        "municipality": "Utenos r. sav.",
        "date": "2026-11-23",
        "group": "8b",
        "expected": 31,
        "language": "lv",
    }


def test_bell_and_close_are_sent(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/visits/v1/bell")] = (200, world.visit(bell_in_s=1200))
    van.answers[("POST", "/api/visits/v1/close")] = (200, world.visit(open=False))
    page.locator(".top .bell").click()
    page.get_by_role("button", name="po 20 min").click()
    expect(page.locator(".top .bell")).to_contain_text("20:00")
    spend(page, van, 2000)
    expect(page.locator(".top .bell")).to_contain_text("19:58")
    tab(page, "visit")
    page.get_by_role("button", name="Baigti vizitą").click()
    page.locator(".sheet .hold").hover()
    page.mouse.down()
    spend(page, van, HOLD_MS + 50)
    expect(page.get_by_role("heading", name="Atidaryti vizitą")).to_be_visible()
    page.mouse.up()
    assert van.asked("POST", "/api/visits/v1/bell") == [{"in_minutes": 20}]
    assert len(van.asked("POST", "/api/visits/v1/close")) == 1


def test_refused_upload_lists_each_line_and_column(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    asked: list[str] = []

    def check(request: Request) -> tuple[int, Json]:
        asked.append(request.url)
        said = refusal("program", "Refused.", "The check found 2 errors.", "Correct them and upload again.")
        return 422, {**said, "check": world.bad_check()}

    van.answers[("POST", "/api/programs")] = check
    page.get_by_role("button", name="Pridėti programą").click()
    file: FilePayload = {"name": "laikiklis v4.nc", "mimeType": "text/plain", "buffer": b"G21\nG28.1\n"}
    page.locator("input[type=file]").set_input_files(file)
    result = page.locator(".result")
    expect(result.locator(".what")).to_have_text("laikiklis v4.nc: programa nepriimta.")
    expect(result.locator(".why")).to_have_text("Patikrinus rasta klaidų: 2.")
    expect(result.locator("li .place")).to_have_text(
        ["Eilutė 14, stulpelis 6", "Eilutė 207", "Eilutė 391, stulpelis 9"]
    )
    expect(result.locator("li .message").nth(0)).to_have_text("Toks žodis programose čia neleidžiamas. Ištrinkite jį.")
    expect(result.locator("li .detail").nth(0)).to_contain_text("G28.1 is not allowed")
    expect(result.locator("li .message").nth(1)).to_contain_text("Judesys išeina už staklių eigos ribų.")
    expect(result.locator("li .detail").nth(1)).to_contain_text("55.700 mm beyond the travel")
    expect(result.locator("li .message").nth(2)).to_have_text("Something that this page has no words for.")
    expect(page.locator(".sheet .primary")).to_have_count(0)
    assert [url.split("&check=")[0] for url in asked] == [f"{ORIGIN}/api/programs?name=laikiklis+v4.nc&machine=router"]
    assert van.asked("POST", "/api/programs") == [b"G21\nG28.1\n"]


def test_accepted_upload_goes_into_the_queue(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    program = {**world.programs()[3], "id": "u2", "title": {"": "ratas.nc"}}
    good = {**world.bad_check(), "seconds": 61.0, "errors": 0, "warnings": 0, "diagnostics": []}
    van.answers[("POST", "/api/programs")] = (201, {"program": program, "check": good})
    queued = world.job(9, "REQUESTED", program="u2", title={"": "ratas.nc"}, origin="operator", guess_s=None)
    van.answers[("POST", "/api/jobs")] = (201, queued)
    page.get_by_role("button", name="Pridėti programą").click()
    file: FilePayload = {"name": "ratas.nc", "mimeType": "text/plain", "buffer": b"G21\n"}
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator(".result .good")).to_contain_text("ratas.nc: klaidų nerasta")
    page.locator(".sheet .primary").click()
    expect(page.locator(".sheet .primary")).to_contain_text("Eilėje")
    assert van.asked("POST", "/api/jobs") == [{"program": "u2", "machine": "router"}]


def test_sync_panel_tells_what_the_office_has_not(open_console: Open) -> None:
    page, _ = open_console(world.snapshot(sync=world.sync_away()), language="en")
    tab(page, "sync", "en")
    panel = page.locator(".sync[aria-labelledby]")
    expect(panel).to_contain_text("The office does not hear us")
    expect(panel).to_contain_text("5393 records are kept")
    expect(panel).to_contain_text("2 h 1 min ago")
    expect(panel.locator("li b")).to_have_text(["31", "4", "118", "5,240"])
    expect(panel).to_contain_text("mqtt.example.org:8883 timed out")


def test_unreachable_van_and_empty_queue_are_told(open_console: Open) -> None:
    page, _ = open_console(world.snapshot(jobs=[], machines=[world.lathe(availability="UNAVAILABLE", age_ms=None)]))
    expect(page.locator(".left .card")).to_contain_text("Negirdima")
    expect(page.locator(".left .card")).to_contain_text("girdėta niekada")
    expect(page.locator(".queue")).to_contain_text("Eilė tuščia")
    expect(page.locator("footer .name")).to_contain_text("nėra ką valdyti")
    expect(page.locator("[data-command=stop]")).to_be_disabled()


def test_language_changes_and_stays(open_console: Open) -> None:
    page, _ = open_console(world.snapshot())
    page.get_by_role("button", name="English").click()
    expect(page.locator("[data-command=stop]")).to_have_text("Stop machine")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.evaluate("localStorage.getItem('infomobil.console.language')") == "en"


def _state(page: Page, van: Van, name: str, language: str) -> None:
    if name in ("visit", "sync", "queue", "count", "bell", "close", "open"):
        part = {"count": "visit", "bell": "visit", "close": "visit", "open": "visit"}.get(name, name)
        tab(page, part, language)
    match name:
        case "count":
            page.locator(".visit .primary").click()
            page.locator(".count .left [role=radiogroup]").last.locator("button").last.click()
        case "bell":
            page.locator(".pair button").first.click()
        case "close":
            page.locator(".pair button").last.click()
        case "start" | "refused":
            tab(page, "queue", language)
            page.locator(".start").click()
        case "programs":
            tab(page, "queue", language)
            page.locator(".queue .add").click()
        case "news":
            van.send(*world.news())
            expect(page.locator(".notice")).to_be_visible()
        case "stale":
            page.clock.run_for(SILENCE_MS + 500)


STATES: dict[str, Callable[[], Json]] = {
    "machine": world.snapshot,
    "tripped": lambda: world.snapshot(machines=[world.tripped(), world.lathe()], sync=world.sync_away()),
    "locked": world.locked,
    "queue": world.snapshot,
    "visit": world.snapshot,
    "open": lambda: world.snapshot(visit=None),
    "sync": lambda: world.snapshot(sync=world.sync_away()),
    "count": world.snapshot,
    "bell": world.snapshot,
    "close": world.snapshot,
    "start": lambda: world.snapshot(machines=[world.router()], jobs=world.jobs()[1:]),
    "refused": lambda: world.snapshot(machines=[world.tripped()], jobs=world.jobs()[1:]),
    "programs": world.snapshot,
    "news": world.snapshot,
    "alarm": lambda: world.snapshot(machines=[world.in_alarm("GrblHAL 1.1f"), world.lathe()], jobs=[]),
    "stale": world.snapshot,
}


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_nothing_is_cut_and_every_target_is_big_enough(
    open_console: Open, size: str, language: str, theme: str
) -> None:
    page, van = open_console(world.snapshot(), size, language, theme)
    for name, snapshot in STATES.items():
        van.hello = [{"type": "snapshot", "snapshot": snapshot()}]
        page.reload()
        expect(page.locator(".left .card").first).to_be_attached()
        _state(page, van, name, language)
        assert cut_words(page) == [], f"{name} at {size} in {language}"
        small = [item for item in targets(page) if item["height"] < 63.5 or item["width"] < 63.5]
        assert small == [], f"{name} at {size} in {language}"
        for command in ("hold", "resume", "stop"):
            box = page.locator(f"[data-command={command}]").bounding_box()
            assert box is not None
            assert box["height"] >= 88
            assert box["y"] + box["height"] <= SIZES[size][1]
        words = page.locator("body").inner_text().lower()
        assert [phrase for phrase in FORBIDDEN if phrase in words] == []
    assert [call for call in van.calls if call[0] == "POST"] == []
