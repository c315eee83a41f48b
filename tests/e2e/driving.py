# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a built page in Chromium with every request and WebSocket answered by the test, as the contract says."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Request, Route, WebSocketRoute

Json = dict[str, Any]
Answer = tuple[int, Any]
DIST = Path(__file__).resolve().parents[2] / "web" / "dist"
ORIGIN = "http://van.test"
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'"
SIZES = {"desk": (1280, 800), "portrait": (1080, 1920), "phone": (390, 844)}

OVERFLOWING = """() => {
  const cut = [];
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden" || element.closest(".unseen, svg")) continue;
    const words = [...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim() !== "");
    if (!words) continue;
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0) continue;
    const start = element.textContent.trim().slice(0, 60);
    const name = `<${element.tagName.toLowerCase()} class="${element.className}"> ${start}`;
    if (element.scrollWidth > element.clientWidth + 1 && style.display !== "inline" && element.clientWidth > 0) {
      cut.push(`${name}: ${element.scrollWidth} px of words in ${element.clientWidth} px`);
    }
    const range = document.createRange();
    range.selectNodeContents(element);
    const text = range.getBoundingClientRect();
    for (let around = element; around !== null && around !== document.body; around = around.parentElement) {
      const rule = getComputedStyle(around);
      const edge = around.getBoundingClientRect();
      const scrollsX = ["auto", "scroll"].includes(rule.overflowX);
      const hidesX = rule.overflowX !== "visible" && !scrollsX;
      const hidesY = rule.overflowY === "hidden" || rule.overflowY === "clip";
      if (hidesX && (text.right > edge.right + 1.5 || text.left < edge.left - 1.5)) {
        cut.push(`${name}: cut at a side of .${around.className}`);
      }
      if (hidesY && (text.bottom > edge.bottom + 1.5 || text.top < edge.top - 1.5)) {
        cut.push(`${name}: cut at top or bottom of .${around.className}`);
      }
      if (scrollsX || ["auto", "scroll"].includes(rule.overflowY)) break;
    }
    if (text.right > innerWidth + 1.5 && !element.closest("[data-scrolls]")) {
      cut.push(`${name}: beyond the right edge of the page`);
    }
  }
  for (const key of document.querySelectorAll("button, input:not([type=file])")) {
    const box = key.getBoundingClientRect();
    if (box.width === 0 || key.closest("[data-scrolls], .unseen")) continue;
    for (let around = key.parentElement; around !== null; around = around.parentElement) {
      const edge = around.getBoundingClientRect();
      if (getComputedStyle(around).overflowX === "visible" && around !== document.body) continue;
      if (box.right > edge.right + 0.5 || box.left < edge.left - 0.5) {
        cut.push(`key "${key.textContent.trim()}" runs from ${box.left} to ${box.right} px in .${around.className}`);
      }
    }
  }
  return cut;
}"""

TARGETS = """() => [...document.querySelectorAll("button, input:not([type=file]), select, a[href], summary")]
  .filter((e) => !e.closest(".unseen") && e.getClientRects().length > 0)
  .map((e) => {
    const box = e.getBoundingClientRect();
    return { words: (e.getAttribute("aria-label") || e.textContent).trim(), width: box.width, height: box.height };
  })"""

LATE_TURNS, LATE_MS = 40, 25


@dataclass
class Van:
    """The other side of the page: answers by (method, path), and remembers what was asked."""

    page: Page
    folder: str
    socket_path: str
    hello: list[Json] = field(default_factory=list)
    answers: dict[tuple[str, str], Answer | Callable[[Request], Answer | None]] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    sockets: list[WebSocketRoute] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route("**/*", self._route)
        self.page.route_web_socket(lambda url: urlsplit(url).path == self.socket_path, self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        for message in self.hello:
            socket.send(json.dumps(message))

    def _route(self, route: Route) -> None:
        request = route.request
        path = urlsplit(request.url).path
        if not path.startswith("/api/"):
            self._file(route, path)
            return
        body = request.post_data_buffer
        is_json = body is not None and request.headers.get("content-type", "").startswith("application/json")
        self.calls.append((request.method, path, json.loads(body) if is_json and body else body))
        answer = self.answers.get((request.method, path), (404, refusal("not_found", f"There is no {path}.")))
        result = answer(request) if callable(answer) else answer
        if result is None:
            return
        status, value = result
        if status == 0:
            route.abort("connectionrefused")
            return
        if isinstance(value, bytes):
            route.fulfill(status=status, content_type="application/octet-stream", body=value)
            return
        route.fulfill(status=status, content_type="application/json", body=json.dumps(value))

    def _file(self, route: Route, path: str) -> None:
        file = DIST / self.folder / ("index.html" if path == "/" else path.lstrip("/"))
        if not file.is_file():
            route.fulfill(status=404, body="")
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = {"content-type": kind, "content-security-policy": POLICY}
        route.fulfill(status=200, headers=headers, body=file.read_bytes())

    def send(self, *messages: Json) -> None:
        """Send messages over the newest socket."""
        for message in messages:
            self.sockets[-1].send(json.dumps(message))

    def asked(self, method: str, path: str) -> list[Any]:
        """Return the bodies of the calls of `method` to `path` so far; one that is on its way is waited for."""

        def found() -> list[Any]:
            return [body for called, at, body in self.calls if (called, at) == (method, path)]

        # A page may close a sheet before its call has come out of the browser.
        for _ in range(LATE_TURNS):
            if found():
                break
            self.page.wait_for_timeout(LATE_MS)
        return found()


def refusal(code: str, what: str, why: str = "", remedy: str = "", **more: Any) -> Json:
    """Return the contract's one form of a refusal."""
    error = {"code": code, "what": what, "why": why, "remedy": remedy, "retry_after_s": None, "reasons": []}
    return {"error": {**error, **more}}


def new_page(context: BrowserContext, size: str = "desk") -> Page:
    """Open a page of one of the three sizes that takes any uncaught error as the test's failure."""
    page = context.new_page()
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.set_default_timeout(8000)
    return page


def cut_words(page: Page) -> list[str]:
    """Return the texts that are cut off or run out of their box."""
    found: list[str] = page.evaluate(OVERFLOWING)
    return found


def targets(page: Page) -> list[Json]:
    """Return the words and the size of everything that can be touched."""
    found: list[Json] = page.evaluate(TARGETS)
    return found
