# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in and out, and the accounts that an admin keeps."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from office.api.access import COOKIE, AsAdmin, Door, Visitor, digest, visitor_of
from office.api.errors import Refused
from office.api.passwords import LONGEST, new_hash
from office.errors import AccountRefused, AccountUnknown, LastAdmin, OfficeError, PasswordRefused
from office.ledger import Ledger, accounts
from office.ledger.accounts import Account, Role
from office.reports.times import iso

_log = logging.getLogger(__name__)

Name = Annotated[str, Path(min_length=1, max_length=32)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Login(_Body):
    """A name and its password."""

    name: Annotated[str, Field(max_length=100)]
    password: Annotated[str, Field(max_length=LONGEST)]


class NewPassword(_Body):
    """The password of now, and the one from now on."""

    old: Annotated[str, Field(max_length=LONGEST)]
    new: Annotated[str, Field(max_length=LONGEST)]


class Me(BaseModel):
    """Who is logged in; without an account name is null, and role says what may be done all the same."""

    name: str | None
    role: Role | None
    login_needed: bool


class AccountBody(_Body):
    """What an account is to be; a new one needs a password."""

    role: Role
    password: Annotated[str, Field(max_length=LONGEST)] | None = None


class AccountAnswer(BaseModel):
    """An account; last_login is null before the first one."""

    name: str
    role: Role
    made: str | None
    last_login: str | None


def _me(visitor: Visitor) -> Me:
    return Me(name=visitor.name, role=visitor.role, login_needed=visitor.role is None)


def _answer(account: Account) -> AccountAnswer:
    return AccountAnswer(
        name=account.name, role=account.role, made=iso(account.made_ns), last_login=iso(account.login_ns)
    )


def add_account_calls(app: FastAPI, ledger: Ledger, door: Door) -> None:
    """Add the calls to `app`."""
    _add_door(app, door)
    _add_accounts(app, ledger, door)


def _add_door(app: FastAPI, door: Door) -> None:
    @app.get("/api/me", summary="Who is logged in", tags=["accounts"])
    async def me(request: Request) -> Me:
        return _me(visitor_of(request))

    @app.post("/api/login", summary="Log in", tags=["accounts"])
    async def login(body: Login, request: Request, response: Response) -> Me:
        client = request.client.host if request.client is not None else ""
        try:
            token, visitor = await door.login(client, body.name, body.password)
        except Refused as refused:
            # Not the name: what people type there by mistake is their password.
            _log.warning("a login from %s was refused: %s", client, refused)
            raise
        response.set_cookie(
            COOKIE,
            token,
            max_age=door.session_s,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return _me(visitor)

    @app.post("/api/logout", summary="Log out", tags=["accounts"])
    async def logout(request: Request, response: Response) -> dict[str, bool]:
        await door.logout(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return {"ok": True}

    @app.put("/api/me/password", summary="Change one's own password", tags=["accounts"])
    async def change_password(body: NewPassword, request: Request) -> dict[str, bool]:
        client = request.client.host if request.client is not None else ""
        token = request.cookies.get(COOKIE, "")
        try:
            await door.change_password(client, str(visitor_of(request).name), body.old, body.new, token)
        except PasswordRefused as error:
            raise Refused(422, "value", "Your password is as it was.", str(error), "Choose another one.") from error
        return {"ok": True}


def _add_accounts(app: FastAPI, ledger: Ledger, door: Door) -> None:
    @app.get("/api/accounts", summary="All accounts", tags=["accounts"])
    async def all_accounts(_admin: AsAdmin) -> list[AccountAnswer]:
        return [_answer(account) for account in await ledger.read(accounts.accounts)]

    @app.put("/api/accounts/{name}", summary="Make an account, or change its role or password", tags=["accounts"])
    async def put_account(name: Name, body: AccountBody, request: Request, admin: AsAdmin) -> AccountAnswer:
        kept = digest(request.cookies.get(COOKIE, ""))
        try:
            password = None if body.password is None else await asyncio.to_thread(new_hash, body.password)
            made = await ledger.change(
                lambda database: accounts.put(
                    database, str(admin.name), name, body.role, password, door.now_ns(), keep=kept
                )
            )
        except (AccountRefused, LastAdmin, PasswordRefused) as error:
            raise _refused(error) from error
        return _answer(made)

    @app.delete("/api/accounts/{name}", summary="Remove an account", tags=["accounts"])
    async def delete_account(name: Name, admin: AsAdmin) -> dict[str, bool]:
        try:
            await ledger.change(lambda database: accounts.remove(database, str(admin.name), name))
        except LastAdmin as error:
            raise _refused(error) from error
        except AccountUnknown as error:
            raise Refused(404, "unknown", "Nothing was removed.", str(error), "Look at the list.") from error
        return {"ok": True}


def _refused(error: OfficeError) -> Refused:
    if isinstance(error, LastAdmin):
        return Refused(409, "last_admin", "The account was not changed.", str(error), "Make another admin first.")
    return Refused(422, "value", "The account was not changed.", str(error), "Correct the value.")
