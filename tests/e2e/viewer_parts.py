# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer alone on an empty page: its parts are bundled as they are, and a test tells them what a page would."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.e2e.viewer_world import long_scene, scene_of_piece, stock_of_piece

WEB = Path(__file__).resolve().parents[2] / "web"
NODE = shutil.which("node")
THERE = NODE is not None and (WEB / "node_modules" / "vite").is_dir()
ORIGIN = "http://viewer.test"
PARTS = ("camera", "colours", "erosion", "flat", "gestures", "governor", "scene", "solid", "timeline", "view.svelte")

BUILD = """
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";
const [entry, outDir] = JSON.parse(process.env.VIEWER_PARTS);
await build({
  configFile: false,
  logLevel: "error",
  publicDir: false,
  plugins: [svelte({ configFile: "./svelte.config.js" })],
  build: { outDir, emptyOutDir: false, minify: false, lib: { entry, formats: ["es"], fileName: () => "parts.js" } },
});
"""

PAGE = """<!doctype html><html data-theme="dark"><link rel="stylesheet" href="/tokens.css">
<style>body { margin: 0 } #host { position: relative; width: 400px; height: 300px; background: var(--plate) }
canvas { display: block; width: 100%; height: 100% }</style><div id="host" tabindex="0"></div></html>"""

READY = """async () => {
  window.parts = await import("/parts.js");
  const bytes = async (path) => (await fetch(path)).arrayBuffer();
  window.scene = parts.readScene(await bytes("/gear/scene"));
  window.final = parts.readRelief(await bytes("/gear/stock"));
  window.long = parts.readScene(await bytes("/long/scene"));
  window.host = document.getElementById("host");
  // The next frame, and what it has put off.
  window.frames = async (count = 2) => {
    for (let at = 0; at < count; at += 1) await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  };
  window.until = async (met) => {
    for (let at = 0; at < 1000 && !met(); at += 1) await frames(1);
    return met();
  };
  window.opened = async (kind = "flat", options = {}) => {
    localStorage.setItem("infomobil.viewer", kind);
    window.view = new parts.View({ still: () => true, ...options });
    window.close_ = view.attach(host);
    view.setScene(scene, final);
    await until(() => view.kind === kind);
    await frames();
  };
  // How many pixels of the picture have a colour, nearly.
  window.seen = (token) => {
    const style = getComputedStyle(host).getPropertyValue(token).trim();
    const wanted = [1, 3, 5].map((at) => parseInt(style.slice(at, at + 2), 16));
    const canvas = host.querySelector("canvas");
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    copy.getContext("2d").drawImage(canvas, 0, 0);
    const { data } = copy.getContext("2d").getImageData(0, 0, copy.width, copy.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (wanted.every((value, k) => Math.abs(data[at + k] - value) < 6) && data[at + 3] > 250) count += 1;
    }
    return count;
  };
}"""


def bundle(folder: Path) -> bytes:
    """Return the viewer's parts as one module that a page can import."""
    entry = folder / "parts-entry.ts"
    entry.write_text("".join(f'export * from "{WEB / "shared" / "viewer" / part}";\n' for part in PARTS))
    assert NODE is not None
    command = [NODE, "--input-type=module", "--eval", BUILD]
    told = json.dumps([str(entry), str(folder)])
    environment = {"PATH": str(Path(NODE).parent), "VIEWER_PARTS": told}
    done = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return (folder / "parts.js").read_bytes()


def open_parts(browser: Browser, module: bytes) -> tuple[BrowserContext, Page]:
    """Return a page with the parts in `parts`, a gear in `scene`, its relief in `final` and a long path in `long`."""
    files = {
        "/": ("text/html", PAGE.encode()),
        "/parts.js": ("text/javascript", module),
        "/tokens.css": ("text/css", (WEB / "shared" / "tokens.css").read_bytes()),
        "/gear/scene": ("application/octet-stream", scene_of_piece("gear")),
        "/gear/stock": ("application/octet-stream", stock_of_piece("gear", 128)),
        "/long/scene": ("application/octet-stream", long_scene(60_000)),
    }

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        kind, body = files.get(path, ("text/plain", b""))
        route.fulfill(status=200 if path in files else 404, content_type=kind, body=body)

    context = browser.new_context(viewport={"width": 640, "height": 400})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.route("**/*", answer)
    page.goto(f"{ORIGIN}/")
    page.evaluate(READY)
    return context, page
