# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changed what: the audit, and the keys by which sticks are measured."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from office.api.access import AsAdmin
from office.ledger import Ledger, audit, keys
from office.ledger.audit import AuditRow
from office.ledger.database import Database
from office.ledger.keys import LabKey
from office.reports.times import iso

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Lab = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
LabName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class AuditAnswer(BaseModel):
    """One row; who is the name of an account, empty where the service did it itself or it was told at its computer.

    Whatever somebody else may have written into the table is shown as it is: the chain tells that it was.
    """

    at: str | None
    who: str
    what: str
    lab: str | None
    text: str
    facts: dict[str, Any]


class AuditPage(BaseModel):
    """A page, newest first; head is the SHA-256 that the chain of all rows ends with."""

    total: int
    rows: list[AuditAnswer]
    head: str


class KeyAnswer(BaseModel):
    """The Ed25519 public key of a lab since when it is taken; said is another one that it now calls its own."""

    lab: str
    key: str
    since: str | None
    said: str | None


class KeyBody(BaseModel):
    """The key to take."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def add_audit_calls(app: FastAPI, ledger: Ledger) -> None:
    """Add the calls to `app`."""

    @app.get("/api/audit", summary="Who changed what", tags=["audit"])
    async def audit_page(limit: Limit = 100, offset: Offset = 0, lab: Lab = None) -> AuditPage:
        def ask(database: Database) -> AuditPage:
            rows = [_row(row) for row in audit.page(database, limit, offset, lab)]
            return AuditPage(total=audit.count(database, lab), rows=rows, head=audit.head(database).hex())

        return await ledger.read(ask)

    @app.get("/api/keys", summary="The keys of labs", tags=["audit"])
    async def all_keys(_admin: AsAdmin) -> list[KeyAnswer]:
        return [_key(key) for key in await ledger.read(keys.keys)]

    @app.put("/api/keys/{lab}", summary="Take a key for a lab", tags=["audit"])
    async def take_key(lab: LabName, body: KeyBody, admin: AsAdmin) -> list[KeyAnswer]:
        def take(database: Database) -> list[LabKey]:
            keys.trust(database, str(admin.name), lab, body.key, time.time_ns())
            return keys.keys(database)

        return [_key(key) for key in await ledger.change(take)]


def _row(row: AuditRow) -> AuditAnswer:
    return AuditAnswer(at=iso(row.at_ns), who=row.who, what=row.what, lab=row.lab, text=row.text, facts=row.facts)


def _key(key: LabKey) -> KeyAnswer:
    return KeyAnswer(lab=key.lab, key=key.key, since=iso(key.since_ns), said=key.said or None)
