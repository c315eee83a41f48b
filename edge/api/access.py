# SPDX-License-Identifier: GPL-3.0-or-later
"""Login by PIN, and who is asked for it: everyone but those who hold or stop a machine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from edge.http.errors import body
from edge.services.lab import Lab
from edge.services.operators import LockedOut, WrongPin

COOKIE = "infomobil_console"


class Login(BaseModel):
    """A PIN."""

    model_config = ConfigDict(extra="forbid", strict=True)

    pin: Annotated[str, Field(min_length=1, max_length=32)]


def lab_of(connection: HTTPConnection) -> Lab:
    """Return the services behind the app."""
    lab: Lab = connection.app.state.lab
    return lab


def is_operator(connection: HTTPConnection) -> bool:
    """Return whether the request comes from a logged-in operator."""
    return lab_of(connection).desk.knows(connection.cookies.get(COOKIE))


def require_operator(connection: HTTPConnection) -> None:
    """Raise 401 for everyone else."""
    if not is_operator(connection):
        raise HTTPException(
            401, body("login", "That needs the operator.", "Nobody is logged in here.", "Enter the PIN.")
        )


Services = Annotated[Lab, Depends(lab_of)]
router = APIRouter()


@router.post("/api/login")
async def login(entered: Login, response: Response, lab: Services) -> dict[str, bool]:
    """Log in."""
    try:
        token = await lab.desk.login(entered.pin)
    except (WrongPin, LockedOut) as error:
        wait = lab.desk.retry_after_s()
        remedy = f"Wait {wait:.0f} s, then try again." if wait else "Try again."
        raise HTTPException(
            401, body("pin", "You are not logged in.", str(error), remedy, retry_after_s=round(wait, 1))
        ) from error
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
    return {"operator": True}


@router.post("/api/logout")
async def logout(request: Request, response: Response, lab: Services) -> dict[str, bool]:
    """Log out. Nothing else happens: a running job runs on."""
    lab.desk.logout(request.cookies.get(COOKIE))
    response.delete_cookie(COOKIE, path="/")
    return {"operator": False}


@router.get("/api/me")
async def me(request: Request) -> dict[str, bool]:
    """Tell whether this browser is logged in."""
    return {"operator": is_operator(request)}
