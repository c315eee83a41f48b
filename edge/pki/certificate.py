# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate as OPC UA looks at it: who, which application, which hosts, from when to when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from edge.pki.errors import NotACertificate

_LONG_FORM = 0x80
_MAX_BYTES = 64 * 1024
_LONGEST = 1000
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)

Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Certificate:
    """One X.509 certificate; two are equal where their DER bytes are."""

    der: bytes = field(repr=False)
    x509: x509.Certificate = field(compare=False)

    @cached_property
    def thumbprint(self) -> str:
        """Return the SHA-1 of the DER, 40 capital hexadecimal digits: what OPC UA tools show (OPC 10000-6, 6.2.2)."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the DER, 64 capital hexadecimal digits."""
        return hashlib.sha256(self.der).hexdigest().upper()

    @property
    def pem(self) -> bytes:
        """Return it as PEM."""
        return self.x509.public_bytes(Encoding.PEM)

    @cached_property
    def name(self) -> str:
        """Return the common name, or the whole subject where it has none."""
        names = self.x509.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return shown(str(names[0].value) if names else self.x509.subject.rfc4514_string())

    @cached_property
    def issuer(self) -> str:
        """Return who issued it; the text "itself" where it is signed with its own key."""
        return "itself" if self.is_self_signed else shown(self.x509.issuer.rfc4514_string())

    @cached_property
    def application_uris(self) -> tuple[str, ...]:
        """Return the application URIs that it names, by the standard one."""
        names = self.extension(x509.SubjectAlternativeName)
        return () if names is None else tuple(map(shown, names.get_values_for_type(x509.UniformResourceIdentifier)))

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Return the host names and addresses that it names."""
        names = self.extension(x509.SubjectAlternativeName)
        if names is None:
            return ()
        addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
        return (*map(shown, names.get_values_for_type(x509.DNSName)), *addresses)

    @property
    def not_before(self) -> datetime:
        """Return the UTC moment from which it is valid."""
        return self.x509.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Return the UTC moment until which it is valid."""
        return self.x509.not_valid_after_utc

    @cached_property
    def is_self_signed(self) -> bool:
        """Return whether it is signed with its own key."""
        return self.is_issued_by(self)

    @cached_property
    def is_authority(self) -> bool:
        """Return whether it may vouch for others.

        openssl makes its self-signed certificates of machines authorities unless told otherwise: what names an
        application is that application's and nobody's authority.
        """
        constraints = self.extension(x509.BasicConstraints)
        usage = self.extension(x509.KeyUsage)
        return (
            constraints is not None
            and constraints.ca
            and not self.application_uris
            and (usage is None or usage.key_cert_sign)
        )

    @cached_property
    def rsa_bits(self) -> int | None:
        """Return the length of the RSA key, bits; None where the key is of another kind."""
        key = self.x509.public_key()
        return key.key_size if isinstance(key, rsa.RSAPublicKey) else None

    def is_issued_by(self, other: Certificate) -> bool:
        """Return whether `other` signed this one."""
        try:
            self.x509.verify_directly_issued_by(other.x509)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
            return False
        return True

    def extension(self, kind: type[Extension]) -> Extension | None:
        """Return an extension's value, None where it has none."""
        try:
            return self.x509.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def from_der(der: bytes, what: str) -> Certificate:
    """Return the certificate in `der`; `what` names the source in the error. Raises NotACertificate."""
    try:
        certificate = Certificate(der, x509.load_der_x509_certificate(der))
        # Everything is looked at now: what is damaged further in is refused here as well.
        _ = certificate.application_uris, certificate.is_authority, certificate.rsa_bits, certificate.name
        _ = certificate.issuer, certificate.not_before, certificate.not_after
    except _UNREADABLE as error:
        raise NotACertificate(what=what, reason=_first_line(error)) from error
    return certificate


def split_chain(data: bytes, what: str) -> tuple[Certificate, ...]:
    """Return the certificates in `data`, one DER after the other, the application's own first.

    Raises NotACertificate.
    """
    if len(data) > _MAX_BYTES:
        raise NotACertificate(what=what, reason=f"it has {len(data)} bytes")
    found = []
    while data:
        length = _der_length(data)
        found.append(from_der(data[:length], what))
        data = data[length:]
    if not found:
        raise NotACertificate(what=what, reason="it is empty")
    return tuple(found)


def read(path: Path) -> Certificate:
    """Return the certificate in a file, DER or PEM. Raises NotACertificate."""
    try:
        content = path.read_bytes()[:_MAX_BYTES]
    except OSError as error:
        raise NotACertificate(what=str(path), reason=error.strerror or str(error)) from error
    if content.lstrip().startswith(b"-----BEGIN"):
        try:
            content = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
        except _UNREADABLE as error:
            raise NotACertificate(what=str(path), reason=_first_line(error)) from error
    return from_der(content, str(path))


def grouped(thumbprint: str) -> str:
    """Return a thumbprint in groups of four, as a person compares it."""
    return " ".join(thumbprint[at : at + 4] for at in range(0, len(thumbprint), 4))


def shown(text: str) -> str:
    """Return a stranger's text as a terminal may show it: beside a thumbprint that a person compares, of all places."""
    return "".join(one if one.isprintable() else "?" for one in text[:_LONGEST])


def _der_length(data: bytes) -> int:
    """Return the number of bytes of the first DER element of `data` (ITU-T X.690, 8.1.3)."""
    if len(data) < 2 or data[1] < _LONG_FORM:
        return max(2, 2 + data[1]) if len(data) > 1 else 1
    digits = data[1] - _LONG_FORM
    return 2 + digits + int.from_bytes(data[2 : 2 + digits], "big")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
