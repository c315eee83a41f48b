# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary answers for screens: compressed where the client takes it, and not sent twice."""

from __future__ import annotations

import asyncio
import gzip

from fastapi import Request, Response

from edge.services.scenes import Packed

MEDIA_TYPE = "application/octet-stream"


def _takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip (RFC 9110, 12.5.3)."""
    for item in accepted.split(","):
        coding, _, weight = item.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def answer(request: Request, packed: Packed) -> Response:
    """Return what answers `request`: 304 where the client has the same content already."""
    tag = f'"{packed.etag}"'
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "accept-encoding"}
    known = request.headers.get("if-none-match", "")
    if tag in (item.strip().removeprefix("W/") for item in known.split(",")):
        return Response(status_code=304, headers=headers)
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(packed.gzipped, media_type=MEDIA_TYPE, headers={**headers, "content-encoding": "gzip"})
    data = await asyncio.to_thread(gzip.decompress, packed.gzipped)
    return Response(data, media_type=MEDIA_TYPE, headers=headers)
