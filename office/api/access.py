# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks, and what they may: a gate before every call, and `require_role` for those that need more.

The gate is closed by default: each call under /api and the metrics need a viewer, a change needs the role office and
the header X-InfoMobil, which a form of another page cannot send. Without any account the figures can be read on this
computer only, and nothing can be changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from office.api.errors import Refused, unavailable
from office.api.passwords import Throttle, new_hash, renewed, verify
from office.config import HttpSettings
from office.errors import LedgerUnavailable
from office.ledger import Ledger, accounts
from office.ledger.accounts import ROLES, Role
from office.ledger.database import Database

COOKIE = "infomobil_office"
HEADER = "X-InfoMobil"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOUCH_NS = 60 * 10**9
"""How exactly the idle end of a session is kept: not every look at a page is worth a commit."""
MOST_WAITING = 8
"""Logins that may wait for argon2, which takes tens of megabytes for each."""

_OPEN = ("/api/me", "/api/login", "/api/logout")
OWN = ("/api/me/password",)
"""Changes that are for whoever has an account, of themselves."""
_NO_CHANGE = "Your password is as it was."
_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: name is None without an account, role is None where nothing may be seen."""

    name: str | None = None
    role: Role | None = None

    def may(self, role: Role) -> bool:
        """Return whether the visitor's role is `role` or one that includes it."""
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(role)


class Door:
    """Logins and sessions of one office. now_ns is UTC, clock is for waiting times in seconds."""

    def __init__(
        self,
        settings: HttpSettings,
        ledger: Ledger,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self.now_ns = now_ns
        self._metrics_token = _token(settings.metrics_token_file)
        self.throttle = Throttle(clock=clock)
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    @property
    def session_s(self) -> int:
        """Return how long a session lasts at most, in seconds."""
        return self._settings.session_hours * 3_600

    async def visitor(self, scope: Scope) -> Visitor:
        """Return who sent the request of `scope`; raises LedgerUnavailable."""
        headers = Headers(scope=scope)
        if scope["path"] == "/metrics" and self._is_metrics_token(headers.get("authorization", "")):
            return Visitor(None, "viewer")
        token = digest(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))
        now_ns = self.now_ns()

        def ask(database: Database) -> tuple[accounts.Session | None, bool]:
            found = accounts.session(
                database,
                token,
                now_ns - self.session_s * 10**9,
                now_ns - self._settings.session_idle_minutes * 60 * 10**9,
            )
            return found, found is not None or accounts.exist(database)

        found, any_account = await self._ledger.read(ask)
        if found is None:
            own = not any_account and self._settings.loopback and host_of(scope) in LOOPBACK
            return Visitor(None, "viewer" if own else None)
        if now_ns - found.used_ns >= TOUCH_NS:
            await self._ledger.change(lambda database: accounts.use_session(database, token, now_ns))
        return Visitor(found.name, found.role)

    async def login(self, client: str, name: str, password: str) -> tuple[str, Visitor]:
        """Return the token of a new session and whose it is; raises Refused, LedgerUnavailable."""
        async with self._turn("You are not logged in."):
            return await self._login(client, name, password)

    @asynccontextmanager
    async def _turn(self, what: str) -> AsyncIterator[None]:
        """Wait for our turn with argon2; raises Refused, which says `what`, where too many wait already."""
        if self._waiting >= MOST_WAITING:
            raise _too_often(1.0, "Many log in at this moment.", what)
        self._waiting += 1
        try:
            # One at a time: whoever guesses many at once would have them all looked at before the first is wrong.
            async with self._one_at_a_time:
                yield
        finally:
            self._waiting -= 1

    async def _login(self, client: str, name: str, password: str) -> tuple[str, Visitor]:
        wait_s = self.throttle.wait_s(client)
        if wait_s > 0:
            raise _too_often(wait_s, "The name or the password was wrong.")
        if not await self._ledger.read(accounts.exist):
            remedy = "Make one at the office's computer: infomobil-office account add NAME --role admin."
            raise Refused(401, "login", "Nobody can log in.", "There is no account yet.", remedy)
        kept = await self._ledger.read(lambda database: accounts.password_hash(database, name))
        if not await asyncio.to_thread(verify, kept, password):
            self.throttle.wrong(client)
            raise _wrong()
        self.throttle.right(client)
        token, now_ns = secrets.token_urlsafe(32), self.now_ns()
        newer = await asyncio.to_thread(renewed, str(kept), password)
        oldest_ns = now_ns - self.session_s * 10**9

        def begin(database: Database) -> accounts.Session | None:
            if newer is not None:
                accounts.new_hash(database, name, str(kept), newer)
            known = accounts.begin_session(database, name, digest(token), now_ns, oldest_ns)
            return accounts.session(database, digest(token), 0, 0) if known else None

        begun = await self._ledger.change(begin)
        if begun is None:
            raise _wrong()
        return token, Visitor(begun.name, begun.role)

    async def change_password(self, client: str, name: str, old: str, new: str, token: str) -> None:
        """Give the account `name` the password `new`, and end its sessions but that of `token`.

        Raises Refused where `old` is wrong, PasswordRefused, LedgerUnavailable.
        """
        async with self._turn(_NO_CHANGE):
            wait_s = self.throttle.wait_s(client)
            if wait_s > 0:
                raise _too_often(wait_s, "The name or the password was wrong.", _NO_CHANGE)
            kept = await self._ledger.read(lambda database: accounts.password_hash(database, name))
            if not await asyncio.to_thread(verify, kept, old):
                self.throttle.wrong(client)
                raise _wrong_old()
            self.throttle.right(client)
            made = await asyncio.to_thread(new_hash, new)

        def change(database: Database) -> bool:
            return accounts.change_password(database, name, str(kept), made, digest(token))

        if not await self._ledger.change(change):
            raise _wrong_old()

    async def logout(self, token: str) -> None:
        """End the session of `token`."""
        await self._ledger.change(lambda database: accounts.end_session(database, digest(token)))

    def _is_metrics_token(self, authorization: str) -> bool:
        kind, _, given = authorization.partition(" ")
        if self._metrics_token is None or kind.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), self._metrics_token)


class AccessGate:
    """Lets nobody in who may not: see the module."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (scope["path"] == "/metrics" or scope["path"].startswith("/api/")):
            try:
                scope.setdefault("state", {})["visitor"] = await self._admit(scope)
            except Refused as refused:
                await refused.answer(scope, receive, send)
                return
            except LedgerUnavailable as error:
                await unavailable(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Visitor:
        changes = scope["method"] not in _READING
        if changes and Headers(scope=scope).get(HEADER) != "1":
            why = f"Only a page of the office itself sends the header {HEADER}: 1."
            raise Refused(403, "header", "Nothing was changed.", why, "Use the dashboard, or send the header.")
        visitor = await self._door.visitor(scope)
        if scope["path"] in _OPEN:
            return visitor
        if visitor.role is None:
            raise Refused(401, "login", "The dashboard stays closed.", "Nobody is logged in.", "Log in.")
        if scope["path"] in OWN and visitor.name is not None:
            return visitor
        return _checked(visitor, "office" if changes else "viewer")


def visitor_of(request: Request) -> Visitor:
    """Return who sent `request`, as the gate found."""
    found: Visitor = request.state.visitor
    return found


def require_role(role: Role) -> Callable[[Request], Visitor]:
    """Return a dependency that gives the Visitor, or refuses with 403 where they may not what `role` may."""

    def check(request: Request) -> Visitor:
        return _checked(visitor_of(request), role)

    return check


AsOffice = Annotated[Visitor, Depends(require_role("office"))]
"""The parameter of a call that needs the role office: its `name` is who does it, for the audit."""
AsAdmin = Annotated[Visitor, Depends(require_role("admin"))]
"""The parameter of a call that needs the role admin."""


def digest(token: str) -> bytes:
    """Return what is kept of a session's token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def host_of(scope: Scope) -> str:
    """Return the name by which a request calls us, without its port."""
    return re.sub(r":\d+$", "", Headers(scope=scope).get("host", "")).strip("[]").lower()


def _checked(visitor: Visitor, role: Role) -> Visitor:
    if visitor.may(role) and (visitor.name is not None or role == "viewer"):
        return visitor
    what = "That is not for you to do."
    if visitor.name is None:
        remedy = "Make an account at the office's computer: infomobil-office account add NAME --role admin."
        raise Refused(403, "role", what, "Without an account nothing can be changed.", remedy)
    why = f"Account {visitor.name} has the role {visitor.role}, and {role} is needed."
    raise Refused(403, "role", what, why, "Ask an admin.")


def _wrong() -> Refused:
    return Refused(401, "login", "You are not logged in.", "The name or the password is wrong.", "Try again.")


def _wrong_old() -> Refused:
    # Not 401: the session is good, and a page would ask for a login.
    return Refused(403, "password", _NO_CHANGE, "The password of now is another one.", "Try again.")


def _too_often(wait_s: float, why: str, what: str = "You are not logged in.") -> Refused:
    return Refused(429, "too_often", what, why, "Wait, then try again.", wait_s)


def _token(file: Path | None) -> bytes | None:
    if file is None:
        return None
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < 16:
        raise ValueError(f"{file} holds no token of at least 16 characters")
    return token.encode()
