# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the README's pictures: a laboratory in the middle of a visit, in Chromium. `python -m tools.screenshots`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.hardware_sim.lab.laboratory import Laboratory, Options
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


async def _page(browser: Browser, url: str, width: int, height: int) -> Page:
    context = await browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    await page.goto(url)
    return page


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
    jobs = (await operator.get("/api/snapshot"))["jobs"]
    for job in jobs[:2]:
        await operator.post(f"/api/jobs/{job['id']}/approve")
    await operator.post(f"/api/jobs/{jobs[0]['id']}/start", {"area_clear": True})


async def take() -> None:
    """Write kiosk.png, console.png and office.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with Laboratory(Options(Path(folder), speed=2)) as lab, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            async with Operator(lab.console_url) as operator:
                await operator.login(lab.pin)
                await _prepare(lab, operator)
                kiosk = await _page(browser, f"{lab.kiosk_url}/?kiosk=k1", 1080, 1920)
                console = await _page(browser, lab.console_url, 1280, 800)
                cookies = [
                    {"name": key, "value": value, "url": lab.console_url}
                    for key, value in operator.client.cookies.items()
                ]
                await console.context.add_cookies(cookies)
                await console.reload()
                office = await _page(browser, lab.office_url, 1280, 1500)
                await operator.until_machine("router", "half of the gear is cut", lambda m: (m["progress"] or 0) > 0.5)
                for name, page in (("kiosk", kiosk), ("console", console), ("office", office)):
                    await page.screenshot(path=IMAGES / f"{name}.png")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
