# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of an MQTT 5 client as a simulated lab needs, as an asyncio protocol: thousands of them fit in one process.

Packets after the OASIS standard, MQTT Version 5.0, section 3. paho, which real labs use, takes several times the
processor time, and it is broker and office that are measured.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

KEEPALIVE_S = 600


def _length(value: int) -> bytes:
    """Return a variable byte integer (section 1.5.5)."""
    found = bytearray()
    while True:
        value, digit = divmod(value, 128)
        found.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(found)


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def _read_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Return a variable byte integer and where it ends, None where it is not whole yet."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return None


class Client(asyncio.Protocol):
    """One connection: made by `connect`, `lost` is done when it is gone. `on_message` gets topic and payload."""

    def __init__(self, on_message: Callable[[str, bytes], None]) -> None:
        self._on_message = on_message
        self._data = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._next_id = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, client_id: str, will: tuple[str, bytes] | None = None) -> None:
        """Log in with a clean start. Raises ConnectionError where the broker refuses or goes."""
        flags = 0x02
        payload = _text(client_id)
        if will is not None:
            flags |= 0x04 | 0x08 | 0x20  # will, QoS 1, retained
            payload += b"\0" + _text(will[0]) + len(will[1]).to_bytes(2, "big") + will[1]
        body = _text("MQTT") + bytes((5, flags)) + KEEPALIVE_S.to_bytes(2, "big") + b"\0" + payload
        await self._ask(_packet(0x10, body))

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1. Raises ConnectionError where the broker refuses or goes."""
        await self._ask(_packet(0x82, self._id() + b"\0" + _text(topic) + b"\1"))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; what becomes of it, the office's acknowledgement says. Raises ConnectionError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("not connected")
        self._transport.write(_packet(0x32 | retain, _text(topic) + self._id() + b"\0" + payload))

    def close(self) -> None:
        """Let the connection break."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if not self.lost.done():
            self.lost.set_result(None)
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was lost"))
            self._answer.exception()  # where nobody waits for it

    def data_received(self, data: bytes) -> None:
        """Take the packets that are whole."""
        self._data += data
        while len(self._data) >= 2:
            length = _read_length(self._data, 1)
            if length is None or len(self._data) < length[0] + length[1]:
                return
            first, body = self._data[0], bytes(self._data[length[1] : length[0] + length[1]])
            del self._data[: length[0] + length[1]]
            self._take(first, body)

    def _take(self, first: int, body: bytes) -> None:
        match first >> 4:
            case 3:
                size = int.from_bytes(body[:2], "big")
                topic, at = body[2 : 2 + size].decode(), 2 + size
                if first & 0x06:
                    assert self._transport is not None
                    self._transport.write(_packet(0x40, body[at : at + 2]))
                    at += 2
                properties = _read_length(body, at)
                assert properties is not None
                self._on_message(topic, body[properties[0] + properties[1] :])
            case 2:
                self._settle(body[1])
            case 9:
                self._settle(body[-1])
            case 14:
                self.close()

    async def _ask(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(packet)
        if (code := await self._answer) >= 0x80:
            raise ConnectionError(f"the broker refused with {code:#x}")

    def _settle(self, code: int) -> None:
        if not self._answer.done():
            self._answer.set_result(code)

    def _id(self) -> bytes:
        self._next_id = self._next_id % 65_535 + 1
        return self._next_id.to_bytes(2, "big")


async def connect(
    port: int,
    client_id: str,
    on_message: Callable[[str, bytes], None],
    will: tuple[str, bytes] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Client:
    """Return a client that the broker on loopback has accepted. Raises OSError."""
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: Client(on_message), "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        await client.open(client_id, will)
    except OSError:
        client.close()
        raise
    return client
