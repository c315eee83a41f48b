# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the README's pictures: a laboratory in the middle of a visit, in Chromium. `python -m tools.screenshots`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.hardware_sim.lab.laboratory import SHAFT, SHAFT_PROGRAM, Laboratory, Options
from tests.hardware_sim.lab.people import Operator, Visitor

IMAGES = Path(__file__).parents[1] / "docs" / "images"
VISIT = {
    "school": "Kretingos Jurgio Pabrėžos gimnazija",
    "municipality": "Kretingos r.",
    "date": "2026-11-23",
    "group": "8a",
    "expected": 25,
    "language": "lt",
}


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


async def _begin(operator: Operator) -> None:
    jobs = (await operator.get("/api/snapshot"))["jobs"]
    for job in jobs[:2]:
        await operator.post(f"/api/jobs/{job['id']}/approve")
    await operator.post(f"/api/jobs/{jobs[0]['id']}/start", {"area_clear": True})


async def take() -> None:
    """Write kiosk.png, console.png, lathe.png and office.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Laboratory(Options(Path(folder), speed=2)) as lab, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            async with Operator(lab.console_url) as operator:
                await operator.login(lab.pin)
                await _prepare(lab, operator)
                await _lathe(browser, lab, operator)
                await _begin(operator)
                kiosk = await _page(browser, f"{lab.kiosk_url}/?kiosk=k1", 1080, 1920)
                console = await _console(browser, lab, operator)
                office = await _page(browser, lab.office_url, 1280, 1500)
                await operator.until_machine("router", "half of the gear is cut", lambda m: (m["progress"] or 0) > 0.5)
                for name, page in (("kiosk", kiosk), ("console", console), ("office", office)):
                    await page.screenshot(path=IMAGES / f"{name}.png")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
