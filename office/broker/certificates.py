# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and the revocation list as values: RFC 5280, keys on the curve P-256, signed with SHA-256.

Two kinds of lifetime. What the broker checks (labs and the office, by the clock of a computer that has one) ends after
a few years. What labs check (authority and broker) is good from 1970 to 2100: a van without a clock may think that it
is either, a lifetime that the reader cannot judge protects nobody, and a van that is refused never learns the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from office.broker.register import Issued, Kind

AUTHORITY_NAME = "InfoMobil broker authority"
FIRST_DAY, LAST_DAY = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
BACKDATED = timedelta(days=1)
"""The broker's clock may be behind that of the computer which issues."""
LIST_BACKDATED = timedelta(hours=1)
LIFETIME = {Kind.LAB: timedelta(days=3 * 365), Kind.OFFICE: timedelta(days=2 * 365)}

Key = ec.EllipticCurvePrivateKey
_SECOND = timedelta(seconds=1)


def new_key() -> Key:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """Return `key` as unencrypted PKCS #8 in PEM: services start without anybody at the keyboard."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """Return a certificate or a list in PEM."""
    return signed.public_bytes(Encoding.PEM)


def lifetime(kind: Kind, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when a certificate issued at `now` (UTC) is good."""
    if kind is Kind.SERVER:
        return FIRST_DAY, LAST_DAY
    now = now.replace(microsecond=0)
    return now - BACKDATED, now + LIFETIME[kind]


def authority(key: Key) -> x509.Certificate:
    """Return the certificate of the authority, signed by itself. It can sign certificates, no further authorities."""
    name = _name(AUTHORITY_NAME)
    return (
        _begun(name, name, key.public_key(), FIRST_DAY, LAST_DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def issue(
    kind: Kind,
    name: str,
    alternative: Iterable[str],
    key: Key,
    issuer: x509.Certificate,
    issuer_key: Key,
    now: datetime,
) -> x509.Certificate:
    """Return a certificate for `name` with the alternative names (hosts or addresses) given.

    A server's certificate is good for a server alone, the others for a client alone: a lab cannot pose as the broker.
    """
    begin, end = lifetime(kind, now)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if kind is Kind.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH
    return (
        _begun(_name(name), issuer.subject, key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in alternative]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def revocation_list(
    number: int, before: datetime | None, issued: Iterable[Issued], issuer: x509.Certificate, key: Key, now: datetime
) -> x509.CertificateRevocationList:
    """Return the list of all that are revoked. number counts the lists, before is when the one before says it was made.

    Mosquitto adds a list it is told to read again to those it has, and OpenSSL takes the one made last, by whole
    seconds: so each is a second younger than the one before, and all are backdated lest one be of the future. The list
    does not end before the authority does: one that had ended would shut everybody out.
    """
    made = (now - LIST_BACKDATED).replace(microsecond=0)
    if before is not None:
        made = max(made, before + _SECOND)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(made)
        .next_update(LAST_DAY)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for one in issued:
        if one.revoked is not None:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.revoked)
            builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256())


def _begun(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
