# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before every answer: headers, the names we answer to, and a password where one is set."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from office.api.errors import refusal

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0

CLOSED = "The dashboard stays closed."

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class SecurityHeaders:
    """Adds HEADERS to every answer, and keeps the figures out of caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith("/api/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


class HostGate:
    """Answers to its own names only: a page of somewhere else must not reach it by a name that points here."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            host = re.sub(r":\d+$", "", Headers(scope=scope).get("host", "")).strip("[]").lower()
            if host not in self._hosts:
                why = "The address names a computer that this is not."
                answer = refusal(400, "host", CLOSED, why, "Use the office's own address, or add it to http.hosts.")
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Password:
    """One password for the dashboard. The file holds it plainly or as an argon2 hash; wrong ones cost growing time."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept = file.read_text(encoding="utf-8").strip()
        if not self._kept:
            raise ValueError(f"{file} holds no password")
        self._clock = clock
        self._good: bytes | None = None
        self._wrong: dict[str, tuple[int, float]] = {}

    def wait_s(self, client: str) -> float:
        """Return for how many more seconds nothing from `client` is looked at."""
        _, until = self._wrong.get(client, (0, 0.0))
        return max(0.0, until - self._clock())

    def check(self, client: str, password: str) -> bool:
        """Return whether `password` is the one; a wrong one doubles how long `client` waits."""
        if self._matches(password):
            self._wrong.pop(client, None)
            return True
        times, _ = self._wrong.pop(client, (0, 0.0))
        if len(self._wrong) >= 10_000:
            self._wrong.pop(next(iter(self._wrong)))
        delay = min(FIRST_DELAY_S * 2.0 ** min(times, 20), LONGEST_DELAY_S)
        self._wrong[client] = (times + 1, self._clock() + delay)
        return False

    def _matches(self, password: str) -> bool:
        # Argon2 is slow on purpose: a password that was right once is known by a fast digest until we end.
        digest = hashlib.sha256(password.encode()).digest()
        if self._good is not None and hmac.compare_digest(digest, self._good):
            return True
        if self._kept.startswith("$argon2"):
            try:
                PasswordHasher().verify(self._kept, password)
            except (VerificationError, InvalidHashError):
                return False
        elif not hmac.compare_digest(password.encode(), self._kept.encode()):
            return False
        self._good = digest
        return True


class PasswordGate:
    """Asks for the password by HTTP Basic, whatever the user's name."""

    def __init__(self, app: ASGIApp, password: Password) -> None:
        self._app = app
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else ""
        wait_s = self._password.wait_s(client)
        if wait_s > 0:
            answer = refusal(
                429,
                "too_often",
                "The dashboard stays closed.",
                "The password was wrong.",
                "Wait, then try again.",
                wait_s,
            )
            await answer(scope, receive, send)
            return
        given = _basic(Headers(scope=scope).get("authorization", ""))
        if given is not None and self._password.check(client, given):
            await self._app(scope, receive, send)
            return
        why = "No password was given." if given is None else "The password is wrong."
        answer = refusal(401, "login", CLOSED, why, "Give the office's password.")
        answer.headers["WWW-Authenticate"] = 'Basic realm="InfoMobil office", charset="UTF-8"'
        await answer(scope, receive, send)


def _basic(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None
