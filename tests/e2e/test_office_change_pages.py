# SPDX-License-Identifier: GPL-3.0-or-later
"""What people change in the office, in Chromium: log in, correct, take in a stick, look after what was set aside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, WebError, expect

from tests.e2e import office_parts as parts
from tests.e2e.driving import DIST, Answer, Van, refusal
from tests.e2e.office_page import Open, open_part

pytestmark = pytest.mark.skipif(not (DIST / "office" / "index.html").is_file(), reason="the pages are not built")

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
VISIT = "visits/im-01/v001"
CORRECTIONS = f"/api/{VISIT}/corrections"


@pytest.fixture
def open_office(lasting: Callable[..., BrowserContext]) -> Iterator[Open]:
    """Open a part of the dashboard in Lithuanian."""
    context = lasting("office", timezone_id="Europe/Vilnius")
    pages: list[Page] = []
    thrown: list[str] = []

    def note(error: WebError) -> None:
        thrown.append(str(error.error))

    context.on("weberror", note)

    def opened(part: str, **answers: Any) -> tuple[Page, Van]:
        page, van = open_part(context, part, "desk", "lt", **answers)
        pages.append(page)
        return page, van

    yield opened
    for page in pages:
        page.close()
    context.remove_listener("weberror", note)
    assert thrown == []


def marked(answer: Answer) -> Any:
    """Answer so only a change that carries the header that no form of another page can send."""

    def check(request: Request) -> Answer:
        if request.headers.get("x-infomobil") != "1":
            return 403, refusal("header", "Nothing is changed.", "The header is missing.")
        return answer

    return check


def log_in(page: Page, password: str) -> None:
    page.get_by_label("Vardas").fill("rasa")
    page.get_by_label("Slaptažodis").fill(password)
    page.keyboard.press("Enter")


def test_a_wrong_password_waits_and_a_right_one_opens_the_office(open_office: Open) -> None:
    page, van = open_office("overview", me=(200, parts.me(None)))
    expect(page.locator("nav")).to_have_count(0)
    expect(page.locator(".number")).to_have_count(0)
    wrong = refusal("login", "The login is refused.", "The name or the password is wrong.", "Wait.", retry_after_s=3.0)
    van.answers["POST", "/api/login"] = (401, wrong)
    log_in(page, "spring")
    expect(page.get_by_role("alert")).to_contain_text("Vardas arba slaptažodis netinka.")
    expect(page.get_by_role("alert")).to_contain_text("po 3 sekundžių")
    expect(page.get_by_label("Slaptažodis")).to_have_value("")
    page.get_by_label("Slaptažodis").fill("autumn")
    expect(page.get_by_role("button", name="Prisijungti")).to_be_disabled()
    page.clock.run_for(4000)
    van.answers["POST", "/api/login"] = marked((200, parts.me("office")))
    page.get_by_role("button", name="Prisijungti").click()
    expect(page.locator(".number")).to_be_visible()
    assert van.asked("POST", "/api/login")[-1] == {"name": "rasa", "password": "autumn"}


def test_a_login_that_ran_out_asks_again_and_comes_back_to_the_same_part(open_office: Open) -> None:
    page, van = open_office("vans")
    expect(page.locator("article")).to_have_count(3)
    van.answers["GET", "/api/labs"] = (401, refusal("login", "The answer is refused.", "The login ended."))
    page.clock.run_for(16_000)
    expect(page.get_by_role("heading", name="Kas žiūri?")).to_be_visible()
    expect(page.locator("article")).to_have_count(0)
    van.answers["GET", "/api/labs"] = (200, parts.labs())
    van.answers["POST", "/api/login"] = (200, parts.me("office"))
    log_in(page, "autumn")
    expect(page.locator("article")).to_have_count(3)


def test_an_office_that_is_away_is_told_at_the_login(open_office: Open) -> None:
    page, van = open_office("overview", me=(200, parts.me(None)))
    van.answers["POST", "/api/login"] = (0, None)
    log_in(page, "autumn")
    expect(page.get_by_role("alert")).to_contain_text("Biuro tarnyba neatsako")
    van.answers["POST", "/api/login"] = (200, parts.me("office"))
    log_in(page, "autumn")
    expect(page.locator(".number")).to_be_visible()


def test_who_leaves_sees_no_figure_any_more(open_office: Open) -> None:
    page, van = open_office("overview")
    van.answers["POST", "/api/logout"] = (0, None)
    leave = page.get_by_role("button", name="Išeiti (rasa)")
    leave.click()
    expect(page.get_by_role("alert")).to_contain_text("Jūs vis dar prisijungę")
    van.answers["POST", "/api/logout"] = (200, {})
    van.answers["GET", "/api/me"] = (200, parts.me(None))
    leave.click()
    expect(page.get_by_role("heading", name="Kas žiūri?")).to_be_visible()
    expect(page.locator(".number")).to_have_count(0)


def correct(page: Page) -> None:
    """Say that there were 25 pupils instead of 27, and why."""
    page.get_by_role("button", name="Pataisyti skaičių").click()
    for _ in range(2):
        page.get_by_role("button", name="Vienu mažiau").click()
    page.get_by_label("Priežastis (būtina)").fill("Du išėjo anksčiau")


def test_a_correction_shows_old_and_new_and_needs_a_reason(open_office: Open) -> None:
    page, van = open_office(VISIT)
    write = page.get_by_role("button", name="Įrašyti pataisą")
    page.get_by_role("button", name="Pataisyti skaičių").click()
    expect(page.locator("dialog[open] .difference")).to_have_text("Skaičius nesikeičia.")
    page.get_by_role("button", name="Vienu mažiau").click()
    expect(page.locator("dialog[open] .difference")).to_have_text("Skirtumas: −1")
    expect(write).to_be_disabled()
    page.keyboard.press("Escape")
    correct(page)
    corrected = {**parts.entries()[-1], "seq": 2, "count": -2, "reason": "Du išėjo anksčiau"}
    people = {"pupil": 25, "teacher": 2, "vet_trainer": 0, "trainee": 0}
    answer = parts.visit(entries=[*parts.entries(), corrected], people=people, total=27)
    van.answers["POST", CORRECTIONS] = marked((201, answer))
    write.click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.get_by_role("status").first).to_have_text("Įrašyta. 8a, Mokiniai: 27 → 25.")
    expect(page.locator("tbody tr").last.locator("s")).to_have_text("27")
    (sent,) = van.asked("POST", CORRECTIONS)
    assert UUID4.fullmatch(sent.pop("id"))
    assert sent == {"group": "8a", "role": "pupil", "count": -2, "reason": "Du išėjo anksčiau"}


def test_a_refused_correction_says_why_and_keeps_its_number_when_tried_again(open_office: Open) -> None:
    page, van = open_office(VISIT)
    correct(page)
    answers = [
        (409, refusal("count", "The correction is refused.", "It would make -1 pupils of 8a.", "Look at the entries.")),
        (0, None),
    ]
    for answer, said in zip(answers, ("prieštarautų", "neatsako"), strict=True):
        van.answers["POST", CORRECTIONS] = answer
        page.get_by_role("button", name="Įrašyti pataisą").click()
        expect(page.locator("dialog[open] [role=alert]")).to_contain_text("Pataisa neįrašyta.")
        expect(page.locator("dialog[open] [role=alert]")).to_contain_text(said)
    van.answers["POST", CORRECTIONS] = (201, parts.visit())
    page.get_by_role("button", name="Įrašyti pataisą").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    tries = van.asked("POST", CORRECTIONS)
    assert len(tries) == 3
    assert tries[0] == tries[1] == tries[2]


def stick(page: Page, name: str, data: bytes) -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "application/zip", "buffer": data})


def test_a_stick_is_taken_in_and_told_what_was_new(open_office: Open) -> None:
    page, van = open_office("evidence")
    taken = {"lab": "im-02", "batches": 12, "new": 402, "duplicates": 88, "rejected": 1, "signed_by": parts.KEY}
    van.answers["POST", "/api/import"] = marked((200, taken))
    stick(page, "im-02-09aa0000-20261123.infomobil", b"PK\x03\x04")
    expect(page.locator(".taken")).to_contain_text("402 nauji įrašai.")
    expect(page.locator(".taken")).to_contain_text("88 jau turėjome.")
    expect(page.locator(".taken")).to_contain_text("1 siunta atidėta")
    assert van.asked("POST", "/api/import") == [b"PK\x03\x04"]


def test_a_file_that_is_no_stick_is_refused_in_words(open_office: Open) -> None:
    page, van = open_office("evidence")
    answer = refusal(
        "stick", "The file is not taken in.", "It is no stick: the manifest is missing.", "Choose another."
    )
    van.answers["POST", "/api/import"] = (422, answer)
    stick(page, "atostogos.jpg", b"\xff\xd8")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("atostogos.jpg neįkeltas.")
    expect(alert).to_contain_text("the manifest is missing")
    expect(page.locator(".taken")).to_have_count(0)


def test_what_was_set_aside_is_looked_at_with_a_note(open_office: Open) -> None:
    page, van = open_office("evidence")
    page.get_by_role("button", name="Pažiūrėti").click()
    expect(page.locator("dialog[open] pre")).to_contain_text("specversion")
    page.get_by_label("Ką radote? (būtina)").fill("Nutrūkęs siuntimas")
    van.answers["POST", "/api/quarantine/2/seen"] = (403, refusal("rights", "The note is refused.", "Role viewer."))
    page.get_by_role("button", name="Įrašyti pastabą").click()
    expect(page.locator("dialog[open] [role=alert]")).to_contain_text("Jūsų paskyra tam neturi teisių.")
    van.answers["POST", "/api/quarantine/2/seen"] = marked((200, {**parts.quarantine()[0], "seen": None}))
    van.answers["GET", "/api/quarantine"] = (200, {"total": 0, "rows": []})
    page.get_by_role("button", name="Įrašyti pastabą").click()
    expect(page.locator("main")).to_contain_text("Viskas pažiūrėta.")
    assert van.asked("POST", "/api/quarantine/2/seen")[-1] == {"note": "Nutrūkęs siuntimas"}


def test_an_admin_makes_changes_and_removes_accounts(open_office: Open) -> None:
    page, van = open_office("access", me=(200, parts.me("admin")))
    expect(page.get_by_role("button", name="Panaikinti asta")).to_be_disabled()
    page.get_by_role("button", name="Nauja paskyra").click()
    page.get_by_label("Vardas").fill("tadas")
    page.get_by_label("Slaptažodis").fill("trumpas")
    page.get_by_role("radio", name=re.compile("^Biuras")).check()
    short = refusal("password", "The account is not written.", "The password has 7 characters.", "Take a longer one.")
    van.answers["PUT", "/api/accounts/tadas"] = (422, short)
    page.get_by_role("button", name="Įrašyti").click()
    expect(page.locator("dialog[open] [role=alert]")).to_contain_text("The password has 7 characters.")
    van.answers["PUT", "/api/accounts/tadas"] = marked((200, parts.accounts()[1]))
    page.get_by_label("Slaptažodis").fill("ilgas ir geras slaptažodis")
    page.get_by_role("button", name="Įrašyti").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert van.asked("PUT", "/api/accounts/tadas")[-1] == {"role": "office", "password": "ilgas ir geras slaptažodis"}
    page.get_by_role("button", name="Panaikinti jonas").click()
    van.answers["DELETE", "/api/accounts/jonas"] = marked((200, {}))
    page.locator("dialog[open]").get_by_role("button", name="Panaikinti").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert len(van.asked("DELETE", "/api/accounts/jonas")) == 1


def test_another_key_of_a_van_is_taken_only_after_a_question(open_office: Open) -> None:
    page, van = open_office("access", me=(200, parts.me("admin")))
    page.get_by_role("button", name="Pripažinti naują raktą").click()
    van.answers["PUT", "/api/keys/im-02"] = marked((200, parts.keys()[0]))
    expect(page.locator("dialog[open]")).to_contain_text("furgono kompiuteris tikrai pakeistas")
    page.locator("dialog[open]").get_by_role("button", name="Pripažinti naują raktą").click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert van.asked("PUT", "/api/keys/im-02") == [{"key": parts.OTHER_KEY}]


def test_an_office_without_accounts_is_read_only_and_says_so(open_office: Open) -> None:
    page, _ = open_office("evidence", me=(200, {"name": None, "role": "viewer", "login_needed": False}))
    expect(page.locator("main")).to_contain_text("Biuras dar neturi nė vienos paskyros")
    expect(page.locator("input[type=file]")).to_have_count(0)


def test_dialogs_are_left_with_escape_and_give_the_focus_back(open_office: Open) -> None:
    page, _ = open_office(VISIT)
    opener = page.get_by_role("button", name="Pataisyti skaičių")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(opener).to_be_focused()


def change_password(page: Page, old: str, new: str) -> None:
    """Fill in the dialog of one's own password and send it."""
    page.get_by_label("Dabartinis slaptažodis").fill(old)
    page.get_by_label("Naujas slaptažodis").fill(new)
    page.get_by_role("button", name="Pakeisti slaptažodį").click()


def test_staff_change_their_own_password(open_office: Open) -> None:
    page, van = open_office("overview", me=(200, parts.me("viewer")))
    page.get_by_role("button", name="Slaptažodis").click()
    page.get_by_label("Naujas slaptažodis").fill("trumpas")
    expect(page.get_by_role("button", name="Pakeisti slaptažodį")).to_be_disabled()
    wrong = refusal("password", "Your password is as it was.", "The password of now is another one.")
    van.answers["PUT", "/api/me/password"] = (403, wrong)
    change_password(page, "spring", "a longer autumn")
    expect(page.get_by_role("alert")).to_contain_text("Dabartinis slaptažodis netinka.")
    expect(page.get_by_label("Dabartinis slaptažodis")).to_have_value("")
    van.answers["PUT", "/api/me/password"] = marked((200, {"ok": True}))
    change_password(page, "autumn", "a longer autumn")
    expect(page.get_by_role("status")).to_contain_text("Slaptažodis pakeistas.")
    assert van.asked("PUT", "/api/me/password")[-1] == {"old": "autumn", "new": "a longer autumn"}
    page.get_by_role("button", name="Gerai").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Slaptažodis").click()
    expect(page.get_by_label("Naujas slaptažodis")).to_have_value("")


def test_who_has_no_account_has_no_password_to_change(open_office: Open) -> None:
    page, _ = open_office("overview", me=(200, {"name": None, "role": "viewer", "login_needed": False}))
    expect(page.locator(".number")).to_be_visible()
    expect(page.get_by_role("button", name="Slaptažodis")).to_have_count(0)


def test_the_audit_tells_what_happened_in_the_language_of_the_page(open_office: Open) -> None:
    page, _ = open_office("evidence")
    rows = page.locator("tbody tr").filter(has=page.locator("td.text"))
    for number, words in enumerate(
        (
            "8a · Mokiniai: +2",
            "Perskaičiuoti 41 202 įrašai: viskas sutampa.",
            "Du furgonai vadinasi tuo pačiu vardu",
            "Įkelta atmintinė: 402 nauji įrašai, jau turėta siuntų 88, atidėta 0.",
            "Sukurta paskyra rasa (teisės: Biuras).",
            "Account jonas was removed.",  # written before its facts said so
            "Priimtas kitas furgono raktas.",
            "Peržiūrėta atidėta siunta Nr. 1.",
        )
    ):
        expect(rows.nth(number)).to_contain_text(words)
