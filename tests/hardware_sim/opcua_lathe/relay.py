# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire between client and server, with the faults that wires have.

Clients connect here, the OPC UA server listens behind. A silent wire keeps connections open and lets nothing through,
as a pulled cable or a frozen control does; a cut wire resets its connections.
"""

from __future__ import annotations

import asyncio


class Relay:
    """Relays TCP connections of `host`:`port` to `server_port` on loopback."""

    def __init__(self, host: str, port: int) -> None:
        self.delay_s = 0.0
        self.server_port = 0
        self._host = host
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port)

    async def stop(self) -> None:
        """Stop listening and reset every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self, *, silent: bool) -> None:
        """Let nothing through, or everything again."""
        if silent:
            self._open.clear()
        else:
            self._open.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._open.wait()
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
            self._writers.add(there_writer)
            try:
                pumps = [
                    asyncio.create_task(self._pump(reader, there_writer, 0.0)),
                    asyncio.create_task(self._pump(there_reader, writer, None)),
                ]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                self._writers.discard(there_writer)
                there_writer.close()
        except OSError:
            pass  # the server behind is away: the client sees a closed connection
        except asyncio.CancelledError:
            pass  # `stop` waits for this task; asyncio's streams would report it as an error
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float | None) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay_s if delay_s is None else delay_s)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
