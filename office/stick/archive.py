# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the file of a stick. Total: whatever the bytes, the answer is a Stick or BadStick with a sentence.

A zip archive can be many things (PKWARE's APPNOTE.TXT, 6.3.10); this reads the one that labs write and refuses the
others: entries stored as they are, one after the other, each with its size before it. So nothing unpacks to more than
it is, nothing overlaps, and no more than one entry is in memory.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from office.errors import OfficeError
from wire.batch import BadMessage
from wire.stick import (
    MANIFEST,
    MAX_FILES,
    MAX_MANIFEST,
    MAX_STICK,
    SIGNATURE,
    Listed,
    Manifest,
    decode_manifest,
    to_sign,
)

SIGNATURE_BYTES = 64

_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_MARK, _DIRECTORY_MARK = b"PK\x03\x04", b"PK\x01\x02"
_UTF8_NAMES = 0x0800
_NAME = re.compile(rb"[0-9A-Za-z._/-]{1,120}")
_END_ROOM = 1 << 22
"""Bytes for the archive's own directory, beside what MAX_STICK counts."""


class BadStick(OfficeError):
    """The stick is not taken in: {reason}."""


@dataclass(frozen=True, slots=True)
class Stick:
    """A stick whose signature and content hold together. Whether to believe its key is another matter."""

    manifest: Manifest
    sha256: str
    places: dict[str, tuple[int, int]]
    file: BinaryIO

    def contents(self) -> Iterator[tuple[Listed, bytes]]:
        """Yield each file that the manifest lists, in its order, with its bytes. Raises BadStick."""
        for item in self.manifest.files:
            yield item, _content(self.file, self.places[item.name], item)


def read_stick(file: BinaryIO) -> Stick:
    """Return what is on the stick, its signature and every checksum verified. Blocks; raises BadStick.

    Nothing is unpacked and no batch is looked into before the signature holds.
    """
    try:
        return _read(file)
    except OSError as error:
        raise BadStick(reason=f"it cannot be read ({error.strerror or error})") from error


def _read(file: BinaryIO) -> Stick:
    size = file.seek(0, 2)
    if size > MAX_STICK + _END_ROOM:
        raise BadStick(reason=f"it has {size} bytes, more than {MAX_STICK}")
    places = _places(file, size)
    payload = _at(file, _place(places, MANIFEST, MAX_MANIFEST))
    signature = _at(file, _place(places, SIGNATURE, SIGNATURE_BYTES))
    try:
        manifest = decode_manifest(payload)
    except BadMessage as error:
        raise BadStick(reason=str(error)) from error
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest.key)).verify(signature, to_sign(payload))
    except (InvalidSignature, ValueError) as error:
        raise BadStick(reason="its signature does not hold: it was changed after the van wrote it") from error
    listed = {item.name for item in manifest.files}
    if missing := listed - set(places):
        raise BadStick(reason=f"{min(missing)} is missing: copy the file again")
    if foreign := set(places) - listed - {MANIFEST, SIGNATURE}:
        raise BadStick(reason=f"{min(foreign)} is not among what the van wrote")
    for item in manifest.files:
        _content(file, places[item.name], item)
    return Stick(manifest, hashlib.sha256(payload).hexdigest(), places, file)


def _places(file: BinaryIO, size: int) -> dict[str, tuple[int, int]]:
    """Return where the entries are, (offset, bytes) by name."""
    places: dict[str, tuple[int, int]] = {}
    at = 0
    while True:
        file.seek(at)
        header = file.read(_LOCAL.size)
        if header[:4] == _DIRECTORY_MARK:
            return places
        if len(header) < _LOCAL.size or header[:4] != _LOCAL_MARK:
            why = "it is not a van's file" if at == 0 else "it ends too early or is damaged: copy the file again"
            raise BadStick(reason=why)
        _, _, flags, method, _, _, _, packed, plain, name_bytes, extra = _LOCAL.unpack(header)
        if flags & ~_UTF8_NAMES or method != 0 or packed != plain or extra:
            raise BadStick(reason="it is packed in a way that vans do not pack")
        name = file.read(name_bytes)
        if len(name) != name_bytes or not _NAME.fullmatch(name):
            raise BadStick(reason="it holds a file with a name that vans do not give")
        begin = at + _LOCAL.size + name_bytes
        at = begin + plain
        if at > size:
            raise BadStick(reason="it ends too early: copy the file again")
        text = name.decode("ascii")
        if text in places:
            raise BadStick(reason=f"it holds {text} twice")
        places[text] = (begin, plain)
        if len(places) > MAX_FILES + 2:
            raise BadStick(reason=f"it holds more than {MAX_FILES} files")


def _place(places: dict[str, tuple[int, int]], name: str, most: int) -> tuple[int, int]:
    if name not in places:
        raise BadStick(reason=f"{name} is missing: it is not a van's file, or it was not copied whole")
    begin, size = places[name]
    if size > most:
        raise BadStick(reason=f"{name} has {size} bytes, more than {most}")
    return begin, size


def _at(file: BinaryIO, place: tuple[int, int]) -> bytes:
    begin, size = place
    file.seek(begin)
    return file.read(size)


def _content(file: BinaryIO, place: tuple[int, int], item: Listed) -> bytes:
    content = _at(file, place) if place[1] == item.size else b""
    if hashlib.sha256(content).hexdigest() != item.sha256:
        raise BadStick(reason=f"{item.name} is not as the van wrote it: copy the file again")
    return content
