# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office library`: what the office signs is what a van takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from content.make_programs import PROGRAMS
from edge.store.library import PieceLibrary
from office.cli import app
from office.library import load_key
from wire.library import SIGNATURE


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "library.pem"
    assert run("key", "--new", "-k", path).exit_code == 0
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    place = Path(shutil.copytree(PROGRAMS / "gear", tmp_path / "programs" / "wheel"))
    described = (place / "piece.toml").read_text("utf-8")
    (place / "piece.toml").write_text(described.replace('id = "gear"', 'id = "wheel"'), "utf-8")
    return place


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["library", *map(str, words)])


def test_a_key_is_made_once_for_its_owner_alone_and_shown_for_the_configuration(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    shown = run("key", "-k", key)
    public = load_key(key).public_hex
    assert f'[library]\nkeys = ["{public}"]' in shown.output
    assert "PRIVATE" not in shown.output
    before = key.read_bytes()
    again = run("key", "--new", "-k", key)
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert key.read_bytes() == before


def test_what_is_signed_is_taken_by_a_van_until_a_byte_differs(key: Path, wheel: Path) -> None:
    public = load_key(key).public_hex
    signed = run("sign", wheel, "-k", key)
    assert signed.exit_code == 0
    assert f"wheel: signed, 3 files, key {public[:16]}.." in signed.output
    assert (wheel / SIGNATURE).stat().st_mode & 0o777 == 0o644
    assert list(PieceLibrary(wheel.parent, [public]).pieces) == ["wheel"]
    for words in (("--public", public), ("-k", key)):
        good = run("verify", wheel, *words)
        assert good.exit_code == 0
        assert "wheel: good, 3 files" in good.output

    (wheel / "program.nc").write_bytes((wheel / "program.nc").read_bytes() + b"\n")
    bad = run("verify", wheel, "-k", key)
    assert bad.exit_code == 1
    assert "program.nc was changed after the piece was approved." in bad.output
    assert PieceLibrary(wheel.parent, [public]).pieces == {}
    assert run("sign", wheel, "-k", key).exit_code == 0
    assert run("verify", wheel, "-k", key).exit_code == 0


def test_the_folder_may_be_the_one_where_somebody_stands(
    key: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wheel)
    assert run("sign", ".", "-k", key).exit_code == 0
    assert run("verify", "../wheel", "-k", key).exit_code == 0


def test_another_key_is_none_of_the_office(key: Path, wheel: Path, tmp_path: Path) -> None:
    run("sign", wheel, "-k", key)
    other = tmp_path / "other.pem"
    run("key", "--new", "-k", other)
    refused = run("verify", wheel, "-k", other)
    assert refused.exit_code == 1
    assert "which is none of the office's" in refused.output
    assert run("verify", wheel, "--public", "00").exit_code == 2


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("program.nc", None, "program.nc is missing"),
        ("preview.svg", None, "preview.svg is missing"),
        ("piece.toml", b'id = "gear"', "piece.toml calls it 'gear', which is not the name of the folder"),
        ("piece.toml", b"id = ", "piece.toml is not TOML"),
        ("piece.toml", b"\xff", "piece.toml is not TOML"),
        ("a b.nc", b"", "no file of a piece has the name 'a b.nc'"),
    ],
)
def test_what_no_van_could_use_is_not_signed_and_the_others_are(
    key: Path, wheel: Path, name: str, content: bytes | None, why: str
) -> None:
    good = Path(shutil.copytree(PROGRAMS / "bolt", wheel.parent / "bolt"))
    if content is None:
        (wheel / name).unlink()
    else:
        (wheel / name).write_bytes(content)
    told = run("sign", wheel, good, "-k", key)
    assert told.exit_code == 1
    assert f"{wheel} is not signed: {why}" in told.output
    assert "bolt: signed" in told.output
    assert not (wheel / SIGNATURE).exists()


def test_a_disk_that_takes_no_file_is_said(key: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told = run("sign", wheel, "-k", key)
    assert told.exit_code == 1
    assert f"{wheel} is not signed: it takes no file (No space left on device)." in told.output
    assert sorted(os.listdir(wheel)) == ["piece.toml", "preview.svg", "program.nc"]
    told = run("key", "--new", "-k", key.with_name("second.pem"))
    assert told.exit_code == 2
    assert "No space left on device" in told.output


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, key: Path, wheel: Path) -> None:
    path = tmp_path / "other.pem"
    path.touch(0o600)

    def told() -> str:
        done = run("sign", wheel, "-k", path)
        assert done.exit_code == 2
        return done.output

    assert "it is no private key without a password, in PEM" in told()
    curve = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "it is no Ed25519 key" in told()
    path.chmod(0o640)
    assert f"others may read it; `chmod 600 {path}` first" in told()
    path.unlink()
    assert "there is none; `infomobil-office library key --new` makes one" in told()
    path.mkdir()
    assert "Is a directory" in told()
    assert not (wheel / SIGNATURE).exists()
