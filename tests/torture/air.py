# SPDX-License-Identifier: GPL-3.0-or-later
"""The air between a lab or an office and the broker: an MQTT proxy that loses, doubles and reorders whole messages.

TCP loses nothing within a connection; brokers and proxies do, after they have acknowledged. So a lost message is one
that was acknowledged to its sender and never arrives. Presence is spared: a broker keeps it, or loses the connection.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

PUBLISH, PUBACK = 3, 4
SWAP_WAIT_S = 0.05
SPARED = "/presence"


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """Return the next whole MQTT packet; raises asyncio.IncompleteReadError at the end."""
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        digit = await reader.readexactly(1)
        head += digit
        length |= (digit[0] & 0x7F) << shift
        shift += 7
        if not digit[0] & 0x80:
            break
    return head + await reader.readexactly(length)


def _body(packet: bytes) -> int:
    """Return where the part after the remaining length begins."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    return at + 1


def kind(packet: bytes) -> int:
    """Return the packet's type."""
    return packet[0] >> 4


def message_of(packet: bytes) -> tuple[str, int] | None:
    """Return topic and packet id of a PUBLISH with QoS 1, None for anything else."""
    if kind(packet) != PUBLISH or (packet[0] >> 1) & 3 != 1:
        return None
    at = _body(packet)
    length = int.from_bytes(packet[at : at + 2], "big")
    topic = packet[at + 2 : at + 2 + length].decode("utf-8", "replace")
    return topic, int.from_bytes(packet[at + 2 + length : at + 4 + length], "big")


def _acknowledged_id(packet: bytes) -> int:
    at = _body(packet)
    return int.from_bytes(packet[at : at + 2], "big")


@dataclass
class Air:
    """Listens on loopback at `port` and hands on to the broker at `target`. Shares are probabilities per message.

    struck counts what really happened: "lost", "doubled", "reordered", "cut".
    """

    target: int
    seed: object
    loss: float = 0.0
    copies: float = 0.0
    swaps: float = 0.0
    port: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    _server: asyncio.Server | None = None
    _links: set[_Link] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(f"air {self.seed}")

    async def start(self) -> None:
        """Listen, at the same port as before where there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut(counted=False)
        while self._links:
            await asyncio.sleep(0)

    def cut(self, *, counted: bool = True) -> None:
        """End every connection at once."""
        if counted and self._links:
            self.struck["cut"] += 1
        for link in list(self._links):
            link.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        self._links.add(link)
        try:
            await link.run(reader)
        finally:
            self._links.discard(link)


class _Link:
    """One connection through the air."""

    def __init__(self, air: Air, near: asyncio.StreamWriter) -> None:
        self._air = air
        self._writers = [near]
        self._task = asyncio.current_task()

    async def run(self, reader: asyncio.StreamReader) -> None:
        try:
            there, far = await asyncio.open_connection("127.0.0.1", self._air.target)
        except OSError:
            self._writers[0].close()
            return
        self._writers.append(far)
        swallowed: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        up = asyncio.create_task(self._pump(reader, far, self._writers[0], swallowed[0], swallowed[1]))
        down = asyncio.create_task(self._pump(there, self._writers[0], far, swallowed[1], swallowed[0]))
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        self.abort()
        await asyncio.wait((up, down))

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        doubled: Counter[int],
        swallow: Counter[int],
    ) -> None:
        """Hand packets on. doubled counts acknowledgements to keep from the sender, swallow those of the other way."""
        air, held = self._air, b""
        coming = asyncio.ensure_future(read_packet(reader))
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                if not (await asyncio.wait((coming,), timeout=SWAP_WAIT_S if held else None))[0]:
                    onward.write(held)
                    held = b""
                    continue
                packet = await coming
                coming = asyncio.ensure_future(read_packet(reader))
                if kind(packet) == PUBACK and swallow[_acknowledged_id(packet)]:
                    swallow[_acknowledged_id(packet)] -= 1
                    continue
                message = message_of(packet)
                if message is not None and not message[0].endswith(SPARED):
                    mid = message[1]
                    if air.random.random() < air.loss:
                        back.write(bytes((PUBACK << 4, 2)) + mid.to_bytes(2, "big"))
                        air.struck["lost"] += 1
                        continue
                    if air.random.random() < air.copies:
                        packet += bytes((packet[0] | 0x08,)) + packet[1:]
                        doubled[mid] += 1
                        air.struck["doubled"] += 1
                    if not held and air.random.random() < air.swaps:
                        held = packet
                        continue
                    if held:
                        air.struck["reordered"] += 1
                onward.write(packet + held)
                held = b""
                await onward.drain()
        coming.cancel()
