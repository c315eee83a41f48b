# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine on OPC UA at the console: what is told of it, and how a program gets into it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, expect

from edge.domain.transfer import MAX_BYTES
from tests.e2e import console_world as world
from tests.e2e import opcua_world as opcua
from tests.e2e.console_page import FORBIDDEN, LOOKS, Open, hold, spend, tab
from tests.e2e.driving import DIST, SIZES, Json, Van, cut_words, refusal, targets

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

TARGET_PX = 63.5
LOAD = "/api/machines/lathe/load"
START = "/api/machines/lathe/start-loaded"


def lathe_page(
    open_console: Open, machine: Json, language: str = "lt", *, size: str = "desk", kept: list[Json] | None = None
) -> tuple[Page, Van]:
    """Open the console with the lathe alone; the lab keeps files for it."""
    page, van = open_console(opcua.snapshot(machine), size, language)
    van.answers[("GET", opcua.FILES)] = (200, opcua.files() if kept is None else kept)
    return page, van


def at_files(open_console: Open, machine: Json | None = None, *, kept: list[Json] | None = None) -> tuple[Page, Van]:
    """Open the sheet with the files for the lathe."""
    page, van = lathe_page(open_console, machine or opcua.resting(), kept=kept)
    page.locator(".commands .load").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page, van


def told(van: Van, machine: Json) -> None:
    van.send({"type": "machine", "machine": machine})


def test_watched_machine_says_so_and_has_no_key_that_cannot_work(open_console: Open) -> None:
    page, _ = lathe_page(open_console, world.lathe())
    panel = page.locator(".machine")
    expect(panel.locator(".eye")).to_have_text("Šios staklės tik stebimos. Jas paleidžia ir sustabdo jų pačių pultas.")
    expect(panel.locator("button")).to_have_count(0)
    expect(panel).to_contain_text("flansas_2026_11.mpf")
    expect(panel.locator(".parts")).to_contain_text("14")
    expect(panel.locator("dl")).to_contain_text("vykdo programą")
    expect(panel.locator("dl")).to_contain_text("automatinis")
    expect(panel.locator(".overrides b")).to_have_text(["80%", "100%", "100%"])
    for command in ("hold", "resume", "stop"):
        expect(page.locator(f"[data-command={command}]")).to_be_disabled()
    expect(page.locator("footer .name")).to_contain_text("nėra ką valdyti")


def test_bar_names_both_when_it_does_not_act_on_the_machine_that_is_looked_at(open_console: Open) -> None:
    page, _ = open_console(world.snapshot(machines=[world.router(), opcua.lathe()]))
    expect(page.locator("footer .name")).to_have_text("Mygtukai valdo Router")
    page.locator(".left .card", has_text="Lathe").click()
    expect(page.locator("footer .name")).to_have_text("Valdo ne „Lathe“, o Router")


def test_machine_whose_job_control_stops_it_is_stopped_from_the_bar(open_console: Open) -> None:
    machine = opcua.lathe(capabilities=["load_program", "job_control", "stop"])
    page, van = lathe_page(open_console, machine)
    van.answers[("POST", "/api/machines/lathe/stop")] = (200, {"delivered": True})
    expect(page.locator("[data-command=hold]")).to_be_disabled()
    page.locator("[data-command=stop]").click()
    expect(page.locator(".outcome")).to_contain_text("valdiklis gavo stabdymą")
    expect(page.locator(".machine .eye")).to_have_count(0)


def test_interlock_without_inputs_is_neither_shown_nor_asked_for(open_console: Open) -> None:
    page, _ = lathe_page(open_console, opcua.resting())
    expect(page.locator(".left .card")).to_contain_text("Parengta")
    expect(page.locator(".interlocks")).to_have_count(0)


def test_untrusted_certificate_shows_its_thumbprint_and_the_command_to_copy(open_console: Open) -> None:
    page, _ = lathe_page(open_console, opcua.untrusted(), "en")
    lost = page.locator(".lost")
    expect(lost).to_contain_text("There is no link to the machine")
    expect(lost).to_contain_text("is refused: nobody has trusted it yet. Compare its thumbprint")
    shown = lost.locator("code")
    expect(shown).to_have_text([opcua.THUMBPRINT, opcua.COMMAND])
    expect(shown.first.locator("span")).to_have_count(10)
    # What a person selects and copies by hand is whole, too.
    page.evaluate("addEventListener('copy', () => (window.took = String(getSelection())))")
    for index, text in enumerate((opcua.THUMBPRINT, opcua.COMMAND)):
        button = lost.get_by_role("button").nth(index)
        button.click()
        expect(button).to_have_text("Copied")
        assert page.evaluate("window.took") == text
    expect(page.locator(".machine .now")).to_have_count(0)
    page.get_by_role("button", name="Lietuvių").click()
    expect(lost).to_contain_text("juo dar niekas nepasitiki. Palyginkite jo atspaudą")
    expect(shown).to_have_text([opcua.THUMBPRINT, opcua.COMMAND])


def test_alarms_of_the_machine_are_told_with_the_way_to_its_panel(open_console: Open) -> None:
    page, _ = lathe_page(open_console, opcua.troubled())
    alarms = page.locator(".alarms")
    expect(alarms).to_contain_text("Staklės praneša 3 aliarmus")
    expect(alarms.locator("b")).to_have_text(["700016", "LubricationPressureMonitoring", "14080"])
    expect(alarms).to_contain_text("Lubrication pressure below its limit")
    expect(alarms).to_contain_text("prie jų pulto")
    # Neither the fault, which is these alarms, nor a key that would not clear them.
    expect(page.locator(".machine .refusal")).to_have_count(0)
    expect(page.locator(".machine")).not_to_contain_text("Atkurti")


def test_clock_that_is_off_is_told_and_one_that_agrees_is_not(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.troubled(), "en")
    notes = page.locator(".notes")
    expect(notes).to_contain_text("The machine's clock is behind by 7 years.")
    expect(notes).to_contain_text("It showed March 1, 2019")
    for off, word in ((75.0, "ahead by 1 min"), (-7320.0, "behind by 2 h 2 min"), (400_000.0, "ahead by 4 days")):
        told(van, opcua.lathe(clock_off_s=off, source_time="2026-11-23T12:00:00Z"))
        expect(notes).to_contain_text(word)
    told(van, opcua.lathe(clock_off_s=-59.0, source_time="2026-11-23T12:00:00Z"))
    expect(notes).to_have_count(0)


def test_gap_says_when_nobody_saw_the_machine_and_what_it_counted(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.troubled(), "en")
    notes = page.locator(".notes")
    hour = page.evaluate("String(new Date('2026-11-23T12:03:20Z').getHours()).padStart(2, '0')")
    expect(notes).to_contain_text(f"Not seen November 23, 2026, {hour}:02:21–{hour}:03:20.")
    expect(notes).to_contain_text("Meanwhile it counted 3 parts itself.")
    expect(notes).to_contain_text("The server fell silent.")
    today = page.evaluate("new Date().toISOString()")
    told(van, opcua.lathe(last_gap={"ended": today, "seconds": 0.5, "parts": None, "reason": ""}))
    expect(notes).to_have_text(
        re.compile(r"^\s*Not seen \d\d:\d\d:\d\d–\d\d:\d\d:\d\d\. How many parts .* not known\.\s*$")
    )


def test_what_the_server_does_not_tell_is_named(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.troubled())
    lacks = page.locator(".lacks li")
    expect(lacks.first).to_have_text("įėjimas door: serveryje nėra mazgo 4:Door/Closed")
    expect(lacks.nth(1)).to_contain_text("apie pokyčius nepranešama (BadNotSupported)")
    told(van, opcua.lathe())
    expect(lacks).to_have_count(0)


def test_file_is_chosen_and_sent_on_its_way(open_console: Open) -> None:
    page, van = at_files(open_console)
    van.answers[("POST", LOAD)] = (202, opcua.resting(transfer=opcua.transfer("UPLOADING")))
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("radio")).to_have_count(3)
    expect(sheet.locator(".row").first).to_contain_text("3,4 MB")
    go = sheet.get_by_role("button", name="Įkelti į stakles")
    expect(go).to_be_disabled()
    sheet.get_by_role("radio", name="FLANSAS_20.MPF").click()
    expect(sheet.locator(".proof")).to_have_text(f"FLANSAS_20.MPF SHA-256 {opcua.SHA[:8]}")
    sheet.get_by_role("button", name="Įkelti į stakles").click()
    expect(sheet.locator("[aria-current=step]")).to_contain_text("Perkeliama")
    assert van.asked("POST", LOAD) == [{"file": "FLANSAS_20.MPF"}]


def test_way_is_drawn_step_by_step_to_its_end_at_the_machine(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.resting(transfer=opcua.transfer("UPLOADING", done=1_706_435)))
    strip = page.locator(".machine .strip")
    expect(strip).to_contain_text("1 žingsnis iš 3, 50 %")
    strip.get_by_role("button").click()
    sheet = page.get_by_role("dialog")
    now = sheet.locator("[aria-current=step]")
    expect(now).to_contain_text("1,7 MB iš 3,4 MB")
    expect(now.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(sheet.locator(".file code")).to_have_text(opcua.SHA[:8])
    told(van, opcua.resting(transfer=opcua.transfer("VERIFYING", done=3_412_870)))
    expect(now).to_contain_text("100 %")
    told(van, opcua.resting(transfer=opcua.transfer("SELECTING")))
    expect(now).to_contain_text("Laukiama staklių atsakymo")
    expect(sheet.locator("li.done")).to_have_text(["Perkelta", "Perskaityta: sutampa"])
    told(van, opcua.loaded())
    expect(sheet.locator("li.done")).to_have_count(3)
    expect(sheet.get_by_role("status")).to_contain_text("CYCLE START")
    expect(sheet.locator(".hold")).to_have_count(0)
    expect(strip).to_contain_text("Įkelta ir pasirinkta")


def test_program_that_nobody_selected_is_left_to_a_person(open_console: Open) -> None:
    page, _ = lathe_page(open_console, opcua.resting(transfer=opcua.transfer("LOADED", done=3_412_870)), "en")
    expect(page.locator(".machine .strip")).to_contain_text("to be selected at its panel")
    page.locator(".machine .strip button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("status")).to_have_text(re.compile(r"On the machine\s*Select it at its panel\."))
    expect(sheet.locator("li.person")).to_have_text("A person selects it")


def test_transfer_can_be_cancelled(open_console: Open) -> None:
    moving = opcua.resting(transfer=opcua.transfer("VERIFYING", done=12))
    page, van = lathe_page(open_console, moving)
    stopped = opcua.resting(transfer=opcua.transfer("FAILED", reason="it was cancelled"))
    van.answers[("POST", LOAD + "/cancel")] = (200, stopped)
    page.locator(".machine .strip button").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Nutraukti įkėlimą").click()
    expect(sheet.locator(".refusal .what")).to_have_text("FLANSAS_20.MPF: programa nepasirinkta.")
    expect(sheet.locator(".refusal .why")).to_have_text("Atšaukta.")
    expect(sheet.locator("li.broken")).to_contain_text("Perskaitoma ir lyginama")
    assert van.asked("POST", LOAD + "/cancel") == [None]


def test_cancel_that_came_too_late_says_that_the_program_is_selected(open_console: Open) -> None:
    why = "the load was cancelled too late: the machine has selected the program"
    page, _ = lathe_page(open_console, opcua.resting(transfer=opcua.transfer("FAILED", selected=True, reason=why)))
    page.locator(".machine .strip button").click()
    card = page.get_by_role("dialog").locator(".refusal")
    expect(card.locator(".what")).to_have_text("FLANSAS_20.MPF: nutraukta, bet programa jau pasirinkta.")
    expect(card.locator(".why")).to_have_text("Nutraukta per vėlai: staklės programą jau pasirinko.")


def test_loaded_program_is_not_offered_again_while_it_runs_or_after_a_lost_link(open_console: Open) -> None:
    lost = "the link to the machine was lost after the load"
    told_of = opcua.transfer("LOADED", selected=True, reason=lost)
    page, van = lathe_page(open_console, opcua.startable(transfer=told_of))
    page.locator(".machine .strip button").click()
    status = page.get_by_role("dialog").get_by_role("status")
    expect(status).to_contain_text("Po įkėlimo ryšys su staklėmis buvo nutrūkęs.")
    expect(page.get_by_role("dialog").locator(".hold")).to_have_count(0)
    told(van, opcua.startable(transfer=opcua.transfer("LOADED", selected=True), execution="ACTIVE"))
    expect(status).to_contain_text("Staklės kaip tik vykdo programą.")


def test_failed_transfer_says_why_and_is_tried_again(open_console: Open) -> None:
    why = "what was read back differs from what was sent"
    page, van = lathe_page(open_console, opcua.resting(transfer=opcua.transfer("FAILED", reason=why)), "en")
    van.answers[("POST", LOAD)] = (202, opcua.resting(transfer=opcua.transfer("UPLOADING")))
    page.locator(".machine .strip button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".refusal .why")).to_have_text("What was read back differs from what was sent.")
    # Nobody saw where it broke off: no step is blamed.
    expect(sheet.locator("li.broken, li.done")).to_have_count(0)
    sheet.get_by_role("button", name="Try again").click()
    expect(sheet.locator("[aria-current=step]")).to_be_visible()
    assert van.asked("POST", LOAD) == [{"file": "FLANSAS_20.MPF"}]


def test_refused_load_tells_why_and_files_can_still_be_kept(open_console: Open) -> None:
    machine = opcua.lathe()
    idle = {**world.NOT_HOMED, "permissive": "idle", "why": "The machine is not ready: ACTIVE."}
    machine["refusals"] = {**machine["refusals"], "load": [idle]}
    page, _ = at_files(open_console, machine)
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".refusal .what")).to_have_text("Lathe: programa neįkeliama.")
    sheet.get_by_role("radio").first.click()
    expect(sheet.get_by_role("button", name="Įkelti į stakles")).to_be_disabled()
    expect(sheet.get_by_role("button", name="Pridėti failą")).to_be_enabled()


def test_load_refused_by_the_service_shows_all_its_reasons(open_console: Open) -> None:
    page, van = at_files(open_console)
    said = refusal("refused", "No.", "x", "y", reasons=[opcua.AWAY, world.DOOR_OPEN])
    van.answers[("POST", LOAD)] = (409, said)
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("radio").first.click()
    sheet.get_by_role("button", name="Įkelti į stakles").click()
    expect(sheet.locator(".refusal .why")).to_have_count(2)


def test_file_is_added_replaced_and_chosen(open_console: Open) -> None:
    page, van = at_files(open_console, kept=[])
    expect(page.get_by_role("dialog")).to_contain_text("dar neturi nė vieno failo")
    at = f"{opcua.FILES}/ve%C5%BEtas%20%231.mpf"
    van.answers[("PUT", at)] = (201, opcua.file("vežtas #1.mpf", size=7))
    sheet = page.get_by_role("dialog")
    file: FilePayload = {"name": "vežtas #1.mpf", "mimeType": "application/octet-stream", "buffer": b"\x00\xffN10\r\n"}
    page.locator("input[type=file]").set_input_files(file)
    expect(sheet.locator(".kept")).to_have_text("Pridėta: vežtas #1.mpf")
    expect(sheet.get_by_role("radio")).to_be_checked()
    page.locator("input[type=file]").set_input_files(file)
    expect(sheet.locator(".kept")).to_have_text("Pakeista nauju: vežtas #1.mpf")
    expect(sheet.get_by_role("radio")).to_have_count(1)
    assert van.asked("PUT", at) == [b"\x00\xffN10\r\n"] * 2


def test_file_that_is_too_large_is_refused_before_it_is_sent(open_console: Open) -> None:
    page, van = at_files(open_console)
    file: FilePayload = {"name": "didelis.mpf", "mimeType": "text/plain", "buffer": bytes(MAX_BYTES + 1)}
    page.locator("input[type=file]").set_input_files(file)
    card = page.get_by_role("dialog").locator(".refusal")
    expect(card.locator(".what")).to_have_text("didelis.mpf: failas nepriimtas.")
    expect(card.locator(".why")).to_contain_text("iki 16,8 MB")
    assert [call for call in van.calls if call[0] == "PUT"] == []


def test_name_that_no_control_takes_is_refused_in_words(open_console: Open) -> None:
    page, van = at_files(open_console)
    van.answers[("PUT", f"{opcua.FILES}/a.mpf")] = (422, refusal("invalid", "No.", "The name begins with a dot.", "x"))
    page.locator("input[type=file]").set_input_files({"name": "a.mpf", "mimeType": "text/plain", "buffer": b"M30"})
    expect(page.get_by_role("dialog").locator(".refusal")).to_contain_text("The name begins with a dot.")


DROP = """([selector, name]) => {
  const data = new DataTransfer();
  data.items.add(new File(["M30"], name));
  const target = document.querySelector(selector);
  const how = {dataTransfer: data, bubbles: true, cancelable: true};
  const one = (type) => target.dispatchEvent(new DragEvent(type, how));
  return [one("dragover"), one("drop")];
}"""


@pytest.mark.parametrize("target", [".add", ".top"])
def test_dropped_file_is_taken_wherever_it_falls(open_console: Open, target: str) -> None:
    page, van = at_files(open_console)
    van.answers[("PUT", f"{opcua.FILES}/nutemptas.mpf")] = (201, opcua.file("nutemptas.mpf"))
    # Not cancelled, the browser would open the file in the console's place.
    assert page.evaluate(DROP, [target, "nutemptas.mpf"]) == [False, False]
    expect(page.get_by_role("dialog").locator(".kept")).to_have_text("Pridėta: nutemptas.mpf")


def test_file_is_removed_after_a_second_look(open_console: Open) -> None:
    page, van = at_files(open_console)
    at = f"{opcua.FILES}/IVORE_D40.MPF"
    van.answers[("DELETE", at)] = (200, {})
    sheet = page.get_by_role("dialog")
    remove = sheet.get_by_role("button", name="Pašalinti IVORE_D40.MPF")
    remove.click()
    expect(sheet.locator(".question")).to_contain_text("Staklių atmintis nesikeičia")
    sheet.get_by_role("button", name="Palikti").click()
    remove.click()
    assert [call for call in van.calls if call[0] == "DELETE"] == []
    sheet.locator(".question").get_by_role("button", name="Pašalinti").click()
    expect(sheet.get_by_role("radio")).to_have_count(2)
    assert van.asked("DELETE", at) == [None]


def test_files_that_cannot_be_read_are_told(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.resting())
    van.answers[("GET", opcua.FILES)] = (0, None)
    page.locator(".commands .load").click()
    expect(page.get_by_role("dialog").locator(".refusal .what")).to_have_text("Lathe: failų parodyti negalima.")


def test_start_of_a_loaded_program_needs_a_look_and_a_key_held_down(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.startable())
    van.answers[("POST", START)] = (200, {})
    page.locator(".machine .strip").get_by_role("button", name="Pradėti").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".hold")).to_be_disabled()
    sheet.get_by_role("checkbox").click()
    hold(page, van)
    expect(sheet).to_be_hidden()
    assert van.asked("POST", START) == [{"area_clear": True}]


def test_refused_start_of_a_loaded_program_has_no_key(open_console: Open) -> None:
    machine = opcua.startable()
    machine["refusals"] = {**machine["refusals"], "start_loaded": [world.DOOR_OPEN]}
    page, van = lathe_page(open_console, machine)
    page.locator(".machine .strip button").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.locator(".refusal .what")).to_have_text("Lathe: programa nepradedama.")
    expect(sheet.locator(".hold")).to_have_count(0)
    told(van, opcua.startable())
    sheet.get_by_role("checkbox").click()
    said = refusal("refused", "No.", "x", "y", reasons=[world.DOOR_OPEN])
    van.answers[("POST", START)] = (409, said)
    hold(page, van)
    expect(sheet.locator(".refusal .why")).to_contain_text("Door: open")


def test_look_at_the_machine_is_worth_nothing_after_a_refusal(open_console: Open) -> None:
    page, van = lathe_page(open_console, opcua.startable())
    page.locator(".machine .strip button").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("checkbox").click()
    refused = opcua.startable()
    refused["refusals"] = {**refused["refusals"], "start_loaded": [world.DOOR_OPEN]}
    told(van, refused)
    expect(sheet.locator(".hold")).to_have_count(0)
    told(van, opcua.startable())
    expect(sheet.locator(".hold")).to_be_disabled()


def test_locked_screen_tells_and_offers_nothing(open_console: Open) -> None:
    page, _ = open_console(world.locked(machines=[opcua.startable()]))
    strip = page.locator(".machine .strip")
    expect(strip).to_contain_text("FLANSAS_20.MPF")
    expect(page.locator(".machine button")).to_have_count(0)


def test_server_of_the_lab_is_told_beside_the_office(open_console: Open) -> None:
    page, van = open_console(world.snapshot(opcua_server=opcua.server()), language="en")
    tab(page, "sync", "en")
    server = page.locator(".server")
    expect(server).to_contain_text("Listening")
    expect(server).to_contain_text("3 programs watch")
    expect(server.locator("code")).to_have_text("opc.tcp://im-01.local:4840/infomobil")
    down = opcua.server(listening=False, clients=0, error="the port 4840 is taken")
    van.send({"type": "snapshot", "snapshot": world.snapshot(opcua_server=down)})
    expect(server).to_contain_text("Not listening")
    expect(server).to_contain_text("The port 4840 is taken.")
    van.answers[("GET", "/api/snapshot")] = (200, world.snapshot(opcua_server=opcua.server(clients=0)))
    # An answer that a busy computer brings late is asked for again.
    for _ in range(3):
        spend(page, van, 5100)
        if "nobody watches" in (server.text_content() or ""):
            break
        page.wait_for_timeout(200)
    expect(server).to_contain_text("nobody watches")
    van.send({"type": "snapshot", "snapshot": world.snapshot()})
    expect(server).to_have_count(0)


def _files(page: Page, then: str, _: str) -> None:
    page.locator(".commands .load").click()
    sheet = page.get_by_role("dialog")
    match then:
        case "chosen":
            sheet.get_by_role("radio").nth(1).click()
        case "removing":
            sheet.locator(".remove").nth(1).click()
        case "refused":
            large: FilePayload = {"name": opcua.LONG, "mimeType": "text/plain", "buffer": bytes(MAX_BYTES + 1)}
            page.locator("input[type=file]").set_input_files(large)
            expect(sheet.locator(".refusal")).to_be_visible()


def _way(page: Page, then: str, _: str) -> None:
    page.locator(".machine .strip button").click()
    if then == "clear":
        page.get_by_role("dialog").get_by_role("checkbox").click()


def _sync(page: Page, _: str, language: str) -> None:
    tab(page, "sync", language)


def _stay(_: Page, __: str, ___: str) -> None:
    return


def blocked() -> Json:
    machine = opcua.startable()
    machine["refusals"] = {**machine["refusals"], "start_loaded": [world.DOOR_OPEN, opcua.AWAY]}
    return machine


Way = Callable[[Page, str, str], None]
STATES: dict[str, tuple[Callable[[], Json], Way]] = {
    "watched": (world.lathe, _stay),
    "running": (lambda: opcua.lathe(transfer=opcua.loaded()["transfer"], progress=0.4), _stay),
    "untrusted": (opcua.untrusted, _stay),
    "troubled": (opcua.troubled, _stay),
    "startable": (opcua.startable, _stay),
    "files": (opcua.resting, _files),
    "files-chosen": (opcua.loaded, _files),
    "files-removing": (opcua.resting, _files),
    "files-refused": (opcua.resting, _files),
    "way-moving": (lambda: opcua.resting(transfer=opcua.transfer("UPLOADING", done=1_911_207)), _way),
    "way-verifying": (lambda: opcua.resting(transfer=opcua.transfer("VERIFYING", done=999, file=opcua.LONG)), _way),
    "way-failed": (lambda: opcua.resting(transfer=opcua.transfer("FAILED", reason="the link was lost")), _way),
    "way-loaded": (opcua.loaded, _way),
    "way-person": (lambda: opcua.resting(transfer=opcua.transfer("LOADED", done=3_412_870)), _way),
    "way-startable": (opcua.startable, _way),
    "way-clear": (opcua.startable, _way),
    "way-blocked": (blocked, _way),
    "sync-server": (world.lathe, _sync),
}


@pytest.mark.parametrize(("size", "language", "theme"), LOOKS)
def test_nothing_is_cut_and_every_target_is_big_enough(
    open_console: Open, size: str, language: str, theme: str
) -> None:
    page, van = open_console(world.ready(), size, language, theme)
    van.answers[("GET", opcua.FILES)] = (200, opcua.many_files())
    for name, (machine, way) in STATES.items():
        server = opcua.server(listening=False, error="the port 4840 is taken by another program")
        first = opcua.snapshot(machine(), opcua_server=server)
        van.hello = [{"type": "snapshot", "snapshot": first}]
        page.reload()
        expect(page.locator(".left .card").first).to_be_attached()
        way(page, name.partition("-")[2], language)
        at = f"{name} at {size} in {language}"
        assert cut_words(page) == [], at
        assert [item for item in targets(page) if min(item["height"], item["width"]) < TARGET_PX] == [], at
        for command in ("hold", "resume", "stop"):
            box = page.locator(f"[data-command={command}]").bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= SIZES[size][1], at
        words = page.locator("body").inner_text().lower()
        assert [phrase for phrase in FORBIDDEN if phrase in words] == [], at
    assert [call for call in van.calls if call[0] != "GET"] == []
