# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stick carries: one file of batches, signed by the lab. The bytes of a batch are those that go over MQTT.

The file is a plain zip archive, nothing in it packed: `manifest.json` names every other file with its size and SHA-256,
`manifest.sig` is the Ed25519 signature (RFC 8032) of SIGNED and the manifest's bytes, `presence.json` is the lab's word
about itself, and `batches/STREAM-EPOCH-S0.imb` are the payloads of `up/STREAM`. Any tool that opens zip archives shows
what is on a stick. Decoding is total: whatever the bytes, the answer is a value or BadMessage.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from wire.batch import MAX_PAYLOAD, BadMessage
from wire.codec import canonical
from wire.topics import STREAMS

VERSION = 1
SUFFIX = ".infomobil"
MANIFEST, SIGNATURE, PRESENCE = "manifest.json", "manifest.sig", "presence.json"
SIGNED = b"InfoMobil stick 1\n"
"""Stands before what is signed, so that a signature of a stick is none of anything else."""
MAX_STICK = 256 << 20
"""Bytes of one file: more makes several."""
MAX_FILES = 20_001
"""Batches of one file, and the presence."""
MAX_MANIFEST = 4 << 20

_LAB = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HEX = re.compile(r"[0-9a-f]{64}")
_BATCH = re.compile(rf"batches/({'|'.join(STREAMS)})-[0-9A-Za-z-]{{1,64}}-[0-9]{{1,16}}\.imb")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that the manifest vouches for: name, bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    @property
    def stream(self) -> str | None:
        """Return the stream of a batch, None for the presence."""
        return stream_of(self.name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Whose stick it is, with which key it is signed, and what is on it. software is the lab's version."""

    lab: str
    key: str
    software: str
    files: tuple[Listed, ...]


def batch_name(stream: str, epoch: str, s0: int) -> str:
    """Return the name of a batch's file."""
    return f"batches/{stream}-{epoch}-{s0}.imb"


def stream_of(name: str) -> str | None:
    """Return the stream of a batch's file, None for another name."""
    found = _BATCH.fullmatch(name)
    return found[1] if found else None


def to_sign(manifest: bytes) -> bytes:
    """Return the message that the signature is made of."""
    return SIGNED + manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`."""
    return canonical(
        {
            "v": VERSION,
            "lab": manifest.lab,
            "key": manifest.key,
            "software": manifest.software,
            "files": [[item.name, item.size, item.sha256] for item in manifest.files],
        }
    )


def decode_manifest(payload: bytes) -> Manifest:
    """Return the manifest in `payload`; raises BadMessage."""
    if len(payload) > MAX_MANIFEST:
        raise BadMessage(f"the manifest has {len(payload)} bytes, more than {MAX_MANIFEST}")
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"the manifest is not JSON ({error})") from error
    if not isinstance(body, dict) or body.get("v") != VERSION:
        raise BadMessage(f"the manifest is not one of version {VERSION}")
    lab, key, software, files = (body.get(name) for name in ("lab", "key", "software", "files"))
    if not isinstance(lab, str) or not _LAB.fullmatch(lab):
        raise BadMessage("the manifest names no lab")
    if not isinstance(key, str) or not _HEX.fullmatch(key):
        raise BadMessage("the manifest names no key")
    if not isinstance(software, str) or len(software) > 200:
        raise BadMessage("the manifest names no software")
    if not isinstance(files, list) or len(files) > MAX_FILES:
        raise BadMessage(f"the manifest does not list 0 to {MAX_FILES} files")
    listed = tuple(_listed(item) for item in files)
    if len({item.name for item in listed}) != len(listed):
        raise BadMessage("the manifest lists a file twice")
    return Manifest(lab, key, software, listed)


def _listed(item: Any) -> Listed:
    match item:
        case [str(name), int(size), str(sha256)] if not isinstance(size, bool):
            if name != PRESENCE and stream_of(name) is None:
                raise BadMessage("the manifest lists a file that is neither a batch nor the presence")
            if not 0 < size <= MAX_PAYLOAD or not _HEX.fullmatch(sha256):
                raise BadMessage("the manifest lists a file with a size or a SHA-256 that cannot be")
            return Listed(name, size, sha256)
        case _:
            raise BadMessage("the manifest lists something that is no file")
