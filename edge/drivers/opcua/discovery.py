# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server says to anybody, before a session: its endpoints, itself, and the servers that it knows.

These are asked over an unsecured channel of their own, as OPC 10000-4, 5.5 has it, so that nothing of it is believed
before the secured channel has proved it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from asyncua.client.client import Client

from edge.drivers.opcua.errors import LinkLost
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.translate import FOREIGN, link_error, ua

T = TypeVar("T")

POLICY_URIS = {
    "none": "http://opcfoundation.org/UA/SecurityPolicy#None",
    "basic256sha256": "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256",
    "aes128_sha256_rsaoaep": "http://opcfoundation.org/UA/SecurityPolicy#Aes128_Sha256_RsaOaep",
}
_MODES: dict[int, Mode] = {1: "none", 2: "sign", 3: "sign_and_encrypt"}
_TOKENS = {0: "nobody", 1: "user name", 2: "user certificate", 3: "issued token"}
_APPLICATIONS = {0: "server", 1: "client", 2: "client and server", 3: "discovery server"}

Mode = Literal["none", "sign", "sign_and_encrypt", "unknown"]


@dataclass(frozen=True, slots=True)
class Application:
    """A server as it describes itself, or as a discovery server describes it."""

    name: str
    uri: str
    product_uri: str = ""
    kind: str = "server"
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A way to say who comes: its kind in words, and the policy that secures it, empty for that of the channel."""

    kind: str
    policy_uri: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A way to connect: certificate is DER, with the server's issuers after it; empty where it shows none."""

    url: str
    policy_uri: str
    mode: Mode
    tokens: tuple[Token, ...]
    application: Application
    certificate: bytes = field(repr=False)

    @property
    def policy(self) -> str:
        """Return the policy's short name, as in `Basic256Sha256`."""
        return self.policy_uri.rpartition("#")[2] or self.policy_uri


async def endpoints(url: str, timeout_s: float) -> tuple[Endpoint, ...]:
    """Return the endpoints of the server at `url`. Raises LinkError."""
    found = await _asked(url, timeout_s, lambda client: client.get_endpoints())
    return tuple(_endpoint(one) for one in found or ())


async def servers(url: str, timeout_s: float) -> tuple[Application, ...]:
    """Return the servers that the one at `url` knows, itself among them. Raises LinkError."""
    found = await _asked(url, timeout_s, lambda client: client.find_servers())
    return tuple(_application(one) for one in found or ())


async def servers_on_network(url: str, timeout_s: float) -> tuple[Application, ...]:
    """Return the servers that the one at `url` has heard of; most servers cannot tell. Raises LinkError."""
    found = await _asked(url, timeout_s, lambda client: client.find_servers_on_network())
    return tuple(
        Application(name=clean(one.ServerName or ""), uri="", urls=(clean(one.DiscoveryUrl or ""),))
        for one in getattr(found, "Servers", None) or ()
    )


async def _asked(url: str, timeout_s: float, question: Callable[[Client], Awaitable[T]]) -> T:
    client = Client(url, timeout=timeout_s)
    try:
        async with asyncio.timeout(2 * timeout_s):
            await client.connect_sessionless()
            answer = await question(client)
            await client.close_secure_channel()
            return answer
    except TimeoutError as error:
        raise LinkLost(reason="no answer in time (asking for endpoints)") from error
    except FOREIGN as error:
        raise link_error(error, url) from error
    finally:
        # Not closed but cut: an orderly closing waits for a silent network until its own time-outs.
        protocol = client.uaclient.protocol
        transport = None if protocol is None else protocol.transport
        client.disconnect_socket()
        if transport is not None:
            transport.abort()
        await asyncio.sleep(0)


def _endpoint(one: Any) -> Endpoint:
    tokens: Sequence[Any] = one.UserIdentityTokens or ()
    return Endpoint(
        url=clean(one.EndpointUrl or ""),
        policy_uri=clean(one.SecurityPolicyUri or ""),
        mode=_MODES.get(int(one.SecurityMode), "unknown"),
        tokens=tuple(
            Token(_TOKENS.get(int(token.TokenType), "unknown"), clean(token.SecurityPolicyUri or ""))
            for token in tokens
        ),
        application=_application(one.Server),
        certificate=bytes(one.ServerCertificate or b""),
    )


def _application(one: Any) -> Application:
    name = one.ApplicationName
    return Application(
        name=clean(name.Text or "") if isinstance(name, ua.LocalizedText) else "",
        uri=clean(one.ApplicationUri or ""),
        product_uri=clean(one.ProductUri or ""),
        kind=_APPLICATIONS.get(int(one.ApplicationType), "unknown"),
        urls=tuple(clean(url or "") for url in one.DiscoveryUrls or ()),
    )
