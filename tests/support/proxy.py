# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy in the test's process, with the faults that networks have.

A silent network loses nothing here: what was sent meanwhile, a farewell too, arrives when it talks again, as TCP's
retransmissions do. Nobody learns of the other side's end before that.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Way = Literal["up", "down"]
"""From the client to the server, and back."""

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Proxy:
    """Between clients and the server at `port` of loopback; `endpoint` is where clients connect.

    delay_s is how late everything arrives. cut_after cuts all connections once so many further bytes went up.
    accepted counts connections, refused ones not; upstream the bytes that went up.
    """

    port: int
    path: str = ""
    delay_s: float = 0.0
    cut_after: int | None = None
    accepted: int = 0
    upstream: int = 0
    endpoint: str = ""
    _server: asyncio.Server | None = None
    _listening_at: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _talks: dict[Way, asyncio.Event] = field(default_factory=lambda: {"up": asyncio.Event(), "down": asyncio.Event()})

    @property
    def open(self) -> int:
        """How many connections of clients there are."""
        return len(self._tasks)

    async def start(self) -> None:
        """Listen."""
        for talks in self._talks.values():
            talks.set()
        await self._listen()

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self, *ways: Way) -> None:
        """Forward nothing, or nothing in the ways named; connections are accepted and stay open."""
        for way in ways or self._talks:
            self._talks[way].clear()

    def talk(self) -> None:
        """Forward everything again, what has waited first."""
        for talks in self._talks.values():
            talks.set()

    def cut(self) -> None:
        """Reset every connection, both ways (RST)."""
        for writer in list(self._writers):
            connection = writer.get_extra_info("socket")
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def refuse(self) -> None:
        """Cut, and listen no more: connections are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def accept(self) -> None:
        """Listen again at the same port."""
        if self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._listening_at)
        self._listening_at = self._server.sockets[0].getsockname()[1]
        self.endpoint = f"opc.tcp://127.0.0.1:{self._listening_at}{self.path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        try:
            await self._talks["up"].wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
            self._writers.add(there_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump("up", reader, there_writer))
                    group.create_task(self._pump("down", there_reader, writer))
            finally:
                self._writers.discard(there_writer)
                there_writer.close()
        except* OSError:
            pass  # one side is away: the other sees its connection end
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._talks[way].wait()
                writer.write(data)
                await writer.drain()
                if way == "up":
                    self._count(len(data))
        finally:
            await self._talks[way].wait()
            writer.close()

    def _count(self, sent: int) -> None:
        self.upstream += sent
        if self.cut_after is not None:
            self.cut_after -= sent
            if self.cut_after <= 0:
                self.cut_after = None
                self.cut()


@asynccontextmanager
async def proxied(endpoint: str) -> AsyncIterator[Proxy]:
    """Run a proxy before the server of an OPC UA endpoint."""
    parts = urlsplit(endpoint)
    assert parts.port is not None
    proxy = Proxy(parts.port, parts.path)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
