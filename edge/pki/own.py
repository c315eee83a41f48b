# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate by which this lab is known to machines and clients, and its key.

It is made once, at the first start, and then stays: every machine that trusts this lab trusts this very certificate.
Nothing here ever makes another one by itself, neither for a damaged file nor for an expired or renamed one; a person
does, with `infomobil-edge opcua certificate --renew`. Contents follow OPC 10000-6, 6.2.2.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.files import like_its_folder, make_folder, write_whole
from edge.pki.certificate import Certificate, from_der, read
from edge.pki.errors import NotACertificate, OwnCertificateUnusable

KEY_BITS = 2048
VALID_FOR = timedelta(days=3653)
# A computer without a battery clock begins its life in the past: no certificate is dated before this program.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
# Other clocks of a van are behind by some hours rather than by a day.
_BACKDATED = timedelta(days=1)
_RENEW = "`infomobil-edge opcua certificate --renew` makes a new one, which every machine has to trust anew"


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """The certificate, its key as PEM (PKCS 8, not encrypted), and where both are."""

    certificate: Certificate
    key_pem: bytes = field(repr=False)
    certificate_file: Path
    key_file: Path

    @property
    def application_uri(self) -> str:
        """Return the URI that the certificate names: what this lab has to call itself."""
        return self.certificate.application_uris[0]


def load_or_make(folder: Path, application_name: str, now: datetime) -> OwnCertificate:
    """Return the certificate in `folder`, made where neither it nor its key are there.

    Two processes that start at once get the same one. It blocks for the making of a key: up to some seconds on a small
    computer. Raises OwnCertificateUnusable.
    """
    with _locked(folder):
        key_file, certificate_file = _files(folder)
        if not certificate_file.exists():
            # A key alone is left where the first start was cut: nobody has seen a certificate of it.
            key = _read_key(key_file) if key_file.exists() else None
            _write_both(folder, application_name, now, key)
        return _load(folder)


def renew(folder: Path, application_name: str, now: datetime) -> OwnCertificate:
    """Make a new key and certificate; the old ones stay beside them as `*.old`. Raises OwnCertificateUnusable."""
    with _locked(folder):
        for path in _files(folder):
            if path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        _write_both(folder, application_name, now, None)
        return _load(folder)


def host_names() -> tuple[list[str], list[str]]:
    """Return this computer's names and addresses, as they are now, loopback included."""
    name = host_name()
    names = [name, "localhost"]
    addresses = {"127.0.0.1"}
    try:
        addresses.update(str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(name, None))
    except OSError:
        pass  # a van's computer need not be known to any name service
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it asks which of our addresses a route outwards would have (192.0.2.0/24 is for examples).
            probe.connect(("192.0.2.1", 9))
            addresses.add(str(probe.getsockname()[0]))
        except OSError:
            pass  # no network at all
    return names, sorted(addresses - {"0.0.0.0"})


def host_name() -> str:
    """Return this computer's name, in characters that certificates and URNs permit."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).strip("-.") or "localhost"


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "key.pem", folder / "certificate.der"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        make_folder(folder, 0o700)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OwnCertificateUnusable(reason=f"the folder {folder} cannot be used ({error.strerror})") from error
    try:
        like_its_folder(folder / ".lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise OwnCertificateUnusable(reason=f"the folder {folder} cannot be used ({error.strerror})") from error
    finally:
        os.close(lock)


def _load(folder: Path) -> OwnCertificate:
    key_file, certificate_file = _files(folder)
    if not key_file.exists():
        raise OwnCertificateUnusable(
            reason=f"its key {key_file} is missing; put it back from a backup, or {_RENEW}",
        )
    key = _read_key(key_file)
    try:
        certificate = read(certificate_file)
    except NotACertificate as error:
        raise OwnCertificateUnusable(
            reason=f"{certificate_file} cannot be read ({error.reason}); put it back from a backup, or {_RENEW}"
        ) from error
    if certificate.x509.public_key() != key.public_key():
        raise OwnCertificateUnusable(reason=f"{key_file} is not the key of {certificate_file}; {_RENEW}")
    if not certificate.application_uris:
        raise OwnCertificateUnusable(reason=f"{certificate_file} names no application URI; {_RENEW}")
    return OwnCertificate(certificate, _pem(key), certificate_file, key_file)


def _read_key(path: Path) -> rsa.RSAPrivateKey:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise OwnCertificateUnusable(reason=f"others may read its key {path}: run `chmod 600 {path}`")
        content = path.read_bytes()
    except OSError as error:
        raise OwnCertificateUnusable(reason=f"its key {path} cannot be read ({error.strerror})") from error
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OwnCertificateUnusable(
            reason=f"its key {path} is damaged; put it back from a backup, or {_RENEW}"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise OwnCertificateUnusable(reason=f"its key {path} is no RSA key; {_RENEW}")
    return key


def _write_both(folder: Path, application_name: str, now: datetime, key: rsa.RSAPrivateKey | None) -> None:
    key_file, certificate_file = _files(folder)
    if key is None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        write_whole(key_file, _pem(key), 0o600)
    write_whole(certificate_file, _made(application_name, key, now).der, 0o644)


def _made(application_name: str, key: rsa.RSAPrivateKey, now: datetime) -> Certificate:
    names, addresses = host_names()
    begin = max(now, EARLIEST) - _BACKDATED
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, application_name[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "InfoMobil"),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, host_name()),
        ]
    )
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    alternative: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"urn:{host_name()}:infomobil:edge")]
    alternative += [x509.DNSName(one) for one in names]
    alternative += [x509.IPAddress(ip_address(one)) for one in addresses]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        # The standard wants it of what signs itself.
        key_cert_sign=True,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return from_der(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), "the new certificate")


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
