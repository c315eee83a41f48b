# SPDX-License-Identifier: GPL-3.0-or-later
"""The library on the console in Chromium: pieces that are left out, and jobs that are none of the library's."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e import console_world as world
from tests.e2e.console_page import Open
from tests.e2e.driving import DIST, Json, refusal

pytestmark = pytest.mark.skipif(not (DIST / "console" / "index.html").is_file(), reason="the pages are not built")

CHANGED = "program.nc was changed after the piece was approved."


def left_out(piece: str, flaw: str, why: str, file: str = "") -> Json:
    return {"piece": piece, "flaw": flaw, "file": file, "why": why}


def test_pieces_that_are_left_out_are_named_with_the_reason_until_they_are_mended(open_console: Open) -> None:
    unsigned = left_out("badge", "unsigned", "The office has not signed it: there is no piece.sig.")
    page, van = open_console(world.snapshot(left_out=[left_out("gear", "changed", CHANGED, "program.nc"), unsigned]))
    page.get_by_role("button", name="Pridėti programą").click()
    card = page.get_by_role("dialog").locator(".refusal")
    expect(card.locator(".what")).to_have_text("Nesiūloma: dirbiniai, kurie nebe tokie, kokie patvirtinti")
    expect(card.locator(".why")).to_have_text(
        [
            "gear: Failas program.nc pakeistas po dirbinio patvirtinimo.",
            "badge: Biuras jo nepasirašė: nėra failo piece.sig.",
        ]
    )
    expect(card.locator(".todo").first).to_contain_text("Vėl atsineškite dirbinį iš biuro")
    van.send({"type": "programs", "programs": world.programs(), "left_out": []})
    expect(card).to_have_count(0)
    expect(page.get_by_role("dialog")).to_contain_text("laikiklis_v3.nc")


def test_in_english_the_service_is_quoted_and_a_library_that_is_gone_has_no_piece(open_console: Open) -> None:
    gone = left_out("", "unreadable", "The library /etc/content cannot be read: No such file or directory.")
    page, _ = open_console(
        world.snapshot(left_out=[left_out("gear", "changed", CHANGED, "program.nc"), gone]), language="en"
    )
    page.get_by_role("button", name="Add a program").click()
    why = page.get_by_role("dialog").locator(".refusal .why")
    expect(why).to_have_text([f"gear: {CHANGED}", gone["why"]])


def test_a_job_of_an_upload_is_marked_and_one_of_the_library_is_not(open_console: Open) -> None:
    uploaded = world.job(9, "REQUESTED", program="u1", title={"": "laikiklis_v3.nc"}, origin="operator", text=None)
    page, _ = open_console(world.snapshot(jobs=[*world.jobs(), uploaded]))
    mark = "Įkelta programa, ne iš bibliotekos"
    expect(page.locator(".job", has_text="laikiklis_v3.nc")).to_contain_text(mark)
    expect(page.get_by_text(mark)).to_have_count(1)


def test_a_job_whose_piece_was_changed_is_refused_in_the_pages_own_words(open_console: Open) -> None:
    page, van = open_console(world.snapshot())
    van.answers[("POST", "/api/jobs/j3/approve")] = (409, refusal("piece-changed", "Not made.", CHANGED))
    page.locator(".job", has_text="Šarūnas").get_by_role("button", name="Patvirtinti").click()
    problem = page.locator(".job", has_text="Šarūnas").locator(".problem")
    expect(problem.locator(".why")).to_contain_text("Failas program.nc pakeistas po dirbinio patvirtinimo.")
    expect(problem.locator(".todo")).to_contain_text("Iki tol iš jo nieko negaminama.")
