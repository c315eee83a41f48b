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

    delay_s is how late everything arrives. cut_after cuts all connections once so many further bytes went up. With
    half_open a connection that was silent stays so: neither side learns of the other's end, as where a network is away
    for so long that TCP gives up.
    accepted counts connections, refused ones not.
    """

    port: int
    path: str = ""
    delay_s: float = 0.0
    cut_after: int | None = None
    half_open: bool = False
    accepted: int = 0
    endpoint: str = ""
    _server: asyncio.Server | None = None
    _listening_at: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)
    _talks: dict[Way, asyncio.Event] = field(default_factory=lambda: {"up": asyncio.Event(), "down": asyncio.Event()})

    async def start(self) -> None:
        """Listen."""
        for talks in self._talks.values():
            talks.set()
        await self._listen()

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        await self.refuse()
        self.talk()
        while self._serving:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.wait(self._serving)

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
        self._serving.add(task)
        self._writers.add(writer)
        self.accepted += 1
        try:
            await self._talks["up"].wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            pass  # the server is away: the client sees its connection end
        else:
            self._writers.add(there_writer)
            pumps = {
                asyncio.create_task(self._pump("up", reader, there_writer)),
                asyncio.create_task(self._pump("down", there_reader, writer)),
            }
            self._pumps |= pumps
            await asyncio.wait(pumps)
            self._pumps -= pumps
            self._writers.discard(there_writer)
            there_writer.close()
        finally:
            self._writers.discard(writer)
            self._serving.discard(task)
            writer.close()

    async def _pump(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._silence_ends(way)
                writer.write(data)
                await writer.drain()
                if way == "up":
                    self._count(len(data))
        await self._silence_ends(way)
        writer.close()

    async def _silence_ends(self, way: Way) -> None:
        if self.half_open and not self._talks[way].is_set():
            # For this connection it never does.
            await asyncio.get_running_loop().create_future()
        await self._talks[way].wait()

    def _count(self, sent: int) -> None:
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
