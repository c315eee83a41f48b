# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of approved jobs: what a van takes, and that one byte is enough for it to take it no longer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from content.make_programs import PROGRAMS
from edge.cli import cli
from edge.config import ConfigError, parse_settings
from edge.store.library import PieceLibrary
from tests.support.library import KEY, OFFICE, add_piece, flip, sign
from wire.library import (
    MAX_FILES,
    SIGNATURE,
    BadPiece,
    Flaw,
    decode_signature,
    read_folder,
    require_signed,
    sign_piece,
)

STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
Harm = Callable[[Path], object]


def test_what_ships_with_the_software_needs_no_key_and_what_the_office_signed_needs_its_own(tmp_path: Path) -> None:
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    add_piece(tmp_path)
    (tmp_path / "_drafts").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").write_text("for people")
    trusting = PieceLibrary(tmp_path, [STRANGER.public_key().public_bytes_raw().hex(), KEY])
    assert list(trusting.pieces) == ["bolt", "gear", "name-tag", "wheel"]
    assert trusting.left_out == {}
    others = PieceLibrary(tmp_path, ())
    assert list(others.pieces) == ["bolt", "gear", "name-tag"]
    assert others.left_out["wheel"].why == f"it is signed with the key {KEY[:16]}.., which is none of the office's"


@pytest.mark.parametrize("name", ["piece.toml", "preview.svg", "program.nc"])
def test_one_byte_is_enough_at_the_start(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    flip(add_piece(tmp_path) / name)
    flip(tmp_path / "gear" / name)
    library = PieceLibrary(tmp_path, [KEY])
    library.log_left_out()
    assert list(library.pieces) == ["bolt", "name-tag"]
    for piece in ("gear", "wheel"):
        found = library.left_out[piece]
        assert (found.flaw, found.file) == ("changed", name)
        assert found.why == f"{name} was changed after the piece was approved"
        assert f"Left out: the piece {piece}: {found.why}." in caplog.text


def add(place: Path) -> None:
    (place / "thumbs.db").write_bytes(b"")


HARMS: list[tuple[str, str, Harm]] = [
    ("changed", "program.nc was changed after the piece was approved", lambda place: flip(place / "program.nc", 0)),
    ("changed", "piece.toml was changed after the piece was approved", lambda place: flip(place / "piece.toml")),
    ("added", "thumbs.db was added after the piece was approved", add),
    ("missing", "preview.svg is missing", lambda place: (place / "preview.svg").unlink()),
    ("unsigned", "the office has not signed it: there is no piece.sig", lambda place: (place / SIGNATURE).unlink()),
    ("unreadable", "the folder cannot be read: No such file or directory", shutil.rmtree),
]


@pytest.mark.parametrize(("flaw", "why", "harm"), HARMS, ids=[f"{why.split()[0]} {flaw}" for flaw, why, _ in HARMS])
async def test_what_is_harmed_later_is_seen_when_it_is_looked_at_and_its_mending_too(
    tmp_path: Path, flaw: str, why: str, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edge.store.library")
    place = add_piece(tmp_path / "library")
    library = PieceLibrary(tmp_path / "library", [KEY])
    kept = Path(shutil.copytree(place, tmp_path / "kept"))
    assert await library.look("wheel") is None
    harm(place)
    for _ in range(2):
        found = await library.look("wheel")
        assert found is not None
        assert (found.flaw, found.why) == (flaw, why)
        assert library.left_out == {"wheel": found}
        said = found.sentence
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(kept, place)
    assert await library.look("wheel") is None
    assert library.left_out == {}
    assert [record.message for record in caplog.records] == [
        f"Left out: the piece wheel: {said}",
        "The piece wheel is again what was approved.",
    ]


async def test_a_piece_of_the_software_is_looked_at_too(tmp_path: Path) -> None:
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True)
    library = PieceLibrary(tmp_path, ())
    flip(tmp_path / "bolt" / "program.nc")
    found = await library.look("bolt")
    assert found is not None
    assert found.why == "program.nc was changed after the piece was approved"


async def test_another_version_that_the_office_has_signed_waits_for_a_restart(tmp_path: Path) -> None:
    place = add_piece(tmp_path)
    library = PieceLibrary(tmp_path, [KEY])
    (place / "program.nc").write_bytes(b"G21 G90\nG0 X1\nM30\n")
    sign(place)
    found = await library.look("wheel")
    assert found is not None
    assert found.flaw == "newer"
    assert PieceLibrary(tmp_path, [KEY]).pieces["wheel"].program == b"G21 G90\nG0 X1\nM30\n"


def test_a_broken_piece_is_left_out_and_the_others_are_there(tmp_path: Path) -> None:
    add_piece(tmp_path)
    broken = add_piece(tmp_path, "broken", key=None)
    (broken / "piece.toml").write_text("id = ")
    sign(broken)
    renamed = add_piece(tmp_path, "renamed")
    renamed.rename(tmp_path / "other")
    library = PieceLibrary(tmp_path, [KEY])
    assert list(library.pieces) == ["wheel"]
    assert library.left_out["broken"].flaw == "form"
    assert "piece.toml is not TOML" in library.left_out["broken"].why
    assert library.left_out["other"].why == "piece.sig is that of the piece renamed"


def test_a_library_that_is_not_there_is_said_and_is_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library = PieceLibrary(tmp_path / "nowhere", [KEY])
    library.log_left_out()
    assert library.pieces == {}
    assert library.left_out[""].why == f"the library {tmp_path / 'nowhere'} cannot be read: No such file or directory"
    assert "Left out: all pieces: The library" in caplog.text


def pipe(place: Path) -> None:
    os.mkfifo(place / "program.pipe")


def link(place: Path) -> None:
    (place.parent / "elsewhere").write_bytes((place / "program.nc").read_bytes())
    (place / "program.nc").unlink()
    (place / "program.nc").symlink_to(place.parent / "elsewhere")


def crowd(place: Path) -> None:
    for number in range(MAX_FILES):
        (place / f"f{number}").touch()


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (pipe, "program.pipe is no plain file"),
        (link, "program.nc is no plain file"),
        (lambda place: (place / "more").mkdir(), "more is no plain file"),
        (crowd, f"the folder holds {MAX_FILES + 4} files, more than the {MAX_FILES} of a piece"),
        (lambda place: (place / ".hidden").touch(), "no file of a piece has the name '.hidden'"),
        (lambda place: (place / "a b").touch(), "no file of a piece has the name 'a b'"),
        (lambda place: Path(os.fsdecode(bytes(place) + b"/\xff")).touch(), r"has the name '\udcff'"),
        (lambda place: (place / "program.nc").write_bytes(bytes(2_000_001)), "program.nc is over 2 MB"),
    ],
)
def test_only_plain_files_with_plain_names_make_a_piece(tmp_path: Path, harm: Harm, why: str) -> None:
    place = add_piece(tmp_path)
    harm(place)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BadPiece) as caught:
        read_folder(place)
    assert why in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_folder_that_is_a_link_to_elsewhere_is_no_piece(tmp_path: Path) -> None:
    place = add_piece(tmp_path / "programs")
    elsewhere = place.rename(tmp_path / "elsewhere")
    place.symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(BadPiece, match="a link to another place") as caught:
        read_folder(place)
    assert caught.value.flaw is Flaw.UNREADABLE
    library = PieceLibrary(place.parent, [KEY])
    assert library.pieces == {}
    assert library.left_out[place.name].flaw is Flaw.UNREADABLE
    place.unlink()
    elsewhere.rename(place)
    library = PieceLibrary(place.parent, [KEY])
    assert await library.look(place.name) is None
    place.rename(elsewhere)
    place.symlink_to(elsewhere, target_is_directory=True)
    found = await library.look(place.name)
    assert found is not None
    assert "a link to another place" in found.why


def test_a_file_that_the_disk_does_not_give_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = add_piece(tmp_path)
    opened = os.open

    def refuse(path: Path, flags: int) -> int:
        if path.name == "program.nc":
            raise OSError(5, "Input/output error")
        return opened(path, flags)

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(BadPiece, match=r"program\.nc cannot be read: Input/output error"):
        read_folder(place)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read_folder(add_piece(tmp_path_factory.mktemp("signed")))


@given(data=st.data())
def test_no_byte_of_any_file_can_differ(signed: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(signed)))
    at = data.draw(st.integers(0, len(signed[name]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != signed[name][at]))
    content = bytearray(signed[name])
    content[at] = other
    with pytest.raises(BadPiece) as caught:
        require_signed("wheel", {**signed, name: bytes(content)}, [KEY])
    if name != SIGNATURE:
        assert (caught.value.flaw, caught.value.file) == (Flaw.CHANGED, name)


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_piece_sig_may_hold_anything(payload: bytes) -> None:
    with pytest.raises(BadPiece):
        decode_signature(payload)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"v": 2}, "is not one of version 1"),
        ({"v": True}, "is not one of version 1"),
        ({"more": 1}, "does not hold v, piece, files, key and signature, and nothing else"),
        ({"piece": "../gear"}, "names no piece"),
        ({"key": KEY.upper()}, "names no key"),
        ({"signature": "00"}, "holds no signature"),
        ({"files": []}, "does not list 1 to 31 files"),
        ({"files": [["a", 1, KEY]] * 40}, "does not list 1 to 31 files"),
        ({"files": [["a", 1, KEY], ["a", 2, KEY]]}, "lists a file twice"),
        ({"files": [["../a", 1, KEY]]}, "lists something that is no file"),
        ({"files": [["a", True, KEY]]}, "lists something that is no file"),
        ({"files": [["a", -1, KEY]]}, "lists something that is no file"),
        ({"files": [["a", 1, "00"]]}, "lists something that is no file"),
        ({"files": [7]}, "lists something that is no file"),
    ],
)
def test_piece_sig_is_read_strictly(signed: dict[str, bytes], change: dict[str, object], why: str) -> None:
    body = json.loads(signed[SIGNATURE]) | change
    with pytest.raises(BadPiece) as caught:
        require_signed("wheel", {**signed, SIGNATURE: json.dumps(body).encode()}, [KEY])
    assert str(caught.value) == f"piece.sig {why}"


def test_depth_of_nesting_is_no_way_in() -> None:
    with pytest.raises(BadPiece, match="is not JSON"):
        decode_signature(b"[" * 100_000)


def test_a_signature_is_none_of_another_piece_or_key_and_its_form_counts(signed: dict[str, bytes]) -> None:
    body = json.loads(signed[SIGNATURE])
    stranger = STRANGER.public_key().public_bytes_raw().hex()

    def refused(body: dict[str, object], *, indent: int | None = 1) -> BadPiece:
        written = json.dumps(body, indent=indent).encode() + b"\n"
        with pytest.raises(BadPiece) as caught:
            require_signed("wheel", {**signed, SIGNATURE: written}, [KEY, stranger])
        return caught.value

    assert require_signed("wheel", signed, [KEY]).piece == "wheel"
    assert str(refused({**body, "key": stranger})) == "the signature in piece.sig does not hold"
    assert refused({**body, "piece": "other"}).flaw is Flaw.FORGED
    assert refused({**body, "files": body["files"][1:]}).flaw is Flaw.FORGED
    assert str(refused(body, indent=None)) == "piece.sig is not written as the office writes it"
    with pytest.raises(BadPiece, match="no id: a-z"):
        sign_piece("Über Rad", signed, OFFICE)


LAB = '[lab]\nid = "van-1"\nname = "Van"\ndata_dir = "data"\n\n[operator]\npin_file = "pin"\n\n'


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("00", "a public key has 64 hexadecimal digits, in small letters"),
        (KEY.upper(), "a public key has 64 hexadecimal digits, in small letters"),
        ("0" * 64, "this stands for a key, and is none"),
        ("01" + "0" * 62, "this stands for a key, and is none"),
    ],
)
def test_what_is_no_key_is_answered_with_its_line(key: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(f'{LAB}[library]\nkeys = ["{KEY}", "{key}"]\n', Path("edge.toml"))
    assert str(caught.value) == f"edge.toml, line 10: library.keys.2: {why} (it says {key!r})."


def test_check_config_says_what_the_library_holds_and_what_is_left_out(tmp_path: Path) -> None:
    library = tmp_path / "content" / "programs"
    add_piece(library)
    flip(add_piece(library, "cog") / "program.nc")
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[library]\nkeys = ["{KEY}"]\n{LAB}'.replace("[operator]", 'content_dir = "content"\n\n[operator]')
    )
    told = CliRunner().invoke(cli, ["check-config", str(config)])
    assert told.exit_code == 0
    assert f"library: {library}, wheel; keys of the office: {KEY[:16]}.." in told.output
    assert "  left out: cog: program.nc was changed after the piece was approved." in told.output
    config.write_text(LAB)
    told = CliRunner().invoke(cli, ["check-config", str(config)])
    assert "programs, bolt, gear, name-tag; keys of the office: none" in told.output
