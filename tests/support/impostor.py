# SPDX-License-Identifier: GPL-3.0-or-later
"""Something on a loopback port that is not what the client hopes for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    """Serve on loopback and yield the port. Every connection has ended, not only begun to, when the block is left."""
    writers: list[asyncio.StreamWriter] = []
    handlers: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        handlers.append(task)
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # A connection that is being accepted when a server closes is lost, and its socket with it (CPython issue
        # 109564): so nothing more is accepted first, and the server closes last.
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        ended = 0
        while await _new_ones(writers, ended):
            for writer in writers[ended:]:
                ended += 1
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
        await asyncio.gather(*handlers, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def _new_ones(writers: list[asyncio.StreamWriter], known: int) -> bool:
    """Return whether there are more than `known`, after what was being accepted has had its turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    return len(writers) > known
