# SPDX-License-Identifier: GPL-3.0-or-later
"""A library of approved jobs for tests: pieces signed by an office of their own, and one byte that differs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content.make_programs import PROGRAMS
from wire.library import SIGNATURE, read_folder, sign_piece

OFFICE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = OFFICE.public_key().public_bytes_raw().hex()


def add_piece(folder: Path, name: str = "wheel", *, of: str = "gear", key: Ed25519PrivateKey | None = OFFICE) -> Path:
    """Put a piece like `of` into a library that no software ships, signed with `key`."""
    place = Path(shutil.copytree(PROGRAMS / of, folder / name))
    described = (place / "piece.toml").read_text("utf-8").replace(f'id = "{of}"', f'id = "{name}"')
    (place / "piece.toml").write_text(described, "utf-8")
    if key is not None:
        sign(place, key)
    return place


def sign(place: Path, key: Ed25519PrivateKey = OFFICE) -> None:
    """Approve a folder as it is now."""
    (place / SIGNATURE).write_bytes(sign_piece(place.name, read_folder(place), key))


def flip(path: Path, at: int = -1) -> None:
    """Change one byte of a file, and nothing else that a listing of the folder would show; again, to mend it."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
