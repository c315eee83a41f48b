# SPDX-License-Identifier: GPL-3.0-or-later
"""A link as a phone's uplink is one: a delay each way, and a rate that everything has to queue for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 1_460
"""Bytes that go out at once: what one packet of Ethernet carries of TCP."""
_BUFFER_S = 0.5
"""How much the device before the link holds: a sender beyond that is kept waiting, as by TCP."""


@asynccontextmanager
async def slow_link(port: int, *, delay_s: float, bytes_per_s: float | None = None) -> AsyncIterator[int]:
    """Forward a port of loopback to `port`, `delay_s` late each way and no faster than `bytes_per_s` each way."""
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    def deliver(writer: asyncio.StreamWriter, chunk: bytes) -> None:
        if not chunk:
            writer.close()
        elif not writer.is_closing():
            writer.write(chunk)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        free_at = loop.time()
        chunk = b"-"
        while chunk:
            with suppress(ConnectionError):
                chunk = await reader.read(_CHUNK if bytes_per_s is not None else 65_536)
            # The end of a connection queues behind what was sent before it.
            free_at = max(free_at, loop.time()) + (len(chunk) / bytes_per_s if bytes_per_s is not None else 0.0)
            loop.call_at(free_at + delay_s, deliver, writer, chunk)
            if (ahead := free_at - loop.time()) > _BUFFER_S:
                await asyncio.sleep(ahead - _BUFFER_S)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        for ends in ((reader, far_writer), (far_reader, writer)):
            tasks.add(asyncio.create_task(pump(*ends)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        # What is under way arrives, the ends of the connections too.
        await asyncio.sleep(3 * delay_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
