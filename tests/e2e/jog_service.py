# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's end of `WS /api/machines/{id}/jog`, played by the test as docs/http-api.md says."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from playwright.sync_api import Page, WebSocketRoute

from tests.e2e.driving import Json


class JogService:
    """Confirms a lease and ends it; remembers every message of the page."""

    def __init__(self, page: Page, machine: str = "router") -> None:
        self.sockets: list[WebSocketRoute] = []
        self.heard: list[Json] = []
        path = f"/api/machines/{machine}/jog"
        page.route_web_socket(lambda url: urlsplit(url).path == path, self._open)

    @property
    def kinds(self) -> list[str]:
        """The types of the messages so far."""
        return [message["type"] for message in self.heard]

    @property
    def begun(self) -> list[Json]:
        """The messages that asked for motion."""
        return [message for message in self.heard if message["type"] == "begin"]

    def say(self, message: Json) -> None:
        """Send a message over the newest socket."""
        self.sockets[-1].send(json.dumps(message))

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self._hear)

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.heard.append(message)
        if message["type"] == "begin":
            self.say({"type": "jogging"})
        elif message["type"] == "end":
            self.say({"type": "ended", "reason": "released", "error": None})
