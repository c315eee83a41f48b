# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket that shows something until either side has enough."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from urllib.parse import urlsplit

from fastapi import WebSocket, WebSocketDisconnect

CLOSED = (WebSocketDisconnect, RuntimeError, OSError)


def same_origin(socket: WebSocket) -> bool:
    """Return whether the page that opens the socket was served by this host; other tools send no origin."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


async def _until_closed(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def show(socket: WebSocket, sending: Coroutine[None, None, None]) -> None:
    """Run `sending` until it ends or the page goes away. What fails because the page is gone is no fault."""
    sender = asyncio.create_task(sending, name="live view")
    reader = asyncio.create_task(_until_closed(socket), name="live socket")
    try:
        await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sender.cancel()
        reader.cancel()
        results = await asyncio.gather(sender, reader, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, CLOSED):
            raise result
