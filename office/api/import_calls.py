# SPDX-License-Identifier: GPL-3.0-or-later
"""Sticks, sent by a page: spooled to the disk first, so that none of it is in memory, then taken in."""

from __future__ import annotations

import asyncio
import tempfile
from typing import BinaryIO

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from office.api.access import AsOffice
from office.api.errors import Refused
from office.ledger import Ledger
from office.stick import BadStick, take_stick
from wire.stick import MAX_STICK

NOT_TAKEN = "The stick is not taken in."
_BODY = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


class ImportAnswer(BaseModel):
    """What a stick brought: batches on it, facts that were new, batches that were known, payloads set aside."""

    lab: str
    batches: int
    new: int
    duplicates: int
    rejected: int
    signed_by: str


def add_import_calls(app: FastAPI, ledger: Ledger, *, most_bytes: int = MAX_STICK) -> None:
    """Add the call to `app`. A body of more than most_bytes is not taken."""
    one_at_a_time = asyncio.Lock()

    @app.post("/api/import", summary="Take in a stick", tags=["sticks"], openapi_extra={"requestBody": _BODY})
    async def take(request: Request, office: AsOffice) -> ImportAnswer:
        if one_at_a_time.locked():
            why, remedy = "Another stick is being taken in at this moment.", "Wait a little, then send it again."
            raise Refused(429, "too_often", NOT_TAKEN, why, remedy, 5.0)
        async with one_at_a_time:
            with tempfile.TemporaryFile() as file:
                await _spool(request, file, most_bytes)
                try:
                    done = await take_stick(file, ledger, str(office.name))
                except BadStick as error:
                    remedy = "Copy the file from the stick again, or write it at the van again."
                    raise Refused(422, "stick", NOT_TAKEN, str(error), remedy) from error
        return ImportAnswer(
            lab=done.lab,
            batches=done.batches,
            new=done.new,
            duplicates=done.duplicates,
            rejected=done.rejected,
            signed_by=done.signed_by,
        )


async def _spool(request: Request, file: BinaryIO, most_bytes: int) -> None:
    """Write the body to `file`; raises Refused for one that is too large or breaks off."""
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most_bytes:
                why = f"It has more than {most_bytes} bytes."
                raise Refused(413, "size", NOT_TAKEN, why, "Vans write several files where one would be larger.")
            await asyncio.to_thread(file.write, piece)
    except ClientDisconnect as error:
        raise Refused(400, "body", NOT_TAKEN, "It did not come whole.", "Send it again.") from error
    except OSError as error:
        why = f"The office's disk does not take it ({error.strerror or error})."
        raise Refused(503, "disk", NOT_TAKEN, why, "Free some space at the office, then send it again.") from error
