# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that hold before any handler runs, as plain ASGI: size of a body, requests under way."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.http.errors import body

DISCARDED = 64 << 20


async def _answer(send: Send, status: int, content: dict[str, object], *, close: bool = False) -> None:
    payload = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})


async def _discard(receive: Receive) -> None:
    """Read what still comes, up to a bound: a connection closed on unread bytes would lose the answer."""
    left = DISCARDED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


class BodyLimit:
    """Answers 413 to a body over `limit` bytes, by its declared length or while it arrives.

    larger has other limits by path; a `*` in it stands for any text.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: dict[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, within its limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        larger = (size for path, size in self._larger.items() if fnmatchcase(scope["path"], path))
        limit = next(larger, self._limit)
        refusal = body(
            "too-large", "That was not taken.", f"It has more than {limit} bytes.", "Send something smaller."
        )
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _discard(receive)
            await _answer(send, 413, refusal, close=True)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # Inside the app, so that its own handler answers in the form of every refusal.
                raise HTTPException(413, refusal)
            return message

        await self._app(scope, counted, send)


class InFlightLimit:
    """Answers 429 at once where more than `limit` requests are under way: nobody waits in a queue without an end."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._limit:
            await _answer(
                send,
                429,
                body("busy", "That was not taken.", "Too many requests at once.", "Try again.", retry_after_s=1.0),
            )
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


class SecurityHeaders:
    """Adds the headers that keep a page to its own origin."""

    HEADERS = (
        (
            b"content-security-policy",
            b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
            b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to the answer."""

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.HEADERS]
            await send(message)

        await self._app(scope, receive, adding)
