# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document describes every call, and what it says is so."""

import re

import httpx
import jsonschema
import pytest

from office.api import create_app
from office.api.access import Door, Visitor
from office.api.descriptions import ADMIN, OPEN, examples
from office.config import OfficeSettings
from office.ledger import Ledger
from office.ledger.accounts import ROLES
from tests.integration.test_office_api import filled  # noqa: F401 - a fixture
from tests.support import facts
from tests.support.office import Sender, watched

pytest_plugins = ("tests.support.office_fixtures",)


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'office.sqlite3'}"


@pytest.fixture
async def site(ledger):
    app = create_app(OfficeSettings(), ledger, lambda: True, None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield http


@pytest.fixture
async def document(site):
    return (await site.get("/api/openapi.json")).json()


def operations(document):
    return [(path, method, call) for path, calls in document["paths"].items() for method, call in calls.items()]


def told(document, schema):
    """Return whether a schema says what an answer holds."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return all(told(document, one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return told(document, schema["items"])
    return bool(schema.get("properties")) or schema.get("type") in ("string", "boolean", "null", "integer")


async def test_every_call_is_described(document):
    calls = operations(document)
    assert len(calls) >= 31
    for path, method, call in calls:
        name = f"{method} {path}"
        # FastAPI makes a summary of a function's name where there is none: ours are words of a person.
        assert re.fullmatch(r"[A-Z][^.]{3,100}", call["summary"]), name
        assert call["summary"] != call["operationId"].partition("_api_")[0].replace("_", " ").title(), name
        (good,) = (answer for code, answer in call["responses"].items() if code.startswith("2"))
        assert good["description"] != "Successful Response", name
        (content,) = good["content"].values()
        plain = content.get("schema", {}).get("additionalProperties") == {"type": "boolean"}
        assert "example" in content or plain or told(document, content["schema"]), name
        assert {"503"} <= set(call["responses"]), name
        for code, answer in call["responses"].items():
            if code[0] in "45":
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Refusal"}, (name, code)


async def test_it_says_who_may_call_what(document):
    for path, method, call in operations(document):
        header = [item["name"] for item in call.get("parameters", []) if item["in"] == "header"]
        assert header == ([] if method == "get" else ["X-InfoMobil"]), path
        assert ("security" not in call) == (path in OPEN), path
        assert "Needs" in call["description"], path
    assert set(ADMIN) | set(OPEN) | set(examples()) <= set(document["paths"])


@pytest.mark.parametrize("role", [None, "viewer", "office"])
async def test_what_it_says_of_the_roles_is_so(document, ledger, monkeypatch, role):
    async def visitor(_door, _scope):
        return Visitor("ann" if role else None, role)

    monkeypatch.setattr(Door, "visitor", visitor)
    app = create_app(OfficeSettings(), ledger, lambda: True, None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        for path, method, call in operations(document):
            if path in OPEN:
                continue
            (needed,) = re.findall(r"Needs the role (\w+)", call["description"])
            headers = {"X-InfoMobil": "1"}
            answer = await http.request(method, re.sub(r"{\w+}", "1", path), headers=headers)
            if role is None:
                assert answer.status_code == 401, path
            elif ROLES.index(needed) > ROLES.index(role):
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "role"), path
            else:
                assert answer.status_code not in (401, 403), path


async def test_a_refusal_is_as_described(document, site):
    schema = document["components"]["schemas"]["Refusal"]
    for answer in (
        await site.get("/api/visits?limit=0"),
        await site.get("/api/accounts"),
        await site.post("/api/login", json={}),
        await site.get("/api/nothing"),
    ):
        assert answer.status_code >= 400
        jsonschema.validate(answer.json(), schema)


def shape(value):
    """Return the keys of objects, through lists, and the kinds of plain values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


FREE = {"jobs", "health"}
"""Objects whose keys are data."""


def fits(example, answer, where):
    if isinstance(example, dict) and isinstance(answer, dict):
        if where.rpartition(".")[2] in FREE:
            return
        optional = {"explained"}
        assert set(example) - optional == set(answer) - optional, where
        for key in set(example) & set(answer):
            fits(example[key], answer[key], f"{where}.{key}")
    elif isinstance(example, list) and isinstance(answer, list):
        for item in answer[:3]:
            fits(example[0] if example else item, item, where)
    elif "NoneType" not in (shape(example), shape(answer)):
        assert shape(example) == shape(answer), where


async def test_examples_are_what_the_calls_answer(filled: Ledger):  # noqa: F811
    await filled.record([Sender(stream="jobs", epoch="e7").batch(watched(facts.parts(4, 9)))])
    app = create_app(OfficeSettings(), filled, lambda: True, None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        for path, example in examples().items():
            params = {"by": "municipality"} if path == "/api/breakdown" else {}
            answer = await http.get(path, params=params)
            assert answer.status_code == 200, path
            fits(example, answer.json(), path)
