# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a peer's certificate is accepted: the steps of OPC 10000-4, 6.1.3, without revocation lists.

Every step can only refuse, and each refusal says what a person can do. The clock of a van may be wrong: what is not
valid now is refused all the same, and both dates are said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from shlex import quote
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from edge.pki.certificate import Certificate, grouped
from edge.pki.errors import (
    CertificateRefused,
    NotTrusted,
    NotValidNow,
    WrongApplication,
    WrongHost,
    WrongUse,
)
from edge.pki.own import host_name

_DEPTH = 6
_RSA_BITS = range(2048, 4097)
_PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Peer:
    """Who showed a certificate: name is how a sentence calls it.

    application_uri is what the peer calls itself; host is the name or address by which we called it, None for a client.
    """

    name: str
    role: Literal["server", "client"]
    application_uri: str | None
    host: str | None = None


def refusals(
    chain: Sequence[Certificate], peer: Peer, trusted: Collection[Certificate], now: datetime, store: Path
) -> Iterator[CertificateRefused]:
    """Yield why the first certificate of `chain` is refused, nothing where it is accepted.

    The rest of the chain are authorities that the peer sent along. store is the folder that the command which trusts
    the certificate has to name.
    """
    certificate = chain[0]
    issuers = _way_to_trust(chain, trusted)
    if issuers is None:
        yield NotTrusted(peer=peer.name, reason=_how_to_trust(certificate, store), certificate=certificate)
    for one in (certificate, *(issuers or ())):
        if not one.not_before <= now <= one.not_after:
            yield NotValidNow(peer=peer.name, reason=_time_words(one, certificate, now), certificate=certificate)
    if peer.host is not None and not names_host(certificate, peer.host):
        names = ", ".join(certificate.hosts) or "no host"
        reason = f"it is that of {names}, and the endpoint says {peer.host}: set `endpoint` to the host that it names"
        yield WrongHost(peer=peer.name, reason=reason, certificate=certificate)
    if peer.application_uri not in certificate.application_uris:
        names = ", ".join(certificate.application_uris) or "no application"
        reason = f"it is that of {names}, and the {peer.role} calls itself {peer.application_uri}"
        yield WrongApplication(peer=peer.name, reason=reason, certificate=certificate)
    if why := _wrong_use(certificate, peer.role):
        yield WrongUse(peer=peer.name, reason=why, certificate=certificate)


def names_host(certificate: Certificate, host: str) -> bool:
    """Return whether the certificate names a host; an address may stand among the names, as some servers write it.

    A loopback endpoint is this computer, under whichever of its names.
    """
    wanted = _plain(host)
    named = {_plain(one) for one in certificate.hosts}
    return wanted in named or (_is_loopback(wanted) and any(map(_is_this_computer, named)))


def _plain(host: str) -> str:
    """Return a host name or an address in the one way to write it."""
    host = host.rstrip(".").casefold()
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_this_computer(host: str) -> bool:
    return _is_loopback(host) or host == host_name().casefold()


def _way_to_trust(chain: Sequence[Certificate], trusted: Collection[Certificate]) -> list[Certificate] | None:
    """Return the authorities between a certificate and the trust list, the last one in it; None where no way leads."""
    way: list[Certificate] = []
    current = chain[0]
    if current in trusted:
        return way
    for _ in range(_DEPTH):
        authorities = [one for one in (*trusted, *chain[1:]) if one.is_authority and one != current]
        issuer = next((one for one in authorities if current.is_issued_by(one)), None)
        if issuer is None or not _permits(issuer, len(way)):
            return None
        way.append(issuer)
        if issuer in trusted:
            return way
        current = issuer
    return None


def _permits(authority: Certificate, below: int) -> bool:
    constraints = authority.extension(x509.BasicConstraints)
    return constraints is not None and (constraints.path_length is None or below <= constraints.path_length)


def _how_to_trust(certificate: Certificate, store: Path) -> str:
    return (
        f"nobody has trusted it yet. Compare its thumbprint {grouped(certificate.thumbprint)} with what the other side"
        f" shows, then run: infomobil-edge opcua trust {certificate.thumbprint} --store {quote(str(store))}"
    )


def _time_words(one: Certificate, of: Certificate, now: datetime) -> str:
    whose = "it" if one == of else f"its issuer {one.name}"
    moment = f"{now:%Y-%m-%d %H:%M} UTC"
    if now > one.not_after:
        return f"{whose} has expired on {one.not_after:%Y-%m-%d}, or this lab's clock is wrong: it says {moment}"
    return f"{whose} is valid from {one.not_before:%Y-%m-%d} only, or this lab's clock is wrong: it says {moment}"


def _wrong_use(certificate: Certificate, role: str) -> str:
    bits = certificate.rsa_bits
    if bits is None or bits not in _RSA_BITS:
        size = "no RSA key" if bits is None else f"an RSA key of {bits} bits"
        return f"it has {size}, and the security policies want RSA of 2048 to 4096 bits"
    usage = certificate.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature and usage.key_encipherment):
        return "its key usage does not permit both signing and the enciphering of keys, which a secured channel needs"
    purposes = certificate.extension(x509.ExtendedKeyUsage)
    if purposes is not None and not {_PURPOSES[role], ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes):
        return f"its extended key usage is not that of a {role}"
    return ""
