# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own Ed25519 key (RFC 8032): made at the first start, kept on the card, never sent. It signs sticks.

A card that is cloned takes the key along: it tells a lab from others, not a card from its copies.
"""

from __future__ import annotations

import logging
from itertools import count
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge.domain.errors import InfoMobilError
from edge.files import make_folder, write_whole

log = logging.getLogger(__name__)

FILE = "lab.pem"
_OWNER_ONLY = 0o600
_OTHERS = 0o077


class KeyUnusable(InfoMobilError):
    """The lab's key {path} cannot be used: {reason}."""


class LabKey:
    """The private key; only its public half and what it signs leave this object."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public_hex(self) -> str:
        """Return the public key, 32 bytes in hexadecimal, as presence says it."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes."""
        return self._private.sign(message)


def lab_key(folder: Path) -> LabKey:
    """Return the key in `folder`, made now where there is none. Blocks; raises KeyUnusable.

    A damaged file is set aside and a new key made: the office then hears of another key, and a person decides. One that
    may not be read, or a disk that takes no file, is another matter, and the key stays as it is.
    """
    path = folder / FILE
    try:
        make_folder(folder, 0o700)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return _make(path)
        if path.stat().st_mode & _OTHERS:
            path.chmod(_OWNER_ONLY)
        key = _parse(content)
        if key is None:
            aside = _set_aside(path)
            log.error("The lab's key %s is damaged: kept as %s, a new one is made.", path, aside.name)
            return _make(path)
    except OSError as error:
        raise KeyUnusable(path=path, reason=error.strerror or str(error)) from error
    return LabKey(key)


def _parse(content: bytes) -> Ed25519PrivateKey | None:
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


def _make(path: Path) -> LabKey:
    """Write a new key so that a power cut leaves it whole or not at all."""
    key = Ed25519PrivateKey.generate()
    try:
        # A second process that makes a key at the same moment must not end with another one than the first.
        write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), _OWNER_ONLY, new=True)
    except FileExistsError:
        found = _parse(path.read_bytes())
        if found is None:
            raise KeyUnusable(path=path, reason="another program wrote it just now, and not well") from None
        key = found
    return LabKey(key)


def _set_aside(path: Path) -> Path:
    for number in count(1):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            break
    path.rename(aside)
    return aside
