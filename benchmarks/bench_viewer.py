# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the viewer in headless Chromium, which draws by software: the first picture, and frames while it is turned.

The page is the built console with its service played; times count from the moment at which the path's data are there.
The reference is the plain way of drawing a path from any side: a 2D canvas that projects and strokes every segment in
every frame, in the same browser. The viewer draws the material besides, and coarser where it would stutter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.stats import Row, row
from tests.e2e import console_world as world
from tests.e2e.conftest import CHROMIUM
from tests.e2e.driving import ORIGIN, Van, new_page
from tests.e2e.viewer_world import long_scene, waves, with_pictures

REFERENCE = "2D canvas, every segment anew"
PATIENCE_MS = 120_000

PICTURES = """async () => {
  const there = (name) => performance.getEntriesByType("resource").find((one) => one.name.includes(name))?.responseEnd;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  document.querySelector(".sheet li button").click();
  const found = {};
  for (;;) {
    await frame();
    const stage = document.querySelector(".sheet .stage");
    if (!stage?.querySelector("canvas")) continue;
    if (found.flat === undefined) {
      await frame();
      found.flat = performance.now();
    }
    if (stage.dataset.kind === "solid") {
      await frame();
      found.solid = performance.now();
      const begin = there("/scene");
      return { flat: found.flat - begin, solid: found.solid - begin };
    }
  }
}"""

TURNED = """async (ms) => {
  const stage = document.querySelector(".sheet .stage");
  let frames = 0;
  const turn = (until) => new Promise((resolve) => {
    const step = () => {
      stage.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
      frames += 1;
      if (performance.now() < until) requestAnimationFrame(step);
      else resolve();
    };
    requestAnimationFrame(step);
  });
  await turn(performance.now() + ms);
  frames = 0;
  const begin = performance.now();
  await turn(begin + ms);
  return (frames * 1000) / (performance.now() - begin);
}"""

PLAIN = """async (ms) => {
  const answer = await fetch("api/programs/gear/scene");
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(4, true);
  const count = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length))).segments;
  const points = new Float32Array(bytes, 8 + length, 3 * (count + 1));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [780, 370];
  canvas.style.cssText = "position:fixed;inset:0;z-index:99";
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  let [frames, angle] = [0, 0];
  const begin = performance.now();
  while (performance.now() < begin + ms) {
    angle += 0.1;
    const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
    context.clearRect(0, 0, 780, 370);
    context.beginPath();
    for (let at = 0; at < points.length; at += 3) {
      const [x, y] = [points[at] - 50, points[at + 1] - 50];
      const [across, up] = [390 + 3 * (cos * x + sin * y), 185 - 2 * (cos * y - sin * x) - 2 * points[at + 2]];
      if (at === 0) context.moveTo(across, up);
      else context.lineTo(across, up);
    }
    context.stroke();
    context.getImageData(0, 0, 1, 1);
    frames += 1;
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  const rate = (frames * 1000) / (performance.now() - begin);
  canvas.remove();
  return rate;
}"""


def _opened(browser: Browser, segments: int) -> Page:
    """Return the console with the list of programs open; its first program is the long one."""
    context = browser.new_context(reduced_motion="reduce")
    page = new_page(context)
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script("localStorage.setItem('infomobil.viewer', 'solid')")
    snapshot: dict[str, Any] = copy.deepcopy(world.ready())
    van = Van(page, "console", "/api/live", hello=[{"type": "snapshot", "snapshot": snapshot}])
    with_pictures(van)
    van.answers["GET", "/api/programs/gear/scene"] = (200, long_scene(segments))
    van.answers["GET", "/api/programs/gear/stock"] = (200, waves())
    page.goto(ORIGIN)
    page.locator(".add").dispatch_event("click")
    page.locator(".sheet li").first.wait_for()
    return page


def run(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of the table."""
    spell_ms = 1_500 if quick else 5_000
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        for segments in (10_000, 100_000) if quick else (10_000, 100_000, 500_000):
            page = _opened(browser, segments)
            plain = page.evaluate(PLAIN, spell_ms)
            page.evaluate("performance.clearResourceTimings()")
            first = page.evaluate(PICTURES)
            turned = page.evaluate(TURNED, spell_ms)
            page.context.close()
            title = f"viewer, {segments:,} segments"
            yield row(f"{title}: first picture", first["flat"], "ms", REFERENCE, 1e3 / plain)
            yield row(f"{title}: first picture in space", first["solid"], "ms", REFERENCE, 1e3 / plain)
            yield row(f"{title}: frames while it is turned", turned, "1/s", REFERENCE, plain)
        browser.close()
