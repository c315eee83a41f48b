# SPDX-License-Identifier: GPL-3.0-or-later
"""One MQTT 5 connection of paho, driven by the asyncio loop: no thread once the socket is open.

What the broker allows in its CONNACK is kept to here: paho honours the keepalive alone. A client serves one connection
and is thrown away, so that nothing of paho's own queue outlives it: the outbox alone decides what is sent again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers
from paho.mqtt.reasoncodes import ReasonCode

from edge.domain.air import Outgoing, TooLarge
from edge.sync.allowance import Allowance, spoken
from edge.sync.settings import SyncSettings
from edge.sync.tls import BrokerSocket, context

MAX_UNSENT = 64
NO_MATCHING_SUBSCRIBERS = 0x10
HOUSEKEEPING_S = 1.0
GOODBYE_S = 1.0
RECEIVE_MAXIMUM = 100
MAX_PACKET = 512 << 10
"""What the office may send us: acknowledgements with at most some hundreds of missing ranges."""


class Connection:
    """An open connection: made by `connect`, lives until `lost` is done, ends by `close`."""

    def __init__(self, settings: SyncSettings, client_id: str, will: Outgoing, will_delay_s: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._answer: asyncio.Future[None] = self._loop.create_future()
        self._unsent: deque[mqtt.MQTTMessageInfo] = deque()
        self._housekeeping: asyncio.TimerHandle | None = None
        self._tls: BrokerSocket | None = None
        self._unconfirmed: dict[int, tuple[str, bool]] = {}
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.allowance = Allowance()
        self.on_message: Callable[[str, bytes], None] = lambda topic, payload: None
        self.on_confirmed: Callable[[str, str], None] = lambda topic, refusal: None
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        client.connect_timeout = settings.connect_timeout_s
        client.will_set(will.topic, will.payload, will.qos, will.retain, _will_properties(will, will_delay_s))
        client.on_socket_open = self._opened
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._confirmed

    async def connect(self, subscriptions: Sequence[str]) -> None:
        """Open the socket, log in and subscribe. Raises OSError (ssl.SSLError among them) or ConnectionError."""
        settings = self._settings
        if settings.ca_file is not None:
            self._client.tls_set_context(context(settings))
        if settings.username is not None:
            self._client.username_pw_set(settings.username, _password(settings))
        await self._open_socket()
        self._drive()
        async with asyncio.timeout(settings.connect_timeout_s):
            await self._answer
            for topic in subscriptions:
                self._answer = self._loop.create_future()
                self._client.subscribe(topic, qos=1)
                await self._answer

    def publish(self, message: Outgoing) -> None:
        """Write one message, or keep it in a short queue of the connection; raises ConnectionError, TooLarge."""
        while self._unsent and self._unsent[0].is_published():
            self._unsent.popleft()
        if self.lost.done():
            raise ConnectionError(self.lost.result())
        if len(self._unsent) >= MAX_UNSENT:
            raise ConnectionError("the line is congested")
        if message.qos > 0 and len(self._unconfirmed) >= self.allowance.window:
            raise ConnectionError("the broker has not confirmed enough of what it was sent")
        properties = _publish_properties(message)
        size = packet_size(message, properties)
        if not self.allowance.takes(size):
            raise TooLarge(f"a message on {message.topic} has {size} bytes, the broker takes {self.allowance.packet}")
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionError(mqtt.error_string(info.rc))
        self._unsent.append(info)
        if message.qos > 0:
            self._unconfirmed[info.mid] = message.topic, message.retain

    def fits(self, message: Outgoing) -> bool:
        """Return whether the broker takes a message as large as this one."""
        return self.allowance.takes(packet_size(message, _publish_properties(message)))

    async def goodbye(self, farewell: Outgoing) -> None:
        """Publish `farewell` and disconnect in order, within GOODBYE_S; the will is then not sent."""
        with suppress(ConnectionError):
            self.publish(farewell)
            self._client.disconnect()
            await asyncio.wait([self.lost], timeout=GOODBYE_S)

    def close(self) -> None:
        """Let the socket go at once; may be repeated."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        sock: Any = self._client.socket()
        # paho still hands out a socket that was closed before.
        if sock is not None and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()
        self._answer.cancel()
        self._lose("closed")

    async def _open_socket(self) -> None:
        """Connect in a thread of its own: names, TCP and TLS block, and a daemon thread never holds up the end."""
        done: asyncio.Future[None] = self._loop.create_future()
        options = _properties(PacketTypes.CONNECT)
        options.SessionExpiryInterval = 0
        options.ReceiveMaximum = RECEIVE_MAXIMUM
        options.MaximumPacketSize = MAX_PACKET
        settings = self._settings

        def report(error: Exception | None) -> None:
            if done.cancelled():
                self.close()
            elif error is not None:
                done.set_exception(error)
            else:
                done.set_result(None)

        def work() -> None:
            failure: Exception | None = None
            try:
                self._client.connect(
                    settings.host, settings.port, settings.keepalive_s, clean_start=True, properties=options
                )
            except (OSError, ValueError) as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(report, failure)
            except RuntimeError:  # the loop is closed: nobody waits any more
                if (sock := self._client.socket()) is not None:
                    sock.close()

        threading.Thread(target=work, name="mqtt-connect", daemon=True).start()
        await done

    def _drive(self) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            raise ConnectionError((self._tls and self._tls.refusal) or "the connection closed at once")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = self._client
        client.on_socket_register_write = self._wants_write
        client.on_socket_unregister_write = self._wrote
        client.on_socket_close = self._closing
        self._loop.add_reader(sock, self._readable)
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)
        self._housekeep()

    def _opened(self, client: mqtt.Client, data: object, sock: Any) -> None:
        # Kept here, for paho forgets a socket that the broker closed, and with it why.
        self._tls = sock if isinstance(sock, BrokerSocket) else None

    def _wants_write(self, client: mqtt.Client, data: object, sock: Any) -> None:
        self._loop.add_writer(sock, client.loop_write)

    def _wrote(self, client: mqtt.Client, data: object, sock: Any) -> None:
        if sock.fileno() >= 0:  # paho says so once more of a socket that `close` has let go
            self._loop.remove_writer(sock)

    def _closing(self, client: mqtt.Client, data: object, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)

    def _readable(self) -> None:
        self._client.loop_read()
        sock: Any = self._client.socket()
        # What TLS has decrypted already does not make the descriptor readable again.
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._loop.call_soon(self._readable)

    def _housekeep(self) -> None:
        self._client.loop_misc()
        if not self.lost.done():
            self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._housekeep)

    def _connected(
        self, client: mqtt.Client, data: object, flags: object, code: ReasonCode, properties: Properties | None
    ) -> None:
        self.allowance = Allowance.of(properties)
        if code.is_failure:
            self._settle(f"the broker refused: {spoken(code, properties)}")
        else:
            self._settle(self.allowance.unfit)

    def _subscribed(
        self, client: mqtt.Client, data: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        refused = [code for code in codes if code.is_failure]
        self._settle(f"the broker refused the subscription: {spoken(refused[0], properties)}" if refused else None)

    def _confirmed(
        self, client: mqtt.Client, data: object, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        if mid not in self._unconfirmed:
            return  # of QoS 0: nothing is confirmed
        topic, retained = self._unconfirmed.pop(mid)
        if code.is_failure:
            self.on_confirmed(topic, f"the broker refused a message on {topic}: {spoken(code, properties)}")
        elif code.value == NO_MATCHING_SUBSCRIBERS and not retained:
            self.on_confirmed(topic, f"nobody listens to {topic}: the office is not at the broker")
        else:
            self.on_confirmed(topic, "")

    def _settle(self, refusal: str | None) -> None:
        if self._answer.done():
            return
        if refusal is not None:
            self._answer.set_exception(ConnectionError(refusal))
        else:
            self._answer.set_result(None)

    def _disconnected(
        self,
        client: mqtt.Client,
        data: object,
        flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(f"the broker ended the connection: {spoken(code, properties)}")
        elif code.getName() == "Keep alive timeout":
            self._lose("the broker fell silent")
        else:
            self._lose("the connection was lost")

    def _lose(self, reason: str) -> None:
        if self._tls is not None and self._tls.refusal:
            reason = self._tls.refusal
        if not self.lost.done():
            self.lost.set_result(reason)
        self._settle(reason)

    def _received(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):  # a topic that is no UTF-8 is none of ours
            self.on_message(message.topic, bytes(message.payload))


def packet_size(message: Outgoing, properties: Properties) -> int:
    """Return the bytes of the PUBLISH packet of `message` (MQTT 5.0, 3.3): header, topic, packet id, the rest."""
    packed = len(properties.pack())  # type: ignore[no-untyped-call]  # with its own length before it
    rest = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + packed + len(message.payload)
    return 1 + len(VariableByteIntegers.encode(rest)) + rest  # type: ignore[no-untyped-call]


def _password(settings: SyncSettings) -> str | None:
    if settings.password_file is None:
        return None
    return settings.password_file.read_text().strip()


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves the constructor untyped


def _will_properties(will: Outgoing, delay_s: int) -> Properties:
    properties = _properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = delay_s
    return _common(properties, will)


def _publish_properties(message: Outgoing) -> Properties:
    return _common(_properties(PacketTypes.PUBLISH), message)


def _common(properties: Properties, message: Outgoing) -> Properties:
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.content_type is not None:
        properties.ContentType = message.content_type
    if message.properties:
        properties.UserProperty = list(message.properties)
    return properties
