# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of machines, authorities and users, right ones and wrong ones, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.pki.certificate import Certificate, from_der

SERVER_URI = "urn:test:lathe"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.der

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pem(self) -> bytes:
        return self.certificate.x509.public_bytes(Encoding.PEM)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write certificate (DER) and key (PEM, for its owner only); return both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / f"{name}.der", folder / f"{name}.pem"
        certificate.write_bytes(self.der)
        key.touch(0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a key; the same one for the same number, because making them takes time."""
    assert number >= 0
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make(
    name: str = "lathe",
    uri: str | None = SERVER_URI,
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
    issuer: Made | None = None,
    key: rsa.RSAPrivateKey | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
    authority: bool = False,
    path_length: int | None = None,
    signs: bool = True,
    purposes: tuple[x509.ObjectIdentifier, ...] | None = (
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    ),
) -> Made:
    """Return a certificate of an application, signed by itself or by `issuer`."""
    key = key or rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.x509.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or now - DAY)
        .not_valid_after(end or now + 365 * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(_usage(signs=signs, authority=authority), critical=True)
    )
    names: list[x509.GeneralName] = [] if uri is None else [x509.UniformResourceIdentifier(uri)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Made(from_der(signed.public_bytes(Encoding.DER), name), key)


def make_authority(
    name: str = "fleet", number: int = 1, issuer: Made | None = None, path_length: int | None = None
) -> Made:
    """Return the certificate of an authority."""
    return make(
        name,
        uri=None,
        hosts=(),
        issuer=issuer,
        key=rsa_key(number),
        authority=True,
        path_length=path_length,
        purposes=None,
    )


def _usage(*, signs: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=True,
        key_encipherment=not authority,
        data_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
