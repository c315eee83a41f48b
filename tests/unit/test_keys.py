# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's key: made once, for the owner's eyes, and never a reason for the lab not to start with another one."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge.app import _public_key
from edge.keys import FILE, KeyUnusable, lab_key


def test_the_key_is_made_once_and_signs(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "keys"
    first, again = lab_key(folder), lab_key(folder)
    assert first.public_hex == again.public_hex
    assert len(bytes.fromhex(first.public_hex)) == 32
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(first.public_hex)).verify(again.sign(b"facts"), b"facts")
    assert [file.name for file in folder.iterdir()] == [FILE]
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    key = lab_key(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    assert lab_key(tmp_path).public_hex == key.public_hex
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 200, b"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_set_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    old = lab_key(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    with caplog.at_level(logging.ERROR):
        new = lab_key(tmp_path)
    assert new.public_hex != old.public_hex
    assert (tmp_path / f"{FILE}.damaged-1").read_bytes() == content
    assert "damaged" in caplog.text
    (tmp_path / FILE).write_bytes(content)
    lab_key(tmp_path)
    assert (tmp_path / f"{FILE}.damaged-2").exists()


def test_a_key_of_another_kind_is_none(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    (tmp_path / FILE).write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    lab_key(tmp_path)
    assert (tmp_path / f"{FILE}.damaged-1").exists()


def test_where_no_folder_can_be_the_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(KeyUnusable, match="File exists"):
        lab_key(tmp_path / "keys")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).mkdir()
    with pytest.raises(KeyUnusable, match="Is a directory"):
        lab_key(tmp_path / "other")


def test_the_service_starts_without_a_key_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "keys").write_text("a file")
    with caplog.at_level(logging.ERROR):
        assert _public_key(tmp_path) == ""
    assert "Sticks cannot be written" in caplog.text
    assert _public_key(tmp_path / "other") == lab_key(tmp_path / "other" / "keys").public_hex


def test_two_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = {key.public_hex for key in pool.map(lab_key, [tmp_path / str(n // 8) for n in range(80)])}
    assert len(keys) == 10


@pytest.mark.parametrize("good", [True, False])
def test_a_key_that_another_program_made_in_the_very_moment_is_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    other = lab_key(tmp_path / "other")

    def overtaken(_partial: str, path: Path) -> None:
        path.write_bytes((tmp_path / "other" / FILE).read_bytes() if good else b"half")
        raise FileExistsError

    monkeypatch.setattr(os, "link", overtaken)
    if good:
        assert lab_key(tmp_path / "keys").public_hex == other.public_hex
    else:
        with pytest.raises(KeyUnusable, match="another program wrote it"):
            lab_key(tmp_path / "keys")
    assert [file.name for file in (tmp_path / "keys").iterdir()] == [FILE]
