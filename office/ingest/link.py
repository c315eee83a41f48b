# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to the broker at a time, on the asyncio loop; lost and made again without end.

A message is acknowledged to the broker only after the ledger has it. Clean start and session expiry 0: what is lost
with a connection, the labs send again, because their outbox is the truth. Receive Maximum is asked for and not relied
upon: Mosquitto 2.0.11 sends as many again after each single PUBACK (measured: of 600 messages all came after 32).
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from office.config import BrokerSettings
from office.facts import Message
from office.ingest import tls
from office.ingest.share import ingest_filter
from office.intake import HEAD_BYTES
from wire import topics
from wire.batch import MAX_PAYLOAD

RECEIVE_MAXIMUM = 256
MAX_PACKET = 4 * MAX_PAYLOAD
"""What is larger, the broker keeps to itself; what is between this and MAX_PAYLOAD is set aside and counted."""
KEEPALIVE_S = 20
CONNECT_TIMEOUT_S = 3.0
TICK_S = 1.0

Channel = Literal["up", "presence"]
CHANNELS: tuple[Channel, ...] = ("up", "presence")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Handle:
    """What must be told the broker when a message is in the ledger: which connection, packet id, QoS."""

    session: int
    mid: int
    qos: int


class BrokerLink:
    """The office's end of the broker. `receive` is called on the loop for each message and must not block.

    channels are what it listens to: batches, which the workers share, and presence, which each who asks gets all of.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        receive: Callable[[Message, Handle], None],
        channels: Sequence[Channel] = CHANNELS,
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._receive = receive
        self._client: mqtt.Client | None = None
        self._session = 0
        self._connecting = False
        self._ingest_filter = ""
        self._ready = asyncio.Event()
        self._lost: asyncio.Future[str] | None = None
        self._secured: tls.BrokerSocket | None = None

    @property
    def connected(self) -> bool:
        """Return whether the broker has accepted us and our subscriptions."""
        return self._ready.is_set()

    async def wait_connected(self) -> None:
        """Return once the broker has accepted us and our subscriptions."""
        await self._ready.wait()

    async def run(self) -> None:
        """Stay connected until cancelled. A loss is logged once, and so is the return."""
        delay, told = self._settings.retry_first, False
        where = f"{self._settings.host}:{self._settings.port}"
        while True:
            try:
                reason = await self._connection(where)
                delay, told = self._settings.retry_first, False
            except (OSError, ValueError) as error:
                reason = str(error) or type(error).__name__
            if not told:
                _log.warning("broker %s is away (%s); trying again until it answers", where, reason)
                told = True
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(2 * delay, self._settings.retry_longest)

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 while connected; otherwise drop it, since a new connection makes every lab ask again."""
        if self._client is not None and self.connected:
            self._client.publish(topic, payload, qos=1)

    def acknowledge(self, handle: Handle) -> None:
        """Tell the broker that a message is taken, unless its connection is gone."""
        if self._client is not None and handle.session == self._session and self.connected:
            self._client.ack(handle.mid, handle.qos)

    async def _connection(self, where: str) -> str:
        """Connect, serve until the connection is lost, and return why; raises OSError where there was none."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[str] = loop.create_future()
        self._lost = lost
        self._ingest_filter = ingest_filter(self._settings)
        self._client = client = self._new_client(loop)
        self._connecting = True
        try:
            await _finished(asyncio.ensure_future(asyncio.to_thread(self._connect, client)))
            self._connecting = False
            self._watch(loop, client)
            accepted = asyncio.ensure_future(self._ready.wait())
            try:
                await asyncio.wait((accepted, lost), timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                accepted.cancel()
            if not self.connected:
                raise ConnectionRefusedError(lost.result() if lost.done() else "it does not answer")
            _log.info("broker %s answers; ingestion goes on", where)
            while not lost.done():
                await asyncio.wait({lost}, timeout=TICK_S)
                client.loop_misc()
            return lost.result()
        finally:
            self._ready.clear()
            self._session += 1
            self._client = None
            self._end(client)

    def _connect(self, client: mqtt.Client) -> None:
        options = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        options.ReceiveMaximum = RECEIVE_MAXIMUM
        options.MaximumPacketSize = MAX_PACKET
        options.SessionExpiryInterval = 0
        client.connect(self._settings.host, self._settings.port, KEEPALIVE_S, clean_start=True, properties=options)

    def _new_client(self, loop: asyncio.AbstractEventLoop) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"office-{uuid.uuid4().hex[:12]}",
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self._settings.tls:
            client.tls_set_context(tls.context(self._settings))
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, _secret(self._settings))
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = lambda _c, _u, sock: self._opened(sock)
        client.on_socket_close = lambda _c, _u, sock: _forget(loop, sock)
        client.on_socket_register_write = lambda c, _u, sock: self._write(loop, c, sock)
        client.on_socket_unregister_write = lambda _c, _u, sock: None if self._connecting else _stop(loop, sock)
        return client

    def _write(self, loop: asyncio.AbstractEventLoop, client: mqtt.Client, sock: mqtt.SocketLike) -> None:
        # While connecting we are in another thread; what waits is written once the socket is on the loop.
        if not self._connecting:
            loop.add_writer(sock, client.loop_write)

    def _watch(self, loop: asyncio.AbstractEventLoop, client: mqtt.Client) -> None:
        sock = client.socket()
        if sock is None:
            raise ConnectionResetError((self._secured and self._secured.refusal) or "the connection was lost at once")
        loop.add_reader(sock, _read, client)
        if client.want_write():
            loop.add_writer(sock, client.loop_write)

    def _end(self, client: mqtt.Client) -> None:
        """Say goodbye where that is possible, and let go of the socket in any case."""
        self._connecting = False
        sock = client.socket()
        if sock is None:
            return
        client.disconnect()
        with suppress(OSError, ValueError):
            client.loop_write()
        sock = client.socket()
        if sock is not None:
            _forget(asyncio.get_running_loop(), sock)
            sock.close()

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        code: ReasonCode,
        _options: Properties | None,
    ) -> None:
        if code.is_failure:
            self._lose(f"it refused us: {code}")
            return
        once = SubscribeOptions(qos=1)
        filters = {"up": self._ingest_filter, "presence": topics.PRESENCE_FILTER}
        client.subscribe([(filters[channel], once) for channel in self._channels])

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, codes: list[ReasonCode], _options: Properties | None
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            self._lose(f"it refused our subscription: {refused[0]}")
        else:
            self._ready.set()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(a topic that is not UTF-8)"
        size = len(message.payload)
        payload = bytes(message.payload if size <= MAX_PAYLOAD else message.payload[:HEAD_BYTES])
        self._receive(Message(topic, payload, size, time.time_ns()), Handle(self._session, message.mid, message.qos))

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        _options: Properties | None,
    ) -> None:
        self._lose(str(code))

    def _opened(self, sock: mqtt.SocketLike) -> None:
        _no_delay(sock)
        self._secured = sock if isinstance(sock, tls.BrokerSocket) else None

    def _lose(self, reason: str) -> None:
        # paho has words for packets only: for an alert of TLS it tells an unspecified error.
        reason = (self._secured is not None and self._secured.refusal) or reason
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)


async def _finished(connecting: asyncio.Future[None]) -> None:
    """Wait for a thread that connects, even when cancelled (it is bounded): it must not leave a socket behind."""
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await connecting
        raise


def _read(client: mqtt.Client) -> None:
    client.loop_read()
    sock = client.socket()
    # TLS may hold whole packets that the selector knows nothing of.
    while isinstance(sock, ssl.SSLSocket) and sock.pending():
        client.loop_read()
        sock = client.socket()


def _no_delay(sock: mqtt.SocketLike) -> None:
    # An ack is small and alone: without this it waits 40 ms for the broker's delayed TCP acknowledgement.
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _forget(loop: asyncio.AbstractEventLoop, sock: mqtt.SocketLike) -> None:
    if sock.fileno() >= 0:
        loop.remove_reader(sock)
        loop.remove_writer(sock)


def _stop(loop: asyncio.AbstractEventLoop, sock: mqtt.SocketLike) -> None:
    if sock.fileno() >= 0:
        loop.remove_writer(sock)


def _secret(settings: BrokerSettings) -> str | None:
    return settings.password_file.read_text(encoding="utf-8").strip() if settings.password_file is not None else None
