# SPDX-License-Identifier: GPL-3.0-or-later
"""What the OpenAPI document tells beyond the signatures: examples, refusals, and who may call what.

A call whose answer has a model is described by that; the others have an example in examples.json, and a test holds it
against what the call really answers.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from office.api.access import COOKIE, HEADER, OWN

ADMIN = ("/api/accounts", "/api/accounts/{name}", "/api/keys", "/api/keys/{lab}")
OPEN = ("/api/me", "/api/login", "/api/logout")
ABOUT = (
    "The figures of the mobile laboratories, and what the office's staff may do. Log in at /api/login: its cookie is"
    f" the session. A change also needs the header {HEADER}: 1. Without any account the figures can be read on the"
    " office's own computer, and nothing can be changed."
)
_FILES = {
    "/api/report.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "/api/report.pdf": "application/pdf",
    "/api/export/visits.csv": "text/csv",
    "/api/export/jobs.csv": "text/csv",
    "/metrics": "text/plain",
}
_REFUSAL = {
    "type": "object",
    "description": "Every refusal in one form: what, why and what to do, for a person, and a code for the page.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "what": {"type": "string"},
                "why": {"type": "string"},
                "remedy": {"type": "string"},
                "retry_after_s": {"type": ["number", "null"], "description": "How long to wait, in seconds."},
                "reasons": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["code", "what", "why", "remedy", "retry_after_s", "reasons"],
        }
    },
    "required": ["error"],
}


@cache
def examples() -> dict[str, Any]:
    """Return an example of an answer for each path whose call has no model."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
    return found


def describe(app: FastAPI) -> None:
    """Let `app` describe itself whole; to be called when it has all its calls."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate())
        return dict(app.openapi_schema or {})

    app.openapi = described  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    document["info"]["description"] = ABOUT
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {})["Refusal"] = _REFUSAL
    parts["securitySchemes"] = {"session": {"type": "apiKey", "in": "cookie", "name": COOKIE}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _answers(path, operation)
            _access(path, method, operation)


def _answers(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for code, response in responses.items():
        if code.startswith("2"):
            response["description"] = f"{operation['summary']}."
            if path in _FILES:
                response["content"] = {_FILES[path]: {"schema": {"type": "string", "format": "binary"}}}
            elif path in examples():
                response["content"]["application/json"]["example"] = examples()[path]
    refused = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}}
    responses.pop("422", None)
    if operation.get("parameters") or "requestBody" in operation:
        responses["422"] = {"description": "A value cannot be.", **refused}
    responses["503"] = {"description": "The ledger is away.", **refused}
    if path == "/api/login":
        responses["401"] = {"description": "The name or the password is wrong.", **refused}
        responses["429"] = {"description": "Too many wrong passwords: wait.", **refused}
    elif path not in OPEN:
        responses["401"] = {"description": "Nobody is logged in.", **refused}
        responses["403"] = {"description": "The account may not do this.", **refused}


def _access(path: str, method: str, operation: dict[str, Any]) -> None:
    role = "admin" if path in ADMIN else "viewer" if method == "get" or path in OWN else "office"
    if path in OPEN:
        needed = "Needs no login."
    else:
        needed = f"Needs the role {role}."
        operation["security"] = [{"session": []}]
    operation["description"] = " ".join(filter(None, (operation.get("description", "").strip(), needed)))
    if method != "get":
        mark = {"name": HEADER, "in": "header", "required": True, "schema": {"type": "string", "const": "1"}}
        operation["parameters"] = [*operation.get("parameters", []), mark]
