# SPDX-License-Identifier: GPL-3.0-or-later
"""Approving pieces of the library: the office's key, and the signature that it puts into a piece's folder."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from office.broker.files import PUBLIC, SECRET, make_folder, write_whole
from office.errors import OfficeError
from wire.library import SIGNATURE, BadPiece, PieceSignature, read_folder, require_signed, sign_piece

FILES = ("piece.toml", "program.nc", "preview.svg")
"""What a van needs of every piece."""
_OTHERS = 0o077


class KeyExists(OfficeError):
    """{path} is there already; pieces that it has signed would hold no longer with another key."""


class KeyUnusable(OfficeError):
    """The key {path} cannot be used: {reason}."""


class PieceNotSigned(OfficeError):
    """{folder} is not signed: {reason}."""


class LibraryKey:
    """The private key by which the office approves pieces."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public_hex(self) -> str:
        """Return the public key, 64 hexadecimal digits, as the configuration of a van names it."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, folder: Path) -> PieceSignature:
        """Write piece.sig into the folder of a piece, replacing one before it. Raises PieceNotSigned."""
        folder = folder.resolve()
        try:
            files = read_folder(folder)
            _require_piece(folder, set(files), files.get("piece.toml", b""))
            write_whole(folder / SIGNATURE, sign_piece(folder.name, files, self._private), PUBLIC)
            return verify(folder, [self.public_hex])
        except BadPiece as error:
            raise PieceNotSigned(folder=folder, reason=error) from error
        except OSError as error:
            raise PieceNotSigned(folder=folder, reason=f"it takes no file ({error.strerror})") from error


def _require_piece(folder: Path, names: set[str], described: bytes) -> None:
    for name in FILES:
        if name not in names:
            raise PieceNotSigned(folder=folder, reason=f"{name} is missing")
    try:
        piece_id = tomllib.loads(described.decode()).get("id")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PieceNotSigned(folder=folder, reason=f"piece.toml is not TOML: {error}") from error
    if piece_id != folder.name:
        raise PieceNotSigned(
            folder=folder, reason=f"piece.toml calls it {piece_id!r}, which is not the name of the folder"
        )


def verify(folder: Path, keys: Collection[str]) -> PieceSignature:
    """Return what piece.sig says, once one of `keys` vouches for every byte: just as a van does. Raises BadPiece."""
    folder = folder.resolve()
    return require_signed(folder.name, read_folder(folder), keys)


def make_key(path: Path) -> LibraryKey:
    """Return a new key, written to `path` for nobody else to read. Raises KeyExists, KeyUnusable."""
    if path.exists():
        raise KeyExists(path=path)
    key = Ed25519PrivateKey.generate()
    try:
        make_folder(path.parent, 0o700)
        write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), SECRET)
    except OSError as error:
        raise KeyUnusable(path=path, reason=error.strerror) from error
    return LibraryKey(key)


def load_key(path: Path) -> LibraryKey:
    """Return the key in a file. Raises KeyUnusable, also where others than its owner may read it."""
    try:
        with path.open("rb") as file:
            open_to = os.fstat(file.fileno()).st_mode & _OTHERS
            content = file.read()
    except FileNotFoundError as error:
        raise KeyUnusable(path=path, reason="there is none; `infomobil-office library key --new` makes one") from error
    except OSError as error:
        raise KeyUnusable(path=path, reason=error.strerror) from error
    if open_to:
        raise KeyUnusable(path=path, reason=f"others may read it; `chmod 600 {path}` first")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(path=path, reason="it is no private key without a password, in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(path=path, reason="it is no Ed25519 key")
    return LibraryKey(key)
