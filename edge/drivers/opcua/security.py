# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of a server as the settings want it secured: the endpoint exact, the certificate trusted, the user proved.

asyncua itself accepts every certificate, takes passwords to a server readable where the server asks for that, and
falls back to nobody where a key is missing. Here each of these is refused before anything secret is sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from asyncua.client.client import Client
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography import exceptions, x509

from edge.drivers.opcua.discovery import POLICY_URIS, Endpoint, endpoints
from edge.drivers.opcua.errors import CertificateRefused, CredentialsRefused, LinkLost, NeedsPerson
from edge.drivers.opcua.secrets import Identity, identity_of
from edge.drivers.opcua.settings import OpcUaSettings, is_loopback
from edge.drivers.opcua.texts import clean
from edge.drivers.opcua.translate import link_error, ua
from edge.pki import Certificate, OwnCertificate, Peer, Pki
from edge.pki import errors as pki_errors
from edge.pki.certificate import grouped

_POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "basic256sha256": security_policies.SecurityPolicyBasic256Sha256,
    "aes128_sha256_rsaoaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
}
_ENDPOINTS_S = 2.0
_MODES = {"sign": ua.MessageSecurityMode.Sign, "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt}
# The others of OPC 10000-7 are withdrawn.
_STRONG_URIS = frozenset(
    (*(one.URI for one in _POLICIES.values()), security_policies.SecurityPolicyAes256Sha256RsaPss.URI)
)
# What servers answer to a client whose certificate they do not accept; some answer nothing and hang up.
_OURS_REFUSED = frozenset(
    (
        "BadSecurityChecksFailed",
        "BadCertificateInvalid",
        "BadCertificateUntrusted",
        "BadCertificateTimeInvalid",
        "BadCertificateHostNameInvalid",
        "BadCertificateUriInvalid",
        "BadCertificateUseNotAllowed",
        "BadCertificateChainIncomplete",
        "BadApplicationSignatureInvalid",
    )
)
_TOKEN_WORDS = {
    ua.UserTokenType.Anonymous: "the server lets nobody in without a user: set `user` and `password_file`",
    ua.UserTokenType.UserName: "the server takes no user name with a password",
    ua.UserTokenType.Certificate: "the server takes no user certificates",
}


class SecuredClient(Client):
    """asyncua's client with the security of the settings: `prepare` once, then `connect` or its single steps.

    `prepare` asks for the endpoints over a connection of its own, which it ends, within 2 * timeout_s; the making of
    this lab's certificate at the first start of all may take it seconds more on a small computer.
    """

    def __init__(self, settings: OpcUaSettings, pki: Pki | None) -> None:
        # asyncua's own probe of the link must not be stricter than our time limit.
        super().__init__(settings.endpoint, timeout=settings.timeout_s, watchdog_intervall=settings.timeout_s)
        self.name = self.description = "InfoMobil"
        self.application_uri = "urn:infomobil:edge"
        self.product_uri = "urn:infomobil:edge"
        self._settings = settings
        self._pki = pki
        self._own: OwnCertificate | None = None
        self._server_application: str | None = None

    async def prepare(self) -> None:
        """Read who logs in, choose the endpoint and check the server's certificate.

        Raises LinkLost, NeedsPerson, CredentialsRefused, CertificateRefused.
        """
        identity = await asyncio.to_thread(identity_of, self._settings)
        self._identify(identity)
        if self._settings.security == "none":
            return
        if self._pki is None:
            raise NeedsPerson(reason="a secured connection needs a folder of certificates, and there is none")
        # As short as the first greeting of the connection itself: a link that is back is found early.
        answer_s = min(_ENDPOINTS_S, self._settings.timeout_s)
        endpoint = choose(await endpoints(self._settings.endpoint, answer_s), self._settings)
        self._server_application = endpoint.application.uri
        server, own = await asyncio.to_thread(_certificates, self._pki, endpoint, self._settings.endpoint)
        self._own = own
        self.application_uri = own.application_uri
        await self.set_security(
            _POLICIES[self._settings.policy],
            certificate=own.certificate.der,
            private_key=uacrypto.CertProperties(own.key_pem, "pem"),
            server_certificate=uacrypto.CertProperties(server.der),
            mode=_MODES[self._settings.security],
        )
        self.certificate_validator = self._still_the_same

    async def open_secure_channel(self, renew: bool = False) -> None:  # noqa: FBT001, FBT002 - asyncua's signature
        """Open or renew the channel. Raises CertificateRefused, LinkLost, and what asyncua raises."""
        if renew:
            return await super().open_secure_channel(renew)
        try:
            with self._in_words(), self._faults_read():
                await super().open_secure_channel()
        except ConnectionError as error:
            if self._own is None:
                raise
            # A lost link looks the same, and is tried again soon.
            thumbprint = grouped(self._own.certificate.thumbprint)
            raise LinkLost(
                reason="the server hung up as the channel was to be secured. If it does so each time, it refuses this"
                f" lab's certificate ({thumbprint}): trust it at the machine"
            ) from error

    async def create_session(self) -> Any:
        """Create a session. Raises CertificateRefused, and what asyncua raises."""
        with self._in_words():
            return await super().create_session()

    async def activate_session(
        self, username: str | None = None, password: str | None = None, certificate: x509.Certificate | None = None
    ) -> Any:
        """Log in. Raises CertificateRefused, CredentialsRefused, and what asyncua raises."""
        with self._in_words():
            return await super().activate_session(username, password, certificate)

    def server_policy(self, token_type: Any) -> Any:
        """Return the server's policy for a kind of user. Raises CredentialsRefused where none will do."""
        if not self._policy_ids:
            return super().server_policy(token_type)
        offered = [one for one in self._policy_ids if one.TokenType == token_type]
        if not offered:
            raise CredentialsRefused(reason=_TOKEN_WORDS[token_type])
        named = [
            dataclasses.replace(one, SecurityPolicyUri=one.SecurityPolicyUri or self.security_policy.URI)
            for one in offered
        ]
        strong = [one for one in named if one.SecurityPolicyUri in _STRONG_URIS]
        if strong:
            return strong[0]
        if token_type == ua.UserTokenType.Anonymous:
            return named[0]
        plain = [one for one in named if one.SecurityPolicyUri == POLICY_URIS["none"]]
        if token_type == ua.UserTokenType.UserName and plain and self._may_be_plain():
            return plain[0]
        raise CredentialsRefused(
            reason="the server takes this user only readable or by a withdrawn security policy: set `security` to"
            " sign_and_encrypt"
        )

    @contextmanager
    def _faults_read(self) -> Iterator[None]:
        """Let a ServiceFault in answer to the first message be one: asyncua takes it for a broken channel."""
        protocol: Any = self.uaclient.protocol
        if protocol is None:
            raise ConnectionError("the connection was lost")
        process = protocol._process_received_message  # noqa: SLF001

        def checked(message: Any) -> None:
            if isinstance(message, ua.Message):
                protocol.check_answer(message.body(), "")
            process(message)

        protocol._process_received_message = checked  # noqa: SLF001
        try:
            yield
        finally:
            del protocol._process_received_message  # noqa: SLF001

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except exceptions.InvalidSignature as error:
            raise CertificateRefused(reason="the server's signature is not that of its certificate") from error
        except UaStatusCodeError as error:
            name = type(error).__name__
            if name in _OURS_REFUSED and self._own is not None:
                raise self._ours_refused(self._own, name) from error
            refusal = link_error(error, self._settings.endpoint)
            if isinstance(refusal, CredentialsRefused) and self.user_certificate is not None:
                raise CredentialsRefused(reason="the server refuses this user's certificate") from error
            raise

    def _may_be_plain(self) -> bool:
        settings = self._settings
        if settings.security == "none":
            return settings.password_in_clear or is_loopback(settings.endpoint)
        return settings.security == "sign_and_encrypt"

    def _identify(self, identity: Identity) -> None:
        if identity.user is not None and identity.password is not None:
            self.set_user(identity.user)
            self.set_password(identity.password)
        if identity.certificate is not None:
            self.user_certificate = identity.certificate.x509
            self.user_private_key = identity.key

    async def _still_the_same(self, _certificate: x509.Certificate, application: Any) -> None:
        # asyncua has compared the certificate; the name was told unsecured before.
        now = clean(application.ApplicationUri or "")
        if now != self._server_application:
            raise CertificateRefused(reason=f"the server calls itself {now} now, before {self._server_application}")

    def _ours_refused(self, own: OwnCertificate, answer: str) -> CertificateRefused:
        thumbprint = own.certificate.thumbprint
        return CertificateRefused(
            reason=f"the server refuses this lab's certificate ({answer}): trust it at the machine. Its thumbprint is"
            f" {grouped(thumbprint)}, its file {own.certificate_file}"
        )


def choose(offered: tuple[Endpoint, ...], settings: OpcUaSettings) -> Endpoint:
    """Return the endpoint with exactly the policy and mode of the settings. Raises NeedsPerson."""
    uri = POLICY_URIS["none" if settings.security == "none" else settings.policy]
    for one in offered:
        if one.url.startswith("opc.tcp://") and one.policy_uri == uri and one.mode == settings.security:
            return one
    listed = ", ".join(sorted({f"{one.policy} {one.mode}" for one in offered})) or "nothing"
    wanted = "none" if settings.security == "none" else f"{settings.policy} with {settings.security}"
    raise NeedsPerson(reason=f"the server does not offer {wanted}; it offers {listed}")


def server_peer(url: str, endpoint: Endpoint) -> Peer:
    """Return who the certificate of an endpoint has to be: the host that was called, and what it calls itself."""
    parts = urlsplit(url)
    return Peer(f"the server {parts.netloc}", "server", endpoint.application.uri, parts.hostname)


def _certificates(pki: Pki, endpoint: Endpoint, url: str) -> tuple[Certificate, OwnCertificate]:
    try:
        return pki.check(endpoint.certificate, server_peer(url, endpoint)), pki.own()
    except pki_errors.OwnCertificateUnusable as error:
        raise NeedsPerson(reason=_lower(error)) from error
    except (pki_errors.CertificateRefused, pki_errors.NotACertificate) as error:
        raise CertificateRefused(reason=_lower(error)) from error
    except OSError as error:
        raise LinkLost(reason=f"the certificates in {pki.folder} cannot be read ({error.strerror})") from error


def _lower(error: Exception) -> str:
    """Return a sentence as a part of another one."""
    sentence = str(error).removesuffix(".")
    return sentence[:1].lower() + sentence[1:]
