# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal in one form: what, why, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from edge.domain import errors
from edge.safety.permissives import Refusal
from edge.services.hand import MotionStopped

STATUS: dict[type[errors.InfoMobilError], tuple[int, str, str]] = {
    errors.NotFound: (404, "not-found", "Reload the page."),
    errors.NoOpenVisit: (409, "no-visit", "Open a visit first."),
    errors.VisitAlreadyOpen: (409, "visit-open", "Close it first."),
    errors.JobTransitionRefused: (409, "job-state", "Look at the queue again."),
    errors.ProgramRejected: (422, "program", "Correct the program or choose another one."),
    errors.StoreUnavailable: (503, "disk", "Nothing was counted. Try again; if it stays, free some space on the disk."),
    errors.StopNotDelivered: (503, "stop-not-delivered", "Use the hard-wired stop at the machine."),
    errors.DriverUnavailable: (
        503,
        "machine-away",
        "Check that the machine is switched on and its cable is plugged in.",
    ),
    errors.DriverRefused: (409, "machine-refused", "Look at the machine's message."),
    errors.ProgramFailed: (409, "program-failed", "Look at the machine, then press Reset."),
    errors.ProbeFailed: (
        409,
        "probe-failed",
        "Bring the tool nearer to what it shall touch, and check the probe's wire.",
    ),
    errors.ProgramInterrupted: (409, "program-interrupted", "Look at the machine, then go on from the journal."),
    errors.TransferFailed: (409, "transfer-failed", "Look at the machine and its cable, then load it again."),
    MotionStopped: (409, "motion-stopped", "Look at the machine before you go on."),
    errors.ProgramAborted: (409, "program-stopped", "Look at the machine before you go on."),
}


def body(
    code: str, what: str, why: str, remedy: str, *, retry_after_s: float | None = None, reasons: Sequence[object] = ()
) -> dict[str, Any]:
    """Return the JSON of a refusal."""
    return {
        "error": {
            "code": code,
            "what": what,
            "why": why,
            "remedy": remedy,
            "retry_after_s": retry_after_s,
            "reasons": list(reasons),
        }
    }


def refusal_json(refusal: Refusal, what: str = "") -> dict[str, Any]:
    """Return the JSON of one reason."""
    return {
        "permissive": refusal.permissive,
        "what": what,
        "why": refusal.why,
        "source": refusal.source,
        "age_ms": refusal.age_ms,
        "remedy": refusal.remedy,
    }


COMMANDS = {
    "approve": "take the approval",
    "zero": "take a zero",
    "override": "take an override",
    "settings": "tell or take settings",
    "load": "take a program",
    "start_loaded": "start what was loaded",
    "second_opinion": "check the program itself",
}
"""Commands whose name is no verb."""


def _motion(error: errors.MotionRefused) -> dict[str, Any]:
    reasons, command = error.facts.get("refusals", ()), str(error.facts["command"])
    what = f"{error.facts.get('machine', error.facts['machine_id'])} does not {COMMANDS.get(command, command)}."
    if isinstance(reasons, tuple) and reasons:
        listed = [refusal_json(reason, what) for reason in reasons]
        return body(reasons[0].permissive, what, reasons[0].why, reasons[0].remedy, reasons=listed)
    return body("refused", what, str(error.facts["reasons"]), "Wait until it has ended.")


def answer(error: errors.InfoMobilError) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON that answer `error`."""
    if isinstance(error, errors.MotionRefused):
        return 409, _motion(error)
    if isinstance(error, errors.Refused):
        facts = error.facts
        return 409, body(str(facts.get("code", "refused")), str(facts["what"]), str(facts["why"]), str(facts["remedy"]))
    status, code, remedy = STATUS.get(type(error), (422, "refused", "Correct it and try again."))
    return status, body(code, "That was not done.", str(error), remedy)


def _problem(item: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"] if part != "body")
    return f"{place or 'the body'}: {item['msg']}"


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the contract's form."""

    @app.exception_handler(errors.InfoMobilError)
    async def _ours(_request: Request, error: errors.InfoMobilError) -> JSONResponse:
        status, content = answer(error)
        return JSONResponse(content, status)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        listed = error.errors()
        malformed = any(
            item["type"] in ("json_invalid", "missing") and item["loc"] == ("body",) for item in listed
        ) or any(item["type"] == "json_invalid" for item in listed)
        why = "; ".join(_problem(dict(item)) for item in listed[:3])
        code = "malformed" if malformed else "invalid"
        return JSONResponse(
            body(code, "That was not understood.", why, "Correct it and try again."), 400 if malformed else 422
        )

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.detail, dict):
            return JSONResponse(error.detail, error.status_code, headers=error.headers)
        return JSONResponse(
            body(f"http-{error.status_code}", "That was not done.", str(error.detail), "Go back and try again."),
            error.status_code,
            headers=error.headers,
        )
