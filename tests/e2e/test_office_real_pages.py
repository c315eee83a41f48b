# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's pages on the real office, fed by a real van: a visit is counted, corrected, and looked after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.conftest import CHROMIUM
from tests.e2e.driving import DIST
from tests.hardware_sim.lab.laboratory import Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor

pytestmark = [
    pytest.mark.skipif(not (DIST / "office" / "index.html").is_file(), reason="the pages are not built"),
    pytest.mark.timeout(240),
]

WAIT_MS = 60_000
SCHOOL = "Kretingos Jurgio Pabrėžos gimnazija"
VISIT = {
    "school": SCHOOL,
    "municipality": "Kretingos r.",
    "date": "2026-11-23",
    "group": "8a",
    "expected": 25,
    "language": "lt",
    "school_type": "gymnasium",
}
PARTS = ("overview", "where", "learning", "machines", "vans", "visits", "evidence", "access")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await chromium.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
        opened = await context.new_page()
        opened.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        await opened.add_init_script("localStorage.setItem('infomobil.office.language', 'en')")
        yield opened
        expect.set_options(timeout=5_000)
        await chromium.close()


async def count(lab: Laboratory, operator: Operator) -> None:
    """Open a visit, count it, close it, and correct it afterwards; one visitor answers before."""
    await operator.login(lab.pin)
    visit = await operator.post("/api/visits", VISIT)
    for role, number in (("pupil", 26), ("teacher", 2)):
        entry = {"entry": str(uuid4()), "group": "8a", "role": role, "count": number}
        await operator.post(f"/api/visits/{visit['id']}/headcounts", entry)
    async with Visitor(lab.kiosk_url, "k1") as visitor:
        await visitor.check_in()
        answers = {"band": "13_up", "language": "lt", "interest": 4, "confidence": 3, "career": 2}
        body = {"kiosk": "k1", "answer": str(uuid4()), "card": "482913", "moment": "before", **answers}
        assert (await visitor.client.post("/api/kiosk/survey", json=body)).status_code == 201
    await operator.post(f"/api/visits/{visit['id']}/close")
    recent = await operator.get("/api/visits/recent")
    assert [one["id"] for one in recent] == [visit["id"]]
    correction = {
        "entry": str(uuid4()),
        "group": "8a",
        "role": "pupil",
        "count": -1,
        "reason": "Suskaičiuota du kartus",
    }
    await operator.post(f"/api/visits/{visit['id']}/corrections", correction)


async def test_from_the_login_to_a_correction_in_the_audit(tmp_path: Path, page: Page) -> None:
    refused: list[str] = []
    page.on("pageerror", lambda error: refused.append(str(error)))
    page.on("response", lambda answer: refused.append(answer.url) if answer.status in (404, 422, 500) else None)
    async with Laboratory(Options(tmp_path, with_lathe=False)) as lab, Operator(lab.console_url) as operator:
        await lab.make_office_account("rasa")
        await count(lab, operator)
        await page.goto(lab.office_url)
        for password in ("not this one", lab.office_password):
            await page.get_by_label("Name").fill("rasa")
            await page.get_by_label("Password").fill(password)
            await page.wait_for_timeout(1_100 if password == lab.office_password else 0)
            await page.get_by_role("button", name="Log in").click()
            if password != lab.office_password:
                await expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
        await expect(page.locator(".number")).to_have_text("27")
        for part in PARTS:
            await page.goto(f"{lab.office_url}/#/{part}")
            await expect(page.locator("main")).to_have_attribute("data-part", part)
            await expect(page.locator("main [role=status].note")).to_have_count(0)
            await expect(page.locator(".failure")).to_have_count(0)
        await page.mouse.move(0, 0)
        await page.goto(f"{lab.office_url}/#/where")
        await expect(page.locator(".tile")).to_have_count(60)
        await expect(page.locator(".shown")).to_contain_text("Kretingos")
        await page.goto(f"{lab.office_url}/#/visits")
        await page.get_by_role("link", name=SCHOOL).click()
        await expect(page.locator("tbody tr").last).to_contain_text("Suskaičiuota du kartus")
        await expect(page.locator("tbody tr").last.locator("s")).to_have_text("26")
        await page.get_by_role("button", name="Correct a figure").click()
        await page.get_by_role("button", name="One more").click()
        await page.get_by_label("Reason (needed)").fill("Klasės žurnalas")
        await page.get_by_role("button", name="Write the correction").click()
        await expect(page.locator("tbody tr").last.locator("b")).to_have_text("26")
        await expect(page.locator("tbody tr").last).to_contain_text("rasa")
        await page.get_by_role("link", name="Evidence").click()
        audit = page.locator("section", has=page.locator("#audit-title"))
        await expect(audit).to_contain_text("8a · Pupils: +1")
        assert refused == []
        await page.locator("input[type=file]").set_input_files(
            {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 not a stick"}
        )
        await expect(page.get_by_role("alert")).to_contain_text("photo.jpg was not taken in.")
        await page.get_by_role("link", name="Overview").click()
        await expect(page.locator(".number")).to_have_text("28")
        await lab.office.stop()
        await page.get_by_role("link", name="Machines").click()
        await expect(page.locator(".failure").first).to_contain_text("The office's service does not answer")
