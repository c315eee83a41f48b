# SPDX-License-Identifier: GPL-3.0-or-later
"""asyncua's side of a connection with the checks that it leaves to others: who is there, and how much he sends.

Of itself asyncua opens a channel for every certificate, takes at a session's word which certificate is the client's,
and serves a channel without security even where no such endpoint is offered.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary, uatcp_to_binary
from asyncua.ua.uaerrors import UaError

from edge.opcua_server.access import ClientRefused, Clients
from edge.opcua_server.stack import node_id, status, ua

log = logging.getLogger(__name__)

CHUNK = 65_535
MESSAGE = 1_048_576
_HEADER = 8
_UNREAD = 4 * MESSAGE
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)
"""Ends the connection of a client that went out of reach without a word, within a minute."""


def _service(name: str) -> Any:
    return node_id(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"))


_CREATE_SESSION = _service("CreateSession")
_DISCOVERY = (_service("GetEndpoints"), _service("FindServers"), _service("CloseSecureChannel"))
# A subscription stays with the session that made it: a client that comes back in another one makes its own anew.
_NOT_SERVED = (_service("RegisterServer"), _service("RegisterServer2"), _service("TransferSubscriptions"))


class _Processor(UaProcessor):
    """One connection's services."""

    def __init__(self, iserver: Any, transport: Any, limits: Any, clients: Clients, *, anonymous: bool) -> None:
        super().__init__(iserver, transport, limits)
        self._clients = clients
        self._anonymous = anonymous
        self._peer = f"at {self.name[0]}" if self.name else "without an address"

    @property
    def _is_open_to_all(self) -> bool:
        return bool(self._connection.security_policy.Mode == ua.MessageSecurityMode.None_)

    async def process(self, header: Any, body: Any) -> bool:
        """Handle one message; tell a client that is refused why, and end the connection."""
        try:
            return bool(await super().process(header, body))  # type: ignore[no-untyped-call]  # asyncua leaves it untyped
        except ClientRefused as error:
            log.warning("%s", error)
            self._end(str(error.code))
        except UaError:
            log.info("a client %s asks for a security that is not offered", self._peer)
            self._end("BadSecurityPolicyRejected")
        return False

    def _end(self, code: str) -> None:
        """Send an error message (OPC 10000-6, 7.1.2.5); what it says is no help for who guesses."""
        message = ua.ErrorMessage(status(code), "")
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, message))

    def open_secure_channel(self, algohdr: Any, seqhdr: Any, body: Any) -> None:
        """Open a channel for whoever is trusted; for everybody one without security, to ask for the endpoints."""
        if algohdr.SecurityPolicyURI != SecurityPolicyNone.URI:
            self._clients.admit(algohdr.SenderCertificate, self._peer)
        super().open_secure_channel(algohdr, seqhdr, body)  # type: ignore[no-untyped-call]  # asyncua leaves it untyped

    async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        if typeid in _NOT_SERVED:
            raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
        if self._is_open_to_all and not self._anonymous and typeid not in _DISCOVERY:
            raise ServiceError(ua.StatusCodes.BadSecurityModeInsufficient)
        if typeid == _CREATE_SESSION:
            self._identify(body)
        processed = await super()._process_message(typeid, requesthdr, seqhdr, body)  # type: ignore[no-untyped-call]  # asyncua leaves it untyped
        return bool(processed)

    def _identify(self, body: Any) -> None:
        """Look at who asks for a session, once for each connection."""
        if self.session is not None:
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        if self._is_open_to_all:
            return
        asked = struct_from_binary(ua.CreateSessionParameters, body.copy())
        shown = asked.ClientCertificate or b""
        if not shown.startswith(self._connection.security_policy.peer_certificate or b"-"):
            raise ServiceError(ua.StatusCodes.BadCertificateInvalid)
        try:
            self._clients.identify(shown, self._peer, asked.ClientDescription.ApplicationUri)
        except ClientRefused as error:
            log.warning("%s", error)
            raise ServiceError(getattr(ua.StatusCodes, str(error.code))) from error


class _Protocol(OPCUAProtocol):
    """One connection's bytes."""

    admission: tuple[Clients, bool]

    def connection_made(self, transport: Any) -> None:
        """Put our processor in the place of asyncua's."""
        for level, option, value in _KEEP_ALIVE:
            transport.get_extra_info("socket").setsockopt(level, option, value)
        super().connection_made(transport)
        if self.processor is not None:
            clients, anonymous = self.admission
            self.processor = _Processor(self.iserver, transport, self.limits, clients, anonymous=anonymous)
            self.processor.set_policies(self.policies)  # type: ignore[no-untyped-call]  # asyncua leaves it untyped

    def data_received(self, data: bytes) -> None:
        """Take bytes; end the connection where a chunk is announced that is larger than those we accept."""
        super().data_received(data)
        waiting = self._buffer
        too_large = len(waiting) >= _HEADER and int.from_bytes(waiting[4:8], "little") > CHUNK
        if (too_large or len(waiting) > CHUNK) and self.transport is not None:
            log.warning("a client at %s sends more than %d bytes at once", self.peer_name, CHUNK)
            self._buffer = b""
            self.transport.close()

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        """Process a message; whatever cannot be understood ends the connection."""
        understood = False
        try:
            understood = bool(await super()._process_one_msg(header, buf))
            if self.transport is not None and self.transport.get_write_buffer_size() > _UNREAD:
                log.warning("a client at %s asks and does not read the answers", self.peer_name)
                self.transport.abort()
        finally:
            if not understood and self.transport is not None:
                self.transport.close()
        return understood


class _Listener(BinaryServer):
    """The socket."""

    admission: tuple[Clients, bool]

    def _make_protocol(self) -> OPCUAProtocol:
        protocol = _Protocol(self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)
        protocol.admission = self.admission
        return protocol


class GuardedServer(Server):
    """A server that lets in only whom `clients` admits; without security nobody, unless `anonymous`."""

    def __init__(self, iserver: Any, clients: Clients, *, anonymous: bool) -> None:
        super().__init__(iserver=iserver)
        self._admission = (clients, anonymous)
        self.limits.max_recv_buffer = self.limits.max_send_buffer = CHUNK
        self.limits.max_message_size = MESSAGE
        self.limits.max_chunk_count = MESSAGE // CHUNK + 1

    def permit_only(self, rules: Any) -> None:
        """Have every session ask `rules` for every service."""
        self._permission_ruleset = rules

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        if self.iserver.certificate is not None:
            uacrypto.check_certificate(self.iserver.certificate, self._application_uri, socket.gethostname())
        await self._setup_server_nodes()
        await self.iserver.start()
        listener = _Listener(self.iserver, str(self.endpoint.hostname), int(self.endpoint.port or 4840), self.limits)
        listener.admission = self._admission
        listener.set_policies(self._policies)
        self.bserver = listener
        try:
            await listener.start()
        except OSError:
            self.bserver = None
            raise
