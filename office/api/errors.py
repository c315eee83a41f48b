# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal in one form: what, why and what to do, for a person, and a code for the page."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from office.errors import LedgerUnavailable


def refusal(
    status: int, code: str, what: str, why: str, remedy: str, retry_after_s: float | None = None
) -> JSONResponse:
    """Return the answer of a refusal."""
    error: dict[str, object] = {
        "code": code,
        "what": what,
        "why": why,
        "remedy": remedy,
        "retry_after_s": retry_after_s,
        "reasons": [],
    }
    headers = {"Retry-After": str(int(retry_after_s) + 1)} if retry_after_s is not None else None
    return JSONResponse({"error": error}, status, headers)


class Refused(Exception):
    """A call is not answered: status, code, and what, why and what to do, as `refusal` takes them."""

    def __init__(
        self, status: int, code: str, what: str, why: str, remedy: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{what} {why}")
        self.answer = refusal(status, code, what, why, remedy, retry_after_s)


def unavailable(error: LedgerUnavailable) -> JSONResponse:
    """Return the answer while the ledger is away."""
    remedy = "Wait; what the vans send is kept by them until the ledger is back."
    return refusal(503, "ledger", "The figures cannot be shown now.", str(error), remedy, 5.0)


def add_handlers(app: FastAPI) -> None:
    """Let `app` answer what goes wrong in that form."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return error.answer

    @app.exception_handler(LedgerUnavailable)
    async def away(_request: Request, error: LedgerUnavailable) -> JSONResponse:
        return unavailable(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        why = f"{first['loc'][-1]}: {first['msg']}."
        return refusal(422, "value", "The question cannot be answered.", why, "Correct the value.")

    @app.exception_handler(HTTPException)
    async def other(_request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "unknown", 405: "method"}.get(error.status_code, "refused")
        what = "There is nothing at this address."
        return refusal(error.status_code, code, what, f"{error.detail}.", "Start at the dashboard's first page.")
