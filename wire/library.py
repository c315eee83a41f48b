# SPDX-License-Identifier: GPL-3.0-or-later
"""How the office approves a piece of the library: `piece.sig` in the piece's folder, read alike on both sides.

A piece is a folder of plain files. `piece.sig` is one JSON object: `v`, the name of the folder as `piece`, `files` with
name, bytes and SHA-256 of every other file, the public key as `key`, and as `signature` the Ed25519 signature (RFC
8032) of SIGNED and the canonical JSON of all the rest. A byte that differs, a file more and a file less are all of
them a piece that nobody has approved. Whatever is in a folder, the answer is a value or BadPiece.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.codec import canonical
from wire.stick import Listed

VERSION = 1
SIGNATURE = "piece.sig"
SIGNED = b"InfoMobil piece 1\n"
"""Stands before what is signed, so that a signature of a piece is none of anything else."""
MAX_FILE = 2_000_000
"""Bytes of one file."""
MAX_FILES = 32
"""Files of one piece, with its signature."""

_PIECE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_KEY = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


class Flaw(StrEnum):
    """What is wrong with the folder of a piece."""

    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    UNTRUSTED = "untrusted"
    FORGED = "forged"
    CHANGED = "changed"
    ADDED = "added"
    MISSING = "missing"


class BadPiece(ValueError):
    """A folder that is no approved piece. The argument is the reason in a person's words; file is the one meant."""

    def __init__(self, flaw: Flaw, why: str, file: str = "") -> None:
        super().__init__(why)
        self.flaw = flaw
        self.file = file


@dataclass(frozen=True, slots=True)
class PieceSignature:
    """What piece.sig says: whose folder it is, its files, the key and the signature, both in hexadecimal."""

    piece: str
    files: tuple[Listed, ...]
    key: str
    signature: str


def is_key(text: str) -> bool:
    """Return whether `text` is a public key as piece.sig writes it: 64 hexadecimal digits in small letters."""
    return _KEY.fullmatch(text) is not None


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return all files of a piece's folder by name; blocks. Raises BadPiece for what cannot be a piece."""
    try:
        if folder.is_symlink():
            # A link within the folder stands for nothing either: what is approved lies where it is looked for.
            raise BadPiece(Flaw.UNREADABLE, "the folder cannot be read: it is a link to another place")
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise BadPiece(Flaw.UNREADABLE, f"the folder cannot be read: {error.strerror}") from error
    if len(names) > MAX_FILES:
        raise BadPiece(Flaw.ADDED, f"the folder holds {len(names)} files, more than the {MAX_FILES} of a piece")
    return {name: _read(folder, name) for name in names}


def _read(folder: Path, name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise BadPiece(Flaw.ADDED, f"no file of a piece has the name {name!r:.60}", ascii(name)[:60])
    try:
        # A link would let one folder stand for another, and to open a pipe would wait for somebody to write into it.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadPiece(Flaw.ADDED, f"{name} is no plain file", name)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_FILE + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise BadPiece(Flaw.ADDED, f"{name} is no plain file", name) from error
        raise BadPiece(Flaw.UNREADABLE, f"{name} cannot be read: {error.strerror}", name) from error
    if len(data) > MAX_FILE:
        raise BadPiece(Flaw.UNREADABLE, f"{name} is over {MAX_FILE // 1_000_000} MB", name)
    return data


def listing(files: Mapping[str, bytes]) -> tuple[Listed, ...]:
    """Return name, size and SHA-256 of every file but the signature, in order of their names."""
    return tuple(
        Listed(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in sorted(files.items())
        if name != SIGNATURE
    )


def require_same(approved: Iterable[Listed], found: Iterable[Listed]) -> None:
    """Raise BadPiece that names the first file in which what was found differs from what was approved."""
    wanted, there = ({item.name: item for item in items} for items in (approved, found))
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            raise BadPiece(Flaw.MISSING, f"{name} is missing", name)
        if name not in wanted:
            raise BadPiece(Flaw.ADDED, f"{name} was added after the piece was approved", name)
        if wanted[name] != there[name]:
            raise BadPiece(Flaw.CHANGED, f"{name} was changed after the piece was approved", name)


def sign_piece(piece: str, files: Mapping[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """Return the bytes of piece.sig for the files of the folder `piece`. Raises BadPiece for the name of a folder."""
    if not _PIECE.fullmatch(piece):
        raise BadPiece(Flaw.MALFORMED, "the name of the folder is no id: a-z, 0-9 and single dashes")
    rest = _rest(piece, listing(files), key.public_key().public_bytes_raw().hex())
    return _written(rest, key.sign(SIGNED + canonical(rest)).hex())


def _written(rest: Mapping[str, Any], signature: str) -> bytes:
    return json.dumps({**rest, "signature": signature}, indent=1).encode() + b"\n"


def _rest(piece: str, files: Iterable[Listed], key: str) -> dict[str, Any]:
    listed = [[item.name, item.size, item.sha256] for item in files]
    return {"v": VERSION, "piece": piece, "files": listed, "key": key}


def decode_signature(payload: bytes) -> PieceSignature:
    """Return what piece.sig says, believed by nobody yet. Raises BadPiece."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _malformed("is not JSON") from error
    if not isinstance(body, dict) or body.get("v") != VERSION or isinstance(body["v"], bool):
        raise _malformed(f"is not one of version {VERSION}")
    if body.keys() != {"v", "piece", "files", "key", "signature"}:
        raise _malformed("does not hold v, piece, files, key and signature, and nothing else")
    piece, files, key, signature = (body[name] for name in ("piece", "files", "key", "signature"))
    if not isinstance(piece, str) or not _PIECE.fullmatch(piece):
        raise _malformed("names no piece")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise _malformed("names no key")
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise _malformed("holds no signature")
    if not isinstance(files, list) or not 0 < len(files) < MAX_FILES:
        raise _malformed(f"does not list 1 to {MAX_FILES - 1} files")
    listed = tuple(_listed(item) for item in files)
    if len({item.name for item in listed}) != len(listed):
        raise _malformed("lists a file twice")
    return PieceSignature(piece, listed, key, signature)


def _listed(item: Any) -> Listed:
    match item:
        case [str(name), int(size), str(sha256)] if (
            not isinstance(size, bool) and 0 <= size <= MAX_FILE and _NAME.fullmatch(name) and _KEY.fullmatch(sha256)
        ):
            return Listed(name, size, sha256)
        case _:
            raise _malformed("lists something that is no file")


def _malformed(why: str) -> BadPiece:
    return BadPiece(Flaw.MALFORMED, f"{SIGNATURE} {why}", SIGNATURE)


def require_signed(piece: str, files: Mapping[str, bytes], keys: Collection[str]) -> PieceSignature:
    """Return what piece.sig says of the folder `piece`, once one of `keys` has vouched for every byte in it.

    keys are public keys, 64 hexadecimal digits. Raises BadPiece.
    """
    if SIGNATURE not in files:
        raise BadPiece(Flaw.UNSIGNED, f"the office has not signed it: there is no {SIGNATURE}")
    said = decode_signature(files[SIGNATURE])
    if said.key not in keys:
        raise BadPiece(Flaw.UNTRUSTED, f"it is signed with the key {said.key[:16]}.., which is none of the office's")
    rest = _rest(said.piece, said.files, said.key)
    if files[SIGNATURE] != _written(rest, said.signature):
        # It would mean the same. But then there were bytes in the folder for which nobody stands.
        raise _malformed("is not written as the office writes it")
    message = SIGNED + canonical(rest)
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(said.key)).verify(bytes.fromhex(said.signature), message)
    except InvalidSignature as error:
        raise BadPiece(Flaw.FORGED, f"the signature in {SIGNATURE} does not hold", SIGNATURE) from error
    if said.piece != piece:
        raise BadPiece(Flaw.FORGED, f"{SIGNATURE} is that of the piece {said.piece}", SIGNATURE)
    require_same(said.files, listing(files))
    return said
