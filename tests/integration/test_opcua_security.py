# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections as their settings want them secured, and every way in which one is refused, on a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from edge.drivers.opcua.discovery import Application, Endpoint, endpoints
from edge.drivers.opcua.errors import CertificateRefused, CredentialsRefused, LinkError, LinkLost, NeedsPerson
from edge.drivers.opcua.security import SecuredClient, choose
from edge.pki import Pki
from tests.hardware_sim.lab.ports import free_port
from tests.support.certificates import DAY, SERVER_URI, Made, make, make_authority, rsa_key
from tests.support.opcua import settings
from tests.support.opcua_secured import PASSWORD, Host, Secured

SIGNED = {"security": "sign"}
SECURED = {"security": "sign_and_encrypt"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[Host]:
    host = Host()
    await host.load()
    yield host
    await host.unload()


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "opcua")


@asynccontextmanager
async def connected(server: Secured, pki: Pki | None, **changes: Any) -> AsyncIterator[SecuredClient]:
    client = SecuredClient(settings(server.endpoint, **{**SECURED, **changes}), pki)
    await client.prepare()
    try:
        await client.connect()
        yield client
        await client.disconnect()
    finally:
        client.disconnect_socket()
        await asyncio.sleep(0)


async def refused(server: Secured, pki: Pki | None, kind: type[LinkError], **changes: Any) -> str:
    with pytest.raises(LinkError) as caught:
        async with connected(server, pki, **changes):
            pass
    assert type(caught.value) is kind, caught.value
    return str(caught.value.reason)


def password_file(folder: Path, password: str = PASSWORD, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.touch()
    path.chmod(mode)
    path.write_text(f"{password}\n", encoding="utf-8")
    return path


# --- whom the lab trusts ---


async def test_all_policies_and_modes_connect_once_the_server_is_trusted(host: Host, pki: Pki) -> None:
    made = make()
    async with host.secured(made) as server:
        said = await refused(server, pki, CertificateRefused)
        assert server.clients == [], "nothing of ours may reach a server that nobody trusts"
        assert f"infomobil-edge opcua trust {made.certificate.thumbprint} --store {pki.folder}" in said
        pki.trust_list.trust(pki.trust_list.find(made.certificate.thumbprint))
        for policy, uri in (("basic256sha256", "#Basic256Sha256"), ("aes128_sha256_rsaoaep", "#Aes128_Sha256_RsaOaep")):
            for mode in (SIGNED, SECURED):
                async with connected(server, pki, policy=policy, **mode) as client:
                    assert client.security_policy.URI.endswith(uri)
                    assert client.security_policy.Mode.name == {"sign": "Sign"}.get(mode["security"], "SignAndEncrypt")
                    assert SERVER_URI in await client.get_namespace_array()
        assert set(server.clients) == {pki.own().certificate.der}


async def test_a_machine_of_the_fleet_needs_no_trust_of_its_own(host: Host, pki: Pki) -> None:
    fleet = make_authority()
    pki.trust_list.trust(fleet.certificate)
    async with host.secured(make(issuer=fleet)) as server, connected(server, pki):
        assert server.clients


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"begin": datetime.now(UTC) - 9 * DAY, "end": datetime.now(UTC) - DAY}, "has expired on"),
        ({"begin": datetime.now(UTC) + DAY}, "is valid from"),
        (
            {"hosts": ("mill.local", "192.0.2.9")},
            "it is that of mill.local, 192.0.2.9, and the endpoint says 127.0.0.1",
        ),
        ({"uri": "urn:another:machine"}, f"that of urn:another:machine, and the server calls itself {SERVER_URI}"),
        ({"key": rsa_key(0, 1024)}, "RSA key of 1024 bits"),
    ],
)
async def test_a_trusted_certificate_that_is_wrong_is_refused(
    host: Host, pki: Pki, changes: dict[str, Any], words: str
) -> None:
    made = make(**changes)
    pki.trust_list.trust(made.certificate)
    async with host.secured(made) as server:
        assert words in await refused(server, pki, CertificateRefused)
        assert server.clients == []


async def test_a_server_with_another_certificate_than_before_is_refused(host: Host, pki: Pki) -> None:
    pki.trust_list.trust(make().certificate)
    async with host.secured(make(key=rsa_key(1))) as server:
        assert "nobody has trusted it yet" in await refused(server, pki, CertificateRefused)


async def test_a_server_that_shows_the_certificate_of_another_cannot_answer(host: Host, pki: Pki) -> None:
    shown = make()
    pki.trust_list.trust(shown.certificate)
    async with host.secured(Made(shown.certificate, rsa_key(1))) as server:
        with pytest.raises(TimeoutError):
            async with connected(server, pki, timeout_s=0.4):
                pass
        assert server.clients == []


async def test_a_server_that_hangs_up_is_tried_again_soon(host: Host, pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)

    class Cutting(SecuredClient):
        async def send_hello(self) -> None:
            await super().send_hello()
            protocol = self.uaclient.protocol
            assert protocol is not None
            assert protocol.transport is not None
            protocol.transport.abort()

    async with host.secured(made) as server:
        client = Cutting(settings(server.endpoint, **SECURED), pki)
        await client.prepare()
        with pytest.raises(LinkLost, match="hung up as the channel was to be secured") as caught:
            await client.connect()
        assert pki.own().certificate.thumbprint in str(caught.value).replace(" ", "")


async def test_a_server_that_does_not_trust_this_lab_is_told_with_our_thumbprint(host: Host, pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    async with host.secured(made) as server:
        server.trusts_clients = False
        said = await refused(server, pki, CertificateRefused)
    assert "refuses this lab's certificate (BadCertificateUntrusted): trust it at the machine" in said
    assert pki.own().certificate.thumbprint in said.replace(" ", "")


async def test_what_the_server_does_not_offer_is_not_replaced_by_something_weaker(host: Host, pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    offered = (ua.SecurityPolicyType.NoSecurity, ua.SecurityPolicyType.Basic256Sha256_Sign)
    async with host.secured(made, offered) as server:
        said = await refused(server, pki, NeedsPerson)
        assert said == (
            "the server does not offer basic256sha256 with sign_and_encrypt; it offers Basic256Sha256 sign, None none"
        )
        said = await refused(server, pki, NeedsPerson, policy="aes128_sha256_rsaoaep", **SIGNED)
        assert said.startswith("the server does not offer aes128_sha256_rsaoaep with sign;")
        async with connected(server, pki, **SIGNED):
            pass


async def test_without_a_folder_of_certificates_nothing_is_secured(host: Host) -> None:
    async with host.secured() as server:
        assert "needs a folder of certificates" in await refused(server, None, NeedsPerson)
        async with connected(server, None, security="none"):
            pass


async def test_a_damaged_key_of_our_own_is_said(host: Host, pki: Pki) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    pki.own().key_file.write_bytes(b"")
    async with host.secured(made) as server:
        said = await refused(server, pki, NeedsPerson)
        assert said.startswith("the lab's own certificate cannot be used: its key")
        assert "is damaged" in said


# --- who comes ---


@pytest.mark.parametrize("changes", [{**SECURED}, {**SIGNED}, {"security": "none"}])
async def test_a_user_comes_in_with_a_password(host: Host, pki: Pki, tmp_path: Path, changes: dict[str, str]) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    who = {"user": "ann", "password_file": password_file(tmp_path), **changes}
    async with host.secured(made, nobody=False) as server:
        async with connected(server, pki, **who):
            assert server.users.came == ["ann"]
        password_file(tmp_path, "wrong")
        client = SecuredClient(settings(server.endpoint, **who), pki)
        await client.prepare()
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await client.connect()


async def test_a_user_comes_in_with_a_certificate(host: Host, pki: Pki, tmp_path: Path) -> None:
    made, ann, bob = make(), make("ann", uri=None, hosts=(), key=rsa_key(1)), make("bob", uri=None, key=rsa_key(2))
    pki.trust_list.trust(made.certificate)
    async with host.secured(made, nobody=False, user=ann) as server:
        for mode in (SIGNED, SECURED):
            certificate, key = ann.write(tmp_path, "ann")
            async with connected(server, pki, user_certificate_file=certificate, user_key_file=key, **mode):
                pass
        certificate, key = bob.write(tmp_path, "bob")
        said = await refused(server, pki, CredentialsRefused, user_certificate_file=certificate, user_key_file=key)
        assert said == "the server refuses this user's certificate"


@pytest.mark.parametrize(
    ("tokens", "who", "words"),
    [
        ((ua.UserNameIdentityToken,), "nobody", "the server lets nobody in without a user"),
        ((ua.AnonymousIdentityToken,), "password", "takes no user name with a password"),
        ((ua.AnonymousIdentityToken,), "certificate", "takes no user certificates"),
    ],
)
async def test_how_the_server_wants_users_is_said(
    host: Host, pki: Pki, tmp_path: Path, tokens: tuple[type, ...], who: str, words: str
) -> None:
    made = make()
    pki.trust_list.trust(made.certificate)
    certificate, key = make("ann").write(tmp_path, "ann")
    options: dict[str, dict[str, Any]] = {
        "nobody": {},
        "password": {"user": "ann", "password_file": password_file(tmp_path)},
        "certificate": {"user_certificate_file": certificate, "user_key_file": key},
    }
    async with host.secured(made, tokens=tokens) as server:
        assert words in await refused(server, pki, CredentialsRefused, **options[who])
        assert server.users.came == []


@pytest.mark.parametrize(
    ("changes", "uri", "permitted"),
    [
        (SECURED, "#None", True),
        (SIGNED, "#None", False),
        (SIGNED, "#Basic128Rsa15", False),
        (SECURED, "#Basic128Rsa15", False),
        (SIGNED, "#Aes256_Sha256_RsaPss", True),
        ({"security": "none"}, "#None", True),
        ({"security": "none", "password_in_clear": True, "endpoint": "opc.tcp://192.0.2.7:4840"}, "#None", True),
    ],
)
async def test_a_password_crosses_the_network_readable_only_where_it_may(
    tmp_path: Path, changes: dict[str, Any], uri: str, permitted: bool
) -> None:
    who = {"user": "ann", "password_file": password_file(tmp_path)}
    client = SecuredClient(settings(**{"endpoint": "opc.tcp://127.0.0.1:4840", **who, **changes}), None)
    full = f"http://opcfoundation.org/UA/SecurityPolicy{uri}"
    client._policy_ids = [ua.UserTokenPolicy(TokenType=ua.UserTokenType.UserName, SecurityPolicyUri=full)]
    if permitted:
        assert client.server_policy(ua.UserTokenType.UserName).SecurityPolicyUri == full
    else:
        with pytest.raises(CredentialsRefused, match="only readable or by a withdrawn"):
            client.server_policy(ua.UserTokenType.UserName)


async def test_of_several_policies_for_a_password_a_strong_one_is_taken() -> None:
    client = SecuredClient(settings("opc.tcp://127.0.0.1:4840"), None)
    base = "http://opcfoundation.org/UA/SecurityPolicy#"
    client._policy_ids = [
        ua.UserTokenPolicy(PolicyId=name, TokenType=ua.UserTokenType.UserName, SecurityPolicyUri=base + name)
        for name in ("None", "Basic128Rsa15", "Basic256Sha256")
    ]
    assert client.server_policy(ua.UserTokenType.UserName).PolicyId == "Basic256Sha256"


# --- files ---


@pytest.mark.parametrize("case", ["missing", "readable", "binary"])
async def test_a_password_file_that_cannot_be_used_is_named(tmp_path: Path, case: str) -> None:
    path = password_file(tmp_path, mode=0o644 if case == "readable" else 0o600)
    if case == "missing":
        path.unlink()
    if case == "binary":
        path.write_bytes(b"\xff\xfe")
    words = {
        "missing": f"the password file {path} cannot be read (No such file or directory)",
        "readable": f"everybody may read the password file {path}: run `chmod 600 {path}`",
        "binary": f"the password file {path} is not UTF-8 text",
    }
    client = SecuredClient(settings("opc.tcp://127.0.0.1:4840", user="ann", password_file=path), None)
    with pytest.raises(NeedsPerson) as caught:
        await client.prepare()
    assert caught.value.reason == words[case]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("readable", "everybody may read the key file"),
        ("missing", "cannot be read (No such file"),
        ("no key", "holds no PEM key without a password"),
        ("another", "is not that of"),
        ("no certificate", "the user certificate"),
    ],
)
async def test_a_user_certificate_that_cannot_be_used_is_named(tmp_path: Path, case: str, words: str) -> None:
    certificate, key = make("ann").write(tmp_path, "ann")
    match case:
        case "readable":
            key.chmod(0o604)
        case "missing":
            key.unlink()
        case "no key":
            key.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
        case "another":
            key.write_bytes(make(key=rsa_key(1)).key_pem)
        case "no certificate":
            certificate.write_bytes(b"")
    options = {"user_certificate_file": certificate, "user_key_file": key, **SECURED}
    client = SecuredClient(settings("opc.tcp://127.0.0.1:4840", **options), None)
    with pytest.raises(NeedsPerson) as caught:
        await client.prepare()
    assert words in str(caught.value.reason)


# --- what a server says to anybody ---


async def test_a_server_says_its_endpoints_and_itself(host: Host) -> None:
    made = make()
    async with host.secured(made) as server:
        found = await endpoints(server.endpoint, 2)
        assert {(one.policy, one.mode) for one in found} == {
            ("None", "none"),
            ("Basic256Sha256", "sign"),
            ("Basic256Sha256", "sign_and_encrypt"),
            ("Aes128_Sha256_RsaOaep", "sign"),
            ("Aes128_Sha256_RsaOaep", "sign_and_encrypt"),
        }
        assert {one.certificate for one in found} == {made.der}
        assert {one.application.uri for one in found} == {SERVER_URI}
        assert {token.kind for token in found[0].tokens} == {"nobody", "user name", "user certificate"}


async def test_nothing_listens_is_said() -> None:
    port = free_port()
    with pytest.raises(LinkLost, match=f"nothing listens at 127.0.0.1:{port}"):
        await endpoints(f"opc.tcp://127.0.0.1:{port}", 1)


async def test_a_silent_server_is_left_after_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(LinkLost, match="no answer in time"):
            await endpoints(f"opc.tcp://127.0.0.1:{port}", 0.2)


async def test_an_endpoint_over_another_transport_is_not_taken() -> None:
    uri = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"
    one = Endpoint("https://x", uri, "sign_and_encrypt", (), Application("x", "urn:x"), b"")
    with pytest.raises(NeedsPerson, match="does not offer"):
        choose((one,), settings("opc.tcp://127.0.0.1:4840", **SECURED))
    with pytest.raises(NeedsPerson, match="it offers nothing"):
        choose((), settings("opc.tcp://127.0.0.1:4840", **SECURED))
