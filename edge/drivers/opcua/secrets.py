# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and keys of users, by file: read anew at each connection, refused where everybody may read them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.drivers.opcua.errors import NeedsPerson
from edge.drivers.opcua.settings import OpcUaSettings
from edge.pki.certificate import Certificate, read
from edge.pki.errors import NotACertificate

_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """Who logs in: a user with a password, or a certificate with its key, or nobody."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    key: rsa.RSAPrivateKey | None = field(default=None, repr=False)


def identity_of(settings: OpcUaSettings) -> Identity:
    """Read who logs in to a machine. Raises NeedsPerson."""
    if settings.user is not None and settings.password_file is not None:
        try:
            password = _secret(settings.password_file, "password file").decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise NeedsPerson(reason=f"the password file {settings.password_file} is not UTF-8 text") from error
        return Identity(user=settings.user, password=password)
    if settings.user_certificate_file is not None and settings.user_key_file is not None:
        try:
            certificate = read(settings.user_certificate_file)
        except NotACertificate as error:
            raise NeedsPerson(
                reason=f"the user certificate {settings.user_certificate_file} cannot be read ({error.reason})"
            ) from error
        key = _key(settings.user_key_file)
        if key.public_key() != certificate.x509.public_key():
            raise NeedsPerson(
                reason=f"the key {settings.user_key_file} is not that of {settings.user_certificate_file}"
            )
        return Identity(certificate=certificate, key=key)
    return Identity()


def _key(path: Path) -> rsa.RSAPrivateKey:
    content = _secret(path, "key file")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise NeedsPerson(reason=f"the key file {path} holds no PEM key without a password") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise NeedsPerson(reason=f"the key file {path} holds no RSA key")
    return key


def _secret(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IRWXO:
                raise NeedsPerson(reason=f"everybody may read the {what} {path}: run `chmod 600 {path}`")
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise NeedsPerson(reason=f"the {what} {path} cannot be read ({error.strerror})") from error
