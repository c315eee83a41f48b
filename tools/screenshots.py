# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the README's pictures: a laboratory in the middle of a visit, in Chromium. `python -m tools.screenshots`.

Everything on them went the whole way: an autumn of visits is counted at the console, acknowledged by the office over
the broker, and read from there.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.hardware_sim.lab.laboratory import SHAFT, SHAFT_PROGRAM, Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor

ACCOUNT = "rasa"
PARTS = {"overview": 1530, "where": 1500, "vans": 550, "evidence": 1290}
"""The office's parts, and how high a picture of each is, in pixels."""
IMAGES = Path(__file__).parents[1] / "docs" / "images"
VISIT = {
    "school": "Kretingos Jurgio Pabrėžos gimnazija",
    "municipality": "Kretingos r.",
    "date": "2026-11-23",
    "group": "8a",
    "expected": 25,
    "language": "lt",
}


AUTUMN = (
    ("2026-09-03", "Klaipėdos Vytauto Didžiojo gimnazija", "Klaipėdos m.", 52),
    ("2026-09-08", "Palangos senoji gimnazija", "Palangos m.", 31),
    ("2026-09-10", "Skuodo Pranciškaus Žadeikio gimnazija", "Skuodo r.", 27),
    ("2026-09-15", "Plungės Saulės gimnazija", "Plungės r.", 44),
    ("2026-09-17", "Telšių Žemaitės gimnazija", "Telšių r.", 38),
    ("2026-09-22", "Mažeikių Gabijos gimnazija", "Mažeikių r.", 49),
    ("2026-09-24", "Rietavo Lauryno Ivinskio gimnazija", "Rietavo sav.", 22),
    ("2026-09-29", "Šilutės pirmoji gimnazija", "Šilutės r.", 41),
    ("2026-10-01", "Tauragės Versmės gimnazija", "Tauragės r.", 36),
    ("2026-10-06", "Šiaulių Juliaus Janonio gimnazija", "Šiaulių m.", 75),
    ("2026-10-08", "Radviliškio Lizdeikos gimnazija", "Radviliškio r.", 29),
    ("2026-10-13", "Panevėžio Juozo Balčikonio gimnazija", "Panevėžio m.", 81),
    ("2026-10-15", "Biržų Saulės gimnazija", "Biržų r.", 26),
    ("2026-10-20", "Kėdainių šviesioji gimnazija", "Kėdainių r.", 34),
    ("2026-10-22", "Kauno Jono Jablonskio gimnazija", "Kauno m.", 96),
    ("2026-10-27", "Marijampolės Sūduvos gimnazija", "Marijampolės sav.", 58),
    ("2026-11-05", "Alytaus Putinų gimnazija", "Alytaus m.", 47),
    ("2026-11-10", "Druskininkų Ryto gimnazija", "Druskininkų sav.", 28),
    ("2026-11-12", "Utenos Adolfo Šapokos gimnazija", "Utenos r.", 33),
    ("2026-11-17", "Vilniaus Žemynos gimnazija", "Vilniaus m.", 88),
)
"""Visits before today's: school day, school, municipality, pupils."""

GEAR = "Krumpliaratis"
RESTS_MS = 2_000
IN_SPACE = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""What lets Chromium draw in space without a graphics card."""

FLANGES = (("FLANSAS_DN50.MPF", 2_400), ("IVORE_D40_VIDUS.MPF", 600), ("FLANSAS_DN80.MPF", 3_100))
"""Programs that the lab keeps for the lathe: the name, and how many times the shaft's lines are in it."""


async def _page(browser: Browser, url: str, width: int, height: int) -> Page:
    context = await browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    await page.goto(url)
    return page


async def _console(browser: Browser, lab: Laboratory, operator: Operator) -> Page:
    """Open the console for the operator who is logged in."""
    page = await _page(browser, lab.console_url, 1280, 800)
    cookies = operator.client.cookies.items()
    await page.context.add_cookies([{"name": key, "value": value, "url": lab.console_url} for key, value in cookies])
    await page.reload()
    return page


async def _lathe(browser: Browser, lab: Laboratory, operator: Operator) -> None:
    """Picture the sheet that loads programs into the lathe, which has one of them already; then let it go on."""
    for name, times in FLANGES:
        await operator.client.put(f"/api/machines/lathe/files/{name}", content=SHAFT_PROGRAM * times)
    lab.tell_lathe("stop")
    await operator.until_machine("lathe", "the lathe stands", lambda m: not m["refusals"]["load"])
    await operator.post("/api/machines/lathe/load", {"file": SHAFT})
    await operator.until_machine("lathe", "the load ends", lambda m: m["transfer"]["step"] == "LOADED")
    page = await _console(browser, lab, operator)
    await page.locator(".left .card").nth(1).click()
    await page.locator(".commands .load").click()
    await page.get_by_role("radio").first.click()
    await page.screenshot(path=IMAGES / "lathe.png", animations="disabled")
    lab.tell_lathe("start")
    await operator.until_machine("lathe", "the lathe goes on", lambda m: m["execution"] == "ACTIVE")


async def _program(browser: Browser, lab: Laboratory, operator: Operator) -> None:
    """Picture the sheet of a program: the gear as it is half cut, in space, beside what its check says."""
    page = await _console(browser, lab, operator)
    await page.locator(".add").click()
    await page.locator(".sheet li", has_text=GEAR).locator("button").first.click()
    await page.locator(".sheet .stage[data-kind=solid]").wait_for()
    half = (
        "(slider) => { slider.value = slider.max * 0.55; slider.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    await page.locator(".sheet input[type=range]").evaluate(half)
    # The moment is cut, and drawn finely once the picture rests.
    await page.wait_for_timeout(RESTS_MS)
    await page.screenshot(path=IMAGES / "program.png", animations="disabled")


async def _prepare(lab: Laboratory, operator: Operator) -> None:
    visit = await operator.post("/api/visits", VISIT)
    await operator.post(f"/api/visits/{visit['id']}/bell", {"in_minutes": 38})
    for number, (role, count) in enumerate((("pupil", 24), ("teacher", 2))):
        entry = f"00000000-0000-4000-8000-{number:012d}"
        body = {"entry": entry, "group": "8a", "role": role, "count": count}
        await operator.post(f"/api/visits/{visit['id']}/headcounts", body)
    for number, piece in enumerate(("gear", "bolt", "name-tag", "gear")):
        async with Visitor(lab.kiosk_url, f"k{number % 3 + 1}") as visitor:
            await visitor.check_in()
            await visitor.wish(piece, 60)
    await operator.ready_router()


async def _autumn(operator: Operator) -> None:
    """Count the visits before today's, and correct one of them."""
    for number, (day, school, municipality, pupils) in enumerate(AUTUMN):
        body = {**VISIT, "school": school, "municipality": municipality, "date": day, "expected": pupils}
        visit = await operator.post("/api/visits", {**body, "school_type": "gymnasium"})
        for role, count in (("pupil", pupils), ("teacher", 2 + pupils // 30), ("trainee", 1 - number % 2)):
            if count > 0:
                entry = {"entry": str(uuid.uuid4()), "group": "8a", "role": role, "count": count}
                await operator.post(f"/api/visits/{visit['id']}/headcounts", entry)
        await operator.post(f"/api/visits/{visit['id']}/close")
    correction = {"entry": str(uuid.uuid4()), "group": "8a", "role": "pupil", "count": -1, "reason": "Klasės žurnalas"}
    await operator.post(f"/api/visits/{visit['id']}/corrections", correction)


async def _office(browser: Browser, lab: Laboratory) -> None:
    """Picture the office's login, then its parts for who is logged in."""
    page = await _page(browser, lab.office_url, 1280, 800)
    await page.evaluate("localStorage.setItem('infomobil.office.language', 'lt')")
    await page.reload()
    await page.get_by_label("Vardas").fill(ACCOUNT)
    await page.get_by_label("Slaptažodis").fill(lab.office_password)
    await page.screenshot(path=IMAGES / "office-login.png", animations="disabled")
    await page.get_by_role("button", name="Prisijungti").click()
    await page.locator(".number").wait_for()
    for part, height in PARTS.items():
        await page.set_viewport_size({"width": 1280, "height": height})
        await page.goto(f"{lab.office_url}/#/{part}")
        await page.wait_for_load_state("networkidle")
        await page.mouse.move(0, 0)
        name = "office" if part == "overview" else f"office-{part}"
        await page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


async def _survey(browser: Browser, lab: Laboratory) -> None:
    """Picture the first question before the work, for a visitor who has said how old they are."""
    page = await _page(browser, f"{lab.kiosk_url}/?kiosk=k3", 1080, 1920)
    await page.locator(".wake").click()
    for words in ("Lietuvių", "Aš čia", "13 ar daugiau"):
        await page.get_by_role("main").get_by_role("button", name=words, exact=True).click()
    await page.locator(".words button").first.wait_for()
    await page.screenshot(path=IMAGES / "survey.png", animations="disabled")


async def _begin(operator: Operator) -> None:
    jobs = (await operator.get("/api/snapshot"))["jobs"]
    for job in jobs[:2]:
        await operator.post(f"/api/jobs/{job['id']}/approve")
    await operator.post(f"/api/jobs/{jobs[0]['id']}/start", {"area_clear": True})


async def take() -> None:
    """Write the pictures of kiosk, console and office."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Laboratory(Options(Path(folder), speed=2)) as lab, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(IN_SPACE))
            async with Operator(lab.console_url) as operator:
                await operator.login(lab.pin)
                await lab.make_office_account(ACCOUNT)
                await _autumn(operator)
                await _prepare(lab, operator)
                await _lathe(browser, lab, operator)
                await _program(browser, lab, operator)
                await _begin(operator)
                kiosk = await _page(browser, f"{lab.kiosk_url}/?kiosk=k1", 1080, 1920)
                console = await _console(browser, lab, operator)
                await operator.until_machine("router", "half of the gear is cut", lambda m: (m["progress"] or 0) > 0.5)
                for name, page in (("kiosk", kiosk), ("console", console)):
                    await page.screenshot(path=IMAGES / f"{name}.png")
                await _survey(browser, lab)
                await _office(browser, lab)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
