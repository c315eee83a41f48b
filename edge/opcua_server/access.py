# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in: client applications by their certificates, users by their passwords, and what they may ask for."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Mapping
from typing import Any

from asyncua.crypto.permission_rules import PermissionRuleset, User, UserRole
from asyncua.server.user_managers import UserManager

from edge.domain.errors import InfoMobilError
from edge.opcua_server.stack import node_id, ua
from edge.pki import Peer, Pki
from edge.pki.certificate import split_chain
from edge.pki.errors import (
    CertificateRefused,
    NotACertificate,
    NotTrusted,
    NotValidNow,
    WrongApplication,
    WrongUse,
)

log = logging.getLogger(__name__)

_DELAY_S = 1.0
"""For so long after a wrong password no password of this user is taken."""

_CODES = {
    NotTrusted: "BadCertificateUntrusted",
    NotValidNow: "BadCertificateTimeInvalid",
    WrongApplication: "BadCertificateUriInvalid",
    WrongUse: "BadCertificateUseNotAllowed",
}
_READING = (
    "Read Browse BrowseNext TranslateBrowsePathsToNodeIds RegisterNodes UnregisterNodes CreateSubscription"
    " ModifySubscription DeleteSubscriptions SetPublishingMode CreateMonitoredItems"
    " ModifyMonitoredItems DeleteMonitoredItems SetMonitoringMode Publish Republish CloseSession CloseSecureChannel"
)
# These two are let through so that their answers say for each node and method that it is not for writing or calling.
_REFUSED_ONE_BY_ONE = "Write Call"


class ClientRefused(InfoMobilError):
    """The client {peer} is refused ({code}): {reason}"""  # noqa: D400, D415 - the reason is a sentence


class Clients:
    """Looks at the certificates of client applications."""

    def __init__(self, pki: Pki) -> None:
        self._pki = pki

    def admit(self, chain: bytes | None, peer: str) -> None:
        """Refuse a channel whose certificate is not trusted, before anything else is asked of it.

        What the client calls itself is not known yet: `identify` looks at that. Raises ClientRefused.
        """
        self._check(chain, Peer(peer, "client", None), named=False)

    def identify(self, chain: bytes | None, peer: str, application_uri: str | None) -> None:
        """Refuse a session whose application is not that of its certificate. Raises ClientRefused."""
        self._check(chain, Peer(peer, "client", application_uri), named=True)

    def _check(self, chain: bytes | None, peer: Peer, *, named: bool) -> None:
        try:
            certificates = split_chain(chain or b"", f"what {peer.name} shows")
        except NotACertificate as error:
            raise ClientRefused(peer=peer.name, code="BadCertificateInvalid", reason=str(error)) from error
        for refusal in self._pki.refusals(certificates, peer):
            if isinstance(refusal, WrongApplication) and not named:
                continue
            if isinstance(refusal, NotTrusted):
                self._pki.trust_list.reject(certificates[0])
            raise ClientRefused(peer=peer.name, code=_code(refusal), reason=str(refusal)) from refusal


class Users(UserManager):
    """Lets in everybody whom the channel let in, or with `passwords` those who know one. Nobody is an administrator."""

    def __init__(self, passwords: Mapping[str, str], *, anonymous: bool) -> None:
        self._passwords = {name: password.encode() for name, password in passwords.items()}
        self._anonymous = anonymous
        self._again_s: dict[str, float] = {}

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """Return who comes in, None for nobody."""
        if username is None:
            return User(UserRole.User) if self._anonymous or not self._passwords else None
        now = time.monotonic()
        if now < self._again_s.get(username, 0.0):
            return None
        known = self._passwords.get(username)
        # Compared also where there is no such user, so that the time tells nothing.
        matches = hmac.compare_digest(known or b"\0", (password or "").encode())
        if known is not None and matches:
            return User(UserRole.User, username)
        if known is not None:
            self._again_s[username] = now + _DELAY_S
        log.warning("a wrong password, or no such user: %r", username[:64])
        return None


class ReadingOnly(PermissionRuleset):
    """What an activated session may ask for: nothing that changes anything."""

    def __init__(self) -> None:
        self._services = {
            node_id(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"))
            for name in f"{_READING} {_REFUSED_ONE_BY_ONE}".split()
        }

    def check_validity(self, user: Any, action_type: Any, body: Any) -> bool:
        """Return whether the service may be called; asyncua lets sessions that are not activated ask here as well."""
        return user is not None and user.role is UserRole.User and action_type in self._services


def _code(refusal: CertificateRefused) -> str:
    return _CODES.get(type(refusal), "BadCertificateInvalid")
