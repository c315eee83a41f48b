# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OPC UA server with security, in the test's own loop, and its users."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.binary_server_asyncio import BinaryServer
from cryptography.hazmat.primitives.serialization import Encoding

from tests.hardware_sim.lab.ports import free_port
from tests.support.certificates import SERVER_URI, Made, make

ALL = tuple(
    getattr(ua.SecurityPolicyType, name)
    for name in (
        "NoSecurity",
        "Basic256Sha256_Sign",
        "Basic256Sha256_SignAndEncrypt",
        "Aes128Sha256RsaOaep_Sign",
        "Aes128Sha256RsaOaep_SignAndEncrypt",
    )
)
PASSWORD = "turning-for-all"


class Users:
    """Let in whom the test says; note how each came."""

    def __init__(self, nobody: bool, certificate: Made | None) -> None:
        self.came: list[str | None] = []
        self._nobody = nobody
        self._certificate = certificate

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: bytes | None = None
    ) -> User | None:
        self.came.append(username)
        if username is not None:
            known = (username, password) == ("ann", PASSWORD)
        elif self._certificate is not None:
            known = certificate == self._certificate.der
        else:
            known = self._nobody
        return User(role=UserRole.User) if known else None


class Secured:
    """The server, once it runs."""

    def __init__(self, endpoint: str, users: Users) -> None:
        self.endpoint = endpoint
        self.users = users
        self.clients: list[bytes] = []
        self.trusts_clients = True

    async def judge(self, certificate: Any, _application: Any) -> None:
        self.clients.append(certificate.public_bytes(Encoding.DER))
        if not self.trusts_clients:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)


class Host:
    """asyncua's server, loaded once: the standard address space takes longer than most tests."""

    def __init__(self) -> None:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
        self._server = Server()

    async def load(self) -> None:
        await self._server.init()
        self._server.disable_clock()
        await self._server.iserver.start()

    async def unload(self) -> None:
        await self._server.iserver.stop()

    @asynccontextmanager
    async def secured(
        self,
        made: Made | None = None,
        policies: Sequence[Any] = ALL,
        tokens: Sequence[type] = (ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken),
        nobody: bool = True,
        user: Made | None = None,
    ) -> AsyncIterator[Secured]:
        """Listen with this certificate at a free port of loopback; nobody and user are whom it lets in."""
        made = made or make()
        running = Secured(f"opc.tcp://127.0.0.1:{free_port()}/secured", Users(nobody, user))
        server = self._server
        server.iserver.endpoints.clear()
        server._policies = []
        server.iserver.set_user_manager(running.users)  # type: ignore[arg-type]
        server.set_endpoint(running.endpoint)
        await server.set_application_uri(SERVER_URI)
        server.set_security_policy(list(policies))
        server.set_identity_tokens(list(tokens))
        await server.load_certificate(made.der, "der")
        await server.load_private_key(made.key_pem, None, "pem")
        server.set_certificate_validator(running.judge)
        await server._setup_server_nodes()
        listening = BinaryServer(server.iserver, *server._get_bind_socket_info(), server.limits)
        listening.set_policies(server._policies)
        await listening.start()
        try:
            yield running
        finally:
            await listening.stop()
