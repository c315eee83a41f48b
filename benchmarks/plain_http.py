# SPDX-License-Identifier: GPL-3.0-or-later
"""The cheapest HTTP client that keeps its connection: what is measured shall be the service, not the client."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self


class Unexpected(Exception):
    """An answer that makes the figure worthless."""


class PlainHttp:
    """One connection to a service on loopback; opened at the first request, and again where the service closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.cookie = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return status and content. A connection that had been closed for its idleness is opened again once."""
        fresh = self._streams is None
        try:
            return await self._exchange(method, path, body)
        except (OSError, asyncio.IncompleteReadError):
            self._close()
            if fresh:
                raise
        return await self._exchange(method, path, body)

    async def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        cookie = f"cookie: {self.cookie}\r\n" if self.cookie else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n{cookie}"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        status, headers = int(answer[9:12]), answer.lower()
        length = int(headers.partition(b"content-length:")[2].partition(b"\r\n")[0])
        for line in answer.split(b"\r\n"):
            if line.lower().startswith(b"set-cookie:"):
                self.cookie = line.split(b":", 1)[1].split(b";")[0].strip().decode()
        return status, await reader.readexactly(length)

    async def post(self, path: str, body: object = None, *, also: tuple[int, ...] = ()) -> Any:
        """Return the JSON of a POST. Raises Unexpected for a status other than 2xx and those in `also`."""
        status, content = await self.request("POST", path, body)
        if not 200 <= status < 300 and status not in also:
            raise Unexpected(f"POST {path}: {status} {content[:300]!r}")
        return json.loads(content)

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET. Raises Unexpected."""
        status, content = await self.request("GET", path)
        if status != 200:
            raise Unexpected(f"GET {path}: {status} {content[:300]!r}")
        return json.loads(content)
