# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets into the lab's own OPC UA server: trusted applications and known users; everybody only where it is said."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyBasic128Rsa15,
    SecurityPolicyBasic256Sha256,
)

from edge.pki import Pki
from tests.support.certificates import Made, make_authority, rsa_key
from tests.support.opcua_node import FOLDER, node
from tests.support.opcua_server import OWN, Served, application, heard, plan, secured, umati

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

VALIDATE = FOLDER.parent / "umati_client" / "validate.mjs"
CHANNEL = "router/Monitoring/Channel/ChannelState"
REFUSED = (ua.UaError, ConnectionError, TimeoutError)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Serve with what the settings say by default."""
    async with Served(plan(tmp_path_factory.mktemp("served"), anonymous=False)) as server:
        server.show(heard())
        yield server


def trust(served: Served, made: Made) -> None:
    Pki(Path(served.plan.pki)).trust_list.trust(made.certificate)


async def read_channel(served: Served, prepare: Any = None, user: tuple[str, str] | None = None) -> object:
    async def prepared(client: Client) -> None:
        if prepare is not None:
            await prepare(client)
        if user is not None:
            client.set_user(user[0])
            client.set_password(user[1])

    async with umati(served.endpoint, prepared) as client:
        return await client.value(CHANNEL)


async def test_without_security_only_the_endpoints_are_told(served: Served) -> None:
    endpoints = await Client(served.endpoint).connect_and_get_server_endpoints()
    modes = {(one.SecurityMode, one.SecurityPolicyUri.rpartition("#")[2]) for one in endpoints}
    encrypted = ua.MessageSecurityMode.SignAndEncrypt
    assert modes == {(encrypted, "Basic256Sha256"), (encrypted, "Aes128_Sha256_RsaOaep")}
    client = Client(served.endpoint, timeout=5)
    await client.connect_socket()
    await client.send_hello()
    await client.open_secure_channel()
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await client.create_session()
    assert refused.value.code == ua.StatusCodes.BadSecurityModeInsufficient
    client.disconnect_socket()


@pytest.mark.parametrize("policy", [SecurityPolicyBasic256Sha256, SecurityPolicyAes128Sha256RsaOaep])
async def test_a_client_is_refused_until_a_person_trusts_it(served: Served, tmp_path: Path, policy: type[Any]) -> None:
    made = application(name=f"Umati {policy.__name__}")
    prepare = secured(made, tmp_path, policy)
    with pytest.raises(REFUSED):
        await read_channel(served, prepare)
    rejected = served.pki.trust_list.rejected().certificates.values()
    assert made.certificate in rejected
    trust(served, made)
    assert await read_channel(served, prepare) == 2


async def test_a_client_of_a_trusted_authority_is_let_in(served: Served, tmp_path: Path) -> None:
    fleet = make_authority("fleet")
    trust(served, fleet)
    assert await read_channel(served, secured(application(issuer=fleet), tmp_path)) == 2


async def test_a_trusted_client_whose_certificate_has_expired_is_refused(served: Served, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = application(begin=now - timedelta(days=9), end=now - timedelta(days=1))
    trust(served, old)
    with pytest.raises(REFUSED):
        await read_channel(served, secured(old, tmp_path))


async def test_a_client_that_calls_itself_otherwise_is_refused(served: Served, tmp_path: Path) -> None:
    other = application(uri="urn:test:somebody-else")
    trust(served, other)
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await read_channel(served, secured(other, tmp_path))
    assert refused.value.code == ua.StatusCodes.BadCertificateUriInvalid


async def test_a_session_under_another_clients_certificate_is_refused(served: Served, tmp_path: Path) -> None:
    mine, theirs = application(name="mine"), application(name="theirs", key=rsa_key(7))
    trust(served, mine)
    trust(served, theirs)

    client = Client(served.endpoint, timeout=5)
    await secured(mine, tmp_path)(client)
    await client.connect_socket()
    await client.send_hello()
    await client.open_secure_channel()
    client.security_policy.host_certificate = theirs.der
    with pytest.raises(ua.UaStatusCodeError) as refused:
        await client.create_session()
    assert refused.value.code == ua.StatusCodes.BadCertificateInvalid
    client.disconnect_socket()


async def test_a_second_stack_comes_in_signed_and_encrypted(served: Served, tmp_path: Path) -> None:
    made = application(name="second stack")
    certificate, key = made.write(tmp_path, "second")
    certificate.with_suffix(".crt.pem").write_bytes(made.pem)
    command = (
        *(node(), str(VALIDATE), served.endpoint, OWN, str(certificate.with_suffix(".crt.pem")), str(key)),
        *(str(tmp_path / "pki"), "urn:test:umati"),
    )

    trust(served, made)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    found = json.loads((await process.communicate())[0])
    assert (found["machines"], found["problems"]) == (2, [])


async def test_signing_alone_is_not_offered(served: Served, tmp_path: Path) -> None:
    made = application(name="signs only")
    trust(served, made)
    certificate, key = made.write(tmp_path, "signs")
    own = served.pki.own().certificate_file

    async def prepare(client: Client) -> None:
        client.application_uri = "urn:test:umati"
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            str(certificate),
            str(key),
            server_certificate=str(own),
            mode=ua.MessageSecurityMode.Sign,
        )

    with pytest.raises(REFUSED):
        await read_channel(served, prepare)


async def test_users_are_asked_for_their_passwords(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("users")
    (folder / "ann").touch(0o600)
    (folder / "ann").write_text("turning-for-all\n", encoding="utf-8")
    async with Served(plan(folder, anonymous=False, users=(("ann", str(folder / "ann")),))) as served:
        served.show(heard())
        made = application()
        trust(served, made)
        prepare = secured(made, folder)
        for wrong in (None, ("ann", "wrong"), ("admin", "turning-for-all"), ("bob", "")):
            with pytest.raises(REFUSED):
                await read_channel(served, prepare, wrong)
        await read_at_last(served, prepare, ("ann", "turning-for-all"))
        oaep, pkcs_1 = (encrypting(prepare, one) for one in (SecurityPolicyBasic256Sha256, SecurityPolicyBasic128Rsa15))
        assert await read_channel(served, oaep, ("ann", "turning-for-all")) == 2
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await read_channel(served, pkcs_1, ("ann", "turning-for-all"))
        assert refused.value.code == ua.StatusCodes.BadIdentityTokenRejected


def encrypting(prepare: Any, policy: type[Any]) -> Any:
    """Return what has a client encrypt its password as `policy` does."""

    async def prepared(client: Client) -> None:
        await prepare(client)
        asked = ua.UserTokenPolicy("username", ua.UserTokenType.UserName, SecurityPolicyUri=policy.URI)
        client.server_policy = lambda _: asked  # type: ignore[method-assign]

    return prepared


async def read_at_last(served: Served, prepare: Any, user: tuple[str, str]) -> None:
    """Read as a user whose password is taken again some time after a wrong one."""
    async with asyncio.timeout(20):
        while True:
            try:
                assert await read_channel(served, prepare, user) == 2
            except REFUSED:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: van\r\n\r\n", id="another protocol"),
        pytest.param(b"MSGF" + struct.pack("<I", 500_000_000) + b"x" * 1000, id="half a gigabyte announced"),
        pytest.param(b"OPNF" + struct.pack("<I", 40) + b"\xff" * 32, id="a channel of noise"),
        pytest.param(b"\x00" * 4096, id="nothing"),
        pytest.param(b"HELF" + struct.pack("<I", 70_000) + b"x" * 69_992, id="a greeting that is too large"),
    ],
)
async def test_what_cannot_be_understood_ends_the_connection(served: Served, what: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.plan.port)
    writer.write(what)
    async with asyncio.timeout(20):
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
    writer.close()
    assert served.is_running
    with socket.create_connection(("127.0.0.1", served.plan.port), timeout=5):
        pass
