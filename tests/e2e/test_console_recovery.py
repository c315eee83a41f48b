# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery, tool change, opening checklist, link, settings and recordings on the console, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e import console_world as world
from tests.e2e import hand_world as hand
from tests.e2e.console_page import FORBIDDEN, LOOKS, Open, hold, spend, tab
from tests.e2e.driving import DIST, SIZES, Json, Van, cut_words, refusal, targets
from tests.e2e.jog_service import JogService

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

RECORDINGS = "/api/machines/router/recordings"
SETTINGS = "/api/machines/router/settings"
TARGET_PX = 63.5
SINCE = {
    "permissive": "changed-since",
    "what": "",
    "why": "The zero of X was 0.000 and is 12.500 mm.",
    "source": "check",
    "age_ms": None,
    "remedy": "x",
}


def broken_off(**machine: Any) -> Json:
    """A snapshot with the first job interrupted."""
    return world.snapshot(machines=[world.router(**machine)], jobs=[hand.interrupted(), *world.jobs()[1:]])


def plans(van: Van, *, homed: bool = True) -> list[str | None]:
    """Let the service answer every question for a plan; return the lines that were asked for."""
    asked: list[str | None] = []

    def answer(request: Request) -> tuple[int, Any]:
        line = parse_qs(urlsplit(request.url).query).get("line", [None])[0]
        asked.append(line)
        return 200, hand.recovery(98 if line is None else int(line), homed=homed)

    van.answers[("GET", "/api/jobs/j1/recovery")] = answer
    return asked


def test_interrupted_job_asks_what_now_and_goes_on_with_a_plan(open_console: Open) -> None:
    page, van = open_console(broken_off())
    plans(van)
    van.answers[("POST", "/api/jobs/j1/recover")] = (200, world.job(1, "RUNNING"))
    card = page.locator(".waiting")
    expect(card).to_contain_text("Darbas nr. 1 pertrauktas ties 104 eilute iš 190.")
    expect(card).to_contain_text("dingo prievadas")
    card.get_by_role("button", name="Kas dabar?").click()
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("Padėtis išliko")
    expect(sheet.locator(".three li")).to_have_count(3)
    expect(sheet.locator(".moves li")).to_have_count(10)
    expect(sheet.get_by_role("img", name="98 eilutė")).to_be_visible()
    key = sheet.locator(".hold")
    expect(key).to_be_disabled()
    sheet.get_by_role("checkbox", name="Perskaičiau planą").click()
    expect(key).to_be_disabled()
    sheet.get_by_role("checkbox", name="darbo zona laisva").click()
    hold(page, van)
    expect(sheet).to_be_hidden()
    assert van.asked("POST", "/api/jobs/j1/recover") == [{"line": 98, "area_clear": True, "approved": True}]


def test_plan_of_own_words_is_told_without_the_path_of_another_program(open_console: Open) -> None:
    own = hand.interrupted(program="name-tag", text="Ugnė")
    page, van = open_console(world.snapshot(machines=[world.router()], jobs=[own, *world.jobs()[1:]]))
    plans(van)
    page.locator(".waiting").get_by_role("button", name="Kas dabar?").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".moves li")).to_have_count(10)
    expect(sheet.get_by_role("img")).to_have_count(0)
    assert ("GET", "/api/programs/name-tag/path", None) not in van.calls


def test_plan_of_another_line_must_be_read_anew(open_console: Open) -> None:
    page, van = open_console(broken_off())
    asked = plans(van)
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("checkbox", name="Perskaičiau planą").click()
    sheet.get_by_role("radio", name="62").click()
    expect(sheet.locator(".hold")).to_contain_text("62")
    expect(sheet.get_by_role("checkbox", name="Perskaičiau planą")).not_to_be_checked()
    assert asked == [None, "62"]


def test_unhomed_machine_is_homed_before_a_job_goes_on(open_console: Open) -> None:
    page, van = open_console(broken_off(homed=False))
    plans(van, homed=False)
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("Reikia rasti nulį")
    expect(sheet.locator(".refusal .what")).to_have_text("Darbas netęsiamas.")
    expect(sheet.locator(".hold")).to_have_count(0)
    plans(van)
    van.send({"type": "machine", "machine": world.router(homed=True)})
    expect(sheet.locator(".hold")).to_be_visible()


def test_refused_recovery_tells_why_and_stays(open_console: Open) -> None:
    page, van = open_console(broken_off())
    plans(van)
    said = refusal("refused", "No.", "Door: open.", "Close it.", reasons=[world.DOOR_OPEN])
    van.answers[("POST", "/api/jobs/j1/recover")] = (409, said)
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    for check in ("Perskaičiau planą", "darbo zona laisva"):
        sheet.get_by_role("checkbox", name=check).click()
    hold(page, van)
    expect(sheet.locator(".refusal .what")).to_have_text("Darbas netęsiamas.")
    expect(sheet.locator(".refusal .why")).to_contain_text("Door: atvira.")


def test_job_is_given_up_by_a_key_held_down_even_without_a_plan(open_console: Open) -> None:
    page, van = open_console(broken_off())
    said = refusal("not-found", "No.", "There is no journal.", "x")
    van.answers[("GET", "/api/jobs/j1/recovery")] = (404, said)
    van.answers[("POST", "/api/jobs/j1/abandon")] = (200, world.job(1, "ABORTED"))
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".refusal .what")).to_have_text("Plano sudaryti negalima.")
    sheet.get_by_role("button", name="Darbo netęsti").click()
    hold(page, van)
    expect(page.locator(".waiting")).to_have_count(0)
    assert van.asked("POST", "/api/jobs/j1/abandon") == [None]


def test_tool_change_is_walked_step_by_step(open_console: Open) -> None:
    page, van = open_console(
        world.snapshot(machines=[world.router(job="j1")], jobs=[hand.waiting(), *world.jobs()[1:]])
    )
    for call in ("machines/router/park", "machines/router/probe"):
        van.answers[("POST", f"/api/{call}")] = (200, {"contacts": [], "set": {}, "text": ""})
    van.answers[("POST", "/api/jobs/j1/continue")] = (200, world.job(1, "RUNNING"))
    page.locator(".waiting").get_by_role("button", name="Keisti įrankį").click()
    sheet = page.get_by_role("dialog")
    now = sheet.locator("[aria-current=step]")
    expect(sheet.locator("ol > li")).to_have_count(4)
    expect(now.locator("h3")).to_have_text("Parkuoti suklį")
    hold(page, van)
    expect(now.locator("h3")).to_have_text("Įdėti 2 įrankį")
    expect(now).to_contain_text("2 mm end mill")
    assert van.asked("POST", "/api/jobs/j1/continue") == []
    now.get_by_role("button", name="Įrankis pakeistas").click()
    expect(now.locator("h3")).to_have_text("Išmatuoti naują ilgį")
    hold(page, van)
    expect(now.locator("h3")).to_have_text("Tęsti programą")
    expect(now.locator(".hold")).to_be_disabled()
    now.get_by_role("checkbox").click()
    hold(page, van)
    expect(sheet).to_be_hidden()
    assert van.asked("POST", "/api/machines/router/park") == [{"area_clear": True}]
    assert van.asked("POST", "/api/machines/router/probe") == [{"cycle": "tool", "area_clear": True}]
    assert van.asked("POST", "/api/jobs/j1/continue") == [{"area_clear": True}]


def test_tool_without_a_setter_goes_on_by_a_persons_word(open_console: Open) -> None:
    machine = world.router(job="j1", hand=world.hand(tool_setter=False, park=False))
    page, van = open_console(world.snapshot(machines=[machine], jobs=[hand.waiting()]))
    said = refusal("tool-length", "No.", "The length of the new tool is not known: the zero of Z is where it was.", "x")
    van.answers[("POST", "/api/jobs/j1/continue")] = (409, said)
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    now = sheet.locator("[aria-current=step]")
    now.get_by_role("button", name="Įrankis pakeistas").click()
    expect(now.locator(".hold")).to_have_count(0)
    now.get_by_role("button", name="Ilgis toks pat").click()
    now.get_by_role("checkbox").click()
    hold(page, van)
    expect(now.locator(".refusal .why")).to_contain_text("Naujo įrankio ilgis nežinomas")
    assert van.asked("POST", "/api/jobs/j1/continue") == [{"area_clear": True, "same_length": True}]


def test_what_has_changed_is_told_and_confirmed_by_pressing_once_more(open_console: Open) -> None:
    machine = world.router(job="j1")
    page, van = open_console(world.snapshot(machines=[machine], jobs=[hand.waiting("stop")]))
    van.answers[("POST", "/api/jobs/j1/continue")] = (409, refusal("changed-since", "No.", "y", "z", reasons=[SINCE]))
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    now = sheet.locator("[aria-current=step]")
    now.get_by_role("button").first.click()
    now.get_by_role("checkbox").click()
    hold(page, van)
    expect(now.locator(".refusal .why")).to_contain_text("X ašies nulis buvo 0.000, o dabar 12.500 mm.")
    van.answers[("POST", "/api/jobs/j1/continue")] = (200, world.job(1, "RUNNING"))
    hold(page, van)
    expect(sheet).to_be_hidden()
    body = {"area_clear": True}
    assert van.asked("POST", "/api/jobs/j1/continue") == [body, {**body, "changes": [SINCE["why"]]}]


def test_a_plan_tells_what_has_changed_and_the_yes_to_it_confirms_that(open_console: Open) -> None:
    page, van = open_console(broken_off())
    van.answers[("GET", "/api/jobs/j1/recovery")] = (200, {**hand.recovery(), "changes": [SINCE["why"]]})
    van.answers[("POST", "/api/jobs/j1/recover")] = (200, world.job(1, "RUNNING"))
    page.locator(".waiting button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".known")).to_contain_text("X ašies nulis buvo 0.000, o dabar 12.500 mm.")
    for box in sheet.get_by_role("checkbox").all():
        box.click()
    hold(page, van)
    expect(sheet).to_be_hidden()
    wanted = {"line": 98, "area_clear": True, "approved": True, "changes": [SINCE["why"]]}
    assert van.asked("POST", "/api/jobs/j1/recover") == [wanted]


def test_zero_of_a_new_tool_can_be_set_by_hand(open_console: Open) -> None:
    page, _ = open_console(
        world.snapshot(machines=[world.router(job="j1", hand=world.hand(park=False))], jobs=[hand.waiting()])
    )
    JogService(page)
    page.locator(".waiting button").click()
    page.get_by_role("button", name="Įrankis pakeistas").click()
    page.get_by_role("button", name="Z nulį nustatyti ranka").click()
    expect(page.locator(".pad")).to_be_visible()


def test_step_that_failed_is_not_passed(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[world.router(job="j1")], jobs=[hand.waiting()]))
    said = refusal("refused", "No.", "Door: open.", "Close it.", reasons=[world.DOOR_OPEN])
    van.answers[("POST", "/api/machines/router/park")] = (409, said)
    page.locator(".waiting button").click()
    hold(page, van)
    now = page.get_by_role("dialog").locator("[aria-current=step]")
    expect(now.locator("h3")).to_have_text("Parkuoti suklį")
    expect(now.locator(".refusal .what")).to_have_text("Router: neparkuojama.")


def test_stop_of_a_program_needs_no_tool(open_console: Open) -> None:
    bare = world.hand(plate=False, tool_setter=False, park=False)
    machine = world.router(job="j1", hand=bare)
    page, _ = open_console(world.snapshot(machines=[machine], jobs=[hand.waiting("stop")]), language="en")
    page.locator(".waiting").get_by_role("button", name="Go on?").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator("ol > li")).to_have_count(2)
    expect(sheet.locator("blockquote")).to_have_text("Turn the piece over")


def parked(**done: bool) -> Json:
    """A snapshot after a drive."""
    return world.snapshot(machines=[world.router(), hand.laser()], jobs=[], opening=hand.opening(**done))


def test_opening_comes_before_anything_else_and_ticks_itself(open_console: Open) -> None:
    page, van = open_console(parked())
    expect(page.locator(".opening h2")).to_have_text("Atidarymo patikra")
    expect(page.locator(".tabs")).to_have_count(0)
    expect(page.locator("[data-command=stop]")).to_be_enabled()
    router = page.locator("[data-opening=router]")
    expect(router.locator("[data-item=door] .box svg")).to_have_count(0)
    van.send({"type": "opening", "opening": hand.opening(door=True)})
    expect(router.locator("[data-item=door] .box svg")).to_have_count(1)
    expect(router.locator("[data-item=stop_circuit] button")).to_have_count(0)
    done = hand.opening(door=True, clamps=True)
    van.answers[("POST", "/api/opening/router/clamps")] = (200, done)
    router.locator("[data-item=clamps]").get_by_role("button", name="Patikrinau").click()
    expect(router.locator("[data-item=clamps] .box svg")).to_have_count(1)
    assert van.asked("POST", "/api/opening/router/clamps") == [{"confirmed": True}]


def test_opening_that_is_put_aside_is_said_all_the_time(open_console: Open) -> None:
    page, van = open_console(parked(door=True))
    page.get_by_role("button", name="Kol kas parodyti pultą").click()
    strip = page.locator(".strip")
    expect(strip).to_contain_text("Atidarymo patikra nebaigta: liko 6 punktai")
    strip.click()
    expect(page.locator(".opening")).to_be_visible()
    van.send({"type": "opening", "opening": {"needed": False, "machines": {}}})
    expect(page.locator(".tabs")).to_be_visible()
    expect(page.locator(".strip")).to_have_count(0)


def test_reset_comes_before_home_in_the_opening(open_console: Open) -> None:
    machine = {**world.tripped(), "job": None, "homed": False}
    page, van = open_console(world.snapshot(machines=[machine, hand.laser()], jobs=[], opening=hand.opening()))
    said = refusal("refused", "No.", "Door: open.", "Close it.", reasons=[world.DOOR_OPEN])
    van.answers[("POST", "/api/machines/router/reset")] = (409, said)
    item = page.locator("[data-opening=router] [data-item=home]")
    item.get_by_role("button", name="Atkurti").click()
    expect(page.locator("[data-opening=router] .refusal .what")).to_have_text("Router: blokuotė neatkuriama.")
    page.locator("[data-opening=laser] [data-item=home]").get_by_role("button", name="Rasti nulį").click()
    expect(page.get_by_role("dialog")).to_contain_text("Lazeris: rasti nulį?")


def test_packing_for_the_road_is_held_and_brings_the_checklist(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[world.router(), hand.laser()]))
    van.answers[("POST", "/api/opening/relocate")] = (200, hand.opening())
    page.get_by_role("button", name="Daugiau").click()
    page.locator("[data-menu=pack]").click()
    hold(page, van)
    expect(page.locator(".opening")).to_be_visible()
    assert van.asked("POST", "/api/opening/relocate") == [None]


def test_bad_link_is_told_on_the_card_and_with_its_cause(open_console: Open) -> None:
    page, van = open_console(world.snapshot(machines=[{**world.cutting(), "link": hand.noisy_link()}]), language="en")
    expect(page.locator(".left .card")).to_contain_text("Link damaged")
    link = page.locator("section.link")
    expect(link).to_contain_text("Damaged now and then")
    expect(link.locator("dd")).to_have_text(["48,211", "37", "4", "8 ms", "61 ms"])
    expect(link.locator(".cause")).to_contain_text("interference. Lay the USB cable away")
    van.send({"type": "machine", "machine": world.router(link=world.link(latency_spindle_ms=None))})
    expect(link).to_contain_text("Good")
    expect(link.locator("dd").last).to_have_text("–")
    expect(link.locator(".cause")).to_have_count(0)


def settings_open(open_console: Open) -> tuple[Page, Van]:
    """Open the settings of a router of which two differ from the profile."""
    page, van = open_console(world.snapshot(machines=[world.router(settings_differ=2)]))
    van.answers[("GET", SETTINGS)] = (200, hand.settings())
    page.get_by_role("button", name="Daugiau").click()
    expect(page.locator("[data-menu=settings]")).to_contain_text("2 nustatymai skiriasi")
    page.locator("[data-menu=settings]").click()
    return page, van


def test_chosen_settings_are_brought_back_after_a_second_look(open_console: Open) -> None:
    page, van = settings_open(open_console)
    clean = {**hand.settings(), "differences": []}
    van.answers[("POST", SETTINGS + "/restore")] = (200, clean)
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("button", name="Nieko nepasirinkta")).to_be_disabled()
    sheet.get_by_role("checkbox", name="X-axis maximum rate").click()
    sheet.get_by_role("button", name="Grąžinti 1 nustatymą").click()
    expect(sheet).to_contain_text("nuliu pasitikėti nebegalima")
    expect(sheet.locator(".list li")).to_have_count(1)
    hold(page, van)
    expect(sheet).to_contain_text("Viskas taip, kaip įsiminta.")
    assert van.asked("POST", SETTINGS + "/restore") == [{"numbers": [110], "confirm": True}]


def test_settings_are_kept_as_the_profile(open_console: Open) -> None:
    page, van = settings_open(open_console)
    van.answers[("POST", SETTINGS + "/keep")] = (200, {})
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Įsiminti esamus").click()
    van.answers[("GET", SETTINGS)] = (200, {**hand.settings(), "differences": []})
    hold(page, van)
    expect(sheet).to_contain_text("Viskas taip, kaip įsiminta.")
    assert van.asked("POST", SETTINGS + "/keep") == [None]


def test_refused_settings_tell_why(open_console: Open) -> None:
    page, van = settings_open(open_console)
    van.answers[("POST", SETTINGS + "/restore")] = (409, refusal("refused", "No.", "It works on another job.", "x"))
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("checkbox").first.click()
    sheet.get_by_role("button", name="Grąžinti 1 nustatymą").click()
    hold(page, van)
    expect(sheet.locator(".refusal .what")).to_have_text("Router: nustatymai negrąžinti.")


def test_black_box_is_downloaded_and_told(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    first = hand.recordings()[0]["name"]
    van.answers[("GET", RECORDINGS)] = (200, hand.recordings())
    van.answers[("GET", f"{RECORDINGS}/{first}/story")] = (200, hand.story())
    page.get_by_role("button", name="Daugiau").click()
    page.locator("[data-menu=recordings]").click()
    row = page.get_by_role("dialog").locator("ul > li").first
    expect(row).to_contain_text("Darbas nr. 1")
    expect(row).to_contain_text("1,5 MB")
    link = row.get_by_role("link", name="Atsisiųsti")
    expect(link).to_have_attribute("href", f"{RECORDINGS}/{first}".lstrip("/"))
    expect(link).to_have_attribute("download", f"router-{first}.jsonl")
    row.get_by_role("button", name="Kas nutiko").click()
    expect(row.locator(".story li")).to_have_count(3)
    row.get_by_role("button", name="Suskleisti").click()
    expect(row.locator(".story")).to_have_count(0)


def test_empty_and_failing_black_box_are_told(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("GET", RECORDINGS)] = (200, [])
    page.get_by_role("button", name="Daugiau").click()
    page.locator("[data-menu=recordings]").click()
    expect(page.get_by_role("dialog")).to_contain_text("Įrašų dar nėra.")
    page.get_by_role("dialog").get_by_role("button", name="Uždaryti").click()
    van.answers[("GET", RECORDINGS)] = (0, None)
    page.get_by_role("button", name="Daugiau").click()
    page.locator("[data-menu=recordings]").click()
    expect(page.get_by_role("dialog").locator(".refusal .what")).to_have_text("Router: įrašų parodyti negalima.")


def _menu(page: Page, item: str) -> None:
    page.locator(".commands button").last.click()
    if item:
        page.locator(f"[data-menu={item}]").click()


def _hand(page: Page, van: Van, then: str) -> None:
    page.locator(".commands button").first.click()
    match then:
        case "armed":
            page.locator(".motion .confirmed").click()
        case "zero":
            page.locator(".positions button").first.click()
        case "park":
            page.locator(".actions button").nth(1).click()
        case "probe" | "corner" | "bore" | "tool":
            page.locator(".actions button").nth(2).click()
            choice = ("probe", "corner", "bore", "tool").index(then)
            page.get_by_role("dialog").get_by_role("radio").nth(choice).click()
    spend(page, van, 100)


Way = Callable[[Page, Van, str], None]


def _way(name: str) -> Way:
    """Return how a state is reached from the first page."""

    def go(page: Page, van: Van, language: str) -> None:
        kind, _, then = name.partition("-")
        if kind == "hand":
            _hand(page, van, then)
        elif kind == "menu":
            _menu(page, then)
            if then == "recordings":
                page.locator("ul button[aria-expanded]").first.click()
                expect(page.locator(".story")).to_be_visible()
            elif then == "settings":
                page.get_by_role("dialog").get_by_role("checkbox").first.click()
        elif kind == "queue":
            tab(page, "queue", language)
        elif kind in ("recovery", "tool", "stop"):
            page.locator(".waiting button").click()
            if then == "abandon":
                page.get_by_role("dialog").locator(".button.quiet").click()
            elif then == "change":
                hold(page, van)
        elif kind == "strip":
            page.locator(".aside").click()

    return go


def _waiting(kind: str) -> Json:
    return world.snapshot(machines=[world.router(job="j1")], jobs=[hand.waiting(kind), *world.jobs()[1:]])


STATES: dict[str, Callable[[], Json]] = {
    **{f"hand-{then}": world.ready for then in ("off", "armed", "zero", "park", "probe", "corner", "bore", "tool")},
    "hand-refused": lambda: world.snapshot(machines=[{**world.tripped(), "job": None}, world.lathe()]),
    "menu-": lambda: world.snapshot(machines=[world.router(settings_differ=2), world.lathe()]),
    "menu-overrides": world.snapshot,
    "menu-settings": world.ready,
    "menu-recordings": world.ready,
    "menu-pack": world.ready,
    "queue-waiting": broken_off,
    "waiting": broken_off,
    "recovery-kept": broken_off,
    "recovery-abandon": broken_off,
    "tool-park": lambda: _waiting("tool"),
    "tool-change": lambda: _waiting("tool"),
    "stop-look": lambda: _waiting("stop"),
    "opening": lambda: parked(stop_circuit=True),
    "strip": lambda: parked(stop_circuit=True),
    "link": lambda: world.snapshot(machines=[{**world.cutting(), "link": hand.noisy_link()}, world.lathe()]),
}


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_nothing_is_cut_and_every_target_is_big_enough(
    open_console: Open, size: str, language: str, theme: str
) -> None:
    page, van = open_console(world.ready(), size, language, theme)
    JogService(page)
    plans(van)
    van.answers[("GET", SETTINGS)] = (200, hand.settings())
    van.answers[("GET", RECORDINGS)] = (200, hand.recordings())
    van.answers[("GET", f"{RECORDINGS}/{hand.recordings()[0]['name']}/story")] = (200, hand.story())
    van.answers[("POST", "/api/machines/router/park")] = (200, {})
    for name, snapshot in STATES.items():
        van.hello = [{"type": "snapshot", "snapshot": snapshot()}]
        page.reload()
        expect(page.locator(".left .card, .opening").first).to_be_attached()
        _way(name)(page, van, language)
        at = f"{name} at {size} in {language}"
        assert cut_words(page) == [], at
        assert [item for item in targets(page) if min(item["height"], item["width"]) < TARGET_PX] == [], at
        for command in ("hold", "resume", "stop"):
            box = page.locator(f"[data-command={command}]").bounding_box()
            assert box is not None
            assert box["height"] >= 88, at
            assert box["y"] + box["height"] <= SIZES[size][1], at
        words = page.locator("body").inner_text().lower()
        assert [phrase for phrase in FORBIDDEN if phrase in words] == [], at
    sent = {path for method, path, _ in van.calls if method == "POST"}
    assert sent <= {"/api/machines/router/park"}
